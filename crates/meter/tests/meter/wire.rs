//! A wire to Redis on which answers can be lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};

use model::Secret;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::redis_server::RedisServer;

pub(crate) struct Wire {
    port: u16,
    target: Arc<AtomicU16>,
    loses_answers: Arc<AtomicBool>,
    cut: watch::Sender<bool>,
}

impl Wire {
    pub(crate) async fn to(server: &RedisServer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let loses_answers = Arc::new(AtomicBool::new(false));
        let (cut, is_cut) = watch::channel(false);
        let target = Arc::new(AtomicU16::new(server.port()));
        let (leads_to, loses) = (target.clone(), loses_answers.clone());
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let (mut is_cut, loses) = (is_cut.clone(), loses.clone());
                let target = leads_to.load(Ordering::Acquire);
                tokio::spawn(async move {
                    let Ok(far) = TcpStream::connect(("127.0.0.1", target)).await else { return };
                    tokio::select! {
                        biased;
                        _ = is_cut.wait_for(|is_cut| *is_cut) => (),
                        () = carry(near, far, loses) => (),
                    }
                });
            }
        });
        Self { port, target, loses_answers, cut }
    }

    pub(crate) fn url(&self) -> Secret {
        Secret::new(format!("redis://127.0.0.1:{}", self.port))
    }

    /// New connections lead to another server; those that there are stay.
    pub(crate) fn leads_to(&self, server: &RedisServer) {
        self.target.store(server.port(), Ordering::Release);
    }

    /// What is asked arrives; what is answered does not.
    pub(crate) fn lose_answers(&self) {
        self.loses_answers.store(true, Ordering::Release);
    }

    /// Nothing arrives.
    pub(crate) fn cut(&self) {
        self.cut.send_replace(true);
    }

    pub(crate) fn mend(&self) {
        self.loses_answers.store(false, Ordering::Release);
        self.cut.send_replace(false);
    }
}

async fn carry(mut near: TcpStream, mut far: TcpStream, loses: Arc<AtomicBool>) {
    let (mut from_near, mut to_near) = near.split();
    let (mut from_far, mut to_far) = far.split();
    let there = tokio::io::copy(&mut from_near, &mut to_far);
    let back = async {
        let mut bytes = vec![0; 1 << 16];
        let mut has_lost = false;
        while let Ok(count @ 1..) = from_far.read(&mut bytes).await {
            // An answer is lost with all that follow it.
            has_lost |= loses.load(Ordering::Acquire);
            if !has_lost && to_near.write_all(&bytes[..count]).await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        _ = there => (),
        () = back => (),
    }
}
