//! Welcomes as sent and as delivered (envelopes §4.2).

use prost::Message as _;
use subrosa_proto::xmtp::mls::{api::v1 as api, message_contents as mc};
use subrosa_types::{Cursor, InstallationId, OriginatorId, SequenceId, UnixNanos};

use crate::{DecodeError, DedupeKey, Field};

/// How a welcome is sealed (groups §6.2).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum WrapperAlgorithm {
    /// HPKE with DHKEM(X25519, HKDF-SHA256), to the init key of a key package. Number 1.
    Curve25519,
    /// HPKE with X-Wing draft 06 (ML-KEM-768 and X25519), to the key in extension 0xff03. Number 2.
    XWing,
    /// ChaCha20-Poly1305 under a key that pointers carry. Number 3, in pointees only.
    Symmetric,
}

impl WrapperAlgorithm {
    /// The number on the wire.
    #[must_use]
    pub const fn to_wire(self) -> i32 {
        match self {
            Self::Curve25519 => 1,
            Self::XWing => 2,
            Self::Symmetric => 3,
        }
    }

    /// The algorithm with this number; 0 means 1, as in senders that knew of no other (envelopes §8, E17).
    ///
    /// # Errors
    /// [`DecodeError::Algorithm`] for a number outside 0 to 3 (E16).
    pub const fn from_wire(number: i32) -> Result<Self, DecodeError> {
        match number {
            0 | 1 => Ok(Self::Curve25519),
            2 => Ok(Self::XWing),
            3 => Ok(Self::Symmetric),
            other => Err(DecodeError::Algorithm(other)),
        }
    }
}

/// The number that pointers must have: X-Wing.
const POINTER_ALGORITHM: i32 = mc::WelcomePointerWrapperAlgorithm::XwingMlkem768Draft6 as i32;

/// A welcome on its way to the network.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a third form would be refused by every node (envelopes §8, E13)")]
pub enum WelcomeInput {
    /// The sealed MLS Welcome itself; for a pointee the destination stands in place of the recipient.
    Direct {
        /// Recipient, or the random destination of a pointee.
        installation_key: InstallationId,
        /// The sealed MLS Welcome: an HPKE ciphertext, or a bare one in a pointee.
        data: Vec<u8>,
        /// Key it was sealed to: 32 bytes, 1216 with X-Wing, empty in a pointee.
        hpke_public_key: Vec<u8>,
        /// How it is sealed.
        wrapper: WrapperAlgorithm,
        /// The sealed [`crate::WelcomeMetadata`]; may be empty.
        metadata: Vec<u8>,
    },
    /// Where the sealed Welcome lies and how to open it, sealed with X-Wing to one recipient.
    Pointer {
        /// Recipient.
        installation_key: InstallationId,
        /// The sealed [`crate::WelcomePointer`]: an HPKE ciphertext.
        pointer: Vec<u8>,
        /// Key it was sealed to, 1216 bytes.
        hpke_public_key: Vec<u8>,
    },
}

impl WelcomeInput {
    /// The installation whose welcome log this belongs to.
    #[must_use]
    pub const fn installation(&self) -> &InstallationId {
        match self {
            Self::Direct { installation_key, .. } | Self::Pointer { installation_key, .. } => installation_key,
        }
    }

    /// The recipient's public key that it was wrapped to; empty on a pointee.
    #[must_use]
    pub fn hpke_public_key(&self) -> &[u8] {
        match self {
            Self::Direct { hpke_public_key, .. } | Self::Pointer { hpke_public_key, .. } => hpke_public_key,
        }
    }

    /// Bytes of all fields: what the size of a batch is reckoned with (envelopes §4.2).
    #[must_use]
    pub const fn size(&self) -> usize {
        match self {
            Self::Direct { data, hpke_public_key, metadata, .. } => {
                InstallationId::LEN + data.len() + hpke_public_key.len() + metadata.len()
            }
            Self::Pointer { pointer, hpke_public_key, .. } => {
                InstallationId::LEN + pointer.len() + hpke_public_key.len()
            }
        }
    }

    /// What a node compares to store a repetition once (envelopes §6.4).
    #[must_use]
    pub fn dedupe_key(&self) -> DedupeKey {
        let (Self::Direct { data: payload, .. } | Self::Pointer { pointer: payload, .. }) = self;
        DedupeKey::of(self.installation().as_bytes(), payload)
    }

