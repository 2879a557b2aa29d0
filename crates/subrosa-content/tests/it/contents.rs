//! The content types against the tables of the specification.

use std::collections::BTreeMap;

use proptest::prelude::*;
use subrosa_content::{
    Attachment, AttachmentSecret, Content, ContentError, ContentParts, ContentTypeId, DeleteMessage, EncodedContent,
    GroupUpdated, LeaveRequest, PlaintextEnvelope, Reaction, ReactionAction, ReactionSchema, RemoteAttachment, Reply,
    TransactionReference, message_id,
};
use subrosa_types::{InboxId, MessageId, hex};

fn of_type(authority: &str, type_id: &str, major: u32, content: &[u8]) -> EncodedContent {
    EncodedContent::new(ContentParts {
        content_type: Some(ContentTypeId::new(authority, type_id, major)),
        content: content.to_vec(),
        ..ContentParts::default()
    })
}

fn xmtp(type_id: &str, major: u32, content: &[u8]) -> EncodedContent {
    of_type("xmtp.org", type_id, major, content)
}

fn text(text: &str) -> Content {
    Content::Text(text.to_owned())
}

fn thumb(action: ReactionAction, schema: ReactionSchema) -> Content {
    let [reference, reference_inbox_id, content] = ["aa", "bb", "👍"].map(str::to_owned);
    Content::Reaction(Reaction { reference, reference_inbox_id, action, content, schema })
}

#[track_caller]
fn encodes(content: &Content, want: &str) {
    let encoded = content.to_encoded();
    assert_eq!(hex::encode(encoded.content()), want);
    assert_eq!(Content::decode(&encoded).as_ref(), Ok(content));
}

#[test]
fn text_and_its_envelope_match_the_sync_chapter() {
    let encoded = text("hi").to_encoded();
    let content = "0a120a08786d74702e6f7267120474657874180112110a08656e636f64696e6712055554462d3822026869";
    assert_eq!(hex::encode(encoded.as_bytes()), content);
    let key = "1700000000000000000";
    let plaintext = PlaintextEnvelope::V1 { content: encoded.to_bytes(), idempotency_key: key.to_owned() };
    let want = format!("0a420a2b{content}121331373030303030303030303030303030303030");
    assert_eq!(hex::encode(&plaintext.to_bytes()), want);
    let group = "000102030405060708090a0b0c0d0e0f".parse().unwrap();
    let id = "5170118de91afe79548cc768a129f88e19dc65ff5aa2457552cd74332b7cbc52";
    assert_eq!(message_id(&group, key, encoded.as_bytes()).to_hex(), id);
}

#[test]
fn reactions_match_the_client_chapter() {
    encodes(&thumb(ReactionAction::Added, ReactionSchema::Unicode), "0a0261611202626218012204f09f918d2801");
    encodes(&thumb(ReactionAction::Removed, ReactionSchema::Custom), "0a0261611202626218022204f09f918d2803");
}

#[test]
fn remote_attachments_match_the_client_chapter() {
    let attachment = RemoteAttachment {
        url: "https://x/y".into(),
        content_digest: "00".into(),
        secret: AttachmentSecret::new(vec![1, 1]),
        salt: vec![2, 2],
        nonce: vec![3, 3],
        scheme: "https".into(),
        content_length: Some(5),
        filename: Some("f".into()),
    };
    encodes(
        &Content::MultiRemoteAttachment(vec![attachment.clone()]),
        "0a290a023030120201011a020303220202022a056874747073320b68747470733a2f2f782f793805420166",
    );
    encodes(&Content::RemoteAttachment(attachment), "68747470733a2f2f782f79");
}

#[test]
fn a_transaction_reference_matches_the_client_chapter() {
    let reference = TransactionReference {
        namespace: Some("eip155".into()),
        network_id: "1".into(),
        reference: "0xabc".into(),
        metadata: None,
    };
    let want = r#"{"namespace":"eip155","networkId":"1","reference":"0xabc"}"#;
    encodes(&Content::TransactionReference(reference.clone()), &hex::encode(want.as_bytes()));
    let nameless = TransactionReference { reference: String::new(), ..reference };
    assert_eq!(Content::TransactionReference(nameless).to_encoded().fallback(), Some("Crypto transaction"));
}

