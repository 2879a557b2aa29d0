//! Signatures that are malformed, over another text, or by somebody else.

use ed25519_dalek::SigningKey;
use sha2::{Digest as _, Sha512};
use subrosa_identity::{
    AccountId, AssociationError, AssociationState, ChainCheck, ChainVerdicts, IdentityUpdate, InstallationKey,
    InstallationSignature, MemberIdentifier, UnverifiedSignature, Verdict, VerifiedSignature, VerifyError, WalletKey,
    inbox_id,
};

use super::{SILENT, apply, at, create, inbox, owner, registered, verify};
use crate::{
    signers::{
        Act, LegacyKey, PasskeyKey, already, by_installation, by_wallet, challenge, client_data, passkey, update,
    },
    world::{installation, verdicts_for, wallet},
};

const TEXT: &str = "XMTP : Authenticate to inbox";
/// Order of secp256k1.
const N: [u8; 32] = {
    let mut order = [0xff; 32];
    order[15] = 0xfe;
    let low = 0xbaae_dce6_af48_a03b_bfd2_5e8c_d036_4141_u128.to_be_bytes();
    let mut at = 0;
    while at < 16 {
        order[16 + at] = low[at];
        at += 1;
    }
    order
};

fn judge(signature: UnverifiedSignature) -> Result<VerifiedSignature, VerifyError> {
    signature.verify(TEXT, &SILENT)
}

#[track_caller]
fn refuses(signature: UnverifiedSignature, want: VerifyError) {
    assert_eq!(judge(signature), Err(want));
}

fn erc191(bytes: impl Into<Vec<u8>>) -> UnverifiedSignature {
    UnverifiedSignature::Erc191(bytes.into())
}

fn signed() -> [u8; 65] {
    wallet(1).sign(TEXT)
}

fn signer(bytes: impl Into<Vec<u8>>) -> MemberIdentifier {
    judge(erc191(bytes)).unwrap().signer().clone()
}

/// n − s, which signs the same with the other parity.
fn negated(s: &[u8]) -> [u8; 32] {
    let mut difference = [0; 32];
    let mut borrow = 0;
    for place in (0..32).rev() {
        let digit = i16::from(N[place]) - i16::from(s[place]) - borrow;
        borrow = i16::from(digit < 0);
        difference[place] = u8::try_from(digit.rem_euclid(256)).unwrap();
    }
    difference
}

#[test]
fn an_erc191_signature_over_another_text_is_a_strangers() {
    let other = by_wallet(&wallet(1))("another text");
    assert_ne!(*judge(other.clone()).unwrap().signer(), owner().into());
    let created = apply(None, 1, &[Act::Create(owner(), 1, already(other.clone()))]);
    assert_eq!(created, Err(AssociationError::MissingExistingMember));
    let state = registered();
    let new = Act::Add(wallet(3).identifier().into(), by_wallet(&wallet(1)), already(other.clone()));
    assert_eq!(apply(Some(&state), 2, &[new]), Err(AssociationError::NewMemberIdSignatureMismatch));
    let existing = Act::Add(wallet(3).identifier().into(), already(other.clone()), by_wallet(&wallet(3)));
    assert_eq!(apply(Some(&state), 2, &[existing]), Err(AssociationError::MissingExistingMember));
    let revoke = Act::Revoke(wallet(2).identifier().into(), already(other));
    assert_eq!(apply(Some(&state), 2, &[revoke]), Err(AssociationError::MissingExistingMember));
}

#[test]
fn every_other_kind_over_another_text_is_refused() {
    refuses(by_installation(&installation(1))("another text"), VerifyError::InstallationSignature);
    refuses(LegacyKey::new(&wallet(1), 9).sign()("another text"), VerifyError::LegacyKeyInvalid);
    refuses(PasskeyKey::new(1).sign()("another text"), VerifyError::PasskeyClientData);
    // A contract wallet is asked about the hash of this text and no other.
    let contract = UnverifiedSignature::contract_wallet(1, &wallet(1).address(), vec![1], Some(1)).unwrap();
    let answered = |check: ChainCheck| ChainVerdicts::from_iter([(check, Verdict::Valid)]);
    let other = answered(contract.chain_check("another text").unwrap());
    assert_eq!(contract.verify(TEXT, &other), Err(VerifyError::ChainUnknown));
    assert!(contract.verify(TEXT, &answered(contract.chain_check(TEXT).unwrap())).is_ok());
}

#[test]
fn an_ecdsa_signature_has_65_bytes() {
    for length in (0..=200).filter(|length| ![64, 65].contains(length)) {
        let bytes: Vec<u8> = signed().into_iter().cycle().take(length).collect();
        refuses(erc191(bytes), VerifyError::EcdsaLength);
    }
    refuses(erc191(&signed()[..64]), VerifyError::EcdsaNoRecoveryByte);
    // Its numbers are looked at before the byte is missed.
    refuses(erc191([0; 64]), VerifyError::EcdsaScalar);
    assert_eq!(signer(signed()), owner().into());
}

