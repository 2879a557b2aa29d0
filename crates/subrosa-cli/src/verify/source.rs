//! Where the log of one inbox comes from.

use std::path::Path;

use prost::Message as _;
use serde_json::Value;
use subrosa_identity::Identifier;
use subrosa_proto::xmtp::identity::api::v1::GetIdentityUpdatesResponse;
use subrosa_transport::{Network, NetworkError};
use subrosa_types::{InboxId, SequenceId, UnixNanos};

use super::{
    file::{Case, for_each_case},
    malformed,
    replay::{Entry, in_order},
};
use crate::{
    failure::{Code, Failure},
    inspect::input,
};

/// Who to look at.
#[derive(Clone, Debug)]
pub(super) enum Who {
    Inbox(InboxId),
    /// Whose inbox a node knows.
    Identifier(Identifier),
}

impl std::str::FromStr for Who {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(inbox) = text.parse() {
            return Ok(Self::Inbox(inbox));
        }
        if let Ok(address) = Identifier::parse_ethereum(text) {
            // Only with its prefix is it an address; nobody has another.
            return if text.starts_with("0x") {
                Ok(Self::Identifier(address))
            } else {
                Err("an address starts with 0x")
            };
        }
        match Identifier::parse_passkey(text) {
            Ok(passkey) if text.len() >= 66 => Ok(Self::Identifier(passkey)),
            _ => Err("neither an inbox id (64 hex digits), nor an address (0x and 40), nor a passkey (66 or more)"),
        }
    }
}

/// The inbox of whom to look at.
pub(super) async fn find(who: &Who, network: Option<&dyn Network>) -> Result<InboxId, Failure> {
    let identifier = match who {
        Who::Inbox(inbox) => return Ok(*inbox),
        Who::Identifier(identifier) => identifier,
    };
    let Some(network) = network else {
        return Err(Failure::new("only a node knows which inbox an identifier belongs to")
            .advise("the inbox id, or --node URL")
            .code(Code::Usage));
    };
    let found = network.inbox_ids(std::slice::from_ref(identifier)).await.map_err(|error| unreachable(&error))?;
    found.into_iter().next().flatten().ok_or_else(|| Failure::new(format!("the node knows no inbox of {identifier}")))
}

/// The log as a node serves it.
pub(super) async fn from_node(inbox: InboxId, network: &dyn Network) -> Result<Vec<Entry>, Failure> {
    let asked = [(inbox, SequenceId::START)];
    let mut logs = network.identity_updates(&asked).await.map_err(|error| unreachable(&error))?;
    let entries = logs.pop().unwrap_or_default().into_iter().map(|entry| {
        // What is empty on the wire is an entry without an update.
        let bytes = (!entry.bytes.is_empty()).then_some(entry.bytes);
        Entry::new(entry.sequence, Some(entry.server_time), bytes)
    });
    Ok(in_order(entries.collect()))
}

fn unreachable(error: &NetworkError) -> Failure {
    Failure::new("the node did not answer")
        .because(error)
        .advise("a node at the given --node; `subrosa node --memory` starts one")
        .code(Code::Unchecked)
}

/// The log in a file: what `--save` writes, or what a node answers.
pub(super) fn from_file(inbox: InboxId, path: &Path) -> Result<Vec<Entry>, Failure> {
    let bytes = input::read_file(path)?;
    let starts_as_json = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    let from_json = || json(inbox, &bytes);
    match (starts_as_json, GetIdentityUpdatesResponse::decode(bytes.as_slice())) {
        (true, Err(_)) => from_json(),
        // One that starts with a line feed and a brace by chance.
        (true, Ok(answer)) => from_json().or_else(|_| response(inbox, answer)),
        (false, Ok(answer)) => response(inbox, answer),
        (false, Err(error)) => Err(format!("neither JSON nor a GetIdentityUpdatesResponse: {error}")),
    }
    .map_err(|why| malformed(path, &why))
}

fn json(inbox: InboxId, bytes: &[u8]) -> Result<Vec<Entry>, String> {
    let mut found: Vec<(usize, Value)> = Vec::new();
    let mut all = 0;
    for_each_case(bytes, &mut |index, raw| {
        all += 1;
        let is_it = raw["inbox_id"].as_str().is_none_or(|id| id.eq_ignore_ascii_case(&inbox.to_hex()));
        // Two are enough to know that there is not one.
        if is_it && found.len() < 2 {
            found.push((index, raw));
        }
        true
    })
    .map_err(|error| error.to_string())?;
    let several = found.len() > 1;
    match found.pop() {
        Some(_) if several => Err("it has several logs of this inbox: `subrosa verify log` takes them".to_owned()),
        Some((index, raw)) => Case::read(index, raw).map(|case| case.entries).map_err(|bad| bad.0),
        None => Err(format!("none of its {all} logs is that of inbox {inbox}")),
    }
}

fn response(inbox: InboxId, answer: GetIdentityUpdatesResponse) -> Result<Vec<Entry>, String> {
    let mut responses = answer.responses.into_iter();
    let response = responses
        .find(|response| response.inbox_id.eq_ignore_ascii_case(&inbox.to_hex()))
        .ok_or_else(|| format!("it has no log of inbox {inbox}"))?;
    let entries = response.updates.into_iter().map(|entry| {
        let bytes = entry.update.map(|update| update.encode_to_vec());
        match entry.sequence_id {
            0 => Err("an entry has sequence id 0".to_owned()),
            id => Ok(Entry::new(SequenceId(id), Some(UnixNanos::from_wire(entry.server_timestamp_ns)), bytes)),
        }
    });
    Ok(in_order(entries.collect::<Result<_, _>>()?))
}
