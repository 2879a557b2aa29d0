//! `subrosa verify log`.

use std::fs;

use serde_json::{Value, json};
use subrosa_vectors::Family;

use crate::run::{Ran, run};

/// Runs over a file with this content.
fn verify(content: &str, arguments: &[&str]) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logs.json");
    fs::write(&path, content).unwrap();
    let mut all = vec!["verify", "log", path.to_str().unwrap()];
    all.extend(arguments);
    run(&all, b"")
}

fn lines(ran: &Ran) -> Vec<Value> {
    ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The vectors' cases and their file.
fn with_vectors(check: impl Fn(&Value, &[Value])) {
    Family::load("identity/association_logs")
        .each(|_, file| {
            let cases = file["cases"].as_array().unwrap();
            check(file, cases);
            cases.len()
        })
        .finish();
}

/// The vectors of this repository, for tests about cases of these names.
pub(crate) fn known_cases() -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/identity/association_logs.json");
    let mut file: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    serde_json::from_value(file["cases"].take()).unwrap()
}

pub(crate) fn case<'v>(cases: &'v [Value], name: &str) -> &'v Value {
    cases.iter().find(|case| case["name"] == name).unwrap()
}

#[test]
fn vectors_association_logs_are_as_expected() {
    with_vectors(|file, cases| {
        let ran = verify(&file.to_string(), &[]);
        assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
        let accepted = cases.iter().filter(|case| case["valid"] == true).count();
        // Each of those is the log of another inbox.
        let hardening = file["resolution_hardening"].as_array().map_or(0, Vec::len);
        let refused = cases.len() - accepted + hardening;
        let all = accepted + refused;
        let summary = format!("{all} logs: {accepted} accepted, {refused} refused; {all} as expected, 0 not");
        assert_eq!(ran.stdout.lines().last(), Some(summary.as_str()));
    });
}

#[test]
fn vectors_association_logs_as_json_have_the_states_and_errors_of_the_file() {
    with_vectors(|file, cases| {
        // Without expectations the same comes out.
        let mut bare = file.clone();
        for case in bare["cases"].as_array_mut().unwrap() {
            for key in ["valid", "expected_state", "expected_error", "description"] {
                case.as_object_mut().unwrap().remove(key);
            }
            case["unknown"] = json!([1]);
        }
        bare.as_object_mut().unwrap().remove("resolution_hardening");
        let ran = verify(&bare.to_string(), &["--json"]);
        assert_eq!(ran.code, 1, "{}", ran.stderr);
        let got = lines(&ran);
        assert_eq!(got.len(), cases.len());
        for (got, want) in got.iter().zip(cases) {
            assert_eq!(got["name"], want["name"]);
            assert_eq!(got["accepted"], want["valid"], "{got}");
            assert_eq!(got["as_expected"], Value::Null);
            let mut state = want["expected_state"].clone();
            if let Some(Value::Array(seen)) = state.get_mut("seen_signatures") {
                seen.sort_by_key(Value::to_string);
            }
            assert_eq!(got["state"], state, "{}", want["name"]);
            assert_eq!(got["refused"]["kind"], want["expected_error"]["kind"], "{got}");
            let stage = match want["expected_error"]["stage"].as_str() {
                Some("verify_signature") => "verify",
                Some("state_machine") => "state",
                Some(stage) => stage,
                None => continue,
            };
            assert_eq!(got["refused"]["stage"], stage, "{got}");
            assert!(got["refused"]["label"].as_str().unwrap().contains("::"), "{got}");
        }
    });
}

#[test]
fn another_outcome_than_expected_is_told() {
    let cases = &known_cases();
    let mut refused = case(cases, "create_only_nonce_1").clone();
    refused["valid"] = false.into();
    refused["expected_error"] = json!({ "kind": "Replay", "stage": "state_machine" });
    let mut other_state = case(cases, "register_create_and_add_installation").clone();
    other_state["expected_state"]["members"][0]["client_timestamp_ns"] = "7".into();
    other_state["expected_state"]["members"][1]["identifier"] = "0x".into();
    let mut other_error = case(cases, "create_wrong_inbox_id").clone();
    other_error["expected_error"]["kind"] = "Replay".into();
    let ran = verify(&json!({ "cases": [refused, other_state, other_error] }).to_string(), &["--brief"]);
    assert_eq!(ran.code, 1, "{}", ran.stdout);
    for told in ["accepted, but should be refused: Replay", "refused for WrongInboxId (state), but should be for"] {
        assert!(ran.stdout.contains(told), "{}", ran.stdout);
    }
    assert!(ran.stdout.contains(".client_timestamp_ns is "), "{}", ran.stdout);
    assert!(ran.stdout.contains("state.members lacks "), "{}", ran.stdout);
    assert!(ran.stdout.contains("0 as expected, 3 not"), "{}", ran.stdout);
    assert!(ran.stderr.contains("3 of 3 logs"), "{}", ran.stderr);
}

#[test]
fn a_log_whose_bytes_were_changed_is_refused() {
    let cases = &known_cases();
    let mut tampered = case(cases, "register_create_and_add_installation").clone();
    // The inbox id is the last field: signatures are then over another text.
    let update = tampered["log"][0]["update"].as_str().unwrap();
    tampered["log"][0]["update"] = format!("{}1", &update[..update.len() - 1]).into();
    let ran = verify(&tampered.to_string(), &["--case", "register_create_and_add_installation"]);
    assert_eq!(ran.code, 1, "{}", ran.stdout);
    assert!(ran.stdout.contains("refused for InstallationSignature, but should be accepted"), "{}", ran.stdout);
    assert!(ran.stdout.contains("\u{a7}5.3)"), "{}", ran.stdout);
}

