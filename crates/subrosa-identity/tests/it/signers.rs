//! Whoever can sign, and updates of any shape signed by them: also those that no honest client would build.

use std::rc::Rc;

use k256::ecdsa::SigningKey as Secp256k1Key;
use p256::ecdsa::{Signature, SigningKey as P256Key, signature::Signer as _};
use prost::Message as _;
use sha2::{Digest as _, Sha256};
use subrosa_identity::{
    Identifier, IdentityAction, IdentityUpdate, InstallationKey, LegacyDelegatedSignature, LegacyWalletSignature,
    MemberIdentifier, Passkey, PasskeySignature, UnverifiedSignature, WalletKey,
};
use subrosa_proto::xmtp::message_contents::{UnsignedPublicKey, unsigned_public_key};
use subrosa_types::hex;

/// Signs a text in its own way.
pub(crate) type Sign = Rc<dyn Fn(&str) -> UnverifiedSignature>;

/// An action and who signs it.
pub(crate) enum Act {
    Create(Identifier, u64, Sign),
    Add(MemberIdentifier, Sign, Sign),
    Revoke(MemberIdentifier, Sign),
    ChangeRecovery(Identifier, Sign),
}

impl Act {
    fn signed(&self, text: &str) -> IdentityAction {
        match self {
            Self::Create(identifier, nonce, sign) => {
                IdentityAction::CreateInbox { identifier: identifier.clone(), nonce: *nonce, signature: sign(text) }
            }
            Self::Add(member, existing, new) => IdentityAction::AddAssociation {
                new_member: member.clone(),
                existing_member_signature: existing(text),
                new_member_signature: new(text),
            },
            Self::Revoke(member, sign) => {
                IdentityAction::RevokeAssociation { member: member.clone(), signature: sign(text) }
            }
            Self::ChangeRecovery(identifier, sign) => {
                IdentityAction::ChangeRecovery { new_identifier: identifier.clone(), signature: sign(text) }
            }
        }
    }
}

/// An update with every slot signed over its own text.
pub(crate) fn update(inbox: &str, client_timestamp_ns: u64, acts: &[Act]) -> IdentityUpdate {
    let signed = |text: &str| acts.iter().map(|act| act.signed(text)).collect();
    let text = IdentityUpdate::new(inbox.to_owned(), client_timestamp_ns, signed("")).signature_text();
    IdentityUpdate::new(inbox.to_owned(), client_timestamp_ns, signed(&text))
}

pub(crate) fn by_wallet(key: &WalletKey) -> Sign {
    let key = key.clone();
    Rc::new(move |text| UnverifiedSignature::Erc191(key.sign(text).to_vec()))
}

pub(crate) fn by_installation(key: &InstallationKey) -> Sign {
    let key = key.clone();
    Rc::new(move |text| UnverifiedSignature::by_installation(&key, text))
}

/// A contract wallet's signature is whatever the wallet takes for one.
pub(crate) fn by_contract(chain_id: u64, address: &str, bytes: &[u8]) -> Sign {
    let signature = UnverifiedSignature::contract_wallet(chain_id, address, bytes.to_vec(), Some(7)).unwrap();
    Rc::new(move |_| signature.clone())
}

/// The same signature whatever the text.
pub(crate) fn already(signature: UnverifiedSignature) -> Sign {
    Rc::new(move |_| signature.clone())
}

/// A passkey of the authenticator that every test holds.
#[derive(Clone)]
pub(crate) struct PasskeyKey(P256Key);

impl PasskeyKey {
    pub(crate) fn new(seed: u8) -> Self {
        Self(P256Key::from_slice(&[seed; 32]).unwrap())
    }

    /// The compressed key.
    pub(crate) fn key(&self) -> Vec<u8> {
        self.0.verifying_key().to_encoded_point(true).as_bytes().to_vec()
    }

    /// The same point in a form with this tag: 4 with both coordinates, 5 with the first only.
    pub(crate) fn key_tagged(&self, tag: u8) -> Vec<u8> {
        let point = self.0.verifying_key().to_encoded_point(false);
        let coordinates = if tag == 5 { &point.as_bytes()[1..33] } else { &point.as_bytes()[1..] };
        [&[tag], coordinates].concat()
    }

