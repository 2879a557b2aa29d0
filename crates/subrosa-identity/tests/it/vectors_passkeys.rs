//! Vectors about passkeys of a real browser: every assertion, and the updates that they sign.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use subrosa_identity::{
    AssociationError, AssociationState, ChainVerdicts, Identifier, IdentityAction, IdentityUpdate, InboxLog,
    InstallationKey, MemberIdentifier, Passkey, PasskeySignature, UnverifiedSignature, VerifiedSignature, VerifyError,
    WalletKey, inbox_id,
};
use subrosa_types::SequenceId;
use subrosa_vectors::{Family, bytes, list, number, text};

/// Keys of those who are no passkeys, by label.
struct Keys {
    wallets: BTreeMap<String, WalletKey>,
    installations: BTreeMap<String, InstallationKey>,
}

impl Keys {
    fn load() -> Self {
        let path = subrosa_vectors::folder().join("identity/association_logs.json");
        // Another folder may have neither these keys nor what they sign.
        let json = std::fs::read(path).map_or(Value::Null, |file| serde_json::from_slice(&file).unwrap());
        let secrets = |kind: &str, secret: &str| -> Vec<(String, [u8; 32])> {
            let keys = list(&json["test_keys"][kind]).iter();
            keys.map(|key| (text(&key["label"]).to_owned(), bytes(&key[secret]).try_into().unwrap())).collect()
        };
        let wallets = secrets("eoa", "private_key").into_iter();
        let installations = secrets("installations", "seed").into_iter();
        Self {
            wallets: wallets.map(|(label, key)| (label, WalletKey::from_bytes(&key).unwrap())).collect(),
            installations: installations.map(|(label, seed)| (label, InstallationKey::from_seed(seed))).collect(),
        }
    }

    fn member(&self, who: &Value) -> MemberIdentifier {
        match text(&who["kind"]) {
            "ethereum" => self.wallets[text(&who["key"])].identifier().into(),
            "installation" => self.installations[text(&who["key"])].id().into(),
            _ => MemberIdentifier::Passkey(Passkey::from_key(bytes(&who["public_key"]))),
        }
    }

    fn identifier(&self, who: &Value) -> Identifier {
        self.member(who).as_identifier().unwrap()
    }

    /// The recorded assertion, or the signature of a key that is at hand.
    fn sign(&self, who: &Value, update: &Value) -> UnverifiedSignature {
        match text(&who["kind"]) {
            "ethereum" => UnverifiedSignature::Erc191(self.wallets[text(&who["key"])].sign(update_text(update)).into()),
            "installation" => {
                UnverifiedSignature::by_installation(&self.installations[text(&who["key"])], update_text(update))
            }
            _ => {
                let mut made = update["assertions"].as_array().unwrap().iter();
                let made = made.find(|assertion| assertion["public_key"] == who["public_key"]).unwrap();
                UnverifiedSignature::Passkey(Box::new(assertion(made)))
            }
        }
    }

    fn update(&self, inbox: &Value, update: &Value) -> IdentityUpdate {
        let actions = update["actions"].as_array().unwrap().iter().map(|action| {
            let (who, by) = (&action["who"], |slot: usize| self.sign(&action["by"][slot], update));
            match text(&action["action"]) {
                "create" => IdentityAction::CreateInbox {
                    identifier: self.identifier(who),
                    nonce: number(&action["nonce"]),
                    signature: by(0),
                },
                "add" => IdentityAction::AddAssociation {
                    new_member: self.member(who),
                    existing_member_signature: by(0),
                    new_member_signature: by(1),
                },
                "revoke" => IdentityAction::RevokeAssociation { member: self.member(who), signature: by(0) },
                _ => IdentityAction::ChangeRecovery { new_identifier: self.identifier(who), signature: by(0) },
            }
        });
        let time = number(&update["client_timestamp_ns"]);
        IdentityUpdate::new(text(&inbox["inbox_id"]).to_owned(), time, actions.collect())
    }
}

fn update_text(update: &Value) -> &str {
    text(&update["text"])
}

