//! Recorded contents of the official client.

use std::collections::BTreeMap;

use serde_json::Value;
use subrosa_content::{
    Action, ActionStyle, Actions, Attachment, AttachmentSecret, Content, ContentParts, ContentTypeId, EncodedContent,
    Intent, PlaintextEnvelope, Reaction, ReactionAction, ReactionSchema, RemoteAttachment, message_id, transcript_key,
    welcome_transcript_key,
};
use subrosa_types::{GroupId, UnixNanos};
use subrosa_vectors::{Family, bytes, number, text};

fn optional(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn parameters(value: &Value) -> BTreeMap<String, String> {
    value.as_object().unwrap().iter().map(|(name, value)| (name.clone(), text(value).to_owned())).collect()
}

/// The content as a recording describes it.
fn recorded(value: &Value) -> ContentParts {
    let id = &value["type"];
    let version = |name: &str| u32::try_from(number(&id[name])).unwrap();
    ContentParts {
        content_type: Some(ContentTypeId {
            authority_id: text(&id["authorityId"]).to_owned(),
            type_id: text(&id["typeId"]).to_owned(),
            major: version("versionMajor"),
            minor: version("versionMinor"),
        }),
        parameters: parameters(&value["parameters"]),
        fallback: optional(&value["fallback"]),
        content: bytes(&value["content"]),
        compression: value["compression"].as_i64().map(|number| i32::try_from(number).unwrap()),
    }
}

fn hex_field(value: &Value) -> Vec<u8> {
    bytes(&value["hex"])
}

fn remote_attachment(input: &Value) -> RemoteAttachment {
    RemoteAttachment {
        url: text(&input["url"]).to_owned(),
        content_digest: text(&input["contentDigest"]).to_owned(),
        secret: AttachmentSecret::new(hex_field(&input["secret"])),
        salt: hex_field(&input["salt"]),
        nonce: hex_field(&input["nonce"]),
        scheme: text(&input["scheme"]).to_owned(),
        content_length: input["contentLength"].as_u64().map(|length| u32::try_from(length).unwrap()),
        filename: optional(&input["filename"]),
    }
}

fn reaction(input: &Value) -> Reaction {
    Reaction {
        reference: text(&input["reference"]).to_owned(),
        reference_inbox_id: text(&input["referenceInboxId"]).to_owned(),
        action: if number(&input["action"]) == 1 { ReactionAction::Added } else { ReactionAction::Removed },
        content: text(&input["content"]).to_owned(),
        schema: match number(&input["schema"]) {
            1 => ReactionSchema::Unicode,
            2 => ReactionSchema::Shortcode,
            _ => ReactionSchema::Custom,
        },
    }
}

fn expiry(value: &Value) -> Option<UnixNanos> {
    value.is_string().then(|| UnixNanos::from_wire(number(value)))
}

fn action(input: &Value) -> Action {
    Action {
        id: text(&input["id"]).to_owned(),
        label: text(&input["label"]).to_owned(),
        image_url: optional(&input["imageUrl"]),
        style: input["style"].as_u64().map(|style| match style {
            0 => ActionStyle::Primary,
            1 => ActionStyle::Secondary,
            _ => ActionStyle::Danger,
        }),
        expires_at: expiry(&input["expiresAtNs"]),
    }
}

/// What the encoder was given.
fn content(name: &str, input: &Value) -> Content {
    let json = || input.clone();
    match name {
        "Text" => Content::Text(text(input).to_owned()),
        "Markdown" => Content::Markdown(text(input).to_owned()),
        "Reaction" => Content::Reaction(reaction(input)),
        "Attachment" => Content::Attachment(Attachment {
            filename: optional(&input["filename"]),
            mime_type: text(&input["mimeType"]).to_owned(),
            data: hex_field(&input["content"]),
        }),
        "RemoteAttachment" => Content::RemoteAttachment(remote_attachment(input)),
        "MultiRemoteAttachment" => {
            let list = input["attachments"].as_array().unwrap();
            Content::MultiRemoteAttachment(list.iter().map(remote_attachment).collect())
        }
        "ReadReceipt" => Content::ReadReceipt,
        "TransactionReference" => Content::TransactionReference(serde_json::from_value(json()).unwrap()),
        "WalletSendCalls" => Content::WalletSendCalls(serde_json::from_value(json()).unwrap()),
        "Actions" => {
            let actions = input["actions"].as_array().unwrap().iter().map(action).collect();
            let [id, description] = ["id", "description"].map(|name| text(&input[name]).to_owned());
            Content::Actions(Actions::new(id, description, actions, expiry(&input["expiresAtNs"])).unwrap())
        }
        "Intent" => {
            let [id, action_id] = ["id", "actionId"].map(|name| text(&input[name]).to_owned());
            Content::Intent(Intent::new(id, action_id, input["metadata"].as_object().cloned()).unwrap())
        }
        other => panic!("unknown encoder {other}"),
    }
}

#[test]
fn vectors_encoders_make_the_same_contents() {
    Family::load("wire/contents/encoders")
        .each(|_, file| {
            let cases = file["encoders"].as_array().unwrap();
            for case in cases {
                let content = content(text(&case["name"]), &case["input"]);
                let encoded = content.to_encoded();
                assert_eq!(*encoded.parts(), recorded(case));
                let back = Content::decode(&encoded).unwrap();
                assert_eq!(back.to_encoded(), encoded);
            }
            cases.len()
        })
        .finish();
}

#[test]
fn vectors_received_messages_decode_and_encode_alike() {
    Family::load("wire/contents/messages")
        .each(|_, file| {
            let cases = file["messages"].as_array().unwrap();
            for case in cases {
                let encoded = EncodedContent::new(recorded(case));
                let content = Content::decode(&encoded).unwrap();
                let custom = text(&case["type"]["typeId"]) == "custom";
                assert_eq!(matches!(content, Content::Custom(_)), custom);
                assert_eq!(content.to_encoded(), encoded);
                let (group, sent) = (text(&case["group_id"]), number(&case["sent_at_ns"]));
                if number(&case["message_kind"]) == 1 {
                    assert!(is_transcript(group, sent, &encoded, text(&case["message_id"])));
                }
            }
            cases.len()
        })
        .finish();
}

/// Whether this is the id of a transcript message, of a commit or of a welcome.
fn is_transcript(group: &str, sent_ns: u64, encoded: &EncodedContent, id: &str) -> bool {
    let group: GroupId = group.parse().unwrap();
    let at = UnixNanos::from_wire(sent_ns);
    [transcript_key(at), welcome_transcript_key(at)]
        .iter()
        .any(|key| message_id(&group, key, encoded.as_bytes()).to_hex() == id)
}

/// An application message with its plaintext.
fn application(group: &GroupId, message: &Value) -> usize {
    let Some(plaintext) = message.get("encoded_content").map(|_| bytes(&message["plaintext"])) else { return 0 };
    let envelope = PlaintextEnvelope::from_bytes(&plaintext).unwrap();
    assert_eq!(envelope.to_bytes(), plaintext);
    let PlaintextEnvelope::V1 { content, idempotency_key } = envelope else { panic!("another version") };
    assert_eq!(idempotency_key, text(&message["idempotency_key"]));
    assert_eq!(content, bytes(&message["encoded_content"]));
    assert_eq!(message_id(group, &idempotency_key, &content).to_hex(), text(&message["message_id"]));
    let encoded = EncodedContent::from_bytes(&content).unwrap();
    assert_eq!(encoded.as_bytes(), content);
    let decoded = Content::decode(&encoded).unwrap();
    assert_eq!(decoded.to_encoded().parts(), encoded.parts());
    1
}

#[test]
fn vectors_decrypted_messages_have_the_recorded_ids() {
    Family::load("wire/decrypted")
        .each(|_, file| {
            let mut cases = 0;
            for group in file["groups"].as_array().unwrap() {
                let id: GroupId = text(&group["group_id"]).parse().unwrap();
                let messages = group["messages"].as_array().into_iter().flatten();
                cases += messages.map(|message| application(&id, message)).sum::<usize>();
            }
            cases
        })
        .finish();
}

#[test]
fn vectors_transcripts_have_ids_that_follow_from_their_time() {
    Family::load("wire/decrypted")
        .each(|_, file| {
            let mut cases = 0;
            for group in file["groups"].as_array().unwrap() {
                let observed = group.get("observed_by_official_client").and_then(|seen| seen["messages"].as_array());
                for message in observed.into_iter().flatten().filter(|message| number(&message["kind"]) == 1) {
                    let Content::GroupUpdated(updated) =
                        Content::decode(&EncodedContent::new(recorded(message))).unwrap()
                    else {
                        panic!("another type")
                    };
                    // Order within a list is not defined among clients.
                    if [&updated.added, &updated.removed, &updated.left].iter().any(|list| list.len() > 1) {
                        continue;
                    }
                    let encoded = Content::GroupUpdated(updated).to_encoded();
                    let (group, sent) = (text(&group["group_id"]), number(&message["sent_at_ns"]));
                    assert!(is_transcript(group, sent, &encoded, text(&message["id"])), "{message}");
                    cases += 1;
                }
            }
            cases
        })
        .finish();
}

#[test]
fn vectors_an_encrypted_attachment_opens() {
    Family::load("wire/contents/encrypted_attachment")
        .each(|_, file| {
            let cases = file["items"].as_array().unwrap();
            for case in cases {
                let remote = RemoteAttachment {
                    url: String::new(),
                    content_digest: text(&case["contentDigest"]).to_owned(),
                    secret: AttachmentSecret::new(bytes(&case["secret"])),
                    salt: bytes(&case["salt"]),
                    nonce: bytes(&case["nonce"]),
                    scheme: String::new(),
                    content_length: None,
                    filename: optional(&case["filename"]),
                };
                let payload = bytes(&case["payload"]);
                assert_eq!(payload.len() as u64, number(&case["contentLength"]));
                let opened = remote.open(&payload).unwrap();
                assert_eq!(opened.filename, remote.filename);
                assert_eq!(opened.mime_type, "text/plain");
                assert_eq!(opened.data, b"secret body");
            }
            cases.len()
        })
        .finish();
}
