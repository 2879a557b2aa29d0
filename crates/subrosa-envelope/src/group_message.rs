//! Group messages as sent and as delivered (envelopes §4.1).

use subrosa_proto::xmtp::mls::api::v1 as api;
use subrosa_types::{Cursor, GroupId, OriginatorId, SequenceId, UnixNanos};

use crate::{DecodeError, DedupeKey, HeaderError, MessageHeader, PayloadHash};

/// A group message on its way to the network: application message, commit or proposal alike.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GroupMessageInput {
    /// One TLS-serialised MLSMessage. These bytes are the message's identity: never encode them again.
    pub data: Vec<u8>,
    /// For push filtering, 32 bytes as sent here; stored and returned unread, whatever its length (envelopes §6.3).
    pub sender_hmac: Vec<u8>,
    /// Whether a push server may notify about it.
    pub should_push: bool,
}

impl GroupMessageInput {
    /// Encodes the input.
    #[must_use]
    pub fn to_proto(&self) -> api::GroupMessageInput {
        let v1 = api::group_message_input::V1 {
            data: self.data.clone(),
            sender_hmac: self.sender_hmac.clone(),
            should_push: self.should_push,
        };
        api::GroupMessageInput { version: Some(api::group_message_input::Version::V1(v1)) }
    }

    /// Decodes an input and checks that the network may store it.
    ///
    /// # Errors
    /// [`DecodeError::Version`] without a version; [`DecodeError::Header`] for bad data (envelopes §8, E1 to E7).
    pub fn from_proto(wire: api::GroupMessageInput) -> Result<Self, DecodeError> {
        let Some(api::group_message_input::Version::V1(v1)) = wire.version else {
            return Err(DecodeError::Version);
        };
        let input = Self { data: v1.data, sender_hmac: v1.sender_hmac, should_push: v1.should_push };
        input.header()?;
        Ok(input)
    }

    /// Reads the header of the data.
    ///
    /// # Errors
    /// [`HeaderError`] when the data is not a group message.
    pub fn header(&self) -> Result<MessageHeader, HeaderError> {
        MessageHeader::parse(&self.data)
    }

    /// Hash of the data (envelopes §6.2).
    #[must_use]
    pub fn payload_hash(&self) -> PayloadHash {
        PayloadHash::of(&self.data)
    }
}

/// A group message as the network delivers it.
///
/// The header is read from the data; what a node says beside it is not used (sync §3.8).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct GroupMessage {
    /// Position, from 1. Commits and other messages share one counter here (envelopes §5.1).
    pub sequence: SequenceId,
    /// The node's clock when it stored the message.
    pub created: UnixNanos,
    /// What the data shows without keys.
    pub header: MessageHeader,
    /// Exactly the bytes that were sent.
    pub data: Vec<u8>,
    /// As sent.
    pub sender_hmac: Vec<u8>,
    /// As sent.
    pub should_push: bool,
}

impl GroupMessage {
    /// A message that was stored.
    ///
    /// # Errors
    /// [`DecodeError::Sequence`] for an impossible position, [`DecodeError::Header`] for bad data.
    pub fn new(sequence: SequenceId, created: UnixNanos, input: GroupMessageInput) -> Result<Self, DecodeError> {
        if !sequence.is_item() {
            return Err(DecodeError::Sequence(sequence.0));
        }
        let header = input.header()?;
        let GroupMessageInput { data, sender_hmac, should_push } = input;
        Ok(Self { sequence, created, header, data, sender_hmac, should_push })
    }

    /// Encodes the delivered form, with the fields a node adds.
    #[must_use]
    pub fn to_proto(&self) -> api::GroupMessage {
        let v1 = api::group_message::V1 {
            id: self.sequence.0,
            created_ns: self.created.to_wire(),
            group_id: self.header.group_id.as_bytes().to_vec(),
            data: self.data.clone(),
            sender_hmac: self.sender_hmac.clone(),
            should_push: self.should_push,
            is_commit: self.header.is_commit(),
        };
        api::GroupMessage { version: Some(api::group_message::Version::V1(v1)) }
    }

    /// Decodes a delivered message.
    ///
    /// # Errors
    /// [`DecodeError::Version`] without a version; else as [`Self::from_v1`].
    pub fn from_proto(wire: api::GroupMessage) -> Result<Self, DecodeError> {
        let Some(api::group_message::Version::V1(v1)) = wire.version else {
            return Err(DecodeError::Version);
        };
        Self::from_v1(v1)
    }

