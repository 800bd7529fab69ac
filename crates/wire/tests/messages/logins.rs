//! SaslHandshake, SaslAuthenticate.

use kafka_protocol::messages::{
    SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};
use meshwork_wire::protocol::sasl::{
    self, AUTHENTICATE_VERSIONS, AuthenticateAnswer, HANDSHAKE_VERSIONS, HandshakeAnswer, Secret,
};
use meshwork_wire::protocol::{ApiKey, sasl_name};

use crate::judge::{
    header, judged, refuses_every_cut, refuses_every_cut_request, request, response,
    survives_every_flip, tagged, text, without_length,
};

#[test]
fn the_mechanism_and_those_that_are_left_out() {
    for version in HANDSHAKE_VERSIONS {
        let theirs = SaslHandshakeRequest::default().with_mechanism(text("SCRAM-SHA-512"));
        let frame = request(ApiKey::SASL_HANDSHAKE, version, &theirs);
        assert_eq!(
            sasl::mechanism(&header(&frame), &frame),
            Ok("SCRAM-SHA-512")
        );
        refuses_every_cut_request(&frame, sasl::mechanism);

        let theirs = SaslHandshakeResponse::default()
            .with_error_code(33)
            .with_mechanisms(["GSSAPI", "PLAIN", "SCRAM-SHA-512"].map(text).to_vec());
        let frame = response(version, &theirs);
        let answer = HandshakeAnswer::read(&frame, version).unwrap();
        assert_eq!(answer.error_code, 33);
        let all = ["GSSAPI", "PLAIN", "SCRAM-SHA-512"];
        assert!(answer.mechanisms().eq(all));
        let cut = sasl::rewrite_handshake(&frame, version, |name| name != "GSSAPI").unwrap();
        let judged: SaslHandshakeResponse = judged(version, &cut);
        assert_eq!(judged.error_code, 33);
        assert_eq!(judged.mechanisms, ["PLAIN", "SCRAM-SHA-512"].map(text));
        let same = sasl::rewrite_handshake(&frame, version, |_| true).unwrap();
        assert_eq!(without_length(&same), frame);
        refuses_every_cut(&frame, |cut| HandshakeAnswer::read(cut, version));
        refuses_every_cut(&frame, |cut| {
            sasl::rewrite_handshake(cut, version, |_| false)
        });
        survives_every_flip(&frame, |flipped| {
            if let Ok(answer) = HandshakeAnswer::read(flipped, version) {
                let kept = sasl::rewrite_handshake(flipped, version, |_| false).unwrap();
                let kept = HandshakeAnswer::read(&kept[4..], version).unwrap();
                assert_eq!(kept.mechanisms().count(), 0);
                assert!(answer.mechanisms().count() <= flipped.len());
            }
        });
    }
    assert!(HandshakeAnswer::read(&[0; 32], 2).is_err());
}

#[test]
fn tokens_are_read_and_never_shown() {
    for version in AUTHENTICATE_VERSIONS {
        let token = b"\0alice\0open sesame";
        let theirs =
            tagged!(SaslAuthenticateRequest::default().with_auth_bytes(token.to_vec().into()));
        let frame = request(ApiKey::SASL_AUTHENTICATE, version, &theirs);
        let read = sasl::auth_bytes(&header(&frame), &frame).unwrap();
        assert_eq!(read, Secret::new(token));
        assert_eq!(sasl_name::plain(read.reveal()), Some("alice"));
        assert_eq!(format!("{read:?}"), "(18 secret bytes)");
        refuses_every_cut_request(&frame, sasl::auth_bytes);

        let theirs = tagged!(
            SaslAuthenticateResponse::default()
                .with_error_code(58)
                .with_error_message(Some(text("no")))
                .with_auth_bytes(b"v=abcdef".to_vec().into())
                .with_session_lifetime_ms(3_600_000)
        );
        let frame = response(version, &theirs);
        let answer = AuthenticateAnswer::read(&frame, version).unwrap();
        assert_eq!(
            answer,
            AuthenticateAnswer {
                error_code: 58,
                error_message: Some("no"),
                auth_bytes: Secret::new(b"v=abcdef"),
            }
        );
        assert!(!format!("{answer:?}").contains("abcdef"));
        refuses_every_cut(&frame, |cut| AuthenticateAnswer::read(cut, version));

        let frame = response(version, &SaslAuthenticateResponse::default());
        let answer = AuthenticateAnswer::read(&frame, version).unwrap();
        assert_eq!(answer.auth_bytes, Secret::new(b""));
    }
    assert!(AuthenticateAnswer::read(&[0; 32], 3).is_err());
}