fn assertion(json: &Value) -> PasskeySignature {
    PasskeySignature {
        public_key: bytes(&json["public_key"]),
        signature: bytes(&json["signature"]),
        authenticator_data: bytes(&json["authenticator_data"]),
        client_data_json: bytes(&json["client_data_json"]),
    }
}

fn verify(assertion: &PasskeySignature, text: &str) -> Result<VerifiedSignature, VerifyError> {
    UnverifiedSignature::Passkey(Box::new(assertion.clone())).verify(text, &ChainVerdicts::none())
}

/// Calls `check` with every assertion, its text and its credential.
fn each_assertion(file: &Value, mut check: impl FnMut(&PasskeySignature, &str, &Value)) -> usize {
    let mut count = 0;
    for update in file["inboxes"].as_array().unwrap().iter().flat_map(|inbox| inbox["updates"].as_array().unwrap()) {
        for recorded in update["assertions"].as_array().unwrap() {
            let mut credentials = file["credentials"].as_array().unwrap().iter();
            let credential = credentials.find(|made| made["label"] == recorded["credential"]).unwrap();
            check(&assertion(recorded), update_text(update), credential);
            count += 1;
        }
    }
    count
}

/// The assertions that differ by more than their text: one of each encoding of the key, flags of the authenticator, and
/// shape of the client data.
fn shapes(file: &Value) -> Vec<(PasskeySignature, String)> {
    let mut known = BTreeSet::new();
    let mut shapes = Vec::new();
    each_assertion(file, |assertion, text, _| {
        let members = assertion.client_data_json.iter().filter(|byte| **byte == b'"').count();
        if known.insert((assertion.public_key.len(), assertion.authenticator_data[32], members)) {
            shapes.push((assertion.clone(), text.to_owned()));
        }
    });
    shapes
}

#[test]
fn vectors_passkeys_every_assertion_of_a_browser_verifies() {
    Family::load("passkeys/chromium")
        .each(|_, file| {
            for credential in file["credentials"].as_array().unwrap() {
                let (point, cose) = (bytes(&credential["uncompressed"]), bytes(&credential["cose_key"]));
                // EC2, ES256, P-256, x, y.
                let head = [0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 0x20];
                let expected = [&head, &point[1..33], &[0x22, 0x58, 0x20], &point[33..]].concat();
                assert_eq!(cose, expected);
                assert_eq!(bytes(&credential["compressed"])[1..], point[1..33]);
            }
            let mut encodings = BTreeSet::new();
            let count = each_assertion(file, |assertion, text_, credential| {
                let verified = verify(assertion, text_).unwrap();
                let MemberIdentifier::Passkey(passkey) = verified.signer() else { panic!("not a passkey") };
                assert_eq!(passkey.key, assertion.public_key);
                assert_eq!(passkey.relying_party.as_deref(), Some(text(&credential["origin"])));
                encodings.insert(passkey.key.len());
            });
            assert_eq!(encodings, BTreeSet::from([33, 65]), "both encodings of keys appear");
            count
        })
        .finish();
}

#[test]
fn vectors_passkeys_updates_of_a_browser_apply() {
    let keys = Keys::load();
    Family::load("passkeys/chromium")
        .each(|_, file| {
            let mut count = 0;
            for inbox in file["inboxes"].as_array().unwrap() {
                let mut log = InboxLog::new(text(&inbox["inbox_id"]).parse().unwrap());
                for (recorded, sequence) in inbox["updates"].as_array().unwrap().iter().zip(1..) {
                    let update = keys.update(inbox, recorded);
                    assert_eq!(update.signature_text(), update_text(recorded));
                    let update = IdentityUpdate::from_bytes(&update.to_bytes()).unwrap();
                    log.push(SequenceId(sequence), &update.verify(&ChainVerdicts::none()).unwrap()).unwrap();
                    let state = log.latest().unwrap();
                    let mut members: Vec<_> = state.members().iter().map(|member| member.identifier.text()).collect();
                    members.sort();
                    let expected: Vec<_> = recorded["members"].as_array().unwrap().iter().map(text).collect();
                    assert_eq!(members, expected, "{} {sequence}", inbox["about"]);
                    assert_eq!(state.recovery_identifier().text(), text(&recorded["recovery"]));
                    count += 1;
                }
            }
            count
        })
        .finish();
}

