//! Welcomes, key packages and commit logs (transport §4.4, §4.5, §4.7).

use subrosa_node::{Clock, Node, NodeConfig};
use subrosa_proto::xmtp::{identity::associations::RecoverableEd25519Signature, mls::api::v1 as api};
use subrosa_types::UnixNanos;
use subrosa_vectors::{Family, bytes, number};
use tonic::Code;

use crate::support::{MLS, call, code, node, paging};

const TO: [u8; 32] = [3; 32];

fn welcome(data: &[u8], algorithm: i32) -> api::WelcomeMessageInput {
    let v1 = api::welcome_message_input::V1 {
        installation_key: TO.to_vec(),
        data: data.to_vec(),
        hpke_public_key: if algorithm == 3 { vec![] } else { vec![5; 32] },
        wrapper_algorithm: algorithm,
        welcome_metadata: vec![6; 17],
    };
    api::WelcomeMessageInput { version: Some(api::welcome_message_input::Version::V1(v1)) }
}

fn pointer(data: &[u8]) -> api::WelcomeMessageInput {
    let pointer = api::welcome_message_input::WelcomePointer {
        installation_key: TO.to_vec(),
        welcome_pointer: data.to_vec(),
        hpke_public_key: vec![5; 1216],
        wrapper_algorithm: 2,
    };
    api::WelcomeMessageInput { version: Some(api::welcome_message_input::Version::WelcomePointer(pointer)) }
}

async fn send(node: &Node, messages: Vec<api::WelcomeMessageInput>) -> Result<(), tonic::Status> {
    call(node, &format!("{MLS}SendWelcomeMessages"), &api::SendWelcomeMessagesRequest { messages }).await
}

async fn query(node: &Node, paging_info: Option<api::PagingInfo>) -> api::QueryWelcomeMessagesResponse {
    let request = api::QueryWelcomeMessagesRequest { installation_key: TO.to_vec(), paging_info };
    call(node, &format!("{MLS}QueryWelcomeMessages"), &request).await.unwrap()
}

#[tokio::test]
async fn both_forms_of_welcomes_come_back_unchanged() {
    use api::welcome_message::Version;

    let node = node();
    let sent = vec![welcome(b"a", 0), welcome(b"b", 1), welcome(b"c", 2), welcome(b"d", 3), pointer(b"e")];
    send(&node, sent).await.unwrap();
    send(&node, vec![pointer(b"e"), welcome(b"d", 3)]).await.unwrap();
    let page = query(&node, paging(1, 100, 0)).await;
    let read: Vec<_> = page
        .messages
        .into_iter()
        .map(|message| match message.version.unwrap() {
            Version::V1(v1) => {
                assert_eq!(v1.welcome_metadata, [6; 17]);
                (v1.id, v1.wrapper_algorithm, v1.data, v1.hpke_public_key.len())
            }
            Version::WelcomePointer(p) => (p.id, 100 + p.wrapper_algorithm, p.welcome_pointer, p.hpke_public_key.len()),
        })
        .collect();
    let want = [(1, 1, b"a", 32), (2, 1, b"b", 32), (3, 2, b"c", 32), (4, 3, b"d", 0), (5, 102, b"e", 1216)];
    assert_eq!(read, want.map(|(id, algorithm, data, key)| (id, algorithm, data.to_vec(), key)));
}

#[tokio::test]
async fn welcome_pages_follow_the_rules_of_group_pages() {
    let node = node();
    send(&node, (0..150u8).map(|i| welcome(&[i], 1)).collect()).await.unwrap();
    let ascending = query(&node, paging(1, 100, 0)).await;
    assert_eq!((ascending.messages.len(), ascending.paging_info.unwrap().id_cursor), (100, 100));
    let rest = query(&node, paging(1, 100, 100)).await;
    assert_eq!((rest.messages.len(), rest.paging_info.unwrap().id_cursor), (50, 0));
}

