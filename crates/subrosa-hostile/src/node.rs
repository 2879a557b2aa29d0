//! What a node is asked and what a node answers, as raw gRPC messages.

use futures::{FutureExt as _, StreamExt as _, stream};
use prost::bytes::{Buf as _, BufMut as _};
use subrosa_identity::{AccountId, ChainCheck, Identifier, Passkey};
use subrosa_node::{Clock, Node, NodeConfig};
use subrosa_transport::{
    ConnectOptions, EnvelopeStream, GrpcNetwork, Network, NetworkError, Page, Received, RetryPolicy,
};
use subrosa_types::{GroupId, InboxId, InstallationId, SequenceId, UnixNanos};
use tonic::{
    Code, Request, Status,
    body::Body,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBody, EncodeBuf, Encoder, SingleMessageCompressionOverride},
    codegen::http,
};

use crate::parts::split;

/// Every method of the services; the number of a method in the input is its place here.
pub(crate) const METHODS: [&str; 17] = [
    "/xmtp.mls.api.v1.MlsApi/SendGroupMessages",
    "/xmtp.mls.api.v1.MlsApi/SendWelcomeMessages",
    "/xmtp.mls.api.v1.MlsApi/UploadKeyPackage",
    "/xmtp.mls.api.v1.MlsApi/FetchKeyPackages",
    "/xmtp.mls.api.v1.MlsApi/QueryGroupMessages",
    "/xmtp.mls.api.v1.MlsApi/QueryWelcomeMessages",
    "/xmtp.mls.api.v1.MlsApi/GetNewestGroupMessage",
    "/xmtp.mls.api.v1.MlsApi/BatchPublishCommitLog",
    "/xmtp.mls.api.v1.MlsApi/BatchQueryCommitLog",
    "/xmtp.mls.api.v1.MlsApi/RegisterInstallation",
    "/xmtp.mls.api.v1.MlsApi/RevokeInstallation",
    "/xmtp.identity.api.v1.IdentityApi/PublishIdentityUpdate",
    "/xmtp.identity.api.v1.IdentityApi/GetIdentityUpdates",
    "/xmtp.identity.api.v1.IdentityApi/GetInboxIds",
    "/xmtp.identity.api.v1.IdentityApi/VerifySmartContractWalletSignatures",
    "/xmtp.mls.api.v1.MlsApi/SubscribeGroupMessages",
    "/xmtp.mls.api.v1.MlsApi/SubscribeWelcomeMessages",
];

/// The first of the methods that answer with a stream.
const STREAMS: usize = 15;

/// Most requests of one input: enough to write, read and subscribe.
const REQUESTS: usize = 8;

/// A fresh node answers every request, refuses only the request and never blames itself, and what it stored can be
/// read by a client. Each part is the number of a method and the request.
pub fn node_requests(bytes: &[u8]) -> bool {
    block_on(async {
        let clock = Clock::from_fn(|| UnixNanos::from_nanos(1_795_435_116_000_000_000));
        let node = Node::open(NodeConfig { clock, ..NodeConfig::in_memory() }).expect("a node in memory opens");
        let mut accepted = false;
        for part in split(bytes).into_iter().take(REQUESTS) {
            let Some((method, request)) = part.split_first() else { continue };
            let method = usize::from(*method) % METHODS.len();
            match call(&node, method, request.to_vec()).await {
                Ok(()) => accepted = true,
                Err(status) => {
                    let blames = matches!(
                        status.code(),
                        Code::InvalidArgument
                            | Code::Unimplemented
                            | Code::ResourceExhausted
                            | Code::FailedPrecondition
                    );
                    // The library answers so for a body that is not the protobuf message.
                    let undecodable = status.code() == Code::Internal && status.message().contains("decode");
                    assert!(blames || undecodable, "{}: {status}", METHODS[method]);
                }
            }
            readable(&node, request).await;
        }
        accepted
    })
}

async fn call(node: &Node, method: usize, request: Vec<u8>) -> Result<(), Status> {
    let mut client = Grpc::new(node.routes());
    client.ready().await.expect("a node in this process is ready");
    let path = METHODS[method].parse().expect("a path");
    if method < STREAMS {
        client.unary(Request::new(request), path, Raw).await?;
    } else {
        let stream = client.server_streaming(Request::new(request), path, Raw).await?;
        let _ = stream.into_inner().message().now_or_never();
    }
    Ok(())
}

/// Topics that the request may have written to hold nothing that a client could not read.
async fn readable(node: &Node, request: &[u8]) {
    for id in request.windows(16).step_by(2).take(24).filter_map(|id| GroupId::from_slice(id).ok()) {
        let page = node.query_group_messages(&id, SequenceId::START).await.expect("a true answer");
        assert!(page.items.iter().all(|received| received.item.is_ok()));
    }
    for id in request.windows(32).step_by(2).take(24).filter_map(|id| InstallationId::from_slice(id).ok()) {
        let page = node.query_welcomes(&id, SequenceId::START).await.expect("a true answer");
        assert!(page.items.iter().all(|received| received.item.is_ok()));
    }
}

