//! Ways of making a true history false.

use super::world::{INSTANCES, context, schema_record, text};
use crate::history::{Call, End, Op};
use crate::oracle::log::{Change, changes};
use crate::oracle::{Evidence, LogRecord, Violation};

/// One way; none where the history has nothing to falsify so.
pub(super) struct Falsification {
    pub(super) name: &'static str,
    pub(super) make: fn(&mut Evidence, &mut fastrand::Rng) -> Option<()>,
    pub(super) shows: fn(&Violation) -> bool,
}

macro_rules! falsifications {
    ($($name:literal, $make:path => $shows:pat,)*) => {
        pub(super) const FALSIFICATIONS: &[Falsification] = &[
            $(Falsification { name: $name, make: $make, shows: |found| matches!(found, $shows) }),*
        ];
    };
}

use Violation as V;
falsifications! {
    "an acknowledged registration is lost", lose => V::Unexplained { .. },
    "the only record of an id is lost", lose_id => V::Lost { .. },
    "a registration is written twice", double => V::Doubled { .. } | V::Uncaused { .. },
    "a change that nobody asked for", invent => V::Uncaused { .. },
    "a text is served changed", change_served => V::Served { .. },
    "a version is not served", hide_served => V::Served { .. },
    "a read by id gives another text", change_read => V::TwoTexts { .. },
    "an id is given to two texts", give_twice => V::TwoTexts { .. },
    "an aborted record's id is given to another text", reuse_aborted => V::TwoTexts { .. },
    "an id falls below an aborted one", fall => V::Fell { .. },
    "a text gets a second id", second_id => V::TwoIds { .. },
    "a version number comes again", version_again => V::VersionAgain { .. },
    "a list goes back on one instance", go_back_here => V::WentBack { .. },
    "a list is older than its Meshwork-Min-Offset", go_back_by_offset => V::WentBack { .. },
    "a registration is answered from an old state", stale_registration => V::WentBack { .. } | V::Unexplained { .. },
    "a refusal comes from an old state", stale_refusal => V::WentBack { .. },
    "a deletion that was acknowledged never was", delete_nothing => V::Unexplained { .. },
    "50004, and it took effect", not_taken_but_done => V::Uncaused { .. },
    "an id is not found after it was acknowledged", not_found => V::Unexplained { .. },
    "an answer names an offset before its own change", early_offset => V::Unexplained { .. },
}

fn pick<T>(mut all: Vec<T>, random: &mut fastrand::Rng) -> Option<T> {
    (!all.is_empty()).then(|| all.swap_remove(random.usize(..all.len())))
}

/// A version that was registered by a request that was answered, and at which offset.
struct Registered {
    op: usize,
    offset: i64,
    subject: String,
    version: i32,
    id: i32,
    text: String,
}

/// Registrations of which the answer names the transaction that wrote them.
fn registered(evidence: &Evidence) -> Vec<Registered> {
    let log = changes(&evidence.committed);
    let mut found = Vec::new();
    for (number, op) in evidence.history.iter().enumerate() {
        let (Call::Register { subject, text }, End::Registered { version, id }, Some(named)) =
            (&op.call, &op.end, op.offset)
        else {
            continue;
        };
        let at = log.iter().find(|at| {
            matches!(&at.change, Change::Schema { subject: s, version: v, id: i, deleted: false, .. }
                if s == subject && v == version && i == id)
                && at.offset <= named
                && (at.offset..=named).all(|offset| log.iter().any(|at| at.offset == offset))
        });
        if let Some(at) = at {
            found.push(Registered {
                op: number,
                offset: at.offset,
                subject: subject.clone(),
                version: *version,
                id: *id,
                text: text.clone(),
            });
        }
    }
    found
}

/// Those whose version nothing else in the log speaks of.
fn untouched(evidence: &Evidence) -> Vec<Registered> {
    let log = changes(&evidence.committed);
    let mut all = registered(evidence);
    all.retain(|one| {
        log.iter()
            .filter(|at| match &at.change {
                Change::Schema {
                    subject, version, ..
                }
                | Change::Gone { subject, version } => {
                    *subject == one.subject && *version == one.version
                }
                Change::SoftUpTo { subject, .. } => {
                    *subject == one.subject && at.offset > one.offset
                }
                _ => false,
            })
            .count()
            == 1
    });
    all
}

fn end_of_log(evidence: &Evidence) -> i64 {
    evidence.uncommitted.last().map_or(0, |last| last.offset) + 10
}

/// A record behind all others.
fn append(evidence: &mut Evidence, mut record: LogRecord, committed: bool) {
    record.offset = end_of_log(evidence);
    if committed {
        evidence.committed.push(record.clone());
    }
    evidence.uncommitted.push(record);
}