#[tokio::test]
async fn one_invalid_welcome_refuses_the_whole_request() {
    let node = node();
    for bad in
        [api::WelcomeMessageInput { version: None }, welcome(b"", 1), welcome(b"x", 4), welcome(b"x", -1), pointer(b"")]
    {
        assert_eq!(code(send(&node, vec![welcome(b"good", 1), bad]).await), Code::InvalidArgument);
    }
    let mut short = welcome(b"x", 1);
    let mut keyless = welcome(b"x", 2);
    let mut curve = pointer(b"x");
    if let (
        Some(api::welcome_message_input::Version::V1(short)),
        Some(api::welcome_message_input::Version::V1(keyless)),
        Some(api::welcome_message_input::Version::WelcomePointer(curve)),
    ) = (&mut short.version, &mut keyless.version, &mut curve.version)
    {
        short.installation_key.pop();
        keyless.hpke_public_key.clear();
        curve.wrapper_algorithm = 1;
    }
    for bad in [short, keyless, curve] {
        assert_eq!(code(send(&node, vec![bad]).await), Code::InvalidArgument);
    }
    assert_eq!(code(send(&node, vec![]).await), Code::InvalidArgument);
    assert!(query(&node, paging(1, 100, 0)).await.messages.is_empty());
}

fn node_at(seconds: u64) -> Node {
    let now = UnixNanos::from_nanos(i64::try_from(seconds).unwrap() * 1_000_000_000);
    Node::open(NodeConfig { clock: Clock::from_fn(move || now), ..NodeConfig::in_memory() }).unwrap()
}

async fn upload(node: &Node, data: &[u8]) -> Result<(), tonic::Status> {
    let upload = api::KeyPackageUpload { key_package_tls_serialized: data.to_vec() };
    let request = api::UploadKeyPackageRequest { key_package: Some(upload), is_inbox_id_credential: true };
    call(node, &format!("{MLS}UploadKeyPackage"), &request).await
}

async fn fetch(node: &Node, installation_keys: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let request = api::FetchKeyPackagesRequest { installation_keys };
    let answer: api::FetchKeyPackagesResponse = call(node, &format!("{MLS}FetchKeyPackages"), &request).await.unwrap();
    answer.key_packages.into_iter().map(|entry| entry.key_package_tls_serialized).collect()
}

#[test]
fn vectors_key_packages_are_validated_stored_and_handed_out() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    Family::load("wire/key_packages")
        .each(|file, json| {
            let data = bytes(&json["key_package_tls"]);
            let key = bytes(&json["installation_id"]);
            let captured = number(&json["captured_at_unix_s"]);
            runtime.block_on(async {
                let node = node_at(captured);
                upload(&node, &data).await.unwrap_or_else(|error| panic!("{file}: {error}"));
                let asked = vec![key.clone(), vec![1; 32], vec![2; 5], key.clone()];
                assert_eq!(fetch(&node, asked).await, [data.clone(), vec![], vec![], data.clone()], "{file}");
                let mut bad = vec![data.clone(), data[..data.len() - 1].to_vec(), vec![]];
                bad[0].push(0);
                bad.extend([20, data.len() / 2, data.len() - 1].map(|i| {
                    let mut flipped = data.clone();
                    flipped[i] ^= 1;
                    flipped
                }));
                for bad in bad {
                    assert_eq!(code(upload(&node, &bad).await), Code::InvalidArgument, "{file}");
                }
                assert_eq!(fetch(&node, vec![key.clone()]).await, vec![data.clone()], "{file}: the good one stays");
                for outside in [number(&json["not_before"]) - 10, number(&json["not_after"]) + 10] {
                    assert_eq!(code(upload(&node_at(outside), &data).await), Code::InvalidArgument, "{file}");
                }
            });
            1
        })
        .finish();
}