    /// Decodes the only version of a delivered message.
    ///
    /// # Errors
    /// As [`Self::new`]: a client skips such an item and passes it (envelopes §8).
    pub fn from_v1(v1: api::group_message::V1) -> Result<Self, DecodeError> {
        let input = GroupMessageInput { data: v1.data, sender_hmac: v1.sender_hmac, should_push: v1.should_push };
        Self::new(SequenceId(v1.id), UnixNanos::from_wire(v1.created_ns), input)
    }

    /// The group.
    #[must_use]
    pub const fn group_id(&self) -> &GroupId {
        &self.header.group_id
    }

    /// Position with its originator: commits and everything else are two logs (envelopes §5.1).
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        let originator = if self.header.is_commit() { OriginatorId::COMMITS } else { OriginatorId::MESSAGES };
        Cursor::new(originator, self.sequence)
    }

    /// Hash of the data (envelopes §6.2).
    #[must_use]
    pub fn payload_hash(&self) -> PayloadHash {
        PayloadHash::of(&self.data)
    }

    /// What a node compares to store a repetition once (envelopes §6.4).
    #[must_use]
    pub fn dedupe_key(&self) -> DedupeKey {
        DedupeKey::of(self.header.group_id.as_bytes(), &self.data)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn data(content: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 1, 0, 2, 2, 0xaa, 0xbb];
        bytes.extend(3u64.to_be_bytes());
        bytes.extend([content, 0, 0, u8::try_from(body.len()).unwrap()]);
        bytes.extend(body);
        bytes
    }

    fn input(content: u8) -> GroupMessageInput {
        GroupMessageInput { data: data(content, &[1, 2, 3]), sender_hmac: vec![5; 32], should_push: true }
    }

    #[test]
    fn e1_an_input_without_version_is_refused() {
        let got = GroupMessageInput::from_proto(api::GroupMessageInput { version: None });
        assert_eq!(got, Err(DecodeError::Version));
        let got = GroupMessage::from_proto(api::GroupMessage { version: None });
        assert_eq!(got, Err(DecodeError::Version));
    }

    #[test]
    fn e2_an_input_without_data_is_refused() {
        let empty = GroupMessageInput { data: vec![], ..input(1) };
        assert_eq!(GroupMessageInput::from_proto(empty.to_proto()), Err(DecodeError::Header(HeaderError::Empty)));
    }

    #[test]
    fn e12_a_sender_hmac_of_any_length_is_kept() {
        for length in [0, 1, 31, 33, 1000] {
            let odd = GroupMessageInput { sender_hmac: vec![9; length], ..input(1) };
            assert_eq!(GroupMessageInput::from_proto(odd.to_proto()), Ok(odd));
        }
    }

    #[test]
    fn e30_a_position_that_is_not_one_is_refused() {
        for id in [0, 1 << 63, u64::MAX] {
            let got = GroupMessage::new(SequenceId(id), UnixNanos::EPOCH, input(1));
            assert_eq!(got, Err(DecodeError::Sequence(id)));
        }
    }

    #[test]
    fn commits_have_an_originator_of_their_own() {
        for (content, originator) in [(1, 10), (2, 10), (3, 0)] {
            let message = GroupMessage::new(SequenceId(4), UnixNanos::EPOCH, input(content)).unwrap();
            assert_eq!(message.cursor(), Cursor::new(OriginatorId(originator), SequenceId(4)));
        }
    }

    #[test]
    fn what_the_node_says_beside_the_data_is_not_used() {
        let message = GroupMessage::new(SequenceId(4), UnixNanos::EPOCH, input(1)).unwrap();
        let Some(api::group_message::Version::V1(mut v1)) = message.to_proto().version else { unreachable!() };
        v1.is_commit = true;
        v1.group_id = vec![];
        assert_eq!(GroupMessage::from_v1(v1), Ok(message));
    }

    proptest! {
        #[test]
        fn decoding_inverts_encoding(
            id in 1..=SequenceId::MAX.0,
            created in 0..=i64::MAX,
            content in 1u8..=3,
            body in prop::collection::vec(any::<u8>(), 0..60),
            sender_hmac: Vec<u8>,
            should_push: bool,
        ) {
            let input = GroupMessageInput { data: data(content, &body), sender_hmac, should_push };
            prop_assert_eq!(GroupMessageInput::from_proto(input.to_proto()), Ok(input.clone()));
            let message = GroupMessage::new(SequenceId(id), UnixNanos::from_nanos(created), input).unwrap();
            prop_assert_eq!(GroupMessage::from_proto(message.to_proto()), Ok(message));
        }
    }
}
