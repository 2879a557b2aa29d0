//! Building an update: actions first, then the signatures in any order (identity §7).

use std::collections::BTreeMap;

use subrosa_types::{InboxId, UnixNanos};

use crate::{
    ActionKind, ChainCheck, ChainVerdicts, Identifier, IdentityAction, IdentityUpdate, InstallationKey,
    MemberIdentifier, UnverifiedSignature, VerifyError, inbox_id, signature::SignedText, text,
};

/// Why a signature is refused or an update is not complete.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureRequestError {
    /// The signature does not verify over the text.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The signer is not asked for, or has signed already.
    #[error("{signer} does not have to sign")]
    UnknownSigner {
        /// Who signed.
        signer: MemberIdentifier,
    },
    /// A contract wallet's signature needs the number of the block it was verified at, and nobody named one.
    #[error("the block of a contract wallet's signature is not known")]
    BlockNumberUnknown,
    /// The new recovery identifier is an address that nobody can sign with. The network would accept it and the inbox
    /// would be locked for good (identity §2.2).
    #[error("the new recovery address is not 0x and 40 hex digits")]
    RecoveryAddressInvalid,
    /// Somebody has not signed yet.
    #[error("{} signers are missing", signers.len())]
    MissingSigner {
        /// Who.
        signers: Vec<MemberIdentifier>,
    },
}

impl SignatureRequestError {
    /// Whether the same signature may be taken later: only while a chain has not answered.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Verify(error) => error.is_retryable(),
            Self::UnknownSigner { .. }
            | Self::BlockNumberUnknown
            | Self::RecoveryAddressInvalid
            | Self::MissingSigner { .. } => false,
        }
    }

    /// The code that deployed software reports for this (identity §13).
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Verify(error) => error.label(),
            Self::UnknownSigner { .. } => "SignatureRequestError::UnknownSigner",
            Self::BlockNumberUnknown => "SignatureRequestError::BlockNumber",
            Self::RecoveryAddressInvalid => "IdentifierValidationError::InvalidAddresses",
            Self::MissingSigner { .. } => "SignatureRequestError::MissingSigner",
        }
    }
}

/// An action that waits for its signatures, with who has to fill each slot.
#[derive(Clone, Debug, Eq, PartialEq)]
enum PendingAction {
    CreateInbox { identifier: Identifier, nonce: u64 },
    AddAssociation { new_member: MemberIdentifier, existing_member: MemberIdentifier },
    RevokeAssociation { member: MemberIdentifier, recovery: Identifier },
    ChangeRecovery { new_identifier: Identifier, recovery: Identifier },
}

impl PendingAction {
    const fn kind(&self) -> ActionKind<'_> {
        match self {
            Self::CreateInbox { identifier, .. } => ActionKind::CreateInbox { identifier },
            Self::AddAssociation { new_member, .. } => ActionKind::AddAssociation { new_member },
            Self::RevokeAssociation { member, .. } => ActionKind::RevokeAssociation { member },
            Self::ChangeRecovery { new_identifier, .. } => ActionKind::ChangeRecovery { new_identifier },
        }
    }

    fn signers(&self) -> Vec<MemberIdentifier> {
        match self {
            Self::CreateInbox { identifier, .. } => vec![identifier.into()],
            Self::AddAssociation { new_member, existing_member } => vec![existing_member.clone(), new_member.clone()],
            Self::RevokeAssociation { recovery, .. } | Self::ChangeRecovery { recovery, .. } => vec![recovery.into()],
        }
    }

    /// The signed action; the signer of an unfilled slot otherwise.
    fn sign(&self, signatures: &Signatures) -> Result<IdentityAction, MemberIdentifier> {
        let of = |signer: MemberIdentifier| match signatures.get(&signer) {
            Some(Some(signature)) => Ok(signature.clone()),
            _ => Err(signer),
        };
        Ok(match self.clone() {
            Self::CreateInbox { identifier, nonce } => {
                IdentityAction::CreateInbox { signature: of((&identifier).into())?, identifier, nonce }
            }
            Self::AddAssociation { new_member, existing_member } => IdentityAction::AddAssociation {
                existing_member_signature: of(existing_member)?,
                new_member_signature: of(new_member.clone())?,
                new_member,
            },
            Self::RevokeAssociation { member, recovery } => {
                IdentityAction::RevokeAssociation { member, signature: of(recovery.into())? }
            }
            Self::ChangeRecovery { new_identifier, recovery } => {
                IdentityAction::ChangeRecovery { new_identifier, signature: of(recovery.into())? }
            }
        })
    }
}

