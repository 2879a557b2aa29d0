//! Applying an update: every check, in the order of the specification (identity §6.2, §6.3).

use std::collections::{BTreeMap, BTreeSet};

use super::{AssociationError, Inner, Member};
use crate::{
    Identifier, InboxIdError, MemberIdentifier, SignatureKind, VerifiedSignature, VerifiedUpdate, inbox_id,
    verify::VerifiedAction,
};

/// Where applying an update stopped.
pub(crate) struct Stop {
    /// Index of the action that cannot be applied; `None` for the rules about the whole update.
    pub(crate) action: Option<usize>,
    /// Why.
    pub(crate) error: AssociationError,
}

/// The state after an update. Signatures count as seen only after all actions, so that one signature may fill several
/// slots of its update (identity §6.2).
pub(super) fn apply(before: Option<Inner>, update: &VerifiedUpdate) -> Result<Inner, Stop> {
    let mut state = before;
    for (index, action) in update.actions().iter().enumerate() {
        apply_action(&mut state, action, update.client_timestamp_ns())
            .map_err(|error| Stop { action: Some(index), error })?;
    }
    let whole = |error| Stop { action: None, error };
    let mut state = state.ok_or(whole(AssociationError::NotCreated))?;
    if state.inbox_id.to_hex() != update.inbox_id_text() {
        return Err(whole(AssociationError::WrongInboxId));
    }
    state.seen_signatures.extend(update.signatures().map(|signature| signature.seen_value().to_vec()));
    Ok(state)
}

fn apply_action(
    state: &mut Option<Inner>,
    action: &VerifiedAction,
    client_timestamp_ns: u64,
) -> Result<(), AssociationError> {
    if let VerifiedAction::Create { identifier, nonce, signature } = action {
        if state.is_some() {
            return Err(AssociationError::MultipleCreate);
        }
        *state = Some(create(identifier, *nonce, signature)?);
        return Ok(());
    }
    let state = state.as_mut().ok_or(AssociationError::NotCreated)?;
    match action {
        VerifiedAction::Create { .. } => {}
        VerifiedAction::Add { new_member, existing, new } => {
            state.add(new_member, existing, new, client_timestamp_ns)?;
        }
        VerifiedAction::Revoke { member, signature } => state.revoke(member, signature)?,
        VerifiedAction::ChangeRecovery { new_identifier, signature } => {
            state.check_recovery_signature(signature)?;
            state.recovery_identifier = new_identifier.clone();
        }
    }
    Ok(())
}

fn create(identifier: &Identifier, nonce: u64, signature: &VerifiedSignature) -> Result<Inner, AssociationError> {
    if !signature.signer().is(identifier) {
        return Err(AssociationError::MissingExistingMember);
    }
    check_kind(signature)?;
    if signature.kind() == SignatureKind::LegacyDelegated && nonce != 0 {
        return Err(AssociationError::LegacySignatureReuse);
    }
    let inbox_id = inbox_id(identifier, nonce)?;
    let member = Member {
        identifier: identifier.into(),
        added_by: None,
        client_timestamp_ns: None,
        added_on_chain_id: signature.chain_id(),
    };
    Ok(Inner {
        inbox_id,
        members: BTreeMap::from([(member.identifier.clone(), member)]),
        added_by: BTreeMap::new(),
        recovery_identifier: identifier.clone(),
        seen_signatures: BTreeSet::new(),
    })
}

impl From<InboxIdError> for AssociationError {
    fn from(error: InboxIdError) -> Self {
        match error {
            InboxIdError::InvalidAccountAddress => Self::InvalidAccountAddress,
        }
    }
}

impl Inner {
    fn add(
        &mut self,
        new_member: &MemberIdentifier,
        existing: &VerifiedSignature,
        new: &VerifiedSignature,
        client_timestamp_ns: u64,
    ) -> Result<(), AssociationError> {
        self.check_unseen(existing)?;
        self.check_unseen(new)?;
        if new.signer() != new_member {
            return Err(AssociationError::NewMemberIdSignatureMismatch);
        }
        if new.signer() == existing.signer() {
            return Err(AssociationError::AddSelf);
        }
        self.check_legacy_registration(existing, new)?;
        check_kind(new)?;
        self.check_existing_signer(existing)?;
        check_kind(existing)?;
        check_may_add(existing.signer(), new.signer())?;
        self.insert(Member {
            identifier: new.signer().clone(),
            added_by: Some(existing.signer().clone()),
            client_timestamp_ns: Some(client_timestamp_ns),
            added_on_chain_id: new.chain_id(),
        });
        Ok(())
    }

