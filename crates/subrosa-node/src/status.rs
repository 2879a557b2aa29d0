//! What the node answers when it does not do what was asked.

use tonic::Status;

use crate::store::{AppendError, ReadError};

/// The database could not be read. The cause goes to the log, not to the caller.
pub(crate) fn read_failed(error: &ReadError) -> Status {
    match error {
        ReadError::Closed => Status::unavailable("service is shutting down"),
        ReadError::Database(_) | ReadError::Connection(_) => {
            tracing::error!(%error, cause = ?error, "read failed");
            Status::internal("the database cannot be read")
        }
    }
}

/// Nothing was appended.
pub(crate) fn append_failed(error: AppendError) -> Status {
    match error {
        AppendError::Closed => Status::unavailable("service is shutting down"),
        AppendError::Moved => Status::aborted("the inbox log moved meanwhile"),
        AppendError::Database => Status::internal("the database cannot be written"),
    }
}
