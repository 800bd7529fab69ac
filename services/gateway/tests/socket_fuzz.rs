//! Damaged bytes on the client's side of the socket: nothing panics, leaks or grows.
//!
//! `MESHWORK_FUZZ_SECONDS=600 cargo test -p meshwork-gateway --test socket_fuzz` goes on for ten
//! minutes (`make fuzz-socket`); without it a fixed number of connections is made.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

#[path = "socket_fuzz/honest.rs"]
mod honest;
#[path = "gateway/mesh.rs"]
#[allow(dead_code, reason = "shared with the other tests, which use all of it")]
mod mesh;
#[path = "gateway/raw.rs"]
#[allow(dead_code, reason = "shared with the other tests, which use all of it")]
mod raw;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, ApiVersionsResponse};
use meshwork_gateway::Config;
use meshwork_model::mesh::announcement::EnforcementMode;
use meshwork_model::units::{ByteSize, HumanDuration};
use meshwork_wire::Codec;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use mesh::{Gateway, Product};
use raw::{Raw, batch};

/// Connections without `MESHWORK_FUZZ_SECONDS`.
const CONNECTIONS: u64 = 2_000;
/// Connections at a time.
const AT_A_TIME: usize = 16;
/// What the process may grow by: buffers of the gateway's limits below, the allocator's arenas, and
/// Kafka's own client in this process.
const GROWTH_KIB: u64 = 192 << 10;

static PANICS: AtomicU64 = AtomicU64::new(0);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_a_client_sends_panics_or_grows() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, Ordering::SeqCst);
        hook(info);
    }));
    let product = Product::new(EnforcementMode::Reject).await;
    let gateway = Gateway::start(Config {
        stalled_after: HumanDuration::from_secs(1),
        max_held_bytes: ByteSize::from_bytes(16 << 20),
        max_produce_bytes: ByteSize::from_bytes(4 << 20),
        max_decompressed_bytes: ByteSize::from_bytes(4 << 20),
        ..Config::default()
    })
    .await;
    let seed = std::env::var("MESHWORK_FUZZ_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| fastrand::u64(..));
    println!("MESHWORK_FUZZ_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let honest = honest::requests(&product, &gateway).await;
    // What one round allocates for good is allocated before it is measured.
    for _ in 0..200 {
        attack(&gateway.address, &damaged(&mut random, &honest), 0).await;
    }
    let before = resident_kib();
    let until = std::env::var("MESHWORK_FUZZ_SECONDS")
        .ok()
        .and_then(|seconds| seconds.parse().ok())
        .map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut made = 0u64;
    let mut greatest = before;
    while until.map_or(made < CONNECTIONS, |until| Instant::now() < until) {
        let mut round = tokio::task::JoinSet::new();
        for _ in 0..AT_A_TIME {
            let (address, bytes) = (gateway.address.clone(), damaged(&mut random, &honest));
            let cut = random.usize(..4);
            round.spawn(async move { attack(&address, &bytes, cut).await });
            made += 1;
        }
        round.join_all().await;
        greatest = greatest.max(resident_kib());
    }
    println!("{made} connections, resident {before} KiB before, {greatest} KiB at most");
    assert_eq!(PANICS.load(Ordering::SeqCst), 0, "seed {seed}");
    assert!(
        greatest < before + GROWTH_KIB,
        "grew from {before} to {greatest} KiB, seed {seed}"
    );
    // It serves as before, and nothing is left of them.
    let mut raw = Raw::connect(&gateway.address).await;
    let request = ApiVersionsRequest::default();
    let answer: ApiVersionsResponse = raw.ask(ApiKey::ApiVersions, 0, &request).await.unwrap();
    assert_eq!(answer.error_code, 0);
    let good = batch(Codec::None, &[product.flight("a")]);
    assert_eq!(raw.produce(9, product.topic(), &good).await.0, 0);
    meshwork_testkit::wait_until("the connections to be gone", || async {
        gateway.metric("meshwork_gateway_connections") <= 1
    })
    .await;
    drop(raw);
    gateway.stop().await;
}

/// Sends the bytes, in pieces, and reads what comes until the end, or for a moment.
async fn attack(address: &str, bytes: &[u8], cut: usize) {
    let Ok(mut stream) = TcpStream::connect(address).await else {
        return;
    };
    for piece in bytes.chunks((bytes.len() / (cut + 1)).max(1)) {
        if stream.write_all(piece).await.is_err() {
            return;
        }
    }
    let _ = stream.shutdown().await;
    let mut sink = vec![0; 64 << 10];
    let read = async { while stream.read(&mut sink).await.is_ok_and(|n| n > 0) {} };
    let _ = tokio::time::timeout(Duration::from_secs(20), read).await;
}

/// A few of them one behind the other, damaged.
fn damaged(random: &mut fastrand::Rng, honest: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..random.usize(1..4) {
        let at = bytes.len();
        bytes.extend_from_slice(&honest[random.usize(..honest.len())]);
        let frame = &mut bytes[at..];
        match random.u8(..8) {
            0 => {}
            // A length that is not true.
            1 => {
                let claimed =
                    [u32::MAX, 0, 7, 1 << 20, 99 << 20, random.u32(..)][random.usize(..6)];
                frame[..4].copy_from_slice(&claimed.to_be_bytes());
            }
            // Another API or version under the same body.
            2 => frame[5] = random.u8(..95),
            3 => frame[7] = random.u8(..20),
            // Lengths and counts within.
            4 => {
                let from = random.usize(8..frame.len());
                for byte in frame.iter_mut().skip(from).take(random.usize(1..9)) {
                    *byte = [0xff, 0x7f, 0x80, 0][random.usize(..4)];
                }
            }
            _ => {
                for _ in 0..random.usize(1..6) {
                    let at = random.usize(4..frame.len());
                    frame[at] ^= 1 << random.u8(..8);
                }
            }
        }
    }
    if random.u8(..4) == 0 {
        bytes.truncate(random.usize(..bytes.len()));
    }
    bytes
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
