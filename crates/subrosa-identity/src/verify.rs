//! Verified updates: every signature was checked (identity §6.9, second stage).

use std::sync::Arc;

use crate::{
    ChainVerdicts, Identifier, IdentityAction, IdentityUpdate, MemberIdentifier, UnverifiedSignature,
    VerifiedSignature, signature::SignedText,
};

/// Why a signature does not verify (identity §13).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// An ECDSA signature has neither 64 nor 65 bytes.
    #[error("an ecdsa signature has a wrong length")]
    EcdsaLength,
    /// r or s is 0 or not below the order of the curve.
    #[error("an ecdsa signature has a number out of range")]
    EcdsaScalar,
    /// An ECDSA signature has 64 bytes: the recovery byte is missing.
    #[error("an ecdsa signature has no recovery byte")]
    EcdsaNoRecoveryByte,
    /// The recovery byte has a value that means nothing.
    #[error("an ecdsa signature has an unknown recovery byte")]
    EcdsaRecoveryByte,
    /// No public key can be recovered.
    #[error("an ecdsa signature recovers to no key")]
    EcdsaRecover,
    /// A version-2 key is malformed, not signed by a wallet, or not the one that signed.
    #[error("a legacy key does not stand for the signer")]
    LegacyKeyInvalid,
    /// A contract wallet says that it did not sign.
    #[error("a contract wallet rejected the signature")]
    ContractWalletRejected,
    /// No chain answered yet. Temporary: the one error of this kind that may pass.
    #[error("no chain answered about a contract wallet")]
    ChainUnknown,
    /// A contract wallet's account id has no Ethereum address.
    #[error("a contract wallet has no ethereum address")]
    AddressInvalid,
    /// A contract wallet is not on an Ethereum chain.
    #[error("a contract wallet is not on a chain of namespace eip155")]
    ChainIdNotEip155,
    /// A contract wallet's chain id is not a number of 64 bits.
    #[error("a contract wallet has a malformed chain id")]
    ChainIdNotU64,
    /// An installation's signature has not 64 bytes.
    #[error("an installation signature has a wrong length")]
    InstallationSignatureLength,
    /// An installation's signature does not match.
    #[error("an installation signature does not match")]
    InstallationSignature,
    /// Client data of a passkey is malformed or has another challenge.
    #[error("passkey client data is malformed or for another text")]
    PasskeyClientData,
    /// A passkey's key is not a point of the curve.
    #[error("a passkey is not a point of the curve")]
    PasskeyPublicKey,
    /// A passkey's signature is not strict DER.
    #[error("a passkey signature is malformed")]
    PasskeySignatureEncoding,
    /// A passkey's signature does not match.
    #[error("a passkey signature does not match")]
    PasskeySignature,
}

impl VerifyError {
    /// Whether the same update may verify later: only while a chain has not answered (identity §12.4).
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::ChainUnknown)
    }

    /// The code that deployed software reports for this (identity §13).
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::EcdsaLength
            | Self::LegacyKeyInvalid
            | Self::ContractWalletRejected
            | Self::PasskeySignatureEncoding => "SignatureError::Invalid",
            Self::EcdsaNoRecoveryByte | Self::EcdsaRecoveryByte | Self::EcdsaRecover => "SignatureError::Signature",
            Self::EcdsaScalar | Self::InstallationSignature | Self::PasskeySignature => "SignatureError::Ed25519Error",
            Self::InstallationSignatureLength => "SignatureError::TryFromSliceError",
            Self::PasskeyClientData => "SignatureError::InvalidClientData",
            Self::PasskeyPublicKey => "SignatureError::InvalidPublicKey",
            Self::AddressInvalid => "IdentifierValidationError::InvalidAddresses",
            Self::ChainIdNotEip155 => "AccountIdError::MissingEip155Prefix",
            Self::ChainIdNotU64 => "AccountIdError::InvalidChainId",
            Self::ChainUnknown => "VerifierError::Provider",
        }
    }
}

/// An update whose every signature was verified. Only [`IdentityUpdate::verify`] makes one. Cheap to clone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VerifiedUpdate {
    inner: Arc<Inner>,
}

#[derive(Debug, Eq, PartialEq)]
struct Inner {
    inbox_id: String,
    client_timestamp_ns: u64,
    actions: Vec<VerifiedAction>,
}

/// An action with what its signatures turned out to be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum VerifiedAction {
    Create { identifier: Identifier, nonce: u64, signature: VerifiedSignature },
    Add { new_member: MemberIdentifier, existing: VerifiedSignature, new: VerifiedSignature },
    Revoke { member: MemberIdentifier, signature: VerifiedSignature },
    ChangeRecovery { new_identifier: Identifier, signature: VerifiedSignature },
}

