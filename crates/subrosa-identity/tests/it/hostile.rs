//! Malformed and hostile input (identity §14): a test for every row of the table.

mod decode;
mod signatures;
mod states;

use subrosa_identity::{
    AssociationError, AssociationState, ChainVerdicts, Identifier, IdentityUpdate, Verdict, VerifyError, WalletKey,
    inbox_id,
};

use crate::{
    signers::{Act, by_installation, by_wallet, update},
    world::{SECOND, installation, verdicts_for, wallet},
};

/// The first column of the table, and the tests that see the row's result: here, or in the crate where it happens.
const ROWS: &[(&str, &[&str])] = &[
    ("action with no or unknown kind", &["decode::an_action_of_no_or_unknown_kind_is_refused"]),
    (
        "unknown member identifier kind or signature kind",
        &["decode::a_member_of_no_or_unknown_kind_is_refused", "decode::a_signature_of_no_or_unknown_kind_is_refused"],
    ),
    ("missing signature slot", &["decode::every_slot_needs_its_signature"]),
    (
        "log entry without an update",
        &[
            "decode::an_entry_without_an_update_ends_the_states",
            "subrosa-transport/src/answer.rs::an_entry_without_an_update_says_so",
        ],
    ),
    (
        "mixed-case or unprefixed Ethereum identifier",
        &["states::an_address_in_another_case_or_without_prefix_matches_no_signer"],
    ),
    ("inbox ID not matching identifier and nonce", &["states::an_inbox_id_of_another_identifier_or_nonce_is_refused"]),
    ("second create, in the same or a later update", &["states::an_inbox_is_created_once"]),
    ("first action not create", &["states::nothing_comes_before_the_creation"]),
    ("signature over another text, ERC-191", &["signatures::an_erc191_signature_over_another_text_is_a_strangers"]),
    ("signature over another text, other kinds", &["signatures::every_other_kind_over_another_text_is_refused"]),
    ("ECDSA of 0, 10, 63, 66 bytes", &["signatures::an_ecdsa_signature_has_65_bytes"]),
    ("ECDSA of 64 bytes", &["signatures::an_ecdsa_signature_has_65_bytes"]),
    ("r or s zero or ≥ n", &["signatures::r_and_s_are_numbers_of_the_curve"]),
    ("v = 2…26, 29…34", &["signatures::v_has_the_values_of_wallets_only"]),
    ("high s with matching v", &["signatures::a_genuine_high_s_is_a_strangers"]),
    (
        "installation signature under the public context, no context, or plain Ed25519",
        &["signatures::an_installation_signs_updates_in_their_own_context"],
    ),
    ("non-canonical S", &["signatures::an_s_above_the_order_is_refused"]),
    ("installation adds installation", &["states::an_installation_adds_no_installation"]),
    ("adding oneself", &["states::nobody_adds_itself"]),
    (
        "revoke or recovery change by anyone but the recovery identifier",
        &["states::only_the_recovery_identifier_revokes_and_hands_over"],
    ),
    ("same update twice, or after the member was revoked", &["states::an_update_counts_once"]),
    ("contract wallet on another chain", &["states::a_contract_wallet_stays_on_its_chain"]),
    (
        "externally owned signature from a member added as contract wallet, and the reverse",
        &["states::a_member_signs_as_the_kind_of_account_it_was_added_as"],
    ),
    (
        "contract wallet with non-EVM namespace",
        &["signatures::a_contract_wallet_elsewhere_is_refused_after_its_chain_was_asked"],
    ),
    ("passkey challenge padded, hashed or different", &["signatures::a_challenge_is_the_text_itself_unpadded"]),
    ("legacy key used a second time", &["states::a_legacy_key_counts_once"]),
    ("legacy key on an inbox with nonce ≠ 0", &["states::a_legacy_key_registers_nonce_0_only"]),
    ("legacy key revokes or changes recovery", &["states::a_legacy_key_neither_revokes_nor_hands_over"]),
    ("one bad update in a log", &["states::a_bad_entry_ends_the_states_for_good"]),
    ("log of another inbox", &["states::the_log_of_another_inbox_is_refused"]),
    ("key package of another installation", KEY_PACKAGES),
    ("zero address as contract wallet", &["signatures::the_zero_address_is_for_verifiers_to_refuse"]),
    (
        "client data as JSON array, tag-5 passkey key",
        &["signatures::client_data_as_a_pair_is_accepted", "signatures::a_compact_passkey_is_an_identity_of_its_own"],
    ),
    ("update with no actions", &["states::an_update_without_actions_changes_nothing_of_an_inbox"]),
];