#[test]
fn r_and_s_are_numbers_of_the_curve() {
    let mut above = N;
    above[31] += 1;
    for place in [0, 32] {
        for bad in [[0; 32], N, above, [0xff; 32]] {
            let mut bytes = signed();
            bytes[place..place + 32].copy_from_slice(&bad);
            // Also before the recovery byte is read.
            for v in [27, 2] {
                bytes[64] = v;
                refuses(erc191(bytes), VerifyError::EcdsaScalar);
            }
        }
    }
    let mut largest = signed();
    largest[32..64].copy_from_slice(&negated(&[&[0; 31][..], &[1]].concat()));
    assert_ne!(signer(largest), owner().into());
}

#[test]
fn v_has_the_values_of_wallets_only() {
    let parity = signed()[64] - 27;
    for v in 0..=255_u8 {
        let mut bytes = signed();
        bytes[64] = v;
        match v {
            2..=26 | 29..=34 => refuses(erc191(bytes), VerifyError::EcdsaRecoveryByte),
            _ => {
                let read = match v {
                    0 | 1 => v,
                    27 | 28 => v - 27,
                    _ => (v - 35) % 2,
                };
                let verified = judge(erc191(bytes)).unwrap();
                assert_eq!(*verified.signer() == owner().into(), read == parity, "{v}");
                // As received: another encoding is another value, which is how a replay can slip through.
                assert_eq!(verified.seen_value(), bytes);
            }
        }
    }
}

#[test]
fn a_genuine_high_s_is_a_strangers() {
    let low = signed();
    let mut high = low;
    high[32..64].copy_from_slice(&negated(&low[32..64]));
    // s alone was changed: it is changed back, and the same signature results.
    let verified = judge(erc191(high)).unwrap();
    assert_eq!(*verified.signer(), owner().into());
    assert_eq!(verified.seen_value(), low);
    // What another signer would have made: both changed.
    high[64] = 27 + 28 - low[64];
    assert_ne!(signer(high), owner().into());
}

#[test]
fn an_installation_signs_updates_in_their_own_context() {
    let key = InstallationKey::from_seed([1; 32]);
    let raw = SigningKey::from_bytes(&[1; 32]);
    let prehash = Sha512::new().chain_update(TEXT);
    let by = |bytes: Vec<u8>| {
        let signature = InstallationSignature::new(key.id().as_bytes(), bytes).unwrap();
        UnverifiedSignature::Installation(Box::new(signature))
    };
    let bad = [
        key.sign_text(TEXT),
        raw.sign_prehashed(prehash.clone(), None).unwrap().to_bytes(),
        key.sign_mls(TEXT.as_bytes()),
        key.sign_mls(&prehash.finalize()),
    ];
    for bytes in bad {
        refuses(by(bytes.to_vec()), VerifyError::InstallationSignature);
    }
    let good = key.sign_update(TEXT);
    assert_eq!(judge(by(good.to_vec())).unwrap().seen_value(), good);
    for length in [0, 63, 65, 128] {
        let bytes = good.into_iter().cycle().take(length).collect();
        refuses(by(bytes), VerifyError::InstallationSignatureLength);
    }
}

