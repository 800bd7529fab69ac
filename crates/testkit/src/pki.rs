//! Certificates.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair,
};

use crate::wait::unique;

/// An authority, and the folder that its certificates are in.
#[derive(Debug)]
pub struct Pki {
    dir: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    ca: String,
}

/// A certificate and its key, each a file in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Pki {
    /// A new authority.
    ///
    /// # Panics
    /// If it can't be made, or `dir` can't be written to.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name = subject(&[(DnType::CommonName, &unique("authority"))]);
        let key = sure(KeyPair::generate());
        let ca = sure(params.self_signed(&key)).pem();
        sure(std::fs::create_dir_all(dir));
        let pki = Self {
            dir: dir.to_owned(),
            issuer: Issuer::new(params, key),
            ca,
        };
        sure(std::fs::write(pki.ca_file(), &pki.ca));
        pki
    }

    /// The authority's own certificate.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.dir.join("ca.pem")
    }

    /// A server's, for these hosts: names or addresses.
    ///
    /// # Panics
    /// If it can't be made or written.
    #[must_use]
    pub fn server(&self, hosts: &[&str]) -> Pair {
        let mut params = for_hosts(hosts);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(&params)
    }

    /// A server's, for these hosts, that is a client of others like it: its subject is `CN=<name>`.
    ///
    /// # Panics
    /// If it can't be made or written.
    #[must_use]
    pub fn peer(&self, name: &str, hosts: &[&str]) -> Pair {
        let mut params = for_hosts(hosts);
        params.distinguished_name = subject(&[(DnType::CommonName, name)]);
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        self.issue(&params)
    }

    /// A client's, whose subject is `CN=<name>,O=Acme`.
    ///
    /// # Panics
    /// If it can't be made or written.
    #[must_use]
    pub fn client(&self, name: &str) -> Pair {
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(&[
            (DnType::OrganizationName, "Acme"),
            (DnType::CommonName, name),
        ]);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(&params)
    }

    fn issue(&self, params: &CertificateParams) -> Pair {
        let key = sure(KeyPair::generate());
        let certificate = sure(params.signed_by(&key, &self.issuer));
        let name = unique("issued");
        let pair = Pair {
            certificate: self.dir.join(format!("{name}.pem")),
            key: self.dir.join(format!("{name}.key")),
        };
        sure(std::fs::write(&pair.certificate, certificate.pem()));
        sure(std::fs::write(&pair.key, key.serialize_pem()));
        pair
    }
}

impl Pair {
    /// Takes the place of `other`, whose files are replaced whole, as those who rotate certificates
    /// do: first the key, then the certificate.
    ///
    /// # Panics
    /// If they can't be.
    pub fn replace(&self, other: &Self) {
        for (new, old) in [
            (&self.key, &other.key),
            (&self.certificate, &other.certificate),
        ] {
            let beside = old.with_extension("new");
            sure(std::fs::copy(new, &beside));
            sure(std::fs::rename(&beside, old));
        }
    }

    /// Key and certificate in one file, as a broker's key store in PEM is.
    ///
    /// # Panics
    /// If it can't be written.
    #[must_use]
    pub fn key_store(&self) -> PathBuf {
        let path = self.key.with_extension("store.pem");
        let mut both = sure(std::fs::read(&self.key));
        both.extend(sure(std::fs::read(&self.certificate)));
        sure(std::fs::write(&path, both));
        path
    }
}

fn for_hosts(hosts: &[&str]) -> CertificateParams {
    let hosts: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
    sure(CertificateParams::new(hosts))
}

fn subject(parts: &[(DnType, &str)]) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    for (kind, value) in parts {
        name.push(kind.clone(), *value);
    }
    name
}

#[track_caller]
fn sure<T, E: std::fmt::Display>(result: Result<T, E>) -> T {
    match result {
        Ok(it) => it,
        Err(e) => panic!("no certificates for tests: {e}"),
    }
}
