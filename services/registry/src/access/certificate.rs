//! The principal in a client's certificate. That it is valid and from a trusted authority has been
//! checked by TLS.

use meshwork_model::mesh::audit::Authentication;

use super::config::CertificateName;
use super::principal::Principal;

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
    let subject = meshwork_tls::distinguished_name(der).ok_or(CertificateError::Unreadable)?;
    let text = match name {
        CertificateName::DistinguishedName => subject,
        CertificateName::CommonName => {
            meshwork_tls::common_name(der).ok_or(CertificateError::CommonName)?
        }
    };
    Principal::named(&text, Authentication::Certificate).ok_or(CertificateError::Name)
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
