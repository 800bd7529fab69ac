//! What the server says of itself.

use super::super::operation::{Operation, Query, Shape};
use super::super::{metadata, openapi};
use super::{LIMIT, OFFSET};

pub(super) fn all() -> Vec<Operation> {
    vec![
        Operation::get("/", metadata::root)
            .title("Is anybody there?")
            .answers(Shape::One("Empty")),
        Operation::post("/", metadata::root)
            .title("Is anybody there?")
            .details("For clients that can only send.")
            .answers(Shape::One("Empty")),
        Operation::get("/v1/metadata/id", metadata::id)
            .title("Which Kafka cluster and which registry this is.")
            .answers(Shape::One("ServerId")),
        Operation::get("/v1/metadata/version", metadata::version)
            .title("Which version of the server this is.")
            .answers(Shape::One("ServerVersion")),
        Operation::get("/v1/metadata/deployment", metadata::deployment)
            .title("Marks of the deployment: none.")
            .answers(Shape::One("Deployment")),
        Operation::get(
            "/associations/resources/{namespace}/{name}",
            metadata::associations,
        )
        .title("Associations of a resource: none.")
        .details("Serializers of all languages ask, and go on.")
        .query([
            Query::text("resourceType", "Ignored."),
            Query::texts("associationType", "Ignored."),
            OFFSET,
            LIMIT,
        ])
        .answers(Shape::ListOf("Association")),
        Operation::get("/master_available", metadata::writer)
            .title("Are changes taken, here or where they are passed on to?")
            .details("Karapace's name for it.")
            .answers(Shape::One("WriterAvailable")),
        Operation::get("/openapi.json", openapi::answer)
            .title("This description.")
            .answers(Shape::One("OpenApi")),
    ]
}
