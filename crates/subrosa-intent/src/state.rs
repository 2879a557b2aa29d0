//! States and the transitions between them (sync §2.3, with the recovery of sync §2.12).

use crate::{IntentKind, MAX_ATTEMPTS, PayloadClass};

/// Where an intent stands; the number is the one stored.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a new state must be judged wherever states are matched")]
pub enum IntentState {
    /// Nothing useful is on the network; the intent's data say what is wanted.
    ToPublish,
    /// The payload is made and stored; it was sent or is about to be.
    Published,
    /// The payload came back and took effect; work after it is outstanding.
    Committed,
    /// It failed for good; the row says why.
    Error,
    /// Done.
    Processed,
}

impl IntentState {
    /// All states, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::ToPublish, Self::Published, Self::Committed, Self::Error, Self::Processed];

    /// The stored number, 1 to 5.
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Self::ToPublish => 1,
            Self::Published => 2,
            Self::Committed => 3,
            Self::Error => 4,
            Self::Processed => 5,
        }
    }

    /// The state with this number.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.number() == number)
    }

    /// Whether nothing more will happen to the intent.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Error | Self::Processed)
    }
}

/// Why an intent ended in error, as the application reads it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum IntentError {
    /// The payload could not be built, [`MAX_ATTEMPTS`] times.
    CannotBuild,
    /// The node refused the bytes, [`MAX_ATTEMPTS`] times.
    Refused,
    /// Our commit came back and breaks a rule of the group: everybody rejects it.
    Rejected,
    /// Our commit came back, but the state needed to apply it is gone. The group may be forked for us.
    StagedCommitLost,
    /// We were removed from the group before it took effect.
    LeftGroup,
}

impl IntentError {
    /// All reasons, in the order of their numbers.
    pub const ALL: [Self; 5] =
        [Self::CannotBuild, Self::Refused, Self::Rejected, Self::StagedCommitLost, Self::LeftGroup];

    /// The stored number, from 1.
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Self::CannotBuild => 1,
            Self::Refused => 2,
            Self::Rejected => 3,
            Self::StagedCommitLost => 4,
            Self::LeftGroup => 5,
        }
    }

    /// The reason with this number.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.number() == number)
    }
}

/// What happened to an intent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum IntentEvent {
    /// Its payload was made, in the group's present epoch.
    PayloadMade,
    /// Making the payload showed that nothing is left to do.
    NothingToDo,
    /// The payload could not be made.
    BuildFailed,
    /// The node refused the bytes for good. Failures that say nothing about the bytes (no connection, time-out,
    /// lost answer) are not events: the same bytes are sent again.
    SendRefused,
    /// The payload came back in the group's log and took effect.
    TookEffect,
    /// The payload came back, or the group moved on, in a way that proves it has no effect.
    ProvenDead,
    /// The payload came back and cannot take effect for this reason.
    Unusable(IntentError),
    /// We are no longer in the group.
    Removed,
    /// What follows a commit (welcomes) is done.
    PostCommitDone,
}

/// What the rule table needs to know of an intent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Standing {
    /// What it asks for.
    pub kind: IntentKind,
    /// Where it stands.
    pub state: IntentState,
    /// Definite failures so far.
    pub attempts: u32,
}

/// What an event does to the row.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Effect {
    /// The new state.
    pub state: IntentState,
    /// Definite failures from now on.
    pub attempts: u32,
    /// Whether the payload, its staged commit and its post-commit work are dropped. The hash stays known, so that a
    /// late copy is still recognised as ours.
    pub drop_payload: bool,
    /// The reason, when the new state is [`IntentState::Error`].
    pub error: Option<IntentError>,
}

/// The event cannot happen in this state: a bug of the caller, or a race that another task won.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{event:?} cannot happen to an intent in {state:?}")]
pub struct IllegalTransition {
    /// The state.
    pub state: IntentState,
    /// The event.
    pub event: IntentEvent,
}

