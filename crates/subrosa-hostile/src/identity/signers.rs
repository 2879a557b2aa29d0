//! Fixed keys of every kind, with which input gets past the check of signatures.

use std::sync::LazyLock;

use p256::ecdsa::signature::Signer as _;
use prost::Message as _;
use sha2::{Digest as _, Sha256};
use subrosa_identity::{
    Identifier, InstallationKey, LegacyDelegatedSignature, LegacyWalletSignature, MemberIdentifier, Passkey,
    PasskeySignature, UnverifiedSignature, WalletKey,
};
use subrosa_proto::xmtp::message_contents::{UnsignedPublicKey, unsigned_public_key};
use subrosa_types::hex;

/// Somebody who can sign.
pub(super) enum Signer {
    Wallet(WalletKey),
    /// An old key that stands in for the wallet, with its serialised public key and the wallet's signature over that.
    Legacy {
        wallet: WalletKey,
        key: WalletKey,
        key_bytes: Vec<u8>,
        by_wallet: [u8; 65],
    },
    Contract {
        chain: u64,
        address: String,
    },
    Installation(InstallationKey),
    /// With the encoding of its public key.
    Passkey(p256::ecdsa::SigningKey, Vec<u8>),
}

/// Sixteen signers, so that half a byte names one. The two encodings of one passkey are two signers, and addresses
/// appear as plain account, as legacy key and as contract on two chains.
pub(super) static SIGNERS: LazyLock<[Signer; 16]> = LazyLock::new(|| {
    let contract = |chain, seed| Signer::Contract { chain, address: wallet(seed).address() };
    let installation = |seed| Signer::Installation(InstallationKey::from_seed([seed; 32]));
    [
        Signer::Wallet(wallet(1)),
        Signer::Wallet(wallet(2)),
        Signer::Wallet(wallet(3)),
        installation(4),
        installation(5),
        installation(6),
        installation(7),
        passkey(8, true),
        passkey(8, false),
        passkey(9, true),
        legacy(1, 10),
        legacy(1, 11),
        legacy(2, 12),
        contract(1, 13),
        contract(10, 13),
        contract(1, 3),
    ]
});

fn wallet(seed: u8) -> WalletKey {
    WalletKey::from_bytes(&[seed; 32]).unwrap()
}

fn passkey(seed: u8, compressed: bool) -> Signer {
    let key = p256::ecdsa::SigningKey::from_slice(&[seed; 32]).unwrap();
    let point = key.verifying_key().to_encoded_point(compressed).as_bytes().to_vec();
    Signer::Passkey(key, point)
}

fn legacy(wallet_seed: u8, key_seed: u8) -> Signer {
    let secret = k256::ecdsa::SigningKey::from_slice(&[key_seed; 32]).unwrap();
    let point = secret.verifying_key().to_encoded_point(false).as_bytes().to_vec();
    let union =
        unsigned_public_key::Union::Secp256k1Uncompressed(unsigned_public_key::Secp256k1Uncompressed { bytes: point });
    let key_bytes = UnsignedPublicKey { created_ns: 7, union: Some(union) }.encode_to_vec();
    let text =
        format!("XMTP : Create Identity\n{}\n\nFor more info: https://xmtp.org/signatures/", hex::encode(&key_bytes));
    let wallet = wallet(wallet_seed);
    let by_wallet = wallet.sign(&text);
    Signer::Legacy { wallet, key: self::wallet(key_seed), key_bytes, by_wallet }
}

impl Signer {
    /// The signer that half a byte names.
    pub(super) fn named(number: u8) -> &'static Self {
        &SIGNERS[usize::from(number & 15)]
    }

    pub(super) fn member(&self) -> MemberIdentifier {
        match self {
            Self::Wallet(wallet) | Self::Legacy { wallet, .. } => wallet.identifier().into(),
            Self::Contract { address, .. } => MemberIdentifier::Ethereum(address.clone()),
            Self::Installation(key) => key.id().into(),
            Self::Passkey(_, key) => MemberIdentifier::Passkey(Passkey::from_key(key.clone())),
        }
    }

    /// What names this signer where installations cannot stand: for those an address that nobody has.
    pub(super) fn identifier(&self) -> Identifier {
        let nobody = || Identifier::Ethereum(format!("0x{}", "00".repeat(20)));
        self.member().as_identifier().unwrap_or_else(nobody)
    }

    pub(super) fn sign(&self, text: &str) -> UnverifiedSignature {
        match self {
            Self::Wallet(key) => UnverifiedSignature::Erc191(key.sign(text).to_vec()),
            Self::Legacy { key, key_bytes, by_wallet, .. } => {
                UnverifiedSignature::LegacyDelegated(Box::new(LegacyDelegatedSignature {
                    key_bytes: key_bytes.clone(),
                    wallet_signature: Some(LegacyWalletSignature::WalletEcdsaCompact {
                        bytes: by_wallet[..64].to_vec(),
                        recovery: u32::from(by_wallet[64]),
                    }),
                    signature: key.sign(text).to_vec(),
                }))
            }
            // Says the text, so that another update has another seen value.
            Self::Contract { chain, address } => {
                let signature = Sha256::digest(text).to_vec();
                UnverifiedSignature::contract_wallet(*chain, address, signature, Some(1)).unwrap()
            }
            Self::Installation(key) => UnverifiedSignature::by_installation(key, text),
            Self::Passkey(key, public_key) => {
                let client_data = format!(r#"{{"challenge":"{}","origin":"https://o"}}"#, base64url(text.as_bytes()));
                UnverifiedSignature::Passkey(Box::new(assertion(key, public_key, vec![5; 37], client_data.into())))
            }
        }
    }
}

/// Signs as an authenticator does, whatever the client data are.
pub(super) fn assertion(
    key: &p256::ecdsa::SigningKey,
    public_key: &[u8],
    authenticator_data: Vec<u8>,
    client_data_json: Vec<u8>,
) -> PasskeySignature {
    let signed = [&authenticator_data[..], &Sha256::digest(&client_data_json)].concat();
    let signature: p256::ecdsa::Signature = key.sign(&signed);
    PasskeySignature {
        public_key: public_key.to_vec(),
        signature: signature.to_der().as_bytes().to_vec(),
        authenticator_data,
        client_data_json,
    }
}

/// Base64url without padding, bit by bit: not how the library does it.
pub(super) fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (mut text, mut bits, mut held) = (String::new(), 0_u32, 0);
    for byte in bytes {
        (bits, held) = (bits << 8 | u32::from(*byte), held + 8);
        while held >= 6 {
            held -= 6;
            text.push(char::from(DIGITS[(bits >> held & 63) as usize]));
        }
    }
    if held > 0 {
        text.push(char::from(DIGITS[(bits << (6 - held) & 63) as usize]));
    }
    text
}
