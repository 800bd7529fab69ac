//! Enforcement of one record: its value's framing, schema and datum, its key, the product's status.

use std::sync::Arc;

use meshwork_model::headers::{KEY_SCHEMA_ID, VALUE_SCHEMA_ID};
use meshwork_model::mesh::announcement::{EnforcementMode, ProductStatus};
use meshwork_model::name::SchemaId;
use meshwork_model::time::Timestamp;
use meshwork_wire::Header;

use crate::framing::{SchemaRef, framed};
use crate::policy::{KeyRule, OnUnavailable, ProductPolicy};
use crate::reason::{Reason, Refusal, TEXT_MAX};
use crate::schemas::{CompiledSchema, Needed, SchemaLookup, Schemas};

/// A record as it comes.
#[derive(Clone, Copy, Debug)]
pub struct RecordIn<'a, H> {
    /// Key.
    pub key: Option<&'a [u8]>,
    /// Value.
    pub value: Option<&'a [u8]>,
    /// Headers, in order.
    pub headers: H,
}

/// What was learnt of a record on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Schema of its value, where it could be told.
    pub schema_id: Option<SchemaId>,
    /// Its event time, where the product names a field and the datum has it.
    pub event_time: Option<Timestamp>,
    /// It passed unchecked, because the registry could not be asked.
    pub unverified: bool,
}

/// The verdict on a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// It keeps the contract.
    Good(Facts),
    /// It breaks the contract.
    Bad(Facts, Box<Refusal>),
    /// A schema has to be loaded first; then check again.
    Load(Box<Needed>),
    /// A schema is not known here and the registry can't be asked: try later.
    Unavailable(Box<Needed>),
}

/// What a mode makes of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// The record passes as it is.
    Pass,
    /// It passes with a `mesh-mark` header.
    Mark,
    /// It goes to the quarantine topic.
    Quarantine,
    /// It fails at the producer.
    Reject,
}

impl ProductPolicy {
    /// Whether a record whose schema can't be asked for passes unchecked. Never with quarantine: what
    /// passed unchecked and was refused when it came again would leave its producer's numbers in
    /// doubt.
    #[must_use]
    pub fn fails_open(&self) -> bool {
        self.unavailable == OnUnavailable::Open && self.enforcement != EnforcementMode::Quarantine
    }

    /// What becomes of a refused record. A retired product rejects whatever its mode: a producer
    /// has to notice, and nothing may pile up in the quarantine of what is gone.
    #[must_use]
    pub const fn disposition(&self, reason: Reason) -> Disposition {
        match (reason, self.enforcement) {
            (Reason::Retired, _) | (_, EnforcementMode::Reject) => Disposition::Reject,
            (_, EnforcementMode::Quarantine) => Disposition::Quarantine,
            (_, EnforcementMode::Mark) => Disposition::Mark,
            (_, EnforcementMode::Off) => Disposition::Pass,
        }
    }
}

/// Checks the records of one product. Remembers the last schema, so that a run of records under
/// one schema asks once.
#[derive(Clone, Debug)]
pub struct Checker {
    policy: Arc<ProductPolicy>,
    last_value: Option<(SchemaRef, Arc<CompiledSchema>)>,
    last_key: Option<(SchemaRef, Arc<CompiledSchema>)>,
}

/// A schema that is not at hand, or no good.
enum Lack {
    Refused(Refusal),
    Load(Needed),
    Unavailable(Needed),
}

impl Checker {
    /// For one product.
    #[must_use]
    pub const fn new(policy: Arc<ProductPolicy>) -> Self {
        Self {
            policy,
            last_value: None,
            last_key: None,
        }
    }

    /// The product.
    #[must_use]
    pub const fn policy(&self) -> &Arc<ProductPolicy> {
        &self.policy
    }

