//! `subrosa node`: a delivery node until it is told to stop.

use std::{convert::Infallible, fmt::Write as _, net::SocketAddr, path::PathBuf, time::Duration};

use clap::Args;
use subrosa_chain::ChainVerifier;
use subrosa_node::{Node, NodeConfig, OpenError, Retention, ServeError, Served};
use tokio::time::MissedTickBehavior;

use crate::{
    failure::{Code, Failure},
    output, signals,
};

/// Time between two rounds of forgetting.
const FORGETTING: Duration = Duration::from_secs(60 * 60);

/// Where to listen, where to keep what is sent, and whom to ask about contract wallets.
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
    /// Forget what clients can do without: messages after 30 days, welcomes and key packages after 90. Commits and
    /// identities are kept for ever. Without it everything is.
    #[arg(long)]
    forget: bool,
    /// JSON-RPC endpoint of a chain, to check contract wallets on it; once per chain. Without it, `CHAIN_RPC_<ID>` in
    /// the environment counts, which is also the place for a URL with a key in it.
    #[arg(long = "chain", value_name = "ID=URL", value_parser = endpoint)]
    chains: Vec<Endpoint>,
    /// Serve the validation service on this address too. Only other nodes may reach it.
    #[arg(long, value_name = "ADDRESS", env = "SUBROSA_VALIDATION")]
    validation: Option<SocketAddr>,
}

/// The endpoint of a chain, as given on the command line.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    chain: u64,
    url: String,
}

/// Reads `ID=URL`.
pub(crate) fn endpoint(text: &str) -> Result<Endpoint, &'static str> {
    let (chain, url) =
        text.split_once('=').ok_or("a chain's number, `=` and a URL are expected, such as 1=http://127.0.0.1:8545")?;
    let chain = chain.parse().map_err(|_| "what stands before `=` is not the number of a chain")?;
    Ok(Endpoint { chain, url: url.to_owned() })
}

/// Serves until a signal, or until a server fails.
pub(crate) async fn run(args: NodeArgs) -> Result<(), Failure> {
    let mut config = match (args.data, args.memory) {
        (Some(folder), _) => NodeConfig::at(folder),
        (None, true) => NodeConfig::in_memory(),
        (None, false) => {
            return Err(Failure::new("a node needs a folder to keep what is sent to it")
                .advise("--data DIR, or --memory for a node that forgets everything when it ends")
                .code(Code::Usage));
        }
    };
    if args.forget {
        config.retention = Retention::deployed();
    }
    config.chains = verifier(args.chains, environment())?;
    let chains = config.chains.clone();
    let mut stop = signals::Stop::listen()?;
    let node = open(config)?;
    let mut served = node.serve(args.listen).await.map_err(|error| cannot_serve(&error))?;
    let mut validation = match args.validation {
        Some(address) => Some(node.validation().serve(address).await.map_err(|error| cannot_serve(&error))?),
        None => None,
    };
    output::print(&started(&served, validation.as_ref(), chains.as_ref()))?;
    tracing::info!(address = %served.address, "serving");
    tokio::select! {
        () = stop.wait() => {
            tracing::info!("stopping");
            if let Some(validation) = validation {
                validation.shutdown().await.map_err(|error| stopped_badly(&error))?;
            }
            served.shutdown().await.map_err(|error| stopped_badly(&error))
        }
        ended = served.ended() => Err(server_ended(ended)),
        ended = ended(&mut validation) => Err(server_ended(ended)),
        never = forget_now_and_then(&node), if args.forget => match never {},
    }
}

