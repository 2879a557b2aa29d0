//! Identity updates, their signatures, and logs.

mod model;
mod script;
mod seeds;
mod signature;
mod signers;

pub(crate) use seeds::{logs as scripted_logs, signatures, updates as scripted_updates};
pub use signature::identity_signature;

use model::Model;
use subrosa_identity::{
    AssociationState, ChainCheck, ChainVerdicts, DecodeError, EntryError, IdentityUpdate, InboxLog, LogError,
    MemberIdentifier, Verdict, VerifiedUpdate,
};
use subrosa_types::{InboxId, SequenceId};

use crate::parts::split;

/// An update survives its encoding, its text is bounded, and whatever its chains answer, verification comes to the
/// same end twice. What verifies is applied, or refused by the rule that the model says.
pub fn identity_update(bytes: &[u8]) -> bool {
    let Ok(update) = IdentityUpdate::from_bytes(&script::update(bytes)) else { return false };
    let encoded = update.to_bytes();
    let again = IdentityUpdate::from_bytes(&encoded).expect("an encoded update decodes");
    assert_eq!(again, update);
    assert_eq!(again.to_bytes(), encoded);
    let text = update.signature_text();
    assert!(text.len() <= 512 + 256 * encoded.len(), "a text of {} bytes", text.len());
    let checks = update.chain_checks();
    assert!(checks.len() <= 2 * update.actions().len());
    let answered = [Verdict::Unknown, Verdict::Invalid, Verdict::Valid];
    // Without a question the answers are all alike.
    let verdicts = if checks.is_empty() { &answered[2..] } else { &answered[..] };
    for verdict in verdicts {
        let verdicts = answers(&checks, *verdict);
        let verified = match update.verify(&verdicts) {
            Ok(verified) => verified,
            Err(error) => {
                assert!(!error.is_retryable() || *verdict == Verdict::Unknown, "{error} will not change");
                assert!(!error.label().is_empty());
                continue;
            }
        };
        assert_eq!(verified.inbox_id_text(), update.inbox_id_text());
        match (AssociationState::apply(None, &verified), model::apply(None, &update, &verdicts)) {
            (Ok(state), Ok(model)) => {
                model.assert_same(&state);
                sound(&state);
                // The same signatures again are a replay.
                assert!(AssociationState::apply(Some(&state), &verified).is_err());
            }
            (state, model) => assert_eq!(state.err(), model.err()),
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

/// A log of updates, as a node may serve it for any inbox: each state is what the model says, the log grows by one for
/// each entry, is broken for ever by the first bad one, and rebuilds each state as it was.
pub fn inbox_log(bytes: &[u8]) -> bool {
    let parts = split(bytes);
    let updates: Vec<_> = parts.iter().map(|part| IdentityUpdate::from_bytes(&script::update(part))).collect();
    let named = updates.iter().flatten().next().and_then(|update| update.inbox_id_text().parse().ok());
    let mut log = InboxLog::new(named.unwrap_or(InboxId::from_bytes([1; 32])));
    let (mut states, mut verified, mut model) = (Vec::new(), Vec::new(), None);
    for (at, update) in (1..).zip(updates) {
        let at = SequenceId(at);
        let before = log.latest().ok();
        push(&mut log, at, update, &mut model, &mut verified);
        assert_eq!((log.len() as u64, log.last_sequence()), (at.0, at));
        assert_eq!(log.latest().is_err(), model.is_none(), "one bad entry breaks the log for ever");
        assert!(log.push_refused(at, subrosa_identity::DecodeError::PasskeyIdentifierHex).is_err(), "{at:?} is taken");
        let (Ok(state), Some(model)) = (log.latest(), &model) else { continue };
        assert_eq!(state.inbox_id(), log.inbox_id());
        model.assert_same(&state);
        sound(&state);
        let diff = AssociationState::diff(before.as_ref(), &state);
        let change = diff.new_members.len() as i64 - diff.removed_members.len() as i64;
        assert_eq!(before.map_or(0, |before| before.members().len()) as i64 + change, state.members().len() as i64);
        states.push((at, state));
    }
    for (at, state) in &states {
        assert_eq!(log.state_at(*at).as_ref(), Ok(state));
    }
    if let Some((_, last)) = states.last() {
        assert_eq!(AssociationState::replay(None, &verified[..states.len()]).as_ref(), Ok(last));
    }
    if let [(first, _), .., (last, _)] = states[..] {
        let diff = log.installation_diff(first, last).expect("both states are there");
        assert!(diff.added.iter().all(|id| !diff.removed.contains(id)));
    }
    !states.is_empty()
}

/// Appends an entry to the log and to the model, which is gone from the first bad entry on.
fn push(
    log: &mut InboxLog,
    at: SequenceId,
    update: Result<IdentityUpdate, DecodeError>,
    model: &mut Option<Model>,
    verified: &mut Vec<VerifiedUpdate>,
) {
    let first = log.is_empty();
    let before = model.take();
    let whole = first || before.is_some();
    let answered = update.map_err(EntryError::from).and_then(|update| {
        let verdicts = answers(&update.chain_checks(), Verdict::Valid);
        let verified = update.verify(&verdicts)?;
        Ok((update, verdicts, verified))
    });
    match answered {
        Ok((update, verdicts, entry)) if whole => {
            let pushed = log.push(at, &entry);
            verified.push(entry);
            match (pushed, model::apply(before, &update, &verdicts)) {
                (Ok(()), Ok(after)) => *model = Some(after),
                (Err(LogError::Broken { reason: EntryError::Association(reason), .. }), Err(expected)) => {
                    assert_eq!(reason, expected);
                }
                (Err(LogError::WrongInboxId { .. }), Ok(_)) if first => {}
                (pushed, after) => panic!("the log says {pushed:?}, the model {:?}", after.err()),
            }
        }
        Ok((_, _, entry)) => assert!(log.push(at, &entry).is_err()),
        Err(error) => log.push_refused(at, error).expect("positions ascend"),
    }
}
