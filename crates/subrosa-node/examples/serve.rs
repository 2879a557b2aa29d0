//! Serves a delivery node until it is interrupted.
//!
//! ```text
//! serve LISTEN [FOLDER]    for example: serve 127.0.0.1:5556 ./data
//! ```
//!
//! Without a folder everything is kept in memory. Prints `listening on ADDRESS` when clients can connect.

use std::{error::Error, io::Write, net::SocketAddr};

use subrosa_node::{Node, NodeConfig};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let listen: SocketAddr = arguments.next().ok_or("usage: serve LISTEN [FOLDER]")?.parse()?;
    let config = arguments.next().map_or_else(NodeConfig::in_memory, NodeConfig::at);
    let mut served = Node::open(config)?.serve(listen).await?;
    let mut out = std::io::stdout();
    writeln!(out, "listening on {}", served.address)?;
    out.flush()?;
    tokio::select! {
        ended = served.ended() => ended?,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            served.shutdown().await?;
        }
    }
    Ok(())
}
