//! Writers that die or sleep at the worst moment.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use meshwork_kafka::{OwnedOutRecord, TransactionalOptions, TransactionalProducer};
use meshwork_tests::history::{Call, End};
use meshwork_tests::oracle::{LogRecord, elections};
use meshwork_tests::registry::{Client, Instance, Mesh, Tail, judge};

use super::{DEADLINE, SELF, hold, register, registered, scenario, text, until_done};

/// How often a moment is tried to be hit.
const TRIES: usize = 4;

/// How long an open transaction of a stopped writer may stay open.
const SETTLED: Duration = Duration::from_secs(2);

fn writer(mesh: &Mesh) -> Result<Instance> {
    mesh.writer().context("nobody is in office").cloned()
}

fn speaks_of(record: &LogRecord, text: &str) -> Option<i32> {
    let value: serde_json::Value = serde_json::from_slice(record.value.as_deref()?).ok()?;
    if value.get("schema")?.as_str()? != text {
        return None;
    }
    i32::try_from(value.get("id")?.as_i64()?).ok()
}

/// Fault 3: the writer is killed between produce and answer. A retry gives the id that the log has;
/// where the transaction was not committed, another one, never the same.
#[test]
fn killed_between_produce_and_answer() {
    scenario("between", 3, async |mesh| {
        let client = Client::new(DEADLINE)?;
        let all = Tail::start(&mesh.kafka(), mesh.topic(), false)?;
        let (mut kept, mut aborted) = (0, 0);
        for round in 0..TRIES {
            let writer = writer(mesh)?;
            let field = format!("f{round}");
            let call = register(&format!("s{round}"), &field);
            let asking = {
                let (mesh, client, call) = (mesh.clone(), client.clone(), call.clone());
                let number = writer.number();
                tokio::spawn(async move { mesh.ask((&client, SELF), number, &call, None).await })
            };
            let wanted = text(&field);
            let record = all
                .wait_for("the registration", DEADLINE, |record| {
                    speaks_of(record, &wanted).is_some()
                })
                .await?;
            writer.pause()?;
            let logged = speaks_of(&record, &wanted).context("no id")?;
            // The commit may be on its way.
            let is_committed = mesh
                .committed()
                .wait_for("the commit", SETTLED, |r| r.offset == record.offset)
                .await
                .is_ok();
            let terms = mesh.terms();
            writer.kill()?;
            writer.start()?;
            let heard = asking.await??;
            let next = mesh.next_writer(terms).await?.number();
            let (version, id, _) = registered(&until_done(mesh, &client, next, &call).await?)?;
            hold!(version == 1, "the retry made version {version}");
            hold!(
                (id == logged) == is_committed,
                "the log had id {logged} (committed: {is_committed}), and the retry gave {id}"
            );
            println!(
                "round {round}: committed {is_committed}, answered {:?}",
                heard.end
            );
            if heard.end == End::Unknown {
                *if is_committed {
                    &mut kept
                } else {
                    &mut aborted
                } += 1;
            }
            if kept > 0 && round > 0 {
                break;
            }
        }
        println!("unanswered: {kept} committed, {aborted} aborted");
        anyhow::ensure!(kept > 0, "no kill fell between produce and answer");
        mesh.heal().await?;
        judge(mesh).await?;
        Ok(())
    });
}

