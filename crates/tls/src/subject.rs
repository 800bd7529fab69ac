//! Who a certificate is of. That it is valid and from a trusted authority TLS has checked.

use x509_cert::Certificate;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::der::Decode as _;
use x509_cert::der::asn1::{
    Ia5StringRef, ObjectIdentifier, PrintableStringRef, TeletexStringRef, Utf8StringRef,
};
use x509_cert::name::RelativeDistinguishedName;

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// The subject of a certificate in DER, as RFC 4514 writes it: `CN=ops,O=Example`. `None`: it can't
/// be read.
#[must_use]
pub fn distinguished_name(der: &[u8]) -> Option<String> {
    let certificate = Certificate::from_der(der).ok()?;
    Some(certificate.tbs_certificate().subject().to_string())
}

/// The one common name of a certificate's subject. `None`: it can't be read, or there is none, or
/// there are several.
#[must_use]
pub fn common_name(der: &[u8]) -> Option<String> {
    let certificate = Certificate::from_der(der).ok()?;
    let subject = certificate.tbs_certificate().subject();
    let mut names = subject
        .iter_rdn()
        .flat_map(RelativeDistinguishedName::iter)
        .filter(|attribute| attribute.oid == COMMON_NAME);
    match (names.next().and_then(text), names.next()) {
        (Some(text), None) => Some(text),
        _ => None,
    }
}

fn text(attribute: &AttributeTypeAndValue) -> Option<String> {
    let value = &attribute.value;
    let text = Utf8StringRef::try_from(value)
        .map(|text| text.as_str().to_owned())
        .or_else(|_| PrintableStringRef::try_from(value).map(|text| text.as_str().to_owned()))
        .or_else(|_| Ia5StringRef::try_from(value).map(|text| text.as_str().to_owned()))
        .or_else(|_| TeletexStringRef::try_from(value).map(|text| text.as_str().to_owned()));
    text.ok()
}
