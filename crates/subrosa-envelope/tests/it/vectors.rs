//! Recorded traffic of the official client.

use prost::Message;
use serde_json::Value;
use subrosa_envelope::{
    CommitLogEntry, CommitLogItem, CommitResult, ContentKind, DedupeKey, GroupMessage, GroupMessageInput,
    KeyPackageUpload, MessageHeader, PayloadHash, Welcome, WelcomeInput, WelcomeMetadata, WelcomePointer, WireFormat,
    WrapperAlgorithm, hmac,
};
use subrosa_proto::xmtp::mls::{api::v1 as api, message_contents as mc};
use subrosa_types::{Cursor, OriginatorId, SequenceId, UnixNanos, hex};
use subrosa_vectors::{Family, bytes, number, text};

fn list<'a>(file: &'a Value, name: &str) -> &'a [Value] {
    file[name].as_array().unwrap()
}

fn input(message: &Value) -> GroupMessageInput {
    GroupMessageInput {
        data: bytes(&message["data"]),
        sender_hmac: bytes(&message["sender_hmac"]),
        should_push: message["should_push"].as_bool().unwrap(),
    }
}

fn group_message(message: &Value) {
    let input = input(message);
    let header = MessageHeader::parse(&input.data).unwrap();
    let wire_format = match header.wire_format {
        WireFormat::Public => 1,
        WireFormat::Private => 2,
    };
    let content = match header.content {
        ContentKind::Application => "application",
        ContentKind::Proposal => "proposal",
        ContentKind::Commit => "commit",
    };
    assert_eq!(wire_format, number(&message["wire_format"]));
    assert_eq!(header.group_id.to_hex(), text(&message["group_id"]));
    assert_eq!(header.epoch.0, number(&message["epoch"]));
    assert_eq!(content, text(&message["content_type"]));
    assert_eq!(header.is_commit(), message["is_commit"].as_bool().unwrap());
    assert_eq!(input.data.len() as u64, number(&message["data_len"]));
    assert_eq!(input.sender_hmac.len(), 32);

    // Any shorter message is refused, any longer one is read alike.
    assert!(MessageHeader::parse(&input.data[..input.data.len() - 1]).is_err());
    assert_eq!(MessageHeader::parse(&[&input.data[..], &[0]].concat()), Ok(header.clone()));

    assert_eq!(GroupMessageInput::from_proto(input.to_proto()).unwrap(), input);
    let stored = GroupMessage::new(SequenceId(7), UnixNanos::from_nanos(9), input).unwrap();
    let originator = if header.is_commit() { OriginatorId::COMMITS } else { OriginatorId::MESSAGES };
    assert_eq!(stored.cursor(), Cursor::new(originator, SequenceId(7)));
    // The recorded hash is the one a node deduplicates by.
    assert_eq!(hex::encode(stored.dedupe_key().as_bytes()), text(&message["payload_hash"]));
    assert_eq!(stored.payload_hash(), PayloadHash::of(&stored.data));
    assert_eq!(GroupMessage::from_proto(stored.to_proto()).unwrap(), stored);
}

#[test]
fn vectors_group_messages_show_their_headers() {
    Family::load("wire/group_messages")
        .each(|_, file| {
            list(file, "messages").iter().for_each(group_message);
            list(file, "messages").len()
        })
        .finish();
}

#[test]
fn vectors_sender_hmacs_verify_under_one_of_the_keys_shown() {
    Family::load("wire/group_messages/hmac_keys")
        .each(|_, file| {
            let keys: Vec<hmac::HmacKey> = list(file, "keys_shown_by_official_client")
                .iter()
                .map(|shown| hmac::HmacKey::from_bytes(bytes(&shown["key"]).try_into().unwrap()))
                .collect();
            for message in list(file, "messages") {
                let GroupMessageInput { data, sender_hmac, .. } = input(message);
                let makers: Vec<bool> = keys.iter().map(|key| key.verifies(&data, &sender_hmac)).collect();
                assert_eq!(makers, [false, true, false], "the current epoch is the one in the middle");
                assert_eq!(hmac::sender_hmac(&keys[1], &data)[..], sender_hmac);
            }
            list(file, "messages").len()
        })
        .finish();
}