/// Who has to sign, and what came.
type Signatures = BTreeMap<MemberIdentifier, Option<UnverifiedSignature>>;

/// Collects the actions of an update. They are fixed before anybody signs. Addresses are lower-cased: another case on
/// the wire never matches a signer (identity §2.2).
#[derive(Clone, Debug)]
#[must_use]
pub struct SignatureRequestBuilder {
    inbox_id: InboxId,
    now: UnixNanos,
    actions: Vec<PendingAction>,
}

impl SignatureRequestBuilder {
    /// Creates the inbox. `identifier` signs. The inbox id must be [`inbox_id`](crate::inbox_id) of both.
    pub fn create_inbox(mut self, identifier: Identifier, nonce: u64) -> Self {
        let identifier = lower_case(identifier);
        self.actions.push(PendingAction::CreateInbox { identifier, nonce });
        self
    }

    /// Makes `new_member` a member. Both sign.
    pub fn add_association(
        mut self,
        new_member: impl Into<MemberIdentifier>,
        existing_member: impl Into<MemberIdentifier>,
    ) -> Self {
        let (new_member, existing_member) = (lower_case_member(new_member), lower_case_member(existing_member));
        self.actions.push(PendingAction::AddAssociation { new_member, existing_member });
        self
    }

    /// Ends a membership. The recovery identifier signs.
    pub fn revoke(mut self, member: impl Into<MemberIdentifier>, recovery: Identifier) -> Self {
        let (member, recovery) = (lower_case_member(member), lower_case(recovery));
        self.actions.push(PendingAction::RevokeAssociation { member, recovery });
        self
    }

    /// Names another recovery identifier; the present one signs.
    pub fn change_recovery(mut self, new_identifier: Identifier, recovery: Identifier) -> Self {
        let (new_identifier, recovery) = (lower_case(new_identifier), lower_case(recovery));
        self.actions.push(PendingAction::ChangeRecovery { new_identifier, recovery });
        self
    }

    /// Fixes the text; from here on signatures can come.
    pub fn request(self) -> SignatureRequest {
        let client_timestamp_ns = self.now.to_wire();
        let inbox_id = self.inbox_id.to_hex();
        let text = text::signature_text(&inbox_id, client_timestamp_ns, self.actions.iter().map(PendingAction::kind));
        let signers = self.actions.iter().flat_map(PendingAction::signers);
        let signatures = signers.map(|signer| (signer, None)).collect();
        SignatureRequest { inbox_id, client_timestamp_ns, actions: self.actions, text, signatures }
    }
}

/// An update without all of its signatures.
#[derive(Clone, Debug)]
pub struct SignatureRequest {
    inbox_id: String,
    client_timestamp_ns: u64,
    actions: Vec<PendingAction>,
    text: String,
    signatures: Signatures,
}

impl SignatureRequest {
    /// Starts a request for an inbox. `now` is the sender's clock. An action list must not be repeated within the same
    /// second: the signatures would be the same and refused as replay (identity §4.2).
    pub const fn builder(inbox_id: InboxId, now: UnixNanos) -> SignatureRequestBuilder {
        SignatureRequestBuilder { inbox_id, now, actions: Vec::new() }
    }

    /// The text to sign.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The inbox, as text.
    #[must_use]
    pub fn inbox_id_text(&self) -> &str {
        &self.inbox_id
    }

    /// Who has not signed yet, each once.
    #[must_use]
    pub fn missing_signers(&self) -> Vec<MemberIdentifier> {
        let missing = self.signatures.iter().filter(|(_, signature)| signature.is_none());
        missing.map(|(signer, _)| signer.clone()).collect()
    }

