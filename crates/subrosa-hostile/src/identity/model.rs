//! The association state machine once more, as plain as the specification's tables (identity §6.2, §6.3): lists
//! instead of maps, every signature verified for itself. What the library makes of a log must be the same.

use subrosa_identity::{
    AssociationError, AssociationState, ChainVerdicts, Identifier, IdentityAction, IdentityUpdate, Member,
    MemberIdentifier, SignatureKind, UnverifiedSignature, VerifiedSignature, inbox_id,
};

/// Member, who added it, when, and on which chain.
type Record = (MemberIdentifier, Option<MemberIdentifier>, Option<u64>, Option<u64>);

#[derive(Clone)]
pub(super) struct Model {
    inbox: String,
    members: Vec<Record>,
    recovery: MemberIdentifier,
    seen: Vec<Vec<u8>>,
}

use AssociationError as Refused;

/// The state after an update whose signatures all verify.
pub(super) fn apply(
    before: Option<Model>,
    update: &IdentityUpdate,
    verdicts: &ChainVerdicts,
) -> Result<Model, Refused> {
    let text = update.signature_text();
    let signed = |signature: &UnverifiedSignature| signature.verify(&text, verdicts).expect("the update verified");
    let mut state = before;
    for action in update.actions() {
        match (action, &mut state) {
            (IdentityAction::CreateInbox { .. }, Some(_)) => return Err(Refused::MultipleCreate),
            (IdentityAction::CreateInbox { identifier, nonce, signature }, None) => {
                state = Some(create(identifier, *nonce, &signed(signature))?);
            }
            (_, None) => return Err(Refused::NotCreated),
            (
                IdentityAction::AddAssociation { new_member, existing_member_signature, new_member_signature },
                Some(state),
            ) => {
                let record =
                    state.add(new_member, &signed(existing_member_signature), &signed(new_member_signature))?;
                state.members.retain(|(member, ..)| member != new_member);
                state.members.push((record.0, record.1, Some(update.client_timestamp_ns()), record.3));
            }
            (IdentityAction::RevokeAssociation { member, signature }, Some(state)) => {
                state.by_recovery(&signed(signature))?;
                state.members.retain(|(other, added_by, ..)| {
                    let child = matches!(other, MemberIdentifier::Installation(_)) && added_by.as_ref() == Some(member);
                    other != member && !child
                });
            }
            (IdentityAction::ChangeRecovery { new_identifier, signature }, Some(state)) => {
                state.by_recovery(&signed(signature))?;
                state.recovery = new_identifier.into();
            }
            (other, Some(_)) => panic!("an action that the model does not know: {other:?}"),
        }
    }
    let mut state = state.ok_or(Refused::NotCreated)?;
    if state.inbox != update.inbox_id_text() {
        return Err(Refused::WrongInboxId);
    }
    for signature in update.actions().iter().flat_map(IdentityAction::signatures) {
        state.seen.push(signed(signature).seen_value().to_vec());
    }
    Ok(state)
}

fn is_legacy(signature: &VerifiedSignature) -> bool {
    signature.kind() == SignatureKind::LegacyDelegated
}

fn create(identifier: &Identifier, nonce: u64, by: &VerifiedSignature) -> Result<Model, Refused> {
    let member = MemberIdentifier::from(identifier);
    if *by.signer() != member {
        return Err(Refused::MissingExistingMember);
    }
    if is_legacy(by) && nonce != 0 {
        return Err(Refused::LegacySignatureReuse);
    }
    let inbox = inbox_id(identifier, nonce).map_err(|_| Refused::InvalidAccountAddress)?.to_hex();
    let members = vec![(member.clone(), None, None, by.chain_id())];
    Ok(Model { inbox, members, recovery: member, seen: Vec::new() })
}

impl Model {
    fn chain_of(&self, member: &MemberIdentifier) -> Option<Option<u64>> {
        self.members.iter().find(|(other, ..)| other == member).map(|(.., chain)| *chain)
    }

    fn unseen(&self, signature: &VerifiedSignature) -> Result<(), Refused> {
        if self.seen.iter().any(|seen| seen == signature.seen_value()) { Err(Refused::Replay) } else { Ok(()) }
    }

    fn add(
        &self,
        new_member: &MemberIdentifier,
        existing: &VerifiedSignature,
        new: &VerifiedSignature,
    ) -> Result<Record, Refused> {
        self.unseen(existing)?;
        self.unseen(new)?;
        if new.signer() != new_member {
            return Err(Refused::NewMemberIdSignatureMismatch);
        }
        if new.signer() == existing.signer() {
            return Err(Refused::AddSelf);
        }
        if let (Some(by), true) = (existing.signer().as_identifier(), is_legacy(existing) || is_legacy(new)) {
            let first = inbox_id(&by, 0).map_err(|_| Refused::InvalidAccountAddress)?;
            if first.to_hex() != self.inbox {
                return Err(Refused::LegacySignatureReuse);
            }
        }
        match self.chain_of(existing.signer()) {
            Some(member) if member != existing.chain_id() => {
                return Err(Refused::ChainIdMismatch { member, signature: existing.chain_id() });
            }
            Some(_) => {}
            None if *existing.signer() != self.recovery => return Err(Refused::MissingExistingMember),
            None if is_legacy(existing) => return Err(Refused::LegacySignatureReuse),
            None => {}
        }
        let is_installation = |signature: &VerifiedSignature| signature.kind() == SignatureKind::Installation;
        if is_installation(existing) && is_installation(new) {
            return Err(Refused::MemberNotAllowed);
        }
        Ok((new.signer().clone(), Some(existing.signer().clone()), None, new.chain_id()))
    }

    fn by_recovery(&self, by: &VerifiedSignature) -> Result<(), Refused> {
        self.unseen(by)?;
        match self.chain_of(by.signer()) {
            Some(member) if member != by.chain_id() => {
                Err(Refused::ChainIdMismatch { member, signature: by.chain_id() })
            }
            _ if is_legacy(by) => Err(Refused::SignatureNotAllowed),
            _ if *by.signer() != self.recovery => Err(Refused::MissingExistingMember),
            _ => Ok(()),
        }
    }

    /// The library's state says the same.
    pub(super) fn assert_same(&self, state: &AssociationState) {
        assert_eq!(state.inbox_id().to_hex(), self.inbox);
        assert_eq!(MemberIdentifier::from(state.recovery_identifier()), self.recovery);
        assert_eq!(state.members().len(), self.members.len());
        for (identifier, added_by, client_timestamp_ns, added_on_chain_id) in &self.members {
            let Some(Member { added_by: by, client_timestamp_ns: time, added_on_chain_id: chain, .. }) =
                state.member(identifier)
            else {
                panic!("{identifier:?} is no member")
            };
            assert_eq!((by, time, chain), (added_by, client_timestamp_ns, added_on_chain_id), "{identifier:?}");
        }
        let mut seen: Vec<&[u8]> = self.seen.iter().map(Vec::as_slice).collect();
        seen.sort_unstable();
        seen.dedup();
        assert!(state.seen_signatures().eq(seen));
    }
}
