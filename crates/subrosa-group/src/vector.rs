//! `opaque x<V>`: vectors with the length prefix of RFC 9420 §2.1.2.

/// Puts an RFC 9420 §2.1.2 length in front.
pub(crate) fn with_length(body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let mut bytes = match length {
        0..=0x3f => vec![low_byte(length)],
        0x40..=0x3fff => vec![0x40 | low_byte(length >> 8), low_byte(length)],
        _ => {
            vec![0x80 | low_byte(length >> 24) & 0x3f, low_byte(length >> 16), low_byte(length >> 8), low_byte(length)]
        }
    };
    bytes.extend_from_slice(body);
    bytes
}

const fn low_byte(value: usize) -> u8 {
    value.to_le_bytes()[0]
}

/// Takes the length off; `None` unless it is the shortest form and covers exactly the rest.
pub(crate) fn without_length(bytes: &[u8]) -> Option<&[u8]> {
    match split(bytes)? {
        (vector, []) => Some(vector),
        _ => None,
    }
}

/// Splits off a leading vector; `None` unless its length has the shortest form and does not reach too far.
pub(crate) fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest): (usize, &[u8]) = match bytes {
        [first @ 0..=0x3f, rest @ ..] => (usize::from(*first), rest),
        [first @ 0x40..=0x7f, second, rest @ ..] => (usize::from(first & 0x3f) << 8 | usize::from(*second), rest),
        [first @ 0x80..=0xbf, a, b, c, rest @ ..] => {
            let number = u32::from_be_bytes([first & 0x3f, *a, *b, *c]);
            (usize::try_from(number).ok()?, rest)
        }
        _ => return None,
    };
    let vector = rest.get(..length)?;
    let shortest = prefix_length(length) == bytes.len() - rest.len();
    shortest.then_some((vector, &rest[length..]))
}

const fn prefix_length(length: usize) -> usize {
    match length {
        0..=0x3f => 1,
        0x40..=0x3fff => 2,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn longer_forms_and_lengths_that_reach_too_far_are_refused() {
        assert_eq!(split(&[0x40, 1, 7]), None);
        assert_eq!(split(&[2, 7]), None);
        assert_eq!(split(&[0xc0]), None);
        assert_eq!(split(&[1, 7, 8]), Some(([7].as_slice(), [8].as_slice())));
        assert_eq!(without_length(&[1, 7, 8]), None);
    }

    proptest! {
        #[test]
        fn lengths_survive(length in 0usize..20_000) {
            let body = vec![1; length];
            let bytes = with_length(&body);
            prop_assert_eq!(without_length(&bytes), Some(body.as_slice()));
        }
    }
}
