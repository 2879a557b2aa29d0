//! The network fails, and nothing is lost or done twice.

use subrosa::{ChangeError, Delivery, GroupOptions, MessageFilter, MessageKind};
use subrosa_testkit::{Fault, World, agree};

#[tokio::test]
async fn a_lost_answer_does_not_send_twice() {
    let world = World::new();
    let (alice, bob) = (world.person().await, world.person().await);
    let group = alice.client.conversations().create_group(&[bob.inbox()], GroupOptions::default()).await.unwrap();
    alice.network.fail_messages(Fault::ReplyLost, 1);
    group.send_text("once").await.unwrap();
    let theirs = bob.synced(group.id()).await;
    assert_eq!(agree(&[&group, &theirs]).await.texts(), ["once"]);
}

#[tokio::test]
async fn what_was_marked_but_never_sent_goes_out_after_a_crash() {
    let world = World::new();
    let (mut alice, bob) = (world.person().await, world.person().await);
    let group = alice.client.conversations().create_group(&[bob.inbox()], GroupOptions::default()).await.unwrap();
    let id = group.id().clone();
    alice.network.fail_messages(Fault::BeforeSending, 100);
    assert!(matches!(group.send_text("stuck").await, Err(ChangeError::NotConfirmed { .. })));
    drop(group);
    alice.reopen().await;
    let group = alice.synced(&id).await;
    let theirs = bob.synced(&id).await;
    assert_eq!(agree(&[&group, &theirs]).await.texts(), ["stuck"]);
    assert_all_delivered(&group).await;
}

#[tokio::test]
async fn what_was_sent_is_recognised_after_a_crash() {
    let world = World::new();
    let (mut alice, bob) = (world.person().await, world.person().await);
    let group = alice.client.conversations().create_group(&[bob.inbox()], GroupOptions::default()).await.unwrap();
    let id = group.id().clone();
    alice.network.fail_messages(Fault::Hangs, 1);
    let sending = group.send_text("seen by the node only");
    assert!(tokio::time::timeout(std::time::Duration::from_millis(300), sending).await.is_err());
    drop(group);
    alice.reopen().await;
    let group = alice.synced(&id).await;
    let theirs = bob.synced(&id).await;
    assert_eq!(agree(&[&group, &theirs]).await.texts(), ["seen by the node only"]);
    assert_all_delivered(&group).await;
}

#[tokio::test]
async fn being_offline_for_long_ends_no_intent() {
    let world = World::new();
    let (alice, bob) = (world.person().await, world.person().await);
    let group = alice.client.conversations().create_group(&[bob.inbox()], GroupOptions::default()).await.unwrap();
    alice.network.fail_messages(Fault::BeforeSending, 40);
    for number in 0..4 {
        assert!(group.send_text(number.to_string()).await.is_err());
    }
    alice.network.heal();
    group.sync().await.unwrap();
    group.sync().await.unwrap();
    let theirs = bob.synced(group.id()).await;
    assert_eq!(agree(&[&group, &theirs]).await.texts(), ["0", "1", "2", "3"]);
}

#[tokio::test]
async fn bytes_refused_three_times_fail_with_their_reason() {
    let world = World::new();
    let (alice, bob) = (world.person().await, world.person().await);
    let group = alice.client.conversations().create_group(&[bob.inbox()], GroupOptions::default()).await.unwrap();
    alice.network.fail_messages(Fault::Refused, 100);
    assert!(matches!(group.send_text("never").await, Err(ChangeError::Failed { .. })));
    alice.network.heal();
    group.send_text("later ones work").await.unwrap();
    let messages = group.messages(MessageFilter::default()).await.unwrap();
    let states: Vec<_> =
        messages.iter().filter(|m| m.kind == MessageKind::Application).map(|message| message.delivery).collect();
    assert_eq!(states, [Delivery::Failed, Delivery::Published]);
    let theirs = bob.synced(group.id()).await;
    assert_eq!(subrosa_testkit::View::of(&theirs).await.texts(), ["later ones work"]);
}

#[tokio::test]
async fn welcomes_that_failed_are_sent_by_a_plain_sync() {
    let world = World::new();
    let (mut alice, bob) = (world.person().await, world.person().await);
    alice.network.fail_welcomes(Fault::BeforeSending, 100);
    let conversations = alice.client.conversations();
    let group = conversations.create_group_offline(GroupOptions::default()).await.unwrap();
    let id = group.id().clone();
    let added = group.add_members(&[bob.inbox()]).await;
    assert!(matches!(added, Err(ChangeError::NotConfirmed { .. })));
    drop((group, conversations));
    alice.reopen().await;
    let group = alice.synced(&id).await;
    group.send_text("welcome at last").await.unwrap();
    let theirs = bob.synced(&id).await;
    assert_eq!(agree(&[&group, &theirs]).await.texts(), ["welcome at last"]);
}

#[tokio::test]
async fn a_commit_that_cannot_be_judged_holds_its_group_only() {
    let world = World::new();
    let (alice, bob, carol) = (world.person().await, world.person().await, world.person().await);
    let group = alice.client.conversations().create_group(&[bob.inbox()], GroupOptions::default()).await.unwrap();
    let other = alice.client.conversations().dm(bob.inbox()).await.unwrap();
    let (of_bob, other_of_bob) = (bob.synced(group.id()).await, bob.synced(other.id()).await);
    group.add_members(&[carol.inbox()]).await.unwrap();
    group.send_text("after carol").await.unwrap();
    other.send_text("elsewhere").await.unwrap();

    bob.network.fail_identity(1000);
    assert!(of_bob.sync().await.is_err());
    assert!(of_bob.record().unwrap().held.is_some(), "the reason is readable");
    let _ = other_of_bob.sync().await;
    assert_eq!(subrosa_testkit::View::of(&other_of_bob).await.texts(), ["elsewhere"]);

    bob.network.heal();
    of_bob.sync().await.unwrap();
    assert!(of_bob.record().unwrap().held.is_none());
    agree(&[&group, &of_bob]).await;
}

/// Nothing of ours is waiting or failed.
async fn assert_all_delivered(conversation: &subrosa::Conversation) {
    for message in conversation.messages(MessageFilter::default()).await.unwrap() {
        assert_eq!(message.delivery, Delivery::Published);
    }
}
