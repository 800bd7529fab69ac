//! A broker that is newer than the gateway: what it offers and nobody here knows is hidden, versions
//! end where the gateway's do, and what is new in answers that pass is left in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, MetadataRequest, MetadataResponse,
    ProduceResponse, ResponseHeader,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};
use meshwork_model::mesh::announcement::EnforcementMode;
use meshwork_testkit::{Fate, Heading, Passing, Tap};
use meshwork_wire::Codec;
use parking_lot::Mutex;

use crate::leaders::{address_of, leader};
use crate::links::behind_links;
use crate::mesh::{Gateway, Product, followed};
use crate::oracle::Writing;
use crate::raw::{Raw, batch, produce_request};
use crate::turn;

/// APIs that there are not (yet).
const UNKNOWN: [i16; 3] = [93, 200, 1_000];
/// Versions that every API has more than it has.
const MORE: i16 = 3;
/// A tagged field that there is not (yet).
const TAG: i32 = 99;
const FEATURE: &str = "future.version";

fn tagged() -> BTreeMap<i32, Bytes> {
    BTreeMap::from([(TAG, Bytes::from_static(b"new"))])
}

/// An answer, changed.
fn change<R: Decodable + Encodable + HeaderVersion>(
    passing: &Passing<'_>,
    change: impl FnOnce(&mut R),
) -> Fate {
    let version = passing.version;
    let header_version = R::header_version(version);
    let mut frame = Bytes::copy_from_slice(&passing.frame[4..]);
    let header = ResponseHeader::decode(&mut frame, header_version).unwrap();
    let mut answer = R::decode(&mut frame, version).unwrap();
    change(&mut answer);
    let mut out = BytesMut::new();
    header.encode(&mut out, header_version).unwrap();
    answer.encode(&mut out, version).unwrap();
    let mut message = u32::try_from(out.len()).unwrap().to_be_bytes().to_vec();
    message.extend_from_slice(&out);
    Fate::Instead(message)
}

/// Makes answers those of a newer broker, and notes what our own requests ask of it: the gateway's
/// clients go by the same links, and ask for what they like.
fn newer(asked: &Arc<Mutex<BTreeSet<(i16, i16)>>>) -> Tap {
    let asked = Arc::clone(asked);
    Arc::new(move |passing| {
        let (api, version) = (passing.api, passing.version);
        if passing.heading == Heading::ToBroker {
            if passing.frame.get(14..17) == Some(b"raw") {
                asked.lock().insert((api, version));
            }
            return Fate::Pass;
        }
        if api == ApiKey::ApiVersions as i16 {
            return change(passing, |answer: &mut ApiVersionsResponse| {
                for range in &mut answer.api_keys {
                    range.max_version += MORE;
                }
                answer.api_keys.extend(UNKNOWN.map(|key| {
                    let range = ApiVersion::default().with_api_key(key);
                    range.with_min_version(0).with_max_version(MORE)
                }));
                if version >= 3 {
                    let name = StrBytes::from_static_str(FEATURE);
                    let feature = FinalizedFeatureKey::default().with_name(name);
                    let feature = feature.with_min_version_level(1).with_max_version_level(7);
                    answer.finalized_features.push(feature);
                    answer.unknown_tagged_fields.extend(tagged());
                }
            });
        }
        if api == ApiKey::Metadata as i16 && version >= 9 {
            return change(passing, |answer: &mut MetadataResponse| {
                answer.unknown_tagged_fields.extend(tagged());
                for broker in &mut answer.brokers {
                    broker.unknown_tagged_fields.extend(tagged());
                }
                for topic in &mut answer.topics {
                    topic.unknown_tagged_fields.extend(tagged());
                }
            });
        }
        if api == ApiKey::Produce as i16 && version >= 9 {
            return change(passing, |answer: &mut ProduceResponse| {
                answer.unknown_tagged_fields.extend(tagged());
                for topic in &mut answer.responses {
                    topic.unknown_tagged_fields.extend(tagged());
                }
            });
        }
        Fate::Pass
    })
}

async fn versions(gateway: &Gateway) -> (BTreeMap<i16, (i16, i16)>, ApiVersionsResponse) {
    let request = ApiVersionsRequest::default()
        .with_client_software_name(StrBytes::from_static_str("raw"))
        .with_client_software_version(StrBytes::from_static_str("1"));
    let mut raw = Raw::connect(&gateway.address).await;
    let answer: ApiVersionsResponse = raw.ask(ApiKey::ApiVersions, 3, &request).await.unwrap();
    let ranges = answer.api_keys.iter();
    let ranges = ranges.map(|k| (k.api_key, (k.min_version, k.max_version)));
    (ranges.collect(), answer)
}