    /// Encodes the input.
    #[must_use]
    pub fn to_proto(&self) -> api::WelcomeMessageInput {
        use api::welcome_message_input::{V1, Version, WelcomePointer};
        let version = match self.clone() {
            Self::Direct { installation_key, data, hpke_public_key, wrapper, metadata } => Version::V1(V1 {
                installation_key: installation_key.as_bytes().to_vec(),
                data,
                hpke_public_key,
                wrapper_algorithm: wrapper.to_wire(),
                welcome_metadata: metadata,
            }),
            Self::Pointer { installation_key, pointer, hpke_public_key } => Version::WelcomePointer(WelcomePointer {
                installation_key: installation_key.as_bytes().to_vec(),
                welcome_pointer: pointer,
                hpke_public_key,
                wrapper_algorithm: POINTER_ALGORITHM,
            }),
        };
        api::WelcomeMessageInput { version: Some(version) }
    }

    /// Decodes an input and checks that the network may store it.
    ///
    /// # Errors
    /// [`DecodeError`] for an unknown version, an empty field, a recipient that is not 32 bytes or an unknown
    /// algorithm (envelopes §8, E13 to E18).
    pub fn from_proto(wire: api::WelcomeMessageInput) -> Result<Self, DecodeError> {
        use api::welcome_message_input::Version;
        match wire.version.ok_or(DecodeError::Version)? {
            Version::V1(v1) => Self::direct(
                &v1.installation_key,
                v1.data,
                v1.hpke_public_key,
                v1.wrapper_algorithm,
                v1.welcome_metadata,
            ),
            Version::WelcomePointer(wire) => Self::pointer(
                &wire.installation_key,
                wire.welcome_pointer,
                wire.hpke_public_key,
                wire.wrapper_algorithm,
            ),
        }
    }

    fn direct(
        key: &[u8],
        data: Vec<u8>,
        hpke_public_key: Vec<u8>,
        algorithm: i32,
        metadata: Vec<u8>,
    ) -> Result<Self, DecodeError> {
        let installation_key = installation(key)?;
        filled(Field::Data, &data)?;
        let wrapper = WrapperAlgorithm::from_wire(algorithm)?;
        if wrapper != WrapperAlgorithm::Symmetric {
            filled(Field::HpkePublicKey, &hpke_public_key)?;
        }
        Ok(Self::Direct { installation_key, data, hpke_public_key, wrapper, metadata })
    }

    fn pointer(key: &[u8], pointer: Vec<u8>, hpke_public_key: Vec<u8>, algorithm: i32) -> Result<Self, DecodeError> {
        let installation_key = installation(key)?;
        filled(Field::WelcomePointer, &pointer)?;
        filled(Field::HpkePublicKey, &hpke_public_key)?;
        if algorithm != POINTER_ALGORITHM {
            return Err(DecodeError::Algorithm(algorithm));
        }
        Ok(Self::Pointer { installation_key, pointer, hpke_public_key })
    }
}

fn installation(key: &[u8]) -> Result<InstallationId, DecodeError> {
    InstallationId::from_slice(key).map_err(|error| DecodeError::id(Field::InstallationKey, error))
}

fn filled(field: Field, bytes: &[u8]) -> Result<(), DecodeError> {
    if bytes.is_empty() { Err(DecodeError::Empty(field)) } else { Ok(()) }
}

/// A welcome as the network delivers it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct Welcome {
    /// Position in the installation's welcome log, from 1.
    pub sequence: SequenceId,
    /// The node's clock when it stored the welcome.
    pub created: UnixNanos,
    /// What was sent.
    pub input: WelcomeInput,
}

impl Welcome {
    /// A welcome that was stored.
    ///
    /// # Errors
    /// [`DecodeError::Sequence`] for an impossible position.
    pub fn new(sequence: SequenceId, created: UnixNanos, input: WelcomeInput) -> Result<Self, DecodeError> {
        if !sequence.is_item() {
            return Err(DecodeError::Sequence(sequence.0));
        }
        Ok(Self { sequence, created, input })
    }

    /// The installation whose welcome log this stands in.
    #[must_use]
    pub const fn installation(&self) -> &InstallationId {
        self.input.installation()
    }

