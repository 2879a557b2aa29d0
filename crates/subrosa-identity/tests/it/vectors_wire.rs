//! Vectors recorded from the official client: its updates decode, verify, and encode to the same bytes.

use prost::Message as _;
use serde_json::{Value, json};
use subrosa_identity::{Identifier, IdentityUpdate, InboxLog, Verdict, WalletKey};
use subrosa_proto::xmtp::identity::api::v1 as api;
use subrosa_types::{SequenceId, hex};
use subrosa_vectors::{Family, bytes, number, text};

use crate::world::verdicts_for;

#[test]
fn vectors_identity_update_encoding() {
    Family::load("identity/identity_update_encoding")
        .each(|_, file| {
            let updates = file["updates"].as_array().unwrap();
            for case in updates {
                let inner = bytes(&case["identity_update"]);
                let update = IdentityUpdate::from_bytes(&inner).unwrap();
                assert_eq!(update.to_bytes(), inner, "{}", case["name"]);
                let decoded = &case["decoded"];
                assert_eq!(update.inbox_id_text(), text(&decoded["inbox_id"]));
                assert_eq!(update.client_timestamp_ns(), number(&decoded["client_timestamp_ns"]));
                assert_eq!(update.actions().len(), decoded["actions"].as_array().unwrap().len());
                assert!(update.verify(&verdicts_for(&update, Verdict::Valid)).is_ok(), "{}", case["name"]);
                let request = api::PublishIdentityUpdateRequest { identity_update: Some(update.to_proto()) };
                assert_eq!(request.encode_to_vec(), bytes(&case["bytes"]), "{}", case["name"]);
            }
            updates.len()
        })
        .finish();
}

#[test]
fn vectors_identity_updates() {
    Family::load("wire/identity_updates")
        .each(|_, file| {
            let Some(updates) = file.get("updates") else { return 0 };
            let updates = updates.as_array().unwrap();
            let mut log = InboxLog::new(text(&file["inbox_id"]).parse().unwrap());
            for (sequence, case) in (1..).zip(updates) {
                let update = check_update(case);
                let verified = update.verify(&verdicts_for(&update, Verdict::Valid)).unwrap();
                log.push(SequenceId(sequence), &verified).unwrap();
            }
            if let Some(want) = file.get("final_state_shown_by_official_client") {
                check_final_state(&log, want);
            }
            updates.len()
        })
        .finish();
}

fn check_update(case: &Value) -> IdentityUpdate {
    let wire = bytes(&case["identity_update_proto"]);
    let update = IdentityUpdate::from_bytes(&wire).unwrap();
    assert_eq!(update.to_bytes(), wire);
    assert_eq!(update.signature_text(), text(&case["signature_text"]));
    assert_eq!(update.inbox_id_text(), text(&case["inbox_id"]));
    for signed in case["wallet_signatures"].as_array().unwrap() {
        let secret = hex::decode(text(&signed["wallet_private_key"]).trim_start_matches("0x")).unwrap();
        let key = WalletKey::from_bytes(&secret.try_into().unwrap()).unwrap();
        assert_eq!(key.address(), text(&signed["address"]));
        assert_eq!(key.sign(&update.signature_text())[..], bytes(&signed["signature"]));
    }
    update
}

fn shown(identifier: &Identifier) -> Value {
    let kind = u8::from(matches!(identifier, Identifier::Passkey(_)));
    json!({ "identifier": identifier.text(), "identifierKind": kind })
}

fn check_final_state(log: &InboxLog, want: &Value) {
    let state = log.latest().unwrap();
    assert_eq!(shown(state.recovery_identifier()), want["recovery"]);
    let identifiers: Vec<Value> = state.identifiers().iter().map(shown).collect();
    assert_eq!(json!(identifiers), want["identifiers"]);
    let installations: Vec<Value> = state
        .installations()
        .map(|id| {
            let time = state.member(&id.into()).unwrap().client_timestamp_ns.unwrap();
            json!({ "id": id.to_hex(), "client_timestamp_ns": time.to_string() })
        })
        .collect();
    assert_eq!(json!(installations), want["installations"]);
}