/// The greatest version of an API that anybody here knows, where the broker's own offer ends lower
/// or the table says so: Kafka 4.2.2 offers the gateway's table, but for what is capped on purpose.
const CAPPED: [(i16, i16); 3] = [(0, 13), (1, 15), (17, 1)];

#[tokio::test]
async fn what_is_new_is_hidden_and_what_is_known_goes_on() {
    let turn = turn().await;
    let product = Product::new(EnforcementMode::Reject).await;
    let gateway = behind_links(&turn).await;
    followed(&gateway, &product).await;
    let (before, _) = versions(&gateway).await;
    let asked = Arc::default();
    for link in turn.linked.links() {
        link.tap(Some(newer(&asked)));
    }

    let (shown, answer) = versions(&gateway).await;
    assert!(UNKNOWN.iter().all(|key| !shown.contains_key(key)));
    assert!(shown.keys().eq(before.keys()), "and no other API is");
    for (key, (least, most)) in &shown {
        let (from, until) = before[key];
        assert_eq!(*least, from, "{key}");
        assert!(*most >= until, "{key}: nothing that was known is hidden");
        // Where the broker's offer ended before, the gateway's knowledge may reach further.
        assert!(
            *most < until + MORE,
            "{key} {most}: it does not end with the gateway"
        );
    }
    for (key, most) in CAPPED {
        assert_eq!(shown[&key].1, most, "{key}");
    }
    assert_eq!(answer.unknown_tagged_fields, tagged());
    let mut features = answer.finalized_features.iter();
    let feature = features.find(|f| &*f.name == FEATURE).unwrap();
    assert_eq!(feature.max_version_level, 7);

    // Whoever asks for them all the same is closed, and the broker hears nothing of it.
    let beyond = shown
        .iter()
        .filter(|(key, _)| **key != ApiKey::ApiVersions as i16);
    let beyond = beyond.map(|(key, (_, most))| (*key, most + 1));
    for (key, version) in beyond.chain(UNKNOWN.map(|key| (key, 0))) {
        for header in [1, 2] {
            let mut raw = Raw::connect(&gateway.address).await;
            raw.send_body(key, version, header, &[0; 64]).await;
            assert_eq!(raw.frame().await, None, "{key} {version}");
        }
        assert!(!asked.lock().contains(&(key, version)), "{key} {version}");
    }

    // What is new in answers that are rewritten is left where it was.
    let mut raw = Raw::connect(&gateway.address).await;
    let asks = MetadataRequest::default().with_topics(None);
    let answer: MetadataResponse = raw.ask(ApiKey::Metadata, 12, &asks).await.unwrap();
    assert_eq!(answer.unknown_tagged_fields, tagged());
    let brokers = answer.brokers.iter().map(|b| &b.unknown_tagged_fields);
    assert!(
        brokers
            .chain(answer.topics.iter().map(|t| &t.unknown_tagged_fields))
            .all(|t| *t == tagged())
    );
    let ports: Vec<i32> = turn
        .linked
        .links()
        .iter()
        .map(|l| l.port().into())
        .collect();
    assert!(answer.brokers.iter().all(|b| !ports.contains(&b.port)));

    let leader = address_of(&gateway, leader(product.topic()).await.into()).await;
    let mut raw = Raw::connect(&leader).await;
    let two = [product.flight("00000000"), b"junk".to_vec()];
    for (value, code) in two.into_iter().zip([0, 87]) {
        let request = produce_request(product.topic(), &batch(Codec::None, &[value]));
        let answer: ProduceResponse = raw.ask(ApiKey::Produce, 9, &request).await.unwrap();
        let told = answer.responses[0].partition_responses[0].error_code;
        assert_eq!(told, code);
        if code == 0 {
            assert_eq!(answer.unknown_tagged_fields, tagged());
            assert_eq!(answer.responses[0].unknown_tagged_fields, tagged());
        }
    }
    let writing = Writing::start(&product, gateway.producer());
    writing.goes_on(1_000).await;
    writing.compare().await;
    let used = asked.lock().clone();
    assert!(
        used.iter().any(|(key, _)| *key == 0),
        "it went by the links"
    );
    gateway.stop().await;
}
