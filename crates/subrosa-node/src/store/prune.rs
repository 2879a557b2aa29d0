//! Forgetting (transport §4.10). Ids and order of what remains do not change (N33).

use std::time::Duration;

use diesel::{SqliteConnection, prelude::*, result::QueryResult};
use subrosa_types::UnixNanos;

use super::schema::{group_messages, key_packages, welcomes};
use crate::Retention;

/// Times before which things may be forgotten.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expiry {
    messages: Option<i64>,
    welcomes: Option<i64>,
    key_packages: Option<i64>,
}

impl Expiry {
    pub(crate) fn at(now: UnixNanos, retention: Retention) -> Self {
        let before = |age: Option<Duration>| {
            age.map(|age| now.as_nanos().saturating_sub(i64::try_from(age.as_nanos()).unwrap_or(i64::MAX)))
        };
        Self {
            messages: before(retention.messages),
            welcomes: before(retention.welcomes),
            key_packages: before(retention.key_packages),
        }
    }

    pub(super) fn remove(self, connection: &mut SqliteConnection) -> QueryResult<usize> {
        /// MLS content type of an application message; commits and proposals are kept (N31).
        const APPLICATION: i32 = 1;

        let mut removed = 0;
        if let Some(before) = self.messages {
            use group_messages::dsl;
            let old = dsl::group_messages.filter(dsl::created_ns.lt(before)).filter(dsl::content_type.eq(APPLICATION));
            removed += diesel::delete(old).execute(connection)?;
        }
        if let Some(before) = self.welcomes {
            use welcomes::dsl;
            removed += diesel::delete(dsl::welcomes.filter(dsl::created_ns.lt(before))).execute(connection)?;
        }
        if let Some(before) = self.key_packages {
            use key_packages::dsl;
            removed += diesel::delete(dsl::key_packages.filter(dsl::uploaded_ns.lt(before))).execute(connection)?;
        }
        Ok(removed)
    }
}
