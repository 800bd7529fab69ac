//! Certificates from files, as both ends of a connection see them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may fail loudly"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use meshwork_tls::{
    ClientCertificates, FileError, Look, Named, Reloaded, client_config, common_name,
    distinguished_name, server_config,
};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};

/// An authority, and the folder that its certificates are in.
struct Authority {
    dir: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
    certificate: Named,
}

/// A certificate and its key.
#[derive(Clone)]
struct Pair {
    certificate: Named,
    key: Named,
}

fn named(file: PathBuf, key: &'static str) -> Named {
    Named { file, key }
}

impl Authority {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let file = dir.path().join("authority.pem");
        std::fs::write(&file, params.self_signed(&key).unwrap().pem()).unwrap();
        Self {
            certificate: named(file, "the.authorities"),
            issuer: Issuer::new(params, key),
            dir,
        }
    }

    /// Of `localhost`, and of the client `ann` of Acme.
    fn issue(&self, name: &str) -> Pair {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.distinguished_name = DistinguishedName::new();
        for (kind, value) in [
            (DnType::OrganizationName, "Acme"),
            (DnType::CommonName, "ann"),
        ] {
            params.distinguished_name.push(kind, value);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let file = |kind: &str| self.dir.path().join(format!("{name}.{kind}"));
        std::fs::write(file("pem"), certificate.pem()).unwrap();
        std::fs::write(file("key"), key.serialize_pem()).unwrap();
        Pair {
            certificate: named(file("pem"), "the.certificate"),
            key: named(file("key"), "the.key"),
        }
    }

    fn trusts(&self, own: Option<&Pair>) -> Result<Arc<ClientConfig>, FileError> {
        let trusted = self.certificate.read()?;
        let own = match own {
            None => None,
            Some(own) => Some((own.certificate.read()?, own.key.read()?, own)),
        };
        let own = own.as_ref().map(|(certificate, key, own)| {
            (
                (&own.certificate, &**certificate),
                (&own.key, key.as_slice()),
            )
        });
        client_config((&self.certificate, &trusted), own).map(Arc::new)
    }
}

/// Puts a file in the place of another, whole.
fn replace(new: &Path, old: &Path) {
    let beside = old.with_extension("new");
    std::fs::copy(new, &beside).unwrap();
    std::fs::rename(beside, old).unwrap();
}

fn serves(own: &Pair, clients: ClientCertificates<'_>) -> Result<Arc<ServerConfig>, FileError> {
    let (certificate, key) = (own.certificate.read()?, own.key.read()?);
    let (certificate, key) = ((&own.certificate, &*certificate), (&own.key, &*key));
    server_config(certificate, key, clients).map(Arc::new)
}

/// What each end was shown by the other.
#[derive(Debug)]
struct Shown {
    by_server: CertificateDer<'static>,
    by_client: Option<CertificateDer<'static>>,
}

/// A handshake without sockets.
fn meet(server: &Arc<ServerConfig>, client: &Arc<ClientConfig>) -> Result<Shown, rustls::Error> {
    let name = ServerName::try_from("localhost").unwrap();
    let mut server: Connection = ServerConnection::new(Arc::clone(server))?.into();
    let mut client: Connection = ClientConnection::new(Arc::clone(client), name)?.into();
    while client.wants_write() || server.wants_write() {
        pass(&mut client, &mut server)?;
        pass(&mut server, &mut client)?;
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    let first = |of: &Connection| of.peer_certificates()?.first().cloned();
    Ok(Shown {
        by_server: first(&client).unwrap().into_owned(),
        by_client: first(&server).map(CertificateDer::into_owned),
    })
}

/// What one end has written is read by the other.
fn pass(from: &mut Connection, to: &mut Connection) -> Result<(), rustls::Error> {
    let mut bytes = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut bytes).unwrap();
    }
    let mut left = bytes.as_slice();
    while !left.is_empty() {
        to.read_tls(&mut left).unwrap();
        to.process_new_packets()?;
    }
    Ok(())
}

