use super::*;
use crate::snapshot::Scan;

fn options() -> StoreOptions {
    StoreOptions::new("test", 1, &["things", "other"])
}

fn reopen(dir: &Path) -> (Store, Opened) {
    Store::open(dir, &options()).expect("opens")
}

/// A store with one thing and one offset in it.
fn filled(dir: &Path) {
    let (store, opened) = reopen(dir);
    assert_eq!(opened, Opened::Created);
    let mut batch = store.write();
    batch.put("things", b"a", b"1");
    batch.set_offset("mesh.observations", 3, 42);
    store.commit(batch).expect("commits");
}

#[test]
fn data_and_offsets_are_kept_together() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("store");
    filled(&dir);
    let (store, opened) = reopen(&dir);
    assert_eq!(opened, Opened::Existing);
    assert_eq!(
        store.get("things", b"a").unwrap().as_deref(),
        Some(&b"1"[..])
    );
    assert_eq!(store.offset("mesh.observations", 3).unwrap(), Some(42));
    assert_eq!(store.offset("mesh.observations", 4).unwrap(), None);
    assert_eq!(
        store.offsets().unwrap(),
        [("mesh.observations".to_owned(), 3, 42)]
    );
}

#[test]
fn scans_give_keys_in_order_and_stop_at_the_prefix() {
    let tmp = tempfile::tempdir().unwrap();
    let (store, _) = reopen(tmp.path());
    let mut batch = store.write();
    for key in [&b"b\xff\xff"[..], b"a", b"b", b"c", b"b\x00"] {
        batch.put("things", key, b"");
    }
    batch.put("other", b"bz", b"");
    store.commit(batch).unwrap();
    let keys = |prefix: &[u8]| -> Vec<Vec<u8>> {
        let scan = store.scan_prefix("things", prefix).unwrap();
        scan.map(|e| e.unwrap().0.to_vec()).collect()
    };
    assert_eq!(keys(b"b"), [&b"b"[..], b"b\x00", b"b\xff\xff"]);
    assert_eq!(keys(b"").len(), 5);
    assert!(keys(b"\xff").is_empty());

    let mut batch = store.write();
    batch.delete_range("things", b"b", b"c");
    batch.delete("things", b"a");
    store.commit(batch).unwrap();
    assert_eq!(keys(b""), [b"c"]);
}

#[test]
fn a_family_that_is_not_there_fails_the_whole_batch() {
    let tmp = tempfile::tempdir().unwrap();
    let (store, _) = reopen(tmp.path());
    let mut batch = store.write();
    batch.put("things", b"a", b"1");
    batch.put("nowhere", b"a", b"1");
    let err = store.commit(batch).unwrap_err();
    assert!(matches!(err, StateError::NoFamily { .. }), "{err}");
    assert_eq!(store.get("things", b"a").unwrap(), None);
}

/// What is done to a store, and that it is then set aside, once, and bounded in number.
#[test]
fn a_store_that_cannot_be_used_is_set_aside() {
    type Damage = fn(&Path);
    let cases: [(&str, Damage); 6] = [
        ("CURRENT is garbled", |d| {
            fs::write(d.join("CURRENT"), b"\xff\xfegarbage").unwrap();
        }),
        ("CURRENT is missing", |d| {
            fs::remove_file(d.join("CURRENT")).unwrap();
        }),
        ("the manifest is missing", |d| {
            for file in manifests(d) {
                fs::remove_file(file).unwrap();
            }
        }),
        ("the manifest is garbled", |d| {
            for file in manifests(d) {
                let len = fs::metadata(&file).unwrap().len();
                fs::write(&file, vec![0x5a; usize::try_from(len).unwrap()]).unwrap();
            }
        }),
        ("another format", |d| {
            let other = StoreOptions {
                format: 2,
                ..options()
            };
            let (store, _) = Store::open(d, &other).unwrap();
            drop(store);
        }),
        ("a garbled offset", |d| {
            let (store, _) = reopen(d);
            let mut batch = store.write();
            batch.put(META, offset_key("t", 0), b"xyz");
            store.commit(batch).unwrap();
        }),
    ];
    for (what, damage) in cases {
        let tmp = tempfile::tempdir().unwrap();
        let dir = tmp.path().join("store");
        filled(&dir);
        damage(&dir);
        let (store, opened) = reopen(&dir);
        assert!(
            matches!(opened, Opened::SetAside { .. } | Opened::Existing),
            "{what}: {opened:?}"
        );
        if what == "another format" {
            // The other version set ours aside, and we set its store aside in turn.
            assert!(dir.with_file_name("store.corrupt-2").exists(), "{what}");
        } else {
            assert!(dir.with_file_name("store.corrupt-1").exists(), "{what}");
        }
        assert_eq!(store.get("things", b"a").unwrap(), None, "{what}");
        assert_eq!(store.offsets().unwrap(), [], "{what}");
        drop(store);
        assert_eq!(reopen(&dir).1, Opened::Existing, "{what}");
    }
}

