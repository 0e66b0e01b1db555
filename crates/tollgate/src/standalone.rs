//! Both planes in one process. They meet only where they would on two machines: the proxy joins over
//! gRPC, with a token made for it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use anyhow::Context as _;
use process::shutdown_on_signal;
use store::Store;
use tokio_util::sync::CancellationToken;

const JOIN_TOKEN_LIFETIME: Duration = Duration::from_secs(600);

/// Runs both until told to stop: the proxy drains first, so that its last records are still posted.
pub(crate) async fn run(
    mut control_plane: control_plane::Config,
    mut proxy: proxy::Config,
) -> anyhow::Result<()> {
    let stop_proxy = shutdown_on_signal()?;
    let stop_control_plane = CancellationToken::new();
    let grpc = settled(&mut control_plane.push.grpc)?;
    proxy.control_plane.control_plane_url = format!("https://{grpc}").parse()?;

    let database_url = control_plane.stores.database_url.clone();
    let keys = control_plane.keys.clone();
    let (_, contents) = keys.for_sealing()?;
    let mut planes = tokio::spawn(crate::manage(control_plane, stop_control_plane.clone()));
    let joined = async {
        until_open(grpc).await;
        let store = Store::connect(database_url.expose()).await?;
        let created =
            control_plane::join_token::create(&store, &contents, "standalone", JOIN_TOKEN_LIFETIME).await?;
        proxy.control_plane.join_token = Some(created.0);
        anyhow::Ok(())
    };
    tokio::select! {
        joined = joined => joined?,
        ended = &mut planes => return ended?,
        () = stop_proxy.cancelled() => {
            stop_control_plane.cancel();
            return planes.await?;
        }
    }
    let serving = crate::serve(proxy, stop_proxy.clone());
    let served = tokio::select! {
        served = serving => served,
        ended = &mut planes => {
            return ended?.and_then(|()| anyhow::bail!("the control plane ended by itself"));
        }
    };
    stop_control_plane.cancel();
    served.and(planes.await?)
}

/// The proxy must know the port, so one that is left to the system is chosen here.
fn settled(address: &mut SocketAddr) -> anyhow::Result<SocketAddr> {
    if address.port() == 0 {
        let free = TcpListener::bind(*address).context("no port is free for gRPC")?;
        address.set_port(free.local_addr()?.port());
    }
    let mut reached = *address;
    if reached.ip().is_unspecified() {
        reached.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    Ok(reached)
}

/// The port opens once the database is there and migrated.
async fn until_open(address: SocketAddr) {
    while tokio::net::TcpStream::connect(address).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
