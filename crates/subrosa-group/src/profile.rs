//! The MLS profile: every fixed parameter (groups §1.1, §1.2, §1.3, §2.1).

use std::sync::LazyLock;

use openmls::prelude::{
    Capabilities, Ciphersuite, CredentialType, Extension, ExtensionType, Lifetime, MlsGroupJoinConfig, ProposalType,
    ProtocolVersion, RequiredCapabilitiesExtension,
};
use subrosa_types::UnixNanos;

/// `0x0003`: X25519, ChaCha20-Poly1305, SHA-256, Ed25519.
pub(crate) const CIPHERSUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519;

/// How many past epochs can still be read (groups §5.1).
pub(crate) const PAST_EPOCHS: usize = 3;

/// Immutable metadata, group context.
pub(crate) const IMMUTABLE_METADATA: u16 = 0xf000;
/// Mutable metadata, group context.
pub(crate) const MUTABLE_METADATA: u16 = 0xff00;
/// Membership, group context.
pub(crate) const MEMBERSHIP: u16 = 0xff01;
/// Permissions, group context.
pub(crate) const PERMISSIONS: u16 = 0xff02;
/// Welcome wrapper key, key package.
pub(crate) const WELCOME_WRAPPER: u16 = 0xff03;
/// Welcome pointee AEAD types, key package.
pub(crate) const WELCOME_POINTEE: u16 = 0xff04;

/// How long before its making a key package is valid, in seconds.
const LIFETIME_MARGIN: u64 = 3_600;
/// How long after its making a key package is valid, in seconds: 84 days.
const LIFETIME: u64 = 7_257_600;

/// The life of a leaf made at `now`. Always explicit: the library would ask the system clock.
pub(crate) fn lifetime(now: UnixNanos) -> Lifetime {
    let now = u64::try_from(now.as_seconds()).unwrap_or(0);
    Lifetime::init(now.saturating_sub(LIFETIME_MARGIN), now.saturating_add(LIFETIME))
}

/// What a key package's leaf can do, in the order every client writes.
pub(crate) fn key_package_capabilities() -> Capabilities {
    Capabilities::new(
        Some(&[ProtocolVersion::Mls10]),
        Some(&[CIPHERSUITE]),
        Some(&[
            ExtensionType::LastResort,
            ExtensionType::ApplicationId,
            ExtensionType::Unknown(PERMISSIONS),
            ExtensionType::Unknown(MUTABLE_METADATA),
            ExtensionType::Unknown(MEMBERSHIP),
            ExtensionType::Unknown(WELCOME_WRAPPER),
            ExtensionType::Unknown(WELCOME_POINTEE),
            ExtensionType::Unknown(IMMUTABLE_METADATA),
        ]),
        Some(&[ProposalType::GroupContextExtensions]),
        Some(&[CredentialType::Basic]),
    )
}

/// What every member must be able to do; the creator's leaf lists exactly these.
const REQUIRED_EXTENSIONS: [ExtensionType; 6] = [
    ExtensionType::Unknown(MEMBERSHIP),
    ExtensionType::Unknown(MUTABLE_METADATA),
    ExtensionType::Unknown(PERMISSIONS),
    ExtensionType::Unknown(IMMUTABLE_METADATA),
    ExtensionType::LastResort,
    ExtensionType::ApplicationId,
];

/// What the creator's leaf can do.
pub(crate) fn creator_capabilities() -> Capabilities {
    Capabilities::new(
        Some(&[ProtocolVersion::Mls10]),
        Some(&[CIPHERSUITE]),
        Some(&REQUIRED_EXTENSIONS),
        Some(&[ProposalType::GroupContextExtensions]),
        Some(&[CredentialType::Basic]),
    )
}

/// The `required_capabilities` of a new group.
pub(crate) fn required_capabilities() -> Extension {
    Extension::RequiredCapabilities(RequiredCapabilitiesExtension::new(
        &REQUIRED_EXTENSIONS,
        &[ProposalType::GroupContextExtensions],
        &[CredentialType::Basic],
    ))
}

/// How a group is run: pure ciphertext, no padding, ratchet (5, 1000), tree inside the welcome.
pub(crate) fn join_config() -> &'static MlsGroupJoinConfig {
    static CONFIG: LazyLock<MlsGroupJoinConfig> = LazyLock::new(|| {
        MlsGroupJoinConfig::builder()
            .max_past_epochs(PAST_EPOCHS)
            .number_of_resumption_psks(0)
            .use_ratchet_tree_extension(true)
            .build()
    });
    &CONFIG
}

/// [`join_config`] in the self-describing form that the library can read back.
pub(crate) fn join_config_json() -> &'static [u8] {
    static JSON: LazyLock<Vec<u8>> = LazyLock::new(|| serde_json::to_vec(join_config()).unwrap_or_default());
    &JSON
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_configuration_is_the_configuration() {
        let read: MlsGroupJoinConfig = serde_json::from_slice(join_config_json()).unwrap();
        assert_eq!(&read, join_config());
        assert_eq!(read.padding_size(), 0);
    }
}
