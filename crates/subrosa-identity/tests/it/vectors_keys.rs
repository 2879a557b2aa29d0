//! Vectors about names, keys and credentials.

use serde_json::Value;
use subrosa_identity::{
    DEFAULT_NONCE, Identifier, InboxIdError, InstallationKey, InstallationSignature, UnverifiedSignature,
    credential_identity, inbox_id, inbox_of_credential, verify_text,
};
use subrosa_types::InstallationId;
use subrosa_vectors::{Family, bytes, number, text};

fn identifier(kind: &Value, input: &Value) -> Result<Identifier, &'static str> {
    match text(kind) {
        "ethereum" => Identifier::parse_ethereum(text(input)).map_err(|_| "InvalidAddresses"),
        "passkey" => Identifier::parse_passkey(text(input)).map_err(|_| "HexDecode"),
        other => panic!("unknown kind {other}"),
    }
}

fn derived(kind: &Value, input: &Value, nonce: &Value) -> Result<String, &'static str> {
    let nonce = if nonce.is_null() { DEFAULT_NONCE } else { number(nonce) };
    match inbox_id(&identifier(kind, input)?, nonce) {
        Ok(id) => Ok(id.to_hex()),
        Err(InboxIdError::InvalidAccountAddress) => Err("InvalidAccountAddress"),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn vectors_inbox_ids() {
    Family::load("identity/inbox_ids")
        .each(|_, file| {
            let mut cases = 0;
            for case in file["cases"].as_array().unwrap() {
                let got = derived(&case["kind"], &case["identifier"], &case["nonce"]);
                assert_eq!(got.as_deref(), Ok(text(&case["inbox_id"])), "{case}");
                cases += 1;
            }
            for case in file["normalisation"].as_array().unwrap() {
                let got = derived(&case["kind"], &case["input"], &case["nonce"]);
                assert_eq!(got.as_deref(), Ok(text(&case["inbox_id"])), "{case}");
                cases += 1;
            }
            for case in file["errors"].as_array().unwrap() {
                if case["error"] == "bindings" {
                    // No nonce of ours can have these values.
                    assert!(text(&case["nonce"]).parse::<u64>().is_err());
                } else {
                    let got = derived(&case["kind"], &case["input"], &case["nonce"]);
                    assert_eq!(got, Err(known(text(&case["error"]))), "{case}");
                }
                cases += 1;
            }
            cases
        })
        .finish();
}

fn known(text: &str) -> &'static str {
    ["InvalidAddresses", "InvalidAccountAddress", "HexDecode"].into_iter().find(|kind| *kind == text).unwrap()
}

#[test]
fn vectors_inbox_ids_of_the_wire() {
    Family::load("wire/identity_updates/inbox_ids")
        .each(|_, file| {
            let (valid, rejected) = (file["valid"].as_array().unwrap(), file["rejected"].as_array().unwrap());
            for case in valid {
                let got = derived(&case["identifier_kind"], &case["identifier"], &case["nonce"]);
                assert_eq!(got.as_deref(), Ok(text(&case["inbox_id"])), "{case}");
            }
            for case in rejected {
                let got = derived(&Value::from("ethereum"), &case["identifier"], &Value::Null);
                assert!(text(&case["error"]).contains(got.unwrap_err()), "{case}");
            }
            valid.len() + rejected.len()
        })
        .finish();
}

#[test]
fn vectors_mls_credentials() {
    Family::load("identity/mls_credentials")
        .each(|_, file| {
            let cases = file["credentials"].as_array().unwrap();
            for case in cases {
                let inbox = text(&case["inbox_id"]).parse().unwrap();
                assert_eq!(credential_identity(&inbox), bytes(&case["credential_identity"]));
                assert_eq!(inbox_of_credential(&bytes(&case["credential_identity"])), Ok(inbox));
            }
            cases.len()
        })
        .finish();
}

#[test]
fn vectors_installation_signatures() {
    Family::load("identity/installation_signatures")
        .each(|_, file| {
            let mut cases = 0;
            for case in file["identity_context_generated"]["cases"].as_array().unwrap() {
                let key = InstallationKey::from_seed(bytes(&case["seed"]).try_into().unwrap());
                assert_eq!(key.id().as_bytes()[..], bytes(&case["public_key"]));
                assert_eq!(key.sign_update(text(&case["text"]))[..], bytes(&case["signature"]));
                check_update_signature(case);
                cases += 1;
            }
            for case in file["identity_context_captured"]["cases"].as_array().unwrap() {
                check_update_signature(case);
                cases += 1;
            }
            for case in file["public_context_captured"]["cases"].as_array().unwrap() {
                assert!(text_signature_holds(case), "{case}");
                cases += 1;
            }
            for case in file["public_context_verification"]["cases"].as_array().unwrap() {
                assert_eq!(text_signature_holds(case), case["valid"].as_bool().unwrap(), "{case}");
                if let (Some(_), Some(true)) = (case.get("seed"), case["valid"].as_bool()) {
                    let key = InstallationKey::from_seed(bytes(&case["seed"]).try_into().unwrap());
                    assert_eq!(key.sign_text(text(&case["text"]))[..], bytes(&case["signature"]));
                }
                cases += 1;
            }
            cases
        })
        .finish();
}

fn check_update_signature(case: &Value) {
    let signature = InstallationSignature::new(&bytes(&case["public_key"]), bytes(&case["signature"])).unwrap();
    let verified = UnverifiedSignature::Installation(Box::new(signature))
        .verify(text(&case["text"]), &subrosa_identity::ChainVerdicts::none())
        .unwrap();
    assert_eq!(verified.signer().text(), text(&case["public_key"]));
    assert_eq!(verified.seen_value(), bytes(&case["signature"]));
}

fn text_signature_holds(case: &Value) -> bool {
    InstallationId::from_slice(&bytes(&case["public_key"]))
        .is_ok_and(|key| verify_text(text(&case["text"]), &bytes(&case["signature"]), &key).is_ok())
}

#[test]
fn vectors_installation_signature_of_the_wire() {
    Family::load("wire/contents/installation_signature")
        .each(|_, file| {
            let items = file["items"].as_array().unwrap();
            for item in items {
                let by = text(&item["installation_id"]).parse().unwrap();
                assert_eq!(verify_text(text(&item["text"]), &bytes(&item["signature"]), &by), Ok(()));
            }
            items.len()
        })
        .finish();
}
