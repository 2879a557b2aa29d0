//! What a group message shows without keys (envelopes §4.1).

use subrosa_types::{Epoch, GroupId};

use crate::{HeaderError, public_message, reader::Reader};

/// Version number of MLS 1.0 on the wire.
const MLS_1_0: u16 = 1;

/// How an MLS message is framed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "no other wire format is legal in a group (envelopes §4.1)")]
pub enum WireFormat {
    /// Signed and readable by everybody. Accepted, never sent.
    Public,
    /// Encrypted to the group.
    Private,
}

/// What an MLS message holds.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "MLS 1.0 defines no other content type (envelopes §4.1)")]
pub enum ContentKind {
    /// Content for the application.
    Application,
    /// A proposal on its own.
    Proposal,
    /// A commit: the message that ends an epoch.
    Commit,
}

impl ContentKind {
    pub(crate) const fn from_wire(number: u8) -> Result<Self, HeaderError> {
        match number {
            1 => Ok(Self::Application),
            2 => Ok(Self::Proposal),
            3 => Ok(Self::Commit),
            other => Err(HeaderError::ContentType(other)),
        }
    }
}

/// The part of a group message that needs no keys: all a node may learn (envelopes §4.1).
///
/// A claim of the sender: it is authenticated only by decrypting the message.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct MessageHeader {
    /// How the message is framed.
    pub wire_format: WireFormat,
    /// The group.
    pub group_id: GroupId,
    /// Epoch in which the message was made.
    pub epoch: Epoch,
    /// What it holds.
    pub content: ContentKind,
}

impl MessageHeader {
    /// Checks the framing of an MLS message completely, without keys, and reads its header.
    ///
    /// ```text
    /// offset  size  field
    /// 0       2     protocol version, 1
    /// 2       2     wire format, 1 public or 2 private
    /// 4       <V>   group id
    /// …       8     epoch
    /// private: 1 content type, <V> authenticated data, <V> encrypted sender data, <V> ciphertext
    /// public:  sender, <V> authenticated data, 1 content type, content, authentication data
    /// ```
    ///
    /// Bytes after the message are tolerated, as the reference does (envelopes §8, E6).
    ///
    /// # Errors
    /// [`HeaderError`] for bytes that a network must not store as a group message (E2 to E4, E7).
    pub fn parse(data: &[u8]) -> Result<Self, HeaderError> {
        if data.is_empty() {
            return Err(HeaderError::Empty);
        }
        let mut reader = Reader::new(data);
        let version = reader.u16()?;
        if version != MLS_1_0 {
            return Err(HeaderError::Version(version));
        }
        let wire_format = match reader.u16()? {
            1 => WireFormat::Public,
            2 => WireFormat::Private,
            other => return Err(HeaderError::WireFormat(other)),
        };
        let group_id = reader.vector()?;
        let group_id = GroupId::from_slice(group_id).map_err(|_| HeaderError::GroupId(group_id.len()))?;
        let epoch = Epoch(reader.u64()?);
        let content = match wire_format {
            WireFormat::Public => public_message::check(&mut reader)?,
            WireFormat::Private => {
                let content = ContentKind::from_wire(reader.u8()?)?;
                // Authenticated data, encrypted sender data, ciphertext.
                reader.skip_vectors(3)?;
                content
            }
        };
        Ok(Self { wire_format, group_id, epoch, content })
    }

    /// Whether the message is a commit, which has its own originator (envelopes §5.1).
    #[must_use]
    pub fn is_commit(&self) -> bool {
        self.content == ContentKind::Commit
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A private message of content type `content`, complete.
    fn private(content: u8) -> Vec<u8> {
        let mut bytes = vec![0, 1, 0, 2, 16];
        bytes.extend([0x10; 16]);
        bytes.extend(7u64.to_be_bytes());
        bytes.push(content);
        bytes.extend([0, 2, 8, 8, 3, 9, 9, 9]);
        bytes
    }

    #[track_caller]
    fn refuses(bytes: &[u8], want: HeaderError) {
        assert_eq!(MessageHeader::parse(bytes), Err(want));
    }

    #[test]
    fn a_private_message_shows_group_epoch_and_content() {
        for (number, content) in [(1, ContentKind::Application), (2, ContentKind::Proposal), (3, ContentKind::Commit)] {
            let header = MessageHeader::parse(&private(number)).unwrap();
            assert_eq!(header.wire_format, WireFormat::Private);
            assert_eq!(header.group_id.as_bytes(), [0x10; 16]);
            assert_eq!(header.epoch, Epoch(7));
            assert_eq!(header.content, content);
            assert_eq!(header.is_commit(), number == 3);
        }
    }

    #[test]
    fn e2_empty_data_is_refused() {
        refuses(&[], HeaderError::Empty);
    }

    #[test]
    fn e3_other_versions_and_every_truncation_are_refused() {
        let message = private(1);
        for end in 1..message.len() {
            refuses(&message[..end], HeaderError::Truncated);
        }
        for version in [[0, 0], [0, 2], [1, 0], [0xff, 0xff]] {
            let bytes = [&version[..], &message[2..]].concat();
            refuses(&bytes, HeaderError::Version(u16::from_be_bytes(version)));
        }
        refuses(b"hello world, this is not MLS", HeaderError::Version(0x6865));
    }

    #[test]
    fn e4_welcomes_group_infos_and_key_packages_are_refused() {
        for format in [0, 3, 4, 5, 6, 0xff] {
            let bytes = [&[0, 1, 0, format][..], &private(1)[4..]].concat();
            refuses(&bytes, HeaderError::WireFormat(u16::from(format)));
        }
    }

    #[test]
    fn e6_trailing_bytes_are_tolerated() {
        let long = [&private(3)[..], &[0; 9]].concat();
        assert_eq!(MessageHeader::parse(&long), MessageHeader::parse(&private(3)));
    }

    #[test]
    fn e7_an_empty_group_id_is_refused() {
        let bytes = [&[0, 1, 0, 2, 0][..], &private(1)[21..]].concat();
        refuses(&bytes, HeaderError::GroupId(0));
    }

    #[test]
    fn a_group_id_above_255_bytes_is_refused() {
        let bytes = [&[0, 1, 0, 2, 0x41, 0][..], &[1; 256], &private(1)[21..]].concat();
        refuses(&bytes, HeaderError::GroupId(256));
    }

    #[test]
    fn undefined_content_types_are_refused() {
        for content in [0, 4, 255] {
            refuses(&private(content), HeaderError::ContentType(content));
        }
    }

    #[test]
    fn a_long_form_of_a_short_length_is_refused() {
        let bytes = [&[0, 1, 0, 2, 0x40, 16][..], &private(1)[5..]].concat();
        refuses(&bytes, HeaderError::VectorLength);
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_refused(bytes: Vec<u8>) {
            let _ = MessageHeader::parse(&bytes);
        }

        #[test]
        fn any_change_of_one_byte_is_parsed_or_refused(at in 0usize..38, to: u8, public: bool) {
            let mut bytes = private(1);
            bytes[3] = if public { 1 } else { 2 };
            let at = at % bytes.len();
            bytes[at] = to;
            let _ = MessageHeader::parse(&bytes);
        }
    }
}
