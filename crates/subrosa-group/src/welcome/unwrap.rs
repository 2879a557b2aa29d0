//! Unwrapping what the welcome topic brings (groups §6.2 to §6.4, step 2).

use std::fmt;

use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _, aead::Aead as _};
use openmls::key_packages::KeyPackageBundle;
use subrosa_envelope::{DecodeError, WelcomeInput, WelcomeMetadata, WelcomePointer, WrapperAlgorithm};
use subrosa_types::SequenceId;

use crate::{
    hpke::{self, HpkeContext, HpkeFailed, Kem, WELCOME_INFO},
    key_package::{OwnerKeys, reference, rows_of, wrapper_row},
    rows::{self, RowError, RowKey, label},
    vector,
};

/// The private keys of the key package that a welcome was made for.
pub struct WelcomeKeys {
    pub(super) rows: Vec<(RowKey, Vec<u8>)>,
    bundle: KeyPackageBundle,
    owner: OwnerKeys,
}

/// A welcome without its wrapper.
#[derive(Clone, Eq, PartialEq)]
pub struct WelcomePlaintext {
    /// An MLS message that holds the Welcome.
    pub welcome: Vec<u8>,
    /// Plaintext of the metadata; empty if none came.
    pub metadata: Vec<u8>,
}

/// What was inside the wrapper.
#[derive(Debug)]
#[non_exhaustive]
pub enum Unwrapped {
    /// The welcome.
    Welcome(WelcomePlaintext),
    /// Where the welcome is, and its keys. Query the topic of `destination`, take the first message there and give it
    /// to [`unwrap_pointee`] (groups §6.3).
    Pointer(WelcomePointer),
}

/// Why a welcome does not unwrap. Each is final: the welcome cursor moves on.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum UnwrapError {
    /// The data is not the two vectors it should be.
    #[error("the wrapped welcome is malformed")]
    Malformed,
    /// The ciphertext, or that of the metadata, does not open.
    #[error("the wrapped welcome does not open")]
    Decrypt,
    /// The wrapper is symmetric, which only a pointee may be, or a pointee is not symmetric.
    #[error("the wrapper algorithm is not allowed here")]
    Algorithm,
    /// It needs an X-Wing key, and the key package has none.
    #[error("the key package has no post-quantum key")]
    NoWrapperKey,
    /// A pointer's plaintext is no pointer.
    #[error(transparent)]
    Pointer(#[from] DecodeError),
    /// A pointee must be a direct welcome.
    #[error("a pointer points to a pointer")]
    PointerToPointer,
}

impl WelcomeKeys {
    /// The keys that belong to `hpke_public_key`, the key a welcome names. `rows` must hold the row
    /// [`wrapper_row`]`(hpke_public_key)` and those that [`key_package_rows`](crate::key_package_rows) names for its
    /// value; more does no harm. `None`: the key package is not known (any more), which is final (groups §6.4).
    ///
    /// # Errors
    /// [`RowError`] when the rows are damaged.
    pub fn from_rows(
        hpke_public_key: &[u8],
        rows: impl IntoIterator<Item = (RowKey, Vec<u8>)>,
    ) -> Result<Option<Self>, RowError> {
        let rows: Vec<(RowKey, Vec<u8>)> = rows.into_iter().collect();
        let find = |key: &RowKey| rows.iter().find(|(found, _)| found == key).map(|(_, value)| value.as_slice());
        let Some(lookup) = find(&wrapper_row(hpke_public_key)) else { return Ok(None) };
        let [bundle, owner] = rows_of(&reference(lookup)?)?;
        let (Some(bundle), Some(owner)) = (find(&bundle), find(&owner)) else { return Ok(None) };
        let (bundle, owner) = (rows::decode(label::KEY_PACKAGE, bundle)?, rows::decode(label::X_WING_SEED, owner)?);
        Ok(Some(Self { rows, bundle, owner }))
    }

