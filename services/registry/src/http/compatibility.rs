//! `/compatibility…`: verdicts without registering.

use axum::body::Body;
use axum::extract::{Path, State as Held};
use axum::http::HeaderMap;

use super::answer::Json;
use super::body::read;
use super::parameters::Parameters;
use super::routes::Api;
use super::subjects::{may_refer, normal};
use crate::access::Caller;
use crate::answers::VerdictAnswer;
use crate::decide::{self, Draft, Verdict, VersionId};
use crate::refusal::{Code, Refusal};

type Answer = Result<Json, Refusal>;

pub(super) async fn with_all(
    Held(api): Held<Api>,
    caller: Caller,
    Path(subject): Path<String>,
    parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let draft: Draft = read(&headers, body, api.shared.config.max_body_bytes.as_usize()).await?;
    may_refer(&api, &caller, &subject, &draft)?;
    let verdict = api.shared.read(|state| {
        let subject = state.resolve(&subject)?;
        let normal = normal(&parameters);
        decide::compare_all(state, &api.shared.texts, &subject, &draft, normal)
    });
    answer(verdict, &parameters)
}

pub(super) async fn with_one(
    Held(api): Held<Api>,
    caller: Caller,
    Path((subject, version)): Path<(String, String)>,
    parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let wanted: VersionId = version.parse()?;
    let draft: Draft = read(&headers, body, api.shared.config.max_body_bytes.as_usize()).await?;
    may_refer(&api, &caller, &subject, &draft)?;
    let verdict = api.shared.read(|state| {
        let subject = state.resolve(&subject)?;
        let normal = normal(&parameters);
        decide::compare_one(state, &api.shared.texts, &subject, wanted, &draft, normal)
    });
    answer(verdict, &parameters)
}

/// Verbosely, a schema that does not parse is a verdict too.
fn answer(verdict: Result<Verdict, Refusal>, parameters: &Parameters) -> Answer {
    let verbose = parameters.flag("verbose");
    let verdict = match verdict {
        Err(refusal) if verbose && refusal.code == Code::InvalidSchema => Verdict {
            compatible: false,
            messages: vec![refusal.message],
        },
        verdict => verdict?,
    };
    Ok(Json::of(&VerdictAnswer {
        is_compatible: verdict.compatible,
        messages: verbose.then_some(&verdict.messages),
    }))
}
