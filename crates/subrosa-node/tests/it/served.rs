//! The node behind a socket: gRPC, gRPC-web, many streams, shutdown (transport §2, §3, N22, N27–N29).

use std::net::SocketAddr;

use futures::{FutureExt, StreamExt, future::join_all};
use prost::Message;
use subrosa_envelope::GroupMessageInput;
use subrosa_node::{Node, NodeConfig, Served};
use subrosa_proto::xmtp::mls::api::v1 as api;
use subrosa_transport::{GrpcNetwork, Network, NetworkError, Outage, RetryPolicy};
use subrosa_types::{GroupId, SequenceId};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{MLS, input, mls_message};

const GROUP: [u8; 16] = [7; 16];

fn group() -> GroupId {
    GroupId::from_slice(&GROUP).unwrap()
}

fn message(ciphertext: &[u8]) -> GroupMessageInput {
    GroupMessageInput { data: mls_message(&GROUP, 1, ciphertext), sender_hmac: vec![], should_push: false }
}

async fn served() -> (Served, GrpcNetwork) {
    let node = Node::open(NodeConfig::in_memory()).unwrap();
    let served = node.serve("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let network = GrpcNetwork::connect_lazy(&served.url()).unwrap();
    (served, network.with_retry(RetryPolicy::none()))
}

#[tokio::test]
async fn the_largest_message_travels_both_ways() {
    let (_served, network) = served().await;
    let large = message(&vec![1; (25 << 20) - 8192]);
    network.send_group_messages(vec![large.clone()]).await.unwrap();
    let page = network.query_group_messages(&group(), SequenceId::START).await.unwrap();
    assert_eq!(page.items[0].item.as_ref().unwrap().data, large.data);
    let larger = network.send_group_messages(vec![message(&vec![1; 25 << 20])]).await.unwrap_err();
    assert!(matches!(larger, NetworkError::TooLarge { .. }), "{larger}");
}

#[tokio::test]
async fn a_hundred_streams_share_a_connection_with_calls() {
    let (_served, network) = served().await;
    let open = (0..150).map(|_| network.subscribe_group_messages(vec![(group(), SequenceId::START)]));
    let mut streams: Vec<_> = join_all(open).await.into_iter().map(Result::unwrap).collect();
    network.send_group_messages(vec![message(b"to all")]).await.unwrap();
    for stream in &mut streams {
        assert_eq!(stream.next().await.unwrap().unwrap().sequence, SequenceId(1));
    }
}

#[tokio::test]
async fn a_silent_subscription_opens_at_once() {
    let (_served, network) = served().await;
    // Headers come although there is nothing to send, else this would not return.
    let mut stream = network.subscribe_group_messages(vec![]).await.unwrap();
    assert!(stream.next().now_or_never().is_none());
}

#[tokio::test]
async fn shutdown_ends_streams_with_an_error_and_then_the_server() {
    let (served, network) = served().await;
    let mut stream = network.subscribe_group_messages(vec![(group(), SequenceId::START)]).await.unwrap();
    let address = served.address;
    let (ended, stopped) = tokio::join!(stream.next(), served.shutdown());
    let error = ended.unwrap().unwrap_err();
    assert!(matches!(error, NetworkError::Unreachable { cause: Outage::Unavailable, .. }), "{error}");
    stopped.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
    let error = network.query_group_messages(&group(), SequenceId::START).await.unwrap_err();
    assert!(matches!(error, NetworkError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn a_port_in_use_is_reported() {
    let (served, _network) = served().await;
    let other = Node::open(NodeConfig::in_memory()).unwrap();
    assert!(matches!(other.serve(served.address).await, Err(subrosa_node::ServeError::Listen { .. })));
}

/// Sends one HTTP/1.1 request and reads until the other side has said `enough`.
async fn http(address: SocketAddr, head: &str, body: &[u8], enough: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head.replace('\n', "\r\n").as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut buffer).await.unwrap();
        answer.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&answer).into_owned();
        if count == 0 || text.contains(enough) {
            return text;
        }
    }
}

fn web_request(method: &str, message: &[u8]) -> (String, Vec<u8>) {
    let mut body = vec![0];
    body.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    body.extend_from_slice(message);
    let head = format!(
        "POST {MLS}{method} HTTP/1.1\nhost: node\norigin: https://app.example\nx-grpc-web: 1\n\
         content-type: application/grpc-web+proto\naccept: application/grpc-web+proto\ncontent-length: {}\n\n",
        body.len()
    );
    (head, body)
}

#[tokio::test]
async fn browsers_can_call() {
    let (served, network) = served().await;
    let messages = vec![input(mls_message(&GROUP, 1, b"from a page"))];
    let (head, body) = web_request("SendGroupMessages", &api::SendGroupMessagesRequest { messages }.encode_to_vec());
    let answer = http(served.address, &head, &body, "grpc-status:0").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("content-type: application/grpc-web+proto"), "{answer}");
    assert!(answer.contains("access-control-allow-origin: *"), "{answer}");
    assert!(answer.contains("access-control-expose-headers: grpc-status"), "{answer}");
    assert_eq!(network.query_group_messages(&group(), SequenceId::START).await.unwrap().items.len(), 1);

    let (head, body) = web_request("SendGroupMessages", &[]);
    let answer = http(served.address, &head, &body, "no%20group%20messages").await;
    assert!(answer.contains("grpc-status: 3") || answer.contains("grpc-status:3"), "{answer}");
}

#[tokio::test]
async fn browsers_get_stream_headers_at_once() {
    let (served, _network) = served().await;
    let (head, body) = web_request("SubscribeGroupMessages", &[]);
    let answer = http(served.address, &head, &body, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn preflights_are_answered() {
    let (served, _network) = served().await;
    let head = format!(
        "OPTIONS {MLS}SendGroupMessages HTTP/1.1\nhost: node\norigin: https://app.example\n\
         access-control-request-method: POST\naccess-control-request-headers: x-app-version\n\n"
    );
    let answer = http(served.address, &head, &[], "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    for want in [
        "access-control-allow-origin: *",
        "access-control-allow-methods: POST, OPTIONS",
        "x-libxmtp-version",
        "access-control-max-age: 86400",
    ] {
        assert!(answer.contains(want), "{want} in {answer}");
    }
}
