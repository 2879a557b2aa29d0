//! A log as long as logs get, with an inbox that all kinds of members come to and leave.

use p256::ecdsa::signature::Signer as _;
use sha2::{Digest as _, Sha256};
use subrosa_identity::{
    ChainVerdicts, Identifier, IdentityUpdate, InstallationKey, MemberIdentifier, Passkey, PasskeySignature,
    SignatureRequest, SignatureRequestBuilder, UnverifiedSignature, WalletKey, inbox_id,
};
use subrosa_types::{InboxId, UnixNanos};

/// Entries after the first: as many as nodes take (identity §8.1).
const ENTRIES: u8 = 255;

pub(crate) fn wallet(seed: u8) -> WalletKey {
    WalletKey::from_bytes(&secret(seed)).unwrap()
}

pub(crate) fn installation(seed: u8) -> InstallationKey {
    InstallationKey::from_seed(secret(seed))
}

pub(crate) fn passkey(seed: u8) -> p256::ecdsa::SigningKey {
    p256::ecdsa::SigningKey::from_slice(&secret(seed)).unwrap()
}

fn secret(seed: u8) -> [u8; 32] {
    Sha256::digest([seed]).into()
}

fn public_key(key: &p256::ecdsa::SigningKey) -> Vec<u8> {
    key.verifying_key().to_encoded_point(true).as_bytes().to_vec()
}

/// An assertion as browsers make them.
pub(crate) fn assertion(key: &p256::ecdsa::SigningKey, text: &str) -> PasskeySignature {
    let challenge = base64url(text.as_bytes());
    let origin = "https://wallet.example";
    let client_data =
        format!(r#"{{"type":"webauthn.get","challenge":"{challenge}","origin":"{origin}","crossOrigin":false}}"#);
    let authenticator_data = vec![5; 37];
    let signed = [&authenticator_data[..], &Sha256::digest(&client_data)].concat();
    let signature: p256::ecdsa::Signature = key.sign(&signed);
    PasskeySignature {
        public_key: public_key(key),
        signature: signature.to_der().as_bytes().to_vec(),
        authenticator_data,
        client_data_json: client_data.into_bytes(),
    }
}

fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let digit = |chunk: &[u8], at: usize| {
        let word = (0..3).fold(0_usize, |word, byte| word << 8 | usize::from(*chunk.get(byte).unwrap_or(&0)));
        char::from(DIGITS[word >> (18 - 6 * at) & 63])
    };
    bytes.chunks(3).flat_map(|chunk| (0..=chunk.len()).map(move |at| digit(chunk, at))).collect()
}

/// The updates: registration, then in turn an installation that the wallet adds, a passkey that the
/// installation adds, a wallet that the passkey adds, and the wallet revoking an earlier installation.
pub(crate) fn log() -> Vec<IdentityUpdate> {
    let owner = wallet(0).identifier();
    let inbox = inbox_id(&owner, 1).unwrap();
    let mut log = vec![update(inbox, 0, |builder| {
        builder.create_inbox(owner.clone(), 1).add_association(installation(0).id(), &owner)
    })];
    for seed in 1..=ENTRIES {
        let earlier = (seed - 1) / 4 * 4 + 1;
        log.push(update(inbox, seed, |builder| match seed % 4 {
            1 => builder.add_association(installation(seed).id(), &owner),
            2 => builder.add_association(MemberIdentifier::from(&identifier(seed)), installation(earlier).id()),
            3 => builder.add_association(wallet(seed).identifier(), MemberIdentifier::from(&identifier(seed - 1))),
            _ => builder.revoke(installation(earlier).id(), owner.clone()),
        }));
    }
    log
}

fn identifier(seed: u8) -> Identifier {
    Identifier::Passkey(Passkey::from_key(public_key(&passkey(seed))))
}

/// Built and signed by whoever of this entry or an earlier one of its four is asked.
fn update(
    inbox: InboxId,
    seed: u8,
    actions: impl FnOnce(SignatureRequestBuilder) -> SignatureRequestBuilder,
) -> IdentityUpdate {
    let now = UnixNanos::from_nanos((1_700_000_000 + i64::from(seed)) * 1_000_000_000);
    let mut request = actions(SignatureRequest::builder(inbox, now)).request();
    for signer in [0, seed.saturating_sub(3), seed.saturating_sub(2), seed.saturating_sub(1), seed] {
        let missing = request.missing_signers();
        if missing.contains(&wallet(signer).identifier().into()) {
            request.add_wallet_signature(&wallet(signer).sign(request.text())).unwrap();
        }
        if missing.contains(&installation(signer).id().into()) {
            request.sign_with_installation(&installation(signer)).unwrap();
        }
        if missing.contains(&MemberIdentifier::from(&identifier(signer))) {
            let assertion = assertion(&passkey(signer), request.text());
            let signature = UnverifiedSignature::Passkey(Box::new(assertion));
            request.add_signature(signature, &ChainVerdicts::none()).unwrap();
        }
    }
    request.build().unwrap()
}
