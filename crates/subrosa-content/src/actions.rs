//! Buttons a peer offers, and the choice of one (client §5.2).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use subrosa_types::UnixNanos;

use crate::{ContentError, encoded::to_json};

/// Most actions in one message.
const MOST_ACTIONS: usize = 10;

/// Longest metadata of an intent, in bytes of JSON.
const INTENT_METADATA_BYTES: usize = 10 * 1024;

/// A choice that a peer offers: 1 to 10 actions with unique ids. JSON on the wire.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Actions {
    /// Names the choice.
    pub id: String,
    /// What is asked.
    pub description: String,
    /// What can be chosen.
    pub actions: Vec<Action>,
    /// When the choice ends; in milliseconds on the wire.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_time")]
    pub expires_at: Option<UnixNanos>,
}

/// One of the things that can be chosen.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Action {
    /// Names the action within the choice.
    pub id: String,
    /// What the button says.
    pub label: String,
    /// A picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_url: Option<String>,
    /// How the button looks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub style: Option<ActionStyle>,
    /// When the action ends; in milliseconds on the wire.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_time")]
    pub expires_at: Option<UnixNanos>,
}

/// How a button looks.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ActionStyle {
    /// The main one.
    Primary,
    /// Another one.
    Secondary,
    /// One to think twice about.
    Danger,
}

impl Actions {
    /// A choice.
    ///
    /// # Errors
    /// [`ContentError::ActionCount`] unless there are 1 to 10 actions, [`ContentError::ActionIds`] unless their ids
    /// are unique.
    pub fn new(
        id: String,
        description: String,
        actions: Vec<Action>,
        expires_at: Option<UnixNanos>,
    ) -> Result<Self, ContentError> {
        Self { id, description, actions, expires_at }.checked()
    }

    pub(crate) fn checked(self) -> Result<Self, ContentError> {
        let count = self.actions.len();
        if !(1..=MOST_ACTIONS).contains(&count) {
            return Err(ContentError::ActionCount(count));
        }
        let ids: BTreeSet<&str> = self.actions.iter().map(|action| action.id.as_str()).collect();
        if ids.len() == count { Ok(self) } else { Err(ContentError::ActionIds) }
    }

    pub(crate) fn fallback(&self) -> String {
        let lines = self.actions.iter().enumerate().map(|(i, action)| format!("[{}] {}\n", i + 1, action.label));
        format!("{}\n\n{}\nReply with the number to select", self.description, lines.collect::<String>())
    }
}

/// The action that a user chose. JSON on the wire.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Intent {
    /// Names the choice: [`Actions::id`].
    pub id: String,
    /// Names the action: [`Action::id`].
    pub action_id: String,
    /// Anything else, at most 10 KiB of JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<serde_json::Map<String, serde_json::Value>>,
}

impl Intent {
    /// The choice of one action.
    ///
    /// # Errors
    /// [`ContentError::IntentMetadata`] for metadata above 10 KiB.
    pub fn new(
        id: String,
        action_id: String,
        metadata: Option<serde_json::Map<String, serde_json::Value>>,
    ) -> Result<Self, ContentError> {
        Self { id, action_id, metadata }.checked()
    }

    pub(crate) fn checked(self) -> Result<Self, ContentError> {
        let size = self.metadata.as_ref().map_or(0, |metadata| to_json(metadata).len());
        if size > INTENT_METADATA_BYTES { Err(ContentError::IntentMetadata(size)) } else { Ok(self) }
    }

    pub(crate) fn fallback(&self) -> String {
        format!("User selected action: {}", self.action_id)
    }
}

/// Times as RFC 3339.
mod optional_time {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use subrosa_types::UnixNanos;

    use crate::time::{from_rfc3339, to_rfc3339};

    pub(super) fn serialize<S: Serializer>(time: &Option<UnixNanos>, output: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => output.serialize_str(&to_rfc3339(*time)),
            None => output.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Option<UnixNanos>, D::Error> {
        let Some(text) = Option::<String>::deserialize(input)? else { return Ok(None) };
        from_rfc3339(&text).map(Some).ok_or_else(|| D::Error::custom("not a time"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(id: &str) -> Action {
        Action { id: id.into(), label: "L".into(), image_url: None, style: None, expires_at: None }
    }

    fn actions(ids: impl Iterator<Item = String>) -> Result<Actions, ContentError> {
        Actions::new("i".into(), "d".into(), ids.map(|id| action(&id)).collect(), None)
    }

    #[test]
    fn one_to_ten_actions_with_unique_ids() {
        assert_eq!(actions(std::iter::empty()), Err(ContentError::ActionCount(0)));
        assert!(actions((0..10).map(|i| i.to_string())).is_ok());
        assert_eq!(actions((0..11).map(|i| i.to_string())), Err(ContentError::ActionCount(11)));
        assert_eq!(actions(["a", "b", "a"].map(str::to_owned).into_iter()), Err(ContentError::ActionIds));
    }

    #[test]
    fn intent_metadata_has_at_most_ten_kibibytes() {
        let intent = |length: usize| {
            let metadata = serde_json::Map::from_iter([("k".to_owned(), "v".repeat(length).into())]);
            Intent::new("i".into(), "a".into(), Some(metadata))
        };
        // `{"k":""}` has 8 bytes.
        assert!(intent(10 * 1024 - 8).is_ok());
        assert_eq!(intent(10 * 1024 - 7), Err(ContentError::IntentMetadata(10 * 1024 + 1)));
    }
}
