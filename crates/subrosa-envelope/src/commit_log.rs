//! The commit log: signed claims about what a commit did, for fork detection (envelopes §4.5, groups §5.5).

use prost::Message;
use subrosa_proto::xmtp::{
    identity::associations::RecoverableEd25519Signature,
    mls::{api::v1 as api, message_contents as mc},
};
use subrosa_types::{Epoch, GroupId, SequenceId};

use crate::{DecodeError, Field};

/// What became of a commit.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum CommitResult {
    /// It took effect.
    Applied,
    /// It was made for another epoch.
    WrongEpoch,
    /// MLS could not process it.
    Undecryptable,
    /// It broke a rule (groups §3.4).
    Invalid,
    /// A number that this version does not know; 0 is unspecified.
    Other(i32),
}

impl CommitResult {
    /// The number on the wire.
    #[must_use]
    pub const fn to_wire(self) -> i32 {
        match self {
            Self::Applied => 1,
            Self::WrongEpoch => 2,
            Self::Undecryptable => 3,
            Self::Invalid => 4,
            Self::Other(number) => number,
        }
    }

    /// The result with this number.
    #[must_use]
    pub const fn from_wire(number: i32) -> Self {
        match number {
            1 => Self::Applied,
            2 => Self::WrongEpoch,
            3 => Self::Undecryptable,
            4 => Self::Invalid,
            other => Self::Other(other),
        }
    }
}

/// One entry in the clear (groups §5.5).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CommitLogEntry {
    /// The group.
    pub group_id: GroupId,
    /// Position of the commit.
    pub commit_sequence: SequenceId,
    /// Epoch authenticator before it; empty after creation or welcome.
    pub last_epoch_authenticator: Vec<u8>,
    /// What became of it.
    pub result: CommitResult,
    /// Epoch after it.
    pub applied_epoch: Epoch,
    /// Epoch authenticator after it.
    pub applied_epoch_authenticator: Vec<u8>,
}

impl CommitLogEntry {
    /// Encodes the entry: the bytes that are signed.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        mc::PlaintextCommitLogEntry {
            group_id: self.group_id.as_bytes().to_vec(),
            commit_sequence_id: self.commit_sequence.0,
            last_epoch_authenticator: self.last_epoch_authenticator.clone(),
            commit_result: self.result.to_wire(),
            applied_epoch_number: self.applied_epoch.0,
            applied_epoch_authenticator: self.applied_epoch_authenticator.clone(),
        }
        .encode_to_vec()
    }

    /// Decodes an entry. Check the signature over the same bytes first.
    ///
    /// # Errors
    /// [`DecodeError::Protobuf`], or the group id's error.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let wire = mc::PlaintextCommitLogEntry::decode(bytes).map_err(|_| DecodeError::Protobuf)?;
        Ok(Self {
            group_id: group_id(&wire.group_id)?,
            commit_sequence: SequenceId(wire.commit_sequence_id),
            last_epoch_authenticator: wire.last_epoch_authenticator,
            result: CommitResult::from_wire(wire.commit_result),
            applied_epoch: Epoch(wire.applied_epoch_number),
            applied_epoch_authenticator: wire.applied_epoch_authenticator,
        })
    }
}

fn group_id(bytes: &[u8]) -> Result<GroupId, DecodeError> {
    GroupId::from_slice(bytes).map_err(|error| DecodeError::id(Field::GroupId, error))
}

/// An entry and its signature, not verified. Nodes store it unread.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignedCommitLogEntry {
    /// The serialised [`CommitLogEntry`], exactly as it was signed.
    pub entry: Vec<u8>,
    /// Plain Ed25519 signature over `entry`, 64 bytes if well-formed.
    pub signature: Vec<u8>,
    /// The group's commit-log key, 32 bytes if well-formed.
    pub public_key: Vec<u8>,
}

impl SignedCommitLogEntry {
    fn signature(&self) -> RecoverableEd25519Signature {
        RecoverableEd25519Signature { bytes: self.signature.clone(), public_key: self.public_key.clone() }
    }

    fn new(entry: Vec<u8>, signature: RecoverableEd25519Signature) -> Self {
        Self { entry, signature: signature.bytes, public_key: signature.public_key }
    }
}

/// An entry on its way to the node.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CommitLogUpload {
    /// The group whose log it joins.
    pub group_id: GroupId,
    /// The entry.
    pub signed: SignedCommitLogEntry,
}

