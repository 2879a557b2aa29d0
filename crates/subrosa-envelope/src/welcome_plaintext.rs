//! What is sealed inside welcomes beside the MLS Welcome itself (envelopes §4.2).

use std::fmt;

use prost::Message;
use subrosa_proto::xmtp::mls::{api::v1 as api, message_contents as mc};
use subrosa_types::{InstallationId, SequenceId};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::{DecodeError, Field};

/// Where a joiner starts to read: the position of the commit that added it. The adder's claim, not truth
/// (sync §3.8).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct WelcomeMetadata {
    /// Position of the commit; 0 when the adder told none.
    pub message_cursor: SequenceId,
}

impl WelcomeMetadata {
    /// Metadata that names the commit at this position.
    #[must_use]
    pub const fn new(message_cursor: SequenceId) -> Self {
        Self { message_cursor }
    }

    /// Encodes the plaintext: `08` and the position as a varint.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        api::WelcomeMetadata { message_cursor: self.message_cursor.0 }.encode_to_vec()
    }

    /// Decodes the plaintext.
    ///
    /// # Errors
    /// [`DecodeError::Protobuf`]; a receiver of a direct welcome ignores metadata that does not decode.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let wire = api::WelcomeMetadata::decode(bytes).map_err(|_| DecodeError::Protobuf)?;
        Ok(Self::new(SequenceId(wire.message_cursor)))
    }
}

/// Where a shared welcome lies and how to open it: plaintext of a pointer (groups §6.3). Wiped on drop, its key is
/// never printed.
#[derive(Clone, Eq, PartialEq, Zeroize, ZeroizeOnDrop)]
#[non_exhaustive]
pub struct WelcomePointer {
    /// Welcome log that holds the pointee: 32 random bytes.
    #[zeroize(skip)]
    pub destination: InstallationId,
    /// Key of both ciphertexts of the pointee, ChaCha20-Poly1305.
    pub encryption_key: [u8; 32],
    /// Nonce of the welcome.
    pub data_nonce: [u8; 12],
    /// Nonce of the metadata, different from the other.
    pub metadata_nonce: [u8; 12],
}

impl WelcomePointer {
    /// A pointer to a pointee sealed with this key and these nonces. All four values are random, and the nonces
    /// differ.
    #[must_use]
    pub const fn new(
        destination: InstallationId,
        encryption_key: [u8; 32],
        data_nonce: [u8; 12],
        metadata_nonce: [u8; 12],
    ) -> Self {
        Self { destination, encryption_key, data_nonce, metadata_nonce }
    }

    /// Encodes the plaintext, 100 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let v1 = mc::welcome_pointer::WelcomeV1Pointer {
            destination: self.destination.as_bytes().to_vec(),
            aead_type: mc::WelcomePointeeEncryptionAeadType::Chacha20Poly1305.into(),
            encryption_key: self.encryption_key.to_vec(),
            data_nonce: self.data_nonce.to_vec(),
            welcome_metadata_nonce: self.metadata_nonce.to_vec(),
        };
        let mut wire = mc::WelcomePointer { version: Some(mc::welcome_pointer::Version::WelcomeV1Pointer(v1)) };
        let bytes = wire.encode_to_vec();
        if let Some(mc::welcome_pointer::Version::WelcomeV1Pointer(v1)) = &mut wire.version {
            v1.encryption_key.zeroize();
        }
        bytes
    }

    /// Decodes the plaintext.
    ///
    /// # Errors
    /// [`DecodeError`] for an unknown version, an AEAD other than ChaCha20-Poly1305 or a field of another length
    /// (envelopes §8, E21).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let wire = mc::WelcomePointer::decode(bytes).map_err(|_| DecodeError::Protobuf)?;
        let Some(mc::welcome_pointer::Version::WelcomeV1Pointer(mut v1)) = wire.version else {
            return Err(DecodeError::Version);
        };
        let key = exact(Field::EncryptionKey, &v1.encryption_key);
        v1.encryption_key.zeroize();
        let encryption_key = key?;
        if v1.aead_type != i32::from(mc::WelcomePointeeEncryptionAeadType::Chacha20Poly1305) {
            return Err(DecodeError::Algorithm(v1.aead_type));
        }
        let destination =
            InstallationId::from_slice(&v1.destination).map_err(|error| DecodeError::id(Field::Destination, error))?;
        let data_nonce = exact(Field::Nonce, &v1.data_nonce)?;
        let metadata_nonce = exact(Field::Nonce, &v1.welcome_metadata_nonce)?;
        Ok(Self::new(destination, encryption_key, data_nonce, metadata_nonce))
    }
}

