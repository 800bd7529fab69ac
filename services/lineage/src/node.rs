//! Identity of nodes: from topics, groups, producers and contracts to canonical names, and back to
//! what people read and type.

use meshwork_model::mesh::lineage::{NodeKind, NodeRef};
use meshwork_model::mesh::observation::Trust;
use meshwork_model::name::Urn;
use meshwork_model::topic::QUARANTINE_SUFFIX;
use sha2::{Digest, Sha256};

/// Longest canonical name in bytes. Kafka lets client and group ids have 32,767: longer names keep
/// their beginning and a digest.
pub(crate) const NAME_MAX_BYTES: usize = 256;

/// Longest name of a Kafka topic in bytes.
const TOPIC_MAX_BYTES: usize = 249;

/// Canonical name of whoever wrote records that name no producer.
pub(crate) const UNKNOWN_PRODUCER: &str = "unknown";

/// Longest list of a contract's inputs that becomes edges; the rest is ignored and counted.
pub(crate) const INPUTS_MAX: usize = 1000;

/// The node of a topic; none for what is the mesh's or Kafka's own inside and for quarantine.
#[must_use]
pub(crate) fn of_topic(topic: &str) -> Option<NodeRef> {
    let inside =
        topic.starts_with("mesh.") || topic.starts_with('_') || topic.ends_with(QUARANTINE_SUFFIX);
    let legal = !topic.is_empty()
        && topic.len() <= TOPIC_MAX_BYTES
        && topic
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if inside || !legal {
        return None;
    }
    Some(match Urn::from_topic(topic) {
        Some(urn) => node(NodeKind::Product, urn.to_string()),
        None => node(NodeKind::Topic, topic.to_owned()),
    })
}

/// The node of a consumer group. Random parts of its id are folded, so that consoles and Spark jobs
/// do not fill the graph.
#[must_use]
pub(crate) fn of_group(id: &str) -> NodeRef {
    node(NodeKind::Group, shorten(&fold_random(id)))
}

/// The node of a job that reads in a group and writes in transactions: it has the group's id, whose
/// instances have a transactional id each.
#[must_use]
pub(crate) fn of_job(group: &str) -> NodeRef {
    node(NodeKind::Job, shorten(&fold_random(group)))
}

/// The node of someone who reads without a group. Named as producers are.
#[must_use]
pub(crate) fn of_reader(name: &str, trust: Trust) -> NodeRef {
    node(NodeKind::Reader, of_producer(name, trust).name)
}

/// A transactional id without its random parts, and without commas: ids stand in a list that these
/// divide.
#[must_use]
pub(crate) fn fold_transactional_id(id: &str) -> String {
    shorten(&fold_random(id)).replace(',', ";")
}

/// The node of a producer. Trust is part of its identity: a client id can't pose as a principal.
/// Random parts are folded only where the client chose the name.
#[must_use]
pub(crate) fn of_producer(name: &str, trust: Trust) -> NodeRef {
    let name = match trust {
        Trust::Principal | Trust::Mtls | Trust::Configured => name.to_owned(),
        Trust::ClientId => fold_client_id(name),
        Trust::Claimed => fold_random(name),
    };
    node(
        NodeKind::Producer,
        shorten(&format!("{}:{name}", trust_word(trust))),
    )
}

/// The node of whoever wrote records that name no producer.
#[must_use]
pub(crate) fn unknown_producer() -> NodeRef {
    node(NodeKind::Producer, UNKNOWN_PRODUCER.to_owned())
}

/// The node that a contract's `inputs` entry names: a URN, a topic, a product with its version, or
/// else something outside the mesh.
#[must_use]
pub(crate) fn of_input(input: &str) -> NodeRef {
    if let Some(urn) = product_version(input) {
        return node(NodeKind::Product, urn.to_string());
    }
    of_topic(input).unwrap_or_else(|| node(NodeKind::Dataset, shorten(input)))
}

