//! Identifiers and members (identity §2.1, §2.2).

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
};

use subrosa_types::{InstallationId, hex};

/// A passkey: a P-256 public key and, for information, the relying party it belongs to.
///
/// Two passkeys are equal when their key bytes are; the relying party never takes part (identity §2.1). Different
/// encodings of one point are different passkeys.
#[derive(Clone)]
pub struct Passkey {
    /// SEC1 encoding of the public key, exactly as received. Not checked here.
    pub key: Vec<u8>,
    /// Origin of the relying party, where known.
    pub relying_party: Option<String>,
}

impl Passkey {
    /// A passkey with these key bytes and no relying party.
    #[must_use]
    pub fn from_key(key: impl Into<Vec<u8>>) -> Self {
        Self { key: key.into(), relying_party: None }
    }
}

impl PartialEq for Passkey {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Passkey {}

impl PartialOrd for Passkey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Passkey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key)
    }
}

impl Hash for Passkey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl fmt::Debug for Passkey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…", hex::encode(&self.key[..self.key.len().min(5)]))
    }
}

/// Why text that a user typed is not an identifier (identity §2.2).
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentifierError {
    /// Some texts are not Ethereum addresses.
    #[error("not an ethereum address")]
    AddressInvalid {
        /// The offending texts, in the order given.
        addresses: Vec<String>,
    },
    /// A passkey is given as hex with an even number of digits.
    #[error("a passkey key was expected in hex")]
    PasskeyHex,
}

/// Who can be looked up, create an inbox or be its recovery identifier (identity §1).
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Identifier {
    /// An Ethereum address in text form. Compared byte for byte: there is no case folding.
    Ethereum(String),
    /// A passkey.
    Passkey(Passkey),
}

impl Identifier {
    /// Reads an Ethereum address that a user gave and lower-cases it (identity §2.2). A missing `0x` is not added;
    /// such an address is refused when an inbox id is derived from it.
    ///
    /// # Errors
    /// [`IdentifierError::AddressInvalid`] unless there are exactly 40 hex digits after at most one `0x`.
    pub fn parse_ethereum(text: &str) -> Result<Self, IdentifierError> {
        if is_ethereum_address(text) {
            Ok(Self::Ethereum(text.to_ascii_lowercase()))
        } else {
            Err(IdentifierError::AddressInvalid { addresses: vec![text.to_owned()] })
        }
    }

    /// Reads a passkey given as hex of either case, with or without `0x`. Its relying party stays unknown.
    ///
    /// # Errors
    /// [`IdentifierError::PasskeyHex`] for anything but hex. Length and curve are not checked (identity §2.2).
    pub fn parse_passkey(text: &str) -> Result<Self, IdentifierError> {
        passkey_key(text).map(|key| Self::Passkey(Passkey::from_key(key))).ok_or(IdentifierError::PasskeyHex)
    }

    /// The text form used in hashes, signature texts and lookups (identity §2.1).
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Ethereum(address) => address.clone(),
            Self::Passkey(passkey) => hex::encode(&passkey.key),
        }
    }

    /// This identifier as the network knows it: an address that a user gave is lower-cased (identity §2.2).
    ///
    /// # Errors
    /// As for [`parse_ethereum`](Self::parse_ethereum).
    pub fn normalised(&self) -> Result<Self, IdentifierError> {
        match self {
            Self::Ethereum(address) => Self::parse_ethereum(address),
            Self::Passkey(_) => Ok(self.clone()),
        }
    }
}

/// Identifiers that a user gave, as the network knows them; all of them or none (identity §2.2).
///
/// # Errors
/// [`IdentifierError::AddressInvalid`] with every text that is not an address.
pub fn normalise_all(identifiers: &[Identifier]) -> Result<Vec<Identifier>, IdentifierError> {
    let mut addresses = Vec::new();
    let mut normal = Vec::with_capacity(identifiers.len());
    for identifier in identifiers {
        match identifier.normalised() {
            Ok(identifier) => normal.push(identifier),
            Err(IdentifierError::AddressInvalid { addresses: wrong }) => addresses.extend(wrong),
            Err(error) => return Err(error),
        }
    }
    if addresses.is_empty() { Ok(normal) } else { Err(IdentifierError::AddressInvalid { addresses }) }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

/// Whoever can be associated with an inbox: an identifier or an installation (identity §1).
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum MemberIdentifier {
    /// An Ethereum address in text form, compared byte for byte.
    Ethereum(String),
    /// Key bytes of an installation. 32 bytes for every member; an action may name other lengths (identity §4.3).
    Installation(Vec<u8>),
    /// A passkey.
    Passkey(Passkey),
}

impl MemberIdentifier {
    /// The text form (identity §2.1).
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Ethereum(address) => address.clone(),
            Self::Installation(key) => hex::encode(key),
            Self::Passkey(passkey) => hex::encode(&passkey.key),
        }
    }

    /// The installation this names, if it is one of 32 bytes.
    #[must_use]
    pub fn as_installation(&self) -> Option<InstallationId> {
        match self {
            Self::Installation(key) => InstallationId::from_slice(key).ok(),
            Self::Ethereum(_) | Self::Passkey(_) => None,
        }
    }

    /// The identifier this is; `None` for an installation.
    #[must_use]
    pub fn as_identifier(&self) -> Option<Identifier> {
        match self {
            Self::Ethereum(address) => Some(Identifier::Ethereum(address.clone())),
            Self::Passkey(passkey) => Some(Identifier::Passkey(passkey.clone())),
            Self::Installation(_) => None,
        }
    }

    /// Whether this is the given identifier.
    #[must_use]
    pub fn is(&self, identifier: &Identifier) -> bool {
        match (self, identifier) {
            (Self::Ethereum(a), Identifier::Ethereum(b)) => a == b,
            (Self::Passkey(a), Identifier::Passkey(b)) => a == b,
            _ => false,
        }
    }
}

