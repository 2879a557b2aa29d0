//! Vectors recorded from the official client: its updates decode, verify, and encode to the same bytes.

use prost::Message as _;
use serde_json::{Value, json};
use subrosa_identity::{Identifier, IdentityUpdate, InboxLog, Verdict, WalletKey};
use subrosa_proto::xmtp::identity::{api::v1 as api, associations as proto};
use subrosa_types::{SequenceId, hex};
use subrosa_vectors::{Family, bytes, list, text};

use crate::world::verdicts_for;

#[test]
fn vectors_identity_update_encoding() {
    Family::load("identity/identity_update_encoding")
        .each(|_, file| {
            let updates = list(&file["updates"]);
            for case in updates {
                let inner = bytes(&case["identity_update"]);
                let update = IdentityUpdate::from_bytes(&inner).unwrap();
                assert_eq!(update.to_bytes(), inner, "{}", case["name"]);
                assert_eq!(shown_update(&update.to_proto()), case["decoded"], "{}", case["name"]);
                assert!(update.verify(&verdicts_for(&update, Verdict::Valid)).is_ok(), "{}", case["name"]);
                let request = api::PublishIdentityUpdateRequest { identity_update: Some(update.to_proto()) };
                assert_eq!(request.encode_to_vec(), bytes(&case["bytes"]), "{}", case["name"]);
            }
            updates.len()
        })
        .finish();
}

/// The message as the file shows it: bytes as hex, 64-bit numbers as text, defaults left out.
fn shown_update(update: &proto::IdentityUpdate) -> Value {
    with_defaults_left_out(json!({
        "actions": update.actions.iter().map(shown_action).collect::<Vec<_>>(),
        "client_timestamp_ns": update.client_timestamp_ns.to_string(),
        "inbox_id": update.inbox_id,
    }))
}

fn with_defaults_left_out(mut value: Value) -> Value {
    let is_default = |value: &Value| value.is_null() || value == "" || value == "0" || *value == json!(0);
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, field| !is_default(field));
    }
    value
}

fn shown_action(action: &proto::IdentityAction) -> Value {
    use proto::identity_action::Kind;
    match action.kind.as_ref().unwrap() {
        Kind::CreateInbox(create) => json!({ "create_inbox": with_defaults_left_out(json!({
            "initial_identifier": create.initial_identifier,
            "nonce": create.nonce.to_string(),
            "initial_identifier_signature": shown_signature(create.initial_identifier_signature.as_ref()),
            "initial_identifier_kind": create.initial_identifier_kind,
            "relying_party": create.relying_party,
        })) }),
        Kind::Add(add) => json!({ "add": with_defaults_left_out(json!({
            "new_member_identifier": shown_member(add.new_member_identifier.as_ref()),
            "existing_member_signature": shown_signature(add.existing_member_signature.as_ref()),
            "new_member_signature": shown_signature(add.new_member_signature.as_ref()),
            "relying_party": add.relying_party,
        })) }),
        Kind::Revoke(revoke) => json!({ "revoke": {
            "member_to_revoke": shown_member(revoke.member_to_revoke.as_ref()),
            "recovery_identifier_signature": shown_signature(revoke.recovery_identifier_signature.as_ref()),
        } }),
        Kind::ChangeRecoveryAddress(change) => json!({ "change_recovery_address": with_defaults_left_out(json!({
            "new_recovery_identifier": change.new_recovery_identifier,
            "existing_recovery_identifier_signature":
                shown_signature(change.existing_recovery_identifier_signature.as_ref()),
            "new_recovery_identifier_kind": change.new_recovery_identifier_kind,
            "relying_party": change.relying_party,
        })) }),
    }
}

fn shown_member(member: Option<&proto::MemberIdentifier>) -> Value {
    use proto::member_identifier::Kind;
    match member.unwrap().kind.as_ref().unwrap() {
        Kind::EthereumAddress(address) => json!({ "ethereum_address": address }),
        Kind::InstallationPublicKey(key) => json!({ "installation_public_key": hex::encode(key) }),
        Kind::Passkey(passkey) => json!({ "passkey": with_defaults_left_out(json!({
            "key": hex::encode(&passkey.key),
            "relying_party": passkey.relying_party,
        })) }),
    }
}

fn shown_signature(signature: Option<&proto::Signature>) -> Value {
    use proto::signature::Signature;
    match signature.unwrap().signature.as_ref().unwrap() {
        Signature::Erc191(s) => json!({ "erc_191": { "bytes": hex::encode(&s.bytes) } }),
        Signature::Erc6492(s) => json!({ "erc_6492": with_defaults_left_out(json!({
            "account_id": s.account_id,
            "block_number": s.block_number.to_string(),
            "signature": hex::encode(&s.signature),
        })) }),
        Signature::InstallationKey(s) => json!({ "installation_key": {
            "bytes": hex::encode(&s.bytes), "public_key": hex::encode(&s.public_key),
        } }),
        Signature::DelegatedErc191(_) => panic!("no client sends these any more"),
        Signature::Passkey(s) => json!({ "passkey": {
            "public_key": hex::encode(&s.public_key),
            "signature": hex::encode(&s.signature),
            "authenticator_data": hex::encode(&s.authenticator_data),
            "client_data_json": hex::encode(&s.client_data_json),
        } }),
    }
}

#[test]
fn vectors_identity_updates() {
    Family::load("wire/identity_updates")
        .each(|_, file| {
            let Some(updates) = file.get("updates") else { return 0 };
            let updates = list(updates);
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
    for signed in list(&case["wallet_signatures"]) {
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
