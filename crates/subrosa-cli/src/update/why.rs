//! Why an update is refused: the name of the rule for programs, a sentence for people.

use serde_json::{Value, json};
use subrosa_identity::{
    AssociationError, DecodeError, EntryError, Identifier, IdentityAction, IdentityUpdate, Refusal,
    SignatureExamination, Slot, VerifyError,
};

use super::member;

/// A rule that was broken, as the error catalogue names it (identity §13).
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Why {
    /// `decode`, `verify` or `state`.
    pub(crate) stage: &'static str,
    /// Name of the error, as in the vectors.
    pub(crate) kind: String,
    /// The code that deployed software reports.
    pub(crate) label: &'static str,
    /// Where the rule stands.
    pub(crate) section: &'static str,
}

impl Why {
    /// A rule of the state machine or of resolving a log.
    pub(crate) fn state(kind: &str, label: &'static str, section: &'static str) -> Self {
        Self { stage: "state", kind: kind.to_owned(), label, section }
    }

    /// For a log without entries (identity §9.3).
    pub(crate) fn missing() -> Self {
        Self::state("MissingIdentityUpdate", "AssociationError::MissingIdentityUpdate", "identity §9.3")
    }

    /// For the log of another inbox (identity §9.3).
    pub(crate) fn other_inbox() -> Self {
        Self::state("WrongInboxId", AssociationError::WrongInboxId.label(), "identity §9.3")
    }

    /// Name and place of the rule.
    pub(crate) fn rule(&self) -> String {
        format!("{} ({})", self.kind, self.section)
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        json!({ "stage": self.stage, "kind": self.kind, "label": self.label, "section": self.section })
    }
}

impl From<&DecodeError> for Why {
    fn from(error: &DecodeError) -> Self {
        let (kind, section) = match error {
            DecodeError::Malformed(_) => ("Malformed".to_owned(), "identity §3"),
            DecodeError::MissingField(field) => (format!("MissingField:{field}"), "identity §14"),
            DecodeError::InstallationKeyInvalid => (format!("{error:?}"), "identity §5.3"),
            DecodeError::PasskeyIdentifierHex => (format!("{error:?}"), "identity §2.2"),
            _ => (format!("{error:?}"), "identity §5.2"),
        };
        Self { stage: "decode", kind, label: error.label(), section }
    }
}

impl From<VerifyError> for Why {
    fn from(error: VerifyError) -> Self {
        Self { stage: "verify", kind: format!("{error:?}"), label: error.label(), section: verify_section(error) }
    }
}

impl From<&EntryError> for Why {
    fn from(error: &EntryError) -> Self {
        match error {
            EntryError::Decode(error) => error.into(),
            EntryError::Verify(error) => (*error).into(),
            EntryError::Association(error) => {
                let kind = match error {
                    AssociationError::ChainIdMismatch { .. } => "ChainIdMismatch".to_owned(),
                    error => format!("{error:?}"),
                };
                Self::state(&kind, error.label(), state_section(*error))
            }
            _ => Self::state("Unknown", error.label(), "identity §13"),
        }
    }
}

/// The section about a kind of signatures.
pub(crate) const fn verify_section(error: VerifyError) -> &'static str {
    match error {
        VerifyError::EcdsaLength
        | VerifyError::EcdsaScalar
        | VerifyError::EcdsaNoRecoveryByte
        | VerifyError::EcdsaRecoveryByte
        | VerifyError::EcdsaRecover => "identity §5.1",
        VerifyError::InstallationSignatureLength | VerifyError::InstallationSignature => "identity §5.3",
        VerifyError::LegacyKeyInvalid => "identity §5.4",
        VerifyError::PasskeyClientData
        | VerifyError::PasskeyPublicKey
        | VerifyError::PasskeySignatureEncoding
        | VerifyError::PasskeySignature => "identity §5.5",
        VerifyError::ChainUnknown => "identity §12.4",
        _ => "identity §5.2",
    }
}

const fn state_section(error: AssociationError) -> &'static str {
    match error {
        AssociationError::WrongInboxId => "identity §6.2",
        AssociationError::SignatureNotAllowed => "identity §6.4",
        AssociationError::MemberNotAllowed => "identity §6.5",
        AssociationError::InvalidAccountAddress => "identity §2.3",
        _ => "identity §6.3",
    }
}

/// The refusal of an update for people: who did what they may not. May hold anything that a peer wrote: escape it.
pub(crate) fn sentence(
    refusal: &Refusal,
    update: Option<&IdentityUpdate>,
    signatures: &[Vec<SignatureExamination>],
    recovery_before: Option<&Identifier>,
) -> String {
    let told = update.zip(refusal.action).and_then(|(update, index)| {
        let action = update.actions().get(index)?;
        let slots = signatures.get(index)?;
        let signer = |slot| {
            let signed = slots.iter().find(|s: &&SignatureExamination| s.slot == slot)?;
            signed.result.as_ref().ok().map(|verified| member(verified.signer()))
        };
        match &refusal.reason {
            EntryError::Association(error) => {
                let recovery = recovery_at(update, index, recovery_before);
                about_signer(*error, action, signer, recovery)
            }
            _ => None,
        }
    });
    let told = told.or_else(|| match (&refusal.reason, update) {
        (EntryError::Association(AssociationError::WrongInboxId), Some(update)) => Some(format!(
            "the update says it is for {:?}, but its log is that of another inbox",
            update.inbox_id_text()
        )),
        _ => None,
    });
    told.unwrap_or_else(|| refusal.reason.to_string())
}

/// Who was the recovery identifier when the action of this index was applied.
fn recovery_at(update: &IdentityUpdate, index: usize, before: Option<&Identifier>) -> Option<Identifier> {
    let named = update.actions().iter().take(index).rev().find_map(|action| match action {
        IdentityAction::ChangeRecovery { new_identifier: named, .. }
        | IdentityAction::CreateInbox { identifier: named, .. } => Some(named.clone()),
        _ => None,
    });
    named.or_else(|| before.cloned())
}

fn about_signer(
    error: AssociationError,
    action: &IdentityAction,
    signer: impl Fn(Slot) -> Option<String>,
    recovery: Option<Identifier>,
) -> Option<String> {
    Some(match (error, action) {
        (AssociationError::MissingExistingMember, IdentityAction::CreateInbox { identifier, .. }) => {
            format!("{} signed, but the owner is {}", signer(Slot::Creator)?, member(&identifier.into()))
        }
        (AssociationError::MissingExistingMember, IdentityAction::AddAssociation { .. }) => {
            format!("{} signed, but is neither a member nor the recovery identifier", signer(Slot::ExistingMember)?)
        }
        (AssociationError::MissingExistingMember, _) => {
            let recovery = member(&recovery?.into());
            format!("{} signed, but only the recovery identifier may: {recovery}", signer(Slot::Recovery)?)
        }
        (AssociationError::NewMemberIdSignatureMismatch, IdentityAction::AddAssociation { new_member, .. }) => {
            format!("{} signed for the new member, which is {}", signer(Slot::NewMember)?, member(new_member))
        }
        (AssociationError::AddSelf, _) => format!("{} adds itself", signer(Slot::NewMember)?),
        (AssociationError::ChainIdMismatch { member, signature }, _) => {
            let chain = |id: Option<u64>| id.map_or_else(|| "no chain".to_owned(), |id| format!("chain {id}"));
            format!("a member that was added on {} signed from {}", chain(member), chain(signature))
        }
        (AssociationError::NotCreated, _) => "the inbox does not exist yet: its log starts with another action".into(),
        _ => return None,
    })
}
