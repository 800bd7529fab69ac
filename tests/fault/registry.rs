//! The registry under faults: three instances, three brokers. What was acknowledged is compared with
//! what is there by `meshwork_tests::oracle`. A failure says whether something was violated or could
//! not be judged, and leaves history, logs and data where it says.

mod chaos;
mod elections;
mod reads;
mod restart;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use meshwork_tests::history::{Call, End};
use meshwork_tests::registry::{Client, Heard, Mesh, Violated};

/// Longest that a step may take on a busy machine.
const DEADLINE: Duration = Duration::from_secs(120);

/// Who asks, where a scenario itself does.
const SELF: usize = 1_000;

/// Runs a scenario on a mesh of its own.
fn scenario(name: &str, instances: usize, body: impl AsyncFnOnce(&Arc<Mesh>) -> Result<()>) {
    let _turn = crate::TURN.blocking_lock();
    let started = Instant::now();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let failed = runtime.block_on(async {
        let mesh = match Mesh::start(&format!("schemas-{name}"), instances).await {
            Ok(mesh) => Arc::new(mesh),
            Err(error) => return Some(told(&error)),
        };
        let done = body(&mesh).await;
        let Err(error) = done else {
            return None;
        };
        let tails: String = mesh
            .instances()
            .iter()
            .map(|i| format!("\n--- instance {}\n{}", i.number(), i.tail()))
            .collect();
        let kept = Arc::into_inner(mesh).map(Mesh::keep);
        Some(format!("{}\nkept: {kept:?}{tails}", told(&error)))
    });
    drop(runtime);
    println!("{name}: {} s", started.elapsed().as_secs());
    if let Some(why) = failed {
        panic!("{name}: {why}");
    }
}

fn told(error: &anyhow::Error) -> String {
    if error.is::<Violated>() {
        format!("{error:#}")
    } else {
        format!("could not judge: {error:#}")
    }
}

/// Something that must hold.
macro_rules! hold {
    ($holds:expr, $($message:tt)*) => {
        if !$holds {
            return Err(meshwork_tests::registry::Violated(format!($($message)*)).into());
        }
    };
}
use hold;

fn register(subject: &str, field: &str) -> Call {
    Call::Register {
        subject: subject.to_owned(),
        text: text(field),
    }
}

/// A schema that goes with every other one of these.
fn text(field: &str) -> String {
    format!(
        r#"{{"type":"record","name":"R","fields":[{{"name":"{field}","type":"int","default":0}}]}}"#
    )
}

/// Asks until a request is answered for good.
async fn until_done(mesh: &Mesh, client: &Client, instance: usize, call: &Call) -> Result<Heard> {
    let until = Instant::now() + DEADLINE;
    loop {
        let heard = mesh.ask((client, SELF), instance, call, None).await?;
        if !matches!(heard.end, End::NotTaken | End::Unknown) {
            return Ok(heard);
        }
        anyhow::ensure!(
            Instant::now() < until,
            "instance {instance} did not answer {call:?} within {} s: {heard:?}",
            DEADLINE.as_secs()
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Version, id and offset of a registration.
fn registered(heard: &Heard) -> Result<(i32, i32, i64)> {
    let End::Registered { version, id } = heard.end else {
        anyhow::bail!("no registration: {heard:?}");
    };
    let offset = heard
        .offset
        .context("a registration without Meshwork-Offset")?;
    Ok((version, id, offset))
}