/// A request after all others.
fn ask(evidence: &mut Evidence, instance: usize, call: Call, end: End) -> &mut Op {
    let began = evidence
        .history
        .iter()
        .map(|op| op.began.max(op.ended.unwrap_or(0)))
        .max();
    let began = began.unwrap_or(0) + 1;
    evidence.history.push(Op {
        number: evidence.history.len() as u64,
        client: 99,
        instance,
        began,
        ended: Some(began + 1),
        call,
        min_offset: None,
        end,
        offset: None,
    });
    evidence.history.last_mut().unwrap()
}

fn lose(evidence: &mut Evidence, random: &mut fastrand::Rng) -> Option<()> {
    let one = pick(untouched(evidence), random)?;
    evidence.committed.retain(|r| r.offset != one.offset);
    evidence.uncommitted.retain(|r| r.offset != one.offset);
    Some(())
}

fn lose_id(evidence: &mut Evidence, random: &mut fastrand::Rng) -> Option<()> {
    let one = pick(registered(evidence), random)?;
    let holds = |record: &LogRecord| {
        matches!(&changes(std::slice::from_ref(record))[0].change, Change::Schema { subject, id, .. }
            if context(subject) == context(&one.subject) && *id == one.id)
    };
    evidence.committed.retain(|r| !holds(r));
    evidence.uncommitted.retain(|r| !holds(r));
    Some(())
}

fn double(evidence: &mut Evidence, random: &mut fastrand::Rng) -> Option<()> {
    let one = pick(untouched(evidence), random)?;
    let again = schema_record(&one.subject, one.version + 20, (one.id, &one.text, false));
    append(evidence, again, true);
    Some(())
}

fn invent(evidence: &mut Evidence, _: &mut fastrand::Rng) -> Option<()> {
    let greatest = 10_000;
    append(
        evidence,
        schema_record("a", 500, (greatest, &text(77), false)),
        true,
    );
    Some(())
}

fn change_served(evidence: &mut Evidence, random: &mut fastrand::Rng) -> Option<()> {
    let served = &mut evidence.served[random.usize(..INSTANCES)];
    let texts: Vec<&mut Option<String>> = served.texts.values_mut().collect();
    *pick(texts, random)? = Some(text(99));
    Some(())
}

fn hide_served(evidence: &mut Evidence, random: &mut fastrand::Rng) -> Option<()> {
    let served = &mut evidence.served[random.usize(..INSTANCES)];
    let key = pick(served.versions.keys().cloned().collect(), random)?;
    served.versions.remove(&key);
    Some(())
}

fn change_read(evidence: &mut Evidence, random: &mut fastrand::Rng) -> Option<()> {
    let reads = evidence
        .history
        .iter_mut()
        .filter_map(|op| match &mut op.end {
            End::Text { text } => Some(text),
            _ => None,
        });
    *pick(reads.collect(), random)? = text(99);
    Some(())
}

fn give_twice(evidence: &mut Evidence, random: &mut fastrand::Rng) -> Option<()> {
    let one = pick(registered(evidence), random)?;
    let other = registered(evidence)
        .into_iter()
        .find(|other| context(&other.subject) == context(&one.subject) && other.id != one.id)?;
    evidence.history[one.op].end = End::Registered {
        version: one.version,
        id: other.id,
    };
    Some(())
}

fn reuse_aborted(evidence: &mut Evidence, random: &mut fastrand::Rng) -> Option<()> {
    let one = pick(registered(evidence), random)?;
    let record = schema_record(&one.subject, 400, (one.id, &text(99), false));
    append(evidence, record, false);
    Some(())
}

fn fall(evidence: &mut Evidence, random: &mut fastrand::Rng) -> Option<()> {
    let one = pick(registered(evidence), random)?;
    let first = evidence.committed.first()?.offset;
    if one.offset == first {
        return None;
    }
    let mut record = schema_record(&one.subject, 400, (5_000, &text(99), false));
    record.offset = first - 1;
    evidence.uncommitted.insert(0, record);
    Some(())
}

fn second_id(evidence: &mut Evidence, random: &mut fastrand::Rng) -> Option<()> {
    let one = pick(untouched(evidence), random)?;
    let other = match context(&one.subject) {
        "." => "zz",
        _ => ":.team:zz",
    };
    append(
        evidence,
        schema_record(other, 1, (6_000, &one.text, false)),
        true,
    );
    Some(())
}

fn version_again(evidence: &mut Evidence, random: &mut fastrand::Rng) -> Option<()> {
    let one = pick(untouched(evidence), random)?;
    let other = schema_record(&one.subject, one.version, (7_000, &text(98), false));
    append(evidence, other, true);
    Some(())
}

