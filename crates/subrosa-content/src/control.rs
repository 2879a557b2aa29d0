//! Contents that ask for something instead of saying something.

use prost::Message;
use subrosa_proto::xmtp::mls::message_contents::content_types as wire;
use subrosa_types::{MessageId, hex};

use crate::ContentError;

/// A member asks to be removed (envelopes §11.22, groups §4.7).
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct LeaveRequest {
    /// Free for applications; official clients leave it out.
    pub authenticated_note: Option<Vec<u8>>,
}

impl LeaveRequest {
    pub(crate) fn to_content(&self) -> Vec<u8> {
        wire::LeaveRequest { authenticated_note: self.authenticated_note.clone() }.encode_to_vec()
    }

    pub(crate) fn from_content(bytes: &[u8]) -> Result<Self, ContentError> {
        let wire = wire::LeaveRequest::decode(bytes).map_err(|_| ContentError::Protobuf)?;
        Ok(Self { authenticated_note: wire.authenticated_note })
    }
}

/// Asks everybody to show a tombstone in place of a message (groups §7.6).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct DeleteMessage {
    /// The message.
    pub message_id: MessageId,
}

impl DeleteMessage {
    pub(crate) fn to_content(&self) -> Vec<u8> {
        wire::DeleteMessage { message_id: self.message_id.to_hex() }.encode_to_vec()
    }

    /// Hex of either case is accepted.
    pub(crate) fn from_content(bytes: &[u8]) -> Result<Self, ContentError> {
        let wire = wire::DeleteMessage::decode(bytes).map_err(|_| ContentError::Protobuf)?;
        let id = hex::decode(&wire.message_id).ok_or(ContentError::Id)?;
        Ok(Self { message_id: MessageId::from_slice(&id).map_err(|_| ContentError::Id)? })
    }
}
