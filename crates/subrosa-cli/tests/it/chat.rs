use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use crate::{
    driver::{Running, node},
    run::run,
};

fn chat(url: &str, db: &Path, more: &[&str]) -> Running {
    let db = db.to_string_lossy();
    let arguments = [&["chat", "--node", url, "--db", &db][..], more].concat();
    Running::start(&arguments)
}

#[test]
fn two_terminals_talk_over_a_node() {
    let folder = tempfile::tempdir().unwrap();
    let (_node, url) = node();
    let (alices, bobs) = (folder.path().join("alice.db"), folder.path().join("bob.db"));
    let mut alice = chat(&url, &alices, &[]);
    let address = alice.until("you are 0x")["you are ".len()..].to_owned();
    alice.until("no conversations yet");
    for key in ["alice.db.key", "alice.db.wallet"] {
        assert_eq!(fs::metadata(folder.path().join(key)).unwrap().mode() & 0o777, 0o600, "{key}");
    }

    let mut bob = chat(&url, &bobs, &["--to", &address]);
    bob.until("--- 1 @0x");
    bob.write("hello from\u{1b}[31m bob");
    let seen = alice.until("hello from");
    assert!(seen.contains("\\u{1b}[31m") && !seen.contains('\u{1b}'), "{seen:?}");
    alice.write("hello from alice");
    bob.until("hello from alice");

    let inbox = bob_inbox(&mut bob);
    alice.write(&format!("/new \"rose garden\" {inbox}"));
    bob.until("#rose garden");
    alice.write("/name sub rosa");
    bob.until("set group_name to sub rosa");
    alice.write("/dance");
    alice.until("no such command");
    alice.write("/members");
    alice.until("SuperAdmin");
    alice.write("/quit");
    assert!(alice.finish());
    assert!(bob.finish());

    let again = chat(&url, &alices, &[]);
    again.until(&address);
    again.until("#sub rosa");
    assert!(again.finish());
}

fn bob_inbox(bob: &mut Running) -> String {
    bob.write("/me");
    bob.until("inbox   ")["inbox   ".len()..].to_owned()
}

#[test]
fn a_database_without_its_key_gets_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("me.db");
    fs::write(&db, b"something").unwrap();
    let ran = run(&["chat", "--node", "http://127.0.0.1:1", "--db", &db.to_string_lossy()], b"");
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("not its key"), "{}", ran.stderr);
    assert!(!folder.path().join("me.db.key").exists());
}
