//! Every single bit of a signature counts, or the rule that says why it does not is here.

use std::collections::BTreeMap;

use serde_json::Value;
use subrosa_identity::{
    ChainVerdicts, InstallationSignature, MemberIdentifier, Passkey, PasskeySignature, UnverifiedSignature,
    VerifiedSignature, VerifyError, WalletKey,
};
use subrosa_vectors::{Family, bytes, list, text};

use crate::{
    signers::{LegacyKey, PasskeyKey, passkey},
    world::{installation, wallet},
};

const TEXT: &str = "XMTP : Authenticate to inbox\n\nInbox ID: 00";

fn judge(signature: UnverifiedSignature, text: &str) -> Result<VerifiedSignature, VerifyError> {
    signature.verify(text, &ChainVerdicts::none())
}

/// The bytes with each single bit changed, and which one it was, counted from the first byte's lowest.
fn flipped(bytes: &[u8]) -> impl Iterator<Item = (usize, Vec<u8>)> {
    (0..bytes.len() * 8).map(|bit| {
        let mut changed = bytes.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        (bit, changed)
    })
}

/// The texts that result when each single bit of a text is changed.
fn flipped_texts(text: &str) -> impl Iterator<Item = String> {
    flipped(text.as_bytes()).filter_map(|(_, bytes)| String::from_utf8(bytes).ok())
}

/// Flips every bit of every part of an assertion that holds. Returns what became of how many.
fn flip_assertion(good: &PasskeySignature, text: &str) -> BTreeMap<String, usize> {
    let mut outcomes = BTreeMap::new();
    let mut count = |part: &str, outcome: &str| *outcomes.entry(format!("{part}: {outcome}")).or_insert(0) += 1;
    let signer = judge(passkey(good.clone()), text).unwrap().signer().clone();

    // Another key does not fit the signature, and what is no point fits nothing. The one way that leads back to the
    // same point is its other form: here, from one that says how y is odd to one that does not, and back. It is then
    // another identity.
    for (bit, public_key) in flipped(&good.public_key) {
        let changed = PasskeySignature { public_key: public_key.clone(), ..good.clone() };
        match judge(passkey(changed), text) {
            Err(error) => {
                assert!(matches!(error, VerifyError::PasskeyPublicKey | VerifyError::PasskeySignature), "{error}");
                count("key", "refused");
            }
            Ok(verified) => {
                assert!(bit < 8 && [public_key[0], good.public_key[0]].contains(&5), "bit {bit} of the key");
                assert_eq!(*verified.signer(), MemberIdentifier::Passkey(Passkey::from_key(public_key)));
                assert_ne!(*verified.signer(), signer);
                count("key", "another identity");
            }
        }
    }
    // Not even the form is free: DER has one way to write two numbers.
    for (bit, signature) in flipped(&good.signature) {
        let error = judge(passkey(PasskeySignature { signature, ..good.clone() }), text).unwrap_err();
        let expected = matches!(error, VerifyError::PasskeySignatureEncoding | VerifyError::PasskeySignature);
        assert!(expected, "bit {bit} of the signature: {error}");
        count("signature", "refused");
    }
    // Nothing in it is read, all of it is signed.
    for (_, authenticator_data) in flipped(&good.authenticator_data) {
        let changed = PasskeySignature { authenticator_data, ..good.clone() };
        assert_eq!(judge(passkey(changed), text), Err(VerifyError::PasskeySignature));
        count("authenticator data", "refused");
    }
    // White space and members that are not read are signed as well: no bit of it is free.
    for (bit, client_data_json) in flipped(&good.client_data_json) {
        let changed = PasskeySignature { client_data_json, ..good.clone() };
        let error = judge(passkey(changed), text).unwrap_err();
        let expected = matches!(error, VerifyError::PasskeyClientData | VerifyError::PasskeySignature);
        assert!(expected, "bit {bit} of the client data: {error}");
        count("client data", "refused");
    }
    for other in flipped_texts(text) {
        assert_eq!(judge(passkey(good.clone()), &other), Err(VerifyError::PasskeyClientData));
        count("text", "refused");
    }
    outcomes
}

fn print(title: &str, outcomes: &BTreeMap<String, usize>) {
    println!("{title}: {outcomes:?}");
}

