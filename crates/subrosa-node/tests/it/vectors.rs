//! Recorded calls of the official client (transport §13).

use std::collections::BTreeMap;

use prost::Message;
use serde_json::Value;
use subrosa_node::{Clock, Node, NodeConfig};
use subrosa_proto::xmtp::{identity::api::v1 as identity_api, mls::api::v1 as api};
use subrosa_types::UnixNanos;
use subrosa_vectors::{Family, bytes, number, text};

use crate::support::{call_raw, read_all, v1};

/// Decodes and encodes; the bytes must be the same.
fn same<T: Message + Default>(bytes: &[u8], what: &str) {
    assert_eq!(T::decode(bytes).unwrap().encode_to_vec(), bytes, "{what}");
}

fn same_request(method: &str, bytes: &[u8]) {
    match method {
        "SendGroupMessages" => same::<api::SendGroupMessagesRequest>(bytes, method),
        "SendWelcomeMessages" => same::<api::SendWelcomeMessagesRequest>(bytes, method),
        "UploadKeyPackage" => same::<api::UploadKeyPackageRequest>(bytes, method),
        "FetchKeyPackages" => same::<api::FetchKeyPackagesRequest>(bytes, method),
        "QueryGroupMessages" => same::<api::QueryGroupMessagesRequest>(bytes, method),
        "QueryWelcomeMessages" => same::<api::QueryWelcomeMessagesRequest>(bytes, method),
        "SubscribeGroupMessages" => same::<api::SubscribeGroupMessagesRequest>(bytes, method),
        "SubscribeWelcomeMessages" => same::<api::SubscribeWelcomeMessagesRequest>(bytes, method),
        "GetNewestGroupMessage" => same::<api::GetNewestGroupMessageRequest>(bytes, method),
        "BatchPublishCommitLog" => same::<api::BatchPublishCommitLogRequest>(bytes, method),
        "BatchQueryCommitLog" => same::<api::BatchQueryCommitLogRequest>(bytes, method),
        "PublishIdentityUpdate" => same::<identity_api::PublishIdentityUpdateRequest>(bytes, method),
        "GetIdentityUpdates" => same::<identity_api::GetIdentityUpdatesRequest>(bytes, method),
        "GetInboxIds" => same::<identity_api::GetInboxIdsRequest>(bytes, method),
        "VerifySmartContractWalletSignatures" => {
            same::<identity_api::VerifySmartContractWalletSignaturesRequest>(bytes, method);
        }
        other => panic!("unknown method {other}"),
    }
}

fn same_response(method: &str, bytes: &[u8]) {
    match method {
        "SendGroupMessages" | "SendWelcomeMessages" | "UploadKeyPackage" | "BatchPublishCommitLog" => {
            assert!(bytes.is_empty());
        }
        "FetchKeyPackages" => same::<api::FetchKeyPackagesResponse>(bytes, method),
        "QueryGroupMessages" => same::<api::QueryGroupMessagesResponse>(bytes, method),
        "QueryWelcomeMessages" => same::<api::QueryWelcomeMessagesResponse>(bytes, method),
        "SubscribeGroupMessages" => same::<api::GroupMessage>(bytes, method),
        "SubscribeWelcomeMessages" => same::<api::WelcomeMessage>(bytes, method),
        "GetNewestGroupMessage" => same::<api::GetNewestGroupMessageResponse>(bytes, method),
        "BatchQueryCommitLog" => same::<api::BatchQueryCommitLogResponse>(bytes, method),
        "PublishIdentityUpdate" => same::<identity_api::PublishIdentityUpdateResponse>(bytes, method),
        "GetIdentityUpdates" => same::<identity_api::GetIdentityUpdatesResponse>(bytes, method),
        "GetInboxIds" => same::<identity_api::GetInboxIdsResponse>(bytes, method),
        "VerifySmartContractWalletSignatures" => {
            same::<identity_api::VerifySmartContractWalletSignaturesResponse>(bytes, method);
        }
        other => panic!("unknown method {other}"),
    }
}

