//! Protocol versions as groups compare them (groups §3.6).

use std::{cmp::Ordering, fmt};

/// A version `major.minor.patch[-suffix]`. Not semantic versioning: a version without suffix sorts *before* every
/// one with a suffix.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProtocolVersion {
    numbers: [u32; 3],
    suffix: Option<String>,
}

impl ProtocolVersion {
    /// The version whose behaviour this crate implements, and which a group's minimum is compared with: 1.10.0.
    pub const OURS: Self = Self { numbers: [1, 10, 0], suffix: None };

    /// Reads a version; `None` unless it is exactly three numbers, the third with an optional suffix. Text after a
    /// second `-` is dropped.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let (major, minor, last) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let mut last = last.split('-');
        let patch = last.next()?;
        let suffix = last.next().map(str::to_owned);
        Some(Self { numbers: [major.parse().ok()?, minor.parse().ok()?, patch.parse().ok()?], suffix })
    }
}

impl Ord for ProtocolVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        // `None` sorts before every `Some`, which is the rule for suffixes.
        self.numbers.cmp(&other.numbers).then_with(|| self.suffix.cmp(&other.suffix))
    }
}

impl PartialOrd for ProtocolVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for ProtocolVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.numbers;
        write!(f, "{major}.{minor}.{patch}")?;
        self.suffix.as_ref().map_or(Ok(()), |suffix| write!(f, "-{suffix}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_suffix_sorts_before_any_suffix() {
        let version = |text| ProtocolVersion::parse(text).unwrap();
        assert!(version("1.10.0") < version("1.10.0-rc1"));
        assert!(version("1.10.0-a") < version("1.10.0-b"));
        assert!(version("1.9.9") < ProtocolVersion::OURS);
        assert!(version("1.11.0-dev") > ProtocolVersion::OURS);
        assert_eq!(version("1.2.3-a-b"), version("1.2.3-a"));
        assert_eq!(version("1.10.0"), ProtocolVersion::OURS);
    }

    #[test]
    fn other_texts_are_not_versions() {
        for text in ["", "1", "1.2", "1.2.3.4", "a.b.c", "1.2.-x", "1.2.4294967296", "-1.2.3"] {
            assert_eq!(ProtocolVersion::parse(text), None, "{text}");
        }
    }
}