#[test]
fn contract_wallets_need_a_chain() {
    let cases = &known_cases();
    let mut silent = case(cases, "scw_register").clone();
    silent["smart_contract_verifier"] = "does not answer".into();
    let ran = verify(&json!({ "cases": [silent] }).to_string(), &["--json"]);
    assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
    let line = &lines(&ran)[0];
    assert_eq!((&line["accepted"], &line["checked"]), (&json!(false), &json!(false)), "{line}");
    assert_eq!(line["refused"]["kind"], "ChainUnknown");
    assert_eq!(line["as_expected"], Value::Null);
}

#[test]
fn malformed_cases_say_where() {
    let cases = &known_cases();
    let good = case(cases, "create_only_nonce_1");
    let mut bad_hex = good.clone();
    bad_hex["log"][0]["update"] = "0x".into();
    bad_hex["name"] = "evil\u{1b}[2J".into();
    let mut no_number = good.clone();
    no_number["log"][0]["sequence_id"] = (-1).into();
    let mut no_log = good.clone();
    no_log["log"] = 7.into();
    let ran = verify(&json!({ "cases": [bad_hex, no_number, no_log, good, 8] }).to_string(), &[]);
    assert_eq!(ran.code, 1);
    for told in [
        "case 1 (\"evil\\u{1b}[2J\"): entry 1 of the log: update is not hex",
        "entry 1 of the log: sequence_id is not a number of 64 bits",
        "log is not a list",
        "5 logs: 1 accepted, 0 refused, 4 malformed; 1 as expected, 0 not",
    ] {
        assert!(ran.stdout.contains(told), "{told}: {}", ran.stdout);
    }
    assert!(!ran.stdout.contains('\u{1b}'));
}

#[test]
fn a_file_that_is_no_file_of_logs_says_where_it_breaks() {
    for (content, told) in [
        ("{\"cases\": [\n{\"log\": []},\n{]}", "line 3"),
        ("", "line 1"),
        ("[]", "an object with cases"),
        ("{}", "neither `cases` nor a `log`"),
        ("{\"cases\": {}}", "a list of cases"),
        ("{\"cases\": []} x", "trailing"),
    ] {
        let ran = verify(content, &[]);
        assert_eq!(ran.code, 1, "{content}");
        assert!(ran.stderr.contains(told), "{content}: {}", ran.stderr);
        assert!(ran.stdout.is_empty(), "{content}: {}", ran.stdout);
    }
    let ran = run(&["verify", "log", "no-such-file"], b"");
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("no-such-file"), "{}", ran.stderr);
    assert_eq!(run(&["verify", "log"], b"").code, 2);
    assert_eq!(verify("{\"cases\": []}", &["--case", "none"]).code, 2);
}

#[test]
fn an_empty_log_is_refused() {
    let ran = verify("{\"log\": []}", &["--json"]);
    assert_eq!(ran.code, 1);
    assert_eq!(lines(&ran)[0]["refused"]["kind"], "MissingIdentityUpdate");
}

#[test]
fn what_peers_wrote_is_shown_without_control_characters() {
    let cases = &known_cases();
    // A relying party and a recovery identifier are not signed by anybody: they can hold anything.
    for name in ["passkey_register", "change_recovery_checksum_case_locks_out"] {
        let case = case(cases, name);
        let (ran, json) = (verify(&case.to_string(), &["--case", name]), verify(&case.to_string(), &["--json"]));
        assert_eq!((ran.code, json.code), (0, 0), "{}", ran.stderr);
        assert!(ran.stdout.chars().all(|c| c == '\n' || !c.is_control()), "{}", ran.stdout);
    }
    let evil = hostile();
    let content = json!({ "name": "e\u{202e}", "log": [{ "sequence_id": 1, "update": evil }] }).to_string();
    for arguments in [&["--case", "e\u{202e}"][..], &[], &["--json"]] {
        let ran = verify(&content, arguments);
        assert_eq!(ran.code, 1);
        assert!(ran.stdout.chars().all(|c| c == '\n' || !c.is_control()), "{}", ran.stdout);
        assert!(!ran.stdout.contains('\u{202e}'), "{}", ran.stdout);
    }
    let ran = run(&["inspect", "identity-update", &evil], b"");
    assert!(ran.stdout.contains("0x\\u{1b}[2J"), "{}", ran.stdout);
    assert!(ran.stdout.chars().all(|c| c == '\n' || !c.is_control()), "{}", ran.stdout);
}

/// An update that creates an inbox for an owner who acts on terminals, with a signature of nothing.
fn hostile() -> String {
    let owner = b"0x\x1b[2J";
    // create_inbox { initial_identifier, initial_identifier_signature { erc_191 { } } }
    let create = [&[0x0a, 6][..], owner, &[0x1a, 2, 0x0a, 0]].concat();
    let action = [&[0x0a, u8::try_from(create.len()).unwrap()][..], &create].concat();
    let inbox = b"\x1b]0;x\x07";
    let update = [&[0x0a, u8::try_from(action.len()).unwrap()][..], &action, &[0x1a, 6], inbox].concat();
    update.iter().map(|byte| format!("{byte:02x}")).collect()
}