impl From<Identifier> for MemberIdentifier {
    fn from(identifier: Identifier) -> Self {
        match identifier {
            Identifier::Ethereum(address) => Self::Ethereum(address),
            Identifier::Passkey(passkey) => Self::Passkey(passkey),
        }
    }
}

impl From<&Identifier> for MemberIdentifier {
    fn from(identifier: &Identifier) -> Self {
        identifier.clone().into()
    }
}

impl From<InstallationId> for MemberIdentifier {
    fn from(id: InstallationId) -> Self {
        Self::Installation(id.as_bytes().to_vec())
    }
}

impl From<&InstallationId> for MemberIdentifier {
    fn from(id: &InstallationId) -> Self {
        (*id).into()
    }
}

impl fmt::Display for MemberIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl fmt::Debug for MemberIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ethereum(address) => f.debug_tuple("Ethereum").field(address).finish(),
            Self::Installation(key) => write!(f, "Installation({}…)", hex::encode(&key[..key.len().min(4)])),
            Self::Passkey(passkey) => f.debug_tuple("Passkey").field(passkey).finish(),
        }
    }
}

/// Whether the text is 40 hex digits of either case after at most one `0x` (identity §2.2).
pub(crate) fn is_ethereum_address(text: &str) -> bool {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    digits.len() == 40 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
}

/// Key bytes of a passkey given as hex, one leading `0x` tolerated.
pub(crate) fn passkey_key(text: &str) -> Option<Vec<u8>> {
    hex::decode(text.strip_prefix("0x").unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "0xa267e4f15c979289993a95e22ca9cdf077b708ba";

    #[test]
    fn ethereum_input_is_lower_cased() {
        let upper = format!("0x{}", ADDRESS[2..].to_uppercase());
        assert_eq!(Identifier::parse_ethereum(&upper).unwrap().text(), ADDRESS);
        assert_eq!(Identifier::parse_ethereum(&ADDRESS[2..]).unwrap().text(), &ADDRESS[2..]);
    }

    #[test]
    fn bad_ethereum_input_is_listed() {
        for bad in ["", "0x", "0X", &ADDRESS[..41], &format!(" {ADDRESS}"), &format!("0x{ADDRESS}"), "é"] {
            assert!(Identifier::parse_ethereum(bad).is_err(), "{bad}");
        }
        let all = ["x", ADDRESS, "y"].map(|text| Identifier::Ethereum(text.to_owned()));
        let bad = IdentifierError::AddressInvalid { addresses: vec!["x".into(), "y".into()] };
        assert_eq!(normalise_all(&all), Err(bad));
        assert_eq!(normalise_all(&all[1..2]).unwrap(), all[1..2]);
    }

    #[test]
    fn passkey_input_is_decoded() {
        assert_eq!(Identifier::parse_passkey("0x02AB").unwrap().text(), "02ab");
        assert_eq!(Identifier::parse_passkey("").unwrap().text(), "");
        assert_eq!(Identifier::parse_passkey("abc"), Err(IdentifierError::PasskeyHex));
        assert_eq!(Identifier::parse_passkey("0x0xab"), Err(IdentifierError::PasskeyHex));
    }

    #[test]
    fn relying_party_takes_no_part_in_equality() {
        let a = Passkey { key: vec![2], relying_party: Some("https://a".into()) };
        let b = Passkey::from_key([2]);
        assert_eq!(a, b);
        assert_eq!(a.cmp(&b), Ordering::Equal);
        assert_ne!(a, Passkey::from_key([3]));
    }

    #[test]
    fn an_installation_of_odd_length_is_no_installation_id() {
        assert_eq!(MemberIdentifier::Installation(vec![1, 2]).as_installation(), None);
        assert_eq!(MemberIdentifier::Installation(vec![1, 2]).text(), "0102");
    }
}