    /// Whether tag 5 stands for this key: it means the point with the smaller y.
    pub(crate) fn has_smaller_y(&self) -> bool {
        // The prime's upper half begins with 7fffffff80…; no test key is near it.
        self.0.verifying_key().to_encoded_point(false).as_bytes()[33] < 0x7f
    }

    pub(crate) fn identifier(&self) -> Identifier {
        Identifier::Passkey(Passkey::from_key(self.key()))
    }

    /// An assertion over exactly these client data.
    pub(crate) fn sign_client_data(&self, client_data_json: &[u8]) -> PasskeySignature {
        let authenticator_data = b"authenticator data".to_vec();
        let signed = [&authenticator_data[..], &Sha256::digest(client_data_json)].concat();
        let signature: Signature = self.0.sign(&signed);
        PasskeySignature {
            public_key: self.key(),
            signature: signature.to_der().as_bytes().to_vec(),
            authenticator_data,
            client_data_json: client_data_json.to_vec(),
        }
    }

    pub(crate) fn assert(&self, text: &str) -> PasskeySignature {
        self.sign_client_data(client_data(&challenge(text)).as_bytes())
    }

    pub(crate) fn sign(&self) -> Sign {
        let key = self.clone();
        Rc::new(move |text| passkey(key.assert(text)))
    }
}

pub(crate) fn passkey(signature: PasskeySignature) -> UnverifiedSignature {
    UnverifiedSignature::Passkey(Box::new(signature))
}

/// What a browser writes for this challenge.
pub(crate) fn client_data(challenge: &str) -> String {
    format!(r#"{{"type":"webauthn.get","challenge":"{challenge}","origin":"https://example.org"}}"#)
}

/// Base64url without padding, the slow way: three bytes are four digits.
pub(crate) fn challenge(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bits: Vec<u8> = text.bytes().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let digit = |bits: &[u8]| (0..6).fold(0, |value, bit| value * 2 + usize::from(*bits.get(bit).unwrap_or(&0)));
    bits.chunks(6).map(|bits| char::from(DIGITS[digit(bits)])).collect()
}

/// A version-2 key that its wallet signed once.
#[derive(Clone)]
pub(crate) struct LegacyKey {
    key: WalletKey,
    key_bytes: Vec<u8>,
    wallet_signature: [u8; 65],
}

impl LegacyKey {
    pub(crate) fn new(wallet: &WalletKey, seed: u8) -> Self {
        let key = Secp256k1Key::from_slice(&[seed; 32]).unwrap();
        let bytes = key.verifying_key().to_encoded_point(false).as_bytes().to_vec();
        let union =
            unsigned_public_key::Union::Secp256k1Uncompressed(unsigned_public_key::Secp256k1Uncompressed { bytes });
        let key_bytes = UnsignedPublicKey { created_ns: 5, union: Some(union) }.encode_to_vec();
        let text = format!(
            "XMTP : Create Identity\n{}\n\nFor more info: https://xmtp.org/signatures/",
            hex::encode(&key_bytes)
        );
        let wallet_signature = wallet.sign(&text);
        Self { key: WalletKey::from_bytes(&[seed; 32]).unwrap(), key_bytes, wallet_signature }
    }

    pub(crate) fn stands_in(&self, text: &str) -> LegacyDelegatedSignature {
        LegacyDelegatedSignature {
            key_bytes: self.key_bytes.clone(),
            wallet_signature: Some(LegacyWalletSignature::WalletEcdsaCompact {
                bytes: self.wallet_signature[..64].to_vec(),
                recovery: self.wallet_signature[64].into(),
            }),
            signature: self.key.sign(text).to_vec(),
        }
    }

    pub(crate) fn sign(&self) -> Sign {
        let key = self.clone();
        Rc::new(move |text| UnverifiedSignature::LegacyDelegated(Box::new(key.stands_in(text))))
    }
}
