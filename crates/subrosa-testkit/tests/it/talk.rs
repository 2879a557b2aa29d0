//! People talk: the ordinary life of groups and direct messages.

use subrosa::{AdminChange, ChangeError, GroupOptions, MessageFilter, MessageKind};
use subrosa_testkit::{World, agree};

#[tokio::test]
async fn two_people_talk_in_a_group() {
    let world = World::new();
    let (alice, bob) = (world.person().await, world.person().await);
    let group = alice.client.conversations().create_group(&[bob.inbox()], GroupOptions::named("rose")).await.unwrap();
    group.send_text("hello").await.unwrap();
    let theirs = bob.synced(group.id()).await;
    theirs.send_text("hello yourself").await.unwrap();
    group.sync().await.unwrap();
    theirs.sync().await.unwrap();
    let view = agree(&[&group, &theirs]).await;
    assert_eq!(view.texts(), ["hello", "hello yourself"]);
    assert_eq!(view.members.len(), 2);
    assert_eq!(theirs.name().unwrap(), "rose");
}

#[tokio::test]
async fn members_come_and_go_and_come_back() {
    let world = World::new();
    let (alice, bob, carol) = (world.person().await, world.person().await, world.person().await);
    let group = alice.client.conversations().create_group(&[bob.inbox()], GroupOptions::default()).await.unwrap();
    group.send_text("before").await.unwrap();
    group.add_members(&[carol.inbox()]).await.unwrap();
    group.send_text("with carol").await.unwrap();
    let (of_bob, of_carol) = (bob.synced(group.id()).await, carol.synced(group.id()).await);
    agree(&[&group, &of_bob, &of_carol]).await;

    group.remove_members(&[carol.inbox()]).await.unwrap();
    group.send_text("without carol").await.unwrap();
    of_bob.sync().await.unwrap();
    of_carol.sync().await.unwrap();
    assert!(!of_carol.is_active().unwrap());
    assert!(of_carol.sync().await.is_err(), "a group one is not in does not sync");
    assert!(matches!(of_carol.send_text("still here").await, Err(ChangeError::Inactive)));
    agree(&[&group, &of_bob]).await;

    group.add_members(&[carol.inbox()]).await.unwrap();
    group.send_text("welcome back").await.unwrap();
    let of_carol = carol.synced(group.id()).await;
    of_bob.sync().await.unwrap();
    assert!(of_carol.is_active().unwrap());
    let texts = subrosa_testkit::View::of(&of_carol).await;
    assert_eq!(texts.texts(), ["with carol", "welcome back"]);
    assert_eq!(of_carol.record().unwrap().authenticator, of_bob.record().unwrap().authenticator);
}

#[tokio::test]
async fn names_and_roles_are_seen_by_all() {
    let world = World::new();
    let (alice, bob) = (world.person().await, world.person().await);
    let group = alice.client.conversations().create_group(&[bob.inbox()], GroupOptions::default()).await.unwrap();
    let of_bob = bob.synced(group.id()).await;
    of_bob.set_name("by bob").await.unwrap();
    group.change_admins(AdminChange::AddAdmin, bob.inbox()).await.unwrap();
    of_bob.sync().await.unwrap();
    let view = agree(&[&group, &of_bob]).await;
    assert_eq!(view.admins.0, [bob.inbox().to_hex()]);
    assert_eq!(group.name().unwrap(), "by bob");
}

#[tokio::test]
async fn a_forbidden_change_fails_and_harms_nobody() {
    let world = World::new();
    let (alice, bob) = (world.person().await, world.person().await);
    let group = alice.client.conversations().create_group(&[bob.inbox()], GroupOptions::default()).await.unwrap();
    let of_bob = bob.synced(group.id()).await;
    assert!(of_bob.change_admins(AdminChange::AddSuperAdmin, bob.inbox()).await.is_err());
    assert!(of_bob.remove_members(&[alice.inbox()]).await.is_err());
    of_bob.send_text("I tried").await.unwrap();
    group.sync().await.unwrap();
    let view = agree(&[&group, &of_bob]).await;
    assert_eq!((view.texts(), view.members.len()), (vec!["I tried"], 2));
}

#[tokio::test]
async fn both_sides_beginning_a_direct_message_have_one_conversation() {
    let world = World::new();
    let (alice, bob) = (world.person().await, world.person().await);
    let of_alice = alice.client.conversations().dm(bob.inbox()).await.unwrap();
    let of_bob = bob.client.conversations().dm(alice.inbox()).await.unwrap();
    of_alice.send_text("from alice").await.unwrap();
    of_bob.send_text("from bob").await.unwrap();
    for person in [&alice, &bob] {
        person.client.conversations().sync().await.unwrap();
        person.client.conversations().sync_all().await.unwrap();
        let listed = person.client.conversations().list(&subrosa::ListOptions::default()).unwrap();
        assert_eq!(listed.len(), 1, "duplicates are shown as one");
        let mut texts: Vec<_> = subrosa_testkit::View::of(&listed[0]).await.texts;
        texts.sort_by(|a, b| a.1.cmp(&b.1));
        assert_eq!(texts.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>(), ["from alice", "from bob"]);
    }
}

