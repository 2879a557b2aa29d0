//! Vectors about signature texts and the kinds of signatures.

use prost::Message as _;
use serde_json::Value;
use sha2::Sha512;
use sha3::{Digest as _, Keccak256};
use subrosa_identity::{
    ChainVerdicts, Identifier, IdentityAction, IdentityUpdate, LegacyDelegatedSignature, LegacyWalletSignature,
    MemberIdentifier, Passkey, PasskeySignature, SignatureKind, UnverifiedSignature, VerifyError, WalletKey,
    eip191_hash, recover_ethereum_address,
};
use subrosa_proto::xmtp::identity::associations as proto;
use subrosa_types::hex;
use subrosa_vectors::{Family, bytes, list, number, text};

use crate::signers::{PasskeyKey, client_data};

const NO_CHAIN: ChainVerdicts = ChainVerdicts::none();

fn member(action: &Value) -> MemberIdentifier {
    let value = text(&action["member"]);
    match text(&action["member_kind"]) {
        "ethereum" => MemberIdentifier::Ethereum(value.to_owned()),
        "installation" => MemberIdentifier::Installation(bytes(&action["member"])),
        "passkey" => MemberIdentifier::Passkey(Passkey::from_key(bytes(&action["member"]))),
        other => panic!("unknown kind {other}"),
    }
}

fn identifier(value: &Value, kind: &Value) -> Identifier {
    if number(kind) == 2 {
        Identifier::parse_passkey(text(value)).unwrap()
    } else {
        Identifier::Ethereum(text(value).to_owned())
    }
}

/// The action with signatures that nobody made: they are not in the text.
fn unsigned_action(action: &Value) -> IdentityAction {
    let nobody = UnverifiedSignature::Erc191(Vec::new());
    match text(&action["action"]) {
        "create_inbox" => IdentityAction::CreateInbox {
            identifier: identifier(&action["identifier"], &action["identifier_kind"]),
            nonce: number(&action["nonce"]),
            signature: nobody,
        },
        "add_association" => IdentityAction::AddAssociation {
            new_member: member(action),
            existing_member_signature: nobody.clone(),
            new_member_signature: nobody,
        },
        "revoke_association" => IdentityAction::RevokeAssociation { member: member(action), signature: nobody },
        "change_recovery" => IdentityAction::ChangeRecovery {
            new_identifier: identifier(&action["new_recovery_identifier"], &action["identifier_kind"]),
            signature: nobody,
        },
        other => panic!("unknown action {other}"),
    }
}

#[test]
fn vectors_signature_texts() {
    Family::load("identity/signature_texts")
        .each(|_, file| {
            let cases = list(&file["cases"]);
            for case in cases {
                let actions = case["actions"].as_array().unwrap().iter().map(unsigned_action).collect();
                let inbox = text(&case["inbox_id"]).to_owned();
                let update = IdentityUpdate::new(inbox, number(&case["client_timestamp_ns"]), actions);
                assert_eq!(update.signature_text(), text(&case["text"]), "{}", case["name"]);
                assert_eq!(update.signature_text().as_bytes(), bytes(&case["text_utf8_hex"]));
                assert_eq!(eip191_hash(&update.signature_text())[..], bytes(&case["eip191_hash"]));
                if let Some(digest) = case.get("sha512") {
                    assert_eq!(Sha512::digest(update.signature_text())[..], bytes(digest));
                }
                if let Some(want) = case.get("passkey_challenge") {
                    check_challenge(&update.signature_text(), text(want));
                }
            }
            let text_only = list(&file["text_only"]);
            for case in text_only {
                check_text_only(text(&case["text"]));
            }
            cases.len() + text_only.len()
        })
        .finish();
}

/// An assertion with this challenge is one over this text.
fn check_challenge(signed_text: &str, challenge: &str) {
    let signature = PasskeyKey::new(1).sign_client_data(client_data(challenge).as_bytes());
    assert!(UnverifiedSignature::Passkey(Box::new(signature)).verify(signed_text, &NO_CHAIN).is_ok());
}

