//! What each kind of envelope does, and what it must not do.

use subrosa_content::{Content, PlaintextEnvelope};
use subrosa_group::Directory;
use subrosa_intent::{IntentError, IntentState};
use subrosa_sync::{AdminChange, Built, Change, IntentData, Received};

use crate::shell::{Shell, two_members};

fn text(text: &str) -> IntentData {
    let content = Content::Text(text.into()).to_encoded().to_bytes();
    IntentData::SendMessage(PlaintextEnvelope::V1 { content, idempotency_key: text.into() }.to_bytes())
}

fn rename(name: &str) -> IntentData {
    IntentData::Metadata { key: "group_name".into(), value: name.into() }
}

fn authenticator(shell: &Shell) -> Vec<u8> {
    shell.machine.as_ref().unwrap().group().epoch_authenticator()
}

#[test]
fn an_own_message_that_came_back_is_processed_with_its_cursor() {
    let (mut logs, mut alice, mut bob) = two_members();
    let intent = alice.queue(&text("hello"));
    assert!(matches!(alice.publish(&mut logs, &[]), Some(Built::Payload)));
    assert_eq!(alice.intents[&intent].state, IntentState::Published);
    let position = logs.group.last().unwrap().cursor();
    alice.applied.clear();
    alice.receive(&logs);
    assert_eq!(alice.intents[&intent].state, IntentState::Processed);
    assert_eq!(alice.intents[&intent].resolved_at, Some(position));
    assert!(alice.applied.iter().any(|change| matches!(change, Change::Cursor { to, .. } if *to == position)));

    bob.applied.clear();
    bob.receive(&logs);
    let stored: Vec<_> = bob.applied.iter().filter(|change| matches!(change, Change::Message(_))).collect();
    assert_eq!(stored.len(), 1);
    bob.applied.clear();
    bob.receive(&logs);
    assert!(bob.applied.is_empty(), "the same log a second time changes nothing");
}

#[test]
fn a_commit_ends_the_pass_and_what_follows_is_made_in_the_next_epoch() {
    let (mut logs, mut alice, _) = two_members();
    alice.queue(&rename("one"));
    let after = alice.queue(&text("after"));
    assert!(matches!(alice.publish(&mut logs, &[]), Some(Built::Payload)));
    assert!(alice.publish(&mut logs, &[]).is_none(), "nothing is built while a commit is under way");
    alice.receive(&logs);
    let epoch = alice.machine.as_ref().unwrap().group().epoch();
    assert!(matches!(alice.publish(&mut logs, &[]), Some(Built::Payload)));
    assert_eq!(alice.intents[&after].payload.as_ref().unwrap().epoch, epoch);
}

#[test]
fn the_loser_of_a_race_is_built_again_and_both_changes_take_effect() {
    let (mut logs, mut alice, mut bob) = two_members();
    let first = alice.queue(&rename("alice was first"));
    let second = bob.queue(&IntentData::Metadata { key: "description".into(), value: "bob was second".into() });
    alice.publish(&mut logs, &[]);
    bob.publish(&mut logs, &[]);
    alice.receive(&logs);
    bob.receive(&logs);
    assert_eq!(alice.intents[&first].state, IntentState::Processed);
    assert_eq!(bob.intents[&second].state, IntentState::ToPublish);
    assert_eq!((bob.intents[&second].attempts, bob.intents[&second].earlier.len()), (0, 1));
    bob.publish(&mut logs, &[]);
    bob.receive(&logs);
    alice.receive(&logs);
    assert_eq!(bob.intents[&second].state, IntentState::Processed);
    assert_eq!(authenticator(&alice), authenticator(&bob));
    let record = alice.record.as_ref().unwrap();
    assert_eq!(record.attributes["group_name"], "alice was first");
    assert_eq!(record.attributes["description"], "bob was second");
}

#[test]
fn a_refused_commit_leaves_only_its_cursor_and_its_log_row() {
    let (mut logs, mut alice, mut bob) = two_members();
    let forbidden = bob.queue(&IntentData::Admins { change: AdminChange::AddSuperAdmin, inbox: bob.inbox() });
    bob.publish(&mut logs, &[]);
    let before = authenticator(&alice);
    alice.applied.clear();
    assert_eq!(alice.receive(&logs), Some(Received::Reload));
    assert_eq!(alice.applied.len(), 2, "{:?}", alice.applied);
    assert!(matches!(&alice.applied[0], Change::CommitLog(row) if row.result == 4));
    assert!(matches!(&alice.applied[1], Change::Cursor { .. }));
    assert_eq!(authenticator(&alice), before);

    bob.receive(&logs);
    assert_eq!(bob.intents[&forbidden].state, IntentState::Error);
    assert_eq!(bob.intents[&forbidden].error, Some(IntentError::Rejected));

    // A correct commit of the same author still opens.
    bob.queue(&rename("allowed"));
    bob.publish(&mut logs, &[]);
    bob.receive(&logs);
    alice.receive(&logs);
    assert_eq!(authenticator(&alice), authenticator(&bob));
}

