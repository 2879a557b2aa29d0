//! Well-formed input for each target, from the recorded vectors.

use std::{collections::BTreeSet, fs, path::Path};

use prost::Message as _;
use serde_json::Value;
use subrosa_proto::xmtp::mls::{api::v1 as api, message_contents as mc};

use crate::{
    identity::{scripted_logs, scripted_updates, signatures},
    node::METHODS,
    parts::join,
};

/// Longest seed in bytes. Longer ones show nothing that a shorter one does not.
const LONGEST: usize = 6000;

/// Input that the target of this name accepts, or would but for a detail; each once, sorted.
///
/// # Panics
/// When the vectors cannot be read.
#[must_use]
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    let seeds = match target {
        "commit_log" => [found("wire/decrypted", &["commit_log_entries"]), commit_logs()].concat(),
        "content" => [found("wire/decrypted", &["encoded_content"]), contents()].concat(),
        "context" => found("wire/decrypted", &["data"]).into_iter().filter(|data| crate::context(data)).collect(),
        "group_message" => group_messages(),
        "group_open" => group_of_the_dm(),
        "identity_signature" => signatures(&identity_updates()),
        "identity_update" => [identity_updates(), scripted_updates()].concat(),
        "inbox_log" => {
            let recorded = logs();
            let recorded = recorded.iter().map(|log| join(log.iter().map(Vec::as_slice)));
            recorded.chain(scripted_logs()).collect()
        }
        "key_package" => found("wire/key_packages", &["key_package_tls"]),
        "message_header" => found("wire/group_messages", &["data"]),
        "node_answer" => answers(),
        "node_requests" => requests(),
        "plaintext" => found("wire/decrypted", &["plaintext"]),
        "texts" => texts(),
        "welcome" => found("wire", &["welcome_message_proto", "pointee_message_proto", "welcome_message_input_proto"]),
        "welcome_open" => found("wire/decrypted", &["welcome_plaintext"]),
        "welcome_plaintext" => found("wire/decrypted", &["pointer_plaintext", "welcome_metadata_plaintext"]),
        "welcome_unwrap" => found("wire/decrypted", &["welcome_message_proto", "pointee_message_proto"]),
        other => panic!("no target is called {other}"),
    };
    let seeds: BTreeSet<Vec<u8>> = seeds.into_iter().filter(|seed| seed.len() <= LONGEST).collect();
    seeds.into_iter().collect()
}

/// Every hex text under one of the names, in all files of a folder and below.
fn found(folder: &str, names: &[&str]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    walk(&subrosa_vectors::folder().join(folder), &mut |json| collect(json, names, false, &mut found));
    found
}

fn walk(path: &Path, read: &mut impl FnMut(&Value)) {
    if path.is_dir() {
        let mut paths: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths.iter().for_each(|path| walk(path, read));
    } else if path.extension().is_some_and(|extension| extension == "json") {
        read(&serde_json::from_slice(&fs::read(path).unwrap()).unwrap());
    }
}

fn collect(json: &Value, names: &[&str], named: bool, found: &mut Vec<Vec<u8>>) {
    match json {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| collect(value, names, names.contains(&name.as_str()), found));
        }
        Value::Array(all) => all.iter().for_each(|value| collect(value, names, named, found)),
        Value::String(text) if named => found.extend(subrosa_types::hex::decode(text)),
        _ => {}
    }
}

fn read(file: &str) -> Value {
    let path = subrosa_vectors::folder().join(file);
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn group_of_the_dm() -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    collect(&read("wire/decrypted/dm.json")["groups"][0]["messages"], &["data"], false, &mut found);
    found
}

fn identity_updates() -> Vec<Vec<u8>> {
    [found("wire/identity_updates", &["identity_update_proto"]), logs().concat()].concat()
}

/// The logs of the identity vectors.
fn logs() -> Vec<Vec<Vec<u8>>> {
    let json = read("identity/association_logs.json");
    let cases = json["cases"].as_array().unwrap().iter();
    cases
        .map(|case| {
            let mut log = Vec::new();
            collect(&case["log"], &["update"], false, &mut log);
            log
        })
        .filter(|log| !log.is_empty())
        .collect()
}

/// The recorded calls of a method: request, and the messages of the answer.
fn calls(method: &str) -> Vec<(Vec<u8>, Vec<Vec<u8>>)> {
    let name = method.rsplit('.').next().unwrap().replace('/', ".");
    let path = subrosa_vectors::folder().join(format!("wire/rpc/{name}.json"));
    if !path.exists() {
        return Vec::new();
    }
    let json: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let calls = json["calls"].as_array().unwrap().iter();
    calls
        .map(|call| {
            let (mut request, mut responses) = (Vec::new(), Vec::new());
            collect(call, &["request"], false, &mut request);
            collect(call, &["responses"], false, &mut responses);
            (request.concat(), responses)
        })
        .collect()
}

fn responses(method: &str) -> Vec<Vec<u8>> {
    calls(method).into_iter().flat_map(|(_, responses)| responses).collect()
}

fn group_messages() -> Vec<Vec<u8>> {
    let pages = responses(METHODS[4]).into_iter();
    let messages = pages.flat_map(|page| api::QueryGroupMessagesResponse::decode(page.as_slice()).unwrap().messages);
    let delivered = messages.map(|message| message.encode_to_vec());
    let sent = calls(METHODS[0]).into_iter();
    let sent =
        sent.flat_map(|(request, _)| api::SendGroupMessagesRequest::decode(request.as_slice()).unwrap().messages);
    delivered.chain(sent.map(|input| input.encode_to_vec())).collect()
}

