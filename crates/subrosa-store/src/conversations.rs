//! Conversations: one row each, readable without loading MLS state (sync §5.3).

use std::{cmp::Reverse, collections::HashMap};

use diesel::{
    AsChangeset, BoolExpressionMethods, ExpressionMethods, Insertable, JoinOnDsl, NullableExpressionMethods,
    OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper, SqliteConnection, insert_into,
    update,
};
use subrosa_sync::{ConsentState, Conversation, ConversationKind, Held, MembershipState};
use subrosa_types::{GroupId, InboxId, UnixNanos};

use crate::{
    Store, StoreError,
    apply::Transaction,
    details,
    schema::{consents, conversations},
    value,
};

/// Which kinds of conversations are listed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "applications see groups and DMs, machines see all")]
pub enum Kinds {
    /// Those that applications get to see: groups and DMs.
    #[default]
    Shown,
    /// All, also sync and one-shot groups.
    All,
}

/// Whether several DMs with the same inbox are listed (groups §4.6).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "duplicates are listed or not")]
pub enum Duplicates {
    /// All are listed.
    #[default]
    Listed,
    /// Of each inbox only the DM with the newest message; messages from after `now` count as from now (sync §3.8).
    Hidden {
        /// The present time.
        now: UnixNanos,
    },
}

/// Which conversations [`Store::conversations`] lists.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a query is built by its caller")]
pub struct ConversationFilter {
    /// Which kinds.
    pub kinds: Kinds,
    /// With which decision of the user; `None` is any. No record counts as [`ConsentState::Unknown`].
    pub consent: Option<Vec<ConsentState>>,
    /// Whether several DMs with one inbox are listed.
    pub duplicates: Duplicates,
}

impl Store {
    /// A conversation; `None` if it is not stored.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn conversation(&self, group: &GroupId) -> Result<Option<Conversation>, StoreError> {
        self.read(|connection| load(connection, group))
    }

    /// Conversations, the one with the latest activity first: its newest message, or else its creation. One query,
    /// however many there are.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn conversations(&self, filter: &ConversationFilter) -> Result<Vec<Conversation>, StoreError> {
        let mut found = self.read(|connection| list(connection, filter))?;
        if let Duplicates::Hidden { now } = filter.duplicates {
            hide_duplicates(&mut found, now);
        }
        found.sort_by(|a, b| (Reverse(activity(a)), &a.id).cmp(&(Reverse(activity(b)), &b.id)));
        Ok(found)
    }

    /// The DM with `peer` that is used: the one with the newest message, times capped at `now`, and not merely
    /// restored from an archive (groups §4.6).
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn dm_with(&self, peer: &InboxId, now: UnixNanos) -> Result<Option<Conversation>, StoreError> {
        let found = self.read(|connection| {
            conversations::table
                .filter(conversations::dm_peer.eq(&peer.as_bytes()[..]))
                .select(ConversationRow::as_select())
                .load(connection)?
                .into_iter()
                .map(Conversation::try_from)
                .collect::<Result<Vec<_>, StoreError>>()
        })?;
        let usable = found.into_iter().filter(|dm| dm.membership != MembershipState::Restored);
        Ok(usable.max_by_key(|dm| preference(dm, now)))
    }

    /// The groups that are shown as one conversation with `group`, itself among them: for a DM all with the same
    /// peer, otherwise only itself. Empty if it is not stored.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn siblings(&self, group: &GroupId) -> Result<Vec<GroupId>, StoreError> {
        self.read(|connection| {
            let peer = conversations::table
                .filter(conversations::group_id.eq(group.as_bytes()))
                .select(conversations::dm_peer)
                .first::<Option<Vec<u8>>>(connection)
                .optional()?;
            let Some(peer) = peer else { return Ok(Vec::new()) };
            let Some(peer) = peer else { return Ok(vec![group.clone()]) };
            conversations::table
                .filter(conversations::dm_peer.eq(peer))
                .order(conversations::id)
                .select(conversations::group_id)
                .load::<Vec<u8>>(connection)?
                .iter()
                .map(|id| value::to_group(id, "conversations.group_id"))
                .collect()
        })
    }
}

