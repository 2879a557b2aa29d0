//! What a request must satisfy before anything of it is stored (transport §12, envelopes §8). Nothing is stored that
//! a client could not read (N11).

use prost::Message;
use subrosa_envelope::{CommitLogUpload, ContentKind, MessageHeader, WelcomeInput, limits};
use subrosa_proto::xmtp::mls::api::v1 as api;
use tonic::Status;

use crate::store::{NewCommitLogEntry, NewGroupMessage, NewWelcome};

/// Largest answer, in bytes: the largest message that clients accept (transport §2).
pub(crate) const ANSWER_LIMIT: usize = limits::GRPC_MESSAGE_BYTES;

/// Largest request that is accepted, in bytes (transport §4.1).
pub(crate) const REQUEST_LIMIT: usize = 50 << 20;

/// Room in an answer for what the node adds to an item, in bytes.
const ADDED: usize = 4096;

/// Largest item: one that fills an answer alone (N17).
const ITEM_LIMIT: usize = ANSWER_LIMIT - ADDED;

/// Largest key package in bytes. Real ones have less than 2 kB; a fetch of several hundred must fit into one answer.
pub(crate) const KEY_PACKAGE_LIMIT: usize = 64 << 10;

/// Largest identity update in bytes: 256 of them fit into one answer, which cannot be cut (N19).
pub(crate) const IDENTITY_UPDATE_LIMIT: usize = 64 << 10;

/// Largest record of a commit log in bytes, its signature included.
const COMMIT_LOG_LIMIT: usize = 64 << 10;

/// Checks all messages of a request (transport §4.2).
pub(crate) fn group_messages(request: api::SendGroupMessagesRequest) -> Result<Vec<NewGroupMessage>, Status> {
    if request.messages.is_empty() {
        return Err(Status::invalid_argument("no group messages to send"));
    }
    request.messages.into_iter().map(group_message).collect()
}

fn group_message(message: api::GroupMessageInput) -> Result<NewGroupMessage, Status> {
    let Some(api::group_message_input::Version::V1(v1)) = message.version else {
        return Err(Status::invalid_argument("invalid group message"));
    };
    if v1.data.len().saturating_add(v1.sender_hmac.len()) > ITEM_LIMIT {
        return Err(Status::invalid_argument("group message too large"));
    }
    let header = MessageHeader::parse(&v1.data)
        .map_err(|error| Status::invalid_argument(format!("invalid group message: {error}")))?;
    Ok(NewGroupMessage {
        content_type: content_type(header.content),
        group: header.group_id,
        should_push: v1.should_push,
        sender_hmac: v1.sender_hmac,
        data: v1.data,
    })
}

/// Content types by their numbers in MLS (envelopes §4.1).
const fn content_type(content: ContentKind) -> i32 {
    match content {
        ContentKind::Application => 1,
        ContentKind::Proposal => 2,
        ContentKind::Commit => 3,
    }
}

/// Checks all welcomes of a request (transport §4.4).
pub(crate) fn welcomes(request: api::SendWelcomeMessagesRequest) -> Result<Vec<NewWelcome>, Status> {
    if request.messages.is_empty() {
        return Err(Status::invalid_argument("no welcome messages to send"));
    }
    request.messages.into_iter().map(welcome).collect()
}

fn welcome(message: api::WelcomeMessageInput) -> Result<NewWelcome, Status> {
    if message.encoded_len() > ITEM_LIMIT {
        return Err(Status::invalid_argument("welcome message too large"));
    }
    let input = WelcomeInput::from_proto(message)
        .map_err(|error| Status::invalid_argument(format!("invalid welcome message: {error}")))?;
    Ok(NewWelcome::from(input))
}

/// Checks all records of a request (transport §4.7).
pub(crate) fn commit_log(request: api::BatchPublishCommitLogRequest) -> Result<Vec<NewCommitLogEntry>, Status> {
    if request.requests.is_empty() || request.requests.len() > limits::COMMIT_LOG_ENTRIES_PER_REQUEST {
        return Err(Status::invalid_argument("1 to 10 commit log entries are expected"));
    }
    request.requests.into_iter().map(commit_log_entry).collect()
}

fn commit_log_entry(entry: api::PublishCommitLogRequest) -> Result<NewCommitLogEntry, Status> {
    if entry.encoded_len() > COMMIT_LOG_LIMIT {
        return Err(Status::invalid_argument("commit log entry too large"));
    }
    let upload = CommitLogUpload::from_proto(entry)
        .map_err(|error| Status::invalid_argument(format!("invalid commit log entry: {error}")))?;
    Ok(NewCommitLogEntry {
        group_id: upload.group_id.as_bytes().to_vec(),
        entry: upload.signed.entry,
        signature: upload.signed.signature,
        public_key: upload.signed.public_key,
    })
}
