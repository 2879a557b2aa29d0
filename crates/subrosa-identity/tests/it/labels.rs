//! The codes of deployed software (identity §13).

use subrosa_identity::{
    AssociationError as A, DecodeError as D, EntryError, LogError, SignatureRequestError as R, VerifyError as V,
};
use subrosa_types::{InboxId, SequenceId};

/// Name of a variant: what stands before its facts.
fn kind_of(error: &impl std::fmt::Debug) -> String {
    let shown = format!("{error:?}");
    shown.split([' ', '(', '{']).next().unwrap().to_owned()
}

fn of<E: std::fmt::Debug>(errors: Vec<E>, label: impl Fn(&E) -> &'static str) -> Vec<(String, &'static str)> {
    errors.iter().map(|error| (kind_of(error), label(error))).collect()
}

fn all() -> Vec<(String, &'static str)> {
    let decode = vec![
        D::MissingField("action"),
        D::InstallationKeyInvalid,
        D::PasskeyIdentifierHex,
        D::AccountIdParts,
        D::AccountIdSyntax,
    ];
    let verify = vec![
        V::EcdsaLength,
        V::EcdsaScalar,
        V::EcdsaNoRecoveryByte,
        V::EcdsaRecoveryByte,
        V::EcdsaRecover,
        V::LegacyKeyInvalid,
        V::ContractWalletRejected,
        V::AddressInvalid,
        V::ChainIdNotEip155,
        V::ChainIdNotU64,
        V::InstallationSignatureLength,
        V::InstallationSignature,
        V::PasskeyClientData,
        V::PasskeyPublicKey,
        V::PasskeySignatureEncoding,
        V::PasskeySignature,
    ];
    let state = vec![
        A::MultipleCreate,
        A::NotCreated,
        A::MissingExistingMember,
        A::MemberNotAllowed,
        A::LegacySignatureReuse,
        A::NewMemberIdSignatureMismatch,
        A::AddSelf,
        A::WrongInboxId,
        A::SignatureNotAllowed,
        A::Replay,
        A::ChainIdMismatch { member: None, signature: Some(1) },
        A::InvalidAccountAddress,
    ];
    let log = vec![
        LogError::MissingIdentityUpdate(SequenceId(1)),
        LogError::WrongInboxId { served: InboxId::from_bytes([1; 32]) },
    ];
    let request = vec![
        R::UnknownSigner { signer: subrosa_identity::MemberIdentifier::Ethereum(String::new()) },
        R::MissingSigner { signers: Vec::new() },
        R::BlockNumberUnknown,
    ];
    assert!(decode.iter().all(|error| !EntryError::from(error.clone()).is_retryable()));
    assert!(verify.iter().all(|error| !EntryError::from(*error).is_retryable()));
    assert!(state.iter().all(|error| !EntryError::from(*error).is_retryable()));
    assert!(EntryError::from(V::ChainUnknown).is_retryable());
    [
        of(decode, D::label),
        of(verify, V::label),
        of(state, A::label),
        of(log, |error| error.label().unwrap()),
        of(request, R::label),
    ]
    .concat()
}

#[test]
fn every_error_has_the_label_of_the_catalogue() {
    let chapter = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/spec/identity.md");
    let chapter = std::fs::read_to_string(chapter).unwrap();
    let section = chapter.split("\n## ").find(|section| section.starts_with("13. ")).unwrap();
    let rows: Vec<Vec<&str>> =
        section.lines().filter(|line| line.starts_with("| ")).map(|line| line.split(" | ").collect()).collect();
    for (kind, label) in all() {
        let names = |row: &&Vec<&str>| row[0].split([' ', ',', ':']).any(|name| name == kind);
        let row = rows.iter().find(names).unwrap_or_else(|| panic!("{kind} is not in the catalogue"));
        let (family, name) = label.split_once("::").unwrap();
        assert!(row[2].contains(family), "{kind}: {label}");
        let wanted = if row[2].contains("(same name)") { name == kind } else { row[2].contains(name) };
        assert!(wanted || row[2].contains('…'), "{kind}: {label}");
    }
    // Every kind of these stages is one of ours; those of clients and of input are elsewhere.
    let known: Vec<String> = all().into_iter().map(|(kind, _)| kind).collect();
    for row in rows.iter().filter(|row| ["decode", "verify", "state", "request"].contains(&row[1])) {
        let kinds = row[0].trim_start_matches("| ").split(", ").map(|kind| kind.split(':').next().unwrap());
        for kind in kinds.filter(|kind| *kind != "verifier errors") {
            assert!(known.iter().any(|known| known == kind), "{kind} is not one of ours");
        }
    }
    assert_eq!(V::ChainUnknown.label(), "VerifierError::Provider");
}