    /// Checks one record.
    #[inline]
    pub fn check<'a, S, H>(&mut self, schemas: &S, record: &RecordIn<'a, H>) -> Check
    where
        S: Schemas + ?Sized,
        H: Iterator<Item = Header<'a>> + Clone,
    {
        if self.policy.status == ProductStatus::Retired {
            let said = format!("{} is retired and takes no records", self.policy.urn);
            return bad(Facts::default(), Refusal::new(Reason::Retired, said));
        }
        let off = self.policy.enforcement == EnforcementMode::Off;
        let value = self.check_value(schemas, record);
        let facts = match value {
            Check::Good(facts) => facts,
            // Nothing is enforced; what could be told of it is still observed.
            Check::Bad(facts, _) if off => return Check::Good(facts),
            other => return other,
        };
        if off {
            return Check::Good(facts);
        }
        match self.check_key(schemas, record) {
            Ok(unverified) => Check::Good(Facts {
                unverified: facts.unverified || unverified,
                ..facts
            }),
            Err(Lack::Refused(refusal)) => bad(facts, refusal),
            Err(Lack::Load(needed)) => Check::Load(Box::new(needed)),
            Err(Lack::Unavailable(needed)) => Check::Unavailable(Box::new(needed)),
        }
    }

    /// The schemas that a record's value and key name and that [`Self::check`] would look up, each with
    /// the subject that it is to be of. Nothing is looked up, and no datum looked at.
    pub(crate) fn named<'a, H>(&self, record: &RecordIn<'a, H>) -> [Option<(&str, SchemaRef)>; 2]
    where
        H: Iterator<Item = Header<'a>> + Clone,
    {
        let policy = &self.policy;
        if policy.status == ProductStatus::Retired {
            return [None, None];
        }
        let value = record
            .value
            .map(|value| framed(value, record.headers.clone(), VALUE_SCHEMA_ID));
        let value = match value {
            Some(Ok(framed)) => Some((policy.value_subject.as_str(), framed.schema)),
            None if policy.tombstones => None,
            // It is refused, and its key not looked at.
            None | Some(Err(_)) => return [None, None],
        };
        let key = match (&policy.key, record.key) {
            (KeyRule::Avro { subject }, Some(key))
                if policy.enforcement != EnforcementMode::Off =>
            {
                framed(key, record.headers.clone(), KEY_SCHEMA_ID)
                    .ok()
                    .map(|framed| (subject.as_str(), framed.schema))
            }
            _ => None,
        };
        [value, key]
    }

    #[inline]
    fn check_value<'a, S, H>(&mut self, schemas: &S, record: &RecordIn<'a, H>) -> Check
    where
        S: Schemas + ?Sized,
        H: Iterator<Item = Header<'a>> + Clone,
    {
        let mut facts = Facts::default();
        let Some(value) = record.value else {
            if self.policy.tombstones {
                return Check::Good(facts);
            }
            let said = "the value is null, and the topic is not compacted";
            return bad(facts, Refusal::new(Reason::NoValue, said));
        };
        let framed = match framed(value, record.headers.clone(), VALUE_SCHEMA_ID) {
            Ok(framed) => framed,
            Err(error) => return bad(facts, Refusal::new(Reason::Framing, error.to_string())),
        };
        if let SchemaRef::Id(id) = framed.schema {
            facts.schema_id = Some(id);
        }
        let found = find(
            &mut self.last_value,
            schemas,
            &self.policy.value_subject,
            framed.schema,
        );
        let schema = match found {
            Ok(schema) => schema,
            Err(Lack::Refused(refusal)) => return bad(facts, refusal),
            Err(Lack::Load(needed)) => return Check::Load(Box::new(needed)),
            Err(Lack::Unavailable(needed)) => {
                let pass =
                    self.policy.fails_open() || self.policy.enforcement == EnforcementMode::Off;
                if !pass {
                    return Check::Unavailable(Box::new(needed));
                }
                facts.unverified = true;
                return Check::Good(facts);
            }
        };
        facts.schema_id = Some(schema.id);
        match schema.validator.validate(framed.datum) {
            Ok(valid) => {
                facts.event_time = valid.event_time.map(Timestamp::from_millis);
                Check::Good(facts)
            }
            Err(fault) => bad(
                facts,
                Refusal::new(Reason::Datum, fault.reason.to_string())
                    .path(fault.path)
                    .at(fault.offset),
            ),
        }
    }

    /// Whether the key passed unverified.
    fn check_key<'a, S, H>(&mut self, schemas: &S, record: &RecordIn<'a, H>) -> Result<bool, Lack>
    where
        S: Schemas + ?Sized,
        H: Iterator<Item = Header<'a>> + Clone,
    {
        let refuse = |refusal| Err(Lack::Refused(refusal));
        let subject = match &self.policy.key {
            KeyRule::Any => return Ok(false),
            KeyRule::Utf8 => {
                return match record.key.map(std::str::from_utf8) {
                    Some(Ok(_)) => Ok(false),
                    Some(Err(error)) => refuse(
                        Refusal::new(Reason::Key, "the key is not UTF-8").at(error.valid_up_to()),
                    ),
                    None => refuse(Refusal::new(
                        Reason::Key,
                        "the key is null; it must be the primary key as UTF-8",
                    )),
                };
            }
            KeyRule::Avro { subject } => subject,
        };
        let Some(key) = record.key else {
            return refuse(Refusal::new(
                Reason::Key,
                format!("the key is null; it must be Avro of subject {subject}"),
            ));
        };
        let in_key = |refusal: Refusal| Refusal {
            path: refusal.path,
            at: refusal.at,
            ..Refusal::new(Reason::Key, format!("key: {}", refusal.detail))
        };
        let framed = framed(key, record.headers.clone(), KEY_SCHEMA_ID).map_err(|error| {
            Lack::Refused(in_key(Refusal::new(Reason::Framing, error.to_string())))
        })?;
        match find(&mut self.last_key, schemas, subject, framed.schema) {
            Ok(schema) => match schema.validator.validate(framed.datum) {
                Ok(_) => Ok(false),
                Err(fault) => refuse(in_key(
                    Refusal::new(Reason::Datum, fault.to_string()).at(fault.offset),
                )),
            },
            Err(Lack::Refused(refusal)) => refuse(in_key(refusal)),
            Err(Lack::Unavailable(_)) if self.policy.fails_open() => Ok(true),
            Err(lack) => Err(lack),
        }
    }
}

