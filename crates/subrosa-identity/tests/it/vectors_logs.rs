//! Vectors about whole logs: every case, accepted or refused.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use subrosa_identity::{
    AssociationError, AssociationState, ChainVerdicts, DecodeError, EntryError, EntryExamination, EntryVerdict,
    IdentityUpdate, InboxLog, InstallationKey, LogError, LogExaminer, Member, MemberIdentifier, Verdict,
    VerifiedUpdate, WalletKey,
};
use subrosa_types::{InboxId, SequenceId, hex};
use subrosa_vectors::{Family, bytes, list, number, text};

use crate::world::verdicts_for;

/// What the case's verifier says to everything. One that cannot answer has words of its own.
fn verdict_of(case: &Value) -> Verdict {
    match case["smart_contract_verifier"].as_str() {
        None => Verdict::Valid,
        Some(words) if words.starts_with("accepts") => Verdict::Valid,
        Some(words) if words.starts_with("rejects") => Verdict::Invalid,
        Some(_) => Verdict::Unknown,
    }
}

/// An entry of the log: no update is as bad as one that does not decode.
fn decode(entry: &Value) -> Result<IdentityUpdate, DecodeError> {
    if entry["update"].is_null() {
        return Err(DecodeError::MissingField("update"));
    }
    let update = IdentityUpdate::from_bytes(&bytes(&entry["update"]))?;
    if let Some(want) = entry["signature_text"].as_str() {
        assert_eq!(update.signature_text(), want);
    }
    Ok(update)
}

/// Decodes all, verifies all, applies all: each stage for the whole log before the next (identity §6.9). Entries are
/// in the order of their ids, and of those with the same id only the first counts (identity §9.1).
fn in_stages(case: &Value, inbox: InboxId) -> Result<AssociationState, LogError> {
    let broken = |at, reason: EntryError| LogError::Broken { at, reason };
    let mut entries = BTreeMap::new();
    for entry in list(&case["log"]) {
        let sequence = SequenceId(number(&entry["sequence_id"]));
        let update = decode(entry).map_err(|error| broken(sequence, error.into()))?;
        entries.entry(sequence).or_insert(update);
    }
    let mut verified = Vec::new();
    for (sequence, update) in entries {
        let judged = update.verify(&verdicts_for(&update, verdict_of(case)));
        verified.push((sequence, judged.map_err(|error| broken(sequence, error.into()))?));
    }
    let mut log = InboxLog::new(inbox);
    for (sequence, update) in &verified {
        log.push(*sequence, update)?;
    }
    let state = log.latest()?;
    check_prefixes(&log, &verified, &state);
    Ok(state)
}

/// There is a state at every entry, and it is what the entries up to there give.
fn check_prefixes(log: &InboxLog, verified: &[(SequenceId, VerifiedUpdate)], last: &AssociationState) {
    let mut state = None;
    for (sequence, update) in verified {
        state = Some(AssociationState::apply(state.as_ref(), update).unwrap());
        assert_eq!(log.state_at(*sequence).ok(), state);
    }
    assert_eq!(state.as_ref(), Some(last));
}