#[tokio::test]
async fn a_second_installation_joins_with_the_next_message() {
    let world = World::new();
    let (alice, bob) = (world.person().await, world.person().await);
    let group = alice.client.conversations().create_group(&[bob.inbox()], GroupOptions::default()).await.unwrap();
    group.send_text("one").await.unwrap();
    let second = world.second_installation(&bob).await;
    group.update_installations().await.unwrap();
    group.send_text("two").await.unwrap();
    let (first, second) = (bob.synced(group.id()).await, second.synced(group.id()).await);
    let view = agree(&[&group, &first, &second]).await;
    assert_eq!(view.members.len(), 2);
    second.send_text("from the second").await.unwrap();
    group.sync().await.unwrap();
    first.sync().await.unwrap();
    assert_eq!(agree(&[&group, &first, &second]).await.texts(), ["one", "two", "from the second"]);
}

#[tokio::test]
async fn many_are_welcomed_through_one_pointer() {
    let world = World::new();
    let alice = world.person().await;
    let mut others = Vec::new();
    for _ in 0..4 {
        others.push(world.person().await);
    }
    let inboxes: Vec<_> = others.iter().map(subrosa_testkit::Person::inbox).collect();
    let group = alice.client.conversations().create_group(&inboxes, GroupOptions::named("many")).await.unwrap();
    group.send_text("all of you").await.unwrap();
    for person in &others {
        let theirs = person.synced(group.id()).await;
        assert_eq!(agree(&[&group, &theirs]).await.texts(), ["all of you"]);
    }
}

#[tokio::test]
async fn commits_of_the_same_epoch_both_take_effect() {
    let world = World::new();
    let (alice, bob) = (world.person().await, world.person().await);
    let group = alice.client.conversations().create_group(&[bob.inbox()], GroupOptions::default()).await.unwrap();
    let of_bob = bob.synced(group.id()).await;
    let (one, other) = tokio::join!(group.set_name("raced"), of_bob.set_description("also raced"));
    one.unwrap();
    other.unwrap();
    group.sync().await.unwrap();
    of_bob.sync().await.unwrap();
    let view = agree(&[&group, &of_bob]).await;
    assert_eq!(
        (view.attributes["group_name"].as_str(), view.attributes["description"].as_str()),
        ("raced", "also raced")
    );
}

#[tokio::test]
async fn everything_is_there_after_reopening() {
    let world = World::new();
    let (mut alice, bob) = (world.person().await, world.person().await);
    let group = alice.client.conversations().create_group(&[bob.inbox()], GroupOptions::named("kept")).await.unwrap();
    group.send_text("kept too").await.unwrap();
    let id = group.id().clone();
    let installation = alice.client.installation_id();
    drop(group);
    alice.reopen().await;
    assert_eq!(alice.client.installation_id(), installation);
    let group = alice.client.conversations().get(&id).unwrap().unwrap();
    let theirs = bob.synced(&id).await;
    assert_eq!(agree(&[&group, &theirs]).await.texts(), ["kept too"]);
    group.send_text("after reopening").await.unwrap();
    theirs.sync().await.unwrap();
    assert_eq!(agree(&[&group, &theirs]).await.texts(), ["kept too", "after reopening"]);
}

#[tokio::test]
async fn a_joiner_renews_its_leaf_before_its_first_message() {
    let world = World::new();
    let (alice, bob) = (world.person().await, world.person().await);
    let group = alice.client.conversations().create_group(&[bob.inbox()], GroupOptions::default()).await.unwrap();
    let of_bob = bob.synced(group.id()).await;
    let joined_at = of_bob.record().unwrap().epoch;
    of_bob.send_text("first").await.unwrap();
    of_bob.send_text("second").await.unwrap();
    assert_eq!(of_bob.record().unwrap().epoch.0, joined_at.0 + 1);
    let messages = of_bob.messages(MessageFilter::default()).await.unwrap();
    assert_eq!(messages.iter().filter(|m| m.kind == MessageKind::Transcript).count(), 1, "a renewal is not shown");
}

#[tokio::test]
async fn a_hundred_queued_messages_arrive_once_and_in_order() {
    let world = World::new();
    let (alice, bob) = (world.person().await, world.person().await);
    let group = alice.client.conversations().create_group(&[bob.inbox()], GroupOptions::default()).await.unwrap();
    for number in 0..100 {
        group.queue_text(number.to_string()).await.unwrap();
    }
    group.publish().await.unwrap();
    let theirs = bob.synced(group.id()).await;
    let view = agree(&[&group, &theirs]).await;
    assert_eq!(view.texts(), (0..100).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_queued_by_a_removed_member_fails_with_a_reason() {
    let world = World::new();
    let (alice, bob) = (world.person().await, world.person().await);
    let group = alice.client.conversations().create_group(&[bob.inbox()], GroupOptions::default()).await.unwrap();
    let of_bob = bob.synced(group.id()).await;
    bob.network.fail_messages(subrosa_testkit::Fault::BeforeSending, 1);
    of_bob.queue_text("too late").await.unwrap();
    group.remove_members(&[bob.inbox()]).await.unwrap();
    of_bob.sync().await.unwrap();
    assert!(!of_bob.is_active().unwrap());
    let messages = of_bob.messages(MessageFilter::default()).await.unwrap();
    let text = messages.iter().find(|message| message.kind == MessageKind::Application).unwrap();
    assert_eq!(text.delivery, subrosa::Delivery::Failed);
    assert_eq!(of_bob.debug_info().unwrap().outstanding, 0);
}