fn commit_logs() -> Vec<Vec<u8>> {
    let uploads = calls(METHODS[7]).into_iter();
    let uploads = uploads
        .flat_map(|(request, _)| api::BatchPublishCommitLogRequest::decode(request.as_slice()).unwrap().requests);
    let packages = calls(METHODS[2]).into_iter().map(|(request, _)| request);
    uploads.map(|upload| upload.encode_to_vec()).chain(packages).collect()
}

/// Recorded contents of every type, put into their wire form again.
fn contents() -> Vec<Vec<u8>> {
    let json = read("wire/contents/messages.json");
    let messages = json["messages"].as_array().unwrap().iter().cloned();
    let encoders = read("wire/contents/encoders.json");
    let encoders = encoders["encoders"].as_array().unwrap().iter().cloned();
    let encode = |recorded: Value| {
        let id = &recorded["type"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let number = |value: &Value| value.as_u64().and_then(|number| u32::try_from(number).ok()).unwrap_or_default();
        let parameters = recorded["parameters"].as_object().into_iter().flatten();
        mc::EncodedContent {
            r#type: Some(mc::ContentTypeId {
                authority_id: text(&id["authorityId"]),
                type_id: text(&id["typeId"]),
                version_major: number(&id["versionMajor"]),
                version_minor: number(&id["versionMinor"]),
            }),
            parameters: parameters.map(|(name, value)| (name.clone(), text(value))).collect(),
            fallback: recorded["fallback"].as_str().map(str::to_owned),
            compression: None,
            content: subrosa_types::hex::decode(recorded["content"].as_str().unwrap_or_default()).unwrap_or_default(),
        }
        .encode_to_vec()
    };
    messages.chain(encoders).map(encode).collect()
}

/// Each recorded request alone, and the recorded sessions from their start.
fn requests() -> Vec<Vec<u8>> {
    let numbered = |method: usize, request: &[u8]| [&[u8::try_from(method).unwrap()], request].concat();
    let mut seeds = Vec::new();
    for (method, path) in METHODS.iter().enumerate() {
        let requests = calls(path).into_iter().map(|(request, _)| numbered(method, &request));
        let requests: Vec<_> = requests.filter(|request| request.len() < LONGEST / 2).take(3).collect();
        seeds.extend(requests.iter().map(|request| join([request.as_slice()])));
        // Twice, for what is stored once and what is stored again.
        seeds.extend(requests.first().map(|request| join([request.as_slice(), request])));
    }
    seeds
}

/// Each recorded answer, to the question it was given to.
fn answers() -> Vec<Vec<u8>> {
    let questions = [(0, 4), (1, 5), (2, 3), (3, 6), (4, 12), (5, 13), (6, 14), (7, 8), (8, 15), (9, 16)];
    let mut seeds = Vec::new();
    for (question, method) in questions {
        for (request, responses) in calls(METHODS[method]).into_iter().take(8) {
            let first = [&[question], topic(method, &request).as_slice()].concat();
            let messages = responses.iter().map(Vec::as_slice).filter(|message| message.len() < LONGEST).take(4);
            seeds.push(join(std::iter::once(first.as_slice()).chain(messages)));
        }
    }
    seeds
}

/// The first topic that a request asks for; empty if it asks for none.
fn topic(method: usize, request: &[u8]) -> Vec<u8> {
    use subrosa_proto::xmtp::identity::api::v1::GetIdentityUpdatesRequest;
    fn first<T: Default>(all: Vec<T>) -> T {
        all.into_iter().next().unwrap_or_default()
    }
    match method {
        4 => api::QueryGroupMessagesRequest::decode(request).unwrap().group_id,
        5 => api::QueryWelcomeMessagesRequest::decode(request).unwrap().installation_key,
        6 => first(api::GetNewestGroupMessageRequest::decode(request).unwrap().group_ids),
        8 => first(api::BatchQueryCommitLogRequest::decode(request).unwrap().requests).group_id,
        12 => {
            let asked = first(GetIdentityUpdatesRequest::decode(request).unwrap().requests);
            subrosa_types::hex::decode(&asked.inbox_id).unwrap_or_default()
        }
        15 => first(api::SubscribeGroupMessagesRequest::decode(request).unwrap().filters).group_id,
        16 => first(api::SubscribeWelcomeMessagesRequest::decode(request).unwrap().filters).installation_key,
        _ => Vec::new(),
    }
}

fn texts() -> Vec<Vec<u8>> {
    let inbox = subrosa_types::InboxId::from_bytes([0xa5; 32]);
    let address = "0x53345076950b1f02c87c8f9b796e515260fdcd7c";
    let texts =
        ["1.10.0", "1.10.0-dev", "0.0.4294967295", "eip155:1:0x53345076950b1f02c87c8f9b796e515260fdcd7c", address];
    let mut seeds: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    seeds.push(inbox.to_hex().into_bytes());
    seeds.push(subrosa_identity::credential_identity(&inbox));
    seeds.extend((0..4).map(|kind| [&[kind], inbox.as_bytes().as_slice()].concat()));
    seeds
}
