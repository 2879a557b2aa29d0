//! Vectors about names, keys and credentials.

use serde_json::Value;
use sha2::{Digest as _, Sha256, Sha512};
use subrosa_identity::{
    ChainVerdicts, DEFAULT_NONCE, Identifier, InboxIdError, InstallationKey, InstallationSignature,
    UnverifiedSignature, credential_identity, inbox_id, inbox_of_credential, verify_text,
};
use subrosa_types::{InstallationId, hex};
use subrosa_vectors::{Family, bytes, list, number, text};

use crate::vectors_files::count;

const NO_CHAIN: ChainVerdicts = ChainVerdicts::none();

fn identifier(kind: &Value, input: &Value) -> Result<Identifier, &'static str> {
    match text(kind) {
        "ethereum" => Identifier::parse_ethereum(text(input)).map_err(|_| "InvalidAddresses"),
        "passkey" => Identifier::parse_passkey(text(input)).map_err(|_| "HexDecode"),
        other => panic!("unknown kind {other}"),
    }
}

fn nonce(value: &Value) -> u64 {
    if value.is_null() { DEFAULT_NONCE } else { number(value) }
}

fn derived(kind: &Value, input: &Value, nonce: &Value) -> Result<String, &'static str> {
    match inbox_id(&identifier(kind, input)?, self::nonce(nonce)) {
        Ok(id) => Ok(id.to_hex()),
        Err(InboxIdError::InvalidAccountAddress) => Err("InvalidAccountAddress"),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn vectors_inbox_ids() {
    Family::load("identity/inbox_ids")
        .each(|_, file| {
            for case in list(&file["cases"]) {
                let got = derived(&case["kind"], &case["identifier"], &case["nonce"]);
                assert_eq!(got.as_deref(), Ok(text(&case["inbox_id"])), "{case}");
                if let Some(preimage) = case["preimage"].as_str() {
                    assert_eq!(hex::encode(&Sha256::digest(preimage)), text(&case["inbox_id"]), "{case}");
                    let name = identifier(&case["kind"], &case["identifier"]).unwrap().text();
                    assert_eq!(format!("{name}{}", nonce(&case["nonce"])), preimage);
                }
            }
            for case in list(&file["normalisation"]) {
                let got = derived(&case["kind"], &case["input"], &case["nonce"]);
                assert_eq!(got.as_deref(), Ok(text(&case["inbox_id"])), "{case}");
            }
            for case in list(&file["errors"]) {
                if case["error"] == "bindings" {
                    // No nonce of ours can have these values.
                    assert!(text(&case["nonce"]).parse::<u64>().is_err());
                } else {
                    let got = derived(&case["kind"], &case["input"], &case["nonce"]);
                    assert_eq!(got, Err(known(text(&case["error"]))), "{case}");
                }
            }
            count(file, &["cases", "normalisation", "errors"])
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
            let (valid, rejected) = (list(&file["valid"]), list(&file["rejected"]));
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
            for case in list(&file["credentials"]) {
                let inbox = text(&case["inbox_id"]).parse().unwrap();
                assert_eq!(credential_identity(&inbox), bytes(&case["credential_identity"]));
                assert_eq!(inbox_of_credential(&bytes(&case["credential_identity"])), Ok(inbox));
            }
            // What the packages are worth is for the crate of groups to say; whose they claim to be, for this one.
            for package in list(&file["key_packages"]) {
                let inbox = inbox_of_credential(&bytes(&package["parsed"]["credential_identity"])).unwrap();
                assert_eq!(inbox.to_hex(), text(&package["inbox_id"]));
            }
            count(file, &["credentials", "key_packages"])
        })
        .finish();
}

#[test]
fn vectors_installation_signatures() {
    Family::load("identity/installation_signatures")
        .each(|_, file| {
            for case in list(&file["identity_context_generated"]["cases"]) {
                let key = InstallationKey::from_seed(bytes(&case["seed"]).try_into().unwrap());
                assert_eq!(key.id().as_bytes()[..], bytes(&case["public_key"]));
                assert_eq!(key.sign_update(text(&case["text"]))[..], bytes(&case["signature"]));
                if let Some(context) = case.get("context_hex") {
                    assert_eq!(bytes(context), text(&case["context"]).as_bytes());
                }
                if let Some(prehash) = case.get("prehash_sha512") {
                    assert_eq!(Sha512::digest(text(&case["text"]))[..], bytes(prehash));
                }
                check_update_signature(case);
            }
            for case in list(&file["identity_context_captured"]["cases"]) {
                check_update_signature(case);
            }
            for case in list(&file["public_context_captured"]["cases"]) {
                assert!(text_signature_holds(case), "{case}");
            }
            for case in list(&file["public_context_verification"]["cases"]) {
                assert_eq!(text_signature_holds(case), case["valid"].as_bool().unwrap(), "{case}");
                check_text_as_update(case);
                if let (Some(_), Some(true)) = (case.get("seed"), case["valid"].as_bool()) {
                    let key = InstallationKey::from_seed(bytes(&case["seed"]).try_into().unwrap());
                    assert_eq!(key.sign_text(text(&case["text"]))[..], bytes(&case["signature"]));
                }
            }
            let sections = ["identity_context_generated", "identity_context_captured"];
            let public = ["public_context_captured", "public_context_verification"];
            sections.iter().chain(&public).map(|section| count(&file[*section], &["cases"])).sum()
        })
        .finish();
}

/// No signature over an application's text is one of an update, except by the key that fits everything.
fn check_text_as_update(case: &Value) {
    let Ok(signature) = InstallationSignature::new(&bytes(&case["public_key"]), bytes(&case["signature"])) else {
        return;
    };
    let judged = UnverifiedSignature::Installation(Box::new(signature)).verify(text(&case["text"]), &NO_CHAIN);
    let wanted = case["name"] == "identity_context" || text(&case["name"]).starts_with("small_order");
    assert_eq!(judged.is_ok(), wanted, "{case}");
}

fn check_update_signature(case: &Value) {
    let signature = InstallationSignature::new(&bytes(&case["public_key"]), bytes(&case["signature"])).unwrap();
    let verified =
        UnverifiedSignature::Installation(Box::new(signature)).verify(text(&case["text"]), &NO_CHAIN).unwrap();
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
            let items = list(&file["items"]);
            for item in items {
                let by = text(&item["installation_id"]).parse().unwrap();
                assert_eq!(verify_text(text(&item["text"]), &bytes(&item["signature"]), &by), Ok(()));
            }
            items.len()
        })
        .finish();
}
