//! What the server says of itself.

use axum::extract::State as Held;
use bytes::Bytes;
use serde_json::json;

use super::answer::Json;
use super::routes::Api;
use crate::standing::Standing;

pub(super) async fn root() -> Json {
    Json(Bytes::from_static(b"{}"))
}

pub(super) async fn id(Held(api): Held<Api>) -> Json {
    let kafka = api.shared.cluster_id.get().map_or("", String::as_str);
    Json::of(&json!({
        "scope": {
            "path": [],
            "clusters": {
                "kafka-cluster": kafka,
                "schema-registry-cluster": "schema-registry",
            },
        },
    }))
}

/// As Confluent's; and who we are, and whether registrations are told of, so that who announces a
/// product need not do it again.
pub(super) async fn version(Held(api): Held<Api>) -> Json {
    Json::of(&json!({
        "version": env!("CARGO_PKG_VERSION"),
        "commitId": "",
        "product": "meshwork",
        "announcesChanges": api.shared.config.announce_changes,
    }))
}

/// Marks of the deployment: this one has none.
pub(super) async fn deployment() -> Json {
    Json(Bytes::from_static(br#"{"attributes":[]}"#))
}

/// The newest serializers of all languages ask this first, and go on where there is none.
pub(super) async fn associations() -> Json {
    Json(Bytes::from_static(b"[]"))
}

/// Karapace's: whether changes are taken, here or by the instance that they are passed on to. What
/// stands in front of a Karapace that was taken over may ask it.
pub(super) async fn writer(Held(api): Held<Api>) -> Json {
    let available = match *api.shared.standing.borrow() {
        Standing::Writing => true,
        Standing::Following => api.shared.log_writer.borrow().is_some(),
        _ => false,
    };
    Json::of(&json!({ "master_available": available }))
}