    /// Opens a welcome envelope.
    ///
    /// # Errors
    /// [`UnwrapError`].
    pub fn unwrap(&self, input: &WelcomeInput) -> Result<Unwrapped, UnwrapError> {
        match input {
            WelcomeInput::Direct { data, wrapper, metadata, .. } => {
                let (mut context, welcome) = self.receiver(*wrapper, data)?;
                let welcome = context.open(&[], welcome).map_err(|_| UnwrapError::Decrypt)?;
                let metadata = if metadata.is_empty() {
                    Vec::new()
                } else {
                    context.open(&[], metadata).map_err(|_| UnwrapError::Decrypt)?
                };
                Ok(Unwrapped::Welcome(WelcomePlaintext { welcome, metadata }))
            }
            WelcomeInput::Pointer { pointer, .. } => {
                let (mut context, pointer) = self.receiver(WrapperAlgorithm::XWing, pointer)?;
                let pointer = context.open(&[], pointer).map_err(|_| UnwrapError::Decrypt)?;
                Ok(Unwrapped::Pointer(WelcomePointer::from_bytes(&pointer)?))
            }
        }
    }

    /// The context for a pair of vectors, and the first ciphertext of it.
    fn receiver<'a>(&self, wrapper: WrapperAlgorithm, data: &'a [u8]) -> Result<(HpkeContext, &'a [u8]), UnwrapError> {
        let (kem_output, rest) = vector::split(data).ok_or(UnwrapError::Malformed)?;
        let ciphertext = vector::without_length(rest).ok_or(UnwrapError::Malformed)?;
        let (kem, key): (Kem, &[u8]) = match wrapper {
            WrapperAlgorithm::Curve25519 => (Kem::Curve25519, self.bundle.init_private_key()),
            WrapperAlgorithm::XWing => (Kem::XWing, self.owner.x_wing_seed.as_ref().ok_or(UnwrapError::NoWrapperKey)?),
            _ => return Err(UnwrapError::Algorithm),
        };
        let context = hpke::receiver(kem, kem_output, key, WELCOME_INFO).map_err(|HpkeFailed| UnwrapError::Decrypt)?;
        Ok((context, ciphertext))
    }
}

/// Opens the first message found at a pointer's destination.
///
/// # Errors
/// [`UnwrapError`].
pub fn unwrap_pointee(pointer: &WelcomePointer, input: &WelcomeInput) -> Result<WelcomePlaintext, UnwrapError> {
    let WelcomeInput::Direct { data, wrapper, metadata, .. } = input else {
        return Err(UnwrapError::PointerToPointer);
    };
    if *wrapper != WrapperAlgorithm::Symmetric {
        return Err(UnwrapError::Algorithm);
    }
    let cipher = ChaCha20Poly1305::new(&pointer.encryption_key.into());
    let open = |nonce: [u8; 12], sealed: &[u8]| cipher.decrypt(&nonce.into(), sealed).map_err(|_| UnwrapError::Decrypt);
    let welcome = open(pointer.data_nonce, data)?;
    let metadata = if metadata.is_empty() { Vec::new() } else { open(pointer.metadata_nonce, metadata)? };
    Ok(WelcomePlaintext { welcome, metadata })
}

impl WelcomePlaintext {
    /// The sequence id of the commit that added us; [`SequenceId::START`] if the sender did not say so readably
    /// (groups §6.2).
    #[must_use]
    pub fn message_cursor(&self) -> SequenceId {
        WelcomeMetadata::from_bytes(&self.metadata).map(|metadata| metadata.message_cursor).unwrap_or_default()
    }
}

impl fmt::Debug for WelcomeKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WelcomeKeys").finish_non_exhaustive()
    }
}

impl fmt::Debug for WelcomePlaintext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WelcomePlaintext").field("message_cursor", &self.message_cursor()).finish_non_exhaustive()
    }
}
