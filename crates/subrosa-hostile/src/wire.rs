//! Envelopes and contents.

use openmls::prelude::{ContentType, MlsMessageBodyIn, MlsMessageIn, ProtocolMessage, tls_codec::Deserialize as _};
use prost::Message;
use subrosa_content::{Content, EncodedContent, PlaintextEnvelope};
use subrosa_envelope::{
    CommitLogEntry, CommitLogItem, CommitLogUpload, ContentKind, GroupMessage, GroupMessageInput, KeyPackageUpload,
    MessageHeader, Welcome, WelcomeInput, WelcomeMetadata, WelcomePointer, WireFormat,
};
use subrosa_proto::xmtp::mls::{api::v1 as api, message_contents as mc};
use subrosa_types::GroupId;

/// What the MLS library reads as a group message has the header that we read. What we read it reads as well, except
/// for public messages: in those we leave the contents of extensions unread. What follows the message changes nothing.
pub fn message_header(bytes: &[u8]) -> bool {
    let header = MessageHeader::parse(bytes);
    let ours = header.as_ref().ok().map(|h| (h.group_id.as_bytes().to_vec(), h.epoch.0, h.content));
    let library = library_header(bytes);
    if library.is_some() || header.as_ref().is_ok_and(|h| h.wire_format == WireFormat::Private) {
        assert_eq!(ours, library, "the parser and the MLS library disagree ({header:?})");
    }
    let Ok(header) = header else { return false };
    assert!((1..=GroupId::MAX).contains(&header.group_id.as_bytes().len()));
    assert_eq!(MessageHeader::parse(&[bytes, &[0]].concat()), Ok(header));
    true
}

/// Group id, epoch and content as the MLS library reads them; group ids that we do not hold are refused.
fn library_header(mut bytes: &[u8]) -> Option<(Vec<u8>, u64, ContentKind)> {
    let message: ProtocolMessage = match MlsMessageIn::tls_deserialize(&mut bytes).ok()?.extract() {
        MlsMessageBodyIn::PublicMessage(message) => message.into(),
        MlsMessageBodyIn::PrivateMessage(message) => message.into(),
        _ => return None,
    };
    let content = match message.content_type() {
        ContentType::Application => ContentKind::Application,
        ContentType::Proposal => ContentKind::Proposal,
        ContentType::Commit => ContentKind::Commit,
    };
    let group = GroupId::from_slice(message.group_id().as_slice()).ok()?;
    Some((group.as_bytes().to_vec(), message.epoch().as_u64(), content))
}

/// A group message, as delivered and as sent, survives its encoding, and names the group that its data names.
pub fn group_message(bytes: &[u8]) -> bool {
    let delivered = api::GroupMessage::decode(bytes).ok().and_then(|wire| GroupMessage::from_proto(wire).ok());
    if let Some(message) = &delivered {
        assert_eq!(GroupMessage::from_proto(message.to_proto()).as_ref(), Ok(message));
        assert!(message.sequence.is_item());
        assert_eq!(message.header.group_id, *message.group_id());
        assert_eq!(MessageHeader::parse(&message.data).as_ref(), Ok(&message.header));
    }
    let sent = api::GroupMessageInput::decode(bytes).ok().and_then(|wire| GroupMessageInput::from_proto(wire).ok());
    if let Some(input) = &sent {
        assert_eq!(GroupMessageInput::from_proto(input.to_proto()).as_ref(), Ok(input));
        assert!(input.header().is_ok());
    }
    delivered.is_some() || sent.is_some()
}

/// A welcome, as delivered and as sent, survives its encoding.
pub fn welcome(bytes: &[u8]) -> bool {
    let delivered = Welcome::from_bytes(bytes).ok();
    if let Some(welcome) = &delivered {
        assert_eq!(Welcome::from_bytes(&welcome.to_bytes()).as_ref(), Ok(welcome));
        assert!(welcome.sequence.is_item());
    }
    let sent = api::WelcomeMessageInput::decode(bytes).ok().and_then(|wire| WelcomeInput::from_proto(wire).ok());
    if let Some(input) = &sent {
        assert_eq!(WelcomeInput::from_proto(input.to_proto()).as_ref(), Ok(input));
        assert!(!input.hpke_public_key().is_empty() || matches!(input, WelcomeInput::Direct { .. }));
        assert!(input.size() <= bytes.len());
    }
    delivered.is_some() || sent.is_some()
}

