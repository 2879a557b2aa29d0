//! Examining updates and logs for people: every signature of every action, and where the rules say no.
//!
//! The rules are those of [`IdentityUpdate::verify`], [`AssociationState::apply`] and [`InboxLog`], called here, not
//! written again.

use subrosa_types::{InboxId, SequenceId};

use crate::{
    AssociationError, AssociationState, ChainVerdicts, DecodeError, EntryError, IdentityAction, IdentityUpdate,
    InboxLog, LogError, MemberIdentifier, Passkey, SignatureKind, UnverifiedSignature, VerifiedSignature, VerifyError,
    verify,
};

/// What a signature of an action stands for (identity §3.3).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Slot {
    /// Of the identifier that creates the inbox.
    Creator,
    /// Of a member, or of the recovery identifier, that adds somebody.
    ExistingMember,
    /// Of the one who is added.
    NewMember,
    /// Of the recovery identifier.
    Recovery,
}

/// One signature, verified by itself.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SignatureExamination {
    /// What it stands for.
    pub slot: Slot,
    /// Its kind.
    pub kind: SignatureKind,
    /// Whose signature it says it is. `None` for kinds from which the signer is computed: ERC-191 and legacy delegated.
    pub claimed_signer: Option<MemberIdentifier>,
    /// Who signed, or why it does not verify. Whether that signer has a say is for the state machine to say.
    pub result: Result<VerifiedSignature, VerifyError>,
}

/// Why an update is refused, and where.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{reason}")]
#[non_exhaustive]
pub struct Refusal {
    /// Why. If several signatures fail, the reason that [`IdentityUpdate::verify`] gives.
    pub reason: EntryError,
    /// Index of the action at which checking stopped; `None` for rules about the whole update.
    pub action: Option<usize>,
}

/// An update taken apart.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Examination {
    /// The signatures of every action, in the order of the actions and of their fields on the wire.
    pub signatures: Vec<Vec<SignatureExamination>>,
    /// The state after the update, or why there is none.
    pub verdict: Result<AssociationState, Refusal>,
}

impl Examination {
    /// Examines an update that follows a state, or nothing (identity §6.2).
    #[must_use]
    pub fn of(update: &IdentityUpdate, before: Option<&AssociationState>, verdicts: &ChainVerdicts) -> Self {
        Self { signatures: signatures(update, verdicts), verdict: judge(update, before, verdicts) }
    }

    /// The faults of single signatures, with the index of their action. An update has the first that lasts as its
    /// reason, but which one is reported is left open (identity §6.9).
    pub fn signature_faults(&self) -> impl Iterator<Item = (usize, VerifyError)> {
        let all = self.signatures.iter().enumerate().flat_map(|(index, slots)| slots.iter().map(move |s| (index, s)));
        all.filter_map(|(index, slot)| slot.result.as_ref().err().map(|error| (index, *error)))
    }
}

fn signatures(update: &IdentityUpdate, verdicts: &ChainVerdicts) -> Vec<Vec<SignatureExamination>> {
    let text = update.signature_text();
    let mut verifier = verify::Verifier::new(&text, verdicts);
    let mut all = Vec::with_capacity(update.actions().len());
    for action in update.actions() {
        let slots = action.signatures().zip(slots(action));
        all.push(slots.map(|(signature, slot)| examine_signature(&mut verifier, signature, *slot)).collect());
    }
    all
}

fn examine_signature<'a>(
    verifier: &mut verify::Verifier<'a>,
    signature: &'a UnverifiedSignature,
    slot: Slot,
) -> SignatureExamination {
    SignatureExamination {
        slot,
        kind: signature.kind(),
        claimed_signer: claimed_signer(signature),
        result: verifier.verify(signature),
    }
}

fn judge(
    update: &IdentityUpdate,
    before: Option<&AssociationState>,
    verdicts: &ChainVerdicts,
) -> Result<AssociationState, Refusal> {
    let verified = verify::verify(update, verdicts)
        .map_err(|(index, error)| Refusal { reason: error.into(), action: Some(index) })?;
    AssociationState::apply_or_stop(before.cloned(), &verified)
        .map_err(|stop| Refusal { reason: stop.error.into(), action: stop.action })
}

