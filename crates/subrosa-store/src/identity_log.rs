//! Identity updates of inboxes, as the network gave them: a cache of its logs.

use std::collections::HashMap;

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl, dsl::max, insert_into};
use subrosa_sync::Durability;
use subrosa_types::{InboxId, SequenceId, UnixNanos};

use crate::{Store, StoreError, schema::identity_updates, store::CHUNK, value};

/// One identity update of the network's log.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a record")]
pub struct LoggedUpdate {
    /// Whose log.
    pub inbox: InboxId,
    /// Its position in the identity log.
    pub sequence: SequenceId,
    /// The network's time.
    pub server_time: UnixNanos,
    /// The serialised update.
    pub payload: Vec<u8>,
}

impl Store {
    /// Adds updates to the cache; one that is there already stays as it is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn insert_identity_updates(&self, updates: &[LoggedUpdate]) -> Result<(), StoreError> {
        if updates.is_empty() {
            return Ok(());
        }
        self.write(Durability::Process, |connection| {
            for LoggedUpdate { inbox, sequence, server_time, payload } in updates {
                insert_into(identity_updates::table)
                    .values((
                        identity_updates::inbox.eq(&inbox.as_bytes()[..]),
                        identity_updates::sequence.eq(value::sequence(*sequence)?),
                        identity_updates::server_time.eq(server_time.as_nanos()),
                        identity_updates::payload.eq(payload),
                    ))
                    .on_conflict((identity_updates::inbox, identity_updates::sequence))
                    .do_nothing()
                    .execute(connection)?;
            }
            Ok(())
        })
    }

    /// The cached log of an inbox, in order: position and serialised update.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn identity_log(&self, inbox: &InboxId) -> Result<Vec<(SequenceId, Vec<u8>)>, StoreError> {
        Ok(self.identity_logs(&[*inbox])?.remove(inbox).unwrap_or_default())
    }

    /// The cached logs of many inboxes; an inbox without updates is missing from the answer. One query for each few
    /// hundred inboxes.
    ///
    /// # Errors
    /// [`StoreError`].
    #[expect(clippy::type_complexity, reason = "logs by inbox")]
    pub fn identity_logs(
        &self,
        inboxes: &[InboxId],
    ) -> Result<HashMap<InboxId, Vec<(SequenceId, Vec<u8>)>>, StoreError> {
        self.read(|connection| {
            let mut logs: HashMap<InboxId, Vec<(SequenceId, Vec<u8>)>> = HashMap::new();
            for chunk in inboxes.chunks(CHUNK) {
                let query = identity_updates::table
                    .filter(identity_updates::inbox.eq_any(chunk.iter().map(|inbox| &inbox.as_bytes()[..])))
                    .order((identity_updates::inbox, identity_updates::sequence))
                    .select((identity_updates::inbox, identity_updates::sequence, identity_updates::payload));
                for (inbox, sequence, payload) in query.load::<(Vec<u8>, i64, Vec<u8>)>(connection)? {
                    let sequence = value::to_sequence(sequence, "identity_updates.sequence")?;
                    let inbox = value::to_inbox(&inbox, "identity_updates.inbox")?;
                    logs.entry(inbox).or_default().push((sequence, payload));
                }
            }
            Ok(logs)
        })
    }

    /// The last cached position of many inboxes; an inbox without updates is missing from the answer.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn identity_heads(&self, inboxes: &[InboxId]) -> Result<HashMap<InboxId, SequenceId>, StoreError> {
        self.read(|connection| {
            let mut heads = HashMap::new();
            for chunk in inboxes.chunks(CHUNK) {
                let query = identity_updates::table
                    .filter(identity_updates::inbox.eq_any(chunk.iter().map(|inbox| &inbox.as_bytes()[..])))
                    .group_by(identity_updates::inbox)
                    .select((identity_updates::inbox, max(identity_updates::sequence)));
                for (inbox, head) in query.load::<(Vec<u8>, Option<i64>)>(connection)? {
                    let head = value::to_sequence(head.unwrap_or(0), "identity_updates.sequence")?;
                    heads.insert(value::to_inbox(&inbox, "identity_updates.inbox")?, head);
                }
            }
            Ok(heads)
        })
    }
}
