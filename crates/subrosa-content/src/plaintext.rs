//! The whole plaintext of an application message, and the id that follows from it.

use prost::Message;
use sha2::{Digest, Sha256};
use subrosa_proto::xmtp::mls::message_contents::{self as mc, plaintext_envelope as wire};
use subrosa_types::{GroupId, MessageId, UnixNanos};

use crate::{PlaintextError, time::Civil};

/// Plaintext of an MLS application message (envelopes §4.1, groups §7.1).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum PlaintextEnvelope {
    /// The only form that is sent.
    V1 {
        /// A serialised [`crate::EncodedContent`]. The message id covers these bytes: never encode them again.
        content: Vec<u8>,
        /// Makes the id unique; decimal Unix nanoseconds of the send call.
        idempotency_key: String,
    },
    /// A form of older clients: ignored on receipt, no message is stored (envelopes §8, E10). Never sent.
    V2,
}

impl PlaintextEnvelope {
    /// Encodes the plaintext.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let content = match self {
            Self::V1 { content, idempotency_key } => {
                wire::Content::V1(wire::V1 { content: content.clone(), idempotency_key: idempotency_key.clone() })
            }
            Self::V2 => wire::Content::V2(wire::V2::default()),
        };
        mc::PlaintextEnvelope { content: Some(content) }.encode_to_vec()
    }

    /// Decodes the plaintext.
    ///
    /// # Errors
    /// [`PlaintextError`] for bytes that are not an envelope, or have neither version (envelopes §8, E9).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PlaintextError> {
        let envelope = mc::PlaintextEnvelope::decode(bytes).map_err(|_| PlaintextError::Protobuf)?;
        match envelope.content.ok_or(PlaintextError::Version)? {
            wire::Content::V1(v1) => Ok(Self::V1 { content: v1.content, idempotency_key: v1.idempotency_key }),
            wire::Content::V2(_) => Ok(Self::V2),
        }
    }
}

/// The id of a message, equal on sender and receivers: SHA-256 of group id, tab, key, tab, content
/// (envelopes §6.1). `content` is the exact field of the [`PlaintextEnvelope`].
#[must_use]
pub fn message_id(group: &GroupId, idempotency_key: &str, content: &[u8]) -> MessageId {
    let hash = Sha256::new_with_prefix(group.as_bytes())
        .chain_update(b"\t")
        .chain_update(idempotency_key)
        .chain_update(b"\t")
        .chain_update(content);
    MessageId::from_bytes(hash.finalize().into())
}

/// Idempotency key of the transcript message of a commit: decimal nanoseconds of the network's time
/// (groups §7.2).
#[must_use]
pub fn transcript_key(commit_created: UnixNanos) -> String {
    commit_created.to_string()
}

/// Idempotency key of the transcript message of a welcome: the network's time as
/// `YYYY-MM-DD HH:MM:SS[.fff|.ffffff|.fffffffff] UTC` and `_welcome_added` (groups §6.4, step 11).
#[must_use]
pub fn welcome_transcript_key(welcome_created: UnixNanos) -> String {
    let civil = Civil::new(welcome_created);
    let nanos = civil.nanos;
    // The fewest groups of three digits that lose nothing.
    let fraction = if nanos == 0 {
        String::new()
    } else if nanos % 1_000_000 == 0 {
        format!(".{:03}", nanos / 1_000_000)
    } else if nanos % 1000 == 0 {
        format!(".{:06}", nanos / 1000)
    } else {
        format!(".{nanos:09}")
    };
    format!("{} {}{fraction} UTC_welcome_added", civil.date(), civil.clock())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use subrosa_types::hex;

    use super::*;

    #[track_caller]
    fn id(group: &str, key: &str, content: &[u8], want: &str) {
        assert_eq!(message_id(&group.parse().unwrap(), key, content).to_hex(), want);
    }

    #[test]
    fn message_ids_match_the_specification() {
        let key = "1700000000000000000";
        id(
            "101112131415161718191a1b1c1d1e1f",
            key,
            b"hello",
            "6dcfab49f9c2663057794ffb2593a29486753945135454e246a8904334fcf3b9",
        );
        id(
            "000102030405060708090a0b0c0d0e0f",
            key,
            &[0x0a, 0x12, 0x0a, 0x08],
            "c7e1e3c5afb0ecdda8af81ef70209aa86616d659ccf1fb59b0d9e1f26fcc21c4",
        );
    }

    #[test]
    fn e9_a_plaintext_without_version_is_refused() {
        assert_eq!(PlaintextEnvelope::from_bytes(&[]), Err(PlaintextError::Version));
        assert_eq!(PlaintextEnvelope::from_bytes(&[0x1a, 0]), Err(PlaintextError::Version));
        assert_eq!(PlaintextEnvelope::from_bytes(b"hello"), Err(PlaintextError::Protobuf));
    }

    #[test]
    fn e10_the_second_version_is_recognised() {
        let bytes = hex::decode("12070a036b65791200").unwrap();
        assert_eq!(PlaintextEnvelope::from_bytes(&bytes), Ok(PlaintextEnvelope::V2));
    }

    #[test]
    fn a_welcome_key_has_the_shortest_exact_fraction() {
        let check = |nanos, want: &str| {
            let got = welcome_transcript_key(UnixNanos::from_nanos(nanos));
            assert_eq!(got, format!("{want} UTC_welcome_added"));
        };
        check(1_795_432_798_058_000_000, "2026-11-23 11:19:58.058");
        check(1_795_432_798_000_000_000, "2026-11-23 11:19:58");
        check(1_795_432_798_058_010_000, "2026-11-23 11:19:58.058010");
        check(1_795_432_798_000_000_001, "2026-11-23 11:19:58.000000001");
        check(0, "1970-01-01 00:00:00");
    }

    #[test]
    fn a_commit_key_is_decimal_nanoseconds() {
        assert_eq!(transcript_key(UnixNanos::from_nanos(1_795_435_151_833_319_866)), "1795435151833319866");
    }

    proptest! {
        #[test]
        fn decoding_inverts_encoding(content: Vec<u8>, idempotency_key: String) {
            let envelope = PlaintextEnvelope::V1 { content, idempotency_key };
            prop_assert_eq!(PlaintextEnvelope::from_bytes(&envelope.to_bytes()), Ok(envelope));
        }

        #[test]
        fn any_bytes_are_decoded_or_refused(bytes: Vec<u8>) {
            let _ = PlaintextEnvelope::from_bytes(&bytes);
        }
    }
}
