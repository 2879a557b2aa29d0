//! States of a log at sequence ids.

use subrosa_identity::{AssociationError, DecodeError, EntryError, InboxLog, LogError, VerifyError};
use subrosa_types::{InboxId, SequenceId};

use crate::world::{World, installation, wallet};

const fn at(sequence: u64) -> SequenceId {
    SequenceId(sequence)
}

/// Three good entries at 10, 20 and 30: registration, a second installation, the first one revoked.
fn history() -> (World, InboxLog) {
    let mut world = World::registered();
    let owner = world.owner.clone();
    world.run(|r| r.add_association(installation(2).id(), &owner)).unwrap();
    world.run(|r| r.revoke(installation(1).id(), owner)).unwrap();
    let mut log = InboxLog::new(world.inbox);
    for (sequence, update) in [10, 20, 30].into_iter().zip(&world.updates) {
        log.push(at(sequence), update).unwrap();
    }
    (world, log)
}

#[test]
fn there_is_a_state_at_exactly_each_entry() {
    let (world, log) = history();
    let counts: Vec<_> = [10, 20, 30].map(|s| log.state_at(at(s)).unwrap().installations().count()).into();
    assert_eq!(counts, [1, 2, 1]);
    assert_eq!(log.latest().ok(), world.state);
    assert_eq!(log.last_sequence(), at(30));
    for missing in [0, 9, 11, 31] {
        assert_eq!(log.state_at(at(missing)), Err(LogError::MissingIdentityUpdate(at(missing))));
    }
    assert!(matches!(InboxLog::new(world.inbox).latest(), Err(LogError::MissingIdentityUpdate(_))));
}

#[test]
fn entries_ascend() {
    let (world, mut log) = history();
    for bad in [30, 29, 0] {
        let refused = log.push(at(bad), &world.updates[0]);
        assert_eq!(refused, Err(LogError::NotAscending { last: at(30), pushed: at(bad) }));
    }
    assert!(log.latest().is_ok());
    let mut empty = InboxLog::new(world.inbox);
    assert!(matches!(empty.push(SequenceId::START, &world.updates[0]), Err(LogError::NotAscending { .. })));
}

#[test]
fn a_bad_entry_ends_the_states_but_not_those_before_it() {
    let (world, mut log) = history();
    let reason = EntryError::Association(AssociationError::Replay);
    let broken = LogError::Broken { at: at(40), reason };
    assert_eq!(log.push(at(40), &world.updates[1]), Err(broken.clone()));
    assert_eq!(log.push(at(50), &world.updates[2]), Err(broken.clone()));
    assert_eq!(log.state_at(at(40)), Err(broken.clone()));
    assert_eq!(log.state_at(at(50)), Err(broken.clone()));
    assert_eq!(log.latest(), Err(broken));
    assert_eq!(log.state_at(at(45)), Err(LogError::MissingIdentityUpdate(at(45))));
    assert_eq!(log.state_at(at(30)).ok(), world.state);
    assert!(log.state_at(at(20)).is_ok());
}

#[test]
fn an_entry_that_does_not_decode_or_verify_is_bad() {
    let (_, mut log) = history();
    log.push_refused(at(40), DecodeError::MissingField("action")).unwrap();
    log.push_refused(at(50), VerifyError::EcdsaLength).unwrap();
    let reason = EntryError::Decode(DecodeError::MissingField("action"));
    let error = log.state_at(at(50)).unwrap_err();
    assert_eq!(error, LogError::Broken { at: at(40), reason });
    assert!(!error.is_retryable());
    assert_eq!(log.len(), 5);
}

#[test]
fn a_log_of_another_inbox_is_refused() {
    let (world, _) = history();
    let mut log = InboxLog::new(InboxId::from_bytes([0xee; 32]));
    let refused = LogError::WrongInboxId { served: world.inbox };
    assert_eq!(log.push(at(1), &world.updates[0]), Err(refused.clone()));
    assert_eq!(log.latest(), Err(refused));
}

#[test]
fn installation_differences_follow_the_lax_rule() {
    let (_, mut log) = history();
    let (one, two) = (installation(1).id(), installation(2).id());
    let diff = |log: &InboxLog, from, to| log.installation_diff(at(from), at(to)).map(|d| (d.added, d.removed));

    assert_eq!(diff(&log, 0, 10), Ok((vec![one], vec![])));
    assert_eq!(diff(&log, 0, 30), Ok((vec![two], vec![])));
    assert_eq!(diff(&log, 10, 30), Ok((vec![two], vec![one])));
    assert_eq!(diff(&log, 10, 20), Ok((vec![two], vec![])));
    // Nothing follows, so nothing is missed.
    assert_eq!(diff(&log, 30, 99), Ok((vec![], vec![])));
    assert_eq!(diff(&log, 20, 29), Ok((vec![], vec![])));
    assert_eq!(diff(&log, 30, 10), Ok((vec![], vec![])));
    // Something follows, so the end must be there.
    assert_eq!(diff(&log, 10, 29), Err(LogError::MissingIdentityUpdate(at(29))));
    assert_eq!(diff(&log, 0, 29), Err(LogError::MissingIdentityUpdate(at(29))));
    assert_eq!(diff(&log, 0, 0), Err(LogError::MissingIdentityUpdate(at(0))));
    assert_eq!(diff(&log, 15, 20), Err(LogError::MissingIdentityUpdate(at(15))));

    log.push_refused(at(40), VerifyError::EcdsaLength).unwrap();
    assert!(matches!(diff(&log, 10, 40), Err(LogError::Broken { .. })));
    assert!(diff(&log, 10, 30).is_ok());
}

#[test]
fn states_of_a_large_inbox_are_rebuilt_as_they_were() {
    let mut world = World::registered();
    let owner = world.owner.clone();
    let mut want = vec![world.state.clone().unwrap()];
    for round in 0..70_u8 {
        let id = installation(2 + round % 30).id();
        let state = if round % 3 == 2 {
            world.run(|r| r.revoke(id, owner.clone()))
        } else {
            world.run(|r| r.add_association(id, &owner).add_association(wallet(2 + round % 30).identifier(), &owner))
        };
        want.push(state.unwrap());
    }
    let mut log = InboxLog::new(world.inbox);
    for (sequence, update) in (1..).zip(&world.updates) {
        log.push(at(sequence), update).unwrap();
    }
    for (sequence, want) in (1..).zip(&want) {
        assert_eq!(log.state_at(at(sequence)).as_ref(), Ok(want), "{sequence}");
    }
}