    /// Whether everybody has signed.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.signatures.values().all(Option::is_some)
    }

    /// What a chain has to answer before this signature can be added; `None` for all but contract wallets.
    #[must_use]
    pub fn chain_check(&self, signature: &UnverifiedSignature) -> Option<ChainCheck> {
        signature.chain_check(&self.text)
    }

    /// Verifies a signature and fills every slot of its signer (identity §7).
    ///
    /// # Errors
    /// [`SignatureRequestError`], and nothing was added; never [`SignatureRequestError::MissingSigner`].
    pub fn add_signature(
        &mut self,
        signature: UnverifiedSignature,
        verdicts: &ChainVerdicts,
    ) -> Result<(), SignatureRequestError> {
        let text = SignedText::new(&self.text);
        let signer = signature.verify_over(&text, verdicts)?.signer().clone();
        let signature = with_block_number(signature, &text, verdicts)?;
        match self.signatures.get_mut(&signer) {
            Some(slot @ None) => {
                *slot = Some(signature);
                Ok(())
            }
            _ => Err(SignatureRequestError::UnknownSigner { signer }),
        }
    }

    /// Adds an Ethereum account's signature `r || s || v` over the text.
    ///
    /// # Errors
    /// As for [`add_signature`](Self::add_signature).
    pub fn add_wallet_signature(&mut self, signature: &[u8]) -> Result<(), SignatureRequestError> {
        self.add_signature(UnverifiedSignature::Erc191(signature.to_vec()), &ChainVerdicts::none())
    }

    /// Signs the slots of an installation with its key.
    ///
    /// # Errors
    /// [`SignatureRequestError::UnknownSigner`] if it does not have to sign, or has done so.
    pub fn sign_with_installation(&mut self, key: &InstallationKey) -> Result<(), SignatureRequestError> {
        let signature = UnverifiedSignature::by_installation(key, &self.text);
        self.add_signature(signature, &ChainVerdicts::none())
    }

    /// The update, once everybody has signed. Until then the request stays as it is, with every signature it has.
    ///
    /// # Errors
    /// [`SignatureRequestError::MissingSigner`] with those who have not signed;
    /// [`SignatureRequestError::RecoveryAddressInvalid`] if the update would lock its inbox.
    pub fn build(&self) -> Result<IdentityUpdate, SignatureRequestError> {
        let recoverable = |action: &PendingAction| match action {
            // An inbox id can be derived from exactly the addresses that can sign.
            PendingAction::ChangeRecovery { new_identifier, .. } => inbox_id(new_identifier, 0).is_ok(),
            _ => true,
        };
        if !self.actions.iter().all(recoverable) {
            return Err(SignatureRequestError::RecoveryAddressInvalid);
        }
        let actions: Result<_, _> = self.actions.iter().map(|action| action.sign(&self.signatures)).collect();
        match actions {
            Ok(actions) => Ok(IdentityUpdate::new(self.inbox_id.clone(), self.client_timestamp_ns, actions)),
            Err(_) => Err(SignatureRequestError::MissingSigner { signers: self.missing_signers() }),
        }
    }
}

fn lower_case(identifier: Identifier) -> Identifier {
    match identifier {
        Identifier::Ethereum(address) => Identifier::Ethereum(address.to_ascii_lowercase()),
        Identifier::Passkey(_) => identifier,
    }
}

fn lower_case_member(member: impl Into<MemberIdentifier>) -> MemberIdentifier {
    match member.into() {
        MemberIdentifier::Ethereum(address) => MemberIdentifier::Ethereum(address.to_ascii_lowercase()),
        other => other,
    }
}

/// Inside an update a contract wallet's signature names its block (identity §7).
fn with_block_number(
    signature: UnverifiedSignature,
    text: &SignedText<'_>,
    verdicts: &ChainVerdicts,
) -> Result<UnverifiedSignature, SignatureRequestError> {
    let Some(check) = signature.chain_check_of(text) else { return Ok(signature) };
    let block_number = verdicts.block_number(&check).ok_or(SignatureRequestError::BlockNumberUnknown)?;
    let ChainCheck { account_id, signature, .. } = check;
    Ok(UnverifiedSignature::ContractWallet { account_id, block_number: Some(block_number), signature })
}
