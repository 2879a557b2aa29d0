//! That no part of a vector file is passed over.

use std::{collections::BTreeSet, fs};

use serde_json::Value;
use subrosa_vectors::list;

/// How many cases these sections of a file have together.
pub(crate) fn count(file: &Value, sections: &[&str]) -> usize {
    sections.iter().map(|section| list(&file[*section]).len()).sum()
}

/// A section of a file and the test that reads it; `None` for words about the file.
type Section = (&'static str, Option<&'static str>);

/// Every section of every file about identity.
const SECTIONS: &[(&str, &[Section])] = &[
    (
        "association_logs.json",
        &[
            ("source", None),
            ("notes", None),
            ("test_keys", Some("subrosa-identity/tests/it/vectors_logs.rs")),
            ("cases", Some("subrosa-identity/tests/it/vectors_logs.rs")),
            ("resolution_hardening", Some("subrosa-identity/tests/it/vectors_logs.rs")),
        ],
    ),
    (
        "erc191_signatures.json",
        &[
            ("source", None),
            ("valid", Some("subrosa-identity/tests/it/vectors_signatures.rs")),
            ("variants", Some("subrosa-identity/tests/it/vectors_signatures.rs")),
        ],
    ),
    (
        "identity_update_encoding.json",
        &[
            ("source", None),
            ("encoding", None),
            ("updates", Some("subrosa-identity/tests/it/vectors_wire.rs")),
            ("requests", Some("subrosa-transport/src/vectors.rs")),
        ],
    ),
    (
        "inbox_ids.json",
        &[
            ("source", None),
            ("rule", None),
            ("cases", Some("subrosa-identity/tests/it/vectors_keys.rs")),
            ("normalisation", Some("subrosa-identity/tests/it/vectors_keys.rs")),
            ("errors", Some("subrosa-identity/tests/it/vectors_keys.rs")),
        ],
    ),
    (
        "installation_signatures.json",
        &[
            ("source", None),
            ("scheme", None),
            ("identity_context_generated", Some("subrosa-identity/tests/it/vectors_keys.rs")),
            ("identity_context_captured", Some("subrosa-identity/tests/it/vectors_keys.rs")),
            ("public_context_captured", Some("subrosa-identity/tests/it/vectors_keys.rs")),
            ("public_context_verification", Some("subrosa-identity/tests/it/vectors_keys.rs")),
        ],
    ),
    (
        "legacy_delegated.json",
        &[
            ("source", None),
            ("cases", Some("subrosa-identity/tests/it/vectors_signatures.rs")),
            ("see_also", Some("subrosa-identity/tests/it/vectors_signatures.rs")),
        ],
    ),
    (
        "mls_credentials.json",
        &[
            ("source", None),
            ("credentials", Some("subrosa-identity/tests/it/vectors_keys.rs")),
            ("key_packages", Some("subrosa-group/tests/it/vectors_key_packages.rs")),
            ("validation", Some("subrosa-group/tests/it/vectors_key_packages.rs")),
        ],
    ),
    (
        "passkey_signatures.json",
        &[("source", None), ("signed_bytes", None), ("cases", Some("subrosa-identity/tests/it/vectors_signatures.rs"))],
    ),
    (
        "signature_texts.json",
        &[
            ("source", None),
            ("cases", Some("subrosa-identity/tests/it/vectors_signatures.rs")),
            ("text_only", Some("subrosa-identity/tests/it/vectors_signatures.rs")),
        ],
    ),
    (
        "smart_contract_wallet.json",
        &[
            ("source", None),
            ("remote_verification", Some("subrosa-identity/tests/it/vectors_wallets.rs")),
            ("account_ids", Some("subrosa-identity/tests/it/vectors_wallets.rs")),
            // Asked of a real machine, by the crate that asks chains.
            ("validator_contract", None),
        ],
    ),
];

/// The files of the repository, whatever folder the other tests read: a file of other people may have more.
#[test]
fn every_section_of_the_repositorys_files_is_read_by_a_test() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    for (file, sections) in SECTIONS {
        let content = fs::read_to_string(format!("{root}/vectors/identity/{file}")).unwrap();
        let content: Value = serde_json::from_str(&content).unwrap();
        let found: BTreeSet<&str> = content.as_object().unwrap().keys().map(String::as_str).collect();
        let known: BTreeSet<&str> = sections.iter().map(|(section, _)| *section).collect();
        assert_eq!(found, known, "{file}");
        for (section, test) in sections.iter().filter_map(|(section, test)| Some((section, (*test)?))) {
            let test = fs::read_to_string(format!("{root}/crates/{test}")).unwrap();
            assert!(test.contains(&format!("[\"{section}\"]")), "{file}: {section}");
        }
    }
}
