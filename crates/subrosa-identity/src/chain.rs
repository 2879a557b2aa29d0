//! What a chain has to answer about contract wallets, as data (identity §5.2, §12).

use std::collections::BTreeMap;

use crate::identifier::is_ethereum_address;

/// Names an account on a chain, CAIP-10: `namespace:reference:address` (identity §5.2). The syntax is checked, the
/// kind of chain is not.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct AccountId(String);

/// Why text is not a usable account id.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AccountIdError {
    /// There are three parts, divided by `:`.
    #[error("an account id has three parts")]
    Parts,
    /// A part is empty, too long or has a character that it cannot have.
    #[error("a part of an account id is malformed")]
    Syntax,
    /// The address is not one of Ethereum.
    #[error("the address of an account id is not an ethereum address")]
    Address,
    /// The chain is not one of Ethereum.
    #[error("the chain of an account id is not of namespace eip155")]
    NotEip155,
    /// The chain id does not fit in 64 bits or is not decimal.
    #[error("the chain id of an account id is not a number of 64 bits")]
    ChainId,
}

impl AccountId {
    /// Reads the text form. Nothing is normalised.
    ///
    /// # Errors
    /// [`AccountIdError::Parts`] or [`AccountIdError::Syntax`].
    pub fn parse(text: &str) -> Result<Self, AccountIdError> {
        let parts: Vec<&str> = text.splitn(5, ':').collect();
        let [namespace, reference, address] = parts[..] else { return Err(AccountIdError::Parts) };
        let fits = |part: &str, lengths: std::ops::RangeInclusive<usize>, allowed: fn(u8) -> bool| {
            lengths.contains(&part.len()) && part.bytes().all(allowed)
        };
        let good = fits(namespace, 3..=8, |b| b == b'-' || b.is_ascii_lowercase() || b.is_ascii_digit())
            && fits(reference, 1..=32, |b| matches!(b, b'-' | b'_') || b.is_ascii_alphanumeric())
            && fits(address, 1..=128, |b| matches!(b, b'-' | b'.' | b'%') || b.is_ascii_alphanumeric());
        if good { Ok(Self(text.to_owned())) } else { Err(AccountIdError::Syntax) }
    }

    /// The account of an Ethereum address on the chain of this number (identity §7).
    ///
    /// # Errors
    /// [`AccountIdError::Address`] if the address is not one of Ethereum.
    pub fn ethereum(chain_id: u64, address: &str) -> Result<Self, AccountIdError> {
        if !is_ethereum_address(address) {
            return Err(AccountIdError::Address);
        }
        Ok(Self(format!("eip155:{chain_id}:{}", address.to_ascii_lowercase())))
    }

    /// The text form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The Ethereum address, lower case. A missing `0x` is not added.
    ///
    /// # Errors
    /// [`AccountIdError::Address`] if it is not one.
    pub fn address(&self) -> Result<String, AccountIdError> {
        let address = self.0.rsplit(':').next().unwrap_or_default();
        if is_ethereum_address(address) { Ok(address.to_ascii_lowercase()) } else { Err(AccountIdError::Address) }
    }

    /// The number of the Ethereum chain.
    ///
    /// # Errors
    /// [`AccountIdError::NotEip155`] or [`AccountIdError::ChainId`].
    pub fn chain_id(&self) -> Result<u64, AccountIdError> {
        let rest = self.0.strip_prefix("eip155:").ok_or(AccountIdError::NotEip155)?;
        // The syntax has no `+`, which would be the one other thing that this parser takes.
        rest.split(':').next().unwrap_or_default().parse().map_err(|_| AccountIdError::ChainId)
    }
}

/// One question to a chain: did this contract wallet sign this hash? (identity §12.1)
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ChainCheck {
    /// The wallet.
    pub account_id: AccountId,
    /// What was signed: the EIP-191 hash of the signature text.
    pub hash: [u8; 32],
    /// Opaque to everybody but the wallet.
    pub signature: Vec<u8>,
    /// Block at which to ask; `None` for the newest. Always present for signatures inside updates, even when 0.
    pub block_number: Option<u64>,
}

/// A chain's answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a question of yes and no, or no answer")]
pub enum Verdict {
    /// The wallet says that it signed.
    Valid,
    /// The wallet says that it did not.
    Invalid,
    /// Nobody could be asked: no verifier for the chain, or it failed. Temporary.
    Unknown,
}

/// The answers a caller collected. What is not in here is [`Verdict::Unknown`].
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ChainVerdicts {
    answers: BTreeMap<ChainCheck, (Verdict, Option<u64>)>,
}

impl ChainVerdicts {
    /// No answers: enough for updates without contract wallets.
    #[must_use]
    pub const fn none() -> Self {
        Self { answers: BTreeMap::new() }
    }

    /// Adds an answer.
    pub fn insert(&mut self, check: ChainCheck, verdict: Verdict) {
        let block = check.block_number;
        self.answers.insert(check, (verdict, block));
    }

    /// Adds an answer together with the block the verifier looked at, which a question without block number needs
    /// before its signature can be used (identity §7).
    pub fn insert_at_block(&mut self, check: ChainCheck, verdict: Verdict, block_number: Option<u64>) {
        self.answers.insert(check, (verdict, block_number));
    }

    /// The answer to a question.
    #[must_use]
    pub fn verdict(&self, check: &ChainCheck) -> Verdict {
        self.answers.get(check).map_or(Verdict::Unknown, |(verdict, _)| *verdict)
    }

    /// The block at which a question was answered.
    #[must_use]
    pub fn block_number(&self, check: &ChainCheck) -> Option<u64> {
        check.block_number.or_else(|| self.answers.get(check).and_then(|(_, block)| *block))
    }
}

impl FromIterator<(ChainCheck, Verdict)> for ChainVerdicts {
    fn from_iter<I: IntoIterator<Item = (ChainCheck, Verdict)>>(answers: I) -> Self {
        let mut verdicts = Self::none();
        for (check, verdict) in answers {
            verdicts.insert(check, verdict);
        }
        verdicts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "0xe0c68521b05d6daecf04c229f0941f6526145473";

    #[test]
    fn account_of_an_address_is_lower_case() {
        let account = AccountId::ethereum(8453, &ADDRESS.to_uppercase().replace('X', "x")).unwrap();
        assert_eq!(account.as_str(), format!("eip155:8453:{ADDRESS}"));
        assert_eq!(AccountId::parse(account.as_str()), Ok(account));
        assert_eq!(AccountId::ethereum(1, "0x"), Err(AccountIdError::Address));
    }

    #[test]
    fn an_unasked_question_has_no_answer() {
        let account_id = AccountId::ethereum(1, ADDRESS).unwrap();
        let check = ChainCheck { account_id, hash: [0; 32], signature: vec![1], block_number: None };
        let mut verdicts = ChainVerdicts::none();
        assert_eq!(verdicts.verdict(&check), Verdict::Unknown);
        verdicts.insert_at_block(check.clone(), Verdict::Valid, Some(9));
        assert_eq!(verdicts.verdict(&check), Verdict::Valid);
        assert_eq!(verdicts.block_number(&check), Some(9));
        assert_eq!(verdicts.verdict(&ChainCheck { block_number: Some(9), ..check }), Verdict::Unknown);
    }
}
