//! The five kinds of signatures and how each is verified (identity §5).

mod ecdsa;
mod legacy;
mod passkey;

use std::cell::OnceCell;

use ed25519_dalek::VerifyingKey;
use sha2::{Digest as _, Sha512};
use subrosa_types::InstallationId;

pub(crate) use ecdsa::ethereum_address;
pub use ecdsa::recover_ethereum_address;
pub use legacy::{LegacyDelegatedSignature, LegacyWalletSignature};
pub use passkey::PasskeySignature;

use crate::{
    AccountId, AccountIdError, ChainCheck, ChainVerdicts, DecodeError, InstallationKey, MemberIdentifier, Verdict,
    VerifyError, installation::UPDATE_CONTEXT, text::eip191_hash,
};

/// A signature as it came, over some text.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum UnverifiedSignature {
    /// By an externally owned Ethereum account: `r || s || v`, 65 bytes when well formed (identity §5.1).
    Erc191(Vec<u8>),
    /// By a contract wallet: only a chain can tell (identity §5.2).
    ContractWallet {
        /// The wallet.
        account_id: AccountId,
        /// Block at which the wallet has to be asked. Always present in an update; absent when a wallet's answer is
        /// added to a signature request and the verifier has still to name it.
        block_number: Option<u64>,
        /// Opaque to everybody but the wallet.
        signature: Vec<u8>,
    },
    /// By an installation (identity §5.3).
    Installation(Box<InstallationSignature>),
    /// By the key of a version-2 account that stands in for its wallet (identity §5.4).
    LegacyDelegated(Box<LegacyDelegatedSignature>),
    /// By a passkey (identity §5.5).
    Passkey(Box<PasskeySignature>),
}

/// Ed25519ph signature of an installation. The key is known to be a point of the curve.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InstallationSignature {
    key: VerifyingKey,
    bytes: Vec<u8>,
}

impl InstallationSignature {
    /// A signature by this public key; the signature itself is judged when it is verified.
    ///
    /// # Errors
    /// [`DecodeError::InstallationKeyInvalid`] unless the key is 32 bytes that stand for a point of the curve.
    pub fn new(public_key: &[u8], signature: Vec<u8>) -> Result<Self, DecodeError> {
        let key = public_key.try_into().map_err(|_| DecodeError::InstallationKeyInvalid)?;
        let key = VerifyingKey::from_bytes(key).map_err(|_| DecodeError::InstallationKeyInvalid)?;
        Ok(Self { key, bytes: signature })
    }

    /// Whose signature it claims to be.
    #[must_use]
    pub fn installation(&self) -> InstallationId {
        InstallationId::from_bytes(self.key.to_bytes())
    }

    /// The signature bytes, 64 when well formed.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// The kinds of signatures.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum SignatureKind {
    /// By an externally owned Ethereum account.
    Erc191,
    /// By a contract wallet.
    ContractWallet,
    /// By an installation.
    Installation,
    /// By the key of a version-2 account.
    LegacyDelegated,
    /// By a passkey.
    Passkey,
}

impl SignatureKind {
    /// Whether a member of this kind may sign so (identity §6.4).
    pub(crate) const fn is_allowed_for(self, member: &MemberIdentifier) -> bool {
        match member {
            MemberIdentifier::Ethereum(_) => {
                matches!(self, Self::Erc191 | Self::ContractWallet | Self::LegacyDelegated)
            }
            MemberIdentifier::Installation(_) => matches!(self, Self::Installation),
            MemberIdentifier::Passkey(_) => matches!(self, Self::Passkey),
        }
    }
}

/// What is known of a signature once it was verified (identity §5).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VerifiedSignature {
    signer: MemberIdentifier,
    kind: SignatureKind,
    seen: Vec<u8>,
    chain_id: Option<u64>,
}

impl VerifiedSignature {
    /// Who signed, in canonical form.
    #[must_use]
    pub const fn signer(&self) -> &MemberIdentifier {
        &self.signer
    }

