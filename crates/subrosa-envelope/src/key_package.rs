//! A key package on its way to the node (envelopes §4.3).

use subrosa_proto::xmtp::mls::api::v1 as api;

use crate::{DecodeError, Field};

/// An upload: the TLS-serialised KeyPackage, without MLSMessage framing. Its contents are validated where MLS is
/// known (groups §1.4).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct KeyPackageUpload {
    /// The key package.
    pub bytes: Vec<u8>,
}

impl KeyPackageUpload {
    /// Encodes the request.
    #[must_use]
    pub fn to_proto(&self) -> api::UploadKeyPackageRequest {
        api::UploadKeyPackageRequest {
            key_package: Some(api::KeyPackageUpload { key_package_tls_serialized: self.bytes.clone() }),
            // Always true; nodes ignore it.
            is_inbox_id_credential: true,
        }
    }

    /// Decodes the request.
    ///
    /// # Errors
    /// [`DecodeError::Empty`] without a key package.
    pub fn from_proto(wire: api::UploadKeyPackageRequest) -> Result<Self, DecodeError> {
        let bytes = wire.key_package.map(|upload| upload.key_package_tls_serialized).unwrap_or_default();
        if bytes.is_empty() { Err(DecodeError::Empty(Field::KeyPackage)) } else { Ok(Self { bytes }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_without_a_key_package_is_refused() {
        for key_package in [None, Some(api::KeyPackageUpload::default())] {
            let wire = api::UploadKeyPackageRequest { key_package, is_inbox_id_credential: true };
            assert_eq!(KeyPackageUpload::from_proto(wire), Err(DecodeError::Empty(Field::KeyPackage)));
        }
    }

    #[test]
    fn decoding_inverts_encoding() {
        let upload = KeyPackageUpload { bytes: vec![1, 2, 3] };
        assert_eq!(KeyPackageUpload::from_proto(upload.to_proto()), Ok(upload));
    }
}
