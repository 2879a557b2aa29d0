//! Wrapping an MLS Welcome for its recipients (groups §6.2, §6.3).

use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _, aead::Aead as _};
use subrosa_envelope::{WelcomeInput, WelcomeMetadata, WelcomePointer, WrapperAlgorithm};
use subrosa_types::{InstallationId, SequenceId};

use crate::{
    hpke::{self, EPHEMERAL, HpkeFailed, Kem, WELCOME_INFO},
    key_package::{VerifiedKeyPackage, Wrapper},
    parallel,
    random::{RandomError, Randomness},
    vector::with_length,
};

/// Pointers are used when more recipients than this can take them (groups §6.3).
const DIRECT_UP_TO: usize = 2;

/// From how many recipients on the work is spread over threads.
const PARALLEL_FROM: usize = 16;

/// Somebody who is to be welcomed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Recipient {
    /// The installation, whose welcome topic is written to.
    pub installation: InstallationId,
    /// The key to wrap to.
    pub wrapper: Wrapper,
    /// Whether a pointer may be sent instead.
    pub takes_pointers: bool,
}

impl From<&VerifiedKeyPackage> for Recipient {
    fn from(package: &VerifiedKeyPackage) -> Self {
        Self {
            installation: package.installation(),
            wrapper: package.wrapper().clone(),
            takes_pointers: package.takes_pointers(),
        }
    }
}

/// Welcomes ready to be sent.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Wrapped {
    /// The welcomes; a pointee comes first.
    pub welcomes: Vec<WelcomeInput>,
    /// Recipients whose wrapper key is unusable. They are in the tree but cannot be told; they get in by a re-add.
    pub failed: Vec<InstallationId>,
}

/// Wraps `welcome` (an MLS message) for everybody. `message_cursor` is the sequence id of the commit.
///
/// # Errors
/// [`RandomError`] when there are no random bytes.
pub fn wrap(
    welcome: &[u8],
    message_cursor: SequenceId,
    recipients: &[Recipient],
    random: &Randomness,
) -> Result<Wrapped, RandomError> {
    let metadata = WelcomeMetadata::new(message_cursor).to_bytes();
    let mut wrapped = Wrapped::default();
    let capable = recipients.iter().filter(|recipient| recipient.takes_pointers).count();
    let pointer = if capable > DIRECT_UP_TO {
        let pointer = new_pointer(random)?;
        if let Some(pointee) = pointee(&pointer, welcome, &metadata) {
            wrapped.welcomes.push(pointee);
            Some(pointer.to_bytes())
        } else {
            None
        }
    } else {
        None
    };
    // Drawn one after the other, so that the result does not depend on the number of threads.
    let drawn: Vec<(&Recipient, [u8; EPHEMERAL])> =
        recipients.iter().map(|recipient| Ok((recipient, random.array()?))).collect::<Result<_, RandomError>>()?;
    let sealed = parallel::map(&drawn, PARALLEL_FROM, |(recipient, ephemeral)| match &pointer {
        Some(pointer) if recipient.takes_pointers => seal_pointer(recipient, pointer, ephemeral),
        _ => seal_direct(recipient, welcome, &metadata, ephemeral),
    });
    for (recipient, result) in recipients.iter().zip(sealed) {
        match result {
            Ok(input) => wrapped.welcomes.push(input),
            Err(HpkeFailed) => wrapped.failed.push(recipient.installation),
        }
    }
    Ok(wrapped)
}

fn kem_of(wrapper: &Wrapper) -> (Kem, WrapperAlgorithm) {
    match wrapper {
        Wrapper::Curve25519(_) => (Kem::Curve25519, WrapperAlgorithm::Curve25519),
        Wrapper::XWing(_) => (Kem::XWing, WrapperAlgorithm::XWing),
    }
}

/// One context, two seals: first the welcome, then the metadata.
fn seal_direct(
    recipient: &Recipient,
    welcome: &[u8],
    metadata: &[u8],
    ephemeral: &[u8; EPHEMERAL],
) -> Result<WelcomeInput, HpkeFailed> {
    let (kem, wrapper) = kem_of(&recipient.wrapper);
    let hpke_public_key = recipient.wrapper.public_key().to_vec();
    let (kem_output, mut context) = hpke::sender(kem, &hpke_public_key, WELCOME_INFO, ephemeral)?;
    let welcome = context.seal(&[], welcome).map_err(|_| HpkeFailed)?;
    let metadata = context.seal(&[], metadata).map_err(|_| HpkeFailed)?;
    let data = [with_length(&kem_output), with_length(&welcome)].concat();
    Ok(WelcomeInput::Direct { installation_key: recipient.installation, data, hpke_public_key, wrapper, metadata })
}

fn seal_pointer(
    recipient: &Recipient,
    pointer: &[u8],
    ephemeral: &[u8; EPHEMERAL],
) -> Result<WelcomeInput, HpkeFailed> {
    let hpke_public_key = recipient.wrapper.public_key().to_vec();
    let (kem_output, mut context) = hpke::sender(Kem::XWing, &hpke_public_key, WELCOME_INFO, ephemeral)?;
    let sealed = context.seal(&[], pointer).map_err(|_| HpkeFailed)?;
    let pointer = [with_length(&kem_output), with_length(&sealed)].concat();
    Ok(WelcomeInput::Pointer { installation_key: recipient.installation, pointer, hpke_public_key })
}

fn new_pointer(random: &Randomness) -> Result<WelcomePointer, RandomError> {
    let data_nonce: [u8; 12] = random.array()?;
    let metadata_nonce = loop {
        let other: [u8; 12] = random.array()?;
        if other != data_nonce {
            break other;
        }
    };
    Ok(WelcomePointer::new(InstallationId::from_bytes(random.array()?), random.array()?, data_nonce, metadata_nonce))
}

/// The shared welcome that pointers name. `None` only for a welcome too large for the cipher.
fn pointee(pointer: &WelcomePointer, welcome: &[u8], metadata: &[u8]) -> Option<WelcomeInput> {
    let cipher = ChaCha20Poly1305::new(&pointer.encryption_key.into());
    Some(WelcomeInput::Direct {
        installation_key: pointer.destination,
        data: cipher.encrypt(&pointer.data_nonce.into(), welcome).ok()?,
        hpke_public_key: Vec::new(),
        wrapper: WrapperAlgorithm::Symmetric,
        metadata: cipher.encrypt(&pointer.metadata_nonce.into(), metadata).ok()?,
    })
}
