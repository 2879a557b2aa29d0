//! A network that fails in a chosen place.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use futures::future::BoxFuture;
use subrosa::{Network, NetworkError};
use subrosa_transport::{Call, Layer, Layered};

/// How a call fails.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The request never reaches the node.
    BeforeSending,
    /// The node does it, and the answer is lost.
    ReplyLost,
    /// The node refuses the bytes for good.
    Refused,
    /// The node does it, and the answer never comes.
    Hangs,
}

/// A network that fails where it is told to.
pub type FaultyNetwork = Layered<Faults>;

/// Which calls fail.
#[derive(Default)]
pub struct Faults {
    /// The kind of call that fails, how, and how often.
    plan: Mutex<Vec<(Kind, Fault, u32)>>,
    calls: AtomicU64,
}

/// The calls that tests make fail.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    SendMessages,
    SendWelcomes,
    Query,
    Identity,
    Publish,
    Upload,
}

impl Faults {
    /// A network without faults.
    pub fn over(network: Arc<dyn Network>) -> FaultyNetwork {
        Layered::new(network, Self::default())
    }

    /// The next `times` sendings of messages fail.
    pub fn fail_messages(&self, fault: Fault, times: u32) {
        self.plan.lock().expect("not poisoned").push((Kind::SendMessages, fault, times));
    }

    /// The next `times` sendings of welcomes fail.
    pub fn fail_welcomes(&self, fault: Fault, times: u32) {
        self.plan.lock().expect("not poisoned").push((Kind::SendWelcomes, fault, times));
    }

    /// The next `times` queries of groups or welcomes fail.
    pub fn fail_queries(&self, times: u32) {
        self.plan.lock().expect("not poisoned").push((Kind::Query, Fault::BeforeSending, times));
    }

    /// The next `times` questions about identity logs fail.
    pub fn fail_identity(&self, times: u32) {
        self.plan.lock().expect("not poisoned").push((Kind::Identity, Fault::BeforeSending, times));
    }

    /// The next `times` publications of identity updates fail.
    pub fn fail_publications(&self, fault: Fault, times: u32) {
        self.plan.lock().expect("not poisoned").push((Kind::Publish, fault, times));
    }

    /// The next `times` uploads of key packages fail.
    pub fn fail_uploads(&self, fault: Fault, times: u32) {
        self.plan.lock().expect("not poisoned").push((Kind::Upload, fault, times));
    }

    /// No more faults.
    pub fn heal(&self) {
        self.plan.lock().expect("not poisoned").clear();
    }

    /// How many calls were made.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    fn next(&self, call: Kind) -> Option<Fault> {
        let mut plan = self.plan.lock().expect("not poisoned");
        let entry = plan.iter_mut().find(|(kind, _, times)| *kind == call && *times > 0)?;
        entry.2 -= 1;
        Some(entry.1)
    }

    async fn guarded<T>(&self, call: Kind, work: BoxFuture<'_, Result<T, NetworkError>>) -> Result<T, NetworkError> {
        match self.next(call) {
            None => work.await,
            Some(Fault::BeforeSending) => Err(unreachable()),
            Some(Fault::Refused) => Err(refused()),
            Some(Fault::ReplyLost) => {
                work.await?;
                Err(unreachable())
            }
            Some(Fault::Hangs) => {
                work.await?;
                std::future::pending().await
            }
        }
    }
}

fn unreachable() -> NetworkError {
    tonic::Status::unavailable("a fault of the test").into()
}

fn refused() -> NetworkError {
    tonic::Status::invalid_argument("a refusal of the test").into()
}

impl Layer for Faults {
    fn around<'a, T: Send + 'a>(
        &'a self,
        call: Call<'a>,
        work: BoxFuture<'a, Result<T, NetworkError>>,
    ) -> BoxFuture<'a, Result<T, NetworkError>> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let kind = match call {
            Call::SendGroupMessages => Kind::SendMessages,
            Call::SendWelcomes => Kind::SendWelcomes,
            Call::QueryGroupMessages(..) | Call::QueryWelcomes(..) => Kind::Query,
            Call::IdentityUpdates(_) => Kind::Identity,
            Call::PublishIdentityUpdate => Kind::Publish,
            Call::UploadKeyPackage => Kind::Upload,
            _ => return work,
        };
        Box::pin(self.guarded(kind, work))
    }
}
