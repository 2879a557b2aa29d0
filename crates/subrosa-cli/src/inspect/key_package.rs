//! Key packages (groups §1.3, envelopes §4.3).

use prost::Message as _;
use subrosa_envelope::KeyPackageUpload;
use subrosa_group::{KeyPackageError, VerifiedKeyPackage, Wrapper};
use subrosa_proto::xmtp::mls::api::v1::UploadKeyPackageRequest;
use subrosa_types::UnixNanos;

use super::{Facts, Report, not_a, utc};
use crate::failure::{Code, Failure};

const WHAT: &str = "a key package";

/// Version 1 and wire format 5: a key package inside an MLS message.
const MLS_MESSAGE: [u8; 4] = [0, 1, 0, 5];

pub(crate) fn report(bytes: &[u8], now: UnixNanos) -> Result<Report, Failure> {
    let (form, package) = package(bytes)?;
    let (verified, invalid) = match VerifiedKeyPackage::verify(&package, now) {
        Ok(verified) => (verified, None),
        Err(error) => {
            let time = in_its_life(&error).ok_or_else(|| not_a("a valid key package", bytes, &error))?;
            let verified =
                VerifiedKeyPackage::verify(&package, time).map_err(|_| not_a("a valid key package", bytes, &error))?;
            (verified, Some(error))
        }
    };
    let verdict = match &invalid {
        None => "valid now".to_owned(),
        Some(error) => error.to_string(),
    };
    let algorithm = match verified.wrapper() {
        Wrapper::XWing(_) => "X-Wing (ML-KEM-768 and X25519)",
        _ => "X25519",
    };
    let facts = Facts::new()
        .with("form", form)
        .with("size", format!("{} bytes", package.len()))
        .with("verdict", verdict)
        .with("inbox", verified.inbox().to_hex())
        .with("installation", verified.installation().to_hex())
        .with("cipher_suite", "0x0003 (X25519, ChaCha20-Poly1305, SHA-256, Ed25519)")
        .with(
            "lifetime",
            Facts::new()
                .with("not_before", seconds(verified.not_before()))
                .with("not_after", seconds(verified.not_after()))
                .with("left", left(verified.not_after(), now)),
        )
        .with(
            "welcomes",
            Facts::new()
                .with("wrapped_with", algorithm)
                .with("wrapped_to", verified.wrapper().public_key())
                .with("takes_pointers", verified.takes_pointers()),
        );
    let invalid =
        invalid.map(|error| Failure::new("the key package is not valid now").because(&error).code(Code::BadInput));
    Ok(Report { facts, invalid })
}

/// The bare package, and what it came in.
fn package(bytes: &[u8]) -> Result<(&'static str, Vec<u8>), Failure> {
    if bytes.starts_with(&MLS_MESSAGE) && bytes.get(4..6) == Some(&[0, 1]) {
        return Ok(("MLSMessage with a KeyPackage", bytes[4..].to_vec()));
    }
    if bytes.first() == Some(&0) {
        return Ok(("KeyPackage", bytes.to_vec()));
    }
    let wire = UploadKeyPackageRequest::decode(bytes).map_err(|error| not_a(WHAT, bytes, &error))?;
    let upload = KeyPackageUpload::from_proto(wire).map_err(|error| not_a(WHAT, bytes, &error))?;
    Ok(("UploadKeyPackageRequest", upload.bytes))
}

/// A time at which only the lifetime stops being a reason to refuse.
fn in_its_life(error: &KeyPackageError) -> Option<UnixNanos> {
    let seconds = match error {
        KeyPackageError::Expired { not_after, .. } => not_after.checked_sub(1)?,
        KeyPackageError::NotYetValid { not_before, .. } => *not_before,
        _ => return None,
    };
    Some(time(seconds))
}

fn time(seconds: u64) -> UnixNanos {
    UnixNanos::from_wire(seconds.saturating_mul(1_000_000_000))
}

fn seconds(seconds: u64) -> String {
    format!("{} ({seconds})", utc(time(seconds)))
}

fn left(not_after: u64, now: UnixNanos) -> String {
    let seconds = time(not_after).since(now).as_secs();
    match (seconds / 86_400, seconds / 3600 % 24) {
        (0, 0) if seconds == 0 => "none".to_owned(),
        (0, hours) => format!("{hours} hours"),
        (days, hours) => format!("{days} days {hours} hours"),
    }
}
