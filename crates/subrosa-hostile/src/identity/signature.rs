//! One signature of any kind over any text.

use subrosa_identity::{
    AccountId, ChainVerdicts, IdentityAction, IdentityUpdate, InstallationSignature, LegacyDelegatedSignature,
    LegacyWalletSignature, MemberIdentifier, PasskeySignature, SignatureKind, UnverifiedSignature, Verdict,
    VerifiedSignature, VerifyError,
};

use super::signers::{Signer, assertion, base64url};
use crate::parts::split;

/// A signature comes to the same end twice and after its encoding; what verifies has a canonical signer and says what
/// it was made of; and a signature over one text is none of the same signer over another.
///
/// The parts are `[how, who, …bends], text, field, field, …`. `how` is 0 to 4 for a signature of that kind with these
/// fields, and anything else for a real one by the signer `who`, of which bytes may be bent; for a passkey its client
/// data and authenticator data are fields that it signs whatever they are. A `%` in client data stands for the challenge.
pub fn identity_signature(bytes: &[u8]) -> bool {
    let parts = split(bytes);
    let part = |at: usize| parts.get(at).copied().unwrap_or_default();
    let text = String::from_utf8_lossy(part(1)).into_owned();
    let fields = |at: usize| part(at + 2).to_vec();
    let Some((how, rest)) = part(0).split_first() else { return false };
    let made = match how {
        0 => Some(UnverifiedSignature::Erc191(fields(0))),
        1 => contract(&fields),
        2 => installation(&fields(0), fields(1)),
        3 => Some(UnverifiedSignature::LegacyDelegated(Box::new(legacy(&fields)))),
        4 => Some(UnverifiedSignature::Passkey(Box::new(PasskeySignature {
            public_key: fields(0),
            signature: fields(1),
            authenticator_data: fields(2),
            client_data_json: with_challenge(&fields(3), &text),
        }))),
        _ => forged(rest, &text, &fields),
    };
    let Some(signature) = made else { return false };
    survives_encoding(&signature, &text);

    let valid: ChainVerdicts = signature.chain_check(&text).into_iter().map(|check| (check, Verdict::Valid)).collect();
    let verified = signature.verify(&text, &valid);
    assert_eq!(signature.verify(&text, &valid), verified, "the same question has one answer");
    match &verified {
        Ok(verified) => {
            says_what_it_was_made_of(&signature, verified, &text);
            another_text_is_refused(&signature, verified, &text);
            other_forms(&signature, verified, &text);
        }
        Err(error) => {
            assert!(!error.is_retryable(), "the chain has answered");
            assert!(!error.label().is_empty() && !error.to_string().is_empty());
        }
    }
    let unknown = signature.verify(&text, &ChainVerdicts::none());
    if signature.kind() == SignatureKind::ContractWallet {
        assert_eq!(unknown, Err(VerifyError::ChainUnknown));
    } else {
        assert_eq!(unknown, verified, "only contract wallets need a chain");
    }
    verified.is_ok()
}

fn contract(fields: &impl Fn(usize) -> Vec<u8>) -> Option<UnverifiedSignature> {
    let account_id = AccountId::parse(&String::from_utf8_lossy(&fields(0))).ok()?;
    let block_number = fields(2).first_chunk().map(|block| u64::from_be_bytes(*block));
    Some(UnverifiedSignature::ContractWallet {
        account_id,
        block_number: Some(block_number.unwrap_or_default()),
        signature: fields(1),
    })
}

fn installation(key: &[u8], bytes: Vec<u8>) -> Option<UnverifiedSignature> {
    Some(UnverifiedSignature::Installation(Box::new(InstallationSignature::new(key, bytes).ok()?)))
}

fn legacy(fields: &impl Fn(usize) -> Vec<u8>) -> LegacyDelegatedSignature {
    let (bytes, how) = (fields(2), fields(3));
    let recovery = how.first_chunk().map_or(27, |recovery| u32::from_be_bytes(*recovery));
    let wallet_signature = match how.last().map_or(0, |byte| byte >> 6) {
        0 => Some(LegacyWalletSignature::EcdsaCompact { bytes, recovery }),
        1 => Some(LegacyWalletSignature::WalletEcdsaCompact { bytes, recovery }),
        _ => None,
    };
    LegacyDelegatedSignature { key_bytes: fields(0), wallet_signature, signature: fields(1) }
}

