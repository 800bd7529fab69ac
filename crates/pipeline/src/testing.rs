//! A product and schemas for this crate's tests.

use std::collections::HashMap;
use std::sync::Arc;

use meshwork_avro::Schema;
use meshwork_model::mesh::announcement::{EnforcementMode, ProductStatus, TagMode};
use meshwork_model::name::SchemaId;

use crate::framing::SchemaRef;
use crate::policy::{KeyRule, OnUnavailable, ProductPolicy};
use crate::schemas::{CompiledSchema, SchemaLookup, Schemas};

pub(crate) const FLIGHT: &str = r#"{"type":"record","name":"Flight","fields":[
    {"name":"id","type":"string"},
    {"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}}]}"#;

pub(crate) const KEY: &str =
    r#"{"type":"record","name":"Key","fields":[{"name":"n","type":"int"}]}"#;

pub(crate) fn policy(enforcement: EnforcementMode) -> ProductPolicy {
    ProductPolicy {
        urn: "urn:meshwork:ops:flights:v1".parse().unwrap(),
        topic: "ops.flights.v1".to_owned(),
        enforcement,
        tag: TagMode::Record,
        status: ProductStatus::Active,
        event_time: Some("at".to_owned()),
        value_subject: "ops.flights.v1-value".to_owned(),
        key: KeyRule::Utf8,
        tombstones: false,
        unavailable: OnUnavailable::Closed,
    }
}

/// Answers as it is told; what it is not told is not loaded.
#[derive(Default)]
pub(crate) struct Told {
    answers: HashMap<(String, SchemaRef), SchemaLookup>,
}

impl Told {
    pub(crate) fn flights() -> Self {
        let mut told = Self::default();
        told.know("ops.flights.v1-value", 7, FLIGHT);
        told.know("ops.flights.v1-key", 9, KEY);
        told.answer("ops.flights.v1-value", 8, SchemaLookup::NotOfSubject);
        told.answer("ops.flights.v1-value", 404, SchemaLookup::Unknown);
        told.answer("ops.flights.v1-value", 503, SchemaLookup::Unavailable);
        told.answer(
            "ops.flights.v1-value",
            13,
            SchemaLookup::Unusable("it is of type PROTOBUF".into()),
        );
        told
    }

    pub(crate) fn know(&mut self, subject: &str, n: i64, text: &str) {
        let id = SchemaId::new(n).unwrap();
        let schema = Schema::parse(text).unwrap();
        let compiled = CompiledSchema::compile(id, &schema, Some("at")).unwrap();
        self.answer(subject, n, SchemaLookup::Known(Arc::new(compiled)));
    }

    pub(crate) fn answer(&mut self, subject: &str, n: i64, lookup: SchemaLookup) {
        let id = SchemaRef::Id(SchemaId::new(n).unwrap());
        self.answers.insert((subject.to_owned(), id), lookup);
    }

    pub(crate) fn answer_ref(&mut self, subject: &str, schema: SchemaRef, lookup: SchemaLookup) {
        self.answers.insert((subject.to_owned(), schema), lookup);
    }
}

impl Schemas for Told {
    fn look_up(&self, subject: &str, schema: SchemaRef) -> SchemaLookup {
        self.answers
            .get(&(subject.to_owned(), schema))
            .cloned()
            .unwrap_or(SchemaLookup::NotLoaded)
    }
}

/// A framed flight under schema `id`.
pub(crate) fn flight(id: u32, name: &str, at: i64) -> Vec<u8> {
    let mut bytes = vec![0];
    bytes.extend(id.to_be_bytes());
    meshwork_wire::varint::write_i64(&mut bytes, i64::try_from(name.len()).unwrap());
    bytes.extend(name.as_bytes());
    meshwork_wire::varint::write_i64(&mut bytes, at);
    bytes
}