/// One conversation.
pub(crate) fn load(connection: &mut SqliteConnection, group: &GroupId) -> Result<Option<Conversation>, StoreError> {
    conversations::table
        .filter(conversations::group_id.eq(group.as_bytes()))
        .select(ConversationRow::as_select())
        .first(connection)
        .optional()?
        .map(Conversation::try_from)
        .transpose()
}

fn list(connection: &mut SqliteConnection, filter: &ConversationFilter) -> Result<Vec<Conversation>, StoreError> {
    let mut query = conversations::table
        .left_join(consents::table.on(consents::group_id.eq(conversations::group_id)))
        .select(ConversationRow::as_select())
        .into_boxed();
    if filter.kinds == Kinds::Shown {
        query =
            query.filter(conversations::kind.eq_any([ConversationKind::Group.number(), ConversationKind::Dm.number()]));
    }
    if let Some(states) = &filter.consent {
        let listed = consents::state.nullable().eq_any(states.iter().map(|state| state.number()).collect::<Vec<_>>());
        query = if states.contains(&ConsentState::Unknown) {
            query.filter(consents::state.nullable().is_null().or(listed))
        } else {
            query.filter(listed)
        };
    }
    query.load(connection)?.into_iter().map(Conversation::try_from).collect()
}

/// Time of the newest message, or of the creation.
fn activity(conversation: &Conversation) -> UnixNanos {
    conversation.last_message.unwrap_or(conversation.created_at)
}

/// What decides between DMs of one pair: the greater is used.
fn preference(dm: &Conversation, now: UnixNanos) -> (Option<UnixNanos>, GroupId) {
    (dm.last_message.map(|at| at.min(now)), dm.id.clone())
}

fn hide_duplicates(found: &mut Vec<Conversation>, now: UnixNanos) {
    let mut best: HashMap<InboxId, (Option<UnixNanos>, GroupId)> = HashMap::new();
    for dm in &*found {
        let Some(peer) = dm.dm_peer else { continue };
        let candidate = preference(dm, now);
        if best.get(&peer).is_none_or(|known| *known < candidate) {
            best.insert(peer, candidate);
        }
    }
    found.retain(|dm| dm.dm_peer.is_none_or(|peer| best.get(&peer).is_some_and(|(_, id)| *id == dm.id)));
}

impl Transaction<'_> {
    /// A group that is not stored has version 0.
    pub(crate) fn guard(&mut self, group: &GroupId, version: u64) -> Result<(), StoreError> {
        let read = value::count(version)?;
        let next = update(conversations::table)
            .filter(conversations::group_id.eq(group.as_bytes()))
            .filter(conversations::version.eq(read))
            .set(conversations::version.eq(read.saturating_add(1)))
            .returning(conversations::version)
            .get_result::<i64>(self.connection)
            .optional()?;
        match next {
            Some(next) => {
                self.applied.versions.insert(group.clone(), value::to_u64(next, "conversations.version")?);
                Ok(())
            }
            None if version == 0 && matches!(self.conversation(group), Err(StoreError::UnknownConversation { .. })) => {
                Ok(())
            }
            None => Err(StoreError::Stale { group: group.clone() }),
        }
    }

    /// A new conversation has version 1. Of a stored one, version and times stay.
    pub(crate) fn put_conversation(&mut self, conversation: &Conversation) -> Result<(), StoreError> {
        let record = Record::of(conversation)?;
        let (id, version) = insert_into(conversations::table)
            .values((
                &record,
                conversations::version.eq(1),
                conversations::installations_checked.eq(conversation.installations_checked.as_nanos()),
                conversations::rotated_at.eq(conversation.rotated_at.as_nanos()),
                conversations::last_message.eq(conversation.last_message.map(UnixNanos::as_nanos)),
            ))
            .on_conflict(conversations::group_id)
            .do_update()
            .set(&record)
            .returning((conversations::id, conversations::version))
            .get_result::<(i64, i64)>(self.connection)?;
        self.conversations.insert(conversation.id.clone(), id);
        self.applied.versions.insert(conversation.id.clone(), value::to_u64(version, "conversations.version")?);
        Ok(())
    }

    pub(crate) fn set_times(
        &mut self,
        group: &GroupId,
        rotated_at: Option<UnixNanos>,
        installations_checked: Option<UnixNanos>,
    ) -> Result<(), StoreError> {
        let id = self.conversation(group)?;
        if let Some(at) = rotated_at {
            update(conversations::table.find(id))
                .set(conversations::rotated_at.eq(at.as_nanos()))
                .execute(self.connection)?;
        }
        if let Some(at) = installations_checked {
            update(conversations::table.find(id))
                .set(conversations::installations_checked.eq(at.as_nanos()))
                .execute(self.connection)?;
        }
        Ok(())
    }
}