/// The product version that `text` names: a URN, `<domain>.<product>:v<major>` or the topic.
#[must_use]
pub(crate) fn product_version(text: &str) -> Option<Urn> {
    if let Ok(urn) = text.parse::<Urn>() {
        return Some(urn);
    }
    match text.rsplit_once(":v") {
        Some((name, major)) => Urn::from_topic(&format!("{name}.v{major}")),
        None => Urn::from_topic(text),
    }
}

/// What people read: `operations.departures:v1`, `group:board`, `producer:operations`,
/// `topic:raw-events`. Commands take the same back.
#[must_use]
pub(crate) fn label(node: &NodeRef) -> String {
    match node.kind {
        NodeKind::Product => match node.name.parse::<Urn>() {
            Ok(urn) => format!("{}:{}", urn.name(), urn.version()),
            Err(_) => node.name.clone(),
        },
        kind @ (NodeKind::Producer | NodeKind::Reader) => {
            let name = match node.name.split_once(':') {
                Some((trust, name)) if TRUST_WORDS.contains(&trust) => name,
                _ => &node.name,
            };
            format!("{}:{name}", kind_word(kind))
        }
        kind => format!("{}:{}", kind_word(kind), node.name),
    }
}

/// The kind as a word of the API.
#[must_use]
pub(crate) const fn kind_word(kind: NodeKind) -> &'static str {
    match kind {
        NodeKind::Product => "product",
        NodeKind::Topic => "topic",
        NodeKind::Producer => "producer",
        NodeKind::Group => "group",
        NodeKind::Job => "job",
        NodeKind::Dataset => "dataset",
        NodeKind::Reader => "reader",
    }
}

/// SHA-256 of kind and name, cut to 16 bytes, in hex: names in keys, of any length, and no
/// person's name in the clear.
#[must_use]
pub(crate) fn id(node: &NodeRef) -> String {
    let mut hash = Sha256::new();
    hash.update(kind_word(node.kind).as_bytes());
    hash.update([0]);
    hash.update(node.name.as_bytes());
    hex(&hash.finalize(), 16)
}

const TRUST_WORDS: [&str; 5] = ["principal", "mtls", "configured", "client-id", "claimed"];

const fn trust_word(trust: Trust) -> &'static str {
    match trust {
        Trust::Principal => "principal",
        Trust::Mtls => "mtls",
        Trust::Configured => "configured",
        Trust::ClientId => "client-id",
        Trust::Claimed => "claimed",
    }
}

const fn node(kind: NodeKind, name: String) -> NodeRef {
    NodeRef { kind, name }
}

fn hex(bytes: &[u8], count: usize) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .take(count)
        .fold(String::with_capacity(2 * count), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

fn shorten(name: &str) -> String {
    if name.len() <= NAME_MAX_BYTES {
        return name.to_owned();
    }
    let mut end = NAME_MAX_BYTES - 40;
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    let head = name.get(..end).unwrap_or_default();
    format!("{head}…{}", hex(&Sha256::digest(name.as_bytes()), 8))
}

/// A client id without its random parts and its counter.
#[must_use]
pub(crate) fn fold_client_id(id: &str) -> String {
    shorten(&fold_counter(&fold_random(id)))
}

/// UUIDs, hex words of 8 and more digits, and digit runs of 5 and more become `*`.
fn fold_random(name: &str) -> String {
    let mut folded = String::with_capacity(name.len());
    let mut rest = name;
    while !rest.is_empty() {
        if let Some(after) = strip_uuid(rest) {
            folded.push('*');
            rest = after;
            continue;
        }
        let word = rest
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(rest.len());
        let (word, after) = rest.split_at(word);
        if word.is_empty() {
            let separator = after.chars().next().map_or(0, char::len_utf8);
            let (separator, after) = after.split_at(separator);
            folded.push_str(separator);
            rest = after;
            continue;
        }
        let hexadecimal = word.len() >= 8
            && word.bytes().all(|b| b.is_ascii_hexdigit())
            && word.bytes().any(|b| b.is_ascii_digit());
        if hexadecimal {
            folded.push('*');
        } else {
            fold_digits(word, &mut folded);
        }
        rest = after;
    }
    folded
}

fn fold_digits(word: &str, folded: &mut String) {
    let mut digits = String::new();
    for c in word.chars().chain(std::iter::once('\0')) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        if digits.len() >= 5 {
            folded.push('*');
        } else {
            folded.push_str(&digits);
        }
        digits.clear();
        if c != '\0' {
            folded.push(c);
        }
    }
}