fn manifests(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| {
            p.file_name()
                .is_some_and(|n| n.to_string_lossy().starts_with("MANIFEST"))
        })
        .collect()
}

#[test]
fn stores_set_aside_do_not_pile_up() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("store");
    for round in 1..=5 {
        let (store, _) = reopen(&dir);
        drop(store);
        fs::write(dir.join("CURRENT"), b"garbage").unwrap();
        let (_, opened) = reopen(&dir);
        let Opened::SetAside { to, .. } = opened else {
            panic!("{opened:?}");
        };
        assert!(to.ends_with(format!("store.corrupt-{round}")), "{to:?}");
    }
    let mut left: Vec<String> = fs::read_dir(tmp.path())
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    left.sort();
    assert_eq!(left, ["store", "store.corrupt-4", "store.corrupt-5"]);
}

#[test]
fn a_store_in_use_is_left_alone() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("store");
    let (_store, _) = reopen(&dir);
    let err = Store::open(&dir, &options()).unwrap_err();
    assert!(matches!(err, StateError::Locked { .. }), "{err}");
    assert!(dir.join("CURRENT").exists());
}

#[test]
fn health_shows_no_failure_where_there_is_none() {
    let tmp = tempfile::tempdir().unwrap();
    let (store, _) = reopen(tmp.path());
    let health = store.health();
    assert!(!health.degraded);
    assert_eq!(health.failed_commits, 0);
    assert_eq!(health.background_errors, 0);
}

#[test]
fn prefix_ends() {
    assert_eq!(after_prefix(b"ab"), Some(b"ac".to_vec()));
    assert_eq!(after_prefix(b"a\xff"), Some(b"b".to_vec()));
    assert_eq!(after_prefix(b"\xff"), None);
    assert_eq!(after_prefix(b""), None);
}

#[test]
fn a_snapshot_is_of_its_moment_and_is_scanned_both_ways() {
    let tmp = tempfile::tempdir().unwrap();
    let (store, _) = reopen(tmp.path());
    let mut batch = store.write();
    for key in [&b"a"[..], b"b", b"b\x00", b"b\xff\xff", b"c"] {
        batch.put("things", key, b"old");
    }
    store.commit(batch).unwrap();
    let snapshot = store.snapshot();
    let mut batch = store.write();
    batch.put("things", b"b", b"new");
    batch.put("things", b"bz", b"new");
    batch.delete("things", b"b\xff\xff");
    store.commit(batch).unwrap();

    let keys = |scan: Scan| -> Vec<Vec<u8>> {
        let entries = snapshot.scan("things", scan).unwrap();
        entries.map(|e| e.unwrap().0.to_vec()).collect()
    };
    let mut expected = vec![b"b".to_vec(), b"b\x00".to_vec(), b"b\xff\xff".to_vec()];
    assert_eq!(keys(Scan::prefix(*b"b")), expected);
    expected.reverse();
    assert_eq!(keys(Scan::prefix(*b"b").backward().once()), expected);
    assert_eq!(
        keys(Scan::range(*b"b\x00", None)),
        [&b"b\x00"[..], b"b\xff\xff", b"c"]
    );
    assert_eq!(
        keys(Scan::range(*b"a", Some(b"b".to_vec())).backward()),
        [b"a"]
    );
    assert_eq!(
        snapshot.get("things", b"b").unwrap().as_deref(),
        Some(&b"old"[..])
    );
    assert_eq!(snapshot.get("things", b"bz").unwrap(), None);
    assert!(snapshot.get("absent", b"b").is_err());
}