fn method(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

#[test]
fn vectors_call_bodies_are_encoded_as_the_official_client_does() {
    Family::load("wire/rpc")
        .each(|_, json| {
            let calls = json["calls"].as_array().unwrap();
            let method = method(text(&json["grpc_path"]));
            for call in calls {
                same_request(method, &bytes(&call["request"]));
                for response in call["responses"].as_array().unwrap() {
                    same_response(method, &bytes(response));
                }
            }
            calls.len()
        })
        .finish();
}

/// A time at which the key packages of the recordings are valid.
fn captured() -> UnixNanos {
    let mut seconds = 0;
    Family::load("wire/key_packages")
        .each(|_, json| {
            seconds = seconds.max(number(&json["captured_at_unix_s"]));
            1
        })
        .finish();
    UnixNanos::from_nanos(i64::try_from(seconds).unwrap() * 1_000_000_000)
}

/// One call of a recording.
struct Recorded {
    path: String,
    request: Vec<u8>,
    responses: Vec<Vec<u8>>,
}

impl Recorded {
    fn read(json: &Value) -> Self {
        Self {
            path: text(&json["grpc_path"]).to_owned(),
            request: bytes(&json["request"]),
            responses: json["responses"].as_array().unwrap().iter().map(bytes).collect(),
        }
    }

    fn response<T: Message + Default>(&self) -> T {
        T::decode(&self.responses[0][..]).unwrap()
    }

    fn messages(&self) -> Vec<api::GroupMessage> {
        match method(&self.path) {
            "QueryGroupMessages" => self.response::<api::QueryGroupMessagesResponse>().messages,
            "SubscribeGroupMessages" => {
                self.responses.iter().map(|bytes| api::GroupMessage::decode(&bytes[..]).unwrap()).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// Replays a recording. The recorded node was not empty, so positions differ; everything else must not.
async fn replay(node: &Node, calls: &[Recorded], file: &str) {
    let recorded: BTreeMap<u64, Vec<u8>> =
        calls.iter().flat_map(Recorded::messages).map(|message| (v1(&message).id, v1(&message).data.clone())).collect();
    for call in calls {
        let what = format!("{file}: {}", call.path);
        match method(&call.path) {
            "SendGroupMessages"
            | "SendWelcomeMessages"
            | "UploadKeyPackage"
            | "BatchPublishCommitLog"
            | "PublishIdentityUpdate" => {
                call_raw::<()>(node, &call.path, call.request.clone()).await.expect(&what);
            }
            "GetInboxIds" => {
                let got: identity_api::GetInboxIdsResponse =
                    call_raw(node, &call.path, call.request.clone()).await.unwrap();
                assert_eq!(got, call.response(), "{what}");
            }
            "FetchKeyPackages" => {
                let got: api::FetchKeyPackagesResponse =
                    call_raw(node, &call.path, call.request.clone()).await.unwrap();
                assert_eq!(got, call.response(), "{what}");
            }
            "GetIdentityUpdates" => same_updates(node, call, &what).await,
            "QueryGroupMessages" => same_messages(node, call, &recorded, &what).await,
            "QueryWelcomeMessages" => same_welcomes(node, call, &what).await,
            _ => {}
        }
    }
}

/// Positions are node-wide, so only questions for whole logs are comparable.
async fn same_updates(node: &Node, call: &Recorded, what: &str) {
    let request = identity_api::GetIdentityUpdatesRequest::decode(&call.request[..]).unwrap();
    if request.requests.iter().any(|request| request.sequence_id != 0) {
        return;
    }
    let got: identity_api::GetIdentityUpdatesResponse = call_raw(node, &call.path, call.request.clone()).await.unwrap();
    let plain = |answer: identity_api::GetIdentityUpdatesResponse| {
        let one = |response: identity_api::get_identity_updates_response::Response| {
            (response.inbox_id, response.updates.into_iter().map(|entry| entry.update).collect::<Vec<_>>())
        };
        answer.responses.into_iter().map(one).collect::<Vec<_>>()
    };
    assert_eq!(plain(got), plain(call.response()), "{what}");
}

async fn same_messages(node: &Node, call: &Recorded, recorded: &BTreeMap<u64, Vec<u8>>, what: &str) {
    let mut request = api::QueryGroupMessagesRequest::decode(&call.request[..]).unwrap();
    let ours = read_all(node, &request.group_id).await;
    if let Some(paging) = &mut request.paging_info
        && paging.id_cursor != 0
    {
        let at = &recorded[&paging.id_cursor];
        paging.id_cursor = ours.iter().map(v1).find(|message| message.data == *at).expect(what).id;
    }
    let got: api::QueryGroupMessagesResponse = call_raw(node, &call.path, request.encode_to_vec()).await.unwrap();
    let plain = |answer: api::QueryGroupMessagesResponse| {
        let messages = answer.messages.iter().map(|message| {
            let v1 = v1(message);
            (v1.group_id.clone(), v1.data.clone(), v1.sender_hmac.clone(), v1.should_push, v1.is_commit)
        });
        (messages.collect::<Vec<_>>(), answer.paging_info.unwrap().limit, answer.paging_info.unwrap().direction)
    };
    assert_eq!(plain(got), plain(call.response()), "{what}");
}

async fn same_welcomes(node: &Node, call: &Recorded, what: &str) {
    let request = api::QueryWelcomeMessagesRequest::decode(&call.request[..]).unwrap();
    if request.paging_info.is_some_and(|paging| paging.id_cursor != 0) {
        return;
    }
    let got: api::QueryWelcomeMessagesResponse = call_raw(node, &call.path, call.request.clone()).await.unwrap();
    let plain = |answer: api::QueryWelcomeMessagesResponse| {
        let one = |welcome: api::WelcomeMessage| match welcome.version.unwrap() {
            api::welcome_message::Version::V1(v1) => {
                (v1.installation_key, v1.data, v1.hpke_public_key, v1.welcome_metadata)
            }
            api::welcome_message::Version::WelcomePointer(p) => {
                (p.installation_key, p.welcome_pointer, p.hpke_public_key, vec![])
            }
        };
        answer.messages.into_iter().map(one).collect::<Vec<_>>()
    };
    assert_eq!(plain(got), plain(call.response()), "{what}");
}

#[test]
fn vectors_recorded_scenarios_replay() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let now = captured();
    Family::load("wire/rpc_sequences")
        .each(|file, json| {
            let config = NodeConfig { clock: Clock::from_fn(move || now), ..NodeConfig::in_memory() };
            let node = Node::open(config).unwrap();
            let calls: Vec<_> = json["calls"].as_array().unwrap().iter().map(Recorded::read).collect();
            runtime.block_on(replay(&node, &calls, file));
            calls.len()
        })
        .finish();
}
