//! What the node answers when it does not do what was asked.

use tonic::{Status, metadata::MetadataValue};

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

/// Name of the metadata entry with the code that deployed software has for an error (identity §8.1).
const ERROR_CODE: &str = "error-code";

/// An identity update that can never hold (transport §11, V9).
pub(crate) fn invalid(text: String, label: &'static str) -> Status {
    labelled(Status::invalid_argument(text), label)
}

/// An identity update about which a chain has not answered: it may hold later (transport §11, V9).
pub(crate) fn cannot_tell(text: String, label: &'static str) -> Status {
    labelled(Status::unavailable(text), label)
}

fn labelled(mut status: Status, label: &'static str) -> Status {
    status.metadata_mut().insert(ERROR_CODE, MetadataValue::from_static(label));
    status
}
