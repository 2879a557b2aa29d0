//! Identity updates: the entries of an identity log (identity §3.4).

use prost::Message as _;
use subrosa_proto::xmtp::identity::associations as proto;

use crate::{
    ChainCheck, ChainVerdicts, IdentityAction, SignatureKind, VerifiedUpdate, VerifyError, signature::SignedText, text,
    verify,
};

/// An ordered list of actions, signed over one text. Nothing is verified yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IdentityUpdate {
    inbox_id: String,
    client_timestamp_ns: u64,
    actions: Vec<IdentityAction>,
}

/// Why bytes are not an update. Never temporary (identity §13).
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes are not the protobuf message.
    #[error("undecodable identity update")]
    Malformed(#[from] prost::DecodeError),
    /// A required message or oneof is absent, or of a kind unknown here. Unknown kinds are not skipped.
    #[error("the update has no {0}")]
    MissingField(&'static str),
    /// An installation's key is not 32 bytes or not a point of the curve.
    #[error("the key of an installation signature is invalid")]
    InstallationKeyInvalid,
    /// A passkey identifier is not hex.
    #[error("a passkey identifier is not hex")]
    PasskeyIdentifierHex,
    /// A contract wallet's account id has not three parts.
    #[error("an account id has not three parts")]
    AccountIdParts,
    /// A part of a contract wallet's account id is malformed.
    #[error("a part of an account id is malformed")]
    AccountIdSyntax,
}

impl DecodeError {
    /// The code that deployed software reports for this (identity §13).
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "ConversionError::Decode",
            Self::MissingField(_) => "ConversionError::Missing",
            Self::InstallationKeyInvalid => "ConversionError::Ed25519",
            Self::PasskeyIdentifierHex => "ConversionError::InvalidPublicKey",
            Self::AccountIdParts => "ConversionError::InvalidLength",
            Self::AccountIdSyntax => "ConversionError::InvalidValue",
        }
    }
}

impl IdentityUpdate {
    /// Puts an update together from its parts, all as they are on the wire.
    #[must_use]
    pub const fn new(inbox_id: String, client_timestamp_ns: u64, actions: Vec<IdentityAction>) -> Self {
        Self { inbox_id, client_timestamp_ns, actions }
    }

    /// Decodes an update. Unknown fields are ignored, unknown kinds are not (identity §14).
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::from_proto(proto::IdentityUpdate::decode(bytes)?)
    }

    /// Encodes the update: fields ascending, defaults left out, identifier kinds always written (identity §3).
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.to_proto().encode_to_vec()
    }

    /// The inbox this is for, exactly as on the wire: it is signed and compared as text.
    #[must_use]
    pub fn inbox_id_text(&self) -> &str {
        &self.inbox_id
    }

    /// The sender's clock, in nanoseconds since the Unix epoch. Only its whole seconds are signed (identity §4.2).
    #[must_use]
    pub const fn client_timestamp_ns(&self) -> u64 {
        self.client_timestamp_ns
    }

    /// The actions in order.
    #[must_use]
    pub fn actions(&self) -> &[IdentityAction] {
        &self.actions
    }

    /// How the inbox was created, if this update creates one: tells contract wallets' inboxes apart (identity §9.6).
    #[must_use]
    pub fn creation_signature_kind(&self) -> Option<SignatureKind> {
        self.actions.iter().find_map(|action| match action {
            IdentityAction::CreateInbox { signature, .. } => Some(signature.kind()),
            _ => None,
        })
    }

    /// The text that every signature of the update is made over (identity §4).
    #[must_use]
    pub fn signature_text(&self) -> String {
        let kinds = self.actions.iter().map(IdentityAction::kind);
        text::signature_text(&self.inbox_id, self.client_timestamp_ns, kinds)
    }

    /// What chains have to answer before [`verify`](Self::verify) can succeed: one question per contract wallet's
    /// signature, each different question once.
    #[must_use]
    pub fn chain_checks(&self) -> Vec<ChainCheck> {
        let text = self.signature_text();
        let text = SignedText::new(&text);
        let signatures = self.actions.iter().flat_map(IdentityAction::signatures);
        let checks: std::collections::BTreeSet<_> = signatures.filter_map(|s| s.chain_check_of(&text)).collect();
        checks.into_iter().collect()
    }

    /// Verifies every signature over the signature text (identity §5). Whether the signers may do what they did is
    /// for the [`AssociationState`](crate::AssociationState) to say.
    ///
    /// # Errors
    /// [`VerifyError`] of the first signature that fails; [`VerifyError::ChainUnknown`] is temporary.
    pub fn verify(&self, verdicts: &ChainVerdicts) -> Result<VerifiedUpdate, VerifyError> {
        verify::verify(self, verdicts).map_err(|(_, error)| error)
    }
}
