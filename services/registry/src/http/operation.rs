//! One endpoint: its handler, and what `/openapi.json` says of it. Both come from the same value,
//! so that none can be there without the other.

use axum::handler::Handler;
use axum::routing::{self, MethodRouter};

use super::routes::Api;
use crate::refusal::Code;

/// An endpoint.
pub(super) struct Operation {
    /// In small letters, as OpenAPI writes it.
    pub(super) method: &'static str,
    /// With `{parameters}`.
    pub(super) path: &'static str,
    /// What it is for, in one sentence.
    pub(super) title: &'static str,
    /// What would surprise.
    pub(super) details: &'static str,
    pub(super) query: Vec<Query>,
    /// Component that a body must be like; none where no body is read.
    pub(super) body: Option<&'static str>,
    pub(super) answer: Shape,
    /// Refusals of its own, besides those that any request may meet.
    pub(super) refusals: &'static [Code],
    handler: MethodRouter<Api>,
}

/// What a query parameter holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    /// `true` in any case; anything else is false.
    Flag,
    /// A whole number.
    Number,
    Text,
    /// May be given several times.
    Texts,
}

/// A query parameter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Query {
    pub(super) name: &'static str,
    pub(super) holds: Holds,
    pub(super) about: &'static str,
}

impl Query {
    pub(super) const fn flag(name: &'static str, about: &'static str) -> Self {
        Self::new(name, Holds::Flag, about)
    }

    pub(super) const fn number(name: &'static str, about: &'static str) -> Self {
        Self::new(name, Holds::Number, about)
    }

    pub(super) const fn text(name: &'static str, about: &'static str) -> Self {
        Self::new(name, Holds::Text, about)
    }

    pub(super) const fn texts(name: &'static str, about: &'static str) -> Self {
        Self::new(name, Holds::Texts, about)
    }

    const fn new(name: &'static str, holds: Holds, about: &'static str) -> Self {
        Self { name, holds, about }
    }
}

/// What a successful answer is like. Names are those of components.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    One(&'static str),
    ListOf(&'static str),
    /// 204 without a body.
    Nothing,
}

impl Operation {
    pub(super) fn get<T: 'static>(path: &'static str, handler: impl Handler<T, Api>) -> Self {
        Self::new("get", path, routing::get(handler))
    }

    pub(super) fn post<T: 'static>(path: &'static str, handler: impl Handler<T, Api>) -> Self {
        Self::new("post", path, routing::post(handler))
    }

    pub(super) fn put<T: 'static>(path: &'static str, handler: impl Handler<T, Api>) -> Self {
        Self::new("put", path, routing::put(handler))
    }

    pub(super) fn delete<T: 'static>(path: &'static str, handler: impl Handler<T, Api>) -> Self {
        Self::new("delete", path, routing::delete(handler))
    }

    fn new(method: &'static str, path: &'static str, handler: MethodRouter<Api>) -> Self {
        Self {
            method,
            path,
            title: "",
            details: "",
            query: Vec::new(),
            body: None,
            answer: Shape::Nothing,
            refusals: &[],
            handler,
        }
    }

    pub(super) fn title(mut self, title: &'static str) -> Self {
        self.title = title;
        self
    }

    pub(super) fn details(mut self, details: &'static str) -> Self {
        self.details = details;
        self
    }

    pub(super) fn query(mut self, query: impl IntoIterator<Item = Query>) -> Self {
        self.query.extend(query);
        self
    }

    pub(super) fn body(mut self, component: &'static str) -> Self {
        self.body = Some(component);
        self
    }

    pub(super) fn answers(mut self, shape: Shape) -> Self {
        self.answer = shape;
        self
    }

    pub(super) fn refuses(mut self, refusals: &'static [Code]) -> Self {
        self.refusals = refusals;
        self
    }

    /// Path and handler, to be routed.
    pub(super) fn into_route(self) -> (&'static str, MethodRouter<Api>) {
        (self.path, self.handler)
    }

    /// Names of the parameters in the path.
    pub(super) fn path_parameters(&self) -> impl Iterator<Item = &'static str> {
        self.path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }
}