impl CommitLogUpload {
    /// Encodes the request.
    #[must_use]
    pub fn to_proto(&self) -> api::PublishCommitLogRequest {
        api::PublishCommitLogRequest {
            group_id: self.group_id.as_bytes().to_vec(),
            serialized_commit_log_entry: self.signed.entry.clone(),
            signature: Some(self.signed.signature()),
        }
    }

    /// Decodes the request.
    ///
    /// # Errors
    /// [`DecodeError::Empty`] without group id, entry or signature (transport §4.7).
    pub fn from_proto(wire: api::PublishCommitLogRequest) -> Result<Self, DecodeError> {
        let group_id = group_id(&wire.group_id)?;
        if wire.serialized_commit_log_entry.is_empty() {
            return Err(DecodeError::Empty(Field::CommitLogEntry));
        }
        let signature = wire.signature.ok_or(DecodeError::Empty(Field::Signature))?;
        Ok(Self { group_id, signed: SignedCommitLogEntry::new(wire.serialized_commit_log_entry, signature) })
    }
}

/// An entry as the node stored it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CommitLogItem {
    /// Position in the group's commit log, from 1.
    pub sequence: SequenceId,
    /// The entry.
    pub signed: SignedCommitLogEntry,
}

impl CommitLogItem {
    /// Encodes the delivered form.
    #[must_use]
    pub fn to_proto(&self) -> mc::CommitLogEntry {
        mc::CommitLogEntry {
            sequence_id: self.sequence.0,
            serialized_commit_log_entry: self.signed.entry.clone(),
            signature: Some(self.signed.signature()),
        }
    }

    /// Decodes the delivered form. A missing signature reads as an empty one, which verifies nothing.
    ///
    /// # Errors
    /// [`DecodeError::Sequence`] for an impossible position.
    pub fn from_proto(wire: mc::CommitLogEntry) -> Result<Self, DecodeError> {
        let sequence = SequenceId(wire.sequence_id);
        if !sequence.is_item() {
            return Err(DecodeError::Sequence(wire.sequence_id));
        }
        let signed = SignedCommitLogEntry::new(wire.serialized_commit_log_entry, wire.signature.unwrap_or_default());
        Ok(Self { sequence, signed })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn incomplete_uploads_are_refused() {
        let whole = CommitLogUpload {
            group_id: GroupId::from_slice(&[1; 16]).unwrap(),
            signed: SignedCommitLogEntry { entry: vec![1], signature: vec![2; 64], public_key: vec![3; 32] },
        };
        assert_eq!(CommitLogUpload::from_proto(whole.to_proto()).as_ref(), Ok(&whole));
        let refuses = |change: fn(&mut api::PublishCommitLogRequest), field| {
            let mut wire = whole.to_proto();
            change(&mut wire);
            assert_eq!(CommitLogUpload::from_proto(wire), Err(DecodeError::Empty(field)));
        };
        refuses(|wire| wire.group_id.clear(), Field::GroupId);
        refuses(|wire| wire.serialized_commit_log_entry.clear(), Field::CommitLogEntry);
        refuses(|wire| wire.signature = None, Field::Signature);
    }

    proptest! {
        #[test]
        fn decoding_inverts_encoding(
            group in prop::collection::vec(any::<u8>(), 1..40),
            (commit, epoch, result) in any::<(u64, u64, i32)>(),
            (before, after) in any::<(Vec<u8>, Vec<u8>)>(),
            sequence in 1..=SequenceId::MAX.0,
        ) {
            let entry = CommitLogEntry {
                group_id: GroupId::from_slice(&group).unwrap(),
                commit_sequence: SequenceId(commit),
                last_epoch_authenticator: before.clone(),
                result: CommitResult::from_wire(result),
                applied_epoch: Epoch(epoch),
                applied_epoch_authenticator: after.clone(),
            };
            let bytes = entry.to_bytes();
            prop_assert_eq!(CommitLogEntry::from_bytes(&bytes), Ok(entry));
            let signed = SignedCommitLogEntry { entry: bytes, signature: before, public_key: after };
            let item = CommitLogItem { sequence: SequenceId(sequence), signed };
            prop_assert_eq!(CommitLogItem::from_proto(item.to_proto()), Ok(item));
        }

        #[test]
        fn any_bytes_are_decoded_or_refused(bytes: Vec<u8>) {
            let _ = CommitLogEntry::from_bytes(&bytes);
        }
    }
}
