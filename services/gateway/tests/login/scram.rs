//! SCRAM: users, and a client that does what librdkafka does not.

use std::num::NonZeroU32;

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kafka_protocol::messages::alter_user_scram_credentials_request::ScramCredentialUpsertion;
use kafka_protocol::messages::{
    AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse, ApiKey,
};
use kafka_protocol::protocol::StrBytes;
use meshwork_testkit::{PASSWORD, secure_kafka, unique};

use crate::entry::{handshake, token};
use crate::raw::Raw;

const ITERATIONS: u32 = 4_096;
const SALT: &[u8] = b"salt of the tests";

fn salted(algorithm: pbkdf2::Algorithm, password: &str, salt: &[u8], iterations: u32) -> Vec<u8> {
    let mut salted = vec![
        0;
        if algorithm == pbkdf2::PBKDF2_HMAC_SHA256 {
            32
        } else {
            64
        }
    ];
    let iterations = NonZeroU32::new(iterations).unwrap();
    pbkdf2::derive(
        algorithm,
        iterations,
        salt,
        password.as_bytes(),
        &mut salted,
    );
    salted
}

/// Makes a user known by SCRAM-SHA-256 and SCRAM-SHA-512.
pub(crate) async fn upsert(user: &str) {
    let servers = secure_kafka().cluster.bootstrap_servers();
    let mut raw = Raw::connect(&servers).await;
    let mechanisms = [pbkdf2::PBKDF2_HMAC_SHA256, pbkdf2::PBKDF2_HMAC_SHA512];
    for (algorithm, mechanism) in mechanisms.into_iter().zip(1..) {
        let upsertion = ScramCredentialUpsertion::default()
            .with_name(StrBytes::from_string(user.to_owned()))
            .with_mechanism(mechanism)
            .with_iterations(i32::try_from(ITERATIONS).unwrap())
            .with_salt(SALT.to_vec().into())
            .with_salted_password(salted(algorithm, PASSWORD, SALT, ITERATIONS).into());
        // The broker takes one of a user's at a time.
        let request = AlterUserScramCredentialsRequest::default().with_upsertions(vec![upsertion]);
        let answer: AlterUserScramCredentialsResponse = raw
            .ask(ApiKey::AlterUserScramCredentials, 0, &request)
            .await
            .unwrap();
        let result = &answer.results[0];
        assert_eq!(result.error_code, 0, "{:?}", result.error_message);
    }
}

/// Logs in with a delegation token (KIP-48). `None`: the broker does not know it.
pub(crate) async fn by_delegation_token(address: &str, id: &str, secret: &str) -> Option<Raw> {
    let mut raw = Raw::connect(address).await;
    assert_eq!(handshake(&mut raw, "SCRAM-SHA-256").await, 0);
    let first = format!("n={id},r={},tokenauth=true", unique("nonce"));
    let answer = token(&mut raw, format!("n,,{first}").into_bytes()).await;
    if answer.error_code != 0 {
        return None;
    }
    let server = String::from_utf8(answer.auth_bytes.to_vec()).unwrap();
    let field = |name: &str| {
        let found = server.split(',').find_map(|part| part.strip_prefix(name));
        found.unwrap().to_owned()
    };
    let salt = STANDARD.decode(field("s=")).unwrap();
    let iterations = field("i=").parse().unwrap();
    let salted = salted(pbkdf2::PBKDF2_HMAC_SHA256, secret, &salt, iterations);
    let last = format!("c=biws,r={}", field("r="));
    let sign = |key: &[u8], text: &[u8]| {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text)
            .as_ref()
            .to_vec()
    };
    let client_key = sign(&salted, b"Client Key");
    let stored_key = digest::digest(&digest::SHA256, &client_key);
    let signature = sign(
        stored_key.as_ref(),
        format!("{first},{server},{last}").as_bytes(),
    );
    let proof: Vec<u8> = client_key
        .iter()
        .zip(signature)
        .map(|(a, b)| a ^ b)
        .collect();
    let proven = format!("{last},p={}", STANDARD.encode(proof));
    let answer = token(&mut raw, proven.into_bytes()).await;
    assert_eq!(answer.error_code, 0, "{:?}", answer.error_message);
    Some(raw)
}