#[test]
fn vectors_passkeys_any_changed_bit_is_refused() {
    Family::load("passkeys/chromium")
        .each(|_, file| {
            let shapes = shapes(file);
            for (assertion, text) in &shapes {
                each_bit(&assertion.public_key, |public_key| {
                    let error = verify(&PasskeySignature { public_key, ..assertion.clone() }, text).unwrap_err();
                    assert!(matches!(error, VerifyError::PasskeyPublicKey | VerifyError::PasskeySignature));
                });
                each_bit(&assertion.signature, |signature| {
                    let error = verify(&PasskeySignature { signature, ..assertion.clone() }, text).unwrap_err();
                    assert!(matches!(error, VerifyError::PasskeySignatureEncoding | VerifyError::PasskeySignature));
                });
                // Flags, counter and relying party are not looked at, but signed.
                each_bit(&assertion.authenticator_data, |authenticator_data| {
                    let changed = PasskeySignature { authenticator_data, ..assertion.clone() };
                    assert_eq!(verify(&changed, text), Err(VerifyError::PasskeySignature));
                });
                each_bit(&assertion.client_data_json, |client_data_json| {
                    let changed = PasskeySignature { client_data_json, ..assertion.clone() };
                    let error = verify(&changed, text).unwrap_err();
                    assert!(matches!(error, VerifyError::PasskeyClientData | VerifyError::PasskeySignature));
                });
                each_bit(text.as_bytes(), |text| {
                    let Ok(text) = String::from_utf8(text) else { return };
                    assert_eq!(verify(assertion, &text), Err(VerifyError::PasskeyClientData));
                });
            }
            shapes.len()
        })
        .finish();
}

fn each_bit(bytes: &[u8], mut check: impl FnMut(Vec<u8>)) {
    for bit in 0..8 * bytes.len() {
        let mut changed = bytes.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        check(changed);
    }
}

/// Every bit of an encoded update that a passkey alone signs. What is still accepted does the same, or has lost its
/// actions and does nothing: nobody has to sign that (identity §6.2).
#[test]
fn vectors_passkeys_a_changed_bit_of_an_update_does_nothing_else() {
    let keys = Keys::load();
    Family::load("passkeys/chromium")
        .each(|_, file| {
            let inbox = &file["inboxes"][0];
            let updates = inbox["updates"].as_array().unwrap();
            let mut states: Vec<AssociationState> = Vec::new();
            for recorded in updates {
                let update = keys.update(inbox, recorded).verify(&ChainVerdicts::none()).unwrap();
                states.push(AssociationState::apply(states.last(), &update).unwrap());
            }
            let at = updates.iter().position(|update| update["actions"][0]["action"] == "revoke").unwrap();
            let (mut same, mut empty) = (0, 0);
            each_bit(&keys.update(inbox, &updates[at]).to_bytes(), |bytes| {
                let Ok(update) = IdentityUpdate::from_bytes(&bytes) else { return };
                let Ok(verified) = update.verify(&ChainVerdicts::none()) else { return };
                let Ok(state) = AssociationState::apply(Some(&states[at - 1]), &verified) else { return };
                if update.actions().is_empty() {
                    assert_eq!(state, states[at - 1]);
                    empty += 1;
                } else {
                    assert_eq!(state, states[at]);
                    same += 1;
                }
            });
            // The part of a second, and the tag of the one action.
            assert!((1..=30).contains(&same) && (1..=8).contains(&empty), "{same} the same, {empty} empty");
            1
        })
        .finish();
}

#[test]
fn vectors_passkeys_the_other_s_is_another_seen_value() {
    Family::load("passkeys/chromium")
        .each(|_, file| {
            each_assertion(file, |assertion, text, _| {
                let (r, s) = p256::ecdsa::Signature::from_der(&assertion.signature).unwrap().split_scalars();
                let other = p256::ecdsa::Signature::from_scalars(r, -s).unwrap();
                let changed = PasskeySignature { signature: other.to_der().as_bytes().to_vec(), ..assertion.clone() };
                let (here, there) = (verify(assertion, text).unwrap(), verify(&changed, text).unwrap());
                assert_eq!(here.signer(), there.signer());
                assert_eq!(here.seen_value()[..32], there.seen_value()[..32]);
                assert_ne!(here.seen_value(), there.seen_value());
            })
        })
        .finish();
}

