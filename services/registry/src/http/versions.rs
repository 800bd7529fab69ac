//! `/subjects/{subject}/versions`.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::extract::{Path, State as Held};
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};

use super::answer::{Changed, Json, refuse};
use super::body::read;
use super::parameters::Parameters;
use super::routes::Api;
use super::schemas;
use super::subjects::{MOST, known, listed, may_refer, normal};
use super::view::View;
use crate::access::Caller;
use crate::actor::Actor;
use crate::answers::SchemaAnswer;
use crate::decide::{self, Decision, Draft, Normal, Registration, Retag, Terms, VersionId};
use crate::refusal::{Code, Refusal};
use crate::state::State;
use crate::texts::Texts;

type Answer = Result<Json, Refusal>;

pub(super) async fn list(
    Held(api): Held<Api>,
    Path(subject): Path<String>,
    parameters: Parameters,
) -> Answer {
    let deleted = parameters.flag("deleted") || parameters.flag("deletedOnly");
    let versions = api
        .shared
        .read(|state| known(state, &state.resolve(&subject)?, deleted))?;
    let negative = parameters.flag("deletedAsNegative");
    let numbers = versions
        .all()
        .filter(|version| negative || listed(version.deleted, &parameters))
        .map(|version| {
            if negative && version.deleted {
                -version.number
            } else {
                version.number
            }
        });
    Ok(Json::of(&parameters.page(numbers, MOST)))
}

pub(super) async fn register(
    Held(api): Held<Api>,
    caller: Caller,
    actor: Actor,
    Path(subject): Path<String>,
    parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let draft: Draft = read(&headers, body, api.shared.config.max_body_bytes.as_usize()).await?;
    may_refer(&api, &caller, &subject, &draft)?;
    let terms = Terms {
        normal: normal(&parameters),
        force: parameters.flag("force"),
        ids_taken: 0,
        max_record_bytes: api.shared.config.max_record_bytes,
        may_register: false,
    };
    let decide = move |state: &State<'_>, texts: &Texts, taken: &dyn Fn(&str) -> i32| {
        let subject = state.resolve(&subject)?;
        let terms = Terms {
            ids_taken: taken(subject.context()),
            may_register: caller.may_register(&subject),
            ..terms
        };
        decide::register(state, texts, &subject, &draft, &terms)
    };
    submit(&api, actor, &View::of_text(&parameters), decide).await
}

pub(super) async fn retag(
    Held(api): Held<Api>,
    caller: Caller,
    actor: Actor,
    Path((subject, version)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let change: Retag = read(&headers, body, api.shared.config.max_body_bytes.as_usize()).await?;
    let terms = Terms {
        normal: Normal::AsWritten,
        force: false,
        ids_taken: 0,
        max_record_bytes: api.shared.config.max_record_bytes,
        may_register: false,
    };
    let decide = move |state: &State<'_>, texts: &Texts, taken: &dyn Fn(&str) -> i32| {
        let subject = state.resolve(&subject)?;
        let terms = Terms {
            ids_taken: taken(subject.context()),
            may_register: caller.may_register(&subject),
            ..terms
        };
        decide::retag(state, texts, &subject, &version, &change, &terms)
    };
    submit(&api, actor, &View::default(), decide).await
}

/// Has a registration written and answers it. `decide` is told the ids that are taken, by context.
async fn submit<F>(api: &Api, actor: Actor, view: &View, decide: F) -> Result<Response, Refusal>
where
    F: Fn(&State<'_>, &Texts, &dyn Fn(&str) -> i32) -> Result<Decision<Registration>, Refusal>
        + Send
        + 'static,
{
    let registration = api
        .writer
        .submit_unless_there(actor, move |state, texts, taken| {
            decide(state, texts, &|context| taken.of(context))
        })
        .await;
    let registration = match registration {
        Ok(registration) => registration,
        Err(refusal) if refusal.code == Code::Incompatible => {
            return Ok(refuse(api.shared.config.incompatible_error_code, &refusal));
        }
        Err(refusal) => return Err(refusal),
    };
    let Registration {
        subject, content, ..
    } = &registration.answer;
    let answer = SchemaAnswer::of_registration(&registration.answer);
    let json = if view.is_plain() {
        Json(answer.to_bytes())
    } else {
        api.shared.read(|state| {
            let shown = view.show(&api.shared, state, subject, content)?;
            Ok(Json(shown.over(answer).to_bytes()))
        })?
    };
    Ok(registration.map(|_| json).into_response())
}

pub(super) async fn get(
    Held(api): Held<Api>,
    caller: Caller,
    Path((subject, version)): Path<(String, String)>,
    parameters: Parameters,
) -> Answer {
    let wanted: VersionId = version.parse()?;
    api.shared.read(|state| {
        let subject = state.resolve(&subject)?;
        let deleted = parameters.flag("deleted");
        let (name, version) = decide::find_version(state, &subject, wanted, deleted)?;
        caller.require_read(&name)?;
        let view = View::of(&parameters);
        let shown = view.show(&api.shared, state, &name, &version.content)?;
        let answer = SchemaAnswer::of_version(&name, &version);
        Ok(Json(shown.over(answer).to_bytes()))
    })
}

pub(super) async fn text(
    Held(api): Held<Api>,
    caller: Caller,
    Path((subject, version)): Path<(String, String)>,
    parameters: Parameters,
) -> Answer {
    let wanted: VersionId = version.parse()?;
    api.shared.read(|state| {
        let subject = state.resolve(&subject)?;
        let deleted = parameters.flag("deleted");
        let (name, version) = decide::find_version(state, &subject, wanted, deleted)?;
        caller.require_read(&name)?;
        let view = View::of_text(&parameters);
        let shown = view.show(&api.shared, state, &name, &version.content)?;
        let text = shown.into_text();
        Ok(Json(
            text.unwrap_or_else(|| version.content.text.to_string())
                .into(),
        ))
    })
}

pub(super) async fn delete(
    Held(api): Held<Api>,
    actor: Actor,
    Path((subject, version)): Path<(String, String)>,
    parameters: Parameters,
) -> Changed {
    let wanted: VersionId = version.parse()?;
    let permanent = parameters.flag("permanent");
    let number = api
        .writer
        .submit(actor, move |state, _, _| {
            decide::delete_version(state, &state.resolve(&subject)?, wanted, permanent)
        })
        .await?;
    Ok(number.map(Json::of))
}

/// Ids of referrers, in the order of their contexts. The version itself may be soft-deleted.
pub(super) async fn referenced_by(
    Held(api): Held<Api>,
    caller: Caller,
    Path((subject, version)): Path<(String, String)>,
    parameters: Parameters,
) -> Answer {
    let wanted: VersionId = version.parse()?;
    let page = api.shared.read_apart(move |state| {
        let subject = state.resolve(&subject)?;
        let deleted = parameters.flag("deleted");
        let (name, version) = decide::find_version(state, &subject, wanted, true)?;
        caller.require_read(&name)?;
        let mut ids: BTreeSet<(String, i32)> = BTreeSet::new();
        for referrer in state.referrers(&(name, version.number)) {
            let (subject, number) = referrer?;
            let row = state.version_row(&subject, number)?;
            if let Some(row) = row.filter(|row| deleted || !row.deleted) {
                ids.insert((subject.context().to_owned(), row.id));
            }
        }
        let ids = ids.into_iter().map(|(_, id)| id);
        Ok(Json::of(&parameters.page(ids, schemas::MOST)))
    });
    page.await
}
