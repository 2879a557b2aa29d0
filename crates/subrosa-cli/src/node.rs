//! `subrosa node`: a delivery node until it is told to stop.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;
use subrosa_node::{Node, NodeConfig, OpenError, ServeError, Served};

use crate::{failure::Failure, output, signals};

/// Where to listen and where to keep what is sent.
#[derive(Args)]
pub(crate) struct NodeArgs {
    /// Address and port to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:5556", env = "SUBROSA_LISTEN")]
    listen: SocketAddr,
    /// Folder of the database; made if missing.
    #[arg(long, value_name = "DIR", env = "SUBROSA_DATA", conflicts_with = "memory")]
    data: Option<PathBuf>,
    /// Keep everything in memory; it is gone when the node ends.
    #[arg(long)]
    memory: bool,
}

/// Serves until a signal, or until the server fails.
pub(crate) async fn run(args: NodeArgs) -> Result<(), Failure> {
    let config = match (args.data, args.memory) {
        (Some(folder), _) => NodeConfig::at(folder),
        (None, true) => NodeConfig::in_memory(),
        (None, false) => {
            return Err(Failure::new("a node needs a folder to keep what is sent to it")
                .advise("--data DIR, or --memory for a node that forgets everything when it ends")
                .code(crate::failure::Code::Usage));
        }
    };
    let mut stop = signals::Stop::listen()?;
    let mut served = start(config, args.listen).await?;
    output::print(&format!("listening on {}\n", served.address))?;
    tracing::info!(address = %served.address, "serving");
    tokio::select! {
        () = stop.wait() => {
            tracing::info!("stopping");
            served.shutdown().await.map_err(|error| Failure::new("the node did not stop cleanly").because(&error))
        }
        ended = served.ended() => match ended {
            Ok(()) => Err(Failure::new("the server ended by itself")),
            Err(error) => Err(Failure::new("the server failed").because(&error)),
        },
    }
}

/// Opens a node and serves it.
pub(crate) async fn start(config: NodeConfig, listen: SocketAddr) -> Result<Served, Failure> {
    let folder = config.data.clone();
    let node = Node::open(config).map_err(|error| cannot_open(folder.as_deref(), &error))?;
    node.serve(listen).await.map_err(|error| {
        let failure = Failure::new("the node cannot serve").because(&error);
        match error {
            ServeError::Listen { .. } => {
                failure.advise("another port, for example --listen 127.0.0.1:0 for a free one")
            }
            _ => failure,
        }
    })
}

fn cannot_open(folder: Option<&std::path::Path>, error: &OpenError) -> Failure {
    let place = folder.map_or_else(|| "in memory".to_owned(), |folder| format!("in {}", folder.display()));
    Failure::new(format!("the node's database {place} cannot be opened"))
        .because(error)
        .advise("another --data folder, or stop the node that uses this one")
}