/// A real signature; then each bend, three bytes that name a field, a place in it and what it is bent by.
fn forged(how: &[u8], text: &str, fields: &impl Fn(usize) -> Vec<u8>) -> Option<UnverifiedSignature> {
    let (who, bends) = how.split_first()?;
    let signer = Signer::named(*who);
    let mut signature = signer.sign(text);
    if let (Signer::Passkey(key, public_key), true) = (signer, *who >= 128) {
        let made = assertion(key, public_key, fields(0), with_challenge(&fields(1), text));
        signature = UnverifiedSignature::Passkey(Box::new(made));
    }
    let bends: Vec<[u8; 3]> = bends.chunks_exact(3).map(|bend| [bend[0], bend[1], bend[2]]).take(16).collect();
    for [field, place, by] in bends {
        bend(&mut signature, field, |bytes| {
            let at = usize::from(place);
            match (bytes.get_mut(at), by) {
                (_, 0) => bytes.truncate(at),
                (Some(byte), by) => *byte ^= by,
                (None, by) => bytes.push(by),
            }
        })?;
    }
    Some(signature)
}

/// Changes one of the fields.
fn bend(signature: &mut UnverifiedSignature, field: u8, change: impl FnOnce(&mut Vec<u8>)) -> Option<()> {
    match signature {
        UnverifiedSignature::Erc191(bytes) | UnverifiedSignature::ContractWallet { signature: bytes, .. } => {
            change(bytes);
        }
        UnverifiedSignature::Installation(made) => {
            let (mut key, mut bytes) = (made.installation().as_bytes().to_vec(), made.bytes().to_vec());
            change(if field.is_multiple_of(2) { &mut bytes } else { &mut key });
            *signature = installation(&key, bytes)?;
        }
        UnverifiedSignature::LegacyDelegated(made) => match (field % 3, &mut made.wallet_signature) {
            (0, _) => change(&mut made.key_bytes),
            (
                1,
                Some(
                    LegacyWalletSignature::EcdsaCompact { bytes, .. }
                    | LegacyWalletSignature::WalletEcdsaCompact { bytes, .. },
                ),
            ) => change(bytes),
            _ => change(&mut made.signature),
        },
        UnverifiedSignature::Passkey(made) => match field % 4 {
            0 => change(&mut made.signature),
            1 => change(&mut made.authenticator_data),
            2 => change(&mut made.client_data_json),
            _ => change(&mut made.public_key),
        },
        _ => {}
    }
    Some(())
}

fn with_challenge(template: &[u8], text: &str) -> Vec<u8> {
    let challenge = base64url(text.as_bytes());
    let mut client_data = Vec::with_capacity(template.len() + challenge.len());
    for byte in template {
        match byte {
            b'%' => client_data.extend_from_slice(challenge.as_bytes()),
            byte => client_data.push(*byte),
        }
    }
    client_data
}

/// In an update, encoded and decoded, it is the same signature, and is told to be wrong by the same error.
fn survives_encoding(signature: &UnverifiedSignature, text: &str) {
    let member = MemberIdentifier::Ethereum(text.to_owned());
    let action = IdentityAction::RevokeAssociation { member, signature: signature.clone() };
    let update = IdentityUpdate::new(String::new(), 0, vec![action]);
    let decoded = IdentityUpdate::from_bytes(&update.to_bytes()).expect("an encoded update decodes");
    assert_eq!(decoded, update);
    assert_eq!(decoded.signature_text(), update.signature_text());
}

fn says_what_it_was_made_of(signature: &UnverifiedSignature, verified: &VerifiedSignature, text: &str) {
    assert_eq!(verified.kind(), signature.kind());
    assert_eq!(verified.chain_id().is_some(), verified.kind() == SignatureKind::ContractWallet);
    let seen = verified.seen_value();
    match (signature, verified.signer()) {
        (UnverifiedSignature::Erc191(bytes), MemberIdentifier::Ethereum(address)) => {
            assert!(is_canonical(address), "{address}");
            assert_eq!((seen.len(), &seen[..32], seen[64]), (65, &bytes[..32], bytes[64]));
        }
        (UnverifiedSignature::LegacyDelegated(made), MemberIdentifier::Ethereum(address)) => {
            assert!(is_canonical(address), "{address}");
            assert_eq!(seen.len(), 65);
            assert!(made.key_bytes.len() >= 65);
        }
        (UnverifiedSignature::ContractWallet { account_id, signature, .. }, MemberIdentifier::Ethereum(address)) => {
            assert_eq!(seen, signature);
            assert!(account_id.as_str().to_ascii_lowercase().ends_with(address.as_str()));
            assert!(address.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'x')));
        }
        (UnverifiedSignature::Installation(made), signer) => {
            assert_eq!(signer.as_installation(), Some(made.installation()));
            assert_eq!(seen, made.bytes());
        }
        (UnverifiedSignature::Passkey(made), MemberIdentifier::Passkey(passkey)) => {
            assert_eq!(passkey.key, made.public_key);
            assert_eq!(seen.len(), 64);
            let origin = passkey.relying_party.as_deref().expect("a passkey has an origin");
            client_data_agrees(&made.client_data_json, origin, &base64url(text.as_bytes()));
        }
        (_, signer) => panic!("a signature of kind {:?} by {signer:?}", verified.kind()),
    }
}

