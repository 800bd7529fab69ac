//! Names and numbers as types: what is parsed once at the edge is trusted afterwards.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::topic::QUARANTINE_SUFFIX;

/// A name that doesn't fit the mesh's rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Not lower-case letters, digits and dashes, or of the wrong length.
    #[error(
        "{what} `{text}` must be 1 to 100 lower-case letters, digits and dashes, starting with a letter"
    )]
    Word {
        /// Which name.
        what: &'static str,
        /// As given.
        text: String,
    },
    /// Not of the form that a name of several parts has.
    #[error("{what} `{text}` must have the form {form}")]
    Form {
        /// Which name.
        what: &'static str,
        /// As given.
        text: String,
        /// The form it must have.
        form: &'static str,
    },
    /// A schema id out of range.
    #[error("schema id {0} is not within 1 to 2147483647")]
    SchemaId(i64),
}

fn word(what: &'static str, text: &str) -> Result<(), NameError> {
    let mut bytes = text.bytes();
    let ok = text.len() <= 100
        && bytes.next().is_some_and(|b| b.is_ascii_lowercase())
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if ok {
        Ok(())
    } else {
        Err(NameError::Word {
            what,
            text: text.to_owned(),
        })
    }
}

/// The major version of a product; one topic each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProductVersion(pub u32);

impl fmt::Display for ProductVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

/// `<domain>.<product>`: a data product, whatever its version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProductName {
    domain: String,
    product: String,
}

impl ProductName {
    /// From its two parts.
    ///
    /// # Errors
    /// A part that is not a word of the mesh ([`NameError::Word`]).
    pub fn new(domain: &str, product: &str) -> Result<Self, NameError> {
        word("domain", domain)?;
        word("product", product)?;
        Ok(Self {
            domain: domain.to_owned(),
            product: product.to_owned(),
        })
    }

    /// The owning domain.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The name within the domain.
    #[must_use]
    pub fn product(&self) -> &str {
        &self.product
    }

    /// The URN of one version.
    #[must_use]
    pub fn version(&self, version: ProductVersion) -> Urn {
        Urn {
            name: self.clone(),
            version,
        }
    }
}

impl fmt::Display for ProductName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.domain, self.product)
    }
}

impl FromStr for ProductName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (domain, product) = text.split_once('.').ok_or_else(|| NameError::Form {
            what: "product",
            text: text.to_owned(),
            form: "<domain>.<product>",
        })?;
        Self::new(domain, product)
    }
}

/// `urn:meshwork:<domain>:<product>:v<major>`: one product version, permanently.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Urn {
    name: ProductName,
    version: ProductVersion,
}

impl Urn {
    /// The product, whatever its version.
    #[must_use]
    pub fn name(&self) -> &ProductName {
        &self.name
    }

    /// The product version.
    #[must_use]
    pub fn version(&self) -> ProductVersion {
        self.version
    }

    /// Its topic, `<domain>.<product>.v<major>`.
    #[must_use]
    pub fn topic(&self) -> String {
        format!("{}.{}", self.name, self.version)
    }

    /// Where refused records go, `<topic>.quarantine`.
    #[must_use]
    pub fn quarantine_topic(&self) -> String {
        format!("{}{QUARANTINE_SUFFIX}", self.topic())
    }

    /// `<topic>-value` (`TopicNameStrategy`).
    #[must_use]
    pub fn value_subject(&self) -> String {
        format!("{}-value", self.topic())
    }

    /// `<topic>-key` (`TopicNameStrategy`).
    #[must_use]
    pub fn key_subject(&self) -> String {
        format!("{}-key", self.topic())
    }

    /// The URN whose topic this is, if it has the form of a product's topic.
    #[must_use]
    pub fn from_topic(topic: &str) -> Option<Self> {
        let (name, version) = topic.rsplit_once(".v")?;
        let version = parse_major(version)?;
        Some(Self {
            name: name.parse().ok()?,
            version,
        })
    }
}

fn parse_major(text: &str) -> Option<ProductVersion> {
    let plain = !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_digit())
        && (text == "0" || !text.starts_with('0'));
    plain
        .then(|| text.parse().ok().map(ProductVersion))
        .flatten()
}

impl fmt::Display for Urn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "urn:meshwork:{}:{}:{}",
            self.name.domain, self.name.product, self.version
        )
    }
}

impl FromStr for Urn {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let form = || NameError::Form {
            what: "URN",
            text: text.to_owned(),
            form: "urn:meshwork:<domain>:<product>:v<major>",
        };
        let rest = text.strip_prefix("urn:meshwork:").ok_or_else(form)?;
        let mut parts = rest.split(':');
        let (Some(domain), Some(product), Some(version), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(form());
        };
        let version = version
            .strip_prefix('v')
            .and_then(parse_major)
            .ok_or_else(form)?;
        Ok(ProductName::new(domain, product)?.version(version))
    }
}

impl Serialize for Urn {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Urn {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A schema's id in the registry: 1 to 2^31 − 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct SchemaId(u32);

impl SchemaId {
    /// Checked.
    ///
    /// # Errors
    /// Out of range ([`NameError::SchemaId`]).
    pub fn new(id: i64) -> Result<Self, NameError> {
        u32::try_from(id)
            .ok()
            .filter(|id| (1..=0x7fff_ffff).contains(id))
            .map(Self)
            .ok_or(NameError::SchemaId(id))
    }

    /// As a number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// As Avro's and Java's `int`.
    #[must_use]
    pub const fn as_i32(self) -> i32 {
        self.0.cast_signed()
    }
}

impl TryFrom<i64> for SchemaId {
    type Error = NameError;

    fn try_from(id: i64) -> Result<Self, NameError> {
        Self::new(id)
    }
}

impl From<SchemaId> for i64 {
    fn from(id: SchemaId) -> Self {
        i64::from(id.0)
    }
}

impl fmt::Display for SchemaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_urn_and_its_topic_name_each_other() {
        let urn: Urn = "urn:meshwork:operations:departures:v1".parse().unwrap();
        assert_eq!(urn.topic(), "operations.departures.v1");
        assert_eq!(urn.value_subject(), "operations.departures.v1-value");
        assert_eq!(
            urn.quarantine_topic(),
            "operations.departures.v1.quarantine"
        );
        assert_eq!(
            Urn::from_topic("operations.departures.v1"),
            Some(urn.clone())
        );
        assert_eq!(urn.to_string(), "urn:meshwork:operations:departures:v1");
        for other in [
            "operations.departures",
            "mesh.catalog",
            "a.b.v01",
            "A.b.v1",
            "a.b.v1.quarantine",
        ] {
            assert_eq!(Urn::from_topic(other), None, "{other}");
        }
    }

    #[test]
    fn bad_names_say_what_form_they_need() {
        let err = "urn:meshwork:operations:v1".parse::<Urn>().unwrap_err();
        assert!(
            err.to_string()
                .contains("urn:meshwork:<domain>:<product>:v<major>"),
            "{err}"
        );
        assert!("Ops.x".parse::<ProductName>().is_err());
        assert!(SchemaId::new(0).is_err());
        assert!(SchemaId::new(1 << 31).is_err());
        assert_eq!(SchemaId::new(7).unwrap().get(), 7);
    }
}