/// Whatever a node answers, the client gets an answer that can be true, or an error of the node. Part 0 is the number
/// of the question and the topic asked for; the other parts are the messages of the answer.
pub fn node_answer(bytes: &[u8]) -> bool {
    let parts = split(bytes);
    let Some(([question, topic @ ..], answers)) = parts.split_first().map(|(first, rest)| (*first, rest)) else {
        return false;
    };
    let (question, topic) = (*question, topic.to_vec());
    let answers: Vec<Vec<u8>> = answers.iter().map(|answer| answer.to_vec()).collect();
    block_on(async move {
        let count = answers.len();
        let served = tower::service_fn(move |_: http::Request<Body>| {
            let messages = stream::iter(answers.clone().into_iter().map(Ok));
            let body = EncodeBody::new_server(Raw, messages, None, SingleMessageCompressionOverride::default(), None);
            let mut response = http::Response::new(Body::new(body));
            response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/grpc"));
            std::future::ready(Ok::<_, Status>(response))
        });
        let network = GrpcNetwork::over(served, &ConnectOptions::default()).with_retry(RetryPolicy::none());
        ask(&network, question, &topic, count).await
    })
}

async fn ask(network: &GrpcNetwork, question: u8, topic: &[u8], count: usize) -> bool {
    let after = SequenceId(u64::from(question / 16));
    let group = GroupId::from_slice(topic).unwrap_or_else(|_| GroupId::from_slice(&[7; 16]).unwrap());
    let installation = InstallationId::from_slice(topic).unwrap_or(InstallationId::from_bytes([3; 32]));
    let inbox = InboxId::from_slice(topic).unwrap_or(InboxId::from_bytes([3; 32]));
    match question % 16 {
        0 => page(network.query_group_messages(&group, after).await, after, |m| *m.group_id() == group),
        1 => page(network.query_welcomes(&installation, after).await, after, |w| *w.installation() == installation),
        2 => one(network.fetch_key_packages(&[installation]).await),
        3 => one(network.newest_group_messages(std::slice::from_ref(&group)).await),
        4 => {
            let answer = network.identity_updates(&[(inbox, after)]).await;
            if let Ok([log]) = answer.as_deref() {
                assert!(log.is_sorted_by(|a, b| a.sequence < b.sequence));
                assert!(log.iter().all(|entry| entry.sequence > after));
            }
            one(answer)
        }
        5 => one(network.inbox_ids(&[Identifier::Passkey(Passkey::from_key(topic))]).await),
        6 => {
            let account_id = AccountId::ethereum(1, "0x0000000000000000000000000000000000000000").unwrap();
            let check = ChainCheck { account_id, hash: [0; 32], signature: topic.to_vec(), block_number: None };
            one(network.verify_contract_wallets(vec![check]).await)
        }
        7 => {
            let answer = network.query_commit_log(&[(group, after)]).await;
            if let Ok([page]) = answer.as_deref() {
                assert!(page.items.is_sorted_by(|a, b| a.sequence < b.sequence));
                assert!(page.items.iter().all(|item| item.sequence > after));
                assert!(!page.more || !page.items.is_empty(), "asking again would begin at the same place");
            }
            one(answer)
        }
        8 => {
            let items = network.subscribe_group_messages(vec![(group.clone(), after)]).await;
            subscription(items, count, after, |message| *message.group_id() == group).await
        }
        9 => {
            let items = network.subscribe_welcomes(vec![(installation, after)]).await;
            subscription(items, count, after, |welcome| *welcome.installation() == installation).await
        }
        10 => blamed(network.upload_key_package(topic.to_vec()).await).is_some(),
        _ => blamed(network.send_group_messages(Vec::new()).await).is_some(),
    }
}

/// An error must be one of the node: we asked for nothing wrong.
fn blamed<T>(answer: Result<T, NetworkError>) -> Option<T> {
    match answer {
        Ok(answer) => Some(answer),
        Err(error) => {
            assert!(!matches!(error, NetworkError::TooLarge { .. }), "{error}");
            None
        }
    }
}

/// One question has one answer.
fn one<T>(answer: Result<Vec<T>, NetworkError>) -> bool {
    blamed(answer).is_some_and(|answers| {
        assert_eq!(answers.len(), 1);
        true
    })
}

fn page<T>(answer: Result<Page<T>, NetworkError>, after: SequenceId, on_topic: impl Fn(&T) -> bool) -> bool {
    let Some(page) = blamed(answer) else { return false };
    assert!(page.items.is_sorted_by(|a, b| a.sequence < b.sequence));
    assert!(page.items.iter().all(|received| received.sequence > after));
    assert!(page.items.iter().filter_map(|received| received.item.as_ref().ok()).all(on_topic));
    assert!(!page.more || !page.items.is_empty(), "asking again would begin at the same place");
    !page.items.is_empty()
}

/// A subscription yields at most what came, on its topic and ascending, then one error, then nothing.
async fn subscription<T>(
    items: Result<EnvelopeStream<T>, NetworkError>,
    count: usize,
    mut last: SequenceId,
    on_topic: impl Fn(&T) -> bool,
) -> bool {
    let Some(mut items) = blamed(items) else { return false };
    let mut received = 0;
    while let Some(next) = items.next().await {
        match next {
            Ok(Received { sequence, item: Ok(item) }) => {
                assert!(sequence > last && on_topic(&item));
                last = sequence;
                received += 1;
            }
            Ok(Received { item: Err(_), .. }) => received += 1,
            Err(_) => {
                assert!(items.next().await.is_none(), "an error ends the stream");
                break;
            }
        }
    }
    assert!(received <= count);
    received > 0
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

/// Messages as they are.
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = ();
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = ();
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<()>, Status> {
        buffer.advance(buffer.remaining());
        Ok(Some(()))
    }
}