/// `0x` and 40 lower-case hex digits.
fn is_canonical(address: &str) -> bool {
    address.len() == 42 && address[2..].bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Accepted client data, read as any JSON, hold what was taken from them: whoever reads them finds the same.
fn client_data_agrees(json: &[u8], origin: &str, challenge: &str) {
    // Lone surrogates and numbers without end in members that are ignored make the whole unreadable to others.
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(json) else { return };
    let members = match &value {
        serde_json::Value::Array(pair) => [pair.first(), pair.get(1)],
        object => [object.get("origin"), object.get("challenge")],
    };
    assert_eq!(members.map(|member| member.and_then(|value| value.as_str())), [Some(origin), Some(challenge)]);
}

/// Over another text nothing verifies but what the chain, asked anew, accepts, and what names somebody else.
fn another_text_is_refused(signature: &UnverifiedSignature, verified: &VerifiedSignature, text: &str) {
    let other = format!("{text}.");
    let answer = signature.verify(&other, &ChainVerdicts::none());
    match signature {
        UnverifiedSignature::Erc191(_) => {
            assert!(answer.is_err() || answer.is_ok_and(|other| other.signer() != verified.signer()));
        }
        UnverifiedSignature::ContractWallet { .. } => assert_eq!(answer, Err(VerifyError::ChainUnknown)),
        // A key of small order signs everything (identity §5.3).
        UnverifiedSignature::Installation(made) => {
            let key = ed25519_dalek::VerifyingKey::from_bytes(made.installation().as_bytes()).expect("it was read");
            assert!(key.is_weak() || answer == Err(VerifyError::InstallationSignature));
        }
        UnverifiedSignature::Passkey(_) => assert_eq!(answer, Err(VerifyError::PasskeyClientData)),
        _ => assert!(answer.is_err(), "a legacy key signed {other:?} too"),
    }
}

/// The other s of an ECDSA signature: the same for Ethereum, which normalises it, and another one for a passkey.
fn other_forms(signature: &UnverifiedSignature, verified: &VerifiedSignature, text: &str) {
    match signature {
        UnverifiedSignature::Erc191(bytes) => {
            let (r, s) = k256::ecdsa::Signature::from_slice(&bytes[..64]).expect("it verifies").split_scalars();
            let other = k256::ecdsa::Signature::from_scalars(r, -s).expect("neither is zero");
            let other = [other.to_bytes().as_slice(), &bytes[64..]].concat();
            let again = UnverifiedSignature::Erc191(other).verify(text, &ChainVerdicts::none());
            assert_eq!(again.as_ref(), Ok(verified));
            agrees_with_the_curve_crate(bytes, verified, text);
        }
        UnverifiedSignature::Passkey(made) => {
            let (r, s) = p256::ecdsa::Signature::from_der(&made.signature).expect("it verifies").split_scalars();
            let other = p256::ecdsa::Signature::from_scalars(r, -s).expect("neither is zero");
            let mut made = made.clone();
            made.signature = other.to_der().as_bytes().to_vec();
            let again = UnverifiedSignature::Passkey(made).verify(text, &ChainVerdicts::none()).expect("no low-s rule");
            assert_eq!(again.signer(), verified.signer());
            assert_ne!(again.seen_value(), verified.seen_value());
        }
        _ => {}
    }
}

fn agrees_with_the_curve_crate(bytes: &[u8], verified: &VerifiedSignature, text: &str) {
    let id = match bytes[64] {
        v @ 0..=1 => v,
        v @ 27..=28 => v - 27,
        v => (v - 35) % 2,
    };
    let id = k256::ecdsa::RecoveryId::from_byte(id).expect("0 or 1");
    let signature = k256::ecdsa::Signature::from_slice(&bytes[..64]).expect("it verifies");
    let signature = signature.normalize_s().unwrap_or(signature);
    let hash = subrosa_identity::eip191_hash(text);
    let key = k256::ecdsa::VerifyingKey::recover_from_prehash(&hash, &signature, id).expect("it recovers");
    let hash = <sha3::Keccak256 as sha3::Digest>::digest(&key.to_encoded_point(false).as_bytes()[1..]);
    assert_eq!(verified.signer().text(), format!("0x{}", subrosa_types::hex::encode(&hash[12..])));
}
