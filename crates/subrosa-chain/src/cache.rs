//! Answers that were given before (identity §12.4).

use std::collections::{BTreeMap, HashMap};

use sha2::{Digest, Sha256};
use subrosa_identity::ChainCheck;

/// How many answers are remembered (identity §12.4).
const CAPACITY: usize = 10_000;

/// Names a question at a block: a hash over all four parts, each of known length, so that no two questions collide.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Key([u8; 32]);

impl Key {
    /// The key of a question; `None` if it names no block, because its answer is true for a moment only.
    pub(crate) fn of(check: &ChainCheck) -> Option<Self> {
        let ChainCheck { account_id, hash, signature, block_number } = check;
        let mut hasher = Sha256::new();
        for part in [account_id.as_str().as_bytes(), hash.as_slice(), signature.as_slice()] {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        hasher.update((*block_number)?.to_be_bytes());
        Some(Self(hasher.finalize().into()))
    }
}

/// The answers used last.
#[derive(Debug)]
pub(crate) struct Cache {
    capacity: usize,
    uses: u64,
    answers: HashMap<Key, Remembered>,
    by_last_use: BTreeMap<u64, Key>,
}

#[derive(Debug)]
struct Remembered {
    valid: bool,
    last_use: u64,
}

impl Default for Cache {
    fn default() -> Self {
        Self::of_capacity(CAPACITY)
    }
}

impl Cache {
    fn of_capacity(capacity: usize) -> Self {
        Self { capacity, uses: 0, answers: HashMap::new(), by_last_use: BTreeMap::new() }
    }

    /// The answer to a question, if it is remembered.
    pub(crate) fn get(&mut self, key: Key) -> Option<bool> {
        let valid = self.answers.get(&key)?.valid;
        self.insert(key, valid);
        Some(valid)
    }

    /// Remembers an answer, and forgets the one that was used least lately if there is no room.
    pub(crate) fn insert(&mut self, key: Key, valid: bool) {
        self.uses += 1;
        if let Some(before) = self.answers.insert(key, Remembered { valid, last_use: self.uses }) {
            self.by_last_use.remove(&before.last_use);
        }
        self.by_last_use.insert(self.uses, key);
        if self.answers.len() > self.capacity
            && let Some((_, oldest)) = self.by_last_use.pop_first()
        {
            self.answers.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use subrosa_identity::AccountId;

    use super::*;

    fn check(account: &str, signature: &[u8], block_number: Option<u64>) -> ChainCheck {
        let account_id = AccountId::parse(account).unwrap();
        ChainCheck { account_id, hash: [7; 32], signature: signature.to_vec(), block_number }
    }

    #[test]
    fn every_part_of_a_question_is_in_its_key() {
        let one = check("eip155:1:0xa", &[1, 2], Some(5));
        let key = Key::of(&one).unwrap();
        assert_eq!(Key::of(&one.clone()), Some(key));
        for other in [
            check("eip155:2:0xa", &[1, 2], Some(5)),
            check("eip155:1:0xb", &[1, 2], Some(5)),
            check("eip155:1:0xa", &[1, 2, 0], Some(5)),
            check("eip155:1:0xa", &[1, 2], Some(6)),
            ChainCheck { hash: [8; 32], ..one.clone() },
        ] {
            assert_ne!(Key::of(&other), Some(key), "{other:?}");
        }
        assert_eq!(Key::of(&ChainCheck { block_number: None, ..one }), None);
    }

    #[test]
    fn the_answer_used_least_lately_is_forgotten_first() {
        let mut cache = Cache::of_capacity(2);
        let [a, b, c] = [1, 2, 3].map(|n| Key([n; 32]));
        cache.insert(a, true);
        cache.insert(b, false);
        assert_eq!(cache.get(a), Some(true));
        cache.insert(c, false);
        assert_eq!((cache.get(a), cache.get(b), cache.get(c)), (Some(true), None, Some(false)));
        cache.insert(c, true);
        assert_eq!(cache.get(c), Some(true));
        assert_eq!((cache.answers.len(), cache.by_last_use.len()), (2, 2));
    }
}
