//! What follows a commit of ours: the welcomes (sync §2.11).

use prost::Message as _;
use subrosa_group::{Wrapper, welcome::Recipient};
use subrosa_proto::xmtp::mls::{database as proto, message_contents as contents};
use subrosa_types::InstallationId;

/// The welcome that a commit made, and who gets it.
#[derive(Clone, Debug)]
pub struct PostCommit {
    /// The MLS message with the welcome; the same bytes for everybody.
    pub welcome: Vec<u8>,
    /// The installations that were added.
    pub recipients: Vec<Recipient>,
}

/// The stored work is not of this release's form.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("undecodable post-commit work")]
pub struct PostCommitError;

const POINTEE_AEAD: i32 = contents::WelcomePointeeEncryptionAeadType::Chacha20Poly1305 as i32;

const CURVE25519: i32 = contents::WelcomeWrapperAlgorithm::Curve25519 as i32;
const X_WING: i32 = contents::WelcomeWrapperAlgorithm::XwingMlkem768Draft6 as i32;

impl PostCommit {
    /// The stored form.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let installations = self.recipients.iter().map(|recipient| {
            let aead_types = contents::WelcomePointeeEncryptionAeadTypesExtension {
                supported_aead_types: if recipient.takes_pointers { vec![POINTEE_AEAD] } else { Vec::new() },
            };
            proto::post_commit_action::Installation {
                installation_key: recipient.installation.as_bytes().to_vec(),
                hpke_public_key: recipient.wrapper.public_key().to_vec(),
                welcome_wrapper_algorithm: match recipient.wrapper {
                    Wrapper::XWing(_) => X_WING,
                    _ => CURVE25519,
                },
                welcome_pointee_encryption_aead_types: Some(aead_types),
            }
        });
        let send = proto::post_commit_action::SendWelcomes {
            installations: installations.collect(),
            welcome_message: self.welcome.clone(),
        };
        proto::PostCommitAction { kind: Some(proto::post_commit_action::Kind::SendWelcomes(send)) }.encode_to_vec()
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`PostCommitError`] when the row is damaged or of another release.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PostCommitError> {
        let action = proto::PostCommitAction::decode(bytes).map_err(|_| PostCommitError)?;
        let Some(proto::post_commit_action::Kind::SendWelcomes(send)) = action.kind else {
            return Err(PostCommitError);
        };
        let recipients = send.installations.into_iter().map(|entry| {
            Some(Recipient {
                installation: InstallationId::from_slice(&entry.installation_key).ok()?,
                wrapper: match entry.welcome_wrapper_algorithm {
                    CURVE25519 => Wrapper::Curve25519(entry.hpke_public_key),
                    X_WING => Wrapper::XWing(entry.hpke_public_key),
                    _ => return None,
                },
                takes_pointers: entry
                    .welcome_pointee_encryption_aead_types
                    .is_some_and(|types| types.supported_aead_types.contains(&POINTEE_AEAD)),
            })
        });
        let recipients = recipients.collect::<Option<_>>().ok_or(PostCommitError)?;
        Ok(Self { welcome: send.welcome_message, recipients })
    }
}
