//! Group messages: what a node sees of them (envelopes §4.1).

use prost::Message as _;
use subrosa_envelope::{
    ContentKind, DedupeKey, GroupMessage, GroupMessageInput, MessageHeader, PayloadHash, WireFormat,
};
use subrosa_proto::xmtp::mls::api::v1 as api;

use super::{Facts, not_a, utc};
use crate::failure::Failure;

const WHAT: &str = "a group message";

pub(crate) fn report(bytes: &[u8]) -> Result<Facts, Failure> {
    // An MLS message starts with its version, 0x0001; no protobuf message starts with 0.
    if bytes.first() == Some(&0) {
        let header = MessageHeader::parse(bytes).map_err(|error| not_a(WHAT, bytes, &error))?;
        return Ok(with_data(Facts::new().with("form", "MLSMessage"), &header, bytes));
    }
    // The first field of the delivered form is a number, that of the input are bytes: they cannot be mistaken.
    if let Ok(wire) = api::GroupMessage::decode(bytes)
        && wire.version.is_some()
    {
        let message = GroupMessage::from_proto(wire).map_err(|error| not_a(WHAT, bytes, &error))?;
        let mut facts = Facts::new().with("form", "GroupMessage (as delivered)");
        facts.add("sequence_id", message.sequence.0).add("stored_at", utc(message.created));
        push(&mut facts, message.should_push, &message.sender_hmac);
        return Ok(with_data(facts, &message.header, &message.data));
    }
    let wire = api::GroupMessageInput::decode(bytes).map_err(|error| not_a(WHAT, bytes, &error))?;
    let input = GroupMessageInput::from_proto(wire).map_err(|error| not_a(WHAT, bytes, &error))?;
    let header = input.header().map_err(|error| not_a(WHAT, bytes, &error))?;
    let mut facts = Facts::new().with("form", "GroupMessageInput (as sent)");
    push(&mut facts, input.should_push, &input.sender_hmac);
    Ok(with_data(facts, &header, &input.data))
}

fn push(facts: &mut Facts, should_push: bool, sender_hmac: &[u8]) {
    facts.add("should_push", should_push).add("sender_hmac", sender_hmac);
}

fn with_data(mut facts: Facts, header: &MessageHeader, data: &[u8]) -> Facts {
    let framing = match header.wire_format {
        WireFormat::Private => "private (encrypted to the group)",
        WireFormat::Public => "public (readable by everybody)",
    };
    let content = match header.content {
        ContentKind::Application => "application message",
        ContentKind::Proposal => "proposal",
        ContentKind::Commit => "commit",
    };
    facts
        .add("group_id", header.group_id.to_hex())
        .add("epoch", header.epoch.0)
        .add("content", content)
        .add("framing", framing)
        .add("size", format!("{} bytes", data.len()));
    if let (WireFormat::Private, Some([authenticated, sender, ciphertext])) = (header.wire_format, parts(data)) {
        facts
            .add("authenticated_data", authenticated)
            .add("encrypted_sender", format!("{} bytes", sender.len()))
            .add("ciphertext", format!("{} bytes", ciphertext.len()));
    }
    facts
        .add("payload_hash", PayloadHash::of(data).as_bytes().as_slice())
        .add("dedupe_key", DedupeKey::of(header.group_id.as_bytes(), data).as_bytes().as_slice());
    facts
}

/// Authenticated data, encrypted sender data and ciphertext of a private message whose header was read.
fn parts(data: &[u8]) -> Option<[&[u8]; 3]> {
    let (_group, rest) = vector(data.get(4..)?)?;
    let rest = rest.get(8 + 1..)?;
    let (authenticated, rest) = vector(rest)?;
    let (sender, rest) = vector(rest)?;
    let (ciphertext, _) = vector(rest)?;
    Some([authenticated, sender, ciphertext])
}

/// A vector of variable length and what follows it (envelopes §1).
pub(super) fn vector(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let prefix = 1_usize.checked_shl(u32::from(bytes.first()? >> 6)).filter(|prefix| *prefix <= 4)?;
    let (head, rest) = bytes.split_at_checked(prefix)?;
    let length = head[1..].iter().fold(usize::from(head[0] & 0x3f), |length, byte| length << 8 | usize::from(*byte));
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_have_three_prefixes() {
        assert_eq!(vector(&[2, 7, 8, 9]), Some((&[7, 8][..], &[9][..])));
        let long = [&[0x40, 70][..], &[1; 71]].concat();
        assert_eq!(vector(&long).map(|(v, rest)| (v.len(), rest.len())), Some((70, 1)));
        assert_eq!(vector(&[0xc0, 0, 0, 0, 0, 0, 0, 0]), None);
        assert_eq!(vector(&[3, 1]), None);
    }
}