/// The variables that are text.
pub(crate) fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Whom to ask about contract wallets: the environment, and the command line before it. `None` if nobody.
pub(crate) fn verifier(
    chains: Vec<Endpoint>,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Option<ChainVerifier>, Failure> {
    let mut builder = ChainVerifier::builder()
        .environment(environment)
        .map_err(|error| Failure::new("the endpoint of a chain is unusable").because(&error).code(Code::Usage))?;
    for Endpoint { chain, url } in chains {
        builder = builder.endpoint(chain, &url).map_err(|error| {
            Failure::new(format!("the endpoint of chain {chain} is unusable")).because(&error).code(Code::Usage)
        })?;
    }
    let verifier = builder.build();
    let asks_any = verifier.chains().next().is_some();
    Ok(asks_any.then_some(verifier))
}

/// What is said once everything serves, in one piece: whoever waits for the first line may stop reading then.
fn started(served: &Served, validation: Option<&Served>, chains: Option<&ChainVerifier>) -> String {
    let mut text = format!("listening on {}\n", served.address);
    if let Some(validation) = validation {
        let _ = writeln!(text, "validation on {}", validation.address);
    }
    if let Some(chains) = chains {
        let numbers: Vec<String> = chains.chains().map(|chain| chain.to_string()).collect();
        let _ = writeln!(text, "contract wallets on chain {}", numbers.join(", "));
    }
    text
}

/// Waits until the validation service ends by itself; for ever if there is none.
async fn ended(validation: &mut Option<Served>) -> Result<(), ServeError> {
    match validation {
        Some(validation) => validation.ended().await,
        None => std::future::pending().await,
    }
}

/// Removes what may be forgotten, at once and then from time to time. A failure is tried again at the next time.
async fn forget_now_and_then(node: &Node) -> Infallible {
    let mut times = tokio::time::interval(FORGETTING);
    times.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        times.tick().await;
        match node.prune().await {
            Ok(0) => {}
            Ok(rows) => tracing::info!(rows, "forgot what was old enough"),
            Err(error) => tracing::warn!(%error, "nothing was forgotten"),
        }
    }
}

fn server_ended(ended: Result<(), ServeError>) -> Failure {
    match ended {
        Ok(()) => Failure::new("the server ended by itself"),
        Err(error) => Failure::new("the server failed").because(&error),
    }
}

fn stopped_badly(error: &ServeError) -> Failure {
    Failure::new("the node did not stop cleanly").because(error)
}

fn open(config: NodeConfig) -> Result<Node, Failure> {
    let folder = config.data.clone();
    Node::open(config).map_err(|error| cannot_open(folder.as_deref(), &error))
}

fn cannot_serve(error: &ServeError) -> Failure {
    let failure = Failure::new("the node cannot serve").because(error);
    match error {
        ServeError::Listen { .. } => failure.advise("another port, for example 127.0.0.1:0 for a free one"),
        _ => failure,
    }
}

fn cannot_open(folder: Option<&std::path::Path>, error: &OpenError) -> Failure {
    let place = folder.map_or_else(|| "in memory".to_owned(), |folder| format!("in {}", folder.display()));
    Failure::new(format!("the node's database {place} cannot be opened"))
        .because(error)
        .advise("another --data folder, or stop the node that uses this one")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chains_of(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Vec<u64>, Failure> {
        let arguments = arguments.iter().map(|text| endpoint(text).unwrap()).collect();
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Ok(verifier(arguments, environment)?.map_or_else(Vec::new, |chains| chains.chains().collect()))
    }

    #[test]
    fn chains_come_from_arguments_and_the_environment() {
        assert_eq!(chains_of(&[], &[("PATH", "x")]).unwrap(), [0; 0]);
        let both = chains_of(&["31337=http://127.0.0.1:8545"], &[("CHAIN_RPC_1", "http://127.0.0.1:1/key")]);
        assert_eq!(both.unwrap(), [1, 31337]);
    }

    #[test]
    fn unusable_endpoints_are_wrong_usage_and_are_not_printed() {
        for bad in ["", "1", "one=http://127.0.0.1:1", "-1=http://127.0.0.1:1", "=http://127.0.0.1:1"] {
            assert!(endpoint(bad).is_err(), "{bad}");
        }
        for bad in ["1=", "1=127.0.0.1:8545", "1=ftp://secret", "1=http://user@secret"] {
            let failure = chains_of(&[bad], &[]).unwrap_err();
            assert!(failure.text().contains("chain 1") && !failure.text().contains("secret"), "{}", failure.text());
        }
        let failure = chains_of(&[], &[("CHAIN_RPC_10", "ftp://secret")]).unwrap_err();
        assert!(failure.text().contains("CHAIN_RPC_10") && !failure.text().contains("secret"), "{}", failure.text());
    }
}
