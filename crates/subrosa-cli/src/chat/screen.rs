//! How conversations and messages look.

use std::collections::HashMap;

use subrosa::{
    Conversation, ConversationKind, InboxId, Message, SyncError,
    content::{Content, EncodedContent, GroupUpdated},
};
use subrosa_types::UnixNanos;

use crate::printable::{line, short, start};

/// Longest text of one message on the screen, in characters.
const TEXT: usize = 4000;
/// Longest name.
const NAME: usize = 40;

/// Names of the people on the screen: addresses, shortened, where they are known.
pub(super) struct People {
    own: InboxId,
    names: HashMap<InboxId, String>,
}

impl People {
    pub(super) fn new(own: InboxId) -> Self {
        Self { own, names: HashMap::new() }
    }

    /// Learns the members of a conversation.
    pub(super) async fn learn(&mut self, conversation: &Conversation) -> Result<(), SyncError> {
        for member in conversation.members().await? {
            if let Some(identifier) = member.identifiers.first() {
                self.names.insert(member.inbox, shortened(&identifier.text()));
            }
        }
        Ok(())
    }

    pub(super) fn knows(&self, inbox: &InboxId) -> bool {
        self.names.contains_key(inbox) || *inbox == self.own
    }

    /// What an inbox is called.
    pub(super) fn name(&self, inbox: &InboxId) -> String {
        if *inbox == self.own {
            return "me".to_owned();
        }
        self.names.get(inbox).cloned().unwrap_or_else(|| format!("{}…", start(&inbox.to_hex())))
    }

    fn names(&self, inboxes: &[InboxId]) -> String {
        inboxes.iter().map(|inbox| self.name(inbox)).collect::<Vec<_>>().join(", ")
    }

    /// One message, ready to print; `None` for one that says nothing to people.
    pub(super) fn message(&self, message: &Message) -> Option<String> {
        let time = clock(message.sent_at);
        let sender = self.name(&message.sender);
        let encoded = EncodedContent::from_bytes(&message.content).ok()?;
        let said = match Content::decode(&encoded) {
            Ok(Content::GroupUpdated(update)) => return Some(format!("{time} * {}", self.update(&update))),
            Ok(Content::ReadReceipt) => return None,
            Ok(Content::Text(text) | Content::Markdown(text)) => short(&text, TEXT),
            Ok(Content::Reply(reply)) => match Content::decode(&reply.content) {
                Ok(Content::Text(text)) => format!("(answer) {}", short(&text, TEXT)),
                _ => "(an answer)".to_owned(),
            },
            Ok(Content::Reaction(reaction)) => format!("(reacts with {})", short(&reaction.content, NAME)),
            _ => {
                let fallback = encoded.fallback().map(|fallback| short(fallback, TEXT));
                fallback.unwrap_or_else(|| match encoded.content_type() {
                    Some(id) => format!("(content of type {})", short(&id.to_string(), NAME)),
                    None => "(content of no type)".to_owned(),
                })
            }
        };
        Some(format!("{time} {sender}: {said}"))
    }

    fn update(&self, update: &GroupUpdated) -> String {
        let lists = [
            ("added", &update.added),
            ("removed", &update.removed),
            ("let go", &update.left),
            ("made admin", &update.added_admins),
            ("made no admin", &update.removed_admins),
            ("made super admin", &update.added_super_admins),
            ("made no super admin", &update.removed_super_admins),
        ];
        let mut parts: Vec<String> = lists
            .into_iter()
            .filter(|(_, inboxes)| !inboxes.is_empty())
            .map(|(verb, inboxes)| format!("{verb} {}", self.names(inboxes)))
            .collect();
        parts.extend(update.metadata.iter().map(|change| {
            let value = short(change.new.as_deref().unwrap_or("nothing"), NAME);
            format!("set {} to {value}", line(&change.field))
        }));
        format!("{} {}", self.name(&update.initiated_by), parts.join(", "))
    }

    /// The name of a conversation.
    pub(super) fn title(&self, conversation: &Conversation) -> Result<String, SyncError> {
        let record = conversation.record()?;
        if let (ConversationKind::Dm, Some(peer)) = (record.kind, record.dm_peer) {
            return Ok(format!("@{}", self.name(&peer)));
        }
        let name = conversation.name()?;
        Ok(if name.is_empty() {
            format!("#{}", start(&record.id.to_hex()))
        } else {
            format!("#{}", short(&name, NAME))
        })
    }
}

/// Hours and minutes, UTC.
fn clock(time: UnixNanos) -> String {
    let text = subrosa_identity::utc_seconds(time.to_wire());
    text.get(11..16).unwrap_or_default().to_owned()
}

fn shortened(text: &str) -> String {
    let text = line(text);
    match (text.get(..6), text.get(text.len().saturating_sub(4)..)) {
        (Some(start), Some(end)) if text.len() > 12 => format!("{start}…{end}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shortened_and_times_are_hours_and_minutes() {
        assert_eq!(shortened("0x70997970c51812dc3a010c7d01b50e0d17dc79c8"), "0x7099…79c8");
        assert_eq!(shortened("short"), "short");
        assert_eq!(clock(UnixNanos::from_nanos(1_700_000_000_000_000_000)), "22:13");
    }
}
