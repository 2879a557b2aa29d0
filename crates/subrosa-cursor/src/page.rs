//! Whether an answer can be believed (sync §3.8).

use subrosa_types::SequenceId;

/// Why a page is refused as a whole: the node that made it is broken or lies.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PageError {
    /// An id that no item can have.
    #[error("item id {0} is outside 1 to 2^63-1")]
    Range(SequenceId),
    /// An id that is not above the one before it, or not above the position asked for.
    #[error("item id {got} after {before}")]
    NotAscending {
        /// The id before, or the position asked for.
        before: SequenceId,
        /// The id that came.
        got: SequenceId,
    },
}

/// Checks the ids of an answer to "everything after `after`".
///
/// # Errors
/// [`PageError`] when the answer must not be used at all.
pub fn check_page(after: SequenceId, ids: impl IntoIterator<Item = SequenceId>) -> Result<(), PageError> {
    let mut before = after;
    for got in ids {
        if !got.is_item() {
            return Err(PageError::Range(got));
        }
        if got <= before {
            return Err(PageError::NotAscending { before, got });
        }
        before = got;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(after: u64, ids: &[u64]) -> Result<(), PageError> {
        check_page(SequenceId(after), ids.iter().copied().map(SequenceId))
    }

    #[test]
    fn ascending_pages_with_gaps_pass() {
        assert_eq!(check(3, &[4, 9, 10]), Ok(()));
        assert_eq!(check(3, &[]), Ok(()));
        assert_eq!(check(0, &[i64::MAX as u64]), Ok(()));
    }

    #[test]
    fn impossible_pages_are_refused_whole() {
        assert_eq!(check(0, &[0]), Err(PageError::Range(SequenceId(0))));
        assert_eq!(check(0, &[1 << 63]), Err(PageError::Range(SequenceId(1 << 63))));
        assert_eq!(check(3, &[3]), Err(PageError::NotAscending { before: SequenceId(3), got: SequenceId(3) }));
        assert_eq!(check(0, &[2, 2]), Err(PageError::NotAscending { before: SequenceId(2), got: SequenceId(2) }));
        assert_eq!(check(0, &[5, 4]), Err(PageError::NotAscending { before: SequenceId(5), got: SequenceId(4) }));
    }
}
