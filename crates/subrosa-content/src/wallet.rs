//! Requests to send transactions from the reader's wallet (client §5.2).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::encoded::to_json;

/// Calls that a wallet is asked to send: a peer's proposal, to be shown to the user. JSON on the wire.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WalletSendCalls {
    /// Version of the request format.
    pub version: String,
    /// The chain, hex with `0x`.
    pub chain_id: String,
    /// The account that shall send.
    pub from: String,
    /// The calls.
    pub calls: Vec<WalletCall>,
    /// Capabilities asked of the wallet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<BTreeMap<String, String>>,
}

/// One call.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct WalletCall {
    /// Whom to call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Call data, hex with `0x`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Value, hex with `0x`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Gas, hex with `0x`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gas: Option<String>,
    /// What the sender says about the call: `description`, `transactionType` and more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<BTreeMap<String, String>>,
}

impl WalletSendCalls {
    pub(crate) fn fallback(&self) -> String {
        format!("[Transaction request generated]: {}", String::from_utf8_lossy(&to_json(self)))
    }

    /// Metadata must describe the call and name its type.
    pub(crate) fn is_valid(&self) -> bool {
        self.calls
            .iter()
            .filter_map(|call| call.metadata.as_ref())
            .all(|metadata| metadata.contains_key("description") && metadata.contains_key("transactionType"))
    }
}
