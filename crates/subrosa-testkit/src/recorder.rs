//! A network that remembers what was asked of it.

use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use subrosa::{Identifier, Network, NetworkError};
use subrosa_transport::{Call, Layer, Layered};

/// A network that remembers the calls about identities, in their order.
pub type RecordedNetwork = Layered<Recorder>;

/// One call: its kind, and what was asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Recorded {
    /// Name of the call.
    pub kind: &'static str,
    /// What was asked for, each with a number: the kind of an identifier, or the position in a log.
    pub requests: Vec<(String, u64)>,
}

/// What was asked.
#[derive(Default)]
pub struct Recorder {
    calls: Mutex<Vec<Recorded>>,
}

impl Recorder {
    /// A network that has not been asked anything.
    pub fn over(network: Arc<dyn Network>) -> RecordedNetwork {
        Layered::new(network, Self::default())
    }

    /// The calls since the last time.
    pub fn take(&self) -> Vec<Recorded> {
        std::mem::take(&mut self.calls.lock().expect("not poisoned"))
    }

    /// The kinds of the calls since the last time.
    pub fn take_kinds(&self) -> Vec<&'static str> {
        self.take().into_iter().map(|call| call.kind).collect()
    }
}

impl Layer for Recorder {
    fn around<'a, T: Send + 'a>(
        &'a self,
        call: Call<'a>,
        work: BoxFuture<'a, Result<T, NetworkError>>,
    ) -> BoxFuture<'a, Result<T, NetworkError>> {
        let recorded = match call {
            Call::InboxIds(identifiers) => {
                Recorded { kind: "get_inbox_ids", requests: identifiers.iter().map(named).collect() }
            }
            Call::IdentityUpdates(inboxes) => Recorded {
                kind: "get_identity_updates",
                requests: inboxes.iter().map(|(inbox, after)| (inbox.to_hex(), after.0)).collect(),
            },
            Call::UploadKeyPackage => Recorded { kind: "upload_key_package", requests: Vec::new() },
            Call::PublishIdentityUpdate => Recorded { kind: "publish_identity_update", requests: Vec::new() },
            Call::FetchKeyPackages(_) => Recorded { kind: "fetch_key_packages", requests: Vec::new() },
            Call::VerifyContractWallets => Recorded { kind: "verify_contract_wallets", requests: Vec::new() },
            // The rest is about conversations.
            _ => return work,
        };
        self.calls.lock().expect("not poisoned").push(recorded);
        work
    }
}

/// An identifier and the number of its kind on the wire.
fn named(identifier: &Identifier) -> (String, u64) {
    (identifier.text(), if matches!(identifier, Identifier::Passkey(_)) { 2 } else { 1 })
}
