//! The call that asks a chain about a signature (identity §12.3).

use std::fmt::Write as _;

use crate::ChainError;

/// Creation code of `contracts/SignatureValidator.sol`, in hex. `cargo xtask contracts` makes it.
const VALIDATOR: &str = include_str!("../contracts/SignatureValidator.hex");

/// An Ethereum address.
pub(crate) type Address = [u8; 20];

/// The data of the call, in hex with `0x`: the validator's creation code and its three arguments.
///
/// ```text
/// words  content
/// 1      signer, left-padded
/// 1      hash
/// 1      where the signature begins: 96
/// 1      length of the signature in bytes
/// n      the signature, padded with zeros to full words
/// ```
pub(crate) fn data(signer: &Address, hash: &[u8; 32], signature: &[u8]) -> String {
    let mut text = String::with_capacity(2 + VALIDATOR.len() + 2 * (4 * 32 + signature.len().next_multiple_of(32)));
    text.push_str("0x");
    text.push_str(VALIDATOR.trim_ascii_end());
    text.push_str(&"00".repeat(12));
    push_hex(&mut text, signer);
    push_hex(&mut text, hash);
    push_number(&mut text, 96);
    push_number(&mut text, signature.len());
    push_hex(&mut text, signature);
    text.push_str(&"00".repeat(signature.len().next_multiple_of(32) - signature.len()));
    text
}

/// Reads what the call returned: exactly one byte, 1 for yes and 0 for no. Anything else is not from the validator.
///
/// # Errors
/// [`ChainError::Malformed`].
pub(crate) fn answer(returned: &str) -> Result<bool, ChainError> {
    match returned {
        "0x01" => Ok(true),
        "0x00" => Ok(false),
        _ => Err(ChainError::Malformed),
    }
}

/// A number as JSON-RPC writes it.
pub(crate) fn quantity(number: u64) -> String {
    format!("{number:#x}")
}

/// Reads a number that JSON-RPC wrote.
///
/// # Errors
/// [`ChainError::Malformed`] unless it is hexadecimal with `0x` and fits.
pub(crate) fn read_quantity(text: &str) -> Result<u64, ChainError> {
    let digits = text.strip_prefix("0x").ok_or(ChainError::Malformed)?;
    // The parser would take a sign.
    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(ChainError::Malformed);
    }
    u64::from_str_radix(digits, 16).map_err(|_| ChainError::Malformed)
}

/// Reads an address that is known to be one, with or without `0x`; `None` if it is not.
pub(crate) fn read_address(text: &str) -> Option<Address> {
    read_hex(text.strip_prefix("0x").unwrap_or(text))?.try_into().ok()
}

/// Reads bytes written as pairs of hexadecimal digits.
pub(crate) fn read_hex(digits: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let digit = |d: u8| char::from(d).to_digit(16).and_then(|d| u8::try_from(d).ok());
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
}

fn push_number(text: &mut String, number: usize) {
    let _ = write!(text, "{number:064x}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_call_has_the_code_and_three_arguments() {
        let text = data(&[0xab; 20], &[0xcd; 32], &[0xef; 33]);
        let arguments = text.strip_prefix("0x").unwrap().strip_prefix(VALIDATOR.trim_ascii_end()).unwrap();
        let words: Vec<&str> = arguments.as_bytes().chunks(64).map(|w| str::from_utf8(w).unwrap()).collect();
        assert_eq!(
            words,
            [
                format!("{}{}", "00".repeat(12), "ab".repeat(20)),
                "cd".repeat(32),
                format!("{:064x}", 96),
                format!("{:064x}", 33),
                "ef".repeat(32),
                format!("ef{}", "00".repeat(31)),
            ]
        );
        assert_eq!(data(&[0; 20], &[0; 32], &[]).len(), 2 + VALIDATOR.trim_ascii_end().len() + 4 * 64);
    }

    #[test]
    fn only_one_byte_of_yes_or_no_is_an_answer() {
        assert_eq!((answer("0x01"), answer("0x00")), (Ok(true), Ok(false)));
        for other in ["", "0x", "01", "0x1", "0x02", "0x0001", "0x01 ", "0X01"] {
            assert_eq!(answer(other), Err(ChainError::Malformed), "{other:?}");
        }
    }

    #[test]
    fn quantities_are_strict() {
        assert_eq!(read_quantity(&quantity(31337)), Ok(31337));
        assert_eq!(read_quantity(&quantity(0)), Ok(0));
        assert_eq!(read_quantity(&quantity(u64::MAX)), Ok(u64::MAX));
        for bad in ["", "0x", "7a69", "0x+1", "0x-1", "0xg", "0x10000000000000000"] {
            assert_eq!(read_quantity(bad), Err(ChainError::Malformed), "{bad:?}");
        }
    }

    #[test]
    fn hex_is_read_in_pairs() {
        assert_eq!(read_hex("00fFa1"), Some(vec![0, 255, 0xa1]));
        assert_eq!((read_hex("0"), read_hex("0g"), read_hex("é")), (None, None, None));
        assert_eq!(read_address(&"11".repeat(20)), read_address(&format!("0x{}", "11".repeat(20))));
        assert_eq!(read_address("0x11"), None);
    }
}
