//! Order, pages, repetitions and atomicity of group messages (transport §4.2, §4.3, N1–N10, N16, N17).

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use subrosa_node::{Clock, Node, NodeConfig};
use subrosa_proto::xmtp::mls::api::v1 as api;
use subrosa_types::UnixNanos;
use tonic::Code;

use crate::support::{MLS, call, code, ids, mls_message, node, paging, query, read_all, send, v1};

const GROUP: [u8; 16] = [7; 16];

async fn filled(count: usize) -> Node {
    let node = node();
    let messages = (0..count).map(|i| mls_message(&GROUP, 1, &i.to_be_bytes())).collect();
    send(&node, messages).await.unwrap();
    node
}

#[tokio::test]
async fn messages_come_back_as_they_were_sent_in_order() {
    let node = node();
    let data: Vec<_> = (0..5).map(|i| mls_message(&GROUP, 1 + i % 3, &[i])).collect();
    send(&node, data.clone()).await.unwrap();
    let all = read_all(&node, &GROUP).await;
    assert_eq!(ids(&all), [1, 2, 3, 4, 5]);
    for (i, message) in all.iter().map(v1).enumerate() {
        assert_eq!(message.data, data[i]);
        assert_eq!(message.group_id, GROUP);
        assert_eq!(message.sender_hmac, [9; 32]);
        assert!(message.should_push);
        assert_eq!(message.is_commit, i == 2);
        assert_eq!(message.created_ns % 1000, 0);
    }
}

#[tokio::test]
async fn pages_follow_direction_cursor_and_limit() {
    let node = filled(250).await;
    let page = async |direction, limit, cursor| {
        let answer = query(&node, &GROUP, paging(direction, limit, cursor)).await.unwrap();
        let info = answer.paging_info.unwrap();
        let ids = ids(&answer.messages);
        (ids.first().copied(), ids.last().copied(), ids.len(), info.id_cursor, info.limit, info.direction)
    };
    assert_eq!(page(1, 0, 0).await, (Some(1), Some(100), 100, 100, 100, 1));
    assert_eq!(page(1, 1000, 100).await, (Some(101), Some(200), 100, 200, 100, 1));
    assert_eq!(page(1, 100, 200).await, (Some(201), Some(250), 50, 0, 100, 1));
    assert_eq!(page(2, 2, 0).await, (Some(250), Some(249), 2, 249, 2, 2));
    assert_eq!(page(0, 3, 10).await, (Some(9), Some(7), 3, 7, 3, 2));
    assert_eq!(page(9, 1, 0).await, (Some(250), Some(250), 1, 250, 1, 2));
    assert_eq!(page(1, 100, u64::MAX).await, (None, None, 0, 0, 100, 1));
    let unpaged = query(&node, &GROUP, None).await.unwrap();
    assert_eq!(ids(&unpaged.messages).first(), Some(&250));
    assert_eq!(unpaged.paging_info.unwrap().id_cursor, 151);
    assert_eq!(read_all(&node, &GROUP).await.len(), 250);
}

#[tokio::test]
async fn a_page_is_cut_before_clients_cannot_read_it() {
    let node = node();
    for i in 0..4 {
        send(&node, vec![mls_message(&GROUP, 1, &vec![i; 10 << 20])]).await.unwrap();
    }
    let page = query(&node, &GROUP, paging(1, 100, 0)).await.unwrap();
    assert_eq!(ids(&page.messages), [1, 2]);
    assert_eq!(page.paging_info.unwrap().id_cursor, 0);
    let two = query(&node, &GROUP, paging(1, 2, 0)).await.unwrap();
    assert_eq!(two.paging_info.unwrap().id_cursor, 2);
}

#[tokio::test]
async fn an_item_that_fills_no_answer_is_refused() {
    let node = node();
    let largest = mls_message(&GROUP, 1, &vec![0; (25 << 20) - 8192]);
    send(&node, vec![largest]).await.unwrap();
    let larger = mls_message(&GROUP, 1, &vec![0; 25 << 20]);
    assert_eq!(code(send(&node, vec![larger]).await), Code::InvalidArgument);
    assert_eq!(read_all(&node, &GROUP).await.len(), 1);
}

#[tokio::test]
async fn a_repetition_is_acknowledged_and_stored_once() {
    let node = filled(3).await;
    send(&node, vec![mls_message(&GROUP, 1, &1usize.to_be_bytes()), mls_message(&GROUP, 1, b"new")]).await.unwrap();
    let stored = read_all(&node, &GROUP).await;
    assert_eq!(ids(&stored)[..3], [1, 2, 3]);
    // Ids may have gaps (transport §6).
    assert!(stored.len() == 4 && ids(&stored)[3] > 3);
    // The same content in another group is something else.
    send(&node, vec![mls_message(&[8; 16], 1, b"new")]).await.unwrap();
    assert_eq!(read_all(&node, &[8; 16]).await.len(), 1);
}