#[test]
fn actions_match_the_client_chapter() {
    let json = r#"{"id":"i","description":"d","actions":[{"id":"a","label":"L","style":"primary"}]}"#;
    let content = Content::decode(&of_type("coinbase.com", "actions", 1, json.as_bytes())).unwrap();
    encodes(&content, &hex::encode(json.as_bytes()));
}

#[test]
fn a_reply_carries_the_whole_answer() {
    let reply = Content::Reply(Reply {
        reference: "aa".into(),
        reference_inbox_id: Some("bb".into()),
        content: text("re").to_encoded(),
    });
    let encoded = reply.to_encoded();
    assert_eq!(encoded.fallback(), Some("Replied with \"re\" to an earlier message"));
    assert_eq!(encoded.parameter("contentType"), Some("xmtp.org/text:1.0"));
    assert_eq!(Content::decode(&encoded), Ok(reply));
    assert!(hex::encode(encoded.as_bytes()).contains(&format!(
        "1a27{}222b{}",
        hex::encode(b"Replied with \"re\" to an earlier message"),
        hex::encode(text("re").to_encoded().as_bytes())
    )));

    let other = Reply {
        reference: "aa".into(),
        reference_inbox_id: None,
        content: thumb(ReactionAction::Added, ReactionSchema::Unicode).to_encoded(),
    };
    assert_eq!(Content::Reply(other).to_encoded().fallback(), Some("Replied to an earlier message"));
}

#[test]
fn dispatch_looks_at_type_and_major_version_only() {
    assert_eq!(Content::decode(&of_type("other.org", "text", 1, b"x")), Ok(text("x")));
    let newer = xmtp("text", 2, b"x");
    assert_eq!(Content::decode(&newer), Ok(Content::Custom(newer)));
    let untyped = EncodedContent::new(ContentParts::default());
    assert_eq!(Content::decode(&untyped), Ok(Content::Custom(untyped)));
}

#[test]
fn text_in_another_encoding_is_refused() {
    for type_id in ["text", "markdown"] {
        let mut parts = xmtp(type_id, 1, b"x").parts().clone();
        parts.parameters = BTreeMap::from([("encoding".to_owned(), "UTF-16".to_owned())]);
        assert_eq!(Content::decode(&EncodedContent::new(parts)), Err(ContentError::Encoding));
        assert_eq!(Content::decode(&xmtp(type_id, 1, &[0xff])), Err(ContentError::Utf8));
    }
}

#[test]
fn version_1_of_reactions_is_read() {
    let json = r#"{"action":"removed","reference":"aa","referenceInboxId":"bb","schema":"custom","content":"👍"}"#;
    let want = thumb(ReactionAction::Removed, ReactionSchema::Custom);
    assert_eq!(Content::decode(&xmtp("reaction", 1, json.as_bytes())), Ok(want));
    let odd = json.replace("removed", "turned");
    assert_eq!(Content::decode(&xmtp("reaction", 1, odd.as_bytes())), Err(ContentError::Json));
}

#[test]
fn a_deletion_names_its_message_in_hex_of_either_case() {
    let delete = Content::DeleteMessage(DeleteMessage { message_id: MessageId::from_bytes([0xab; 32]) });
    encodes(&delete, &format!("0a40{}", hex::encode("ab".repeat(32).as_bytes())));
    let upper = [&[0x0a, 0x40][..], "AB".repeat(32).as_bytes()].concat();
    assert_eq!(Content::decode(&xmtp("deleteMessage", 1, &upper)), Ok(delete));
    for bad in ["zz", "ab", ""] {
        let content = [&[0x0a, u8::try_from(bad.len()).unwrap()][..], bad.as_bytes()].concat();
        assert_eq!(Content::decode(&xmtp("deleteMessage", 1, &content)), Err(ContentError::Id));
    }
}

#[test]
fn leave_requests_and_transcripts_have_no_fallback() {
    encodes(&Content::LeaveRequest(LeaveRequest::default()), "");
    encodes(&Content::LeaveRequest(LeaveRequest { authenticated_note: Some(vec![]) }), "0a00");
    let updated =
        GroupUpdated { added: vec![InboxId::from_bytes([2; 32])], ..GroupUpdated::by(InboxId::from_bytes([1; 32])) };
    let one = hex::encode("01".repeat(32).as_bytes());
    let two = hex::encode("02".repeat(32).as_bytes());
    encodes(&Content::GroupUpdated(updated.clone()), &format!("0a40{one}12420a40{two}"));
    assert_eq!(Content::GroupUpdated(updated).to_encoded().fallback(), None);
}

