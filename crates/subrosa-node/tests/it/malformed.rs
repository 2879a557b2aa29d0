//! Malformed requests (transport §12); those of welcomes, key packages and commit logs are beside their methods.

use futures::StreamExt;
use prost::Message;
use subrosa_proto::xmtp::{identity::api::v1 as identity_api, mls::api::v1 as api};
use tonic::{Code, Status};

use crate::support::{IDENTITY, MLS, call, call_raw, code, input, mls_message, node, open, query, read_all};

const GROUP: [u8; 16] = [7; 16];

async fn send_code(messages: Vec<api::GroupMessageInput>) -> Code {
    let node = node();
    let request = api::SendGroupMessagesRequest { messages };
    let answer = code(call::<()>(&node, &format!("{MLS}SendGroupMessages"), &request).await);
    assert_eq!(read_all(&node, &GROUP).await.is_empty(), answer != Code::Ok);
    answer
}

#[tokio::test]
async fn unframed_group_messages_are_refused() {
    let good = mls_message(&GROUP, 1, b"x");
    let with = |change: fn(&mut Vec<u8>)| {
        let mut data = good.clone();
        change(&mut data);
        vec![input(data)]
    };
    assert_eq!(send_code(vec![input(good.clone())]).await, Code::Ok);
    assert_eq!(send_code(with(|data| data.push(1))).await, Code::Ok, "trailing bytes are tolerated");
    assert_eq!(send_code(vec![]).await, Code::InvalidArgument);
    assert_eq!(send_code(vec![api::GroupMessageInput { version: None }]).await, Code::InvalidArgument);
    assert_eq!(send_code(with(Vec::clear)).await, Code::InvalidArgument);
    assert_eq!(send_code(with(|data| data[1] = 2)).await, Code::InvalidArgument, "version");
    for format in [0, 3, 4, 5] {
        let mut data = good.clone();
        data[3] = format;
        assert_eq!(send_code(vec![input(data)]).await, Code::InvalidArgument, "wire format {format}");
    }
    assert_eq!(send_code(vec![input(mls_message(&[], 1, b"x"))]).await, Code::InvalidArgument, "empty group id");
    for length in 0..good.len() {
        let short = vec![input(good[..length].to_vec())];
        assert_eq!(send_code(short).await, Code::InvalidArgument, "{length} bytes");
    }
}

#[tokio::test]
async fn questions_without_a_topic_are_refused() {
    let node = node();
    assert_eq!(code(query(&node, &[], None).await), Code::InvalidArgument);
    let welcomes = api::QueryWelcomeMessagesRequest::default();
    let answer =
        call::<api::QueryWelcomeMessagesResponse>(&node, &format!("{MLS}QueryWelcomeMessages"), &welcomes).await;
    assert_eq!(code(answer), Code::InvalidArgument);
    let newest = api::GetNewestGroupMessageRequest::default();
    let answer =
        call::<api::GetNewestGroupMessageResponse>(&node, &format!("{MLS}GetNewestGroupMessage"), &newest).await;
    assert_eq!(code(answer), Code::InvalidArgument);
}

#[tokio::test]
async fn unknown_topics_are_empty() {
    let node = node();
    let page = query(&node, b"unknown", None).await.unwrap();
    assert!(page.messages.is_empty());
    assert_eq!(page.paging_info.unwrap().id_cursor, 0);
    let request = api::QueryWelcomeMessagesRequest { installation_key: vec![1], paging_info: None };
    let page: api::QueryWelcomeMessagesResponse =
        call(&node, &format!("{MLS}QueryWelcomeMessages"), &request).await.unwrap();
    assert!(page.messages.is_empty());
}

async fn first<A: Message + Default + 'static>(path: &str, request: Vec<u8>) -> Option<Result<A, Status>> {
    // The answer to the call itself is good: the refusal comes after the headers.
    open::<A>(&node(), path, request).await.unwrap().next().await
}

#[tokio::test]
async fn subscriptions_without_a_topic_are_refused_after_the_headers() {
    let path = format!("{MLS}SubscribeGroupMessages");
    let filter = api::subscribe_group_messages_request::Filter { group_id: vec![], id_cursor: 0 };
    let request = api::SubscribeGroupMessagesRequest { filters: vec![filter] };
    let answer = first::<api::GroupMessage>(&path, request.encode_to_vec()).await.unwrap();
    assert_eq!(code(answer), Code::InvalidArgument);

    let path = format!("{MLS}SubscribeWelcomeMessages");
    let filter = api::subscribe_welcome_messages_request::Filter { installation_key: vec![], id_cursor: 0 };
    for filters in [vec![], vec![filter]] {
        let request = api::SubscribeWelcomeMessagesRequest { filters };
        let answer = first::<api::WelcomeMessage>(&path, request.encode_to_vec()).await.unwrap();
        assert_eq!(code(answer), Code::InvalidArgument);
    }
}

#[tokio::test]
async fn what_is_not_a_message_is_refused() {
    let node = node();
    for method in ["SendGroupMessages", "QueryGroupMessages", "UploadKeyPackage"] {
        let answer = call_raw::<()>(&node, &format!("{MLS}{method}"), vec![0xff; 7]).await;
        assert!(matches!(code(answer), Code::Internal | Code::InvalidArgument), "{method}");
    }
}

#[tokio::test]
async fn methods_that_nobody_uses_are_unimplemented() {
    let node = node();
    for method in ["RegisterInstallation", "RevokeInstallation", "GetIdentityUpdates", "Subscribe", "NoSuchMethod"] {
        assert_eq!(code(call_raw::<()>(&node, &format!("{MLS}{method}"), vec![]).await), Code::Unimplemented);
    }
    let elsewhere = call_raw::<()>(&node, "/xmtp.migration.api.v1.D14nMigrationApi/FetchD14nCutover", vec![]).await;
    assert_eq!(code(elsewhere), Code::Unimplemented);
}

#[tokio::test]
async fn empty_identity_questions_are_answered() {
    let node = node();
    let answer: identity_api::GetInboxIdsResponse =
        call_raw(&node, &format!("{IDENTITY}GetInboxIds"), vec![]).await.unwrap();
    assert!(answer.responses.is_empty());
    let answer: identity_api::GetIdentityUpdatesResponse =
        call_raw(&node, &format!("{IDENTITY}GetIdentityUpdates"), vec![]).await.unwrap();
    assert!(answer.responses.is_empty());
    let request = identity_api::get_identity_updates_request::Request { inbox_id: "xyz".into(), sequence_id: 0 };
    let request = identity_api::GetIdentityUpdatesRequest { requests: vec![request] };
    let answer =
        call::<identity_api::GetIdentityUpdatesResponse>(&node, &format!("{IDENTITY}GetIdentityUpdates"), &request)
            .await;
    assert_eq!(code(answer), Code::InvalidArgument);
}
