//! Wide work on all cores, in order.

use std::num::NonZero;

/// Applies `work` to every item and keeps the order. Uses threads when there are at least `from` items.
pub(crate) fn map<T: Sync, R: Send>(items: &[T], from: usize, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let run = |part: &[T]| -> Vec<R> { part.iter().map(&work).collect() };
    // Asking for the number of cores reads files: not for little work.
    let threads =
        if items.len() < from.max(2) { 1 } else { std::thread::available_parallelism().map_or(1, NonZero::get) };
    if threads == 1 {
        return run(items);
    }
    let parts: Vec<&[T]> = items.chunks(items.len().div_ceil(threads)).collect();
    std::thread::scope(|scope| {
        let handles: Vec<_> = parts.iter().map(|part| scope.spawn(|| run(part))).collect();
        // What a thread did not finish is done again here, where a panic would be seen.
        handles.into_iter().zip(&parts).flat_map(|(handle, part)| handle.join().unwrap_or_else(|_| run(part))).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_depend_on_threads() {
        let items: Vec<u32> = (0..1_000).collect();
        let doubled = map(&items, 2, |n| n * 2);
        assert_eq!(doubled, map(&items, usize::MAX, |n| n * 2));
        assert!(map(&[], 0, |n: &u32| *n).is_empty());
    }
}
