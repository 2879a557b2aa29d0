//! What a driver can be asked, one JSON object per line.

use std::{fmt, path::PathBuf, str::FromStr};

use serde::{Deserialize, Deserializer, de::Error as _};
use subrosa::{GroupId, InboxId};

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
    /// Key of an Ethereum account.
    #[serde(deserialize_with = "secret")]
    pub(super) wallet_key: Secret,
    /// The database.
    pub(super) path: PathBuf,
    #[serde(deserialize_with = "secret")]
    pub(super) db_key: Secret,
    /// Whether to do in the background what is due; yes if absent.
    pub(super) workers: Option<bool>,
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

/// A secret of 32 bytes in hex; it is in no error.
fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    let text = zeroize::Zeroizing::new(String::deserialize(deserializer)?);
    keys::from_hex(&text).ok_or_else(|| D::Error::custom("a key of 64 hex digits was expected"))
}
