//! `subrosa verify inbox`.

use std::fs;

use serde_json::{Value, json};

use crate::{
    driver::{Driver, node},
    run::{Ran, run},
    verify_log::{case, known_cases},
};

const NOWHERE: &str = "http://127.0.0.1:9";

fn verify(who: &str, arguments: &[&str]) -> Ran {
    let mut all = vec!["verify", "inbox", who];
    all.extend(arguments);
    run(&all, b"")
}

#[test]
fn a_registered_inbox_is_shown_from_its_node_and_later_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let (_node, url) = node();
    let client = Driver::open(&url, folder.path(), 1);
    let saved = folder.path().join("log.json");
    let saved = saved.to_str().unwrap();

    let ran = verify(&client.inbox, &["--node", &url, "--save", saved]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for told in ["create the inbox", "existing member", "✓ accepted", "1 identifier, 1 installation", "└─ installation"]
    {
        assert!(ran.stdout.contains(told), "{told}: {}", ran.stdout);
    }
    let from_node = verify(&client.inbox, &["--node", &url, "--json"]).json();
    assert_eq!(from_node["accepted"], true);
    assert_eq!(from_node["state"]["inbox_id"], client.inbox.as_str());
    assert_eq!(from_node["updates"][0]["actions"][0]["signature"]["verifies"], true);

    let address = from_node["state"]["recovery_identifier"]["identifier"].as_str().unwrap();
    let by_address = verify(address, &["--node", &url, "--json"]);
    assert_eq!(by_address.json(), from_node);

    let from_file = verify(&client.inbox, &["--file", saved, "--json"]).json();
    assert_eq!(from_file["state"], from_node["state"]);
    assert_eq!(from_file["updates"], from_node["updates"]);
    // What was saved is a file of logs too.
    let ran = run(&["verify", "log", saved, "--json"], b"");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(ran.json()["state"], from_node["state"]);

    let nobody = "ee".repeat(32);
    let ran = verify(&nobody, &["--node", &url]);
    assert_eq!(ran.code, 1);
    assert!(ran.stdout.contains("MissingIdentityUpdate"), "{}", ran.stdout);
}

#[test]
fn a_node_that_does_not_answer_is_no_verdict() {
    let ran = verify(&"ee".repeat(32), &["--node", NOWHERE]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(ran.stderr.contains("did not answer"), "{}", ran.stderr);
    assert!(ran.stdout.is_empty());
}

#[test]
fn arguments_that_make_no_sense_are_wrong_usage() {
    let inbox = "ee".repeat(32);
    for (who, arguments) in [
        ("nobody", &[][..]),
        (&inbox, &["--chain", "x=http://127.0.0.1:1"]),
        (&inbox, &["--chain", "1=nowhere", "--file", "x"]),
        (&inbox, &["--node", "not a url"]),
        (&format!("0x{}", "e".repeat(40)), &["--file", "x"]),
    ] {
        let ran = verify(who, arguments);
        assert_eq!(ran.code, 2, "{who} {arguments:?}: {}", ran.stderr);
    }
}

/// A file with this case of the vectors.
fn with_case(name: &str, check: impl Fn(&Value, &str)) {
    let cases = known_cases();
    let case = case(&cases, name);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.json");
    fs::write(&path, case.to_string()).unwrap();
    check(case, path.to_str().unwrap());
}

#[test]
fn a_refused_log_says_which_rule_was_broken() {
    with_case("good_bad_good", |case, path| {
        let inbox = case["inbox_id"].as_str().unwrap();
        let ran = verify(inbox, &["--file", path]);
        assert_eq!(ran.code, 1, "{}", ran.stderr);
        for told in ["✓ accepted", "✗ refused", "not judged: update 2 is not good", "identity §6.3"] {
            assert!(ran.stdout.contains(told), "{told}: {}", ran.stdout);
        }
        let shown = verify(inbox, &["--file", path, "--json"]).json();
        assert_eq!(shown["refused"]["kind"], case["expected_error"]["kind"]);
        assert_eq!(shown["refused"]["sequence_id"], 2);
        let verdicts: Vec<_> = shown["updates"].as_array().unwrap().iter().map(|u| u["verdict"].clone()).collect();
        assert_eq!(json!(verdicts), json!(["accepted", "refused", "not judged"]));

        let ran = verify(&"ee".repeat(32), &["--file", path]);
        assert_eq!(ran.code, 1);
        assert!(ran.stderr.contains("none of its 1 logs"), "{}", ran.stderr);
    });
}

#[test]
fn contract_wallets_are_judged_by_the_node_or_nobody() {
    with_case("scw_register", |case, path| {
        let inbox = case["inbox_id"].as_str().unwrap();
        let ran = verify(inbox, &["--file", path]);
        assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
        assert!(ran.stdout.contains("nobody was asked"), "{}", ran.stdout);
        assert!(ran.stdout.contains("did eip155:"), "{}", ran.stdout);
        let ran = verify(inbox, &["--file", path, "--node", NOWHERE]);
        assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
        assert!(ran.stdout.contains("the node did not answer"), "{}", ran.stdout);
    });
}

#[test]
fn the_answer_of_a_node_is_a_file_too() {
    with_case("register_create_and_add_installation", |case, _| {
        let inbox = case["inbox_id"].as_str().unwrap();
        let update = subrosa_types::hex::decode(case["log"][0]["update"].as_str().unwrap()).unwrap();
        // GetIdentityUpdatesResponse { responses { inbox_id, updates { sequence_id: 5, update } } }
        let field = |number: u8, bytes: &[u8]| {
            let length = u16::try_from(bytes.len()).unwrap();
            let varint = [u8::try_from(length & 0x7f).unwrap() | 0x80, u8::try_from(length >> 7).unwrap()];
            [&[number << 3 | 2][..], &varint, bytes].concat()
        };
        let entry = [&[0x08, 5][..], &field(3, &update)].concat();
        let response = field(1, &[field(1, inbox.as_bytes()), field(2, &entry)].concat());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.bin");
        fs::write(&path, response).unwrap();
        let ran = verify(inbox, &["--file", path.to_str().unwrap(), "--json"]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert_eq!(ran.json()["updates"][0]["sequence_id"], 5);
        fs::write(&path, "hello").unwrap();
        let ran = verify(inbox, &["--file", path.to_str().unwrap()]);
        assert_eq!(ran.code, 1);
        assert!(ran.stderr.contains("neither JSON nor"), "{}", ran.stderr);
    });
}
