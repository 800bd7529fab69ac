//! Headers of a record in quarantine: why it is there, and where it was to go.

use meshwork_model::headers::{
    AT, DETAIL, FORMAT, PATH, PRODUCER, REASON, REMOVED, REMOVED_BEFORE, SEQUENCE, SESSION, SOURCE,
    SOURCE_TIME, VERDICT,
};
use meshwork_wire::Header;

use crate::reason::Refusal;

/// What the value in quarantine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuarantineFormat {
    /// The bytes as they were sent.
    Avro,
    /// The line of input, which fitted nothing.
    Json,
}

impl QuarantineFormat {
    /// The header's value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Avro => "avro",
            Self::Json => "json",
        }
    }
}

/// The headers that quarantine adds to a record. Rare, so that it may own its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantineHeaders {
    all: Vec<(&'static str, String)>,
}

impl QuarantineHeaders {
    /// For a record that was to go to `topic` and `partition` (none: not chosen yet).
    #[must_use]
    pub fn new(
        refusal: &Refusal,
        topic: &str,
        partition: Option<i32>,
        producer: &str,
        format: QuarantineFormat,
    ) -> Self {
        let mut all = vec![
            (REASON, refusal.reason.code().to_owned()),
            (DETAIL, refusal.detail.clone()),
        ];
        if let Some(path) = &refusal.path {
            all.push((PATH, path.clone()));
        }
        if let Some(at) = refusal.at {
            all.push((AT, at.to_string()));
        }
        let source = match partition {
            Some(partition) => format!("{topic}@{partition}"),
            None => topic.to_owned(),
        };
        all.push((SOURCE, source));
        all.push((PRODUCER, producer.to_owned()));
        all.push((FORMAT, format.name().to_owned()));
        Self { all }
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> + Clone {
        self.all.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// The record's own headers, but for those of our names, and ours behind them.
    pub fn after<'a, H>(&'a self, original: H) -> impl Iterator<Item = Header<'a>> + Clone
    where
        H: Iterator<Item = Header<'a>> + Clone,
    {
        // A client's own word for a verdict would decide how batches are numbered.
        const OURS: [&str; 13] = [
            REASON,
            DETAIL,
            PATH,
            AT,
            SOURCE,
            PRODUCER,
            FORMAT,
            SESSION,
            SEQUENCE,
            SOURCE_TIME,
            VERDICT,
            REMOVED_BEFORE,
            REMOVED,
        ];
        original
            .filter(|h| !OURS.iter().any(|name| h.key == name.as_bytes()))
            .chain(self.iter().map(|(name, value)| Header {
                key: name.as_bytes(),
                value: Some(value.as_bytes()),
            }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::Reason;

    #[test]
    fn says_why_and_whereto_and_replaces_what_the_client_claimed() {
        let refusal = Refusal::new(Reason::Datum, "x".repeat(2000))
            .path("/a")
            .at(7);
        let headers =
            QuarantineHeaders::new(&refusal, "a.b.v1", Some(3), "ops", QuarantineFormat::Avro);
        let header = |key: &'static [u8], value: &'static [u8]| Header {
            key,
            value: Some(value),
        };
        let original = [
            header(b"trace", b"1"),
            header(b"mesh-reason", b"none"),
            header(b"mesh-verdict", b"0+1"),
        ];
        let all: Vec<_> = headers
            .after(original.into_iter())
            .map(|h| {
                format!(
                    "{}={}",
                    String::from_utf8_lossy(h.key),
                    String::from_utf8_lossy(h.value.unwrap())
                )
            })
            .collect();
        assert_eq!(
            all,
            [
                "trace=1",
                "mesh-reason=datum",
                &format!("mesh-detail={}", "x".repeat(1024)),
                "mesh-path=/a",
                "mesh-at=7",
                "mesh-source=a.b.v1@3",
                "mesh-producer=ops",
                "mesh-format=avro",
            ]
        );
    }
}