/// Takes entry by entry through all stages, as a log that grows does. The first that fails may be another than the
/// stages find, but whether one fails is the same.
fn as_it_grows(case: &Value, inbox: InboxId) -> Result<AssociationState, LogError> {
    let mut entries: Vec<&Value> = list(&case["log"]).iter().collect();
    entries.sort_by_key(|entry| number(&entry["sequence_id"]));
    let mut log = InboxLog::new(inbox);
    for entry in entries {
        let sequence = SequenceId(number(&entry["sequence_id"]));
        let verified = decode(entry)
            .map_err(EntryError::from)
            .and_then(|update| update.verify(&verdicts_for(&update, verdict_of(case))).map_err(EntryError::from));
        // What fails is remembered; the state says so below.
        let _ = match verified {
            Ok(update) => log.push(sequence, &update),
            Err(error) => log.push_refused(sequence, error),
        };
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
    let order = |value: &Value| (text(&value["kind"]).to_owned(), text(&value["identifier"]).to_owned());
    let mut members: Vec<Value> = state.members().into_iter().map(member).collect();
    let mut wanted = list(&want["members"]).to_vec();
    members.sort_by_key(order);
    wanted.sort_by_key(order);
    assert_eq!(members.len(), wanted.len(), "{name}");
    for (got, want) in members.iter().zip(&wanted) {
        check_same(got, want, name);
    }
    let mut seen: Vec<String> = state.seen_signatures().map(hex::encode).collect();
    let mut seen_wanted: Vec<String> = list(&want["seen_signatures"]).iter().map(|s| text(s).to_owned()).collect();
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

fn check_case(case: &Value) {
    let name = &case["name"];
    let Ok(inbox) = text(&case["inbox_id"]).parse() else {
        return assert_eq!(case["valid"], false, "{name}: no inbox has this id");
    };
    let outcome = in_stages(case, inbox);
    let grown = as_it_grows(case, inbox);
    assert_eq!(outcome.is_ok(), case["valid"].as_bool().unwrap(), "{name}: {:?}", outcome.err());
    assert_eq!(outcome.is_ok(), grown.is_ok(), "{name}");
    match outcome {
        Ok(state) => {
            assert_eq!(Ok(&state), grown.as_ref(), "{name}");
            check_state(&state, &case["expected_state"], name);
        }
        Err(error) => {
            let (got, want) = (kind_and_stage(&error), &case["expected_error"]);
            // The message of the reference is for information only.
            for key in ["stage", "kind"].into_iter().filter(|key| want.get(key).is_some()) {
                let unanswered = got["kind"] == "ChainUnknown" && key == "kind";
                assert!(unanswered || got[key] == want[key], "{name}: {got}, not {want}");
            }
        }
    }
}

#[test]
fn vectors_association_logs() {
    Family::load("identity/association_logs")
        .each(|_, file| {
            check_keys(&file["test_keys"]);
            let cases = list(&file["cases"]);
            let (mut valid, mut members) = (0, 0);
            for case in cases {
                check_case(case);
                valid += usize::from(case["valid"] == true);
                members += list(&case["expected_state"]["members"]).len();
            }
            let hardening = list(&file["resolution_hardening"]);
            for case in hardening {
                let served = cases.iter().find(|c| c["name"] == case["served_log_of_case"]).unwrap();
                let inbox = text(&case["requested_inbox_id"]).parse().unwrap();
                assert_eq!(case["should_be_accepted"], false);
                let want = text(&case["reference_returns_inbox_id"]).parse().unwrap();
                assert_eq!(in_stages(served, inbox), Err(LogError::WrongInboxId { served: want }));
                assert_eq!(as_it_grows(served, inbox), Err(LogError::WrongInboxId { served: want }));
            }
            println!("{valid} accepted with {members} members, {} refused", cases.len() - valid);
            cases.len() + hardening.len()
        })
        .finish();
}

/// The secrets behind the logs lead to the names in them.
fn check_keys(keys: &Value) {
    for key in list(&keys["eoa"]).iter().chain(list(&keys["legacy"])) {
        let wallet = WalletKey::from_bytes(&bytes(&key["private_key"]).try_into().unwrap()).unwrap();
        assert_eq!(wallet.address(), text(&key["address"]));
    }
    for key in list(&keys["installations"]) {
        let installation = InstallationKey::from_seed(bytes(&key["seed"]).try_into().unwrap());
        assert_eq!(installation.id().to_hex(), text(&key["public_key"]));
    }
    for key in list(&keys["passkeys"]) {
        let passkey = p256::ecdsa::SigningKey::from_slice(&bytes(&key["scalar"])).unwrap();
        let point = passkey.verifying_key().to_encoded_point(true);
        assert_eq!(hex::encode(point.as_bytes()), text(&key["public_key_compressed"]));
    }
}

/// Everything that decodes is encoded again without loss, and then stays as it is.
#[test]
fn vectors_association_logs_survive_encoding() {
    Family::load("identity/association_logs")
        .each(|_, file| {
            let entries = list(&file["cases"]).iter().flat_map(|case| list(&case["log"]));
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
            let cases = list(&file["cases"]);
            for case in cases {
                let inbox = text(&case["inbox_id"]).parse().unwrap();
                let want = as_it_grows(case, inbox);
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
            let hardening = list(&file["resolution_hardening"]);
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
    let mut entries: Vec<&Value> = list(&case["log"]).iter().collect();
    entries.sort_by_key(|entry| number(&entry["sequence_id"]));
    // A second entry with a known sequence id is ignored.
    entries.dedup_by_key(|entry| number(&entry["sequence_id"]));
    let mut examined = Vec::new();
    for entry in entries {
        let sequence = SequenceId(number(&entry["sequence_id"]));
        let update = decode(entry);
        let verdicts = update.as_ref().map_or_else(|_| ChainVerdicts::none(), |u| verdicts_for(u, verdict_of(case)));
        examined.push(examiner.push(sequence, update.as_ref().map_err(Clone::clone), &verdicts).unwrap());
    }
    (examined, examiner.outcome())
}
