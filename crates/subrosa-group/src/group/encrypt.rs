//! Application messages on their way out (groups §7.1).

use openmls::{framing::errors::MlsMessageError, prelude::CreateMessageError};
use subrosa_identity::InstallationKey;

use super::Group;
use crate::signer::MlsSigner;

/// Why a message could not be encrypted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncryptError {
    /// This installation is not in the group any more.
    #[error("the group is inactive")]
    Inactive,
    /// The MLS library refused.
    #[error("the message could not be encrypted")]
    Encrypt(#[source] CreateMessageError),
    /// The message could not be encoded.
    #[error("the message could not be encoded")]
    Encode(#[source] MlsMessageError),
}

impl Group {
    /// Encrypts an application payload; returns the MLS message to publish. The ratchet step must be durable before
    /// the bytes leave.
    ///
    /// # Errors
    /// [`EncryptError`].
    pub fn encrypt(&mut self, key: &InstallationKey, plaintext: &[u8]) -> Result<Vec<u8>, EncryptError> {
        if !self.is_active() {
            return Err(EncryptError::Inactive);
        }
        self.mls
            .create_message(&self.provider, &MlsSigner(key), plaintext)
            .map_err(EncryptError::Encrypt)?
            .to_bytes()
            .map_err(EncryptError::Encode)
    }
}