/// Pointer and metadata inside a welcome survive their encoding.
pub fn welcome_plaintext(bytes: &[u8]) -> bool {
    let pointer = WelcomePointer::from_bytes(bytes);
    if let Ok(pointer) = &pointer {
        assert_eq!(WelcomePointer::from_bytes(&pointer.to_bytes()).as_ref(), Ok(pointer));
    }
    let metadata = WelcomeMetadata::from_bytes(bytes);
    if let Ok(metadata) = metadata {
        assert_eq!(WelcomeMetadata::from_bytes(&metadata.to_bytes()), Ok(metadata));
    }
    pointer.is_ok() || metadata.is_ok()
}

/// Entries of commit logs, in the clear, uploaded and delivered, and uploads of key packages survive their encoding.
pub fn commit_log(bytes: &[u8]) -> bool {
    let entry = CommitLogEntry::from_bytes(bytes);
    if let Ok(entry) = &entry {
        assert_eq!(CommitLogEntry::from_bytes(&entry.to_bytes()).as_ref(), Ok(entry));
    }
    let upload =
        api::PublishCommitLogRequest::decode(bytes).ok().and_then(|wire| CommitLogUpload::from_proto(wire).ok());
    if let Some(upload) = &upload {
        assert_eq!(CommitLogUpload::from_proto(upload.to_proto()).as_ref(), Ok(upload));
    }
    let item = mc::CommitLogEntry::decode(bytes).ok().and_then(|wire| CommitLogItem::from_proto(wire).ok());
    if let Some(item) = &item {
        assert_eq!(CommitLogItem::from_proto(item.to_proto()).as_ref(), Ok(item));
    }
    let package =
        api::UploadKeyPackageRequest::decode(bytes).ok().and_then(|wire| KeyPackageUpload::from_proto(wire).ok());
    if let Some(package) = &package {
        assert_eq!(KeyPackageUpload::from_proto(package.to_proto()).as_ref(), Ok(package));
    }
    entry.is_ok() || upload.is_some() || item.is_some() || package.is_some()
}

/// The plaintext of a message survives its encoding and has one id.
pub fn plaintext(bytes: &[u8]) -> bool {
    let Ok(envelope) = PlaintextEnvelope::from_bytes(bytes) else { return false };
    assert_eq!(PlaintextEnvelope::from_bytes(&envelope.to_bytes()).as_ref(), Ok(&envelope));
    if let PlaintextEnvelope::V1 { content: body, idempotency_key } = &envelope {
        let group = GroupId::from_slice(&[7; 16]).unwrap();
        let id = subrosa_content::message_id(&group, idempotency_key, body);
        assert_eq!(id, subrosa_content::message_id(&group, idempotency_key, body));
        content(body);
    }
    true
}

/// A content keeps the bytes it came in. What was understood of it is understood again after being sent on, and what
/// is made of it to be shown is not larger than it, up to a factor.
pub fn content(bytes: &[u8]) -> bool {
    let Ok(encoded) = EncodedContent::from_bytes(bytes) else { return false };
    assert_eq!(encoded.as_bytes(), bytes);
    let again = EncodedContent::new(encoded.parts().clone());
    assert_eq!(EncodedContent::from_bytes(again.as_bytes()).unwrap().parts(), encoded.parts());
    let Ok(content) = Content::decode(&encoded) else { return false };
    let sent = content.to_encoded();
    // A byte may be escaped as six, and the text may stand in the fallback as well.
    assert!(sent.as_bytes().len() <= 16 * bytes.len() + 1024, "{} bytes became {}", bytes.len(), sent.as_bytes().len());
    assert_eq!(Content::decode(&sent).as_ref(), Ok(&content));
    true
}