    /// How.
    #[must_use]
    pub const fn kind(&self) -> SignatureKind {
        self.kind
    }

    /// The bytes that are compared to catch replays.
    #[must_use]
    pub fn seen_value(&self) -> &[u8] {
        &self.seen
    }

    /// The chain of a contract wallet; `None` for every other kind.
    #[must_use]
    pub const fn chain_id(&self) -> Option<u64> {
        self.chain_id
    }
}

/// A text with the digests that signatures are made over, each computed once.
pub(crate) struct SignedText<'a> {
    text: &'a str,
    eip191: OnceCell<[u8; 32]>,
    prehash: OnceCell<Sha512>,
    challenge: OnceCell<String>,
}

impl<'a> SignedText<'a> {
    pub(crate) const fn new(text: &'a str) -> Self {
        Self { text, eip191: OnceCell::new(), prehash: OnceCell::new(), challenge: OnceCell::new() }
    }

    pub(crate) fn eip191(&self) -> &[u8; 32] {
        self.eip191.get_or_init(|| eip191_hash(self.text))
    }

    fn prehash(&self) -> Sha512 {
        self.prehash.get_or_init(|| Sha512::new().chain_update(self.text)).clone()
    }

    fn challenge(&self) -> &str {
        self.challenge.get_or_init(|| passkey::base64url(self.text.as_bytes()))
    }
}

impl UnverifiedSignature {
    /// A contract wallet's signature, for the wallet at an address on the chain of this number.
    ///
    /// # Errors
    /// [`AccountIdError::Address`] if the address is not one of Ethereum.
    pub fn contract_wallet(
        chain_id: u64,
        address: &str,
        signature: Vec<u8>,
        block_number: Option<u64>,
    ) -> Result<Self, AccountIdError> {
        Ok(Self::ContractWallet { account_id: AccountId::ethereum(chain_id, address)?, block_number, signature })
    }