fn bad(facts: Facts, refusal: Refusal) -> Check {
    Check::Bad(facts, Box::new(refusal))
}

#[inline]
fn find<'l, S: Schemas + ?Sized>(
    last: &'l mut Option<(SchemaRef, Arc<CompiledSchema>)>,
    schemas: &S,
    subject: &str,
    schema: SchemaRef,
) -> Result<&'l CompiledSchema, Lack> {
    if last.as_ref().is_none_or(|(known, _)| *known != schema) {
        *last = Some((schema, look_up(schemas, subject, schema)?));
    }
    match last {
        Some((_, found)) => Ok(found),
        None => Err(Lack::Load(Needed {
            schema,
            subject: subject.to_owned(),
        })),
    }
}

#[cold]
fn look_up<S: Schemas + ?Sized>(
    schemas: &S,
    subject: &str,
    schema: SchemaRef,
) -> Result<Arc<CompiledSchema>, Lack> {
    let needed = || Needed {
        schema,
        subject: subject.to_owned(),
    };
    let refused = |reason, said| Lack::Refused(Refusal::new(reason, said));
    Err(match schemas.look_up(subject, schema) {
        SchemaLookup::Known(known) => return Ok(known),
        SchemaLookup::NotOfSubject => refused(
            Reason::ForeignSchema,
            format!("schema {schema} is not one of subject {subject}"),
        ),
        SchemaLookup::Unknown => refused(
            Reason::UnknownSchema,
            format!("the registry has no schema {schema}"),
        ),
        SchemaLookup::Unusable(why) => refused(
            Reason::UnusableSchema,
            format!(
                "schema {schema} can't be used: {}",
                why.get(..why.floor_char_boundary(TEXT_MAX))
                    .unwrap_or_default()
            ),
        ),
        SchemaLookup::NotLoaded => Lack::Load(needed()),
        SchemaLookup::Unavailable => Lack::Unavailable(needed()),
    })
}

#[cfg(test)]
mod tests;
