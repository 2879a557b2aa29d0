//! Checking a key package (groups §1.4; the node's check of transport §8 is the same).

use openmls::{
    key_packages::{KeyPackage, KeyPackageIn, errors::KeyPackageVerifyError},
    prelude::{
        ProtocolVersion,
        tls_codec::{Deserialize as _, Serialize as _},
    },
};
use openmls_traits::OpenMlsProvider as _;
use prost::Message as _;
use subrosa_proto::xmtp::mls::message_contents::{
    WelcomePointeeEncryptionAeadType, WelcomePointeeEncryptionAeadTypesExtension, WelcomeWrapperAlgorithm,
    WelcomeWrapperEncryption,
};
use subrosa_types::{InboxId, InstallationId, UnixNanos};

use crate::{
    leaf::{self, Sender},
    parallel,
    profile::{self, CIPHERSUITE},
    provider::Provider,
    random::Randomness,
    rows::Rows,
};

/// From how many key packages on the work is spread over threads.
const PARALLEL_FROM: usize = 16;

/// The key that an adder wraps a welcome to (groups §6.2).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Wrapper {
    /// HPKE to the init key, 32 bytes.
    Curve25519(Vec<u8>),
    /// HPKE with X-Wing; 1216 bytes unless the owner erred, which the wrapping will tell.
    XWing(Vec<u8>),
}

impl Wrapper {
    /// The public key.
    #[must_use]
    pub fn public_key(&self) -> &[u8] {
        match self {
            Self::Curve25519(key) | Self::XWing(key) => key,
        }
    }
}

/// A key package whose every check passed. Only [`VerifiedKeyPackage::verify`] makes one.
#[derive(Clone, Debug)]
pub struct VerifiedKeyPackage {
    package: KeyPackage,
    owner: Sender,
    wrapper: Wrapper,
    pointers: bool,
}

/// Why a key package must not be used; whose it is becomes a failed installation (groups §10.6).
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyPackageError {
    /// Not exactly one TLS key package: undecodable, or bytes follow it.
    #[error("the bytes are not exactly one key package")]
    Malformed,
    /// Another cipher suite than `0x0003`.
    #[error("the key package is for another cipher suite")]
    CipherSuite,
    /// Version, signatures, keys or capabilities are wrong (RFC 9420 §10.1).
    #[error("the key package is invalid")]
    Invalid(#[source] KeyPackageVerifyError),
    /// It is not yet valid. Seconds since the Unix epoch.
    #[error("the key package is valid from {not_before} only, now it is {now}")]
    NotYetValid {
        /// When its life starts.
        not_before: u64,
        /// The time asked for.
        now: u64,
    },
    /// It is not valid any more. Seconds since the Unix epoch.
    #[error("the key package was valid until {not_after}, now it is {now}")]
    Expired {
        /// When its life ended.
        not_after: u64,
        /// The time asked for.
        now: u64,
    },
    /// The credential is not basic, or names no inbox.
    #[error("the credential names no inbox")]
    Credential,
    /// The welcome wrapper extension `0xff03` cannot be decoded or names algorithm 3.
    #[error("the welcome wrapper extension is unusable")]
    WrapperExtension,
    /// The pointee extension `0xff04` cannot be decoded or lists an unknown type.
    #[error("the welcome pointee extension is unusable")]
    PointeeExtension,
}

impl VerifiedKeyPackage {
    /// Checks `bytes` at the time `now`: exactly one TLS key package, signatures, suite, keys, capabilities,
    /// lifetime, credential, XMTP extensions. The requester asks [`Self::is_of`] whether it got what it wanted.
    ///
    /// # Errors
    /// [`KeyPackageError`], the first rule that failed.
    pub fn verify(bytes: &[u8], now: UnixNanos) -> Result<Self, KeyPackageError> {
        let package = KeyPackageIn::tls_deserialize_exact(bytes).map_err(|_| KeyPackageError::Malformed)?;
        let package = validate(package)?;
        if package.ciphersuite() != CIPHERSUITE {
            return Err(KeyPackageError::CipherSuite);
        }
        check_lifetime(&package, now)?;
        let owner = leaf::sender_of(package.leaf_node()).ok_or(KeyPackageError::Credential)?;
        let wrapper = wrapper_of(&package)?;
        let pointers = takes_pointers(&package)? && matches!(wrapper, Wrapper::XWing(_));
        Ok(Self { package, owner, wrapper, pointers })
    }

    /// Checks many packages as [`Self::verify`] does, on all cores; each on its own, in order.
    #[must_use]
    pub fn verify_all(packages: &[&[u8]], now: UnixNanos) -> Vec<Result<Self, KeyPackageError>> {
        parallel::map(packages, PARALLEL_FROM, |bytes| Self::verify(bytes, now))
    }

    /// The installation: its leaf's signature key.
    #[must_use]
    pub const fn installation(&self) -> InstallationId {
        self.owner.installation
    }

    /// The inbox its credential names.
    #[must_use]
    pub const fn inbox(&self) -> InboxId {
        self.owner.inbox
    }

    /// Whether it is the package of this installation of this inbox. A node may serve another one, which would pass
    /// all checks here and break later welcomes (identity §10.2, §10.3).
    #[must_use]
    pub fn is_of(&self, installation: &InstallationId, inbox: &InboxId) -> bool {
        self.owner.installation == *installation && self.owner.inbox == *inbox
    }

    /// What its welcome is wrapped to.
    #[must_use]
    pub const fn wrapper(&self) -> &Wrapper {
        &self.wrapper
    }

    /// Whether it can be sent a welcome pointer: it lists AEAD 3 and has an X-Wing key (groups §6.3).
    #[must_use]
    pub const fn takes_pointers(&self) -> bool {
        self.pointers
    }

    /// Start of its life, seconds since the Unix epoch.
    #[must_use]
    pub fn not_before(&self) -> u64 {
        self.package.life_time().not_before()
    }

    /// End of its life, seconds since the Unix epoch. Prefer packages with ample life left (groups §9.1).
    #[must_use]
    pub fn not_after(&self) -> u64 {
        self.package.life_time().not_after()
    }

    /// The credential's identity bytes, as the validation service reports them (transport §8).
    #[must_use]
    pub fn credential_identity(&self) -> Vec<u8> {
        subrosa_identity::credential_identity(&self.owner.inbox)
    }

    /// The package's bytes, as it was read.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.package.tls_serialize_detached().unwrap_or_default()
    }

    /// The package as the MLS library knows it.
    pub(crate) fn into_package(self) -> KeyPackage {
        self.package
    }
}