fn exact<const N: usize>(field: Field, bytes: &[u8]) -> Result<[u8; N], DecodeError> {
    bytes.try_into().map_err(|_| DecodeError::Length { field, got: bytes.len() })
}

impl fmt::Debug for WelcomePointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { destination, encryption_key: _, data_nonce: _, metadata_nonce: _ } = self;
        f.debug_struct("WelcomePointer").field("destination", destination).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use subrosa_types::hex;

    use super::*;

    fn pointer() -> WelcomePointer {
        WelcomePointer::new(InstallationId::from_bytes([1; 32]), [2; 32], [3; 12], [4; 12])
    }

    #[test]
    fn metadata_matches_the_specification() {
        for (cursor, want) in [(300, "08ac02"), (7, "0807"), (1, "0801"), (0, "")] {
            let metadata = WelcomeMetadata::new(SequenceId(cursor));
            assert_eq!(hex::encode(&metadata.to_bytes()), want);
            assert_eq!(WelcomeMetadata::from_bytes(&hex::decode(want).unwrap()), Ok(metadata));
        }
    }

    #[test]
    fn a_pointer_has_100_bytes() {
        assert_eq!(pointer().to_bytes().len(), 100);
    }

    #[test]
    fn the_key_of_a_pointer_is_not_printed() {
        assert_eq!(format!("{:?}", pointer()), "WelcomePointer { destination: 01010101…, .. }");
    }

    #[track_caller]
    fn refuses(change: impl FnOnce(&mut mc::welcome_pointer::WelcomeV1Pointer), want: DecodeError) {
        let mut wire = mc::WelcomePointer::decode(&pointer().to_bytes()[..]).unwrap();
        let Some(mc::welcome_pointer::Version::WelcomeV1Pointer(v1)) = &mut wire.version else { unreachable!() };
        change(v1);
        assert_eq!(WelcomePointer::from_bytes(&wire.encode_to_vec()), Err(want));
    }

    #[test]
    fn e21_other_aeads_and_lengths_are_refused() {
        for aead in [0, 1, 4] {
            refuses(|v1| v1.aead_type = aead, DecodeError::Algorithm(aead));
        }
        let length = |field, got| DecodeError::Length { field, got };
        refuses(|v1| v1.encryption_key = vec![0; 31], length(Field::EncryptionKey, 31));
        refuses(|v1| v1.data_nonce = vec![0; 13], length(Field::Nonce, 13));
        refuses(|v1| v1.welcome_metadata_nonce = vec![], length(Field::Nonce, 0));
        refuses(|v1| v1.destination = vec![0; 16], length(Field::Destination, 16));
        assert_eq!(WelcomePointer::from_bytes(&[]), Err(DecodeError::Version));
    }

    proptest! {
        #[test]
        fn decoding_inverts_encoding(destination: [u8; 32], key: [u8; 32], data: [u8; 12], metadata: [u8; 12]) {
            let pointer = WelcomePointer::new(InstallationId::from_bytes(destination), key, data, metadata);
            prop_assert_eq!(WelcomePointer::from_bytes(&pointer.to_bytes()), Ok(pointer));
        }

        #[test]
        fn any_bytes_are_decoded_or_refused(bytes: Vec<u8>) {
            let _ = WelcomePointer::from_bytes(&bytes);
            let _ = WelcomeMetadata::from_bytes(&bytes);
        }
    }
}
