//! Raw calls and small envelopes.

use std::marker::PhantomData;

use prost::{Message, bytes::BufMut};
use subrosa_node::{Node, NodeConfig};
use subrosa_proto::xmtp::mls::api::v1 as api;
use tonic::{
    Code, Request, Status, Streaming,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::http::uri::PathAndQuery,
    service::Routes,
};

pub(crate) const MLS: &str = "/xmtp.mls.api.v1.MlsApi/";
pub(crate) const IDENTITY: &str = "/xmtp.identity.api.v1.IdentityApi/";

pub(crate) fn node() -> Node {
    Node::open(NodeConfig::in_memory()).unwrap()
}

/// Calls a method with bytes that may be anything.
pub(crate) async fn call_raw<A: Message + Default + 'static>(
    node: &Node,
    path: &str,
    request: Vec<u8>,
) -> Result<A, Status> {
    call_routes(node.routes(), path, request).await
}

/// Calls a method of any services.
pub(crate) async fn call_routes<A: Message + Default + 'static>(
    routes: Routes,
    path: &str,
    request: Vec<u8>,
) -> Result<A, Status> {
    let mut client = Grpc::new(routes).max_decoding_message_size(25 << 20);
    let path: PathAndQuery = path.parse().unwrap();
    client.ready().await.unwrap();
    let answer = client.unary(Request::new(request), path, Raw(PhantomData)).await?;
    Ok(answer.into_inner())
}

/// Calls a method of one answer.
pub(crate) async fn call<A: Message + Default + 'static>(
    node: &Node,
    path: &str,
    request: &impl Message,
) -> Result<A, Status> {
    call_raw(node, path, request.encode_to_vec()).await
}

/// Calls a method of many answers.
pub(crate) async fn open<A: Message + Default + 'static>(
    node: &Node,
    path: &str,
    request: Vec<u8>,
) -> Result<Streaming<A>, Status> {
    let mut client = Grpc::new(node.routes());
    client.ready().await.unwrap();
    let answer = client.server_streaming(Request::new(request), path.parse().unwrap(), Raw(PhantomData)).await?;
    Ok(answer.into_inner())
}

struct Raw<A>(PhantomData<A>);

impl<A: Message + Default + 'static> Codec for Raw<A> {
    type Encode = Vec<u8>;
    type Decode = A;
    type Encoder = RawEncoder;
    type Decoder = RawDecoder<A>;

    fn encoder(&mut self) -> RawEncoder {
        RawEncoder
    }

    fn decoder(&mut self) -> RawDecoder<A> {
        RawDecoder(PhantomData)
    }
}

struct RawEncoder;

impl Encoder for RawEncoder {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

struct RawDecoder<A>(PhantomData<A>);

impl<A: Message + Default> Decoder for RawDecoder<A> {
    type Item = A;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<A>, Status> {
        A::decode(buffer).map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}

#[track_caller]
pub(crate) fn code<T>(answer: Result<T, Status>) -> Code {
    answer.err().map_or(Code::Ok, |status| status.code())
}

/// A private message with the given content type and ciphertext.
pub(crate) fn mls_message(group: &[u8], content: u8, ciphertext: &[u8]) -> Vec<u8> {
    let mut data = vec![0, 1, 0, 2, u8::try_from(group.len()).unwrap()];
    data.extend_from_slice(group);
    data.extend_from_slice(&[0; 8]);
    data.extend_from_slice(&[content, 0, 1, 7]);
    let length = u32::try_from(ciphertext.len()).unwrap();
    data.extend(match length {
        0..64 => vec![ciphertext.len() as u8],
        64..16_384 => (0x4000 | length as u16).to_be_bytes().to_vec(),
        _ => (0x8000_0000 | length).to_be_bytes().to_vec(),
    });
    data.extend_from_slice(ciphertext);
    data
}

pub(crate) fn input(data: Vec<u8>) -> api::GroupMessageInput {
    let v1 = api::group_message_input::V1 { data, sender_hmac: vec![9; 32], should_push: true };
    api::GroupMessageInput { version: Some(api::group_message_input::Version::V1(v1)) }
}

pub(crate) async fn send(node: &Node, messages: Vec<Vec<u8>>) -> Result<(), Status> {
    let messages = messages.into_iter().map(input).collect();
    call(node, &format!("{MLS}SendGroupMessages"), &api::SendGroupMessagesRequest { messages }).await
}

pub(crate) fn paging(direction: i32, limit: u32, id_cursor: u64) -> Option<api::PagingInfo> {
    Some(api::PagingInfo { direction, limit, id_cursor })
}

pub(crate) async fn query(
    node: &Node,
    group: &[u8],
    paging_info: Option<api::PagingInfo>,
) -> Result<api::QueryGroupMessagesResponse, Status> {
    let request = api::QueryGroupMessagesRequest { group_id: group.to_vec(), paging_info };
    call(node, &format!("{MLS}QueryGroupMessages"), &request).await
}

pub(crate) fn v1(message: &api::GroupMessage) -> &api::group_message::V1 {
    let Some(api::group_message::Version::V1(v1)) = &message.version else { panic!("no version") };
    v1
}

pub(crate) fn ids(messages: &[api::GroupMessage]) -> Vec<u64> {
    messages.iter().map(|message| v1(message).id).collect()
}

/// Everything of a group, page by page, as the official client reads it.
pub(crate) async fn read_all(node: &Node, group: &[u8]) -> Vec<api::GroupMessage> {
    let (mut all, mut cursor) = (Vec::new(), 0);
    loop {
        let page = query(node, group, paging(1, 100, cursor)).await.unwrap();
        let full = page.messages.len() >= 100;
        all.extend(page.messages);
        cursor = page.paging_info.unwrap().id_cursor;
        if !full || cursor == 0 {
            return all;
        }
    }
}