/// S + L signs the same equation: it is refused for its form.
#[test]
fn an_s_above_the_order_is_refused() {
    let key = InstallationKey::from_seed([1; 32]);
    let mut bytes = key.sign_update(TEXT).to_vec();
    let order = [&0x14de_f9de_a2f7_9cd6_5812_631a_5cf5_d3ed_u128.to_le_bytes()[..], &[0; 15], &[0x10]].concat();
    let mut carry = 0;
    for (digit, add) in bytes[32..].iter_mut().zip(order) {
        let sum = u16::from(*digit) + u16::from(add) + carry;
        [*digit, _] = sum.to_le_bytes();
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
    let signature = InstallationSignature::new(key.id().as_bytes(), bytes).unwrap();
    refuses(UnverifiedSignature::Installation(Box::new(signature)), VerifyError::InstallationSignature);
}

#[test]
fn a_contract_wallet_elsewhere_is_refused_after_its_chain_was_asked() {
    let outcome = |account: &str, verdict| {
        let account_id = AccountId::parse(account).unwrap();
        let signature = UnverifiedSignature::ContractWallet { account_id, block_number: Some(1), signature: vec![1] };
        let check = signature.chain_check(TEXT).unwrap();
        signature.verify(TEXT, &ChainVerdicts::from_iter([(check, verdict)])).unwrap_err()
    };
    let address = wallet(1).address();
    let table = [
        (format!("solana:1:{address}"), VerifyError::ChainIdNotEip155),
        (format!("eip155x:1:{address}"), VerifyError::ChainIdNotEip155),
        (format!("eip155:0x1:{address}"), VerifyError::ChainIdNotU64),
        (format!("eip155:-1:{address}"), VerifyError::ChainIdNotU64),
        (format!("eip155:18446744073709551616:{address}"), VerifyError::ChainIdNotU64),
        ("eip155:1:nobody".to_owned(), VerifyError::AddressInvalid),
        ("solana:1:nobody".to_owned(), VerifyError::AddressInvalid),
    ];
    for (account, want) in table {
        assert_eq!(outcome(&account, Verdict::Unknown), VerifyError::ChainUnknown);
        assert_eq!(outcome(&account, Verdict::Invalid), VerifyError::ContractWalletRejected);
        assert_eq!(outcome(&account, Verdict::Valid), want, "{account}");
        assert!(!want.is_retryable());
    }
}

#[test]
fn a_challenge_is_the_text_itself_unpadded() {
    let key = PasskeyKey::new(1);
    let assert = |challenge: &str| judge(passkey(key.sign_client_data(client_data(challenge).as_bytes())));
    let good = challenge(TEXT);
    assert!(assert(&good).is_ok());
    // 28 bytes: one more digit than a multiple of four, so that padding would have two signs.
    assert_eq!(good.len() % 4, 2);
    let hashed = challenge_of_bytes(&Sha512::digest(TEXT));
    let standard = good.replace('-', "+").replace('_', "/");
    let mut refused = vec![format!("{good}=="), format!("{good}="), hashed, challenge("another"), String::new()];
    refused.extend([format!(" {good}"), good.to_lowercase(), TEXT.to_owned()]);
    refused.extend((standard != good).then_some(standard));
    for challenge in refused {
        assert_eq!(assert(&challenge), Err(VerifyError::PasskeyClientData), "{challenge}");
    }
}

/// Any characters will do: what matters is that they are not those of the text.
fn challenge_of_bytes(bytes: &[u8]) -> String {
    challenge(&bytes.iter().map(|byte| char::from(byte & 0x7f)).collect::<String>())
}

#[test]
fn client_data_as_a_pair_is_accepted() {
    let key = PasskeyKey::new(1);
    let assert = |json: &str| judge(passkey(key.sign_client_data(json.as_bytes())));
    let good = challenge(TEXT);
    let pair = assert(&format!(r#"["https://example.org","{good}"]"#)).unwrap();
    let MemberIdentifier::Passkey(signer) = pair.signer() else { panic!("not a passkey") };
    assert_eq!(signer.relying_party.as_deref(), Some("https://example.org"));
    for other in [format!(r#"["{good}","https://example.org"]"#), format!(r#"["o","{good}",1]"#), "[]".to_owned()] {
        assert_eq!(assert(&other), Err(VerifyError::PasskeyClientData), "{other}");
    }
}

#[test]
fn a_compact_passkey_is_an_identity_of_its_own() {
    let key = (1..).map(PasskeyKey::new).find(PasskeyKey::has_smaller_y).unwrap();
    let other = (1..).map(PasskeyKey::new).find(|key| !key.has_smaller_y()).unwrap();
    let assert = |key: &PasskeyKey, public_key: Vec<u8>| {
        let mut signature = key.assert(TEXT);
        signature.public_key = public_key;
        judge(passkey(signature))
    };
    let forms = [key.key(), key.key_tagged(4), key.key_tagged(5)];
    let signers: Vec<_> = forms.iter().map(|form| assert(&key, form.clone()).unwrap().signer().clone()).collect();
    assert!(signers[0] != signers[1] && signers[1] != signers[2] && signers[0] != signers[2]);
    // Tag 5 means the point with the smaller y, so the other point's owner cannot sign as it.
    assert_eq!(assert(&other, other.key_tagged(5)), Err(VerifyError::PasskeySignature));
    for tag in [0, 1, 6, 7, 8] {
        assert_eq!(assert(&key, key.key_tagged(tag)), Err(VerifyError::PasskeyPublicKey), "{tag}");
    }
    assert_eq!(assert(&key, vec![0]), Err(VerifyError::PasskeyPublicKey));
    assert_eq!(assert(&key, vec![]), Err(VerifyError::PasskeyPublicKey));
}

/// The rules say nothing about the zero address; whoever answers for a chain should refuse it.
#[test]
fn the_zero_address_is_for_verifiers_to_refuse() {
    let zero = subrosa_identity::Identifier::Ethereum(format!("0x{}", "0".repeat(40)));
    let inbox = inbox_id(&zero, 1).unwrap();
    let sign = crate::signers::by_contract(1, &zero.text(), &[1]);
    let create = update(&inbox.to_hex(), at(1), &[Act::Create(zero.clone(), 1, sign)]);
    assert!(AssociationState::apply(None, &verify(&create).unwrap()).is_ok());
    let refused = create.verify(&verdicts_for(&create, Verdict::Invalid));
    assert_eq!(refused, Err(VerifyError::ContractWalletRejected));
}

/// Nothing of this needs a wallet that exists: what counts is that the update as a whole is refused.
#[test]
fn one_bad_signature_refuses_its_update() {
    let bad = [erc191([1; 10]), passkey(PasskeyKey::new(1).assert("another text"))];
    for signature in bad {
        let want = judge(signature.clone()).unwrap_err();
        let acts =
            [create(&wallet(1)), Act::Add(wallet(2).identifier().into(), by_wallet(&wallet(1)), already(signature))];
        let update: IdentityUpdate = update(&inbox(), at(1), &acts);
        assert_eq!(verify(&update), Err(want));
    }
    assert!(WalletKey::from_bytes(&N).is_err());
}
