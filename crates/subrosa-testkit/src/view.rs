//! What a member sees of a conversation, to be compared.

use std::collections::BTreeMap;

use subrosa::{
    Conversation, InboxId, MessageFilter, MessageId, MessageKind,
    content::{Content, EncodedContent},
};

/// Everything of a conversation that must be equal for all members.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct View {
    /// MLS epoch.
    pub epoch: u64,
    /// Epoch authenticator.
    pub authenticator: Vec<u8>,
    /// Members.
    pub members: Vec<InboxId>,
    /// Attributes.
    pub attributes: BTreeMap<String, String>,
    /// Admins and super admins.
    pub admins: (Vec<String>, Vec<String>),
    /// Text messages with their ids, in order.
    pub texts: Vec<(MessageId, String)>,
}

impl View {
    /// What this member's database says now.
    pub async fn of(conversation: &Conversation) -> Self {
        let record = conversation.record().expect("the record can be read");
        let messages = conversation.messages(MessageFilter::default()).await.expect("messages can be read");
        let texts = messages.into_iter().filter(|message| message.kind == MessageKind::Application);
        Self {
            epoch: record.epoch.0,
            authenticator: record.authenticator,
            members: record.members.into_keys().collect(),
            attributes: record.attributes,
            admins: (record.admins, record.super_admins),
            texts: texts.filter_map(|message| Some((message.id, text(&message.content)?))).collect(),
        }
    }

    /// The texts alone.
    pub fn texts(&self) -> Vec<&str> {
        self.texts.iter().map(|(_, text)| text.as_str()).collect()
    }
}

fn text(content: &[u8]) -> Option<String> {
    let encoded = EncodedContent::from_bytes(content).ok()?;
    match Content::decode(&encoded) {
        Ok(Content::Text(text)) => Some(text),
        _ => None,
    }
}

/// Checks that all members see the same, apart from messages older than their joining.
///
/// # Panics
/// When they do not.
pub async fn agree(conversations: &[&Conversation]) -> View {
    let mut views = Vec::new();
    for conversation in conversations {
        views.push(View::of(conversation).await);
    }
    let fullest = views.iter().max_by_key(|view| view.texts.len()).expect("somebody is asked").clone();
    for view in &views {
        let known = fullest.texts.len() - view.texts.len();
        assert_eq!(view.texts, fullest.texts[known..], "messages differ");
        assert_eq!(View { texts: Vec::new(), ..view.clone() }, View { texts: Vec::new(), ..fullest.clone() });
    }
    fullest
}
