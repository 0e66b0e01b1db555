//! The fastest fixed answer that we can give: the ceiling under which proxies are compared.
//!
//! `POST` anything: a chat completion of one kilobyte, or, if the body has `"stream":true`, a hundred chunks, each
//! written on its own. If the body ends with `"user":"cheap"}`, the usage is next to nothing: whoever pays with little
//! goes on for ever. `GET` anything: how many `POST`s were answered. It reads just enough of HTTP/1.1 to do so,
//! because an HTTP library would take half of the core that it shares with the load generator.

mod answers;
mod request;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use answers::Answers;
use request::{Kind, Wanted};

struct Mock {
    count: AtomicU64,
    answers: Answers,
    pause: Duration,
}

/// Serves fixed answers until the process is told to stop; `pause` is between the chunks of a stream.
pub(crate) async fn run(addr: SocketAddr, pause: Duration) -> anyhow::Result<()> {
    let listener = TcpListener::bind(addr).await.with_context(|| format!("Cannot listen on {addr}"))?;
    println!("Mock listens on http://{}", listener.local_addr()?);
    let mock = Arc::new(Mock { count: AtomicU64::new(0), answers: Answers::new(), pause });
    let mut stop = std::pin::pin!(crate::listener::told_to_stop()?);
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                stream.set_nodelay(true)?;
                tokio::spawn(serve(stream, Arc::clone(&mock)));
            }
            () = &mut stop => return Ok(()),
        }
    }
}

/// Answers the requests of one connection, until it ends in whatever way.
async fn serve(mut stream: TcpStream, mock: Arc<Mock>) -> std::io::Result<()> {
    let mut buffer = BytesMut::with_capacity(16 * 1024);
    loop {
        let wanted = loop {
            if let Some(wanted) = request::taken_from(&mut buffer) {
                break wanted;
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        match wanted {
            Wanted::Count => {
                let count = mock.count.load(Ordering::Relaxed).to_string();
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{count}", count.len());
                stream.write_all(head.as_bytes()).await?;
            }
            Wanted::Answer { kind: Kind::Completion, cheap } => {
                mock.count.fetch_add(1, Ordering::Relaxed);
                stream.write_all(mock.answers.completion(cheap)).await?;
            }
            Wanted::Answer { kind: Kind::Stream, cheap } => {
                mock.count.fetch_add(1, Ordering::Relaxed);
                let mut due = Instant::now();
                for (index, chunk) in mock.answers.chunks(cheap).iter().enumerate() {
                    // A timer that is due at once would still take until the next millisecond.
                    if index > 0 {
                        tokio::time::sleep_until(due).await;
                    }
                    stream.write_all(chunk).await?;
                    due += mock.pause;
                }
            }
        }
    }
}
