//! The node behind gRPC and gRPC-web, on one port (transport §4.1, §3).

use std::{io, net::SocketAddr, time::Duration};

use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tonic::{
    service::Routes,
    transport::{Server, server::TcpIncoming},
};
use tonic_web::GrpcWebLayer;

use crate::{Node, cors::CorsLayer};

/// Time between two pings of the node on an idle connection, as the deployed node has it (transport §4.1).
const PING_INTERVAL: Duration = Duration::from_secs(300);

/// Longest wait for the answer to a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Calls that may be open on one connection; a client opens one stream per view of the application (N28).
const STREAMS: u32 = 1024;

/// Streams that a client may abandon before the node has looked at them.
const RESETS: usize = 1024;

/// Bytes that may be on their way on one stream and on one connection.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 32 << 20;

/// Longest time that running calls get to finish after the node was told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// Why a node does not serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The server failed.
    #[error("the server failed")]
    Server(#[source] tonic::transport::Error),
    /// The server's task is gone.
    #[error("the server's task ended early")]
    Task,
}

/// A node or a validation service that serves. Dropping it stops listening; connections that are open stay until their clients leave.
#[derive(Debug)]
pub struct Served {
    /// Where it listens; the port is the real one if port 0 was asked for.
    pub address: SocketAddr,
    /// The node whose subscriptions end with the server, if it serves one.
    node: Option<Node>,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<Result<(), tonic::transport::Error>>,
}

impl Served {
    /// Stops listening, ends subscriptions with "shutting down" and gives running calls ten seconds to finish.
    ///
    /// # Errors
    /// [`ServeError`] when the server had failed.
    pub async fn shutdown(mut self) -> Result<(), ServeError> {
        if let Some(node) = &self.node {
            node.end_subscriptions();
        }
        if let Some(stop) = self.stop.take() {
            // A server that ended already does not hear it; its result says why.
            let _ = stop.send(());
        }
        match tokio::time::timeout(GRACE, &mut self.server).await {
            Ok(ended) => ended.map_err(|_| ServeError::Task)?.map_err(ServeError::Server),
            // Somebody does not read the answer; it is not waited for.
            Err(_) => Ok(()),
        }
    }

    /// Waits until the server ends by itself, which only a failure makes it do.
    ///
    /// # Errors
    /// [`ServeError`].
    pub async fn ended(&mut self) -> Result<(), ServeError> {
        (&mut self.server).await.map_err(|_| ServeError::Task)?.map_err(ServeError::Server)
    }

    /// The address as a client takes it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Node {
    /// Serves gRPC (HTTP/2, clear text) and gRPC-web on `listen`; port 0 takes a free port. Must be called inside a
    /// tokio runtime.
    ///
    /// # Errors
    /// [`ServeError::Listen`].
    pub async fn serve(&self, listen: SocketAddr) -> Result<Served, ServeError> {
        let (incoming, address) = listen_on(listen).await?;
        let (stop, stopped) = oneshot::channel();
        let server = Server::builder()
            .accept_http1(true)
            .http2_keepalive_interval(Some(PING_INTERVAL))
            .http2_keepalive_timeout(Some(PING_TIMEOUT))
            .max_concurrent_streams(Some(STREAMS))
            .http2_max_pending_accept_reset_streams(Some(RESETS))
            .initial_stream_window_size(Some(STREAM_WINDOW))
            .initial_connection_window_size(Some(CONNECTION_WINDOW))
            .layer(CorsLayer)
            .layer(GrpcWebLayer::new())
            .add_routes(self.routes());
        let server = tokio::spawn(server.serve_with_incoming_shutdown(incoming, async {
            // A dropped sender stops the server too.
            drop(stopped.await);
        }));
        Ok(Served { address, node: Some(self.clone()), stop: Some(stop), server })
    }
}

/// Serves a validation service: plain gRPC, no browsers (transport §8).
pub(crate) async fn validation(routes: Routes, listen: SocketAddr) -> Result<Served, ServeError> {
    let (incoming, address) = listen_on(listen).await?;
    let (stop, stopped) = oneshot::channel();
    let server = Server::builder()
        .http2_keepalive_interval(Some(PING_INTERVAL))
        .http2_keepalive_timeout(Some(PING_TIMEOUT))
        .max_concurrent_streams(Some(STREAMS))
        .initial_stream_window_size(Some(STREAM_WINDOW))
        .initial_connection_window_size(Some(CONNECTION_WINDOW))
        .add_routes(routes);
    let server = tokio::spawn(server.serve_with_incoming_shutdown(incoming, async {
        drop(stopped.await);
    }));
    Ok(Served { address, node: None, stop: Some(stop), server })
}

async fn listen_on(address: SocketAddr) -> Result<(TcpIncoming, SocketAddr), ServeError> {
    let failed = |source| ServeError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((TcpIncoming::from(listener).with_nodelay(Some(true)), bound))
}
