//! Inbox ids (identity §2.3).

use sha2::{Digest, Sha256};
use subrosa_types::InboxId;

use crate::Identifier;

/// Nonce when the user gives none (identity §2.4).
pub const DEFAULT_NONCE: u64 = 1;

/// Why no inbox id can be derived.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InboxIdError {
    /// An Ethereum address must be `0x` and 40 hex digits.
    #[error("an inbox id needs an address of 0x and 40 hex digits")]
    InvalidAccountAddress,
}

/// Derives the id of the inbox that `identifier` creates with `nonce`: SHA-256 of the identifier's text followed by
/// the nonce in decimal (identity §2.3). The text is hashed exactly as it is.
///
/// # Errors
/// [`InboxIdError::InvalidAccountAddress`] for an Ethereum identifier that is not `0x` and 40 hex digits.
pub fn inbox_id(identifier: &Identifier, nonce: u64) -> Result<InboxId, InboxIdError> {
    let text = identifier.text();
    if matches!(identifier, Identifier::Ethereum(_)) {
        let digits = text.strip_prefix("0x").ok_or(InboxIdError::InvalidAccountAddress)?;
        if digits.len() != 40 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(InboxIdError::InvalidAccountAddress);
        }
    }
    let digest = Sha256::new().chain_update(text).chain_update(nonce.to_string()).finalize();
    Ok(InboxId::from_bytes(digest.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specification_example() {
        let identifier = Identifier::Ethereum("0x29c76e6ad8f28bb1004902578fb108c507be341b".into());
        let id = inbox_id(&identifier, 0).unwrap();
        assert_eq!(id.to_hex(), "67a8bc0607d0d8297e3624cbf9f497d36853777acce91d0d3c34bbd2a22a9100");
    }

    #[test]
    fn an_address_needs_its_prefix() {
        for bad in ["29c76e6ad8f28bb1004902578fb108c507be341b", "0x", "0x29c76e6ad8f28bb1004902578fb108c507be341g"] {
            let refused = inbox_id(&Identifier::Ethereum(bad.into()), 0);
            assert_eq!(refused, Err(InboxIdError::InvalidAccountAddress));
        }
    }
}
