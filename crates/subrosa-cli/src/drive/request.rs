//! What a driver can be asked, one JSON object per line.

use std::{fmt, path::PathBuf, str::FromStr};

use serde::{Deserialize, Deserializer, de::Error as _};
use subrosa::{GroupId, InboxId, InstallationId};
use subrosa_types::hex;

use super::gate::Point;
use crate::keys::{self, Secret};

/// One line of the input.
#[derive(Deserialize)]
pub(super) struct Request {
    /// Comes back with the answer.
    pub(super) id: u64,
    #[serde(flatten)]
    pub(super) operation: Operation,
}

/// What to do. Ids are hex.
#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(super) enum Operation {
    /// Opens the client, and registers it if needed.
    Create(Create),
    CreateGroup {
        inboxes: Vec<Id<InboxId>>,
        name: Option<String>,
    },
    CreateDm {
        inbox: Id<InboxId>,
    },
    Add(Members),
    Remove(Members),
    SetName {
        group: Id<GroupId>,
        name: String,
    },
    AddAdmin(Role),
    RemoveAdmin(Role),
    AddSuperAdmin(Role),
    RemoveSuperAdmin(Role),
    Send {
        group: Id<GroupId>,
        text: String,
        queued: Option<bool>,
    },
    Publish(Of),
    Sync {
        group: Option<Id<GroupId>>,
    },
    SyncAll,
    Texts(Of),
    Info(Of),
    List,
    /// The state of an inbox, fresh from the network.
    InboxState {
        inbox: Id<InboxId>,
    },
    /// Begins a change of our inbox, and answers with the text to sign.
    Change(Change),
    /// A signature over that text, or over that of a registration.
    Sign(Signature),
    /// Publishes what was signed.
    Apply,
    CanMessage {
        names: Vec<Name>,
    },
    KeyPackages {
        inbox: Id<InboxId>,
        installations: Vec<Id<InstallationId>>,
    },
    SignText {
        text: String,
    },
    VerifyText {
        text: String,
        signature: Bytes,
        installation: Id<InstallationId>,
    },
    /// Does what is due.
    RunDue,
    /// The next time the client comes to this point, it stands still there and says `{"halted": point}`.
    HaltAfter {
        point: Point,
    },
    Exit,
}

/// How to open a client.
#[derive(Deserialize)]
pub(super) struct Create {
    /// URL of the node.
    pub(super) node: String,
    /// Key of an Ethereum account, which signs if that is needed.
    #[serde(default, deserialize_with = "optional_secret")]
    pub(super) wallet_key: Option<Secret>,
    /// Without a key: whose installation is made. The answer has the text to sign.
    pub(super) name: Option<Name>,
    /// The database.
    pub(super) path: PathBuf,
    #[serde(deserialize_with = "secret")]
    pub(super) db_key: Secret,
    /// Whether to do in the background what is due; yes if absent.
    pub(super) workers: Option<bool>,
    /// The nonce of a second inbox, whatever inbox there is.
    pub(super) new_inbox: Option<u64>,
    /// How many seconds the client's clock is ahead.
    pub(super) ahead: Option<u64>,
}

/// An identifier.
#[derive(Deserialize)]
pub(super) struct Name {
    pub(super) identifier: String,
    #[serde(default)]
    pub(super) kind: NameKind,
}

/// Its kind.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum NameKind {
    #[default]
    Ethereum,
    Passkey,
}

/// A change of an inbox.
#[derive(Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(super) enum Change {
    Add {
        #[serde(flatten)]
        name: Name,
        reassign: Option<bool>,
    },
    Remove {
        #[serde(flatten)]
        name: Name,
    },
    Recovery {
        #[serde(flatten)]
        name: Name,
    },
    Revoke {
        installations: Vec<Id<InstallationId>>,
    },
    RevokeOthers,
    /// Without a client; `name` is the recovery identifier.
    RevokeUnaided {
        node: String,
        inbox: Id<InboxId>,
        #[serde(flatten)]
        name: Name,
        installations: Vec<Id<InstallationId>>,
    },
}

/// A signature made elsewhere; bytes are hex.
#[derive(Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub(super) enum Signature {
    Ethereum { signature: Bytes },
    Passkey { public_key: Bytes, signature: Bytes, authenticator_data: Bytes, client_data_json: Bytes },
    Contract { address: String, chain_id: u64, block_number: Option<u64>, signature: Bytes },
}

/// Some inboxes of a group.
#[derive(Deserialize)]
pub(super) struct Members {
    pub(super) group: Id<GroupId>,
    pub(super) inboxes: Vec<Id<InboxId>>,
}

/// One inbox of a group.
#[derive(Deserialize)]
pub(super) struct Role {
    pub(super) group: Id<GroupId>,
    pub(super) inbox: Id<InboxId>,
}

/// A conversation.
#[derive(Deserialize)]
pub(super) struct Of {
    pub(super) group: Id<GroupId>,
}

/// An id in hex.
pub(super) struct Id<T>(pub(super) T);

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Id<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map(Self).map_err(D::Error::custom)
    }
}

/// Bytes in hex.
pub(super) struct Bytes(pub(super) Vec<u8>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        hex::decode(&text).map(Self).ok_or_else(|| D::Error::custom("hex was expected"))
    }
}

fn optional_secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    secret(deserializer).map(Some)
}

/// A secret of 32 bytes in hex; it is in no error.
fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    let text = zeroize::Zeroizing::new(String::deserialize(deserializer)?);
    keys::from_hex(&text).ok_or_else(|| D::Error::custom("a key of 64 hex digits was expected"))
}
