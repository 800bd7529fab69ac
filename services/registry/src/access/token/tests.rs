use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::*;

#[path = "../../../tests/registry/signer.rs"]
mod signer;

use signer::Signer;

const NOW: i64 = 1_700_000_000;

fn wanted() -> BearerConfig {
    serde_json::from_value(json!({
        "issuer": "https://idp.example",
        "audiences": ["registry", "mesh"],
        "leeway": "30s",
        "keys_file": "unused",
    }))
    .unwrap()
}

fn claims() -> Value {
    json!({
        "iss": "https://idp.example",
        "aud": "registry",
        "sub": "ann",
        "exp": NOW + 300,
        "nbf": NOW - 300,
    })
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

fn keys(all: &[Value]) -> Keys {
    Keys::parse(json!({ "keys": all }).to_string().as_bytes()).unwrap()
}

fn checked(token: &str, keys: &Keys) -> Result<String, TokenError> {
    check(token, keys, &wanted(), Timestamp::from_millis(NOW * 1_000))
        .map(|verdict| verdict.principal.name().to_owned())
}

#[test]
fn a_token_counts_if_its_claims_are_right() {
    use TokenError as E;
    for signer in [Signer::rs256(), Signer::es256()] {
        let keys = keys(&[signer.jwk("k1")]);
        for (claims, verdict) in [
            (claims(), Ok("ann".to_owned())),
            (with("aud", json!(["other", "mesh"])), Ok("ann".to_owned())),
            (without("nbf"), Ok("ann".to_owned())),
            (with("exp", json!(1_700_000_300.5)), Ok("ann".to_owned())),
            // Within the leeway, and just beyond it.
            (with("exp", json!(NOW - 29)), Ok("ann".to_owned())),
            (with("exp", json!(NOW - 30)), Err(E::Ended)),
            (with("nbf", json!(NOW + 30)), Ok("ann".to_owned())),
            (with("nbf", json!(NOW + 31)), Err(E::NotYet)),
            (without("exp"), Err(E::Ended)),
            (with("exp", json!("never")), Err(E::Ended)),
            (with("exp", json!(1e300)), Err(E::Ended)),
            (with("exp", json!(i64::MIN)), Err(E::Ended)),
            (with("nbf", json!(null)), Err(E::NotYet)),
            (without("iss"), Err(E::Issuer)),
            (with("iss", json!("https://idp.example/")), Err(E::Issuer)),
            (with("iss", json!(["https://idp.example"])), Err(E::Issuer)),
            (without("aud"), Err(E::Audience)),
            (with("aud", json!("")), Err(E::Audience)),
            (with("aud", json!([])), Err(E::Audience)),
            (with("aud", json!("registry2")), Err(E::Audience)),
            (without("sub"), Err(E::Principal)),
            (with("sub", json!("")), Err(E::Principal)),
            (with("sub", json!(7)), Err(E::Principal)),
            (with("sub", json!("anonymous")), Err(E::Principal)),
            (with("sub", json!("*")), Err(E::Principal)),
        ] {
            assert_eq!(
                checked(&signer.token("k1", &claims), &keys),
                verdict,
                "{claims}"
            );
        }
    }
}

#[test]
fn it_is_believed_until_its_end_and_the_leeway() {
    let signer = Signer::es256();
    let keys = keys(&[signer.jwk("k1")]);
    let now = Timestamp::from_millis(NOW * 1_000);
    let verdict = check(&signer.token("k1", &claims()), &keys, &wanted(), now).unwrap();
    assert_eq!(verdict.until, now.plus_millis(330_000));
}

#[test]
fn only_a_known_key_signs_and_only_as_its_kind_does() {
    use TokenError as E;
    let rsa = Signer::rs256();
    let ec = Signer::es256();
    let keys = keys(&[rsa.jwk("rsa"), ec.jwk("ec")]);
    let header = |algorithm: &str, id: &str| json!({"alg": algorithm, "kid": id});
    assert_eq!(
        checked(&rsa.token("rsa", &claims()), &keys),
        Ok("ann".to_owned())
    );
    // Without an id, the keys of its kind are tried.
    assert_eq!(
        checked(&ec.sign(&json!({"alg": "ES256"}), &claims()), &keys),
        Ok("ann".to_owned())
    );
    assert_eq!(
        checked(&rsa.token("new", &claims()), &keys),
        Err(E::UnknownKey)
    );
    assert_eq!(
        checked(&ec.sign(&header("ES256", "rsa"), &claims()), &keys),
        Err(E::UnknownKey)
    );
    assert_eq!(
        checked(&rsa.sign(&header("ES256", "ec"), &claims()), &keys),
        Err(E::Signature)
    );
    assert_eq!(
        checked(&Signer::es256().token("ec", &claims()), &keys),
        Err(E::Signature)
    );
    assert_eq!(
        checked(&rsa.sign(&header("RS512", "rsa"), &claims()), &keys),
        Err(E::Signature)
    );
    // Another body under a right signature.
    let token = rsa.token("rsa", &claims());
    let parts: Vec<&str> = token.split('.').collect();
    let forged = URL_SAFE_NO_PAD.encode(with("sub", json!("root")).to_string());
    assert_eq!(
        checked(&format!("{}.{forged}.{}", parts[0], parts[2]), &keys),
        Err(E::Signature)
    );
}

#[test]
fn what_is_not_signed_by_a_private_key_is_refused() {
    use TokenError as E;
    let rsa = Signer::rs256();
    let published = rsa.jwk("rsa");
    let keys = keys(std::slice::from_ref(&published));
    let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    for algorithm in ["none", "None", "NONE", "", "XX256"] {
        let header = json!({"alg": algorithm, "kid": "rsa"});
        let token = format!("{}.{}.", encoded(&header), encoded(&claims()));
        assert_eq!(checked(&token, &keys), Err(E::Algorithm), "{algorithm}");
    }
    // The public key taken as a secret, in each form that it is published in.
    let modulus = URL_SAFE_NO_PAD
        .decode(published["n"].as_str().unwrap())
        .unwrap();
    for secret in [modulus.as_slice(), published.to_string().as_bytes()] {
        let header = json!({"alg": "HS256", "kid": "rsa"});
        let message = format!("{}.{}", encoded(&header), encoded(&claims()));
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let tag = hmac::sign(&key, message.as_bytes());
        let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()));
        assert_eq!(checked(&token, &keys), Err(E::Algorithm));
    }
    for token in [
        "",
        ".",
        "..",
        "...",
        "a.b",
        "a.b.c",
        "Ä.Ö.Ü",
        &"x".repeat(MAX_TOKEN + 1),
    ] {
        assert!(checked(token, &keys).is_err(), "{token}");
    }
    let critical = json!({"alg": "RS256", "kid": "rsa", "crit": ["b64"], "b64": false});
    assert_eq!(
        checked(&rsa.sign(&critical, &claims()), &keys),
        Err(E::Malformed)
    );
}

