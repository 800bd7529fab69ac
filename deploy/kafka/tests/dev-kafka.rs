//! The brokers themselves: that they come, go, and never outlive who started them. What clients see
//! of them is tested in `crates/kafka`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use meshwork_dev_kafka::{DevKafka, DevKafkaError, DevKafkaOptions, Nodes};

const DEADLINE: Duration = Duration::from_secs(60);
/// Set for the process that is to be killed.
const VICTIM: &str = "MESHWORK_TEST_VICTIM_DIR";
/// Set where its data is to go with it.
const DISCARD: &str = "MESHWORK_TEST_VICTIM_DISCARD";

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited {DEADLINE:?} for {what}");
        sleep(Duration::from_millis(20));
    }
}

/// State letter of a process, or `None` when it is gone.
fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(") ").next()?.chars().next()
}

fn serves(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

#[test]
fn a_node_is_killed_started_paused_resumed_and_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let kafka = DevKafka::start(DevKafkaOptions::new(dir.path())).unwrap();
    let port = kafka.port(1).unwrap();
    let pid = kafka.pid(1).unwrap();
    assert!(serves(port));
    assert_eq!(kafka.bootstrap_servers(), format!("127.0.0.1:{port}"));

    kafka.pause(1).unwrap();
    wait_until("the broker to be stopped by SIGSTOP", || {
        state(pid) == Some('T')
    });
    kafka.resume(1).unwrap();
    wait_until("the broker to run on", || !matches!(state(pid), Some('T')));

    kafka.kill(1).unwrap();
    assert_eq!(state(pid), None);
    assert!(matches!(
        kafka.pause(1),
        Err(DevKafkaError::NotRunning { node: 1 })
    ));
    kafka.start_node(1).unwrap();
    assert!(serves(port));

    let moved = kafka.move_node(1).unwrap();
    assert_ne!(moved, port);
    assert_eq!(kafka.port(1), Some(moved));
    assert!(serves(moved) && !serves(port));
    let port = moved;

    kafka.stop();
    assert!(!serves(port));
    let log = std::fs::read_to_string(kafka.log_file(1)).unwrap();
    assert!(
        log.contains("shut down completed"),
        "not a clean stop: {log}"
    );

    assert!(matches!(
        kafka.kill(2),
        Err(DevKafkaError::NoSuchNode { node: 2, nodes: 1 })
    ));
}

#[test]
fn three_nodes_serve_and_leave_together() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = DevKafkaOptions::new(dir.path());
    options.nodes = Nodes::Three;
    let kafka = DevKafka::start(options).unwrap();
    let pids: Vec<u32> = (1..=3).map(|node| kafka.pid(node).unwrap()).collect();
    assert_eq!(kafka.bootstrap_servers().split(',').count(), 3);
    drop(kafka);
    for pid in pids {
        assert_eq!(state(pid), None);
    }

    let one = DevKafka::start(DevKafkaOptions::new(dir.path()));
    match one {
        Err(DevKafkaError::Ended { said, .. }) => assert!(said.contains("KAFKA_NODES=3"), "{said}"),
        other => panic!("a directory of three nodes was taken for one: {other:?}"),
    }
}

#[test]
fn a_taken_port_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut options = DevKafkaOptions::new(dir.path());
    options.port = Some(port);
    let error = DevKafka::start(options).unwrap_err();
    assert!(matches!(error, DevKafkaError::PortTaken { node: 1, port: p } if p == port));
    assert!(error.to_string().contains(&port.to_string()));
}

/// Not a test of its own: the process that `a_killed_parent_leaves_no_broker` kills.
#[test]
fn victim() {
    let Some(dir) = std::env::var_os(VICTIM) else {
        return;
    };
    let mut options = DevKafkaOptions::new(Path::new(&dir));
    options.discard = std::env::var_os(DISCARD).is_some();
    let kafka = DevKafka::start(options).unwrap();
    println!("\nbroker {}", kafka.pid(1).unwrap());
    sleep(DEADLINE);
}

/// Starts a process that starts a broker; gives both.
fn start_victim(dir: &Path, discard: bool) -> (Child, u32) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "victim", "--nocapture"])
        .env(VICTIM, dir)
        .stdout(Stdio::piped());
    if discard {
        command.env(DISCARD, "1");
    }
    let mut parent = command.spawn().unwrap();
    let pid = BufReader::new(parent.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("broker ")?.parse().ok())
        .unwrap();
    assert!(state(pid).is_some());
    (parent, pid)
}

#[test]
fn a_killed_parent_leaves_no_broker_and_the_next_start_waits_for_its_lock() {
    let dir = tempfile::tempdir().unwrap();
    let (mut parent, pid) = start_victim(dir.path(), false);
    // `Child::kill` is SIGKILL: nothing of the parent runs after it.
    parent.kill().unwrap();
    parent.wait().unwrap();

    let kafka = DevKafka::start(DevKafkaOptions::new(dir.path())).unwrap();
    assert_eq!(state(pid), None, "the killed parent's broker still runs");
    assert!(serves(kafka.port(1).unwrap()));
}

#[test]
fn what_is_to_be_discarded_goes_with_a_killed_parent_but_not_with_a_killed_broker() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let (mut parent, pid) = start_victim(&data, true);
    parent.kill().unwrap();
    parent.wait().unwrap();
    wait_until("broker and data to be gone", || {
        state(pid).is_none() && !data.exists()
    });

    let mut options = DevKafkaOptions::new(&data);
    options.discard = true;
    let kafka = DevKafka::start(options).unwrap();
    kafka.kill(1).unwrap();
    assert!(data.exists());
    kafka.start_node(1).unwrap();
    kafka.stop();
    assert!(data.exists());
    drop(kafka);
    assert!(!data.exists());
}

#[test]
fn a_killed_wrapper_takes_its_broker_along() {
    let dir = tempfile::tempdir().unwrap();
    let kafka = DevKafka::start(DevKafkaOptions::new(dir.path())).unwrap();
    let pid = kafka.pid(1).unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let wrapper = stat
        .rsplit(") ")
        .next()
        .unwrap()
        .split(' ')
        .nth(1)
        .unwrap()
        .to_owned();
    let killed = Command::new("kill")
        .args(["-9", &wrapper])
        .status()
        .unwrap();
    assert!(killed.success());
    wait_until("the broker to follow its wrapper", || state(pid).is_none());
    assert_eq!(kafka.pid(1), None);
}
