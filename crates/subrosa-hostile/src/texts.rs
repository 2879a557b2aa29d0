//! Names that peers choose: ids, topics, accounts, versions, credentials.

use subrosa_group::ProtocolVersion;
use subrosa_identity::{AccountId, Identifier, credential_identity, inbox_id, inbox_of_credential};
use subrosa_types::{GroupId, InboxId, InstallationId, Topic, hex};

/// What is read as a name is written as the same name.
pub fn texts(bytes: &[u8]) -> bool {
    let topic = Topic::from_bytes(bytes);
    if let Ok(topic) = &topic {
        assert_eq!(topic.to_bytes(), bytes);
    }
    let credential = inbox_of_credential(bytes);
    if let Ok(inbox) = &credential {
        assert_eq!(inbox_of_credential(&credential_identity(inbox)), Ok(*inbox));
    }
    topic.is_ok() || credential.is_ok() || std::str::from_utf8(bytes).is_ok_and(text)
}

fn text(text: &str) -> bool {
    let decoded = hex::decode(text);
    if let Some(decoded) = &decoded {
        assert_eq!(hex::encode(decoded), text.to_ascii_lowercase());
    }
    let inbox = text.parse::<InboxId>();
    assert!(inbox.is_err() || inbox.unwrap().to_hex() == text);
    let installation = text.parse::<InstallationId>();
    assert!(installation.is_err() || installation.unwrap().to_hex() == text);
    let group = text.parse::<GroupId>();
    // Group ids are never compared as text, so either case will do.
    assert!(group.is_err() || group.unwrap().to_hex() == text.to_ascii_lowercase());
    decoded.is_some() | account(text) | version(text) | identifier(text)
}

fn account(text: &str) -> bool {
    let Ok(account) = AccountId::parse(text) else { return false };
    assert_eq!(account.as_str(), text);
    if let (Ok(chain), Ok(address)) = (account.chain_id(), account.address()) {
        let canonical = AccountId::ethereum(chain, &address).unwrap();
        assert_eq!((canonical.chain_id(), canonical.address()), (Ok(chain), Ok(address)));
    }
    true
}

fn version(text: &str) -> bool {
    let Some(version) = ProtocolVersion::parse(text) else { return false };
    assert_eq!(ProtocolVersion::parse(&version.to_string()), Some(version.clone()));
    assert_eq!(version.cmp(&ProtocolVersion::OURS), ProtocolVersion::OURS.cmp(&version).reverse());
    true
}

fn identifier(text: &str) -> bool {
    let mut accepted = false;
    for identifier in [Identifier::parse_ethereum(text), Identifier::parse_passkey(text)].into_iter().flatten() {
        assert!(identifier.text().len() <= text.len());
        if let Ok(inbox) = inbox_id(&identifier, 1) {
            assert_ne!(inbox_id(&identifier, 2), Ok(inbox));
        }
        accepted = true;
    }
    accepted
}
