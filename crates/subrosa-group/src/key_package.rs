//! Key packages: making one, and checking somebody else's (groups §1.3 to §1.5).

use std::fmt;

use openmls::{
    extensions::{ApplicationIdExtension, Extension, Extensions, LastResortExtension},
    key_packages::{KeyPackage, errors::KeyPackageNewError},
    prelude::{LeafNode, tls_codec::Serialize as _},
};
use prost::Message as _;
use subrosa_identity::InstallationKey;
use subrosa_proto::xmtp::mls::message_contents::{
    WelcomePointeeEncryptionAeadType, WelcomePointeeEncryptionAeadTypesExtension, WelcomeWrapperAlgorithm,
    WelcomeWrapperEncryption,
};
use subrosa_types::{InboxId, UnixNanos};
use zeroize::Zeroizing;

use crate::{
    context::unknown,
    hpke,
    profile::{self, CIPHERSUITE},
    provider::Provider,
    random::{RandomError, Randomness},
    rows::{RowChanges, RowError, Rows},
    signer::{MlsSigner, credential},
};

mod keys;
mod status;
mod verify;

#[doc(hidden)]
pub use keys::import_key_package;
pub(crate) use keys::{OwnerKeys, reference, rows_of};
pub use keys::{delete_key_package, key_package_rows, wrapper_row};
pub use status::{KeyPackageStatus, Lifetime};
pub use verify::{KeyPackageError, VerifiedKeyPackage, Wrapper, key_package_reference};

/// A key package just made, with everything its owner must keep.
pub struct NewKeyPackage {
    /// The package to upload, TLS-serialised and not inside an MLS message.
    pub bytes: Vec<u8>,
    /// Its hash reference, which names it in storage.
    pub hash_ref: Vec<u8>,
    /// The X-Wing public key that welcomes will be wrapped to, 1216 bytes.
    pub wrapper_key: Vec<u8>,
    /// Private keys and lookup entries; must be durable before the upload.
    pub rows: RowChanges,
}

impl fmt::Debug for NewKeyPackage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes: _, hash_ref: _, wrapper_key: _, rows } = self;
        f.debug_struct("NewKeyPackage").field("rows", rows).finish_non_exhaustive()
    }
}

/// Why a key package could not be made; each is a failure of this environment or software.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NewKeyPackageError {
    /// No random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The rows could not be made.
    #[error(transparent)]
    Rows(#[from] RowError),
    /// The MLS library refused.
    #[error("the key package could not be built")]
    Build(#[source] KeyPackageNewError),
    /// The package or a key could not be encoded.
    #[error("the key package could not be encoded")]
    Encode,
}

impl NewKeyPackage {
    /// Makes a key package of an installation of `inbox`, valid from an hour before `now` to 84 days after it
    /// (groups §1.3).
    ///
    /// # Errors
    /// [`NewKeyPackageError`].
    pub fn create(
        inbox: &InboxId,
        key: &InstallationKey,
        now: UnixNanos,
        random: &Randomness,
    ) -> Result<Self, NewKeyPackageError> {
        let seed = Zeroizing::new(random.array::<32>()?);
        let wrapper_key = hpke::x_wing_public_key(&seed).map_err(|_| NewKeyPackageError::Encode)?;
        let provider = Provider::new(Rows::over([]), random.clone());
        let bundle = KeyPackage::builder()
            .key_package_lifetime(profile::lifetime(now))
            .leaf_node_capabilities(profile::key_package_capabilities())
            .leaf_node_extensions(leaf_extensions(inbox)?)
            .key_package_extensions(key_package_extensions(wrapper_key.clone())?)
            .build(CIPHERSUITE, &provider, &MlsSigner(key), credential(inbox, key))
            .map_err(NewKeyPackageError::Build)?;
        let package = bundle.key_package();
        let hash_ref = package.hash_ref(openmls_traits::OpenMlsProvider::crypto(&provider));
        let hash_ref = hash_ref.map_err(|_| NewKeyPackageError::Encode)?;
        keys::store(provider.rows(), &hash_ref, package.hpke_init_key().as_slice(), Some((&wrapper_key, &seed)))?;
        Ok(Self {
            bytes: package.tls_serialize_detached().map_err(|_| NewKeyPackageError::Encode)?,
            hash_ref: hash_ref.as_slice().to_vec(),
            wrapper_key,
            rows: provider.rows().drain()?,
        })
    }
}

fn leaf_extensions(inbox: &InboxId) -> Result<Extensions<LeafNode>, NewKeyPackageError> {
    let application_id = ApplicationIdExtension::new(inbox.to_hex().as_bytes());
    Extensions::single(Extension::ApplicationId(application_id)).map_err(|_| NewKeyPackageError::Encode)
}

fn key_package_extensions(wrapper_key: Vec<u8>) -> Result<Extensions<KeyPackage>, NewKeyPackageError> {
    let pointee = WelcomePointeeEncryptionAeadTypesExtension {
        supported_aead_types: vec![WelcomePointeeEncryptionAeadType::Chacha20Poly1305.into()],
    };
    let wrapper = WelcomeWrapperEncryption {
        pub_key: wrapper_key,
        algorithm: WelcomeWrapperAlgorithm::XwingMlkem768Draft6.into(),
    };
    Extensions::from_vec(vec![
        Extension::LastResort(LastResortExtension::new()),
        unknown(profile::WELCOME_POINTEE, pointee.encode_to_vec()),
        unknown(profile::WELCOME_WRAPPER, wrapper.encode_to_vec()),
    ])
    .map_err(|_| NewKeyPackageError::Encode)
}
