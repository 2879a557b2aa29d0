//! A network that stands still at a chosen point, so that whoever drives the client can kill it exactly there.

use std::sync::{Arc, Mutex, PoisonError};

use futures::future::{self, BoxFuture, FutureExt as _};
use serde::{Deserialize, Serialize};
use subrosa::{Network, NetworkError};
use subrosa_transport::{Call, Layer, Layered};

/// Where to stand still.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Point {
    /// A payload is stored and has not left.
    Stored,
    /// The node has it, and we have not seen it in the log.
    Published,
    /// A commit took effect, and its welcomes have not left.
    Committed,
    /// A key package is stored, with what it is for, and has not left.
    KeyPackageStored,
    /// The node has it, and we do not know.
    KeyPackageUploaded,
    /// We know, and the identity update has not left.
    UpdateStored,
    /// The node has it, and we do not know.
    UpdatePublished,
    /// We know, and have not read it back.
    UpdateUnread,
    /// It was read back, and nothing is marked.
    UpdateRead,
}

impl Point {
    /// The points before and after a call.
    const fn around(call: Call<'_>) -> (Option<Self>, Option<Self>) {
        match call {
            Call::SendGroupMessages => (Some(Self::Stored), Some(Self::Published)),
            Call::SendWelcomes => (Some(Self::Committed), None),
            Call::UploadKeyPackage => (Some(Self::KeyPackageStored), Some(Self::KeyPackageUploaded)),
            Call::PublishIdentityUpdate => (Some(Self::UpdateStored), Some(Self::UpdatePublished)),
            Call::IdentityUpdates(_) => (Some(Self::UpdateUnread), Some(Self::UpdateRead)),
            _ => (None, None),
        }
    }
}

/// The network behind a gate that is open until it is told where to close.
pub(super) fn over(network: Arc<dyn Network>, closing: &Arc<Closing>) -> Layered<Gate> {
    Layered::new(network, Gate(Arc::clone(closing)))
}

/// A gate; closed by [`Closing`].
pub(super) struct Gate(Arc<Closing>);

/// Where a gate closes, and who is told.
pub(super) struct Closing {
    point: Mutex<Option<Point>>,
    tell: Box<dyn Fn(Point) + Send + Sync>,
}

impl Closing {
    /// Closes nowhere yet.
    pub(super) fn new(tell: impl Fn(Point) + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { point: Mutex::new(None), tell: Box::new(tell) })
    }

    /// The next call that comes to this point never returns.
    pub(super) fn at(&self, point: Point) {
        *self.point.lock().unwrap_or_else(PoisonError::into_inner) = Some(point);
    }

    async fn pass(&self, point: Option<Point>) {
        if point.is_some() && *self.point.lock().unwrap_or_else(PoisonError::into_inner) == point {
            point.into_iter().for_each(&self.tell);
            future::pending().await
        }
    }
}

impl Layer for Gate {
    fn around<'a, T: Send + 'a>(
        &'a self,
        call: Call<'a>,
        work: BoxFuture<'a, Result<T, NetworkError>>,
    ) -> BoxFuture<'a, Result<T, NetworkError>> {
        let (before, after) = Point::around(call);
        async move {
            self.0.pass(before).await;
            let answer = work.await?;
            self.0.pass(after).await;
            Ok(answer)
        }
        .boxed()
    }
}
