//! Welcomes: what a node sees of them (envelopes §4.2).

use prost::Message as _;
use subrosa_envelope::{Welcome, WelcomeInput, WrapperAlgorithm};
use subrosa_proto::xmtp::mls::api::v1 as api;

use super::{Facts, group_message::vector, not_a, utc};
use crate::failure::Failure;

const WHAT: &str = "a welcome";

pub(crate) fn report(bytes: &[u8]) -> Result<Facts, Failure> {
    // As with group messages, the first fields have different types on the wire.
    if let Ok(wire) = api::WelcomeMessage::decode(bytes)
        && wire.version.is_some()
    {
        let welcome = Welcome::from_proto(wire).map_err(|error| not_a(WHAT, bytes, &error))?;
        let mut facts = Facts::new().with("form", "WelcomeMessage (as delivered)");
        facts.add("sequence_id", welcome.sequence.0).add("stored_at", utc(welcome.created));
        return Ok(with_input(facts, &welcome.input));
    }
    let wire = api::WelcomeMessageInput::decode(bytes).map_err(|error| not_a(WHAT, bytes, &error))?;
    let input = WelcomeInput::from_proto(wire).map_err(|error| not_a(WHAT, bytes, &error))?;
    Ok(with_input(Facts::new().with("form", "WelcomeMessageInput (as sent)"), &input))
}

fn with_input(mut facts: Facts, input: &WelcomeInput) -> Facts {
    match input {
        WelcomeInput::Direct { installation_key, data, hpke_public_key, wrapper, metadata } => {
            let (kind, whose, algorithm) = match wrapper {
                WrapperAlgorithm::Symmetric => (
                    "pointee, shared by several recipients",
                    "destination",
                    "ChaCha20-Poly1305 under the pointers' key",
                ),
                WrapperAlgorithm::XWing => ("direct", "installation", "HPKE with X-Wing (ML-KEM-768 and X25519)"),
                _ => ("direct", "installation", "HPKE with X25519"),
            };
            facts.add("kind", kind).add(whose, installation_key.to_hex()).add("sealed_with", algorithm);
            if *wrapper == WrapperAlgorithm::Symmetric {
                facts.add("welcome", format!("{} bytes sealed", data.len()));
            } else {
                facts.add("sealed_to", hpke_public_key.as_slice());
                sealed(&mut facts, "welcome", data);
            }
            facts.add("metadata", format!("{} bytes sealed", metadata.len()));
        }
        WelcomeInput::Pointer { installation_key, pointer, hpke_public_key } => {
            facts
                .add("kind", "pointer to a shared welcome")
                .add("installation", installation_key.to_hex())
                .add("sealed_with", "HPKE with X-Wing (ML-KEM-768 and X25519)")
                .add("sealed_to", hpke_public_key.as_slice());
            sealed(&mut facts, "pointer", pointer);
        }
    }
    facts.add("dedupe_key", input.dedupe_key().as_bytes().as_slice());
    facts
}

/// An HPKE ciphertext: the encapsulated key and what is sealed.
fn sealed(facts: &mut Facts, name: &'static str, data: &[u8]) {
    let text = match vector(data).and_then(|(kem, rest)| Some((kem.len(), vector(rest)?.0.len()))) {
        Some((kem, ciphertext)) => format!("{ciphertext} bytes sealed, {kem} bytes of encapsulated key"),
        None => format!("{} bytes that are no HPKE ciphertext", data.len()),
    };
    facts.add(name, text);
}
