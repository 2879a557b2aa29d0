//! The built-in content types (client §5.2).

use std::collections::BTreeMap;

use crate::{
    Actions, Attachment, ContentError, ContentParts, ContentTypeId, DeleteMessage, EncodedContent, GroupUpdated,
    Intent, LeaveRequest, Reaction, RemoteAttachment, Reply, TransactionReference, WalletSendCalls, attachment,
    encoded::to_json,
};

const XMTP: &str = "xmtp.org";
const COINBASE: &str = "coinbase.com";

const TEXT: &str = "text";
const MARKDOWN: &str = "markdown";
const REACTION: &str = "reaction";
const REPLY: &str = "reply";
const READ_RECEIPT: &str = "readReceipt";
const ATTACHMENT: &str = "attachment";
const REMOTE_ATTACHMENT: &str = "remoteStaticAttachment";
const MULTI_REMOTE_ATTACHMENT: &str = "multiRemoteStaticAttachment";
const TRANSACTION_REFERENCE: &str = "transactionReference";
const WALLET_SEND_CALLS: &str = "walletSendCalls";
const ACTIONS: &str = "actions";
const INTENT: &str = "intent";
const GROUP_UPDATED: &str = "group_updated";
const LEAVE_REQUEST: &str = "leave_request";
const DELETE_MESSAGE: &str = "deleteMessage";

const ENCODING: &str = "encoding";
const UTF_8: &str = "UTF-8";

/// A content that was understood, or is kept as it is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Content {
    /// Plain text.
    Text(String),
    /// Text in Markdown.
    Markdown(String),
    /// A reaction to an earlier message.
    Reaction(Reaction),
    /// An answer to an earlier message.
    Reply(Reply),
    /// The sender has read up to here.
    ReadReceipt,
    /// A file inside the message.
    Attachment(Attachment),
    /// A file that lies encrypted somewhere else.
    RemoteAttachment(RemoteAttachment),
    /// Several of them.
    MultiRemoteAttachment(Vec<RemoteAttachment>),
    /// Names a transaction on a chain.
    TransactionReference(TransactionReference),
    /// Asks the reader's wallet to send transactions.
    WalletSendCalls(WalletSendCalls),
    /// Offers a choice.
    Actions(Actions),
    /// Tells what was chosen.
    Intent(Intent),
    /// What a commit changed. Never sent: in the history it comes from this client alone, and one that arrives as an
    /// application message is a forgery.
    GroupUpdated(GroupUpdated),
    /// The sender asks to be removed.
    LeaveRequest(LeaveRequest),
    /// The sender asks to hide a message.
    DeleteMessage(DeleteMessage),
    /// Any other type, or none.
    Custom(EncodedContent),
}

impl Content {
    /// Decodes a content by its type id and major version; the authority does not matter (client §5.1).
    ///
    /// # Errors
    /// [`ContentError`] for a known type whose content cannot be read.
    pub fn decode(encoded: &EncodedContent) -> Result<Self, ContentError> {
        let bytes = encoded.content();
        let Some(id) = encoded.content_type() else { return Ok(Self::Custom(encoded.clone())) };
        Ok(match (id.type_id.as_str(), id.major) {
            (TEXT, 1) => Self::Text(text(encoded)?),
            (MARKDOWN, 1) => Self::Markdown(text(encoded)?),
            (REACTION, 2) => Self::Reaction(Reaction::from_content(bytes)?),
            (REACTION, 1) => Self::Reaction(Reaction::from_version_1(encoded)?),
            (REPLY, 1) => Self::Reply(Reply::from_encoded(encoded)?),
            (READ_RECEIPT, 1) => Self::ReadReceipt,
            (ATTACHMENT, 1) => Self::Attachment(Attachment::from_encoded(encoded)?),
            (REMOTE_ATTACHMENT, 1) => Self::RemoteAttachment(RemoteAttachment::from_encoded(encoded)?),
            (MULTI_REMOTE_ATTACHMENT, 1) => Self::MultiRemoteAttachment(attachment::multi_from_content(bytes)?),
            (TRANSACTION_REFERENCE, 1) => Self::TransactionReference(encoded.json()?),
            (WALLET_SEND_CALLS, 1) => Self::WalletSendCalls(wallet_send_calls(encoded)?),
            (ACTIONS, 1) => Self::Actions(encoded.json::<Actions>()?.checked()?),
            (INTENT, 1) => Self::Intent(encoded.json::<Intent>()?.checked()?),
            (GROUP_UPDATED, 1) => Self::GroupUpdated(GroupUpdated::from_content(bytes)?),
            (LEAVE_REQUEST, 1) => Self::LeaveRequest(LeaveRequest::from_content(bytes)?),
            (DELETE_MESSAGE, 1) => Self::DeleteMessage(DeleteMessage::from_content(bytes)?),
            _ => Self::Custom(encoded.clone()),
        })
    }