    /// A legacy key registers the one inbox that its wallet would have with nonce 0. An installation as existing
    /// signer skips the rule (identity §6.3).
    fn check_legacy_registration(
        &self,
        existing: &VerifiedSignature,
        new: &VerifiedSignature,
    ) -> Result<(), AssociationError> {
        let is_legacy = [existing, new].iter().any(|s| s.kind() == SignatureKind::LegacyDelegated);
        match existing.signer().as_identifier() {
            Some(signer) if is_legacy && inbox_id(&signer, 0)? != self.inbox_id => {
                Err(AssociationError::LegacySignatureReuse)
            }
            _ => Ok(()),
        }
    }

    /// The existing signer is a member on its own chain, or the recovery identifier on any (identity §6.3).
    fn check_existing_signer(&self, existing: &VerifiedSignature) -> Result<(), AssociationError> {
        if self.members.contains_key(existing.signer()) {
            return self.check_chain(existing);
        }
        if !existing.signer().is(&self.recovery_identifier) {
            return Err(AssociationError::MissingExistingMember);
        }
        if existing.kind() == SignatureKind::LegacyDelegated {
            return Err(AssociationError::LegacySignatureReuse);
        }
        Ok(())
    }

    fn revoke(&mut self, member: &MemberIdentifier, signature: &VerifiedSignature) -> Result<(), AssociationError> {
        self.check_recovery_signature(signature)?;
        self.remove(member);
        // One level deep, installations only, and even when the member itself was none (identity §6.3).
        for installation in self.added_by.remove(member).unwrap_or_default() {
            self.members.remove(&installation);
        }
        Ok(())
    }

    /// What revocation and recovery change have in common.
    fn check_recovery_signature(&self, signature: &VerifiedSignature) -> Result<(), AssociationError> {
        self.check_unseen(signature)?;
        self.check_chain(signature)?;
        if signature.kind() == SignatureKind::LegacyDelegated {
            return Err(AssociationError::SignatureNotAllowed);
        }
        if !signature.signer().is(&self.recovery_identifier) {
            return Err(AssociationError::MissingExistingMember);
        }
        Ok(())
    }

    fn check_unseen(&self, signature: &VerifiedSignature) -> Result<(), AssociationError> {
        if self.seen_signatures.contains(signature.seen_value()) {
            return Err(AssociationError::Replay);
        }
        Ok(())
    }

    /// A signer that is a member signs from the chain it was added on; both absent counts as equal.
    fn check_chain(&self, signature: &VerifiedSignature) -> Result<(), AssociationError> {
        match self.members.get(signature.signer()) {
            Some(member) if member.added_on_chain_id != signature.chain_id() => {
                Err(AssociationError::ChainIdMismatch {
                    member: member.added_on_chain_id,
                    signature: signature.chain_id(),
                })
            }
            _ => Ok(()),
        }
    }

    /// Inserts or replaces a member.
    pub(super) fn insert(&mut self, member: Member) {
        self.remove(&member.identifier);
        if let (MemberIdentifier::Installation(_), Some(parent)) = (&member.identifier, &member.added_by) {
            self.added_by.entry(parent.clone()).or_default().insert(member.identifier.clone());
        }
        self.members.insert(member.identifier.clone(), member);
    }

    fn remove(&mut self, identifier: &MemberIdentifier) {
        let Some(parent) = self.members.remove(identifier).and_then(|member| member.added_by) else { return };
        if let Some(children) = self.added_by.get_mut(&parent) {
            children.remove(identifier);
            if children.is_empty() {
                self.added_by.remove(&parent);
            }
        }
    }
}

/// Signature kind by member kind (identity §6.4).
fn check_kind(signature: &VerifiedSignature) -> Result<(), AssociationError> {
    if signature.kind().is_allowed_for(signature.signer()) {
        Ok(())
    } else {
        Err(AssociationError::SignatureNotAllowed)
    }
}

/// Who may add whom (identity §6.5).
fn check_may_add(existing: &MemberIdentifier, new: &MemberIdentifier) -> Result<(), AssociationError> {
    match (existing, new) {
        (MemberIdentifier::Installation(_), MemberIdentifier::Installation(_)) => {
            Err(AssociationError::MemberNotAllowed)
        }
        _ => Ok(()),
    }
}
