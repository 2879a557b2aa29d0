//! Calls of contracts and their arguments, in hex.

use sha3::{Digest as _, Keccak256};

/// Code and arguments of a call: the selector of the function, then one word for each argument.
pub(crate) fn call(function: &str, words: &[String]) -> String {
    let selector = Keccak256::digest(function.as_bytes());
    format!("0x{}{}", hex(&selector[..4]), words.concat())
}

/// An address as a word.
pub(crate) fn word(address: &str) -> String {
    format!("{:0>64}", address.trim_start_matches("0x"))
}

/// A number as a word.
pub(crate) fn number(number: usize) -> String {
    format!("{number:064x}")
}

/// Bytes as the words of their length and content.
pub(crate) fn bytes(bytes: &[u8]) -> String {
    let mut padded = bytes.to_vec();
    padded.resize(bytes.len().next_multiple_of(32), 0);
    number(bytes.len()) + &hex(&padded)
}

/// Three arguments `(word, bytes, bytes)`, as a wrapped signature has them.
pub(crate) fn word_and_two_of_bytes(first: &str, second: &[u8], third: &[u8]) -> String {
    let (second, third) = (bytes(second), bytes(third));
    [first.to_owned(), number(96), number(96 + second.len() / 2), second, third].concat()
}

/// Lower-case hex, without prefix.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Reads hex, with or without prefix.
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    subrosa_vectors::bytes(&text.trim_start_matches("0x").into())
}
