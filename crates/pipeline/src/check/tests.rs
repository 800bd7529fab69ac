use meshwork_model::headers::VALUE_SCHEMA_ID;

use super::*;
use crate::policy::OnUnavailable;
use crate::testing::{Told, flight, policy};

fn check_with(policy: ProductPolicy, key: Option<&[u8]>, value: Option<&[u8]>) -> Check {
    check_headers(policy, key, value, &[])
}

fn check_headers(
    policy: ProductPolicy,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &[Header<'_>],
) -> Check {
    Checker::new(Arc::new(policy)).check(
        &Told::flights(),
        &RecordIn {
            key,
            value,
            headers: headers.iter().copied(),
        },
    )
}

fn reason(check: &Check) -> Option<(Reason, Option<usize>, Option<&str>)> {
    match check {
        Check::Bad(_, r) => Some((r.reason, r.at, r.path.as_deref())),
        _ => None,
    }
}

#[test]
fn a_good_record_gives_schema_and_event_time() {
    let mode = policy(EnforcementMode::Reject);
    assert_eq!(
        check_with(mode, Some(b"k"), Some(&flight(7, "AA1", 1_000))),
        Check::Good(Facts {
            schema_id: Some(SchemaId::new(7).unwrap()),
            event_time: Some(Timestamp::from_millis(1_000)),
            unverified: false
        })
    );
}

#[test]
fn each_way_to_be_bad_has_its_reason_and_place() {
    let good = flight(7, "AA1", 1_000);
    let mut trailing = good.clone();
    trailing.push(0);
    let mut cut = good.clone();
    cut.pop();
    let mut not_utf8 = good.clone();
    not_utf8[7] = 0xff;
    // Key, value; reason, byte, path.
    type Case<'a> = (
        Option<&'a [u8]>,
        Option<&'a [u8]>,
        Reason,
        Option<usize>,
        Option<&'a str>,
    );
    let cases: [Case<'_>; 11] = [
        (Some(b"k"), None, Reason::NoValue, None, None),
        (Some(b"k"), Some(b"{\"id\":1}"), Reason::Framing, None, None),
        (
            Some(b"k"),
            Some(&flight(404, "A", 1)),
            Reason::UnknownSchema,
            None,
            None,
        ),
        (
            Some(b"k"),
            Some(&flight(8, "A", 1)),
            Reason::ForeignSchema,
            None,
            None,
        ),
        (
            Some(b"k"),
            Some(&flight(13, "A", 1)),
            Reason::UnusableSchema,
            None,
            None,
        ),
        (
            Some(b"k"),
            Some(&trailing),
            Reason::Datum,
            Some(good.len() - 5),
            Some(""),
        ),
        (Some(b"k"), Some(&cut), Reason::Datum, Some(4), Some("/at")),
        (
            Some(b"k"),
            Some(&not_utf8),
            Reason::Datum,
            Some(2),
            Some("/id"),
        ),
        (None, Some(&good), Reason::Key, None, None),
        (Some(b"ok\xff"), Some(&good), Reason::Key, Some(2), None),
        (
            Some(b"k"),
            Some(&[0, 0, 0, 0, 0]),
            Reason::Framing,
            None,
            None,
        ),
    ];
    for (key, value, expected, at, path) in cases {
        let check = check_with(policy(EnforcementMode::Reject), key, value);
        assert_eq!(reason(&check), Some((expected, at, path)), "{check:?}");
    }
}

#[test]
fn a_retired_product_refuses_and_rejects_in_every_mode() {
    for mode in [
        EnforcementMode::Reject,
        EnforcementMode::Quarantine,
        EnforcementMode::Mark,
        EnforcementMode::Off,
    ] {
        let retired = ProductPolicy {
            status: ProductStatus::Retired,
            ..policy(mode)
        };
        assert_eq!(retired.disposition(Reason::Retired), Disposition::Reject);
        let check = check_with(retired, Some(b"k"), Some(&flight(7, "AA1", 1)));
        assert_eq!(reason(&check), Some((Reason::Retired, None, None)));
    }
}

#[test]
fn modes_make_of_a_refusal_what_they_say() {
    for (mode, expected) in [
        (EnforcementMode::Reject, Disposition::Reject),
        (EnforcementMode::Quarantine, Disposition::Quarantine),
        (EnforcementMode::Mark, Disposition::Mark),
        (EnforcementMode::Off, Disposition::Pass),
    ] {
        assert_eq!(policy(mode).disposition(Reason::Datum), expected);
    }
}