const KEY_PACKAGES: &[&str] = &[
    "subrosa-group/tests/it/vectors_key_packages.rs::vectors_mls_credentials",
    "subrosa-group/src/key_package/status.rs::a_package_is_worth_what_it_says_and_when",
    "subrosa-sync/src/publish.rs::a_key_package_of_another_installation_or_inbox_is_not_used",
];

/// Reads a file of the repository.
fn source(path: &str) -> String {
    let path = format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn every_row_of_the_table_has_its_test() {
    let chapter = source("../../docs/spec/identity.md");
    let section = chapter.split("\n## ").find(|section| section.starts_with("14. ")).unwrap();
    let inputs: Vec<&str> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" |").next())
        .filter(|input| *input != "Input")
        .collect();
    let covered: Vec<&str> = ROWS.iter().map(|(input, _)| *input).collect();
    assert_eq!(inputs, covered);

    for test in ROWS.iter().flat_map(|(_, tests)| *tests) {
        let (file, name) = test.rsplit_once("::").unwrap();
        let path = if file.ends_with(".rs") { format!("../{file}") } else { format!("tests/it/hostile/{file}.rs") };
        assert!(source(&path).contains(&format!("fn {name}()")), "{test}");
    }
    println!("hostile input: {} rows", ROWS.len());
}

/// The inbox of wallet 1 with nonce 1.
fn owner() -> Identifier {
    wallet(1).identifier()
}

fn inbox() -> String {
    id_of(&owner(), 1)
}

fn id_of(identifier: &Identifier, nonce: u64) -> String {
    inbox_id(identifier, nonce).unwrap().to_hex()
}

fn at(seconds: u64) -> u64 {
    seconds * SECOND.cast_unsigned() + 5
}

/// Verifies with chains that say yes to everything.
fn verify(update: &IdentityUpdate) -> Result<subrosa_identity::VerifiedUpdate, VerifyError> {
    update.verify(&verdicts_for(update, Verdict::Valid))
}

/// Applies an update to the inbox of wallet 1 whose signatures are good.
#[track_caller]
fn apply(before: Option<&AssociationState>, seconds: u64, acts: &[Act]) -> Result<AssociationState, AssociationError> {
    AssociationState::apply(before, &verify(&update(&inbox(), at(seconds), acts)).unwrap())
}

fn create(by: &WalletKey) -> Act {
    Act::Create(by.identifier(), 1, by_wallet(by))
}

fn add_wallet(new: u8, existing: u8) -> Act {
    let (new, existing) = (wallet(new), wallet(existing));
    Act::Add(new.identifier().into(), by_wallet(&existing), by_wallet(&new))
}

fn add_installation(new: u8, existing: u8) -> Act {
    let new = installation(new);
    Act::Add(new.id().into(), by_wallet(&wallet(existing)), by_installation(&new))
}

/// Wallet 1 created its inbox; wallet 2 and installation 1 belong to it.
fn registered() -> AssociationState {
    apply(None, 1, &[create(&wallet(1)), add_wallet(2, 1), add_installation(1, 1)]).unwrap()
}

/// No chain says anything.
const SILENT: ChainVerdicts = ChainVerdicts::none();
