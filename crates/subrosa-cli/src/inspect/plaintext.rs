//! Application messages after decryption (envelopes §4.1, client §5).

use subrosa_content::{Content, EncodedContent, GroupUpdated, PlaintextEnvelope, ReactionAction};
use subrosa_types::InboxId;

use super::{Fact, Facts, not_a};
use crate::failure::Failure;

const WHAT: &str = "the plaintext of an application message";

/// Replies inside replies that are opened.
const DEPTH: usize = 4;

/// Parameters that decrypt an attachment. Shown to nobody.
const SECRET: &str = "secret";

pub(crate) fn report(bytes: &[u8]) -> Result<Facts, Failure> {
    match PlaintextEnvelope::from_bytes(bytes).map_err(|error| not_a(WHAT, bytes, &error))? {
        PlaintextEnvelope::V1 { content, idempotency_key } => {
            let encoded = EncodedContent::from_bytes(&content)
                .map_err(|error| not_a("a plaintext with a readable content", bytes, &error))?;
            Ok(Facts::new()
                .with("form", "PlaintextEnvelope V1")
                .with("idempotency_key", idempotency_key)
                .with("content", self::content(&encoded, DEPTH)))
        }
        _ => Ok(Facts::new().with("form", "PlaintextEnvelope V2, which receivers ignore")),
    }
}

fn content(encoded: &EncodedContent, depth: usize) -> Facts {
    let parts = encoded.parts();
    let mut facts = Facts::new();
    match encoded.content_type() {
        Some(id) => facts.add("type", id.to_string()),
        None => facts.add("type", "none"),
    };
    let shown = parts.parameters.iter().map(|(name, value)| {
        let value = if name == SECRET { "(not shown)" } else { value };
        Fact::from(format!("{name} = {value}"))
    });
    facts.add("parameters", shown.collect::<Fact>());
    if let Some(compression) = parts.compression {
        facts.add("compression", compression.to_string());
    }
    match Content::decode(encoded) {
        Ok(content) => decoded(&mut facts, &content, encoded, depth),
        Err(error) => {
            facts.add("unreadable", error.to_string()).add("bytes", encoded.content());
        }
    }
    if let Some(fallback) = encoded.fallback() {
        facts.add("fallback", fallback);
    }
    facts
}

fn decoded(facts: &mut Facts, content: &Content, encoded: &EncodedContent, depth: usize) {
    match content {
        Content::Text(text) | Content::Markdown(text) => {
            facts.add("text", text.as_str());
        }
        Content::Reaction(reaction) => {
            let action = match reaction.action {
                ReactionAction::Added => "added",
                ReactionAction::Removed => "removed",
                _ => "unknown",
            };
            facts
                .add("reaction", reaction.content.as_str())
                .add("action", action)
                .add("to", reaction.reference.as_str());
        }
        Content::Reply(reply) if depth > 0 => {
            facts.add("to", reply.reference.as_str()).add("answer", self::content(&reply.content, depth - 1));
        }
        Content::GroupUpdated(update) => group_updated(facts, update),
        Content::DeleteMessage(delete) => {
            facts.add("deletes", delete.message_id.to_hex());
        }
        _ => match std::str::from_utf8(encoded.content()) {
            Ok("") => {}
            Ok(text) => {
                facts.add("text", text);
            }
            Err(_) => {
                facts.add("bytes", encoded.content());
            }
        },
    }
}

fn group_updated(facts: &mut Facts, update: &GroupUpdated) {
    facts.add("by", update.initiated_by.to_hex());
    let lists: [(&'static str, &[InboxId]); 7] = [
        ("added", &update.added),
        ("removed", &update.removed),
        ("left", &update.left),
        ("added_admins", &update.added_admins),
        ("removed_admins", &update.removed_admins),
        ("added_super_admins", &update.added_super_admins),
        ("removed_super_admins", &update.removed_super_admins),
    ];
    for (name, inboxes) in lists.into_iter().filter(|(_, inboxes)| !inboxes.is_empty()) {
        facts.add(name, inboxes.iter().map(|inbox| inbox.to_hex().into()).collect::<Fact>());
    }
    let change = |change: &subrosa_content::MetadataFieldChange| {
        let value = |value: &Option<String>| value.as_ref().map_or_else(|| "absent".to_owned(), |v| format!("{v:?}"));
        Fact::from(format!("{}: {} to {}", change.field, value(&change.old), value(&change.new)))
    };
    if !update.metadata.is_empty() {
        facts.add("changed", update.metadata.iter().map(change).collect::<Fact>());
    }
}
