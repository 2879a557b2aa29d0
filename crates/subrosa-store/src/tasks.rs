//! Welcomes that could not be finished yet (sync §3.5).

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl, delete, insert_into, upsert::excluded};
use subrosa_sync::Task;
use subrosa_types::{SequenceId, UnixNanos};

use crate::{Store, StoreError, apply::Transaction, schema::tasks, value};

impl Store {
    /// Tasks whose next try is due, the longest due first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn due_tasks(&self, now: UnixNanos) -> Result<Vec<Task>, StoreError> {
        self.read(|connection| {
            tasks::table
                .filter(tasks::next_at.le(now.as_nanos()))
                .order((tasks::next_at, tasks::sequence))
                .load::<(i64, Vec<u8>, i64, i64, i64)>(connection)?
                .into_iter()
                .map(|(sequence, welcome, attempts, next_at, expires_at)| {
                    Ok(Task {
                        welcome,
                        sequence: value::to_sequence(sequence, "tasks.sequence")?,
                        attempts: value::to_u32(attempts, "tasks.attempts")?,
                        next_at: value::to_time(next_at),
                        expires_at: value::to_time(expires_at),
                    })
                })
                .collect()
        })
    }

    /// When the next task is due.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn next_task_at(&self) -> Result<Option<UnixNanos>, StoreError> {
        self.read(|connection| {
            let next: Option<i64> = tasks::table.select(diesel::dsl::min(tasks::next_at)).first(connection)?;
            Ok(next.map(value::to_time))
        })
    }
}

impl Transaction<'_> {
    pub(crate) fn put_task(&mut self, task: &Task) -> Result<(), StoreError> {
        insert_into(tasks::table)
            .values((
                tasks::sequence.eq(value::sequence(task.sequence)?),
                tasks::welcome.eq(&task.welcome),
                tasks::attempts.eq(i64::from(task.attempts)),
                tasks::next_at.eq(task.next_at.as_nanos()),
                tasks::expires_at.eq(task.expires_at.as_nanos()),
            ))
            .on_conflict(tasks::sequence)
            .do_update()
            .set((
                tasks::welcome.eq(excluded(tasks::welcome)),
                tasks::attempts.eq(excluded(tasks::attempts)),
                tasks::next_at.eq(excluded(tasks::next_at)),
                tasks::expires_at.eq(excluded(tasks::expires_at)),
            ))
            .execute(self.connection)?;
        Ok(())
    }

    pub(crate) fn task_done(&mut self, sequence: SequenceId) -> Result<(), StoreError> {
        delete(tasks::table.find(value::sequence(sequence)?)).execute(self.connection)?;
        Ok(())
    }
}