#[test]
fn parameters_that_are_missing_or_malformed_are_named() {
    let decode = |type_id: &str, parameters: &[(&str, &str)]| {
        let mut parts = xmtp(type_id, 1, b"https://x").parts().clone();
        parts.parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Content::decode(&EncodedContent::new(parts))
    };
    assert_eq!(decode("attachment", &[]), Err(ContentError::MissingParameter("mimeType")));
    assert_eq!(decode("reply", &[]), Err(ContentError::MissingParameter("reference")));
    let all = [("contentDigest", "00"), ("secret", "01"), ("salt", "02"), ("nonce", "03"), ("scheme", "https://")];
    assert!(decode("remoteStaticAttachment", &all).is_ok());
    for (missing, _) in all {
        let rest: Vec<_> = all.into_iter().filter(|(name, _)| *name != missing).collect();
        assert_eq!(decode("remoteStaticAttachment", &rest), Err(ContentError::MissingParameter(missing)));
    }
    let long = [&all[..], &[("contentLength", "4294967296")]].concat();
    assert_eq!(decode("remoteStaticAttachment", &long), Err(ContentError::Parameter("contentLength")));
}

#[test]
fn push_and_deletion_follow_the_tables() {
    let attachment = Attachment { filename: None, mime_type: "a/b".into(), data: vec![] };
    let reaction = thumb(ReactionAction::Added, ReactionSchema::Unicode);
    let table = [
        (text("x"), true, true),
        (Content::Markdown("x".into()), true, true),
        (Content::Attachment(attachment), true, true),
        (Content::MultiRemoteAttachment(vec![]), true, true),
        (reaction, false, false),
        (Content::ReadReceipt, false, false),
        (Content::LeaveRequest(LeaveRequest::default()), false, false),
        (Content::Custom(xmtp("new", 1, b"")), false, false),
    ];
    for (content, push, deletable) in table {
        assert_eq!((content.push_default(), content.is_deletable()), (push, deletable), "{content:?}");
    }
}

/// Every type with a decoder, and one without.
const TYPES: [(&str, u32); 17] = [
    ("text", 1),
    ("markdown", 1),
    ("reaction", 1),
    ("reaction", 2),
    ("reply", 1),
    ("readReceipt", 1),
    ("attachment", 1),
    ("remoteStaticAttachment", 1),
    ("multiRemoteStaticAttachment", 1),
    ("transactionReference", 1),
    ("walletSendCalls", 1),
    ("actions", 1),
    ("intent", 1),
    ("group_updated", 1),
    ("leave_request", 1),
    ("deleteMessage", 1),
    ("new", 1),
];

#[test]
fn json_nested_without_end_is_refused() {
    let deep = [b"[".repeat(100_000), b"]".repeat(100_000)].concat();
    let json = [&br#"{"id":"i","actionId":"a","metadata":{"k":"#[..], &deep, b"}}"].concat();
    assert_eq!(Content::decode(&xmtp("intent", 1, &json)), Err(ContentError::Json));
}

proptest! {
    #[test]
    fn any_content_of_any_type_is_decoded_or_refused(
        at in 0..TYPES.len(),
        content: Vec<u8>,
        parameters in prop::collection::btree_map("reference|encoding|mimeType|secret|contentLength", ".*", 0..4),
    ) {
        let (type_id, major) = TYPES[at];
        let mut parts = xmtp(type_id, major, &content).parts().clone();
        parts.parameters = parameters;
        if let Ok(content) = Content::decode(&EncodedContent::new(parts)) {
            let again = content.to_encoded();
            prop_assert_eq!(Content::decode(&again).map(|c| c.to_encoded()), Ok(again));
        }
    }

    #[test]
    fn decoding_inverts_encoding_of_texts_and_replies(body: String, reference: String, inbox: Option<String>) {
        let encoded = text(&body).to_encoded();
        prop_assert_eq!(Content::decode(&encoded), Ok(text(&body)));
        let reply = Content::Reply(Reply { reference, reference_inbox_id: inbox, content: encoded });
        prop_assert_eq!(Content::decode(&reply.to_encoded()), Ok(reply));
    }
}
