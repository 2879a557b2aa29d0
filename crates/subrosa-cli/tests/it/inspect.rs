use serde_json::Value;
use subrosa_vectors::Family;

use crate::run::run;

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} is text in {value}"))
}

#[test]
fn vectors_group_messages_are_shown() {
    Family::load("wire/group_messages")
        .each(|file, json| {
            let messages = json["messages"].as_array().unwrap();
            let message = messages.first().unwrap();
            let ran = run(&["inspect", "group-message", "-", "--json"], text(message, "data").as_bytes());
            assert_eq!(ran.code, 0, "{file}: {}", ran.stderr);
            let shown = ran.json();
            assert_eq!(shown["group_id"], message["group_id"], "{file}");
            assert_eq!(shown["epoch"], message["epoch"], "{file}");
            assert!(text(&shown, "content").contains(text(message, "content_type")), "{file}: {shown}");
            1
        })
        .finish();
}

#[test]
fn vectors_welcomes_are_shown() {
    Family::load("wire/welcomes")
        .each(|file, json| {
            let welcomes = json["welcomes"].as_array().unwrap();
            for welcome in welcomes.iter().take(4) {
                let proto = text(welcome, "welcome_message_input_proto");
                let ran = run(&["inspect", "welcome", "-"], proto.as_bytes());
                assert_eq!(ran.code, 0, "{file}: {}", ran.stderr);
                assert!(ran.stdout.contains("sealed"), "{file}: {}", ran.stdout);
            }
            welcomes.len().min(4)
        })
        .finish();
}

#[test]
fn vectors_key_packages_are_shown_whatever_the_date() {
    Family::load("wire/key_packages")
        .each(|file, json| {
            let ran = run(&["inspect", "key-package", "-", "--json"], text(json, "key_package_tls").as_bytes());
            // 3 once its life is over: shown all the same.
            assert!(matches!(ran.code, 0 | 3), "{file}: {}", ran.stderr);
            assert_eq!(text(&ran.json(), "installation").len(), 64, "{file}");
            1
        })
        .finish();
}

#[test]
fn vectors_identity_updates_are_shown_with_their_signers() {
    Family::load("wire/identity_updates/register")
        .each(|file, json| {
            let updates = json["updates"].as_array().unwrap();
            for update in updates {
                let ran = run(&["inspect", "identity-update", text(update, "identity_update_proto"), "--json"], b"");
                assert_eq!(ran.code, 0, "{file}: {}", ran.stderr);
                let shown = ran.json();
                assert_eq!(shown["inbox"], update["inbox_id"], "{file}");
                assert_eq!(shown["action"][0]["signature"]["verifies"], true, "{file}");
                assert_eq!(shown["action"][0]["signature"]["signed_by"], shown["action"][0]["owner"], "{file}");
            }
            updates.len()
        })
        .finish();
}

#[test]
fn a_forged_update_is_shown_and_refused() {
    Family::load("wire/identity_updates/register_01")
        .each(|_, json| {
            // Another inbox id: the same signatures over another text.
            let update = text(&json["updates"][0], "identity_update_proto");
            let forged = format!("{}0", &update[..update.len() - 1]);
            let ran = run(&["inspect", "identity-update", &forged], b"");
            assert_eq!(ran.code, 3);
            assert!(ran.stdout.contains("does not verify"), "{}", ran.stdout);
            assert!(ran.stdout.contains("why not"), "{}", ran.stdout);
            1
        })
        .finish();
}

#[test]
fn plaintext_is_shown_with_its_control_characters_escaped() {
    // PlaintextEnvelope { v1 { content: text "a\x1b[2J", idempotency_key: "7" } }
    let content = b"\x0a\x16\x0a\x08xmtp.org\x12\x04text\x18\x01\x22\x05a\x1b[2J";
    let mut content = content.to_vec();
    content[1] = u8::try_from(content.len() - 2 - 7).unwrap();
    let v1 = [&[0x0a, u8::try_from(content.len()).unwrap()][..], &content, b"\x12\x017"].concat();
    let envelope = [&[0x0a, u8::try_from(v1.len()).unwrap()][..], &v1].concat();
    let hex: String = envelope.iter().map(|byte| format!("{byte:02x}")).collect();
    let ran = run(&["inspect", "plaintext", &hex], b"");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("a\\u{1b}[2J"), "{}", ran.stdout);
    assert!(!ran.stdout.contains('\u{1b}'));
    assert_eq!(run(&["inspect", "plaintext", &hex, "--json"], b"").json()["content"]["text"], "a\u{1b}[2J");
}

#[test]
fn what_is_not_an_envelope_is_refused_with_the_reason() {
    for (kind, input) in
        [("group-message", "000200"), ("welcome", "ffff"), ("key-package", "0001"), ("plaintext", "00")]
    {
        let ran = run(&["inspect", kind, input], b"");
        assert_eq!(ran.code, 3, "{kind}");
        assert!(ran.stderr.contains("because:"), "{kind}: {}", ran.stderr);
        assert!(ran.stdout.is_empty());
    }
    let ran = run(&["inspect", "welcome", "no-such-file"], b"");
    assert_eq!(ran.code, 3);
    assert!(ran.stderr.contains("neither hex nor"), "{}", ran.stderr);
}
