use serde_json::{Value, json};

use crate::driver::{Driver, Running, node};

#[test]
fn what_is_no_request_is_answered_with_an_error() {
    let mut drive = Running::start(&["drive"]);
    for (line, id) in [
        ("{", Value::Null),
        (r#"{"id": 7, "op": "dance"}"#, 7.into()),
        (r#"{"id": 8, "op": "list"}"#, 8.into()),
        (r#"{"id": 9, "op": "create", "node": "", "path": "", "db_key": "", "wallet_key": "secret"}"#, 9.into()),
    ] {
        drive.write(line);
        let answer: Value = serde_json::from_str(&drive.line()).unwrap();
        assert_eq!(answer["id"], id, "{answer}");
        assert!(answer["error"].is_string(), "{answer}");
        assert!(!answer.to_string().contains("secret"), "{answer}");
    }
    assert!(drive.finish());
}

/// Kills a client at a point of adding somebody, starts it again, and looks whether the addition happened, once.
fn survives(point: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (_node, url) = node();
    let mut alice = Driver::open(&url, folder.path(), 1);
    let mut bob = Driver::open(&url, folder.path(), 2);
    let mut carol = Driver::open(&url, folder.path(), 3);
    let made = alice.call(json!({ "op": "create_group", "inboxes": [bob.inbox], "name": "before" }));
    let group = made["group"].as_str().unwrap().to_owned();
    let epoch = |driver: &mut Driver| driver.call(json!({ "op": "info", "group": group }))["epoch"].as_u64().unwrap();
    let before = epoch(&mut alice);

    alice.call(json!({ "op": "halt_after", "point": point }));
    alice.ask(json!({ "op": "add", "group": group, "inboxes": [carol.inbox] }));
    assert_eq!(alice.answer(), json!({ "halted": point }));
    alice.process.kill();

    let mut alice = Driver::open(&url, folder.path(), 1);
    alice.call(json!({ "op": "sync", "group": group }));
    assert_eq!(epoch(&mut alice), before + 1, "{point}");
    alice.call(json!({ "op": "send", "group": group, "text": "all here?" }));
    let alices = alice.call(json!({ "op": "info", "group": group }));
    assert_eq!(alices["members"].as_array().unwrap().len(), 3, "{point}");
    for other in [&mut bob, &mut carol] {
        other.call(json!({ "op": "sync_all" }));
        other.call(json!({ "op": "sync", "group": group }));
        let seen = other.call(json!({ "op": "info", "group": group }));
        for fact in ["epoch", "authenticator", "members", "name", "messages"] {
            assert_eq!(seen[fact], alices[fact], "{point}: {fact}");
        }
    }
    alice.call(json!({ "op": "exit" }));
    assert!(alice.process.finish());
}

#[test]
fn a_client_killed_before_its_commit_left_sends_it_after_all() {
    survives("stored");
}

#[test]
fn a_client_killed_before_it_saw_its_commit_finds_it_in_the_log() {
    survives("published");
}

#[test]
fn a_client_killed_before_its_welcomes_left_sends_them_after_all() {
    survives("committed");
}
