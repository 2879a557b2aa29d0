//! Vectors about whole logs: every case, accepted or refused.

use serde_json::{Value, json};
use subrosa_identity::{
    AssociationError, AssociationState, ChainVerdicts, DecodeError, EntryError, EntryExamination, EntryVerdict,
    IdentityUpdate, InboxLog, LogError, LogExaminer, Member, MemberIdentifier, Verdict,
};
use subrosa_types::{InboxId, SequenceId, hex};
use subrosa_vectors::{Family, bytes, number, text};

use crate::world::verdicts_for;

fn verdict_of(case: &Value) -> Verdict {
    match text(&case["smart_contract_verifier"]) {
        "accepts everything" => Verdict::Valid,
        "rejects everything" => Verdict::Invalid,
        other => panic!("unknown verifier {other}"),
    }
}

/// Decodes, verifies and replays; the first entry that fails decides.
fn replay(case: &Value, log: &mut InboxLog) -> Result<AssociationState, LogError> {
    let mut entries: Vec<&Value> = case["log"].as_array().unwrap().iter().collect();
    entries.sort_by_key(|entry| number(&entry["sequence_id"]));
    for entry in entries {
        let sequence = SequenceId(number(&entry["sequence_id"]));
        if entry["update"].is_null() {
            log.push_refused(sequence, DecodeError::MissingField("update")).unwrap();
            continue;
        }
        match IdentityUpdate::from_bytes(&bytes(&entry["update"])) {
            Err(error) => log.push_refused(sequence, error).unwrap(),
            Ok(update) => {
                if let Some(want) = entry["signature_text"].as_str() {
                    assert_eq!(update.signature_text(), want, "{}", case["name"]);
                }
                match update.verify(&verdicts_for(&update, verdict_of(case))) {
                    Err(error) => log.push_refused(sequence, error).unwrap(),
                    // What fails is remembered; the state says so below.
                    Ok(update) => drop(log.push(sequence, &update)),
                }
            }
        }
    }
    log.latest()
}

/// Kind and stage of an error in the words of the vectors.
fn kind_and_stage(error: &LogError) -> Value {
    let (kind, stage) = match error {
        LogError::MissingIdentityUpdate(_) => ("MissingIdentityUpdate".to_owned(), "state_machine"),
        LogError::WrongInboxId { .. } => ("WrongInboxId".to_owned(), "state_machine"),
        LogError::Broken { reason, .. } => match reason {
            EntryError::Decode(DecodeError::MissingField(field)) => (format!("MissingField:{field}"), "decode"),
            EntryError::Decode(error) => (format!("{error:?}"), "decode"),
            EntryError::Verify(error) => (format!("{error:?}"), "verify_signature"),
            EntryError::Association(AssociationError::ChainIdMismatch { .. }) => {
                ("ChainIdMismatch".to_owned(), "state_machine")
            }
            EntryError::Association(error) => (format!("{error:?}"), "state_machine"),
            other => panic!("{other}"),
        },
        other => panic!("{other}"),
    };
    json!({ "kind": kind, "stage": stage })
}

fn kind_of(identifier: &MemberIdentifier) -> &'static str {
    match identifier {
        MemberIdentifier::Ethereum(_) => "ethereum",
        MemberIdentifier::Installation(_) => "installation",
        MemberIdentifier::Passkey(_) => "passkey",
        other => panic!("{other}"),
    }
}

fn named(identifier: &MemberIdentifier) -> Value {
    let mut value = json!({ "kind": kind_of(identifier), "identifier": identifier.text() });
    if let MemberIdentifier::Passkey(passkey) = identifier {
        value["relying_party"] = json!(passkey.relying_party);
    }
    value
}

fn member(member: &Member) -> Value {
    let mut value = named(&member.identifier);
    value["added_by"] = json!(member.added_by.as_ref().map(named));
    value["client_timestamp_ns"] = json!(member.client_timestamp_ns.map(|t| t.to_string()));
    value["added_on_chain_id"] = json!(member.added_on_chain_id.map(|id| id.to_string()));
    value
}

fn check_state(state: &AssociationState, want: &Value, name: &Value) {
    assert_eq!(state.inbox_id().to_hex(), text(&want["inbox_id"]), "{name}");
    let recovery = named(&state.recovery_identifier().into());
    check_same(&recovery, &want["recovery_identifier"], name);
    let mut members = state.members();
    members.sort_by_key(|m| (kind_of(&m.identifier), m.identifier.text()));
    let wanted = want["members"].as_array().unwrap();
    assert_eq!(members.len(), wanted.len(), "{name}");
    for (got, want) in members.iter().zip(wanted) {
        check_same(&member(got), want, name);
    }
    let mut seen: Vec<String> = state.seen_signatures().map(hex::encode).collect();
    let mut seen_wanted: Vec<String> =
        want["seen_signatures"].as_array().unwrap().iter().map(|s| text(s).to_owned()).collect();
    seen.sort();
    seen_wanted.sort();
    assert_eq!(seen, seen_wanted, "{name}");
    assert_eq!(AssociationState::from_trusted_proto(state.to_proto()).as_ref(), Ok(state), "{name}");
}