    /// Encodes the content with its type, parameters and fallback (client §5.2).
    #[must_use]
    pub fn to_encoded(&self) -> EncodedContent {
        let none = BTreeMap::new;
        match self {
            Self::Text(text) => encode(XMTP, TEXT, 1, utf_8(), None, text.clone().into_bytes()),
            Self::Markdown(text) => encode(XMTP, MARKDOWN, 1, utf_8(), None, text.clone().into_bytes()),
            Self::Reaction(it) => encode(XMTP, REACTION, 2, none(), Some(it.fallback()), it.to_content()),
            Self::Reply(it) => encode(XMTP, REPLY, 1, it.parameters(), Some(it.fallback()), it.content.to_bytes()),
            Self::ReadReceipt => encode(XMTP, READ_RECEIPT, 1, none(), None, Vec::new()),
            Self::Attachment(it) => encode(XMTP, ATTACHMENT, 1, it.parameters(), Some(it.fallback()), it.data.clone()),
            Self::RemoteAttachment(it) => {
                let url = it.url.clone().into_bytes();
                encode(XMTP, REMOTE_ATTACHMENT, 1, it.parameters(), Some(it.fallback()), url)
            }
            Self::MultiRemoteAttachment(list) => {
                let fallback = attachment::MULTI_FALLBACK.to_owned();
                let content = attachment::multi_to_content(list);
                encode(XMTP, MULTI_REMOTE_ATTACHMENT, 1, none(), Some(fallback), content)
            }
            Self::TransactionReference(it) => {
                encode(XMTP, TRANSACTION_REFERENCE, 1, none(), Some(it.fallback()), to_json(it))
            }
            Self::WalletSendCalls(it) => encode(XMTP, WALLET_SEND_CALLS, 1, none(), Some(it.fallback()), to_json(it)),
            Self::Actions(it) => encode(COINBASE, ACTIONS, 1, none(), Some(it.fallback()), to_json(it)),
            Self::Intent(it) => encode(COINBASE, INTENT, 1, none(), Some(it.fallback()), to_json(it)),
            Self::GroupUpdated(it) => encode(XMTP, GROUP_UPDATED, 1, none(), None, it.to_content()),
            Self::LeaveRequest(it) => encode(XMTP, LEAVE_REQUEST, 1, none(), None, it.to_content()),
            Self::DeleteMessage(it) => encode(XMTP, DELETE_MESSAGE, 1, none(), None, it.to_content()),
            Self::Custom(encoded) => encoded.clone(),
        }
    }

    /// Whether a push server may notify about this type unless the sender says otherwise (client §5.2). False for
    /// types that are not known here (groups §8.2).
    #[must_use]
    pub const fn push_default(&self) -> bool {
        match self {
            Self::Text(_)
            | Self::Markdown(_)
            | Self::Reply(_)
            | Self::Attachment(_)
            | Self::RemoteAttachment(_)
            | Self::MultiRemoteAttachment(_)
            | Self::TransactionReference(_)
            | Self::WalletSendCalls(_)
            | Self::Actions(_)
            | Self::Intent(_) => true,
            Self::Reaction(_)
            | Self::ReadReceipt
            | Self::GroupUpdated(_)
            | Self::LeaveRequest(_)
            | Self::DeleteMessage(_)
            | Self::Custom(_) => false,
        }
    }

    /// Whether a message of this type can be deleted for everyone (groups §7.6).
    #[must_use]
    pub const fn is_deletable(&self) -> bool {
        match self {
            Self::Text(_)
            | Self::Markdown(_)
            | Self::Reply(_)
            | Self::Attachment(_)
            | Self::RemoteAttachment(_)
            | Self::MultiRemoteAttachment(_)
            | Self::TransactionReference(_)
            | Self::WalletSendCalls(_) => true,
            Self::Reaction(_)
            | Self::ReadReceipt
            | Self::Actions(_)
            | Self::Intent(_)
            | Self::GroupUpdated(_)
            | Self::LeaveRequest(_)
            | Self::DeleteMessage(_)
            | Self::Custom(_) => false,
        }
    }
}

fn encode(
    authority: &str,
    type_id: &str,
    major: u32,
    parameters: BTreeMap<String, String>,
    fallback: Option<String>,
    content: Vec<u8>,
) -> EncodedContent {
    let content_type = Some(ContentTypeId::new(authority, type_id, major));
    EncodedContent::new(ContentParts { content_type, parameters, fallback, content, compression: None })
}

fn utf_8() -> BTreeMap<String, String> {
    BTreeMap::from([(ENCODING.to_owned(), UTF_8.to_owned())])
}

fn text(encoded: &EncodedContent) -> Result<String, ContentError> {
    match encoded.parameter(ENCODING) {
        None | Some(UTF_8) => encoded.text(),
        Some(_) => Err(ContentError::Encoding),
    }
}

fn wallet_send_calls(encoded: &EncodedContent) -> Result<WalletSendCalls, ContentError> {
    let calls: WalletSendCalls = encoded.json()?;
    if calls.is_valid() { Ok(calls) } else { Err(ContentError::Json) }
}
