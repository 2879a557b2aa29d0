//! A way to the chain that can be cut and mended.

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::chain::Chain;

/// Passes bytes on to the chain while it is up. Connections to it break when it goes down.
pub(crate) struct Relay {
    pub(crate) url: String,
    up: watch::Sender<bool>,
}

impl Relay {
    /// A relay that is up.
    pub(crate) async fn to(chain: &Chain) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let target = chain.url().trim_start_matches("http://").to_owned();
        let (up, is_up) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(pass(near, target.clone(), is_up.clone()));
            }
        });
        Self { url, up }
    }

    pub(crate) fn set(&self, up: bool) {
        self.up.send_replace(up);
    }
}

async fn pass(mut near: TcpStream, target: String, mut up: watch::Receiver<bool>) {
    if !*up.borrow() {
        return;
    }
    let mut far = TcpStream::connect(target).await.unwrap();
    tokio::select! {
        _ = copy_bidirectional(&mut near, &mut far) => {}
        _ = up.wait_for(|up| !up) => {}
    }
}