/// Fault 4: the writer and the broker that leads the partition die together. Changes are answered
/// 503, to be tried again; reads go on; another instance takes over on what is left.
#[test]
fn writer_and_leader_die_together() {
    scenario("together", 3, async |mesh| {
        let client = Client::new(DEADLINE)?;
        let writer = writer(mesh)?;
        let call = register("before", "f0");
        let before = mesh
            .ask((&client, SELF), writer.number(), &call, None)
            .await?;
        let (_, id, offset) = registered(&before)?;
        let read = Call::ById {
            context: ".".to_owned(),
            id,
        };
        let others: Vec<usize> = (0..3).filter(|i| *i != writer.number()).collect();
        for other in &others {
            mesh.ask((&client, SELF), *other, &read, Some(offset))
                .await?;
        }
        let states = mesh
            .cluster()
            .admin()
            .partition_states(mesh.topic())
            .await?;
        let leader = states.first().and_then(|s| s.leader).context("no leader")?;
        let leader = usize::try_from(leader)?;
        let dev = mesh.cluster().dev();
        writer.kill()?;
        tokio::task::spawn_blocking(move || dev.kill(leader)).await??;

        let until = Instant::now() + DEADLINE;
        let (mut refused, mut reads) = (0, 0);
        // By instance: one may hear of the new writer later than the other.
        let mut done = BTreeMap::<usize, usize>::new();
        for number in 0.. {
            let other = *others.get(number % 2).context("two others")?;
            let done_here = done.entry(other).or_default();
            let began = Instant::now();
            let heard = mesh.ask((&client, SELF), other, &read, None).await?;
            hold!(
                heard.end == End::Text { text: text("f0") },
                "a read was answered {heard:?} after {:?}",
                began.elapsed()
            );
            reads += 1;
            let call = register("during", &format!("f{}", number + 1));
            let heard = mesh.ask((&client, SELF), other, &call, None).await?;
            match heard.end {
                End::Registered { .. } => *done_here += 1,
                _ => {
                    hold!(
                        heard.status.0 == 503 && heard.retry_after,
                        "a change was answered {heard:?}"
                    );
                    hold!(
                        *done_here == 0,
                        "instance {other} took changes, and then no more: {heard:?}"
                    );
                    refused += 1;
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
            if others
                .iter()
                .all(|other| done.get(other).is_some_and(|done| *done >= 5))
            {
                break;
            }
            anyhow::ensure!(Instant::now() < until, "nobody took over: {heard:?}");
        }
        println!("{refused} changes refused, {reads} reads answered, changes taken: {done:?}");
        anyhow::ensure!(refused > 0, "another instance took over unnoticed");
        mesh.heal().await?;
        judge(mesh).await?;
        Ok(())
    });
}

/// Fault 5: the writer is stopped until another one has written, and goes on. Nothing that it still
/// wanted to write comes into the log, it answers nothing from what it knew, and it follows.
#[test]
fn a_writer_that_slept_is_fenced() {
    scenario("fenced", 3, async |mesh| {
        let client = Client::new(DEADLINE)?;
        let old = writer(mesh)?;
        for subject in ["known", "revived"] {
            until_done(mesh, &client, old.number(), &register(subject, "f0")).await?;
        }
        let delete = Call::SoftDelete {
            subject: "revived".to_owned(),
        };
        until_done(mesh, &client, old.number(), &delete).await?;
        // Some are in the middle of being written when it is stopped.
        let mut asking = Vec::new();
        for number in 0..20 {
            let call = register("late", &format!("f{number}"));
            asking.push(ask_apart(mesh, &client, &old, call));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        let terms = mesh.terms();
        old.pause()?;
        let new = mesh.next_writer(terms).await?.clone();
        for subject in ["known", "revived"] {
            until_done(mesh, &client, new.number(), &register(subject, "f1")).await?;
        }
        // These wait for it: new content, what is there, and what it would refuse by what it knew.
        for call in [register("late", "f90"), register("known", "f0"), delete] {
            asking.push(ask_apart(mesh, &client, &old, call));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        old.resume()?;
        for asked in asking {
            let heard = asked.await??;
            println!("{:?} {:?}", heard.status, heard.end);
        }
        // It follows: what it is asked, the new one writes.
        for number in 0..5 {
            let call = register("after", &format!("f{number}"));
            let heard = until_done(mesh, &client, old.number(), &call).await?;
            hold!(matches!(heard.end, End::Registered { .. }), "{heard:?}");
        }
        let evidence = judge(mesh).await?;
        // Not even an aborted record of the old one comes after the new one's election.
        let elections = elections(&evidence.committed);
        let office = elections.get(terms).context("the new writer's office")?;
        let ends = elections
            .get(terms + 1)
            .map_or(i64::MAX, |next| next.offset);
        let own = own_name(&evidence.committed, office.offset)?;
        let foreign = evidence.uncommitted.iter().find(|record| {
            (office.offset..ends).contains(&record.offset)
                && record.writer.as_deref() != Some(&*own)
        });
        hold!(
            foreign.is_none(),
            "after {own} took office, somebody else wrote: {foreign:?}"
        );
        Ok(())
    });
}

fn own_name(records: &[LogRecord], offset: i64) -> Result<String> {
    records
        .iter()
        .find(|record| record.offset == offset)
        .and_then(|record| record.writer.clone())
        .context("the record of an election names its writer in a header")
}

type Asked = tokio::task::JoinHandle<Result<meshwork_tests::registry::Heard>>;

fn ask_apart(
    mesh: &std::sync::Arc<Mesh>,
    client: &Client,
    instance: &Instance,
    call: Call,
) -> Asked {
    let (mesh, client, number) = (mesh.clone(), client.clone(), instance.number());
    tokio::spawn(async move { mesh.ask((&client, SELF), number, &call, None).await })
}

/// Ids of aborted records are never given: other registries apply such records.
#[test]
fn ids_of_aborted_records_are_never_given() {
    scenario("aborted", 2, async |mesh| {
        let client = Client::new(DEADLINE)?;
        let old = writer(mesh)?;
        let heard = until_done(mesh, &client, old.number(), &register("s", "f0")).await?;
        let (_, before, _) = registered(&heard)?;
        // A writer that gave an id and could not commit: the second record can't be written.
        let spent = before + 500;
        let key = r#"{"keytype":"SCHEMA","subject":"s","version":2,"magic":1}"#;
        let value = serde_json::json!({
            "subject": "s", "version": 2, "id": spent, "schema": text("f1"), "deleted": false,
        });
        let producer = TransactionalProducer::open(
            &mesh.kafka(),
            "test-aborted",
            TransactionalOptions::default(),
        )
        .await?;
        let mut records = vec![OwnedOutRecord::new(
            mesh.topic(),
            Some(key.into()),
            Some(value.to_string().into()),
        )];
        records.push(OwnedOutRecord::new("no-such-topic", None, None));
        let aborted = producer.commit_all(records).await;
        anyhow::ensure!(aborted.is_err(), "the transaction was not aborted");
        let all = Tail::start(&mesh.kafka(), mesh.topic(), false)?;
        all.wait_for("the aborted record", DEADLINE, |record| {
            speaks_of(record, &text("f1")) == Some(spent)
        })
        .await?;

        let terms = mesh.terms();
        old.kill()?;
        let new = mesh.next_writer(terms).await?.number();
        let heard = until_done(mesh, &client, new, &register("s", "f2")).await?;
        let (version, id, _) = registered(&heard)?;
        hold!(
            id > spent,
            "id {id} was given; an aborted record holds {spent}"
        );
        hold!(
            version == 2,
            "version {version}: an aborted record was applied"
        );
        let heard = until_done(mesh, &client, new, &register("s", "f1")).await?;
        let (_, id, _) = registered(&heard)?;
        hold!(id > spent + 1, "the aborted record's text got id {id}");
        mesh.heal().await?;
        judge(mesh).await?;
        Ok(())
    });
}