#[test]
fn vectors_passkeys_another_encoding_of_the_key_is_another_passkey() {
    Family::load("passkeys/chromium")
        .each(|_, file| {
            let mut compact = 0;
            let count = each_assertion(file, |assertion, text, credential| {
                let original = verify(assertion, text).unwrap();
                let (short, long) = (bytes(&credential["compressed"]), bytes(&credential["uncompressed"]));
                let with = |public_key: &[u8]| {
                    verify(&PasskeySignature { public_key: public_key.to_vec(), ..assertion.clone() }, text)
                };
                let other = if assertion.public_key == short { &long } else { &short };
                let accepted = with(other).unwrap();
                assert_ne!(accepted.signer(), original.signer());
                assert_eq!(accepted.seen_value(), original.seen_value());
                // Hybrid forms are refused; tag 5 stands for the smaller y, right or not.
                assert_eq!(with(&[&[6 + (short[0] & 1)], &long[1..]].concat()), Err(VerifyError::PasskeyPublicKey));
                match with(&[&[5], &short[1..]].concat()) {
                    Ok(verified) => {
                        assert_ne!(verified.signer(), original.signer());
                        compact += 1;
                    }
                    Err(error) => assert_eq!(error, VerifyError::PasskeySignature),
                }
            });
            println!("{compact} of {count} verify in compact form");
            count
        })
        .finish();
}

#[test]
fn vectors_passkeys_an_inbox_is_not_created_by_another_encoding() {
    let keys = Keys::load();
    Family::load("passkeys/chromium")
        .each(|_, file| {
            let (inbox, mut count) = (&file["inboxes"][0], 0);
            let recorded = &inbox["updates"][0];
            let update = keys.update(inbox, recorded);
            let IdentityAction::CreateInbox { identifier, nonce, signature } = &update.actions()[0] else {
                panic!("the first action creates")
            };
            assert_eq!(inbox_id(identifier, *nonce).unwrap().to_hex(), text(&inbox["inbox_id"]));
            let UnverifiedSignature::Passkey(made) = signature else { panic!("a passkey creates") };
            for credential in file["credentials"].as_array().unwrap() {
                for form in ["compressed", "uncompressed"] {
                    let public_key = bytes(&credential[form]);
                    let same = public_key == made.public_key;
                    let changed = PasskeySignature { public_key, ..(**made).clone() };
                    let action = IdentityAction::CreateInbox {
                        identifier: identifier.clone(),
                        nonce: *nonce,
                        signature: UnverifiedSignature::Passkey(Box::new(changed)),
                    };
                    let update = IdentityUpdate::new(
                        update.inbox_id_text().to_owned(),
                        update.client_timestamp_ns(),
                        [vec![action], update.actions()[1..].to_vec()].concat(),
                    );
                    let applied =
                        update.verify(&ChainVerdicts::none()).map(|u| AssociationState::apply(None, &u).err());
                    let expected = match (same, text(&credential["label"]) == "synced") {
                        (true, _) => Ok(None),
                        (false, true) => Ok(Some(AssociationError::MissingExistingMember)),
                        (false, false) => Err(VerifyError::PasskeySignature),
                    };
                    assert_eq!(applied, expected, "{} {form}", credential["label"]);
                    count += 1;
                }
            }
            count
        })
        .finish();
}

#[test]
fn vectors_passkeys_an_assertion_signs_one_text() {
    Family::load("passkeys/chromium")
        .each(|_, file| {
            let mut all: Vec<(PasskeySignature, String)> = Vec::new();
            each_assertion(file, |assertion, text, _| all.push((assertion.clone(), text.to_owned())));
            for (assertion, own) in &all {
                for (_, text) in all.iter().filter(|(_, text)| text != own) {
                    assert_eq!(verify(assertion, text), Err(VerifyError::PasskeyClientData));
                }
            }
            all.len()
        })
        .finish();
}
