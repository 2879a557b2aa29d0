//! Identity updates and logs.

use subrosa_identity::{
    AssociationState, ChainCheck, ChainVerdicts, IdentityUpdate, InboxLog, MemberIdentifier, Verdict,
};
use subrosa_types::{InboxId, SequenceId};

use crate::parts::split;

/// An update survives its encoding, its text is bounded, and whatever its chains answer, verification comes to the
/// same end twice. What verifies can be applied or is refused by a rule.
pub fn identity_update(bytes: &[u8]) -> bool {
    let Ok(update) = IdentityUpdate::from_bytes(bytes) else { return false };
    let again = IdentityUpdate::from_bytes(&update.to_bytes()).expect("an encoded update decodes");
    assert_eq!(again, update);
    let text = update.signature_text();
    assert!(text.len() <= 512 + 256 * bytes.len(), "a text of {} bytes", text.len());
    let checks = update.chain_checks();
    assert!(checks.len() <= 2 * update.actions().len());
    for verdict in [Verdict::Unknown, Verdict::Invalid, Verdict::Valid] {
        let verified = update.verify(&answers(&checks, verdict));
        if let Err(error) = &verified {
            assert!(!error.is_retryable() || verdict == Verdict::Unknown, "{error} will not change");
            assert!(!error.label().is_empty());
            continue;
        }
        let verified = verified.unwrap();
        assert_eq!(verified.inbox_id_text(), update.inbox_id_text());
        if let Ok(state) = AssociationState::apply(None, &verified) {
            sound(&state);
            // The same signatures again are a replay.
            assert!(AssociationState::apply(Some(&state), &verified).is_err());
        }
    }
    true
}

fn answers(checks: &[ChainCheck], verdict: Verdict) -> ChainVerdicts {
    checks.iter().map(|check| (check.clone(), verdict)).collect()
}

/// What holds in every state that a log can lead to.
fn sound(state: &AssociationState) {
    let kept = AssociationState::from_trusted_proto(state.to_proto()).expect("a kept state is read back");
    assert_eq!(kept, *state);
    for member in state.members() {
        assert!(state.has_member(&member.identifier));
    }
    for installation in state.installations() {
        assert!(state.has_installation(&installation));
        assert!(state.has_member(&MemberIdentifier::Installation(installation.as_bytes().to_vec())));
    }
    let itself = AssociationState::diff(Some(state), state);
    assert!(itself.new_members.is_empty() && itself.removed_members.is_empty());
}

/// A log of updates, as a node may serve it for any inbox: it grows by one for each entry, is broken for ever by the
/// first bad one, and rebuilds each state as it was.
pub fn inbox_log(bytes: &[u8]) -> bool {
    let parts = split(bytes);
    let updates: Vec<_> = parts.iter().map(|part| IdentityUpdate::from_bytes(part)).collect();
    let named = updates.iter().flatten().next().and_then(|update| update.inbox_id_text().parse().ok());
    let mut log = InboxLog::new(named.unwrap_or(InboxId::from_bytes([1; 32])));
    let mut states = Vec::new();
    let mut broken = false;
    for (at, update) in (1..).zip(updates) {
        let at = SequenceId(at);
        let verified = match update {
            Ok(update) => update.verify(&answers(&update.chain_checks(), Verdict::Valid)).map_err(Into::into),
            Err(error) => Err(subrosa_identity::EntryError::from(error)),
        };
        match verified {
            Ok(verified) => broken |= log.push(at, &verified).is_err(),
            Err(error) => {
                log.push_refused(at, error).expect("positions ascend");
                broken = true;
            }
        }
        assert_eq!((log.len() as u64, log.last_sequence()), (at.0, at));
        assert_eq!(log.latest().is_err(), broken, "one bad entry breaks the log for ever");
        assert!(log.push_refused(at, subrosa_identity::DecodeError::PasskeyIdentifierHex).is_err(), "{at:?} is taken");
        if let Ok(state) = log.latest() {
            assert_eq!(state.inbox_id(), log.inbox_id());
            sound(&state);
            states.push((at, state));
        }
    }
    for (at, state) in &states {
        assert_eq!(log.state_at(*at).as_ref(), Ok(state));
    }
    if let [(first, _), .., (last, _)] = states[..] {
        let diff = log.installation_diff(first, last).expect("both states are there");
        assert!(diff.added.iter().all(|id| !diff.removed.contains(id)));
    }
    !states.is_empty()
}