/// The live versions of a subject at the end.
fn live_at_end(evidence: &Evidence, subject: &str) -> Vec<i32> {
    let served = &evidence.served[0].versions;
    served
        .iter()
        .filter(|((name, _), held)| name == subject && !held.deleted)
        .map(|((_, version), _)| *version)
        .collect()
}

/// A list that was true right before the registration.
fn true_before(evidence: &Evidence, one: &Registered) -> Option<Vec<i32>> {
    let mut ways = crate::oracle::subjects::ways(&changes(&evidence.committed), &mut Vec::new());
    let way = ways.remove(&one.subject)?;
    let state = way.states.get(way.up_to(one.offset - 1))?;
    let versions: Vec<i32> = state
        .iter()
        .filter(|(_, held)| !held.deleted)
        .map(|(version, _)| *version)
        .collect();
    (!versions.is_empty()).then_some(versions)
}

fn go_back_here(evidence: &mut Evidence, random: &mut fastrand::Rng) -> Option<()> {
    let one = pick(untouched(evidence), random)?;
    let versions = true_before(evidence, &one)?;
    let call = Call::List {
        subject: one.subject.clone(),
    };
    let instance = evidence.history[one.op].instance;
    ask(evidence, instance, call, End::Versions { versions });
    Some(())
}

fn go_back_by_offset(evidence: &mut Evidence, random: &mut fastrand::Rng) -> Option<()> {
    let one = pick(untouched(evidence), random)?;
    let versions = true_before(evidence, &one)?;
    let call = Call::List {
        subject: one.subject.clone(),
    };
    // One that nobody has asked yet.
    let read = ask(evidence, INSTANCES, call, End::Versions { versions });
    read.min_offset = Some(one.offset);
    Some(())
}

/// A registration is told to be there already after somebody has seen that it is deleted.
fn stale_registration(evidence: &mut Evidence, random: &mut fastrand::Rng) -> Option<()> {
    let mut deleted = registered(evidence);
    deleted.retain(|one| !live_at_end(evidence, &one.subject).contains(&one.version));
    let one = pick(deleted, random)?;
    let versions = live_at_end(evidence, &one.subject);
    let end = match versions.is_empty() {
        true => End::Refused { code: 40401 },
        false => End::Versions { versions },
    };
    let subject = one.subject.clone();
    // Seen on the instance that is asked then; another one might not know yet.
    ask(evidence, 1, Call::List { subject }, end);
    let call = Call::Register {
        subject: one.subject,
        text: one.text,
    };
    let end = End::Registered {
        version: one.version,
        id: one.id,
    };
    ask(evidence, 1, call, end);
    Some(())
}

/// A deletion is refused because there is nothing, after somebody has registered something.
fn stale_refusal(evidence: &mut Evidence, random: &mut fastrand::Rng) -> Option<()> {
    let one = pick(untouched(evidence), random)?;
    let subject = one.subject;
    let end = End::Refused { code: 40401 };
    ask(evidence, INSTANCES, Call::HardDelete { subject }, end);
    Some(())
}

fn delete_nothing(evidence: &mut Evidence, random: &mut fastrand::Rng) -> Option<()> {
    let one = pick(registered(evidence), random)?;
    let versions = vec![one.version, one.version + 700];
    let subject = one.subject;
    ask(
        evidence,
        0,
        Call::SoftDelete { subject },
        End::Versions { versions },
    );
    Some(())
}

fn not_taken_but_done(evidence: &mut Evidence, random: &mut fastrand::Rng) -> Option<()> {
    let one = pick(untouched(evidence), random)?;
    let same = |op: &&mut Op| {
        matches!(&op.call, Call::Register { subject, text }
            if *subject == one.subject && *text == one.text)
    };
    for op in evidence.history.iter_mut().filter(same) {
        op.end = End::NotTaken;
        op.ended = op.ended.or(Some(op.began + 1));
    }
    Some(())
}

fn not_found(evidence: &mut Evidence, random: &mut fastrand::Rng) -> Option<()> {
    let one = pick(untouched(evidence), random)?;
    let call = Call::ById {
        context: context(&one.subject).to_owned(),
        id: one.id,
    };
    let read = ask(evidence, INSTANCES, call, End::Refused { code: 40403 });
    read.min_offset = Some(one.offset);
    Some(())
}

fn early_offset(evidence: &mut Evidence, random: &mut fastrand::Rng) -> Option<()> {
    let one = pick(untouched(evidence), random)?;
    evidence.history[one.op].offset = Some(one.offset - 1);
    Some(())
}