fn welcome(welcome: &Value) {
    let recorded = bytes(&welcome["welcome_message_input_proto"]);
    let wire = api::WelcomeMessageInput::decode(&recorded[..]).unwrap();
    let input = WelcomeInput::from_proto(wire).unwrap();
    assert_eq!(input.to_proto().encode_to_vec(), recorded);
    assert_eq!(input.installation().to_hex(), text(&welcome["installation_key"]));
    assert_eq!(hex::encode(input.dedupe_key().as_bytes()), text(&welcome["id_hash"]));
    let (key, algorithm) = match &input {
        WelcomeInput::Direct { hpke_public_key, wrapper, metadata, .. } => {
            let pointee = *wrapper == WrapperAlgorithm::Symmetric;
            assert_eq!(text(&welcome["kind"]), if pointee { "pointee" } else { "v1" });
            assert_eq!(metadata.len() as u64, number(&welcome["welcome_metadata_len"]));
            (hpke_public_key, *wrapper)
        }
        WelcomeInput::Pointer { hpke_public_key, .. } => {
            assert_eq!(text(&welcome["kind"]), "pointer");
            (hpke_public_key, WrapperAlgorithm::XWing)
        }
    };
    assert_eq!(key.len() as u64, number(&welcome["hpke_public_key_len"]));
    assert_eq!(u64::try_from(algorithm.to_wire()).unwrap(), number(&welcome["wrapper_algorithm"]));
    let stored = Welcome::new(SequenceId(3), UnixNanos::from_nanos(4), input).unwrap();
    assert_eq!(Welcome::from_proto(stored.to_proto()).unwrap(), stored);
}

#[test]
fn vectors_welcomes_are_encoded_as_they_were_read() {
    Family::load("wire/welcomes")
        .each(|_, file| {
            list(file, "welcomes").iter().for_each(welcome);
            list(file, "welcomes").len()
        })
        .finish();
}

/// Decodes and encodes a delivered welcome, and tells what it is.
fn stored_welcome(recorded: &[u8]) -> Welcome {
    let wire = api::WelcomeMessage::decode(recorded).unwrap();
    let welcome = Welcome::from_proto(wire).unwrap();
    assert_eq!(welcome.to_proto().encode_to_vec(), recorded);
    welcome
}

fn decrypted_group(group: &Value) -> usize {
    let welcome = stored_welcome(&bytes(&group["welcome_message_proto"]));
    let metadata = bytes(&group["welcome_metadata_plaintext"]);
    let read = WelcomeMetadata::from_bytes(&metadata).unwrap();
    assert_eq!(read.message_cursor.0, number(&group["message_cursor"]));
    assert_eq!(read.to_bytes(), metadata);
    if let Some(text) = group.get("pointer_plaintext").filter(|text| text.is_string()) {
        let plaintext = bytes(text);
        let pointer = WelcomePointer::from_bytes(&plaintext).unwrap();
        assert_eq!(pointer.to_bytes(), plaintext);
        assert!(matches!(welcome.input, WelcomeInput::Pointer { .. }));
        let pointee = stored_welcome(&bytes(&group["pointee_message_proto"]));
        assert_eq!(*pointee.installation(), pointer.destination);
    }
    let log = group.get("commit_log_entries").and_then(Value::as_array);
    for recorded in log.into_iter().flatten() {
        let wire = mc::CommitLogEntry::decode(&bytes(recorded)[..]).unwrap();
        let item = CommitLogItem::from_proto(wire.clone()).unwrap();
        assert_eq!(item.to_proto(), wire);
        let entry = CommitLogEntry::from_bytes(&item.signed.entry).unwrap();
        assert_eq!(entry.group_id.to_hex(), text(&group["group_id"]));
        assert_eq!(entry.result, CommitResult::Applied);
        assert_eq!(entry.to_bytes(), item.signed.entry);
    }
    1
}

#[test]
fn vectors_decrypted_welcomes_and_commit_logs_are_encoded_as_they_were_read() {
    Family::load("wire/decrypted").each(|_, file| list(file, "groups").iter().map(decrypted_group).sum()).finish();
}

#[test]
fn vectors_key_packages_travel_unchanged() {
    Family::load("wire/key_packages")
        .each(|_, file| {
            let upload = KeyPackageUpload { bytes: bytes(&file["key_package_tls"]) };
            assert_eq!(KeyPackageUpload::from_proto(upload.to_proto()).unwrap(), upload);
            1
        })
        .finish();
}

#[test]
fn a_dedupe_key_covers_topic_and_payload() {
    assert_ne!(DedupeKey::of(b"group", b"data"), DedupeKey::of(b"other", b"data"));
    assert_ne!(DedupeKey::of(b"group", b"data"), DedupeKey::of(b"group", b"other"));
}
