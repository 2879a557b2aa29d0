//! Subscriptions (transport §4.8, N22–N26, N30).

use std::collections::BTreeMap;

use futures::{FutureExt, StreamExt, future::join_all};
use proptest::prelude::*;
use prost::Message;
use subrosa_node::{Node, NodeConfig};
use subrosa_proto::xmtp::mls::api::v1 as api;
use subrosa_transport::{Network, NetworkError, Outage};
use subrosa_types::{GroupId, SequenceId};
use tonic::Code;

use crate::support::{MLS, code, ids, mls_message, node, open, read_all, send, v1};

fn group(number: u8) -> GroupId {
    GroupId::from_slice(&[number; 16]).unwrap()
}

async fn subscribe(node: &Node, filters: &[(u8, u64)]) -> tonic::Streaming<api::GroupMessage> {
    let filters = filters
        .iter()
        .map(|(number, id_cursor)| api::subscribe_group_messages_request::Filter {
            group_id: vec![*number; 16],
            id_cursor: *id_cursor,
        })
        .collect();
    let request = api::SubscribeGroupMessagesRequest { filters };
    open(node, &format!("{MLS}SubscribeGroupMessages"), request.encode_to_vec()).await.unwrap()
}

async fn say(node: &Node, number: u8, text: &str) {
    send(node, vec![mls_message(&[number; 16], 1, text.as_bytes())]).await.unwrap();
}

async fn next_id(stream: &mut tonic::Streaming<api::GroupMessage>) -> u64 {
    v1(&stream.message().await.unwrap().unwrap()).id
}

#[tokio::test]
async fn history_comes_first_then_what_is_new() {
    let node = node();
    for text in ["1", "2", "3"] {
        say(&node, 1, text).await;
    }
    let mut from_start = subscribe(&node, &[(1, 0)]).await;
    let mut from_two = subscribe(&node, &[(1, 2)]).await;
    say(&node, 2, "4: another group").await;
    say(&node, 1, "5").await;
    for want in [1, 2, 3, 5] {
        assert_eq!(next_id(&mut from_start).await, want);
    }
    for want in [3, 5] {
        assert_eq!(next_id(&mut from_two).await, want);
    }
}

#[tokio::test]
async fn two_filters_for_one_group_start_at_the_smaller_position_and_repeat_nothing() {
    let node = node();
    for text in ["1", "2", "3"] {
        say(&node, 1, text).await;
    }
    let mut stream = subscribe(&node, &[(1, 2), (1, 1)]).await;
    say(&node, 1, "4").await;
    for want in [2, 3, 4] {
        assert_eq!(next_id(&mut stream).await, want);
    }
}

#[tokio::test]
async fn a_subscription_to_nothing_stays_open_and_silent() {
    let node = node();
    let mut stream = subscribe(&node, &[]).await;
    say(&node, 1, "1").await;
    assert!(stream.message().now_or_never().is_none());
}

#[tokio::test]
async fn a_reader_that_is_too_slow_is_told_so() {
    let node = Node::open(NodeConfig { subscription_backlog: 4, ..NodeConfig::in_memory() }).unwrap();
    let mut stream = subscribe(&node, &[(1, 0)]).await;
    say(&node, 1, "1").await;
    assert_eq!(next_id(&mut stream).await, 1);
    assert!(stream.message().now_or_never().is_none(), "live from here on");
    for i in 2..20 {
        say(&node, 1, &i.to_string()).await;
    }
    let mut last = Code::Ok;
    while last == Code::Ok {
        last = code(stream.message().await);
    }
    assert_eq!(last, Code::Aborted);
}

#[tokio::test]
async fn what_overflows_while_history_is_read_is_read_again() {
    let node = Node::open(NodeConfig { subscription_backlog: 4, ..NodeConfig::in_memory() }).unwrap();
    for i in 0..1000 {
        say(&node, 1, &i.to_string()).await;
    }
    let mut stream = subscribe(&node, &[(1, 0)]).await;
    assert_eq!(next_id(&mut stream).await, 1);
    for i in 1000..1100 {
        say(&node, 1, &i.to_string()).await;
    }
    for want in 2..=1100 {
        assert_eq!(next_id(&mut stream).await, want);
    }
    assert!(stream.message().now_or_never().is_none());
}