#[test]
fn off_enforces_nothing_and_observes_what_it_can() {
    let off = || policy(EnforcementMode::Off);
    assert_eq!(
        check_with(off(), None, Some(b"anything")),
        Check::Good(Facts::default())
    );
    assert_eq!(check_with(off(), None, None), Check::Good(Facts::default()));
    let Check::Good(facts) = check_with(off(), None, Some(&flight(7, "A", 5))) else {
        panic!("refused");
    };
    assert_eq!(facts.event_time, Some(Timestamp::from_millis(5)));
    let Check::Good(facts) = check_with(off(), None, Some(&flight(503, "A", 5))) else {
        panic!("refused");
    };
    assert!(facts.unverified);
}

#[test]
fn tombstones_pass_where_the_topic_is_compacted() {
    let compacted = ProductPolicy {
        tombstones: true,
        ..policy(EnforcementMode::Reject)
    };
    assert_eq!(
        check_with(compacted, Some(b"k"), None),
        Check::Good(Facts::default())
    );
}

#[test]
fn unknown_schemas_are_asked_for_and_a_registry_that_is_down_closes_or_opens() {
    let value = flight(12, "A", 1);
    let check = check_with(policy(EnforcementMode::Reject), Some(b"k"), Some(&value));
    assert!(matches!(check, Check::Load(_)), "{check:?}");

    let value = flight(503, "A", 1);
    let closed = check_with(policy(EnforcementMode::Reject), Some(b"k"), Some(&value));
    assert!(matches!(closed, Check::Unavailable(_)), "{closed:?}");
    let open = ProductPolicy {
        unavailable: OnUnavailable::Open,
        ..policy(EnforcementMode::Reject)
    };
    let Check::Good(facts) = check_with(open, Some(b"k"), Some(&value)) else {
        panic!("refused");
    };
    assert!(facts.unverified);
}

#[test]
fn keys_under_a_schema_are_checked_like_values() {
    let avro = || ProductPolicy {
        key: KeyRule::Avro {
            subject: "ops.flights.v1-key".to_owned(),
        },
        ..policy(EnforcementMode::Reject)
    };
    let value = flight(7, "A", 1);
    let good = check_with(avro(), Some(b"\0\0\0\0\x09\x02"), Some(&value));
    assert!(matches!(good, Check::Good(_)), "{good:?}");
    for bad in [&b"plain"[..], b"\0\0\0\0\x09", b"\0\0\0\0\x09\x02\x02"] {
        let check = check_with(avro(), Some(bad), Some(&value));
        assert_eq!(reason(&check).map(|r| r.0), Some(Reason::Key), "{check:?}");
    }
    let null = check_with(avro(), None, Some(&value));
    assert_eq!(reason(&null).map(|r| r.0), Some(Reason::Key));
    let unknown = check_with(avro(), Some(b"\0\0\0\0\x01\x02"), Some(&value));
    assert!(matches!(unknown, Check::Load(_)), "{unknown:?}");
}

#[test]
fn a_schema_may_be_named_in_a_header_by_its_guid() {
    let guid: [u8; 16] = [5; 16];
    let mut told = Told::flights();
    let known = told.look_up(
        "ops.flights.v1-value",
        SchemaRef::Id(SchemaId::new(7).unwrap()),
    );
    told.answer_ref("ops.flights.v1-value", SchemaRef::Guid(guid), known);
    let header = [&[1][..], &guid].concat();
    let framed = flight(7, "AA1", 1_000);
    let record = RecordIn {
        key: Some(&b"k"[..]),
        value: Some(&framed[5..]),
        headers: std::iter::once(Header {
            key: VALUE_SCHEMA_ID.as_bytes(),
            value: Some(&header),
        }),
    };
    let mut checker = Checker::new(Arc::new(policy(EnforcementMode::Reject)));
    let Check::Good(facts) = checker.check(&told, &record) else {
        panic!("refused");
    };
    // The id comes from what the GUID was found to be.
    assert_eq!(facts.schema_id, Some(SchemaId::new(7).unwrap()));
}

#[test]
fn the_remembered_schema_serves_only_its_own_reference() {
    let mut checker = Checker::new(Arc::new(policy(EnforcementMode::Reject)));
    let told = Told::flights();
    let mut verdict = |id| {
        let value = flight(id, "A", 1);
        let record = RecordIn {
            key: Some(&b"k"[..]),
            value: Some(&value[..]),
            headers: std::iter::empty(),
        };
        reason(&checker.check(&told, &record)).map(|r| r.0)
    };
    assert_eq!(verdict(7), None);
    assert_eq!(verdict(8), Some(Reason::ForeignSchema));
    assert_eq!(verdict(7), None);
    assert_eq!(verdict(404), Some(Reason::UnknownSchema));
}