/// The rule table (sync §2.3).
///
/// # Errors
/// [`IllegalTransition`] for every pair that the table does not name.
pub fn step(intent: Standing, event: IntentEvent) -> Result<Effect, IllegalTransition> {
    use IntentEvent as E;
    use IntentState as S;

    let keep = |state| Effect { state, attempts: intent.attempts, drop_payload: false, error: None };
    let again = |attempts| Effect { state: S::ToPublish, attempts, drop_payload: true, error: None };
    let failed = |reason, attempts| Effect { state: S::Error, attempts, drop_payload: false, error: Some(reason) };
    let counted = |reason| {
        let attempts = intent.attempts.saturating_add(1);
        if attempts >= MAX_ATTEMPTS { failed(reason, attempts) } else { again(attempts) }
    };

    match (intent.state, event) {
        (S::ToPublish, E::PayloadMade) => Ok(keep(S::Published)),
        (S::ToPublish, E::NothingToDo) => Ok(keep(S::Processed)),
        (S::ToPublish, E::BuildFailed) => Ok(counted(IntentError::CannotBuild)),
        (S::Published, E::SendRefused) => Ok(counted(IntentError::Refused)),
        (S::Published, E::TookEffect) => Ok(keep(S::Committed)),
        (S::Published, E::ProvenDead) => Ok(again(intent.attempts)),
        (S::Published, E::Unusable(reason)) if intent.kind.class() == PayloadClass::Commit => {
            Ok(failed(reason, intent.attempts))
        }
        (S::ToPublish | S::Published, E::Removed) => Ok(failed(IntentError::LeftGroup, intent.attempts)),
        (S::Committed, E::PostCommitDone) => Ok(keep(S::Processed)),
        (state, event) => Err(IllegalTransition { state, event }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: [IntentEvent; 9] = [
        IntentEvent::PayloadMade,
        IntentEvent::NothingToDo,
        IntentEvent::BuildFailed,
        IntentEvent::SendRefused,
        IntentEvent::TookEffect,
        IntentEvent::ProvenDead,
        IntentEvent::Unusable(IntentError::Rejected),
        IntentEvent::PostCommitDone,
        IntentEvent::Removed,
    ];

    fn at(kind: IntentKind, state: IntentState) -> Standing {
        Standing { kind, state, attempts: 0 }
    }

    /// The whole table for a commit: state by state, what each event leads to.
    #[test]
    fn every_pair_of_state_and_event_is_decided() {
        use IntentState as S;
        let table: [(S, [Option<S>; 9]); 5] = [
            (
                S::ToPublish,
                [
                    Some(S::Published),
                    Some(S::Processed),
                    Some(S::ToPublish),
                    None,
                    None,
                    None,
                    None,
                    None,
                    Some(S::Error),
                ],
            ),
            (
                S::Published,
                [
                    None,
                    None,
                    None,
                    Some(S::ToPublish),
                    Some(S::Committed),
                    Some(S::ToPublish),
                    Some(S::Error),
                    None,
                    Some(S::Error),
                ],
            ),
            (S::Committed, [None, None, None, None, None, None, None, Some(S::Processed), None]),
            (S::Error, [None; 9]),
            (S::Processed, [None; 9]),
        ];
        for (state, row) in table {
            for (event, want) in EVENTS.into_iter().zip(row) {
                let got = step(at(IntentKind::KeyUpdate, state), event).ok().map(|effect| effect.state);
                assert_eq!(got, want, "{event:?} in {state:?}");
            }
        }
    }

    #[test]
    fn terminal_states_are_final() {
        for state in IntentState::ALL.into_iter().filter(|s| s.is_terminal()) {
            for event in EVENTS {
                assert!(step(at(IntentKind::SendMessage, state), event).is_err());
            }
        }
    }

    #[test]
    fn three_definite_failures_end_an_intent_with_its_reason() {
        for (state, event, reason) in [
            (IntentState::ToPublish, IntentEvent::BuildFailed, IntentError::CannotBuild),
            (IntentState::Published, IntentEvent::SendRefused, IntentError::Refused),
        ] {
            let mut intent = at(IntentKind::SendMessage, state);
            for attempt in 1..=MAX_ATTEMPTS {
                let effect = step(intent, event).unwrap();
                assert_eq!(effect.attempts, attempt);
                assert_eq!(effect.error, (attempt == MAX_ATTEMPTS).then_some(reason));
                intent = Standing { attempts: effect.attempts, ..intent };
            }
        }
    }

    #[test]
    fn going_back_drops_the_payload_and_going_on_keeps_it() {
        for (state, event) in
            [(IntentState::Published, IntentEvent::ProvenDead), (IntentState::Published, IntentEvent::SendRefused)]
        {
            assert!(step(at(IntentKind::MetadataUpdate, state), event).unwrap().drop_payload);
        }
        assert!(
            !step(at(IntentKind::MetadataUpdate, IntentState::Published), IntentEvent::TookEffect)
                .unwrap()
                .drop_payload
        );
    }

    #[test]
    fn losing_a_race_costs_no_attempt() {
        let intent = Standing { attempts: 2, ..at(IntentKind::UpdateAdminList, IntentState::Published) };
        let effect = step(intent, IntentEvent::ProvenDead).unwrap();
        assert_eq!((effect.state, effect.attempts, effect.error), (IntentState::ToPublish, 2, None));
    }

    #[test]
    fn a_message_is_never_unusable() {
        let intent = at(IntentKind::SendMessage, IntentState::Published);
        assert!(step(intent, IntentEvent::Unusable(IntentError::Rejected)).is_err());
    }

    #[test]
    fn stored_numbers_are_stable() {
        for (index, state) in IntentState::ALL.into_iter().enumerate() {
            assert_eq!(usize::try_from(state.number()).unwrap(), index + 1);
            assert_eq!(IntentState::from_number(state.number()), Some(state));
        }
        for (index, reason) in IntentError::ALL.into_iter().enumerate() {
            assert_eq!(usize::try_from(reason.number()).unwrap(), index + 1);
            assert_eq!(IntentError::from_number(reason.number()), Some(reason));
        }
        assert_eq!(IntentState::from_number(0), None);
    }
}
