//! Whatever bytes come in, the node answers, and everything stored stays readable (N11).

use futures::FutureExt;
use proptest::{collection::vec, prelude::*};
use prost::Message;
use subrosa_node::Node;
use subrosa_proto::xmtp::mls::api::v1 as api;
use subrosa_transport::Network;
use subrosa_types::{GroupId, InstallationId, SequenceId};
use tonic::Code;

use crate::support::{IDENTITY, MLS, call_raw, input, mls_message, node, open};

const GROUP: [u8; 16] = [7; 16];
const TO: [u8; 32] = [3; 32];

const UNARY: [&str; 15] = [
    "SendGroupMessages",
    "SendWelcomeMessages",
    "UploadKeyPackage",
    "FetchKeyPackages",
    "QueryGroupMessages",
    "QueryWelcomeMessages",
    "GetNewestGroupMessage",
    "BatchPublishCommitLog",
    "BatchQueryCommitLog",
    "RegisterInstallation",
    "RevokeInstallation",
    "PublishIdentityUpdate",
    "GetIdentityUpdates",
    "GetInboxIds",
    "VerifySmartContractWalletSignatures",
];

fn path(method: &str) -> String {
    let is_identity = ["PublishIdentityUpdate", "GetIdentityUpdates", "GetInboxIds"].contains(&method)
        || method.starts_with("Verify");
    format!("{}{method}", if is_identity { IDENTITY } else { MLS })
}

/// Requests that would be accepted, to be damaged.
fn good_requests() -> Vec<Vec<u8>> {
    let messages = vec![input(mls_message(&GROUP, 1, b"hello")), input(mls_message(&GROUP, 3, b"commit"))];
    let v1 = api::welcome_message_input::V1 {
        installation_key: TO.to_vec(),
        data: vec![1; 40],
        hpke_public_key: vec![2; 32],
        wrapper_algorithm: 1,
        welcome_metadata: vec![3; 20],
    };
    let pointer = api::welcome_message_input::WelcomePointer {
        installation_key: TO.to_vec(),
        welcome_pointer: vec![1; 40],
        hpke_public_key: vec![2; 32],
        wrapper_algorithm: 2,
    };
    let welcomes =
        [api::welcome_message_input::Version::V1(v1), api::welcome_message_input::Version::WelcomePointer(pointer)];
    let welcomes = welcomes.map(|version| api::WelcomeMessageInput { version: Some(version) }).to_vec();
    let paging_info = Some(api::PagingInfo { direction: 1, limit: 5, id_cursor: 0 });
    vec![
        api::SendGroupMessagesRequest { messages }.encode_to_vec(),
        api::SendWelcomeMessagesRequest { messages: welcomes }.encode_to_vec(),
        api::QueryGroupMessagesRequest { group_id: GROUP.to_vec(), paging_info }.encode_to_vec(),
        api::GetNewestGroupMessageRequest { group_ids: vec![GROUP.to_vec()], include_content: true }.encode_to_vec(),
    ]
}

/// Bytes, or a good request with a few bytes changed and the end cut off.
fn requests() -> impl Strategy<Value = Vec<u8>> {
    let damaged = (0..good_requests().len(), vec((any::<prop::sample::Index>(), any::<u8>()), 0..4), 0..8usize)
        .prop_map(|(which, changes, cut)| {
            let mut bytes = good_requests().swap_remove(which);
            for (at, value) in changes {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            bytes.truncate(bytes.len().saturating_sub(cut));
            bytes
        });
    prop_oneof![vec(any::<u8>(), 0..200), damaged]
}

async fn readable(node: &Node) {
    let group = GroupId::from_slice(&GROUP).unwrap();
    let page = node.query_group_messages(&group, SequenceId::START).await.unwrap();
    assert!(page.items.iter().all(|received| received.item.is_ok()));
    let page = node.query_welcomes(&InstallationId::from_bytes(TO), SequenceId::START).await.unwrap();
    assert!(page.items.iter().all(|received| received.item.is_ok()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_get_an_answer_and_break_no_reader(requests in vec((0..UNARY.len(), requests()), 1..12)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let node = node();
            for (method, request) in requests {
                let method = UNARY[method];
                if let Err(status) = call_raw::<()>(&node, &path(method), request).await {
                    let expected = matches!(
                        status.code(),
                        Code::InvalidArgument | Code::Unimplemented | Code::Internal | Code::ResourceExhausted
                    );
                    assert!(expected, "{method}: {status}");
                    let fault = status.message().contains("database");
                    assert!(!fault, "{method}: {status}");
                }
            }
            readable(&node).await;
        });
    }

    #[test]
    fn any_bytes_open_a_stream_or_are_refused(request in requests()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let node = node();
            for method in ["SubscribeGroupMessages", "SubscribeWelcomeMessages"] {
                if let Ok(mut stream) = open::<api::GroupMessage>(&node, &path(method), request.clone()).await {
                    let _ = stream.message().now_or_never();
                }
            }
        });
    }
}
