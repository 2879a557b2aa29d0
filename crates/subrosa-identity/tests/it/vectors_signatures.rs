//! Vectors about signature texts and the kinds of signatures.

use serde_json::Value;
use subrosa_identity::{
    AccountId, AccountIdError, ChainCheck, ChainVerdicts, DecodeError, Identifier, IdentityAction, IdentityUpdate,
    LegacyDelegatedSignature, LegacyWalletSignature, MemberIdentifier, Passkey, PasskeySignature, UnverifiedSignature,
    Verdict, VerifyError, WalletKey, eip191_hash, recover_ethereum_address,
};
use subrosa_types::hex;
use subrosa_vectors::{Family, bytes, number, text};

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
            let cases = file["cases"].as_array().unwrap();
            for case in cases {
                let actions = case["actions"].as_array().unwrap().iter().map(unsigned_action).collect();
                let inbox = text(&case["inbox_id"]).to_owned();
                let update = IdentityUpdate::new(inbox, number(&case["client_timestamp_ns"]), actions);
                assert_eq!(update.signature_text(), text(&case["text"]), "{}", case["name"]);
                assert_eq!(update.signature_text().as_bytes(), bytes(&case["text_utf8_hex"]));
                assert_eq!(eip191_hash(&update.signature_text())[..], bytes(&case["eip191_hash"]));
            }
            let text_only = file["text_only"].as_array().unwrap();
            for case in text_only {
                check_text_only(text(&case["text"]));
            }
            cases.len() + text_only.len()
        })
        .finish();
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
            let (valid, variants) = (file["valid"].as_array().unwrap(), file["variants"].as_array().unwrap());
            for case in valid {
                let key = WalletKey::from_bytes(&bytes(&case["private_key"]).try_into().unwrap()).unwrap();
                assert_eq!(key.address(), text(&case["address"]));
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

#[test]
fn vectors_passkey_signatures() {
    Family::load("identity/passkey_signatures")
        .each(|_, file| {
            let cases = file["cases"].as_array().unwrap();
            for case in cases {
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
            let cases = file["cases"].as_array().unwrap();
            for case in cases {
                let wallet = bytes(&case["wallet_signature"]);
                let (rs, recovery) = (wallet[..64].to_vec(), u32::from(wallet[64]));
                let key = WalletKey::from_bytes(&bytes(&case["legacy_private_key"]).try_into().unwrap()).unwrap();
                assert_eq!(key.address(), text(&case["legacy_key_address"]));
                assert_eq!(key.sign(text(&case["signed_text"]))[..], bytes(&case["legacy_signature"]));
                for wallet_signature in [
                    LegacyWalletSignature::WalletEcdsaCompact { bytes: rs.clone(), recovery },
                    LegacyWalletSignature::EcdsaCompact { bytes: rs.clone(), recovery: recovery % 27 + 27 },
                ] {
                    let signature = LegacyDelegatedSignature {
                        key_bytes: bytes(&case["key_bytes"]),
                        wallet_signature: Some(wallet_signature),
                        signature: bytes(&case["legacy_signature"]),
                    };
                    let signature = UnverifiedSignature::LegacyDelegated(Box::new(signature));
                    let verified = signature.verify(text(&case["signed_text"]), &NO_CHAIN).unwrap();
                    assert_eq!(verified.signer().text(), text(&case["signer"]));
                    assert_eq!(verified.seen_value()[..64], bytes(&case["seen_value"])[..64]);
                    let other_text = signature.verify("another text", &NO_CHAIN);
                    assert_eq!(other_text, Err(VerifyError::LegacyKeyInvalid));
                }
            }
            cases.len()
        })
        .finish();
}

#[test]
fn vectors_smart_contract_wallet() {
    Family::load("identity/smart_contract_wallet")
        .each(|_, file| {
            let remote = &file["remote_verification"];
            assert_eq!(eip191_hash(text(&remote["text"]))[..], bytes(&remote["eip191_hash"]));
            check_published_update(remote);
            let cases = file["account_ids"]["cases"].as_array().unwrap();
            for case in cases {
                assert_eq!(outcome(case), text(&case["outcome"]), "{}", case["name"]);
            }
            cases.len() + 1
        })
        .finish();
}

/// The client asks the same question for every slot; each different one is listed once here.
fn check_published_update(remote: &Value) {
    let update = IdentityUpdate::from_bytes(&bytes(&remote["published_update"])).unwrap();
    assert_eq!(update.signature_text(), text(&remote["text"]));
    let asked = &remote["requests"][1];
    let check = ChainCheck {
        account_id: AccountId::parse(text(&asked["account_id"])).unwrap(),
        hash: bytes(&asked["hash"]).try_into().unwrap(),
        signature: bytes(&asked["signature"]),
        block_number: Some(number(&asked["block_number"])),
    };
    assert_eq!(update.chain_checks(), std::slice::from_ref(&check));
    assert_eq!(update.verify(&NO_CHAIN), Err(VerifyError::ChainUnknown));
    let rejected = ChainVerdicts::from_iter([(check.clone(), Verdict::Invalid)]);
    assert_eq!(update.verify(&rejected), Err(VerifyError::ContractWalletRejected));
    let accepted = ChainVerdicts::from_iter([(check, Verdict::Valid)]);
    assert!(update.verify(&accepted).is_ok());
}

/// What an inbox creation by this account comes to, when its verifier accepts everything.
fn outcome(case: &Value) -> String {
    let account_id = match AccountId::parse(text(&case["account_id"])) {
        Ok(account_id) => account_id,
        Err(AccountIdError::Parts) => return decode_kind(&DecodeError::AccountIdParts, case),
        Err(_) => return decode_kind(&DecodeError::AccountIdSyntax, case),
    };
    assert_eq!(case["parses"], true);
    let signature = UnverifiedSignature::ContractWallet { account_id, block_number: Some(0), signature: vec![1, 2, 3] };
    let check = signature.chain_check("text").unwrap();
    match signature.verify("text", &ChainVerdicts::from_iter([(check, Verdict::Valid)])) {
        Ok(verified) => match verified.signer().text().strip_prefix("0x") {
            Some(_) => format!("ok chain {}", verified.chain_id().unwrap()),
            // The signer is not the prefixed address that the case creates its inbox with.
            None => "MissingExistingMember".to_owned(),
        },
        Err(error) => format!("{error:?}"),
    }
}

fn decode_kind(error: &DecodeError, case: &Value) -> String {
    assert_eq!(case["parses"], false);
    format!("{error:?}")
}