/// Compares the members that the vector gives.
fn check_same(got: &Value, want: &Value, name: &Value) {
    for (key, want) in want.as_object().unwrap() {
        if want.is_object() {
            check_same(&got[key], want, name);
        } else {
            let want = if want.is_number() { json!(want.to_string()) } else { want.clone() };
            assert_eq!(got[key], want, "{name}: {key}");
        }
    }
}

#[test]
fn vectors_association_logs() {
    Family::load("identity/association_logs")
        .each(|_, file| {
            let cases = file["cases"].as_array().unwrap();
            for case in cases {
                let mut log = InboxLog::new(text(&case["inbox_id"]).parse().unwrap());
                match replay(case, &mut log) {
                    Ok(state) => {
                        assert_eq!(case["valid"], true, "{}", case["name"]);
                        check_state(&state, &case["expected_state"], &case["name"]);
                    }
                    Err(error) => {
                        assert_eq!(case["valid"], false, "{}: {error}", case["name"]);
                        assert_eq!(kind_and_stage(&error), case["expected_error"], "{}", case["name"]);
                    }
                }
            }
            let hardening = file["resolution_hardening"].as_array().unwrap();
            for case in hardening {
                let served = cases.iter().find(|c| c["name"] == case["served_log_of_case"]).unwrap();
                let mut log = InboxLog::new(text(&case["requested_inbox_id"]).parse().unwrap());
                let refused = replay(served, &mut log).unwrap_err();
                let want = text(&case["reference_returns_inbox_id"]).parse().unwrap();
                assert_eq!(refused, LogError::WrongInboxId { served: want });
            }
            cases.len() + hardening.len()
        })
        .finish();
}

/// Everything that decodes is encoded again without loss, and then stays as it is.
#[test]
fn vectors_association_logs_survive_encoding() {
    Family::load("identity/association_logs")
        .each(|_, file| {
            let entries = file["cases"].as_array().unwrap().iter().flat_map(|c| c["log"].as_array().unwrap());
            let mut cases = 0;
            for entry in entries.filter(|entry| !entry["update"].is_null()) {
                let Ok(update) = IdentityUpdate::from_bytes(&bytes(&entry["update"])) else { continue };
                assert_eq!(IdentityUpdate::from_bytes(&update.to_bytes()), Ok(update));
                cases += 1;
            }
            cases
        })
        .finish();
}

/// Examining a log finds the first bad entry, its reason and the state exactly as the log itself does.
#[test]
fn vectors_association_logs_are_examined_with_the_same_outcome() {
    Family::load("identity/association_logs")
        .each(|_, file| {
            let cases = file["cases"].as_array().unwrap();
            for case in cases {
                let inbox = text(&case["inbox_id"]).parse().unwrap();
                let mut log = InboxLog::new(inbox);
                let want = replay(case, &mut log);
                let (examined, outcome) = examine(case, inbox);
                assert_eq!(outcome, want, "{}", case["name"]);
                let bad = |e: &&EntryExamination| !matches!(e.verdict, EntryVerdict::Accepted(_));
                match (want, examined.iter().find(bad).map(|e| (e.sequence, &e.verdict))) {
                    (Ok(_), None) | (Err(LogError::MissingIdentityUpdate(_)), None) => {}
                    (Err(LogError::Broken { at, reason }), Some((sequence, EntryVerdict::Refused(refusal)))) => {
                        assert_eq!((at, &reason), (sequence, &refusal.reason), "{}", case["name"]);
                    }
                    (want, got) => panic!("{}: {want:?}, examined as {got:?}", case["name"]),
                }
            }
            let hardening = file["resolution_hardening"].as_array().unwrap();
            for case in hardening {
                let served = cases.iter().find(|c| c["name"] == case["served_log_of_case"]).unwrap();
                let (examined, outcome) = examine(served, text(&case["requested_inbox_id"]).parse().unwrap());
                let served = text(&case["reference_returns_inbox_id"]).parse().unwrap();
                assert_eq!(examined[0].verdict, EntryVerdict::OtherInbox { served });
                assert_eq!(outcome, Err(LogError::WrongInboxId { served }));
            }
            cases.len() + hardening.len()
        })
        .finish();
}

fn examine(case: &Value, inbox: InboxId) -> (Vec<EntryExamination>, Result<AssociationState, LogError>) {
    let mut examiner = LogExaminer::new(inbox);
    let mut entries: Vec<&Value> = case["log"].as_array().unwrap().iter().collect();
    entries.sort_by_key(|entry| number(&entry["sequence_id"]));
    // A second entry with a known sequence id is ignored.
    entries.dedup_by_key(|entry| number(&entry["sequence_id"]));
    let mut examined = Vec::new();
    for entry in entries {
        let sequence = SequenceId(number(&entry["sequence_id"]));
        let update = if entry["update"].is_null() {
            Err(DecodeError::MissingField("update"))
        } else {
            IdentityUpdate::from_bytes(&bytes(&entry["update"]))
        };
        let verdicts = update.as_ref().map_or_else(|_| ChainVerdicts::none(), |u| verdicts_for(u, verdict_of(case)));
        examined.push(examiner.push(sequence, update.as_ref().map_err(Clone::clone), &verdicts).unwrap());
    }
    (examined, examiner.outcome())
}
