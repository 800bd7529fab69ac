//! Which schema a value or key says it was written under: Confluent's wire formats v0 (a prefix)
//! and v1 (a header), read as Confluent's own deserializers do: the header first.

use std::fmt;

use meshwork_model::name::SchemaId;
use meshwork_wire::Header;

/// A zero byte and four of the id.
const ID_BYTES: usize = 5;
/// A one byte and sixteen of the GUID.
const GUID_BYTES: usize = 17;

/// A schema, as data name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SchemaRef {
    /// By id: `00` and a big-endian int.
    Id(SchemaId),
    /// By GUID: `01` and sixteen bytes.
    Guid([u8; 16]),
}

impl fmt::Display for SchemaRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "id {id}"),
            Self::Guid(bytes) => {
                f.write_str("GUID ")?;
                f.write_str(&guid_text(bytes))
            }
        }
    }
}

/// A GUID in the registry's form, 8-4-4-4-12.
#[must_use]
pub fn guid_text(bytes: &[u8; 16]) -> String {
    use fmt::Write as _;
    let mut text = String::with_capacity(36);
    for (i, byte) in bytes.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // Writing to a String can't fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// A schema and the bytes that are to decode under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framed<'a> {
    /// Which schema.
    pub schema: SchemaRef,
    /// The bare datum.
    pub datum: &'a [u8],
}

/// Why no schema can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnframedError {
    /// Too few bytes for a frame.
    #[error("{0} bytes are too few for a schema id and a datum")]
    Short(usize),
    /// Not a byte that frames start with.
    #[error(
        "first byte is {0:#04x}: framed data starts with 0x00 and a schema id, or 0x01 and a GUID"
    )]
    Magic(u8),
    /// Not an id that a registry gives.
    #[error("schema id {0} is not within 1 to 2147483647")]
    Id(i32),
    /// The schema header has bytes too many or none.
    #[error("schema header has {0} bytes, not 5 (0x00 and an id) or 17 (0x01 and a GUID)")]
    HeaderLength(usize),
}

/// Finds the schema of `bytes`: in the last header called `name`, else in front of them.
///
/// # Errors
/// See [`UnframedError`].
#[inline]
pub fn framed<'a, H>(bytes: &'a [u8], headers: H, name: &str) -> Result<Framed<'a>, UnframedError>
where
    H: IntoIterator<Item = Header<'a>>,
{
    let mut from_header = None;
    for header in headers {
        if header.key == name.as_bytes() {
            from_header = Some(header.value.unwrap_or_default());
        }
    }
    match from_header {
        None => prefixed(bytes),
        Some(header) => {
            let found = prefixed(header)?;
            if found.datum.is_empty() {
                Ok(Framed {
                    schema: found.schema,
                    datum: bytes,
                })
            } else {
                Err(UnframedError::HeaderLength(header.len()))
            }
        }
    }
}

#[inline]
fn prefixed(bytes: &[u8]) -> Result<Framed<'_>, UnframedError> {
    match bytes.split_first_chunk::<ID_BYTES>() {
        Some(([0, id @ ..], datum)) => {
            let id = i32::from_be_bytes(*id);
            return SchemaId::new(i64::from(id))
                .map(|id| Framed {
                    schema: SchemaRef::Id(id),
                    datum,
                })
                .map_err(|_| UnframedError::Id(id));
        }
        None if matches!(bytes, [] | [0, ..]) => return Err(UnframedError::Short(bytes.len())),
        _ => {}
    }
    match (bytes.split_first_chunk::<GUID_BYTES>(), bytes) {
        (Some(([1, guid @ ..], datum)), _) => Ok(Framed {
            schema: SchemaRef::Guid(*guid),
            datum,
        }),
        (None, [1, ..]) => Err(UnframedError::Short(bytes.len())),
        (_, [other, ..]) => Err(UnframedError::Magic(*other)),
        (_, []) => Err(UnframedError::Short(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meshwork_model::headers::VALUE_SCHEMA_ID;

    fn id(n: i64) -> SchemaRef {
        SchemaRef::Id(SchemaId::new(n).unwrap())
    }

    #[test]
    fn reads_prefixes() {
        let guid: [u8; 16] = std::array::from_fn(|i| u8::try_from(i).unwrap());
        let guid_framed = [&[1][..], &guid, b"x"].concat();
        for (bytes, expected) in [
            (&b"\0\0\0\0\x07datum"[..], Ok((id(7), &b"datum"[..]))),
            (
                &[0, 0x7f, 0xff, 0xff, 0xff],
                Ok((id(i64::from(i32::MAX)), &[][..])),
            ),
            (&guid_framed, Ok((SchemaRef::Guid(guid), &b"x"[..]))),
            (&[], Err(UnframedError::Short(0))),
            (&[0, 0, 0, 1], Err(UnframedError::Short(4))),
            (&[1, 2, 3, 4, 5, 6], Err(UnframedError::Short(6))),
            (&[0, 0, 0, 0, 0, 1], Err(UnframedError::Id(0))),
            (&[0, 0xff, 0xff, 0xff, 0xff, 1], Err(UnframedError::Id(-1))),
            (b"{", Err(UnframedError::Magic(b'{'))),
            (b"{\"a\":1}", Err(UnframedError::Magic(b'{'))),
        ] {
            assert_eq!(
                framed(bytes, [], VALUE_SCHEMA_ID).map(|f| (f.schema, f.datum)),
                expected,
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn the_header_comes_first_and_the_last_of_its_name_counts() {
        let header = |value| Header {
            key: VALUE_SCHEMA_ID.as_bytes(),
            value: Some(value),
        };
        let bare = b"\0\0\0\0\x07datum";
        let found = framed(
            bare,
            [header(b"bad"), header(b"\0\0\0\0\x09")],
            VALUE_SCHEMA_ID,
        );
        assert_eq!(
            found,
            Ok(Framed {
                schema: id(9),
                datum: bare
            })
        );
        assert_eq!(
            framed(bare, [header(b"\0\0\0\0\x09more")], VALUE_SCHEMA_ID),
            Err(UnframedError::HeaderLength(9))
        );
        assert_eq!(
            framed(bare, [header(b"")], VALUE_SCHEMA_ID),
            Err(UnframedError::Short(0))
        );
    }

    #[test]
    fn guids_print_as_the_registry_prints_them() {
        let guid: [u8; 16] = std::array::from_fn(|i| u8::try_from(i * 17).unwrap());
        assert_eq!(guid_text(&guid), "00112233-4455-6677-8899-aabbccddeeff");
    }
}
