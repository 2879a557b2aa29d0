//! Where the bytes to inspect come from.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use subrosa_types::hex;

use crate::failure::{Code, Failure};

/// Largest input in bytes: more than any envelope can have.
const LIMIT: u64 = 64 << 20;

/// Reads the argument: `-` is the standard input, the name of a file that file, anything else hex.
pub(crate) fn read(argument: &str) -> Result<Vec<u8>, Failure> {
    if argument == "-" {
        let failed = |error| Failure::new("cannot read the standard input").because(&error);
        return bounded(io::stdin().lock()).map_err(failed).and_then(unwrap_hex);
    }
    let path = Path::new(argument);
    if path.exists() {
        return read_file(path);
    }
    from_hex(argument).ok_or_else(|| {
        Failure::new("the input is neither hex nor the name of a file")
            .advise("give hex digits, a file with raw bytes or hex text, or - for the standard input")
            .code(Code::BadInput)
    })
}

/// Reads a file of raw bytes or of hex text.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |error| Failure::new(format!("cannot read {}", path.display())).because(&error);
    File::open(path).and_then(bounded).map_err(failed).and_then(unwrap_hex)
}

fn bounded(source: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(LIMIT + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Raw bytes stay as they are; a text of nothing but hex digits stands for the bytes it spells.
fn unwrap_hex(bytes: Vec<u8>) -> Result<Vec<u8>, Failure> {
    if bytes.is_empty() {
        return Err(Failure::new("the input is empty").code(Code::BadInput));
    }
    if u64::try_from(bytes.len()).is_ok_and(|length| length > LIMIT) {
        return Err(Failure::new(format!("the input has more than {LIMIT} bytes")).code(Code::BadInput));
    }
    let spelled = std::str::from_utf8(&bytes).ok().and_then(from_hex);
    Ok(spelled.unwrap_or(bytes))
}

/// Hex of either case; white space and one `0x` are tolerated.
fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: String = text.split_whitespace().collect();
    let digits = digits.strip_prefix("0x").unwrap_or(&digits);
    if digits.is_empty() { None } else { hex::decode(digits) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_raw_bytes_and_nonsense_are_told_apart() {
        assert_eq!(read("0x0A ff").unwrap(), [0x0a, 0xff]);
        assert_eq!(unwrap_hex(b"0aff\n".to_vec()).unwrap(), [0x0a, 0xff]);
        assert_eq!(unwrap_hex(vec![0, 1, 0xff]).unwrap(), [0, 1, 0xff]);
        assert!(read("no such file").is_err());
        assert!(unwrap_hex(Vec::new()).is_err());
    }
}
