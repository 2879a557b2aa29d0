//! Membership, extension `0xff01` (groups §2.4).

use std::collections::{BTreeMap, BTreeSet};

use prost::Message as _;
use subrosa_proto::xmtp::mls::message_contents::GroupMembership;
use subrosa_types::{InboxId, SequenceId};

use super::ContextError;
use crate::profile::MEMBERSHIP as CODE;

/// Who is a member, and up to which entry of its identity log the group applied it (groups §2.4).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Membership {
    /// Inbox to sequence id; 0 means "nothing applied yet".
    pub members: BTreeMap<InboxId, SequenceId>,
    /// Installations that belong to a member but could not be put in the tree. Entries may be anything.
    pub failed: BTreeSet<Vec<u8>>,
}

impl Membership {
    /// Encodes the extension's body.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        GroupMembership {
            members: self.members.iter().map(|(inbox, sequence)| (inbox.to_hex(), sequence.0)).collect(),
            failed_installations: self.failed.iter().cloned().collect(),
        }
        .encode_to_vec()
    }

    /// Decodes the extension's body.
    ///
    /// # Errors
    /// [`ContextError::Malformed`], or [`ContextError::InboxId`] when a key is not an inbox id: no identity log could
    /// ever exist for it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ContextError> {
        let message = GroupMembership::decode(bytes).map_err(|_| ContextError::Malformed(CODE))?;
        let members = message
            .members
            .into_iter()
            .map(|(inbox, sequence)| Ok((inbox.parse().map_err(|_| ContextError::InboxId)?, SequenceId(sequence))))
            .collect::<Result<_, _>>()?;
        Ok(Self { members, failed: message.failed_installations.into_iter().collect() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn members_are_named_by_inbox_ids() {
        let message = GroupMembership { members: [("x".to_owned(), 1)].into(), failed_installations: vec![] };
        assert_eq!(Membership::from_bytes(&message.encode_to_vec()), Err(ContextError::InboxId));
    }

    proptest! {
        #[test]
        fn decoding_inverts_encoding(members: BTreeMap<[u8; 32], u64>, failed: BTreeSet<Vec<u8>>) {
            let members = members.into_iter().map(|(id, n)| (InboxId::from_bytes(id), SequenceId(n))).collect();
            let membership = Membership { members, failed };
            prop_assert_eq!(Membership::from_bytes(&membership.to_bytes()), Ok(membership));
        }
    }
}
