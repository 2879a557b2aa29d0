//! What updates make of an inbox: a pure function of the updates and of what chains said (transport §11, V1).

use subrosa_identity::{
    AssociationError, AssociationState, ChainVerdicts, EntryError, IdentityUpdate, StateDiff, VerifiedUpdate,
};

/// The state of an inbox after its log, and what the newest part of the log changed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Associations {
    /// After all updates.
    pub state: AssociationState,
    /// Relative to the state after the old updates; without old ones, every member is new.
    pub diff: StateDiff,
}

/// Why updates make no state.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AssociationsError {
    /// There is no update.
    #[error("there is no identity update")]
    MissingIdentityUpdate,
    /// One of the updates is bad, or nobody can tell yet.
    #[error("update {index} does not hold")]
    Entry {
        /// Which one, counted from 0 over the old ones and then the new ones.
        index: usize,
        /// What is wrong with it.
        #[source]
        reason: EntryError,
    },
}

impl AssociationsError {
    /// Whether the same updates may hold later: "cannot tell now" instead of "invalid" (transport §11, V9).
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::MissingIdentityUpdate => false,
            Self::Entry { reason, .. } => reason.is_retryable(),
        }
    }

    /// The code that deployed software reports for this (identity §13).
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::MissingIdentityUpdate => "AssociationError::MissingIdentityUpdate",
            Self::Entry { reason, .. } => reason.label(),
        }
    }
}

/// Replays `old` and then `new`, verifying every signature of both (transport §11, V7, V8).
///
/// `verdicts` answers the [`chain_checks`](IdentityUpdate::chain_checks) of all updates; what it does not answer is
/// unknown, and unknown is never yes.
///
/// # Errors
/// [`AssociationsError`]. An update that can never hold is reported before one that nobody can tell about yet.
pub fn associations(
    old: &[IdentityUpdate],
    new: &[IdentityUpdate],
    verdicts: &ChainVerdicts,
) -> Result<Associations, AssociationsError> {
    let mut verifier = Verifier::new(verdicts);
    for update in old.iter().chain(new) {
        verifier.verify(update)?;
    }
    verifier.associations(old.len())
}

/// Verifies updates one by one, so that whoever has a limit of time can stop in between.
pub(crate) struct Verifier<'a> {
    verdicts: &'a ChainVerdicts,
    verified: Vec<VerifiedUpdate>,
    seen: usize,
    unanswered: Option<AssociationsError>,
}

impl<'a> Verifier<'a> {
    pub(crate) const fn new(verdicts: &'a ChainVerdicts) -> Self {
        Self { verdicts, verified: Vec::new(), seen: 0, unanswered: None }
    }

    /// Verifies the next update. That a chain has not answered is said at the end.
    pub(crate) fn verify(&mut self, update: &IdentityUpdate) -> Result<(), AssociationsError> {
        let index = self.seen;
        self.seen += 1;
        match update.verify(self.verdicts) {
            Ok(update) => self.verified.push(update),
            Err(error) => {
                let is_retryable = error.is_retryable();
                let error = AssociationsError::Entry { index, reason: error.into() };
                if !is_retryable {
                    return Err(error);
                }
                self.unanswered.get_or_insert(error);
            }
        }
        Ok(())
    }

    /// The result, with the first `old` updates as what was there before.
    pub(crate) fn associations(self, old: usize) -> Result<Associations, AssociationsError> {
        if let Some(error) = self.unanswered {
            return Err(error);
        }
        let (old, new) = self.verified.split_at(old.min(self.verified.len()));
        let before = replay(None, 0, old)?;
        let after = replay(before.as_ref(), old.len(), new)?;
        let state = after.ok_or(AssociationsError::MissingIdentityUpdate)?;
        let diff = AssociationState::diff(before.as_ref(), &state);
        Ok(Associations { state, diff })
    }
}

/// What one more update makes of an inbox.
///
/// # Errors
/// [`AssociationError`].
pub(crate) fn follow(
    before: Option<&AssociationState>,
    update: &VerifiedUpdate,
) -> Result<Associations, AssociationError> {
    let state = AssociationState::apply(before, update)?;
    let diff = AssociationState::diff(before, &state);
    Ok(Associations { state, diff })
}

/// Applies updates, of which the first is number `first`.
fn replay(
    before: Option<&AssociationState>,
    first: usize,
    updates: &[VerifiedUpdate],
) -> Result<Option<AssociationState>, AssociationsError> {
    if updates.is_empty() {
        return Ok(before.cloned());
    }
    let mut tried = 0;
    let state = AssociationState::replay(before, updates.iter().inspect(|_| tried += 1));
    let index = first + tried - 1;
    state.map(Some).map_err(|error| AssociationsError::Entry { index, reason: error.into() })
}
