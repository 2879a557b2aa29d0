//! Joining by a welcome.

use subrosa_cursor::EntityKind;
use subrosa_sync::{Change, MessageKind};

use crate::shell::two_members;

#[test]
fn everything_about_an_arrival_is_in_one_step() {
    let (logs, alice, bob) = two_members();
    let record = bob.record.as_ref().unwrap();
    assert_eq!(record.added_by, alice.inbox());
    assert_eq!(record.authenticator, alice.record.as_ref().unwrap().authenticator);
    let start = logs.group.last().unwrap().sequence;
    assert!(bob.applied.iter().any(
        |change| matches!(change, Change::ResetCursor { entity, to } if entity.kind == EntityKind::CommitMessage && to.sequence == start)
    ));
    assert!(bob.applied.iter().any(
        |change| matches!(change, Change::Message(message) if message.kind == MessageKind::Transcript && message.sender == alice.inbox())
    ));
    assert!(bob.applied.iter().any(|change| matches!(change, Change::RotateKeyPackageBy(_))));
    assert!(bob.applied.iter().any(|change| matches!(change, Change::CommitLog(row) if row.note == "Welcome")));
    assert!(!bob.applied.iter().any(|change| matches!(change, Change::Consent(_))), "consent is not assumed");
}
