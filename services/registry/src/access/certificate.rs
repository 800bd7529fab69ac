//! The principal in a client's certificate. That it is valid and from a trusted authority has been
//! checked by TLS.

use x509_cert::Certificate;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::der::Decode as _;
use x509_cert::der::asn1::{
    Ia5StringRef, ObjectIdentifier, PrintableStringRef, TeletexStringRef, Utf8StringRef,
};
use x509_cert::name::RelativeDistinguishedName;

use meshwork_model::mesh::audit::Authentication;

use super::config::CertificateName;
use super::principal::Principal;

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// Why a certificate names nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CertificateError {
    #[error("the certificate can't be read")]
    Unreadable,
    #[error("the certificate's subject has none or several common names")]
    CommonName,
    #[error("the certificate's subject can't be the name of a principal")]
    Name,
}

/// Who a certificate is of.
///
/// # Errors
/// Its subject is nobody's name.
pub(crate) fn principal(der: &[u8], name: CertificateName) -> Result<Principal, CertificateError> {
    let certificate = Certificate::from_der(der).map_err(|_| CertificateError::Unreadable)?;
    let subject = certificate.tbs_certificate().subject();
    let text = match name {
        CertificateName::DistinguishedName => subject.to_string(),
        CertificateName::CommonName => {
            let mut names = subject
                .iter_rdn()
                .flat_map(RelativeDistinguishedName::iter)
                .filter(|attribute| attribute.oid == COMMON_NAME);
            match (names.next().and_then(text), names.next()) {
                (Some(text), None) => text,
                _ => return Err(CertificateError::CommonName),
            }
        }
    };
    Principal::named(&text, Authentication::Certificate).ok_or(CertificateError::Name)
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

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

    use super::*;

    fn certificate(names: &[(DnType, &str)]) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        for (kind, value) in names {
            params.distinguished_name.push(kind.clone(), *value);
        }
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn a_subject_names_its_principal_as_configured() {
        let der = certificate(&[
            (DnType::OrganizationName, "Acme, Inc"),
            (DnType::OrganizationalUnitName, "Data"),
            (DnType::CommonName, "ann"),
        ]);
        let common = principal(&der, CertificateName::CommonName).unwrap();
        assert_eq!(common.name(), "ann");
        assert_eq!(common.how(), Authentication::Certificate);
        let all = principal(&der, CertificateName::DistinguishedName).unwrap();
        assert_eq!(all.name(), r"CN=ann,OU=Data,O=Acme\, Inc");
    }

    #[test]
    fn a_subject_that_is_nobodys_name_is_refused() {
        let none = certificate(&[(DnType::OrganizationName, "Acme")]);
        assert_eq!(
            principal(&none, CertificateName::CommonName),
            Err(CertificateError::CommonName)
        );
        let empty = certificate(&[]);
        assert_eq!(
            principal(&empty, CertificateName::DistinguishedName),
            Err(CertificateError::Name)
        );
        for name in ["anonymous", "*", "a\nb"] {
            let der = certificate(&[(DnType::CommonName, name)]);
            assert_eq!(
                principal(&der, CertificateName::CommonName),
                Err(CertificateError::Name),
                "{name:?}"
            );
        }
        assert_eq!(
            principal(b"x", CertificateName::CommonName),
            Err(CertificateError::Unreadable)
        );
    }
}
