//! What happens, as it happens.

use subrosa::{
    ConsentState, GroupOptions, ListOptions, Message, MessageKind, MessageStream, StreamOptions,
    content::{Content, EncodedContent},
};
use subrosa_testkit::{World, agree};

fn text(message: &Message) -> Option<String> {
    let encoded = EncodedContent::from_bytes(&message.content).ok()?;
    match Content::decode(&encoded) {
        Ok(Content::Text(text)) => Some(text),
        _ => None,
    }
}

/// The next texts of a stream.
async fn texts(stream: &mut MessageStream, count: usize) -> Vec<String> {
    let mut texts = Vec::new();
    while texts.len() < count {
        let message = stream.next().await.expect("the stream goes on");
        texts.extend(text(&message));
    }
    texts
}

#[tokio::test]
async fn a_stream_shows_conversations_there_are_and_those_to_come() {
    let world = World::new();
    let (alice, bob) = (world.person().await, world.person().await);
    let old = bob.client.conversations().create_group(&[alice.inbox()], GroupOptions::default()).await.unwrap();
    old.send_text("before the stream").await.unwrap();
    alice.synced(old.id()).await;

    let mut stream = alice.client.conversations().stream_messages(StreamOptions::default()).unwrap();
    let mut conversations = alice.client.conversations().stream(None).unwrap();
    stream.ready().await;
    old.send_text("in an old group").await.unwrap();
    assert_eq!(texts(&mut stream, 1).await, ["in an old group"]);

    let new = bob.client.conversations().create_group(&[alice.inbox()], GroupOptions::named("new")).await.unwrap();
    new.send_text("in a new group").await.unwrap();
    old.send_text("in the old group again").await.unwrap();
    assert_eq!(conversations.next().await.unwrap().id(), new.id());
    let mut seen = texts(&mut stream, 2).await;
    seen.sort();
    assert_eq!(seen, ["in a new group", "in the old group again"]);
}

#[tokio::test]
async fn commits_and_messages_come_in_the_order_of_the_log() {
    let world = World::new();
    let (alice, bob) = (world.person().await, world.person().await);
    let group = bob.client.conversations().create_group(&[alice.inbox()], GroupOptions::default()).await.unwrap();
    let of_alice = alice.synced(group.id()).await;
    let mut stream = of_alice.stream().unwrap();
    stream.ready().await;
    group.send_text("one").await.unwrap();
    group.set_name("renamed").await.unwrap();
    group.send_text("two").await.unwrap();
    let mut kinds = Vec::new();
    for _ in 0..3 {
        let message = stream.next().await.unwrap();
        kinds.push((message.kind, text(&message)));
    }
    assert_eq!(
        kinds,
        [
            (MessageKind::Application, Some("one".to_owned())),
            (MessageKind::Transcript, None),
            (MessageKind::Application, Some("two".to_owned())),
        ]
    );
    // What the stream stored is what a sync would have.
    of_alice.sync().await.unwrap();
    assert_eq!(agree(&[&group, &of_alice]).await.texts(), ["one", "two"]);
}

#[tokio::test]
async fn own_messages_are_streamed_once_they_are_in_the_log() {
    let world = World::new();
    let (alice, bob) = (world.person().await, world.person().await);
    let group = alice.client.conversations().create_group(&[bob.inbox()], GroupOptions::default()).await.unwrap();
    let mut stream = group.stream().unwrap();
    group.queue_text("queued").await.unwrap();
    group.send_text("sent").await.unwrap();
    assert_eq!(texts(&mut stream, 2).await, ["queued", "sent"]);
}

#[tokio::test]
async fn a_stream_outlives_its_subscriptions() {
    let world = World::new();
    let (alice, bob) = (world.person().await, world.person().await);
    let group = bob.client.conversations().create_group(&[alice.inbox()], GroupOptions::default()).await.unwrap();
    alice.synced(group.id()).await;
    let mut stream = alice.client.conversations().stream_messages(StreamOptions::default()).unwrap();
    stream.ready().await;
    for round in 0..2 {
        world.node.end_subscriptions();
        let new = bob.client.conversations().create_group(&[alice.inbox()], GroupOptions::default()).await.unwrap();
        group.send_text(format!("old {round}")).await.unwrap();
        new.send_text(format!("new {round}")).await.unwrap();
        let mut seen = texts(&mut stream, 2).await;
        seen.sort();
        assert_eq!(seen, [format!("new {round}"), format!("old {round}")]);
    }
}

#[tokio::test]
async fn a_slow_reader_loses_nothing() {
    const MESSAGES: usize = 1200;
    let world = World::new();
    let (alice, bob) = (world.person().await, world.person().await);
    let group = bob.client.conversations().create_group(&[alice.inbox()], GroupOptions::default()).await.unwrap();
    let of_alice = alice.synced(group.id()).await;
    let mut stream = alice.client.conversations().stream_messages(StreamOptions::default()).unwrap();
    for number in 0..MESSAGES {
        group.queue_text(number.to_string()).await.unwrap();
    }
    group.publish().await.unwrap();
    of_alice.sync().await.unwrap();
    let seen = texts(&mut stream, MESSAGES).await;
    assert_eq!(seen, (0..MESSAGES).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn denied_conversations_are_neither_listed_nor_streamed() {
    let world = World::new();
    let (alice, bob) = (world.person().await, world.person().await);
    let denied = bob.client.conversations().create_group(&[alice.inbox()], GroupOptions::default()).await.unwrap();
    let wanted = bob.client.conversations().create_group(&[alice.inbox()], GroupOptions::default()).await.unwrap();
    let of_alice = alice.synced(denied.id()).await;
    of_alice.set_consent(ConsentState::Denied).await.unwrap();
    let listed = alice.client.conversations().list(&ListOptions::default()).unwrap();
    assert_eq!(listed.iter().map(|listed| listed.id().clone()).collect::<Vec<_>>(), [wanted.id().clone()]);

    let mut stream = alice.client.conversations().stream_messages(StreamOptions::default()).unwrap();
    stream.ready().await;
    denied.send_text("denied").await.unwrap();
    of_alice.sync().await.unwrap();
    wanted.send_text("wanted").await.unwrap();
    assert_eq!(texts(&mut stream, 1).await, ["wanted"]);
}

#[tokio::test]
async fn streams_end_when_the_client_is_closed() {
    let world = World::new();
    let alice = world.person().await;
    let mut messages = alice.client.conversations().stream_messages(StreamOptions::default()).unwrap();
    let mut conversations = alice.client.conversations().stream(None).unwrap();
    alice.client.clone().close().await;
    assert!(messages.next().await.is_none());
    assert!(conversations.next().await.is_none());
}

#[tokio::test]
async fn sync_all_touches_only_what_changed() {
    let world = World::new();
    let (alice, bob) = (world.person().await, world.person().await);
    let mut groups = Vec::new();
    for _ in 0..3 {
        groups.push(bob.client.conversations().create_group(&[alice.inbox()], GroupOptions::default()).await.unwrap());
    }
    alice.client.conversations().sync_all().await.unwrap();
    let quiet = alice.client.conversations().sync_all().await.unwrap();
    assert_eq!((quiet.eligible, quiet.synced), (3, 0));
    groups[1].send_text("news").await.unwrap();
    let summary = alice.client.conversations().sync_all().await.unwrap();
    assert_eq!((summary.eligible, summary.synced, summary.failed.len()), (3, 1, 0));
    let of_alice = alice.client.conversations().get(groups[1].id()).unwrap().unwrap();
    assert_eq!(agree(&[&groups[1], &of_alice]).await.texts(), ["news"]);
}