/// What follows a UUID at the start of `text`.
fn strip_uuid(text: &str) -> Option<&str> {
    let candidate = text.as_bytes().get(..36)?;
    let shaped = candidate.iter().enumerate().all(|(i, b)| match i {
        8 | 13 | 18 | 23 => *b == b'-',
        _ => b.is_ascii_hexdigit(),
    });
    let after = text.get(36..).filter(|_| shaped)?;
    let ends = after
        .chars()
        .next()
        .is_none_or(|c| !c.is_ascii_alphanumeric());
    ends.then_some(after)
}

/// Of client ids a last `-<digits>` too: clients of one program are numbered.
fn fold_counter(name: &str) -> String {
    match name.rsplit_once('-') {
        Some((head, tail)) if !tail.is_empty() && tail.bytes().all(|b| b.is_ascii_digit()) => {
            format!("{head}-*")
        }
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_parts_fold_and_versions_do_not() {
        for (given, expected) in [
            ("board", "board"),
            ("analytics-v2", "analytics-v2"),
            ("console-consumer-48213", "console-consumer-*"),
            ("console-consumer-4821", "console-consumer-4821"),
            (
                "spark-kafka-source-0f8fad5b-d9cb-469f-a165-70867728950e-driver-0",
                "spark-kafka-source-*-driver-0",
            ),
            (
                "anonymous.0f8fad5b-d9cb-469f-a165-70867728950e",
                "anonymous.*",
            ),
            ("job-9fae01b2cc", "job-*"),
            ("facade-decade", "facade-decade"),
            ("run20130115", "run*"),
            ("größe-12345-ß", "größe-*-ß"),
            ("", ""),
        ] {
            assert_eq!(of_group(given).name, expected, "{given}");
        }
        assert_eq!(
            of_producer("producer-7", Trust::ClientId).name,
            "client-id:producer-*"
        );
        assert_eq!(
            of_producer("ops@host-12345", Trust::Configured).name,
            "configured:ops@host-12345"
        );
    }

    #[test]
    fn topics_inside_the_mesh_have_no_node() {
        for topic in [
            "mesh.catalog",
            "_schemas",
            "__consumer_offsets",
            "operations.departures.v1.quarantine",
            "",
            "a b",
        ] {
            assert_eq!(of_topic(topic), None, "{topic}");
        }
        assert_eq!(
            of_topic("operations.departures.v1").unwrap().name,
            "urn:meshwork:operations:departures:v1"
        );
        assert_eq!(of_topic("raw").unwrap().kind, NodeKind::Topic);
    }

    #[test]
    fn one_product_version_by_all_its_names() {
        for text in [
            "urn:meshwork:operations:departures:v1",
            "operations.departures:v1",
            "operations.departures.v1",
        ] {
            let node = of_input(text);
            assert_eq!(node.name, "urn:meshwork:operations:departures:v1", "{text}");
            assert_eq!(label(&node), "operations.departures:v1");
        }
        assert_eq!(of_input("postgres://x|flights").kind, NodeKind::Dataset);
    }

    #[test]
    fn long_names_stay_apart_and_short() {
        let long = "ä".repeat(20_000);
        let (a, b) = (of_group(&long), of_group(&format!("{long}x")));
        assert!(a.name.len() <= NAME_MAX_BYTES && b.name.len() <= NAME_MAX_BYTES);
        assert_ne!(a, b);
        assert_eq!(id(&a).len(), 32);
    }

    #[test]
    fn labels_say_kind_and_name() {
        assert_eq!(label(&of_group("board")), "group:board");
        assert_eq!(label(&of_producer("ops", Trust::Principal)), "producer:ops");
        assert_eq!(
            label(&of_reader("kcat-7", Trust::ClientId)),
            "reader:kcat-*"
        );
        assert_eq!(label(&of_job("delays-48213")), "job:delays-*");
        assert_eq!(label(&unknown_producer()), "producer:unknown");
    }
}