#[tokio::test]
async fn a_missing_key_package_is_refused_and_an_empty_question_is_not() {
    let node = node();
    let none: Result<(), _> =
        call(&node, &format!("{MLS}UploadKeyPackage"), &api::UploadKeyPackageRequest::default()).await;
    assert_eq!(code(none), Code::InvalidArgument);
    assert!(fetch(&node, vec![]).await.is_empty());
}

fn entry(group: &[u8], entry: &[u8]) -> api::PublishCommitLogRequest {
    api::PublishCommitLogRequest {
        group_id: group.to_vec(),
        serialized_commit_log_entry: entry.to_vec(),
        signature: Some(RecoverableEd25519Signature { bytes: vec![1; 64], public_key: vec![2; 32] }),
    }
}

async fn publish_log(node: &Node, requests: Vec<api::PublishCommitLogRequest>) -> Code {
    let request = api::BatchPublishCommitLogRequest { requests };
    code(call::<()>(node, &format!("{MLS}BatchPublishCommitLog"), &request).await)
}

async fn query_log(
    node: &Node,
    asked: &[(&[u8], Option<api::PagingInfo>)],
) -> Result<Vec<api::QueryCommitLogResponse>, tonic::Status> {
    let requests = asked
        .iter()
        .map(|(group, paging_info)| api::QueryCommitLogRequest { group_id: group.to_vec(), paging_info: *paging_info })
        .collect();
    let request = api::BatchQueryCommitLogRequest { requests };
    let answer: api::BatchQueryCommitLogResponse = call(node, &format!("{MLS}BatchQueryCommitLog"), &request).await?;
    Ok(answer.responses)
}

#[tokio::test]
async fn commit_logs_are_stored_unread_and_never_deduplicated() {
    let node = node();
    assert_eq!(publish_log(&node, vec![entry(b"a", b"1"), entry(b"b", b"2"), entry(b"a", b"1")]).await, Code::Ok);
    let answers = query_log(&node, &[(b"b", None), (b"none", None), (b"a", paging(1, 1, 0))]).await.unwrap();
    let ids = |i: usize| answers[i].commit_log_entries.iter().map(|e| e.sequence_id).collect::<Vec<_>>();
    assert_eq!((ids(0), ids(1), ids(2)), (vec![2], vec![], vec![1]));
    assert_eq!(answers[2].group_id, b"a");
    assert_eq!(answers[2].paging_info.unwrap().id_cursor, 1);
    assert_eq!(answers[2].commit_log_entries[0].serialized_commit_log_entry, b"1");
    assert_eq!(answers[2].commit_log_entries[0].signature.as_ref().unwrap().bytes, [1; 64]);
    let rest = query_log(&node, &[(b"a", paging(0, 0, 1))]).await.unwrap();
    assert_eq!(rest[0].commit_log_entries[0].sequence_id, 3);
    assert_eq!(rest[0].paging_info.unwrap().direction, 1);
}

#[tokio::test]
async fn commit_log_limits_are_enforced() {
    let node = node();
    assert_eq!(publish_log(&node, vec![]).await, Code::InvalidArgument);
    assert_eq!(publish_log(&node, vec![entry(b"a", b"1"); 11]).await, Code::InvalidArgument);
    let mut unsigned = entry(b"a", b"1");
    unsigned.signature = None;
    for bad in [unsigned, entry(b"", b"1"), entry(b"a", b"")] {
        assert_eq!(publish_log(&node, vec![bad]).await, Code::InvalidArgument);
    }
    assert_eq!(code(query_log(&node, &[]).await), Code::InvalidArgument);
    assert_eq!(code(query_log(&node, &[(&b"a"[..], None); 21]).await), Code::InvalidArgument);
    assert_eq!(code(query_log(&node, &[(b"", None)]).await), Code::InvalidArgument);
    assert_eq!(code(query_log(&node, &[(b"a", paging(2, 0, 0))]).await), Code::InvalidArgument);
}
