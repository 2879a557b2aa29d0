//! The MLS credential of an installation (identity §10.1).

use prost::Message as _;
use subrosa_proto::xmtp::identity::MlsCredential;
use subrosa_types::InboxId;

/// Why credential bytes name no inbox.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// The bytes are not the message.
    #[error("undecodable credential")]
    Malformed(#[from] prost::DecodeError),
    /// The text inside is not an inbox id in lower-case hex.
    #[error("the credential names no inbox")]
    NotAnInboxId,
}

/// Identity bytes of the basic credential of an inbox's installations: `0x0a 0x40` and the 64 characters of its id
/// (identity §10.1).
#[must_use]
pub fn credential_identity(inbox: &InboxId) -> Vec<u8> {
    MlsCredential { inbox_id: inbox.to_hex() }.encode_to_vec()
}

/// The inbox that a basic credential's identity bytes name. It is a claim: whether the inbox holds the leaf's
/// installation is for its association state to say.
///
/// # Errors
/// [`CredentialError`] for bytes that are not the message, or a text that no inbox can have; such a text can match
/// no membership entry.
pub fn inbox_of_credential(identity: &[u8]) -> Result<InboxId, CredentialError> {
    MlsCredential::decode(identity)?.inbox_id.parse().map_err(|_| CredentialError::NotAnInboxId)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout_is_a_header_and_64_characters() {
        let inbox = InboxId::from_bytes([0xab; 32]);
        let identity = credential_identity(&inbox);
        assert_eq!(identity[..2], [0x0a, 0x40]);
        assert_eq!(identity[2..], *"ab".repeat(32).as_bytes());
        assert_eq!(inbox_of_credential(&identity), Ok(inbox));
    }

    #[test]
    fn bytes_that_name_no_inbox_are_refused() {
        assert_eq!(inbox_of_credential(&[]), Err(CredentialError::NotAnInboxId));
        assert_eq!(inbox_of_credential(&[0x0a, 1, b'x']), Err(CredentialError::NotAnInboxId));
        assert!(matches!(inbox_of_credential(&[0x0a, 2, b'x']), Err(CredentialError::Malformed(_))));
    }
}