/// The hash reference of a key package, which names it in storage; its lifetime does not matter.
///
/// # Errors
/// [`KeyPackageError::Malformed`], [`KeyPackageError::Invalid`].
pub fn key_package_reference(bytes: &[u8]) -> Result<Vec<u8>, KeyPackageError> {
    let package = validate(KeyPackageIn::tls_deserialize_exact(bytes).map_err(|_| KeyPackageError::Malformed)?)?;
    let provider = Provider::new(Rows::over([]), Randomness::os());
    let reference = package.hash_ref(provider.crypto()).map_err(|_| KeyPackageError::Malformed)?;
    Ok(reference.as_slice().to_vec())
}

/// The library's checks. Its last one asks the system clock for the lifetime; that verdict is replaced by
/// [`check_lifetime`], so that the answer depends on the caller's time alone.
fn validate(package: KeyPackageIn) -> Result<KeyPackage, KeyPackageError> {
    let provider = Provider::new(Rows::over([]), Randomness::os());
    match package.clone().validate(provider.crypto(), ProtocolVersion::Mls10) {
        Ok(package) => Ok(package),
        // Everything else has been checked when the library gets here; both types have the same stored form.
        Err(KeyPackageVerifyError::LifetimeError(_)) => postcard::to_allocvec(&package)
            .and_then(|stored| postcard::from_bytes(&stored))
            .map_err(|_| KeyPackageError::Malformed),
        Err(error) => Err(KeyPackageError::Invalid(error)),
    }
}

fn check_lifetime(package: &KeyPackage, now: UnixNanos) -> Result<(), KeyPackageError> {
    let lifetime = package.life_time();
    let now = u64::try_from(now.as_seconds()).unwrap_or(0);
    if lifetime.not_after() <= now {
        return Err(KeyPackageError::Expired { not_after: lifetime.not_after(), now });
    }
    if lifetime.not_before() > now {
        return Err(KeyPackageError::NotYetValid { not_before: lifetime.not_before(), now });
    }
    Ok(())
}

fn wrapper_of(package: &KeyPackage) -> Result<Wrapper, KeyPackageError> {
    let Some(extension) = package.extensions().unknown(profile::WELCOME_WRAPPER) else {
        return Ok(Wrapper::Curve25519(package.hpke_init_key().as_slice().to_vec()));
    };
    let message =
        WelcomeWrapperEncryption::decode(extension.0.as_slice()).map_err(|_| KeyPackageError::WrapperExtension)?;
    match WelcomeWrapperAlgorithm::try_from(message.algorithm) {
        Ok(WelcomeWrapperAlgorithm::XwingMlkem768Draft6) => Ok(Wrapper::XWing(message.pub_key)),
        Ok(WelcomeWrapperAlgorithm::SymmetricKey) => Err(KeyPackageError::WrapperExtension),
        // Unknown numbers read as Curve25519.
        _ => Ok(Wrapper::Curve25519(message.pub_key)),
    }
}

fn takes_pointers(package: &KeyPackage) -> Result<bool, KeyPackageError> {
    let Some(extension) = package.extensions().unknown(profile::WELCOME_POINTEE) else {
        return Ok(false);
    };
    let message = WelcomePointeeEncryptionAeadTypesExtension::decode(extension.0.as_slice())
        .map_err(|_| KeyPackageError::PointeeExtension)?;
    let chacha = i32::from(WelcomePointeeEncryptionAeadType::Chacha20Poly1305);
    if message.supported_aead_types.iter().any(|number| *number != chacha) {
        return Err(KeyPackageError::PointeeExtension);
    }
    Ok(!message.supported_aead_types.is_empty())
}