/// What the signatures of an action stand for, in the order of [`IdentityAction::signatures`].
const fn slots(action: &IdentityAction) -> &'static [Slot] {
    match action {
        IdentityAction::CreateInbox { .. } => &[Slot::Creator],
        IdentityAction::AddAssociation { .. } => &[Slot::ExistingMember, Slot::NewMember],
        IdentityAction::RevokeAssociation { .. } | IdentityAction::ChangeRecovery { .. } => &[Slot::Recovery],
    }
}

fn claimed_signer(signature: &UnverifiedSignature) -> Option<MemberIdentifier> {
    match signature {
        UnverifiedSignature::Installation(signature) => Some(signature.installation().into()),
        UnverifiedSignature::ContractWallet { account_id, .. } => {
            account_id.address().ok().map(MemberIdentifier::Ethereum)
        }
        UnverifiedSignature::Passkey(signature) => {
            Some(MemberIdentifier::Passkey(Passkey::from_key(signature.public_key.clone())))
        }
        UnverifiedSignature::Erc191(_) | UnverifiedSignature::LegacyDelegated(_) => None,
    }
}

/// What becomes of one entry of a log.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum EntryVerdict {
    /// It is good, and this is the state after it.
    Accepted(AssociationState),
    /// It is bad: from here on the log has no state.
    Refused(Refusal),
    /// It creates another inbox than the one whose log this should be (identity §9.3).
    OtherInbox {
        /// The inbox it creates.
        served: InboxId,
    },
    /// It was not judged: an entry before it is bad, and none is ever skipped (identity §6.2).
    AfterBroken {
        /// The first bad entry.
        broken: SequenceId,
    },
}

/// One entry of a log taken apart.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct EntryExamination {
    /// Its place in the log.
    pub sequence: SequenceId,
    /// The signatures as in [`Examination::signatures`], verified even if an entry before this one is bad; empty for an
    /// entry that does not decode.
    pub signatures: Vec<Vec<SignatureExamination>>,
    /// What becomes of the entry.
    pub verdict: EntryVerdict,
}

/// Examines a log entry by entry. The first bad one decides about all after it; the outcome is that of [`InboxLog`].
///
/// A state that a caller keeps is copied by the next entry; one that was dropped is changed in place.
#[derive(Clone, Debug)]
pub struct LogExaminer {
    log: InboxLog,
    broken: Option<SequenceId>,
}

impl LogExaminer {
    /// For the log of this inbox.
    #[must_use]
    pub const fn new(inbox: InboxId) -> Self {
        Self { log: InboxLog::new(inbox), broken: None }
    }

    /// Examines the next entry: an update, or why there is none.
    ///
    /// # Errors
    /// [`LogError::NotAscending`], and nothing was examined.
    pub fn push(
        &mut self,
        sequence: SequenceId,
        entry: Result<&IdentityUpdate, DecodeError>,
        verdicts: &ChainVerdicts,
    ) -> Result<EntryExamination, LogError> {
        let signatures = entry.as_ref().map_or_else(|_| Vec::new(), |update| signatures(update, verdicts));
        let verdict = match self.broken {
            Some(broken) => {
                // The log remembers the first reason and has no use for this one.
                self.log.push_refused(sequence, AssociationError::NotCreated)?;
                EntryVerdict::AfterBroken { broken }
            }
            None => self.judge(sequence, entry, verdicts)?,
        };
        if matches!(verdict, EntryVerdict::Refused(_) | EntryVerdict::OtherInbox { .. }) {
            self.broken = Some(sequence);
        }
        Ok(EntryExamination { sequence, signatures, verdict })
    }

    /// The state after the last entry, or why there is none (identity §9.3).
    ///
    /// # Errors
    /// As for [`InboxLog::latest`].
    pub fn outcome(&self) -> Result<AssociationState, LogError> {
        self.log.latest()
    }