#[test]
fn no_bit_of_an_assertion_is_free() {
    let key = PasskeyKey::new(1);
    for form in [key.key(), key.key_tagged(4)] {
        let good = PasskeySignature { public_key: form, ..key.assert(TEXT) };
        print("passkey", &flip_assertion(&good, TEXT));
    }
}

#[test]
fn the_two_forms_of_a_key_that_differ_in_a_bit_are_two_identities() {
    // 4 and 5 differ in one bit too, but also in length.
    let key = (1..).map(PasskeyKey::new).find(PasskeyKey::has_smaller_y).unwrap();
    let mut good = key.assert(TEXT);
    good.public_key = key.key_tagged(5);
    let outcomes = flip_assertion(&good, TEXT);
    assert_eq!(outcomes.get("key: another identity"), None, "tags 4, 7, 1 and 13 are no form of these bytes");
}

/// One assertion per form of key of every file of passkey vectors: those of other authenticators included.
#[test]
fn vectors_passkey_single_bits() {
    Family::load("identity/passkey_signatures")
        .each(|_, file| {
            let mut by_form: BTreeMap<(u8, usize), &Value> = BTreeMap::new();
            for case in list(&file["cases"]).iter().filter(|case| case["result"]["valid"] == true) {
                by_form.entry((bytes(&case["public_key"])[0], bytes(&case["client_data_json"]).len())).or_insert(case);
            }
            let mut checked = 0;
            for case in by_form.values().take(3) {
                let good = PasskeySignature {
                    public_key: bytes(&case["public_key"]),
                    signature: bytes(&case["signature_der"]),
                    authenticator_data: bytes(&case["authenticator_data"]),
                    client_data_json: bytes(&case["client_data_json"]),
                };
                print(text(&case["name"]), &flip_assertion(&good, text(&case["text"])));
                checked += 1;
            }
            checked
        })
        .finish();
}