/// Rebuilds a text about one passkey from its own lines.
fn check_text_only(want: &str) {
    let lines: Vec<&str> = want.lines().collect();
    let value = |line: &str| line.trim_end_matches(')').rsplit(' ').next().unwrap().to_owned();
    let key = hex::decode(&value(lines[6])).unwrap();
    let nobody = UnverifiedSignature::Erc191(Vec::new());
    let passkey = Passkey::from_key(key);
    let action = match lines[5] {
        "- Link passkey to inbox" => IdentityAction::AddAssociation {
            new_member: MemberIdentifier::Passkey(passkey),
            existing_member_signature: nobody.clone(),
            new_member_signature: nobody,
        },
        "- Unlink passkey from inbox" => {
            IdentityAction::RevokeAssociation { member: MemberIdentifier::Passkey(passkey), signature: nobody }
        }
        "- Change inbox recovery address" => {
            IdentityAction::ChangeRecovery { new_identifier: Identifier::Passkey(passkey), signature: nobody }
        }
        other => panic!("unknown line {other}"),
    };
    let got = IdentityUpdate::new(value(lines[2]), 0, vec![action]).signature_text();
    assert_eq!(got.replace("1970-01-01T00:00:00Z", &value(lines[3])), want);
}

#[test]
fn vectors_erc191_signatures() {
    Family::load("identity/erc191_signatures")
        .each(|_, file| {
            let (valid, variants) = (list(&file["valid"]), list(&file["variants"]));
            for case in valid {
                let key = WalletKey::from_bytes(&bytes(&case["private_key"]).try_into().unwrap()).unwrap();
                assert_eq!(key.address(), text(&case["address"]));
                if let Some(point) = case.get("public_key_uncompressed") {
                    assert_eq!(address_of(&bytes(point)), text(&case["address"]));
                }
                if let Some(shown) = case.get("address_checksum") {
                    assert_eq!(Identifier::parse_ethereum(text(shown)), Ok(key.identifier()));
                }
                assert_eq!(eip191_hash(text(&case["text"]))[..], bytes(&case["eip191_hash"]));
                assert_eq!(key.sign(text(&case["text"]))[..], bytes(&case["signature"]));
                let recovered = recover_ethereum_address(&eip191_hash(text(&case["text"])), &bytes(&case["signature"]));
                assert_eq!(recovered.unwrap().0, text(&case["address"]));
            }
            for case in variants {
                let got = recover_ethereum_address(&eip191_hash(text(&case["text"])), &bytes(&case["signature"]));
                let result = &case["result"];
                match got {
                    Ok((address, seen)) => {
                        assert_eq!(address, text(&result["recovered"]), "{}", case["name"]);
                        assert_eq!(seen[..], bytes(&result["normalised_signature"]), "{}", case["name"]);
                        let matches = address == text(&case["expected_signer"]);
                        assert_eq!(matches, result["matches_expected"].as_bool().unwrap());
                    }
                    Err(error) => assert_eq!(format!("{error:?}"), text(&result["error"]), "{}", case["name"]),
                }
            }
            valid.len() + variants.len()
        })
        .finish();
}

/// The address of an uncompressed point.
fn address_of(point: &[u8]) -> String {
    format!("0x{}", hex::encode(&Keccak256::digest(&point[1..])[12..]))
}

#[test]
fn vectors_passkey_signatures() {
    Family::load("identity/passkey_signatures")
        .each(|_, file| {
            let cases = list(&file["cases"]);
            for case in cases {
                if let Some(shown) = case["client_data_json_text"].as_str() {
                    assert_eq!(shown.as_bytes(), bytes(&case["client_data_json"]));
                }
                let signature = PasskeySignature {
                    public_key: bytes(&case["public_key"]),
                    signature: bytes(&case["signature_der"]),
                    authenticator_data: bytes(&case["authenticator_data"]),
                    client_data_json: bytes(&case["client_data_json"]),
                };
                let result = &case["result"];
                match UnverifiedSignature::Passkey(Box::new(signature)).verify(text(&case["text"]), &NO_CHAIN) {
                    Ok(verified) => {
                        assert_eq!(result["valid"], true, "{}", case["name"]);
                        let MemberIdentifier::Passkey(passkey) = verified.signer() else { panic!("not a passkey") };
                        assert_eq!(passkey.key, bytes(&result["signer"]));
                        if let Some(origin) = result.get("relying_party") {
                            assert_eq!(passkey.relying_party.as_deref(), Some(text(origin)));
                        }
                        if let Some(seen) = result.get("seen_value") {
                            assert_eq!(verified.seen_value(), bytes(seen));
                        }
                    }
                    Err(error) => {
                        assert_eq!(result["valid"], false, "{}", case["name"]);
                        assert_eq!(format!("{error:?}"), text(&result["error"]), "{}", case["name"]);
                    }
                }
            }
            cases.len()
        })
        .finish();
}