#[tokio::test]
async fn ten_thousand_groups_fit_into_one_subscription() {
    let node = node();
    let group = |i: u32| [&i.to_be_bytes()[..], &[1; 12]].concat();
    let messages = (0..10_000).step_by(100).map(|i| mls_message(&group(i), 1, b"history")).collect();
    send(&node, messages).await.unwrap();
    let filters = (0..10_000)
        .map(|i| api::subscribe_group_messages_request::Filter { group_id: group(i), id_cursor: 0 })
        .collect();
    let request = api::SubscribeGroupMessagesRequest { filters }.encode_to_vec();
    let mut stream = open::<api::GroupMessage>(&node, &format!("{MLS}SubscribeGroupMessages"), request).await.unwrap();
    for _ in 0..100 {
        stream.message().await.unwrap().unwrap();
    }
    send(&node, vec![mls_message(&group(9_999), 1, b"live")]).await.unwrap();
    assert_eq!(v1(&stream.message().await.unwrap().unwrap()).group_id, group(9_999));
}

#[tokio::test]
async fn welcomes_stream_like_messages() {
    use subrosa_envelope::{WelcomeInput, WrapperAlgorithm};

    let node = node();
    let to = subrosa_types::InstallationId::from_bytes([3; 32]);
    let welcome = |text: &str| WelcomeInput::Direct {
        installation_key: to,
        data: text.as_bytes().to_vec(),
        hpke_public_key: vec![1; 32],
        wrapper: WrapperAlgorithm::Curve25519,
        metadata: vec![],
    };
    node.send_welcomes(vec![welcome("1"), welcome("2")]).await.unwrap();
    let mut stream = node.subscribe_welcomes(vec![(to, SequenceId(1))]).await.unwrap();
    node.send_welcomes(vec![welcome("3")]).await.unwrap();
    for (sequence, text) in [(2, "2"), (3, "3")] {
        let received = stream.next().await.unwrap().unwrap();
        assert_eq!(received.sequence, SequenceId(sequence));
        assert_eq!(received.item.unwrap().input, welcome(text));
    }
}

#[tokio::test]
async fn shutting_down_ends_streams_with_an_error() {
    let node = node();
    let mut stream = node.subscribe_group_messages(vec![(group(1), SequenceId::START)]).await.unwrap();
    node.end_subscriptions();
    let error = stream.next().await.unwrap().unwrap_err();
    assert!(matches!(error, NetworkError::Unreachable { cause: Outage::Unavailable, .. }), "{error}");
    assert!(stream.next().await.is_none());
}

/// Publishers and subscribers at the same time; every subscriber sees exactly what a query shows.
async fn seam(node: Node, publishers: usize, per_publisher: usize, starts: Vec<(usize, u64)>) {
    const GROUPS: u8 = 3;
    let total = publishers * per_publisher;
    let publish = (0..publishers).map(|publisher| {
        let node = node.clone();
        tokio::spawn(async move {
            for i in 0..per_publisher {
                say(&node, (i % usize::from(GROUPS)) as u8, &format!("{publisher} {i}")).await;
                tokio::task::yield_now().await;
            }
        })
    });
    let publish: Vec<_> = publish.collect();
    let subscribers = starts.into_iter().map(|(delay, cursor)| {
        let node = node.clone();
        tokio::spawn(async move {
            for _ in 0..delay {
                tokio::task::yield_now().await;
            }
            let mut stream = subscribe(&node, &[(0, cursor), (1, cursor), (2, cursor)]).await;
            let mut seen: BTreeMap<u8, Vec<u64>> = BTreeMap::new();
            // Ids are dense here: one counter, nothing else is stored.
            let expected = total.saturating_sub(usize::try_from(cursor).unwrap());
            for _ in 0..expected {
                let message = stream.message().await.unwrap().unwrap();
                seen.entry(v1(&message).group_id[0]).or_default().push(v1(&message).id);
            }
            assert!(stream.message().now_or_never().is_none(), "nothing is repeated");
            (cursor, seen)
        })
    });
    let subscribers: Vec<_> = subscribers.collect();
    for task in join_all(publish).await {
        task.unwrap();
    }
    for task in join_all(subscribers).await {
        let (cursor, seen) = task.unwrap();
        for number in 0..GROUPS {
            let stored: Vec<u64> =
                ids(&read_all(&node, &[number; 16]).await).into_iter().filter(|id| *id > cursor).collect();
            assert_eq!(seen.get(&number).cloned().unwrap_or_default(), stored);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn no_subscriber_misses_or_repeats_anything(
        publishers in 1..5usize,
        per_publisher in 1..80usize,
        starts in prop::collection::vec((0..200usize, 0..40u64), 1..8),
        on_disk: bool,
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let config = if on_disk { NodeConfig::at(folder.path()) } else { NodeConfig::in_memory() };
        runtime.block_on(async { seam(Node::open(config).unwrap(), publishers, per_publisher, starts).await });
    }
}
