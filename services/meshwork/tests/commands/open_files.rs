//! How many files a process may have open.

use std::process::{Command, Stdio};

use meshwork_testkit::wait_for;

#[tokio::test]
async fn the_limit_is_raised_as_far_as_may_be() {
    let dir = tempfile::tempdir().unwrap();
    let (addresses, log) = (dir.path().join("addresses"), dir.path().join("log"));
    let mut process = Command::new("sh")
        .args(["-c", "ulimit -Sn 64; exec \"$@\"", "sh"])
        .arg(env!("CARGO_BIN_EXE_meshwork"))
        .args(["run", "--role", "gateway", "--bootstrap-server"])
        .args(["127.0.0.1:1", "--registry-url", "http://127.0.0.1:1"])
        .args(["--gateway-listen", "127.0.0.1:0"])
        .args(["--admin-listen", "127.0.0.1:0", "--addresses-file"])
        .arg(&addresses)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    wait_for("the gateway's addresses", || {
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        assert!(process.try_wait().unwrap().is_none(), "it ended: {said}");
        let is_there = addresses.exists();
        async move { is_there.then_some(()) }
    })
    .await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", process.id())).unwrap();
    process.kill().unwrap();
    process.wait().unwrap();
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .unwrap();
    let limits: Vec<&str> = line.split_whitespace().take(2).collect();
    assert_eq!(limits[0], limits[1], "soft and hard");
    assert_ne!(limits[0], "64");
}
