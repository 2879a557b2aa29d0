//! What is stored, before it has an id; and the messages it becomes afterwards.

use subrosa_envelope::{DedupeKey, WelcomeInput};
use subrosa_proto::xmtp::mls::{api::v1 as api, message_contents::WelcomePointerWrapperAlgorithm};
use subrosa_types::{GroupId, InstallationId, UnixNanos};

/// MLS content type of a commit (envelopes §4.1).
const COMMIT: i32 = 3;

/// The only algorithm that pointers are sealed with (envelopes §4.2).
const POINTER_ALGORITHM: i32 = WelcomePointerWrapperAlgorithm::XwingMlkem768Draft6 as i32;

/// A checked group message.
#[derive(Clone, Debug)]
pub(crate) struct NewGroupMessage {
    /// Taken from `data`.
    pub(crate) group: GroupId,
    /// 1 application, 2 proposal, 3 commit; taken from `data`.
    pub(crate) content_type: i32,
    pub(crate) should_push: bool,
    pub(crate) sender_hmac: Vec<u8>,
    pub(crate) data: Vec<u8>,
}

impl NewGroupMessage {
    /// What tells repetitions (envelopes §6.4).
    pub(crate) fn digest(&self) -> Vec<u8> {
        DedupeKey::of(self.group.as_bytes(), &self.data).as_bytes().to_vec()
    }

    pub(crate) fn into_message(self, id: i64, created: UnixNanos) -> api::GroupMessage {
        group_message(
            id,
            created.as_nanos(),
            self.group.as_bytes().to_vec(),
            self.content_type,
            self.should_push,
            self.sender_hmac,
            self.data,
        )
    }
}

/// The message that clients get. `is_commit` is what the official client compares cursors by (transport §4.7).
pub(crate) fn group_message(
    id: i64,
    created_ns: i64,
    group_id: Vec<u8>,
    content_type: i32,
    should_push: bool,
    sender_hmac: Vec<u8>,
    data: Vec<u8>,
) -> api::GroupMessage {
    let v1 = api::group_message::V1 {
        id: id.cast_unsigned(),
        created_ns: created_ns.cast_unsigned(),
        group_id,
        data,
        sender_hmac,
        should_push,
        is_commit: content_type == COMMIT,
    };
    api::GroupMessage { version: Some(api::group_message::Version::V1(v1)) }
}

/// A checked welcome or welcome pointer.
#[derive(Clone, Debug)]
pub(crate) struct NewWelcome {
    pub(crate) installation: InstallationId,
    pub(crate) is_pointer: bool,
    /// Wrapper algorithm, as it will be delivered.
    pub(crate) algorithm: i32,
    pub(crate) hpke_key: Vec<u8>,
    /// Empty for pointers.
    pub(crate) metadata: Vec<u8>,
    /// The wrapped welcome, or the wrapped pointer.
    pub(crate) data: Vec<u8>,
}

impl From<WelcomeInput> for NewWelcome {
    fn from(input: WelcomeInput) -> Self {
        match input {
            WelcomeInput::Direct { installation_key, data, hpke_public_key, wrapper, metadata } => Self {
                installation: installation_key,
                is_pointer: false,
                algorithm: wrapper.to_wire(),
                hpke_key: hpke_public_key,
                metadata,
                data,
            },
            WelcomeInput::Pointer { installation_key, pointer, hpke_public_key } => Self {
                installation: installation_key,
                is_pointer: true,
                algorithm: POINTER_ALGORITHM,
                hpke_key: hpke_public_key,
                metadata: Vec::new(),
                data: pointer,
            },
        }
    }
}

impl NewWelcome {
    /// What tells repetitions (envelopes §6.4).
    pub(crate) fn digest(&self) -> Vec<u8> {
        DedupeKey::of(self.installation.as_bytes(), &self.data).as_bytes().to_vec()
    }

    pub(crate) fn into_message(self, id: i64, created: UnixNanos) -> api::WelcomeMessage {
        let Self { installation, is_pointer, algorithm, hpke_key, metadata, data } = self;
        let parts = WelcomeParts { is_pointer, algorithm, hpke_key, metadata, data };
        welcome_message(id, created.as_nanos(), installation.as_bytes().to_vec(), parts)
    }
}

/// What a welcome carries beside its place.
pub(crate) struct WelcomeParts {
    pub(crate) is_pointer: bool,
    pub(crate) algorithm: i32,
    pub(crate) hpke_key: Vec<u8>,
    pub(crate) metadata: Vec<u8>,
    pub(crate) data: Vec<u8>,
}

/// The message that clients get.
pub(crate) fn welcome_message(
    id: i64,
    created_ns: i64,
    installation_key: Vec<u8>,
    parts: WelcomeParts,
) -> api::WelcomeMessage {
    use api::welcome_message::{V1, Version, WelcomePointer};

    let WelcomeParts { is_pointer, algorithm, hpke_key, metadata, data } = parts;
    let (id, created_ns) = (id.cast_unsigned(), created_ns.cast_unsigned());
    let version = if is_pointer {
        Version::WelcomePointer(WelcomePointer {
            id,
            created_ns,
            installation_key,
            welcome_pointer: data,
            hpke_public_key: hpke_key,
            wrapper_algorithm: algorithm,
        })
    } else {
        Version::V1(V1 {
            id,
            created_ns,
            installation_key,
            data,
            hpke_public_key: hpke_key,
            wrapper_algorithm: algorithm,
            welcome_metadata: metadata,
        })
    };
    api::WelcomeMessage { version: Some(version) }
}

/// A record of a commit log, not verified (envelopes §4.5).
#[derive(Clone, Debug)]
pub(crate) struct NewCommitLogEntry {
    pub(crate) group_id: Vec<u8>,
    pub(crate) entry: Vec<u8>,
    pub(crate) signature: Vec<u8>,
    pub(crate) public_key: Vec<u8>,
}
