//! The demo, killed again and again.

use meshwork_tests::Demo;

/// Simulated minutes at which the run is killed: seeded, so that a failure can be seen again, and
/// spread over the month; two lie in meteorology's silence and its alert.
const KILLED_AT: [&str; 4] = [
    "2013-01-04T17:31",
    "2013-01-15T12:40",
    "2013-01-15T17:59",
    "2013-01-27T03:12",
];

/// One run whole; one killed with kill -9 five times, once during apply. Nothing acknowledged may be
/// lost or counted twice, so the summaries are equal, budgets included.
#[test]
fn kill_nine_changes_nothing() {
    let _turn = crate::TURN.blocking_lock();
    let whole = tempfile::tempdir().unwrap();
    let whole = Demo::start(whole.path(), &[]).unwrap().end().unwrap();
    assert!(whole.success, "{}", whole.stderr.join("\n"));

    let dir = tempfile::tempdir().unwrap();
    let mut demo = Demo::start(dir.path(), &[]).unwrap();
    demo.wait_for("apply", |line| line.starts_with("demo: applied "))
        .unwrap();
    demo.kill().unwrap();
    for at in KILLED_AT {
        let mut demo = Demo::start(dir.path(), &[]).unwrap();
        demo.wait_for(at, |line| {
            line.strip_prefix("demo: clock ")
                .is_some_and(|clock| clock >= at)
        })
        .unwrap();
        demo.kill().unwrap();
    }
    let killed = Demo::start(dir.path(), &[]).unwrap().end().unwrap();
    assert!(killed.success, "{}", killed.stderr.join("\n"));
    assert_eq!(killed.summary, whole.summary);
}
