//! `subrosa inspect`: what the bytes of the protocol say.

mod facts;
mod group_message;
mod identity_update;
pub(crate) mod input;
mod key_package;
mod plaintext;
mod welcome;

use std::error::Error;

use clap::{Args, Subcommand};
use subrosa_types::UnixNanos;

use crate::{
    failure::{Code, Failure},
    output,
};
pub(crate) use facts::{Fact, Facts};

/// What to look at.
#[derive(Subcommand)]
pub(crate) enum Inspect {
    /// A key package: whose it is, whether it verifies, how long it lives.
    ///
    /// Takes the TLS form, alone or inside an MLSMessage, or an UploadKeyPackageRequest.
    KeyPackage(Input),
    /// An update of an identity log: what it does, the text that was signed, who signed it and how.
    ///
    /// Takes an IdentityUpdate, or an entry of a log as nodes deliver it.
    IdentityUpdate(Input),
    /// A message of a group, as far as it is readable without keys.
    ///
    /// Takes a bare MLSMessage, a GroupMessageInput or a GroupMessage.
    GroupMessage(Input),
    /// A welcome, as far as it is readable without keys.
    ///
    /// Takes a WelcomeMessageInput or a WelcomeMessage, direct or pointer.
    Welcome(Input),
    /// A decrypted application message: a PlaintextEnvelope with its content.
    Plaintext(Input),
}

/// The bytes and how to show them.
#[derive(Args)]
pub(crate) struct Input {
    /// Hex digits, a file with raw bytes or hex text, or - for the standard input.
    input: String,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// What an inspection found, and whether it is good.
pub(crate) struct Report {
    facts: Facts,
    /// Why the input, though readable, is not valid.
    invalid: Option<Failure>,
}

impl From<Facts> for Report {
    fn from(facts: Facts) -> Self {
        Self { facts, invalid: None }
    }
}

/// Shows the input. What does not decode is an error; what decodes but does not verify is shown, then an error.
pub(crate) fn run(what: &Inspect, now: UnixNanos) -> Result<(), Failure> {
    let (Inspect::KeyPackage(input)
    | Inspect::IdentityUpdate(input)
    | Inspect::GroupMessage(input)
    | Inspect::Welcome(input)
    | Inspect::Plaintext(input)) = what;
    let bytes = input::read(&input.input)?;
    let report = match what {
        Inspect::KeyPackage(_) => key_package::report(&bytes, now),
        Inspect::IdentityUpdate(_) => identity_update::report(&bytes),
        Inspect::GroupMessage(_) => group_message::report(&bytes).map(Report::from),
        Inspect::Welcome(_) => welcome::report(&bytes).map(Report::from),
        Inspect::Plaintext(_) => plaintext::report(&bytes).map(Report::from),
    }?;
    let text = if input.json {
        let failed = |error| Failure::new("the facts cannot be written as JSON").because(&error);
        report.facts.json().map_err(failed)? + "\n"
    } else {
        report.facts.text()
    };
    output::print(&text)?;
    report.invalid.map_or(Ok(()), Err)
}

/// The input is not what it was said to be.
fn not_a(what: &str, bytes: &[u8], error: &dyn Error) -> Failure {
    Failure::new(format!("these {} bytes are not {what}", bytes.len())).because(error).code(Code::BadInput)
}

/// A time for people: UTC with nanoseconds where they are not 0.
pub(crate) fn utc(time: UnixNanos) -> String {
    let seconds = subrosa_identity::utc_seconds(time.to_wire());
    match time.to_wire() % 1_000_000_000 {
        0 => seconds,
        nanos => format!("{}.{nanos:09}Z", seconds.trim_end_matches('Z')),
    }
}