/// Members that nobody reads change the hash, so they can be changed only by whoever signs.
#[test]
fn client_data_may_hold_anything_else_as_long_as_it_was_signed() {
    let key = PasskeyKey::new(1);
    let challenge = crate::signers::challenge(TEXT);
    let plain = format!(r#"{{"challenge":"{challenge}","origin":"o"}}"#);
    let more = [
        format!(" {plain}\n"),
        format!(r#"{{"origin":"o","crossOrigin":true,"challenge":"{challenge}","x":[1,{{"origin":"p"}}]}}"#),
        format!(r#"{{"x":1,"x":2,"challenge":"{challenge}","origin":"o"}}"#),
        format!(r#"{{"\u0063hallenge":"{challenge}","origin":"\u006f"}}"#),
    ];
    let signed = key.sign_client_data(plain.as_bytes());
    for json in more {
        let own = judge(passkey(key.sign_client_data(json.as_bytes())), TEXT).unwrap();
        let MemberIdentifier::Passkey(signer) = own.signer() else { panic!("not a passkey") };
        assert_eq!(signer.relying_party.as_deref(), Some("o"));
        let borrowed = PasskeySignature { client_data_json: json.into_bytes(), ..signed.clone() };
        assert_eq!(judge(passkey(borrowed), TEXT), Err(VerifyError::PasskeySignature));
    }
}

/// Who a changed signature of a wallet turns out to be by; nobody if it is refused.
fn other_signer(bytes: Vec<u8>, text: &str) -> Option<MemberIdentifier> {
    match judge(UnverifiedSignature::Erc191(bytes), text) {
        Ok(verified) => Some(verified.signer().clone()),
        Err(VerifyError::EcdsaScalar | VerifyError::EcdsaRecoveryByte | VerifyError::EcdsaRecover) => None,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_bit_of_a_wallets_signature_makes_it_a_strangers_or_nothing() {
    for seed in 1..=2 {
        let owner: MemberIdentifier = wallet(seed).identifier().into();
        let good = wallet(seed).sign(TEXT);
        for (bit, changed) in flipped(&good[..64]) {
            let changed = [&changed[..], &good[64..]].concat();
            assert_ne!(other_signer(changed, TEXT), Some(owner.clone()), "bit {bit}");
        }
        // 27 and 28 are one bit from 155 and 156, which mean the other parity or the same: v − 35 decides.
        for (bit, changed) in flipped(&good[64..]) {
            let v = changed[0];
            let same = v >= 35 && (v - 35) % 2 == good[64] - 27;
            let signer = other_signer([&good[..64], &changed].concat(), TEXT);
            assert_eq!(signer == Some(owner.clone()), same, "bit {bit} of v");
        }
        for other in flipped_texts(TEXT) {
            assert_ne!(other_signer(good.to_vec(), &other), Some(owner.clone()));
        }
    }
}

#[test]
fn no_bit_of_an_installations_signature_is_free() {
    for seed in 1..=2 {
        let key = installation(seed);
        let good = key.sign_update(TEXT);
        let by = |public_key: &[u8], signature: Vec<u8>| {
            InstallationSignature::new(public_key, signature)
                .ok()
                .map(|s| UnverifiedSignature::Installation(Box::new(s)))
        };
        let id = key.id();
        for (_, changed) in flipped(&good) {
            let signature = by(id.as_bytes(), changed).unwrap();
            assert_eq!(judge(signature, TEXT), Err(VerifyError::InstallationSignature));
        }
        // About half of the keys are no points, and then the update does not even decode.
        for (_, changed) in flipped(id.as_bytes()) {
            let Some(signature) = by(&changed, good.to_vec()) else { continue };
            assert_eq!(judge(signature, TEXT), Err(VerifyError::InstallationSignature));
        }
        for other in flipped_texts(TEXT) {
            let signature = by(id.as_bytes(), good.to_vec()).unwrap();
            assert_eq!(judge(signature, &other), Err(VerifyError::InstallationSignature));
        }
    }
}

#[test]
fn a_bit_of_a_legacy_signature_makes_it_a_strangers_or_nothing() {
    use subrosa_identity::LegacyWalletSignature as Form;

    let owner: MemberIdentifier = wallet(1).identifier().into();
    let good = LegacyKey::new(&wallet(1), 9).stands_in(TEXT);
    let judge = |changed, text: &str| match judge(UnverifiedSignature::LegacyDelegated(Box::new(changed)), text) {
        Ok(verified) => Some(verified.signer().clone()),
        Err(_) => None,
    };
    assert_eq!(judge(good.clone(), TEXT), Some(owner.clone()));

    // The key's own signature leads to another address than the key's, except for another encoding of v.
    for (bit, signature) in flipped(&good.signature) {
        let own_v = good.signature[64] - 27;
        let same = bit / 8 == 64 && signature[64] >= 35 && (signature[64] - 35) % 2 == own_v;
        let mut changed = good.clone();
        changed.signature = signature;
        assert_eq!(judge(changed, TEXT), same.then(|| owner.clone()), "bit {bit} of the signature");
    }
    // The bytes of the key are what the wallet signed: a changed one was signed by a stranger, if it is a key at all.
    for (bit, key_bytes) in flipped(&good.key_bytes) {
        let mut changed = good.clone();
        changed.key_bytes = key_bytes;
        assert_ne!(judge(changed, TEXT), Some(owner.clone()), "bit {bit} of the key");
    }
    // So does a changed signature of the wallet.
    let Some(Form::WalletEcdsaCompact { bytes, recovery }) = good.wallet_signature.clone() else {
        panic!("other form")
    };
    for (bit, bytes) in flipped(&bytes) {
        let mut changed = good.clone();
        changed.wallet_signature = Some(Form::WalletEcdsaCompact { bytes, recovery });
        assert_ne!(judge(changed, TEXT), Some(owner.clone()), "bit {bit} of the wallet's");
    }
    // Of the recovery number only the low 8 bits count, and of those the parity.
    for bit in 0..32 {
        let mut changed = good.clone();
        changed.wallet_signature =
            Some(Form::WalletEcdsaCompact { bytes: bytes.clone(), recovery: recovery ^ (1 << bit) });
        let v = (recovery ^ (1 << bit)) & 0xff;
        let same = v == recovery || v >= 35 && (v - 35) % 2 == recovery - 27;
        assert_eq!(judge(changed, TEXT) == Some(owner.clone()), same, "bit {bit} of the recovery number");
    }
    for other in flipped_texts(TEXT) {
        assert_eq!(judge(good.clone(), &other), None);
    }
    assert!(WalletKey::from_bytes(&[0; 32]).is_err());
}
