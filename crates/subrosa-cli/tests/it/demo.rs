use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use crate::run::{run, subrosa};

#[test]
fn the_demo_ends_in_agreement() {
    let ran = run(&["demo", "--json"], b"");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let facts = ran.json();
    assert_eq!(facts["agree"], true, "{facts}");
    let conversations = facts["conversations"].as_array().unwrap();
    assert_eq!(conversations.len(), 2);
    for conversation in conversations {
        let views = conversation["views"].as_array().unwrap();
        let members: Vec<_> = views.iter().filter(|view| view["member"] == true).collect();
        assert!(members.len() >= 3);
        for member in &members {
            for fact in ["epoch", "authenticator", "roster", "name"] {
                assert_eq!(member[fact], members[0][fact], "{fact}");
            }
            assert_eq!(member["authenticator"].as_str().unwrap().len(), 64);
        }
    }
}

#[test]
fn no_secret_and_no_text_is_in_any_log_or_database() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("kept");
    let mut command = subrosa();
    command.env("RUST_LOG", "trace").args(["demo", "--json", "--keep"]).arg(&kept);
    let output = command.output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let facts: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let mut forbidden: Vec<(String, Vec<u8>)> = Vec::new();
    for conversation in facts["conversations"].as_array().unwrap() {
        for message in conversation["views"][0]["messages"].as_array().unwrap() {
            let text = message["text"].as_str().unwrap();
            forbidden.push((text.to_owned(), text.as_bytes().to_vec()));
        }
    }
    assert!(forbidden.len() > 5);
    let (keys, others): (Vec<PathBuf>, Vec<PathBuf>) =
        files(&kept).into_iter().partition(|path| path.extension().is_some_and(|e| e == "key" || e == "wallet"));
    assert_eq!(keys.len(), 9, "five databases and four wallets");
    for path in &keys {
        assert_eq!(fs::metadata(path).unwrap().mode() & 0o777, 0o600, "{}", path.display());
        let text = fs::read_to_string(path).unwrap().trim().to_owned();
        let bytes = (0..32).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect::<Vec<_>>();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        forbidden.push((format!("bytes of {name}"), bytes.clone()));
        forbidden.push((format!("{name} as a list"), format!("{bytes:?}").into_bytes()));
        forbidden.push((format!("upper-case hex of {name}"), text.to_uppercase().into_bytes()));
        forbidden.push((format!("hex of {name}"), text.into_bytes()));
    }
    assert!(others.iter().any(|path| path.extension().is_some_and(|e| e == "log")));
    assert!(others.iter().any(|path| path.extension().is_some_and(|e| e == "db")));
    for path in others {
        let bytes = fs::read(&path).unwrap();
        search(&path.display().to_string(), &bytes, &forbidden);
    }
    search("the standard error", &output.stderr, &forbidden);
}

#[track_caller]
fn search(place: &str, bytes: &[u8], forbidden: &[(String, Vec<u8>)]) {
    for (what, secret) in forbidden {
        assert!(!contains(bytes, secret), "{what} is in {place}");
    }
}

/// Jumps from one place with the right first byte to the next.
fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == wanted[0]) {
        if rest[at..].starts_with(wanted) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}