#[test]
fn keys_of_no_use_are_left_out_of_a_set() {
    let rsa = Signer::rs256().jwk("rsa");
    let ec = Signer::es256().jwk("ec");
    let changed = |name: &str, value: Value| {
        let mut key = rsa.clone();
        key[name] = value;
        key
    };
    let useless = [
        json!({"kty": "oct", "kid": "s", "k": "c2VjcmV0"}),
        json!({"kty": "oct", "kid": "s", "k": "c2VjcmV0", "alg": "HS256"}),
        changed("use", json!("enc")),
        changed("key_ops", json!(["encrypt"])),
        changed("alg", json!("HS256")),
        changed("alg", json!("RSA-OAEP")),
        changed("n", json!(URL_SAFE_NO_PAD.encode([0xff; 128]))),
        changed("n", json!("!")),
        json!({"kty": "EC", "crv": "P-521", "kid": "x", "x": "AA", "y": "AA"}),
        json!({"kty": "future"}),
        json!(7),
    ];
    for key in &useless {
        let alone = Keys::parse(json!({ "keys": [key] }).to_string().as_bytes());
        assert!(alone.is_err(), "{key}");
    }
    let mut all = useless.to_vec();
    all.extend([rsa, ec]);
    assert_eq!(keys(&all).len(), 2);
    let many = vec![Signer::es256().jwk("ec"); 65];
    for text in [
        "".to_owned(),
        "{}".to_owned(),
        "[]".to_owned(),
        r#"{"keys":[]}"#.to_owned(),
        json!({ "keys": many }).to_string(),
    ] {
        assert!(Keys::parse(text.as_bytes()).is_err(), "{text:.40}");
    }
}
