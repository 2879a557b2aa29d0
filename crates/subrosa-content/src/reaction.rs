//! Reactions (client §5.2).

use prost::Message;
use serde::Deserialize;
use subrosa_proto::xmtp::mls::message_contents::content_types as wire;

use crate::{ContentError, EncodedContent};

/// A reaction to an earlier message, added or taken back. Sent as version 2; version 1, in JSON, is read.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Reaction {
    /// Hex of the message id. Nothing checks that the message exists.
    pub reference: String,
    /// Who wrote that message: informative, may be empty.
    pub reference_inbox_id: String,
    /// Added or removed.
    pub action: ReactionAction,
    /// The reaction, in the form that `schema` names.
    pub content: String,
    /// Form of `content`.
    pub schema: ReactionSchema,
}

/// Whether a reaction comes or goes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ReactionAction {
    /// It comes.
    Added,
    /// It goes.
    Removed,
    /// A number that this version does not know; 0 is unspecified.
    Other(i32),
}

/// Form of a reaction.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ReactionSchema {
    /// An emoji.
    Unicode,
    /// A name of an emoji.
    Shortcode,
    /// Whatever the applications agree on.
    Custom,
    /// A number that this version does not know; 0 is unspecified.
    Other(i32),
}

impl ReactionAction {
    const fn to_wire(self) -> i32 {
        match self {
            Self::Added => 1,
            Self::Removed => 2,
            Self::Other(number) => number,
        }
    }

    const fn from_wire(number: i32) -> Self {
        match number {
            1 => Self::Added,
            2 => Self::Removed,
            other => Self::Other(other),
        }
    }
}

impl ReactionSchema {
    const fn to_wire(self) -> i32 {
        match self {
            Self::Unicode => 1,
            Self::Shortcode => 2,
            Self::Custom => 3,
            Self::Other(number) => number,
        }
    }

    const fn from_wire(number: i32) -> Self {
        match number {
            1 => Self::Unicode,
            2 => Self::Shortcode,
            3 => Self::Custom,
            other => Self::Other(other),
        }
    }
}

/// Version 1, as JSON.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version1 {
    action: Action1,
    reference: String,
    #[serde(default)]
    reference_inbox_id: Option<String>,
    schema: Schema1,
    content: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action1 {
    Added,
    Removed,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Schema1 {
    Unicode,
    Shortcode,
    Custom,
}

impl Reaction {
    pub(crate) fn to_content(&self) -> Vec<u8> {
        wire::ReactionV2 {
            reference: self.reference.clone(),
            reference_inbox_id: self.reference_inbox_id.clone(),
            action: self.action.to_wire(),
            content: self.content.clone(),
            schema: self.schema.to_wire(),
        }
        .encode_to_vec()
    }

    pub(crate) fn fallback(&self) -> String {
        match self.action {
            ReactionAction::Removed => format!("Removed \"{}\" from an earlier message", self.content),
            _ => format!("Reacted with \"{}\" to an earlier message", self.content),
        }
    }

    pub(crate) fn from_content(bytes: &[u8]) -> Result<Self, ContentError> {
        let wire = wire::ReactionV2::decode(bytes).map_err(|_| ContentError::Protobuf)?;
        Ok(Self {
            reference: wire.reference,
            reference_inbox_id: wire.reference_inbox_id,
            action: ReactionAction::from_wire(wire.action),
            content: wire.content,
            schema: ReactionSchema::from_wire(wire.schema),
        })
    }

    /// Reads version 1.
    pub(crate) fn from_version_1(encoded: &EncodedContent) -> Result<Self, ContentError> {
        let old: Version1 = encoded.json()?;
        Ok(Self {
            reference: old.reference,
            reference_inbox_id: old.reference_inbox_id.unwrap_or_default(),
            action: match old.action {
                Action1::Added => ReactionAction::Added,
                Action1::Removed => ReactionAction::Removed,
            },
            content: old.content,
            schema: match old.schema {
                Schema1::Unicode => ReactionSchema::Unicode,
                Schema1::Shortcode => ReactionSchema::Shortcode,
                Schema1::Custom => ReactionSchema::Custom,
            },
        })
    }
}
