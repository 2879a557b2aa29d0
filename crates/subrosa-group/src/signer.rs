//! An installation's key as the signer of the MLS library.

use openmls::prelude::{BasicCredential, CredentialWithKey, SignaturePublicKey, SignatureScheme};
use openmls_traits::signatures::{Signer, SignerError};
use subrosa_identity::{InstallationKey, credential_identity};
use subrosa_types::InboxId;

/// Signs with plain Ed25519 (groups §1.1).
pub(crate) struct MlsSigner<'a>(pub(crate) &'a InstallationKey);

impl Signer for MlsSigner<'_> {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(self.0.sign_mls(payload).to_vec())
    }

    fn signature_scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

/// The credential of an installation of `inbox` (groups §1.1).
pub(crate) fn credential(inbox: &InboxId, key: &InstallationKey) -> CredentialWithKey {
    CredentialWithKey {
        credential: BasicCredential::new(credential_identity(inbox)).into(),
        signature_key: SignaturePublicKey::from(key.id().as_bytes().as_slice()),
    }
}
