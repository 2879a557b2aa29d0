//! Several inputs in one.
//!
//! ```text
//! offset  size  field
//! 0       2     length n of the part, big endian
//! 2       n     the part; the last one may be cut off
//! ```

/// Takes input apart. Any bytes have parts.
#[must_use]
pub fn split(bytes: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let mut rest = bytes;
    while let [high, low, tail @ ..] = rest {
        let (part, after) = tail.split_at(tail.len().min(usize::from(u16::from_be_bytes([*high, *low]))));
        parts.push(part);
        rest = after;
    }
    parts
}

/// The inverse of [`split`].
///
/// # Panics
/// When a part is longer than 65535 bytes.
#[must_use]
pub fn join<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        let length = u16::try_from(part.len()).expect("a part is short");
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}