    /// Enters an entry into a log that is good so far.
    fn judge(
        &mut self,
        sequence: SequenceId,
        entry: Result<&IdentityUpdate, DecodeError>,
        verdicts: &ChainVerdicts,
    ) -> Result<EntryVerdict, LogError> {
        let verified = match entry {
            Ok(update) => verify::verify(update, verdicts).map_err(|(index, error)| (error.into(), Some(index))),
            Err(error) => Err((EntryError::Decode(error), None)),
        };
        let verified = match verified {
            Ok(verified) => verified,
            Err((reason, action)) => {
                self.log.push_refused(sequence, reason.clone())?;
                return Ok(EntryVerdict::Refused(Refusal { reason, action }));
            }
        };
        match self.log.push_or_stop(sequence, &verified) {
            Ok(()) => self.log.latest().map(EntryVerdict::Accepted),
            Err((LogError::WrongInboxId { served }, _)) => Ok(EntryVerdict::OtherInbox { served }),
            Err((LogError::Broken { reason, .. }, action)) => Ok(EntryVerdict::Refused(Refusal { reason, action })),
            Err((error, _)) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use subrosa_types::UnixNanos;

    use super::*;
    use crate::{InstallationKey, SignatureRequest, WalletKey, inbox_id};

    /// A registration whose third signature slot, the installation's, is for another text.
    fn half_bad() -> IdentityUpdate {
        let wallet = WalletKey::from_bytes(&[1; 32]).unwrap();
        let key = InstallationKey::from_seed([2; 32]);
        let owner = wallet.identifier();
        let inbox = inbox_id(&owner, 1).unwrap();
        let mut request = SignatureRequest::builder(inbox, UnixNanos::EPOCH)
            .create_inbox(owner.clone(), 1)
            .add_association(key.id(), &owner)
            .request();
        request.add_wallet_signature(&wallet.sign(request.text())).unwrap();
        request.sign_with_installation(&key).unwrap();
        let good = request.build().unwrap();
        let mut actions = good.actions().to_vec();
        if let IdentityAction::AddAssociation { new_member_signature, .. } = &mut actions[1] {
            *new_member_signature = UnverifiedSignature::by_installation(&key, "another text");
        }
        IdentityUpdate::new(good.inbox_id_text().to_owned(), good.client_timestamp_ns(), actions)
    }

    #[test]
    fn a_bad_signature_hides_neither_the_good_ones_nor_its_place() {
        let examined = Examination::of(&half_bad(), None, &ChainVerdicts::none());
        let slots: Vec<_> = examined.signatures.iter().flatten().map(|s| (s.slot, s.result.is_ok())).collect();
        assert_eq!(slots, [(Slot::Creator, true), (Slot::ExistingMember, true), (Slot::NewMember, false)]);
        let id = InstallationKey::from_seed([2; 32]).id();
        assert_eq!(examined.signatures[1][1].claimed_signer, Some(id.into()));
        let faults: Vec<_> = examined.signature_faults().collect();
        assert_eq!(faults, [(1, VerifyError::InstallationSignature)]);
        let reason = VerifyError::InstallationSignature.into();
        assert_eq!(examined.verdict, Err(Refusal { reason, action: Some(1) }));
    }

    #[test]
    fn entries_after_a_bad_one_are_not_judged_but_their_signatures_are() {
        let update = half_bad();
        let mut examiner = LogExaminer::new(InboxId::from_bytes([7; 32]));
        let mut push = |id| examiner.push(SequenceId(id), Ok(&update), &ChainVerdicts::none());
        assert!(matches!(push(3).unwrap().verdict, EntryVerdict::Refused(_)));
        let second = push(4).unwrap();
        assert_eq!(second.verdict, EntryVerdict::AfterBroken { broken: SequenceId(3) });
        assert_eq!(second.signatures.iter().flatten().count(), 3);
        assert_eq!(push(4), Err(LogError::NotAscending { last: SequenceId(4), pushed: SequenceId(4) }));
        assert!(matches!(examiner.outcome(), Err(LogError::Broken { at: SequenceId(3), .. })));
    }

    #[test]
    fn rules_about_the_whole_update_stop_at_no_action() {
        let nothing = IdentityUpdate::new(String::new(), 0, Vec::new());
        let examined = Examination::of(&nothing, None, &ChainVerdicts::none());
        let reason = AssociationError::NotCreated.into();
        assert_eq!(examined.verdict, Err(Refusal { reason, action: None }));
    }
}