    /// Position with its originator.
    #[must_use]
    pub const fn cursor(&self) -> Cursor {
        Cursor::new(OriginatorId::WELCOMES, self.sequence)
    }

    /// Encodes the delivered form.
    #[must_use]
    pub fn to_proto(&self) -> api::WelcomeMessage {
        use api::welcome_message::{V1, Version, WelcomePointer};
        let (id, created_ns) = (self.sequence.0, self.created.to_wire());
        let version = match self.input.clone() {
            WelcomeInput::Direct { installation_key, data, hpke_public_key, wrapper, metadata } => Version::V1(V1 {
                id,
                created_ns,
                installation_key: installation_key.as_bytes().to_vec(),
                data,
                hpke_public_key,
                wrapper_algorithm: wrapper.to_wire(),
                welcome_metadata: metadata,
            }),
            WelcomeInput::Pointer { installation_key, pointer, hpke_public_key } => {
                Version::WelcomePointer(WelcomePointer {
                    id,
                    created_ns,
                    installation_key: installation_key.as_bytes().to_vec(),
                    welcome_pointer: pointer,
                    hpke_public_key,
                    wrapper_algorithm: POINTER_ALGORITHM,
                })
            }
        };
        api::WelcomeMessage { version: Some(version) }
    }

    /// Decodes a delivered welcome, by the rules of [`WelcomeInput::from_proto`].
    ///
    /// # Errors
    /// [`DecodeError`]: a client skips such an item and passes it (envelopes §8).
    pub fn from_proto(wire: api::WelcomeMessage) -> Result<Self, DecodeError> {
        use api::welcome_message::Version;
        let (id, created, input) = match wire.version.ok_or(DecodeError::Version)? {
            Version::V1(v1) => (
                v1.id,
                v1.created_ns,
                WelcomeInput::direct(
                    &v1.installation_key,
                    v1.data,
                    v1.hpke_public_key,
                    v1.wrapper_algorithm,
                    v1.welcome_metadata,
                )?,
            ),
            Version::WelcomePointer(p) => (
                p.id,
                p.created_ns,
                WelcomeInput::pointer(&p.installation_key, p.welcome_pointer, p.hpke_public_key, p.wrapper_algorithm)?,
            ),
        };
        Self::new(SequenceId(id), UnixNanos::from_wire(created), input)
    }

    /// Serialises the delivered form, to be kept.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.to_proto().encode_to_vec()
    }

    /// Reads what [`Self::to_bytes`] wrote, or what a push server delivers.
    ///
    /// # Errors
    /// As [`Self::from_proto`]; [`DecodeError::Protobuf`] for other bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::from_proto(api::WelcomeMessage::decode(bytes).map_err(|_| DecodeError::Protobuf)?)
    }
}

#[cfg(test)]
mod tests {
    use api::welcome_message_input::{V1, Version, WelcomePointer};
    use proptest::prelude::*;

    use super::*;

    fn v1() -> V1 {
        V1 {
            installation_key: vec![1; 32],
            data: vec![2; 9],
            hpke_public_key: vec![3; 32],
            wrapper_algorithm: 1,
            welcome_metadata: vec![],
        }
    }

    fn pointer() -> WelcomePointer {
        WelcomePointer {
            installation_key: vec![1; 32],
            welcome_pointer: vec![2; 9],
            hpke_public_key: vec![3; 1216],
            wrapper_algorithm: 2,
        }
    }

    #[track_caller]
    fn refuses(version: Version, want: DecodeError) {
        let wire = api::WelcomeMessageInput { version: Some(version) };
        assert_eq!(WelcomeInput::from_proto(wire), Err(want));
    }

    #[test]
    fn e13_a_welcome_without_version_is_refused() {
        let got = WelcomeInput::from_proto(api::WelcomeMessageInput { version: None });
        assert_eq!(got, Err(DecodeError::Version));
        assert_eq!(Welcome::from_proto(api::WelcomeMessage { version: None }), Err(DecodeError::Version));
    }

    #[test]
    fn e14_empty_fields_are_refused() {
        refuses(Version::V1(V1 { installation_key: vec![], ..v1() }), DecodeError::Empty(Field::InstallationKey));
        refuses(Version::V1(V1 { data: vec![], ..v1() }), DecodeError::Empty(Field::Data));
        for wrapper_algorithm in 0..3 {
            let keyless = V1 { hpke_public_key: vec![], wrapper_algorithm, ..v1() };
            refuses(Version::V1(keyless), DecodeError::Empty(Field::HpkePublicKey));
        }
        let pointee = V1 { hpke_public_key: vec![], wrapper_algorithm: 3, ..v1() };
        assert!(WelcomeInput::from_proto(api::WelcomeMessageInput { version: Some(Version::V1(pointee)) }).is_ok());
    }

