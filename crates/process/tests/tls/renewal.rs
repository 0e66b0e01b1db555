//! Certificates that change while the port serves.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;

use axum::body::Bytes;
use http_body_util::BodyExt as _;
use prometheus::{Encoder as _, TextEncoder};
use rustix::process::{Signal, getpid, kill_process};

use crate::support::{Served, asked, text};

/// When a certificate runs out, as the metrics have it.
fn expiry(port: &str, host: &str) -> Option<i64> {
    let mut text = Vec::new();
    TextEncoder::new().encode(&prometheus::gather(), &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    let line = format!("tollgate_tls_certificate_expires_seconds{{host=\"{host}\",port=\"{port}\"}} ");
    text.lines().find_map(|told| told.strip_prefix(&line)?.parse().ok())
}

#[tokio::test]
async fn a_link_that_is_swapped_renews_a_certificate_and_no_stream_notices() {
    let mut first = None;
    let served = Served::start("renewed", |authority, directory| {
        fs::create_dir(directory.join("..1")).unwrap();
        let certificate = authority.certify_for(&["a.test", "old.test"], -1, 10);
        certificate.write(&directory.join("..1"), "tls");
        first = Some(certificate);
        symlink("..1", directory.join("..data")).unwrap();
        for file in ["tls.crt", "tls.key"] {
            symlink(format!("..data/{file}"), directory.join(file)).unwrap();
        }
    });
    assert_eq!(expiry("renewed", "old.test"), first.map(|certificate| certificate.until));
    let client = Arc::new(served.authority.client(rustls::ALL_VERSIONS, &[]));
    let mut streamed = served.stream().await;
    let answer = asked(served.connect_as(&client, "a.test").await.unwrap(), "/stream").await;
    streamed.send_data(Bytes::from("before, ")).await.unwrap();

    let directory = served.directory.path();
    fs::create_dir(directory.join("..2")).unwrap();
    let renewed = served.authority.certify_for(&["a.test"], 0, 99);
    renewed.write(&directory.join("..2"), "tls");
    symlink("..2", directory.join("..data_tmp")).unwrap();
    fs::rename(directory.join("..data_tmp"), directory.join("..data")).unwrap();
    served.until_answered_with("a.test", &renewed).await;

    streamed.send_data(Bytes::from("after")).await.unwrap();
    drop(streamed);
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "before, after");
    // Whoever came before the change takes its session up again.
    let peer = text(asked(served.connect_as(&client, "a.test").await.unwrap(), "/peer").await).await;
    assert!(peer.contains("resumed: true"), "{peer}");
    assert_eq!(expiry("renewed", "a.test"), Some(renewed.until));
    assert_eq!(expiry("renewed", "old.test"), None);
}

#[tokio::test]
async fn what_is_bad_keeps_the_last_good_and_hinders_no_other() {
    let mut good = Vec::new();
    let served = Served::start("bad", |authority, directory| {
        for host in ["a", "b", "c"] {
            let certificate = authority.certify(&[&format!("{host}.test")]);
            certificate.write(directory, host);
            good.push(certificate);
        }
    });
    let directory = served.directory.path();
    fs::write(directory.join("a.crt"), "-----BEGIN CERTIFICATE-----\nnothing").unwrap();
    fs::remove_file(directory.join("b.key")).unwrap();
    fs::write(directory.join("new.key"), "no key at all").unwrap();
    let renewed = served.authority.certify(&["c.test"]);
    renewed.write(directory, "c");
    served.until_answered_with("c.test", &renewed).await;
    assert_eq!(served.answering("a.test").await, good[0].der);
    assert_eq!(served.answering("b.test").await, good[1].der);

    // A directory that is gone is no reason to stop, and SIGHUP none to die.
    let away = directory.with_extension("away");
    fs::rename(directory, &away).unwrap();
    kill_process(getpid(), Signal::HUP).unwrap();
    for _ in 0..20 {
        assert_eq!(served.answering("a.test").await, good[0].der);
        tokio::task::yield_now().await;
    }
    let mended = served.authority.certify(&["a.test"]);
    mended.write(&away, "a");
    fs::rename(&away, directory).unwrap();
    kill_process(getpid(), Signal::HUP).unwrap();
    served.until_answered_with("a.test", &mended).await;
    assert_eq!(served.answering("b.test").await, good[1].der);
}