#[test]
fn vectors_legacy_delegated() {
    Family::load("identity/legacy_delegated")
        .each(|_, file| {
            let cases = list(&file["cases"]);
            for case in cases {
                let wallet = bytes(&case["wallet_signature"]);
                let (rs, recovery) = (wallet[..64].to_vec(), u32::from(wallet[64]));
                let key = WalletKey::from_bytes(&bytes(&case["legacy_private_key"]).try_into().unwrap()).unwrap();
                assert_eq!(key.address(), text(&case["legacy_key_address"]));
                assert_eq!(key.sign(text(&case["signed_text"]))[..], bytes(&case["legacy_signature"]));
                if let Some(signed) = case.get("create_identity_text") {
                    let recovered = recover_ethereum_address(&eip191_hash(text(signed)), &wallet);
                    assert_eq!(recovered.unwrap().0, text(&case["wallet"]));
                    assert!(text(signed).contains(&format!("\n{}\n", text(&case["key_bytes"]))));
                }
                // The same in either form of the old message and either encoding of its number.
                for (recovery, form) in [
                    (recovery, LegacyWalletSignature::EcdsaCompact { bytes: rs.clone(), recovery }),
                    (recovery, LegacyWalletSignature::WalletEcdsaCompact { bytes: rs.clone(), recovery }),
                    (
                        recovery % 27 + 27,
                        LegacyWalletSignature::EcdsaCompact { bytes: rs.clone(), recovery: recovery % 27 + 27 },
                    ),
                ] {
                    let signature = LegacyDelegatedSignature {
                        key_bytes: bytes(&case["key_bytes"]),
                        wallet_signature: Some(form),
                        signature: bytes(&case["legacy_signature"]),
                    };
                    let signature = UnverifiedSignature::LegacyDelegated(Box::new(signature));
                    let verified = signature.verify(text(&case["signed_text"]), &NO_CHAIN).unwrap();
                    assert_eq!(verified.signer().text(), text(&case["signer"]));
                    let want = bytes(&case["seen_value"]);
                    assert_eq!(verified.seen_value()[..64], want[..64]);
                    assert_eq!(u32::from(verified.seen_value()[64]), recovery);
                    assert_eq!(recovery == u32::from(wallet[64]), verified.seen_value() == want);
                    let other_text = signature.verify("another text", &NO_CHAIN);
                    assert_eq!(other_text, Err(VerifyError::LegacyKeyInvalid));
                }
                if let Some(message) = case.get("signature_message") {
                    check_legacy_message(case, &bytes(message));
                }
            }
            check_named_logs(list(&file["see_also"]));
            cases.len()
        })
        .finish();
}

/// The whole signature as message: decodes, verifies, and encodes to the same bytes.
fn check_legacy_message(case: &Value, message: &[u8]) {
    let signature = proto::Signature::decode(message).unwrap();
    if let Some(proto::signature::Signature::DelegatedErc191(legacy)) = &signature.signature {
        let key = legacy.delegated_key.as_ref().unwrap();
        assert_eq!(key.encode_to_vec(), bytes(&case["signed_public_key"]));
        assert_eq!(key.key_bytes, bytes(&case["key_bytes"]));
    }
    let revoke = proto::RevokeAssociation {
        member_to_revoke: Some(MemberIdentifier::Ethereum(String::new()).to_proto()),
        recovery_identifier_signature: Some(signature.clone()),
    };
    let action = proto::IdentityAction { kind: Some(proto::identity_action::Kind::Revoke(revoke)) };
    let update = proto::IdentityUpdate { actions: vec![action], ..Default::default() };
    let update = IdentityUpdate::from_proto(update).unwrap();
    let [IdentityAction::RevokeAssociation { signature: read, .. }] = update.actions() else { panic!("one action") };
    let verified = read.verify(text(&case["signed_text"]), &NO_CHAIN).unwrap();
    assert_eq!(verified.signer().text(), text(&case["signer"]));
    assert_eq!(verified.kind(), SignatureKind::LegacyDelegated);
    assert_eq!(verified.seen_value(), bytes(&case["seen_value"]));
    assert_eq!(proto::IdentityUpdate::decode(&update.to_bytes()[..]).unwrap(), update.to_proto());
    let bytes = update.to_bytes();
    assert!(bytes.windows(message.len()).any(|part| part == message), "encoded otherwise");
}

/// Logs that the file points to, where their own file is at hand.
fn check_named_logs(names: &[Value]) {
    let mut known = Vec::new();
    let logs = Family::load("identity/association_logs").each(|_, file| {
        known.extend(list(&file["cases"]).iter().map(|case| case["name"].clone()));
        1
    });
    logs.finish();
    for name in names {
        assert!(known.is_empty() || known.contains(name), "{name}");
    }
}