    #[test]
    fn e15_a_recipient_that_is_not_32_bytes_is_refused() {
        for got in [1, 31, 33, 64] {
            let want = DecodeError::Length { field: Field::InstallationKey, got };
            refuses(Version::V1(V1 { installation_key: vec![1; got], ..v1() }), want);
            refuses(Version::WelcomePointer(WelcomePointer { installation_key: vec![1; got], ..pointer() }), want);
        }
    }

    #[test]
    fn e16_unknown_algorithms_are_refused() {
        for wrapper_algorithm in [-1, 4, i32::MAX, i32::MIN] {
            refuses(Version::V1(V1 { wrapper_algorithm, ..v1() }), DecodeError::Algorithm(wrapper_algorithm));
        }
    }

    #[test]
    fn e17_algorithm_0_means_1() {
        let wire = api::WelcomeMessageInput { version: Some(Version::V1(V1 { wrapper_algorithm: 0, ..v1() })) };
        let want = api::WelcomeMessageInput { version: Some(Version::V1(v1())) };
        assert_eq!(WelcomeInput::from_proto(wire).unwrap().to_proto(), want);
    }

    #[test]
    fn e18_a_pointer_with_another_algorithm_or_an_empty_field_is_refused() {
        for wrapper_algorithm in [-1, 0, 1, 3, 4] {
            let odd = WelcomePointer { wrapper_algorithm, ..pointer() };
            refuses(Version::WelcomePointer(odd), DecodeError::Algorithm(wrapper_algorithm));
        }
        let empty = |field| DecodeError::Empty(field);
        refuses(
            Version::WelcomePointer(WelcomePointer { installation_key: vec![], ..pointer() }),
            empty(Field::InstallationKey),
        );
        refuses(
            Version::WelcomePointer(WelcomePointer { welcome_pointer: vec![], ..pointer() }),
            empty(Field::WelcomePointer),
        );
        refuses(
            Version::WelcomePointer(WelcomePointer { hpke_public_key: vec![], ..pointer() }),
            empty(Field::HpkePublicKey),
        );
    }

    #[test]
    fn e30_a_position_that_is_not_one_is_refused() {
        let input = WelcomeInput::from_proto(api::WelcomeMessageInput { version: Some(Version::V1(v1())) }).unwrap();
        let got = Welcome::new(SequenceId::START, UnixNanos::EPOCH, input);
        assert_eq!(got, Err(DecodeError::Sequence(0)));
    }

    fn input() -> impl Strategy<Value = WelcomeInput> {
        let bytes = || prop::collection::vec(any::<u8>(), 1..40);
        let algorithms = vec![WrapperAlgorithm::Curve25519, WrapperAlgorithm::XWing, WrapperAlgorithm::Symmetric];
        let key = any::<[u8; 32]>().prop_map(InstallationId::from_bytes);
        let direct = (key.clone(), bytes(), bytes(), prop::sample::select(algorithms), any::<Vec<u8>>()).prop_map(
            |(installation_key, data, hpke_public_key, wrapper, metadata)| WelcomeInput::Direct {
                installation_key,
                data,
                hpke_public_key,
                wrapper,
                metadata,
            },
        );
        let pointer = (key, bytes(), bytes()).prop_map(|(installation_key, pointer, hpke_public_key)| {
            WelcomeInput::Pointer { installation_key, pointer, hpke_public_key }
        });
        prop_oneof![direct, pointer]
    }

    proptest! {
        #[test]
        fn decoding_inverts_encoding(input in input(), id in 1..=SequenceId::MAX.0, created in 0..=i64::MAX) {
            prop_assert_eq!(WelcomeInput::from_proto(input.to_proto()), Ok(input.clone()));
            let welcome = Welcome::new(SequenceId(id), UnixNanos::from_nanos(created), input).unwrap();
            prop_assert_eq!(Welcome::from_proto(welcome.to_proto()), Ok(welcome));
        }
    }
}