impl VerifiedUpdate {
    /// The inbox this is for, exactly as on the wire.
    #[must_use]
    pub fn inbox_id_text(&self) -> &str {
        &self.inner.inbox_id
    }

    /// The sender's clock, in nanoseconds since the Unix epoch. Only its whole seconds are signed.
    #[must_use]
    pub fn client_timestamp_ns(&self) -> u64 {
        self.inner.client_timestamp_ns
    }

    /// The verified signatures, in the order of the actions and of their fields.
    pub fn signatures(&self) -> impl Iterator<Item = &VerifiedSignature> {
        self.inner.actions.iter().flat_map(|action| {
            let (first, second) = match action {
                VerifiedAction::Create { signature, .. }
                | VerifiedAction::Revoke { signature, .. }
                | VerifiedAction::ChangeRecovery { signature, .. } => (signature, None),
                VerifiedAction::Add { existing, new, .. } => (existing, Some(new)),
            };
            std::iter::once(first).chain(second)
        })
    }

    pub(crate) fn actions(&self) -> &[VerifiedAction] {
        &self.inner.actions
    }
}

/// How many of the latest signatures are compared before one is verified. The actions of one update mostly share
/// signatures: registration has three slots for two, a mass revocation hundreds for one.
const REMEMBERED: usize = 4;

/// Verifies the signatures of an update, each run of equal ones once.
pub(crate) struct Verifier<'a> {
    text: SignedText<'a>,
    verdicts: &'a ChainVerdicts,
    recent: Vec<(&'a UnverifiedSignature, VerifiedSignature)>,
}

impl<'a> Verifier<'a> {
    /// For signatures over this text.
    pub(crate) const fn new(text: &'a str, verdicts: &'a ChainVerdicts) -> Self {
        Self { text: SignedText::new(text), verdicts, recent: Vec::new() }
    }

    pub(crate) fn verify(&mut self, signature: &'a UnverifiedSignature) -> Result<VerifiedSignature, VerifyError> {
        if let Some((_, verified)) = self.recent.iter().find(|(known, _)| *known == signature) {
            return Ok(verified.clone());
        }
        let verified = signature.verify_over(&self.text, self.verdicts)?;
        if self.recent.len() == REMEMBERED {
            self.recent.remove(0);
        }
        self.recent.push((signature, verified.clone()));
        Ok(verified)
    }

    fn verify_action(&mut self, action: &'a IdentityAction) -> Result<VerifiedAction, VerifyError> {
        Ok(match action {
            IdentityAction::CreateInbox { identifier, nonce, signature } => VerifiedAction::Create {
                identifier: identifier.clone(),
                nonce: *nonce,
                signature: self.verify(signature)?,
            },
            IdentityAction::AddAssociation { new_member, existing_member_signature, new_member_signature } => {
                let existing = self.verify(existing_member_signature);
                let new = self.verify(new_member_signature);
                match (existing, new) {
                    (Ok(existing), Ok(new)) => VerifiedAction::Add { new_member: new_member.clone(), existing, new },
                    (Err(error), Ok(_)) | (Ok(_), Err(error)) => return Err(error),
                    (Err(first), Err(second)) => return Err(if first.is_retryable() { second } else { first }),
                }
            }
            IdentityAction::RevokeAssociation { member, signature } => {
                VerifiedAction::Revoke { member: member.clone(), signature: self.verify(signature)? }
            }
            IdentityAction::ChangeRecovery { new_identifier, signature } => VerifiedAction::ChangeRecovery {
                new_identifier: new_identifier.clone(),
                signature: self.verify(signature)?,
            },
        })
    }
}

/// An error that lasts is reported even when a chain has not answered about an earlier signature: nobody should wait
/// for an answer that cannot help.
///
/// Fails with the index of the action that has the bad signature.
pub(crate) fn verify(
    update: &IdentityUpdate,
    verdicts: &ChainVerdicts,
) -> Result<VerifiedUpdate, (usize, VerifyError)> {
    let text = update.signature_text();
    let mut verifier = Verifier::new(&text, verdicts);
    let mut actions = Vec::with_capacity(update.actions().len());
    let mut unanswered = None;
    for (index, action) in update.actions().iter().enumerate() {
        match verifier.verify_action(action) {
            Ok(action) => actions.push(action),
            Err(error) if error.is_retryable() => unanswered = unanswered.or(Some((index, error))),
            Err(error) => return Err((index, error)),
        }
    }
    if let Some(error) = unanswered {
        return Err(error);
    }
    Ok(VerifiedUpdate {
        inner: Arc::new(Inner {
            inbox_id: update.inbox_id_text().to_owned(),
            client_timestamp_ns: update.client_timestamp_ns(),
            actions,
        }),
    })
}