#[tokio::test]
async fn one_invalid_message_refuses_the_whole_request() {
    let node = node();
    let batch = vec![mls_message(&GROUP, 1, b"good"), mls_message(&GROUP, 4, b"bad")];
    assert_eq!(code(send(&node, batch).await), Code::InvalidArgument);
    assert!(read_all(&node, &GROUP).await.is_empty());
    // Its ids were not used up either.
    send(&node, vec![mls_message(&GROUP, 1, b"good")]).await.unwrap();
    assert_eq!(ids(&read_all(&node, &GROUP).await), [1]);
}

#[tokio::test]
async fn times_do_not_go_back_when_the_clock_does() {
    let time = Arc::new(AtomicI64::new(5_000_000_123));
    let clock = Arc::clone(&time);
    let config = NodeConfig {
        clock: Clock::from_fn(move || UnixNanos::from_nanos(clock.load(Ordering::SeqCst))),
        ..NodeConfig::in_memory()
    };
    let node = Node::open(config).unwrap();
    send(&node, vec![mls_message(&GROUP, 1, b"1")]).await.unwrap();
    time.store(2_000_000_000, Ordering::SeqCst);
    send(&node, vec![mls_message(&GROUP, 1, b"2"), mls_message(&[1; 16], 1, b"3")]).await.unwrap();
    time.store(9_000_000_000, Ordering::SeqCst);
    send(&node, vec![mls_message(&GROUP, 1, b"4")]).await.unwrap();
    let times: Vec<_> = read_all(&node, &GROUP).await.iter().map(|m| v1(m).created_ns).collect();
    assert_eq!(times, [5_000_000_000, 5_000_000_000, 9_000_000_000]);
    assert_eq!(v1(&read_all(&node, &[1; 16]).await[0]).created_ns, 2_000_000_000);
}

#[tokio::test]
async fn newest_messages_are_answered_in_the_order_asked() {
    let node = filled(3).await;
    send(&node, vec![mls_message(&[8; 16], 3, b"commit")]).await.unwrap();
    let ask = async |include_content| {
        let group_ids = vec![vec![8; 16], vec![1; 16], GROUP.to_vec(), vec![8; 16]];
        let request = api::GetNewestGroupMessageRequest { group_ids, include_content };
        let answer: api::GetNewestGroupMessageResponse =
            call(&node, &format!("{MLS}GetNewestGroupMessage"), &request).await.unwrap();
        answer.responses.into_iter().map(|r| r.group_message.map(|m| v1(&m).clone())).collect::<Vec<_>>()
    };
    let newest = ask(false).await;
    let places: Vec<_> = newest.iter().map(|m| m.as_ref().map(|m| (m.id, m.is_commit, m.group_id.len()))).collect();
    assert_eq!(places, [Some((4, true, 16)), None, Some((3, false, 16)), Some((4, true, 16))]);
    assert!(newest[0].as_ref().unwrap().data.is_empty());
    assert!(!ask(true).await[0].as_ref().unwrap().data.is_empty());
}

#[tokio::test]
async fn pruning_keeps_commits_ids_and_order() {
    const DAY: i64 = 24 * 60 * 60 * 1_000_000_000;
    let time = Arc::new(AtomicI64::new(DAY));
    let clock = Arc::clone(&time);
    let config = NodeConfig {
        clock: Clock::from_fn(move || UnixNanos::from_nanos(clock.load(Ordering::SeqCst))),
        retention: subrosa_node::Retention::deployed(),
        ..NodeConfig::in_memory()
    };
    let node = Node::open(config).unwrap();
    let contents = [1, 3, 1, 2, 1].map(|content| mls_message(&GROUP, content, &[content]));
    for (i, mut data) in contents.into_iter().enumerate() {
        let last = data.len() - 1;
        data[last] = i as u8;
        send(&node, vec![data]).await.unwrap();
    }
    time.store(30 * DAY, Ordering::SeqCst);
    assert_eq!(node.prune().await, Ok(0));
    time.store(32 * DAY, Ordering::SeqCst);
    assert_eq!(node.prune().await, Ok(3));
    assert_eq!(ids(&read_all(&node, &GROUP).await), [2, 4]);
    send(&node, vec![mls_message(&GROUP, 1, b"after")]).await.unwrap();
    assert_eq!(ids(&read_all(&node, &GROUP).await), [2, 4, 6]);
}