#[test]
fn a_commit_asks_for_identity_logs_and_waits_without_moving() {
    let (mut logs, mut alice, mut bob) = two_members();
    let carol = Shell::new(&mut logs, 3);
    alice.queue(&alice.adding(&logs, &[&carol]));
    alice.publish(&mut logs, &[&carol]);
    alice.receive(&logs);
    let known = [bob.inbox(), alice.inbox()].map(|inbox| (inbox, logs.identities.log(&inbox).unwrap().clone()));
    let without_carol: Directory = known.into_iter().collect();
    let commit = logs.group.last().unwrap().clone();
    bob.applied.clear();
    let Received::Needs(needs) = bob.feed(&commit, &without_carol) else { panic!("the log of carol is needed") };
    assert_eq!(needs.iter().map(|need| need.inbox).collect::<Vec<_>>(), [carol.inbox()]);

    // The network does not answer: nothing moves, and the reason is kept.
    assert_eq!(bob.machine.as_mut().unwrap().postpone(), Received::Reload);
    bob.commit();
    bob.reload();
    assert!(bob.record.as_ref().unwrap().held.is_some());
    assert!(!bob.applied.iter().any(|change| matches!(change, Change::Cursor { .. } | Change::Rows(_))));

    // It answers: the same bytes are judged.
    bob.receive(&logs);
    assert!(bob.record.as_ref().unwrap().held.is_none());
    assert_eq!(authenticator(&alice), authenticator(&bob));
}

#[test]
fn a_minimum_version_above_ours_pauses_before_the_commit() {
    let (mut logs, mut alice, mut bob) = two_members();
    let key = "minimum_supported_protocol_version";
    alice.queue(&IntentData::Metadata { key: key.into(), value: "99.0.0".into() });
    alice.publish(&mut logs, &[]);
    let epoch = bob.record.as_ref().unwrap().epoch;
    bob.applied.clear();
    bob.receive(&logs);
    let record = bob.record.as_ref().unwrap();
    assert_eq!((record.paused_for.as_deref(), record.epoch), (Some("99.0.0"), epoch));
    assert!(!bob.applied.iter().any(|change| matches!(change, Change::Cursor { .. } | Change::CommitLog(_))));
    assert_eq!(bob.receive(&logs), Some(Received::Stopped));
}

#[test]
fn what_does_not_open_is_passed_once() {
    let (mut logs, _, mut bob) = two_members();
    let mut broken = logs.group.last().unwrap().data.clone();
    *broken.last_mut().unwrap() ^= 1;
    let input = subrosa_envelope::GroupMessageInput { data: broken, sender_hmac: Vec::new(), should_push: false };
    logs.append(input);
    bob.applied.clear();
    bob.receive(&logs);
    assert!(bob.applied.iter().any(|change| matches!(change, Change::Cursor { .. })));
    bob.applied.clear();
    bob.receive(&logs);
    assert!(bob.applied.is_empty());
}

#[test]
fn an_own_commit_without_its_staged_state_ends_in_error() {
    let (mut logs, mut alice, _) = two_members();
    let intent = alice.queue(&rename("lost"));
    alice.publish(&mut logs, &[]);
    alice.intents.get_mut(&intent).unwrap().payload.as_mut().unwrap().staged = None;
    alice.reload();
    alice.receive(&logs);
    assert_eq!(alice.intents[&intent].error, Some(IntentError::StagedCommitLost));
    assert!(alice.record.as_ref().unwrap().maybe_forked);
}

#[test]
fn a_restart_between_publishing_and_reading_back_loses_nothing() {
    let (mut logs, mut alice, mut bob) = two_members();
    let intent = alice.queue(&rename("kept"));
    alice.publish(&mut logs, &[]);
    alice.reload();
    alice.receive(&logs);
    bob.receive(&logs);
    assert_eq!(alice.intents[&intent].state, IntentState::Processed);
    assert_eq!(authenticator(&alice), authenticator(&bob));
}

#[test]
fn three_refusals_of_the_node_end_an_intent() {
    let (_, mut alice, _) = two_members();
    let intent = alice.queue(&text("refused"));
    for attempt in 1..=3 {
        let machine = alice.machine.as_mut().unwrap();
        let _ = machine.build(intent, &Directory::default(), &Default::default()).unwrap();
        machine.send_refused(intent).unwrap();
        alice.commit();
        assert_eq!(alice.intents[&intent].attempts, attempt);
    }
    assert_eq!(alice.intents[&intent].error, Some(IntentError::Refused));
}