/// The columns that a record replaces.
#[derive(AsChangeset, Insertable)]
#[diesel(table_name = conversations, treat_none_as_null = true)]
struct Record<'r> {
    group_id: &'r [u8],
    kind: i32,
    dm_peer: Option<&'r [u8]>,
    created_at: i64,
    membership: i32,
    active: bool,
    creator: &'r [u8],
    added_by: &'r [u8],
    welcome: Option<i64>,
    paused_for: Option<&'r str>,
    maybe_forked: bool,
    held: Option<i32>,
    epoch: i64,
    authenticator: &'r [u8],
    details: Vec<u8>,
}

impl<'r> Record<'r> {
    fn of(conversation: &'r Conversation) -> Result<Self, StoreError> {
        Ok(Self {
            group_id: conversation.id.as_bytes(),
            kind: conversation.kind.number(),
            dm_peer: conversation.dm_peer.as_ref().map(|peer| &peer.as_bytes()[..]),
            created_at: conversation.created_at.as_nanos(),
            membership: conversation.membership.number(),
            active: conversation.active,
            creator: conversation.creator.as_bytes(),
            added_by: conversation.added_by.as_bytes(),
            welcome: conversation.welcome.map(value::sequence).transpose()?,
            paused_for: conversation.paused_for.as_deref(),
            maybe_forked: conversation.maybe_forked,
            held: conversation.held.as_ref().map(Held::number),
            epoch: value::epoch(conversation.epoch),
            authenticator: &conversation.authenticator,
            details: details::encode(conversation)?,
        })
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = conversations)]
struct ConversationRow {
    group_id: Vec<u8>,
    version: i64,
    kind: i32,
    dm_peer: Option<Vec<u8>>,
    created_at: i64,
    membership: i32,
    active: bool,
    creator: Vec<u8>,
    added_by: Vec<u8>,
    welcome: Option<i64>,
    installations_checked: i64,
    rotated_at: i64,
    last_message: Option<i64>,
    paused_for: Option<String>,
    maybe_forked: bool,
    held: Option<i32>,
    epoch: i64,
    authenticator: Vec<u8>,
    details: Vec<u8>,
}

impl TryFrom<ConversationRow> for Conversation {
    type Error = StoreError;

    fn try_from(row: ConversationRow) -> Result<Self, StoreError> {
        let details = details::decode(&row.details)?;
        let welcome = |at| value::to_sequence(at, "conversations.welcome");
        let held = |number| Held::from_number(number).ok_or(value::corrupt("conversations.held"));
        Ok(Self {
            id: value::to_group(&row.group_id, "conversations.group_id")?,
            version: value::to_u64(row.version, "conversations.version")?,
            kind: ConversationKind::from_number(row.kind).ok_or(value::corrupt("conversations.kind"))?,
            dm_peer: row.dm_peer.map(|peer| value::to_inbox(&peer, "conversations.dm_peer")).transpose()?,
            created_at: value::to_time(row.created_at),
            membership: MembershipState::from_number(row.membership)
                .ok_or(value::corrupt("conversations.membership"))?,
            active: row.active,
            creator: value::to_inbox(&row.creator, "conversations.creator")?,
            added_by: value::to_inbox(&row.added_by, "conversations.added_by")?,
            welcome: row.welcome.map(welcome).transpose()?,
            installations_checked: value::to_time(row.installations_checked),
            rotated_at: value::to_time(row.rotated_at),
            last_message: row.last_message.map(value::to_time),
            paused_for: row.paused_for,
            maybe_forked: row.maybe_forked,
            held: row.held.map(held).transpose()?,
            epoch: value::to_epoch(row.epoch),
            authenticator: row.authenticator,
            members: details.members,
            attributes: details.attributes,
            admins: details.admins,
            super_admins: details.super_admins,
            permissions: details.permissions,
        })
    }
}
