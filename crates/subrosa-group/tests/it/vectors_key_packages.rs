//! Key packages of official clients: `wire/key_packages`, `identity/mls_credentials`.

use serde_json::Value;
use subrosa_group::{KeyPackageError, VerifiedKeyPackage, Wrapper};
use subrosa_types::UnixNanos;
use subrosa_vectors::{Family, bytes, number, text};

fn seconds(value: u64) -> UnixNanos {
    UnixNanos::from_nanos(i64::try_from(value).unwrap() * 1_000_000_000)
}

/// Checks at `at`, an hour before it was made, and after its life.
fn check(package: &[u8], at: u64, not_before: u64, not_after: u64) -> VerifiedKeyPackage {
    let early = VerifiedKeyPackage::verify(package, seconds(not_before - 1)).unwrap_err();
    assert_eq!(early, KeyPackageError::NotYetValid { not_before, now: not_before - 1 });
    let late = VerifiedKeyPackage::verify(package, seconds(not_after)).unwrap_err();
    assert_eq!(late, KeyPackageError::Expired { not_after, now: not_after });
    let verified = VerifiedKeyPackage::verify(package, seconds(at)).expect("valid when recorded");
    assert_eq!((verified.not_before(), verified.not_after()), (not_before, not_after));
    assert_eq!(verified.to_bytes(), package);
    verified
}

#[test]
fn vectors_wire_key_packages() {
    Family::load("wire/key_packages")
        .each(|_, json| {
            let package = bytes(&json["key_package_tls"]);
            let (from, to) = (number(&json["not_before"]), number(&json["not_after"]));
            let verified = check(&package, number(&json["captured_at_unix_s"]), from, to);
            assert_eq!(verified.inbox().to_hex(), text(&json["inbox_id"]));
            assert_eq!(verified.installation().to_hex(), text(&json["installation_id"]));
            assert_eq!(verified.credential_identity(), bytes(&json["credential_identity"]));
            let post_quantum = json["wrapper_algorithm"].as_u64() == Some(2);
            assert_eq!(matches!(verified.wrapper(), Wrapper::XWing(_)), post_quantum);
            let length = number(&json["wrapper_public_key_len"]);
            assert_eq!(verified.wrapper().public_key().len(), usize::try_from(length).unwrap());
            assert_eq!(verified.takes_pointers(), !json["pointee_aead_types"].as_array().unwrap().is_empty());
            1
        })
        .finish();
}

fn accepted(case: &Value, at: u64) -> bool {
    let requested = text(&case["requested_installation_id"]);
    VerifiedKeyPackage::verify(&bytes(&case["key_package"]), seconds(at))
        .is_ok_and(|verified| verified.installation().to_hex() == requested)
}

#[test]
fn vectors_mls_credentials() {
    Family::load("identity/mls_credentials")
        .each(|_, json| {
            let packages = json["key_packages"].as_array().unwrap();
            for package in packages {
                let parsed = &package["parsed"];
                let (from, to) = (number(&parsed["not_before"]), number(&parsed["not_after"]));
                let verified = check(&bytes(&package["key_package"]), from + 3_600, from, to);
                assert_eq!(verified.inbox().to_hex(), text(&parsed["credential_inbox_id"]));
                assert_eq!(verified.installation().to_hex(), text(&parsed["leaf_signature_key"]));
                assert_eq!(verified.credential_identity(), bytes(&parsed["credential_identity"]));
            }
            let at = number(&packages[0]["parsed"]["not_before"]) + 3_600;
            let cases = json["validation"]["cases"].as_array().unwrap();
            for case in cases {
                assert_eq!(accepted(case, at), case["should_be_accepted"].as_bool().unwrap(), "{}", case["name"]);
            }
            packages.len() + cases.len()
        })
        .finish();
}

#[test]
fn vectors_wire_key_packages_checked_together() {
    let mut packages = Vec::new();
    let mut at = 0;
    Family::load("wire/key_packages")
        .each(|_, json| {
            packages.push(bytes(&json["key_package_tls"]));
            at = number(&json["captured_at_unix_s"]);
            1
        })
        .finish();
    packages.push(vec![0; 9]);
    let all: Vec<&[u8]> = packages.iter().map(Vec::as_slice).collect();
    let results = VerifiedKeyPackage::verify_all(&all, seconds(at));
    let (last, good) = results.split_last().unwrap();
    assert!(last.is_err());
    for (result, package) in good.iter().zip(&all) {
        assert_eq!(result.as_ref().unwrap().to_bytes(), *package);
    }
}
