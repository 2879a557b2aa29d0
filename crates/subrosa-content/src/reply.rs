//! Replies (client §5.2).

use std::collections::BTreeMap;

use crate::{Content, ContentError, EncodedContent};

const REFERENCE: &str = "reference";
const CONTENT_TYPE: &str = "contentType";
const REFERENCE_INBOX_ID: &str = "referenceInboxId";

/// A content that answers an earlier message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reply {
    /// Hex of the message id. Nothing checks that the message exists.
    pub reference: String,
    /// Who wrote that message: informative.
    pub reference_inbox_id: Option<String>,
    /// The answer. Decoded on demand, so that nested replies cost nothing.
    pub content: EncodedContent,
}

impl Reply {
    pub(crate) fn parameters(&self) -> BTreeMap<String, String> {
        let mut parameters = BTreeMap::from([(REFERENCE.to_owned(), self.reference.clone())]);
        if let Some(id) = self.content.content_type() {
            parameters.insert(CONTENT_TYPE.to_owned(), id.to_string());
        }
        if let Some(inbox) = &self.reference_inbox_id {
            parameters.insert(REFERENCE_INBOX_ID.to_owned(), inbox.clone());
        }
        parameters
    }

    pub(crate) fn fallback(&self) -> String {
        match Content::decode(&self.content) {
            Ok(Content::Text(text)) => format!("Replied with \"{text}\" to an earlier message"),
            _ => "Replied to an earlier message".to_owned(),
        }
    }

    pub(crate) fn from_encoded(encoded: &EncodedContent) -> Result<Self, ContentError> {
        Ok(Self {
            reference: encoded.required(REFERENCE)?.to_owned(),
            reference_inbox_id: encoded.parameter(REFERENCE_INBOX_ID).map(str::to_owned),
            content: EncodedContent::from_bytes(encoded.content())?,
        })
    }
}