    /// Signs an update's text with an installation's key.
    #[must_use]
    pub fn by_installation(key: &InstallationKey, text: &str) -> Self {
        let bytes = key.sign_update(text).to_vec();
        Self::Installation(Box::new(InstallationSignature { key: key.verifying_key(), bytes }))
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> SignatureKind {
        match self {
            Self::Erc191(_) => SignatureKind::Erc191,
            Self::ContractWallet { .. } => SignatureKind::ContractWallet,
            Self::Installation(_) => SignatureKind::Installation,
            Self::LegacyDelegated(_) => SignatureKind::LegacyDelegated,
            Self::Passkey(_) => SignatureKind::Passkey,
        }
    }

    /// The question that a chain has to answer before this can be verified; `None` for all but contract wallets.
    #[must_use]
    pub fn chain_check(&self, text: &str) -> Option<ChainCheck> {
        self.chain_check_of(&SignedText::new(text))
    }

    pub(crate) fn chain_check_of(&self, text: &SignedText<'_>) -> Option<ChainCheck> {
        let Self::ContractWallet { account_id, block_number, signature } = self else { return None };
        Some(ChainCheck {
            account_id: account_id.clone(),
            hash: *text.eip191(),
            signature: signature.clone(),
            block_number: *block_number,
        })
    }

    /// Verifies it over a text.
    ///
    /// # Errors
    /// [`VerifyError`]; [`VerifyError::ChainUnknown`] is temporary.
    pub fn verify(&self, text: &str, verdicts: &ChainVerdicts) -> Result<VerifiedSignature, VerifyError> {
        self.verify_over(&SignedText::new(text), verdicts)
    }

    pub(crate) fn verify_over(
        &self,
        text: &SignedText<'_>,
        verdicts: &ChainVerdicts,
    ) -> Result<VerifiedSignature, VerifyError> {
        let (signer, seen, chain_id) = match self {
            Self::Erc191(bytes) => {
                let (address, seen) = ecdsa::recover_ethereum_address(text.eip191(), bytes)?;
                (MemberIdentifier::Ethereum(address), seen.to_vec(), None)
            }
            Self::ContractWallet { account_id, signature, .. } => {
                let check = self.chain_check_of(text).ok_or(VerifyError::ChainUnknown)?;
                let (signer, chain_id) = verify_contract_wallet(account_id, verdicts.verdict(&check))?;
                (signer, signature.clone(), Some(chain_id))
            }
            Self::Installation(signature) => {
                let bytes = verify_installation(text, signature)?;
                (signature.installation().into(), bytes.to_vec(), None)
            }
            Self::LegacyDelegated(signature) => {
                let (wallet, seen) = signature.verify(text)?;
                (MemberIdentifier::Ethereum(wallet), seen.to_vec(), None)
            }
            Self::Passkey(signature) => {
                let (passkey, seen) = signature.verify(text.challenge())?;
                (MemberIdentifier::Passkey(passkey), seen.to_vec(), None)
            }
        };
        Ok(VerifiedSignature { signer, kind: self.kind(), seen, chain_id })
    }
}

/// The chain's verdict comes first, the syntax of address and chain afterwards (identity §5.2).
fn verify_contract_wallet(account: &AccountId, verdict: Verdict) -> Result<(MemberIdentifier, u64), VerifyError> {
    match verdict {
        Verdict::Unknown => return Err(VerifyError::ChainUnknown),
        Verdict::Invalid => return Err(VerifyError::ContractWalletRejected),
        Verdict::Valid => {}
    }
    let address = account.address().map_err(|_| VerifyError::AddressInvalid)?;
    let chain_id = account.chain_id().map_err(|error| match error {
        AccountIdError::NotEip155 => VerifyError::ChainIdNotEip155,
        _ => VerifyError::ChainIdNotU64,
    })?;
    Ok((MemberIdentifier::Ethereum(address), chain_id))
}

/// The ordinary check without cofactor. Public keys of small order are not refused: everybody else on the network
/// accepts them (identity §5.3).
fn verify_installation(text: &SignedText<'_>, signature: &InstallationSignature) -> Result<[u8; 64], VerifyError> {
    let bytes: [u8; 64] =
        signature.bytes.as_slice().try_into().map_err(|_| VerifyError::InstallationSignatureLength)?;
    signature
        .key
        .verify_prehashed(text.prehash(), Some(UPDATE_CONTEXT), &ed25519_dalek::Signature::from_bytes(&bytes))
        .map_err(|_| VerifyError::InstallationSignature)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_installation_key_must_be_a_point_of_32_bytes() {
        let key = InstallationKey::from_seed([1; 32]).id();
        assert!(InstallationSignature::new(key.as_bytes(), vec![]).is_ok());
        assert_eq!(InstallationSignature::new(&[0; 31], vec![]), Err(DecodeError::InstallationKeyInvalid));
        let mut no_point = [0; 32];
        no_point[0] = 2;
        assert_eq!(InstallationSignature::new(&no_point, vec![]), Err(DecodeError::InstallationKeyInvalid));
    }

    #[test]
    fn a_key_of_small_order_is_not_refused() {
        // The neutral element as key: R = S·B holds for S = 0, R = neutral, whatever the text.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let mut bytes = vec![0; 64];
        bytes[0] = 1;
        let signature = InstallationSignature::new(&neutral, bytes).unwrap();
        let verified = UnverifiedSignature::Installation(Box::new(signature)).verify("x", &ChainVerdicts::none());
        assert_eq!(verified.unwrap().kind(), SignatureKind::Installation);
    }

    #[test]
    fn the_chain_is_asked_before_address_and_chain_are_read() {
        let account = AccountId::parse("abc:1:xyz").unwrap();
        assert_eq!(verify_contract_wallet(&account, Verdict::Unknown), Err(VerifyError::ChainUnknown));
        assert_eq!(verify_contract_wallet(&account, Verdict::Invalid), Err(VerifyError::ContractWalletRejected));
        assert_eq!(verify_contract_wallet(&account, Verdict::Valid), Err(VerifyError::AddressInvalid));
    }
}
