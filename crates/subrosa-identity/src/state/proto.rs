//! The state as message, for validation services and caches (identity §3.6).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use subrosa_proto::xmtp::identity::associations as proto;

use super::{AssociationState, Inner, Member, StateDiff};
use crate::{DecodeError, Identifier, MemberIdentifier};

impl AssociationState {
    /// Makes the message.
    #[must_use]
    pub fn to_proto(&self) -> proto::AssociationState {
        let (recovery_identifier, recovery_identifier_kind, relying_party) = self.recovery_identifier().to_parts();
        proto::AssociationState {
            inbox_id: self.inbox_id().to_hex(),
            members: self.inner.members.values().map(member_to_proto).collect(),
            recovery_identifier,
            seen_signatures: self.inner.seen_signatures.iter().cloned().collect(),
            recovery_identifier_kind,
            relying_party,
        }
    }

    /// Reads a message of a cache or service that is trusted as much as a replay of one's own: nothing in it is
    /// verified. Messages of anybody else must not get here.
    ///
    /// # Errors
    /// [`DecodeError`] if something is missing or malformed.
    pub fn from_trusted_proto(state: proto::AssociationState) -> Result<Self, DecodeError> {
        let parts = (state.recovery_identifier, state.recovery_identifier_kind, state.relying_party);
        let mut inner = Inner {
            inbox_id: state.inbox_id.parse().map_err(|_| DecodeError::MissingField("inbox_id"))?,
            members: BTreeMap::new(),
            added_by: BTreeMap::new(),
            recovery_identifier: Identifier::from_parts(parts)?,
            seen_signatures: BTreeSet::from_iter(state.seen_signatures),
        };
        for entry in state.members {
            inner.insert(member_from_proto(entry.value.ok_or(DecodeError::MissingField("member"))?)?);
        }
        Ok(Self { inner: Arc::new(inner) })
    }
}

impl StateDiff {
    /// Makes the message.
    #[must_use]
    pub fn to_proto(&self) -> proto::AssociationStateDiff {
        proto::AssociationStateDiff {
            new_members: self.new_members.iter().map(MemberIdentifier::to_proto).collect(),
            removed_members: self.removed_members.iter().map(MemberIdentifier::to_proto).collect(),
        }
    }
}

fn member_to_proto(member: &Member) -> proto::MemberMap {
    let Member { identifier, added_by, client_timestamp_ns, added_on_chain_id } = member;
    proto::MemberMap {
        key: Some(identifier.to_proto()),
        value: Some(proto::Member {
            identifier: Some(identifier.to_proto()),
            added_by_entity: added_by.as_ref().map(MemberIdentifier::to_proto),
            client_timestamp_ns: *client_timestamp_ns,
            added_on_chain_id: *added_on_chain_id,
        }),
    }
}

fn member_from_proto(member: proto::Member) -> Result<Member, DecodeError> {
    let identifier = member.identifier.ok_or(DecodeError::MissingField("member_identifier"))?;
    Ok(Member {
        identifier: MemberIdentifier::from_proto(identifier)?,
        added_by: member.added_by_entity.map(MemberIdentifier::from_proto).transpose()?,
        client_timestamp_ns: member.client_timestamp_ns,
        added_on_chain_id: member.added_on_chain_id,
    })
}