#[test]
fn a_renewed_certificate_is_shown_from_the_next_connection_on() {
    let authority = Authority::new();
    let client = authority.trusts(None).unwrap();
    let own = authority.issue("own");
    let files = vec![own.certificate.clone(), own.key.clone()];
    let pair = own.clone();
    let reloaded = Reloaded::open(files, move |bytes| {
        let [certificate, key] = bytes else {
            return Err(pair.key.wrong("two files", "give two"));
        };
        let (certificate, key) = ((&pair.certificate, &**certificate), (&pair.key, &**key));
        server_config(certificate, key, ClientCertificates::Unasked)
    })
    .unwrap();
    let shown = || meet(&reloaded.current(), &client).unwrap().by_server;
    let first = shown();
    assert_eq!(reloaded.look(), Look::Same);

    // The certificate is there before its key: what goes together is used until both are.
    let new = authority.issue("new");
    replace(&new.certificate.file, &own.certificate.file);
    assert_eq!(reloaded.look(), Look::Unusable);
    assert_eq!((shown(), reloaded.generation()), (first.clone(), 0));
    replace(&new.key.file, &own.key.file);
    assert_eq!(reloaded.look(), Look::New);
    assert_ne!(shown(), first);
    assert_eq!(reloaded.generation(), 1);

    // Of another authority, which this client does not trust.
    let other = Authority::new();
    let astray = other.issue("own");
    replace(&astray.certificate.file, &own.certificate.file);
    replace(&astray.key.file, &own.key.file);
    assert_eq!(reloaded.look(), Look::New);
    assert!(matches!(
        meet(&reloaded.current(), &client),
        Err(rustls::Error::InvalidCertificate(_))
    ));
    let trusting = other.trusts(None).unwrap();
    assert!(meet(&reloaded.current(), &trusting).is_ok());
}

#[test]
fn a_key_of_another_certificate_is_refused_by_both_ends() {
    let authority = Authority::new();
    let (own, other) = (authority.issue("own"), authority.issue("other"));
    let mixed = Pair {
        key: other.key,
        ..own
    };
    let errors = [
        serves(&mixed, ClientCertificates::Unasked).err(),
        authority.trusts(Some(&mixed)).err(),
    ];
    for error in errors {
        let error = error.expect("refused");
        assert!(matches!(&error, FileError::Pair { .. }), "{error:?}");
        let text = error.to_string();
        for file in [&mixed.certificate.file, &mixed.key.file] {
            assert!(text.contains(file.to_str().unwrap()), "{text}");
        }
    }
}

#[test]
fn who_a_client_is_stands_in_its_certificate() {
    let authority = Authority::new();
    let (server, client) = (authority.issue("server"), authority.issue("client"));
    let trusted = authority.certificate.read().unwrap();
    let [unasked, optional, required] = [
        ClientCertificates::Unasked,
        ClientCertificates::Optional(&authority.certificate, &trusted),
        ClientCertificates::Required(&authority.certificate, &trusted),
    ]
    .map(|clients| serves(&server, clients).unwrap());
    let nobody = authority.trusts(None).unwrap();
    let ann = authority.trusts(Some(&client)).unwrap();
    // Trusts the server's authority, and shows a certificate of another one.
    let elsewhere = Authority::new();
    let stranger = authority.trusts(Some(&elsewhere.issue("client"))).unwrap();

    assert!(meet(&unasked, &ann).unwrap().by_client.is_none());
    for asks in [&optional, &required] {
        let der = meet(asks, &ann).unwrap().by_client.unwrap();
        assert_eq!(common_name(&der).as_deref(), Some("ann"));
        let name = distinguished_name(&der);
        assert_eq!(name.as_deref(), Some("CN=ann,O=Acme"));
        assert!(meet(asks, &stranger).is_err());
    }
    assert!(meet(&optional, &nobody).unwrap().by_client.is_none());
    assert!(meet(&required, &nobody).is_err());
}

#[test]
fn what_is_in_the_wrong_place_is_said_with_its_place() {
    let authority = Authority::new();
    let own = authority.issue("own");
    let swapped = Pair {
        certificate: named(own.key.file.clone(), "the.certificate"),
        key: named(own.certificate.file.clone(), "the.key"),
    };
    let text = |own: &Pair| {
        let error = serves(own, ClientCertificates::Unasked).err().unwrap();
        error.to_string()
    };
    let said = text(&swapped);
    assert!(
        said.contains("the.certificate): there is no certificate"),
        "{said}"
    );
    let said = text(&Pair {
        certificate: own.certificate.clone(),
        ..swapped
    });
    assert!(said.contains("the.key): no private key"), "{said}");

    let long = std::fs::read_to_string(&own.certificate.file).unwrap();
    std::fs::write(&own.certificate.file, long.repeat(17)).unwrap();
    let said = text(&own);
    assert!(
        said.contains("17 certificates") && said.contains("16"),
        "{said}"
    );
}
