//! Which certificate answers.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;

use rustls::{AlertDescription, CertificateError, Error};

use crate::support::{Authority, Issued, Served};

/// Why a handshake failed.
fn refusal(error: &std::io::Error) -> &Error {
    error.get_ref().and_then(|inner| inner.downcast_ref()).unwrap()
}

fn unknown_name(error: &std::io::Error) -> bool {
    let Error::InvalidCertificate(reason) = refusal(error) else { return false };
    matches!(reason, CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. })
}

#[tokio::test]
async fn an_exact_name_goes_before_a_wildcard_and_a_wildcard_before_the_default() {
    let mut issued = Vec::new();
    let served = Served::start("selection", |authority, directory| {
        for (name, hosts) in [
            ("exact", &["a.example.com", "Shop.example"][..]),
            ("wild", &["*.example.com"]),
            ("default", &["fallback.test"]),
        ] {
            let certificate = authority.certify(hosts);
            certificate.write(directory, name);
            issued.push(certificate);
        }
        // Not ours: an authority beside its certificates, and whatever else lies there.
        fs::write(directory.join("ca.crt"), "an authority").unwrap();
        fs::write(directory.join("README"), "what this is").unwrap();
        fs::create_dir(directory.join("empty")).unwrap();
    });
    let [exact, wild, default] = &issued[..] else { panic!("three") };
    for (host, expected) in [
        ("a.example.com", exact),
        ("A.Example.com", exact),
        ("shop.example", exact),
        ("b.example.com", wild),
        ("fallback.test", default),
    ] {
        assert_eq!(served.answering(host).await, expected.der, "{host}");
    }
    // A wildcard stands for one label. Who asks for what nobody has is shown the default, and turns away.
    for unknown in ["deep.b.example.com", "example.com", "elsewhere.test"] {
        let error = served.connect(unknown).await.unwrap_err();
        assert!(unknown_name(&error), "{unknown}: {error}");
    }
}

#[tokio::test]
async fn who_names_no_host_gets_the_default() {
    let mut issued = Vec::new();
    let served = Served::start("no host", |authority, directory| {
        let (other, default) = (authority.certify(&["a.test"]), authority.certify(&["b.test"]));
        other.write(directory, "a");
        // As a directory, like any other certificate can be.
        fs::create_dir(directory.join("default")).unwrap();
        default.write(&directory.join("default"), "tls");
        issued.push(default);
    });
    let mut silent = served.authority.client(rustls::ALL_VERSIONS, &[]);
    silent.enable_sni = false;
    let silent = Arc::new(silent);
    let stream = served.connect_as(&silent, "b.test").await.unwrap();
    assert_eq!(stream.get_ref().1.peer_certificates().unwrap()[0], issued[0].der);
}

#[tokio::test]
async fn the_only_certificate_is_the_default_and_of_several_none_is() {
    let served = Served::start("only", |authority, directory| {
        authority.certify(&["a.test"]).write(directory, "a");
    });
    let error = served.connect("other.test").await.unwrap_err();
    assert!(unknown_name(&error), "{error}");

    let served = Served::start("several", |authority, directory| {
        authority.certify(&["a.test"]).write(directory, "a");
        authority.certify(&["b.test"]).write(directory, "b");
    });
    let error = served.connect("other.test").await.unwrap_err();
    assert_eq!(refusal(&error), &Error::AlertReceived(AlertDescription::AccessDenied));
}

#[tokio::test]
async fn the_newest_of_several_answers_that_counts_already() {
    let mut issued: Vec<Issued> = Vec::new();
    let served = Served::start("newest", |authority, directory| {
        for (name, from, until) in [("z-older", -50, 500), ("newer", -20, 100), ("a-coming", 20, 900)] {
            let certificate = authority.certify_for(&["a.test"], from, until);
            certificate.write(directory, name);
            issued.push(certificate);
        }
    });
    assert_eq!(served.answering("a.test").await, issued[1].der);
}

#[tokio::test]
async fn secrets_that_are_mounted_through_links_are_read_once() {
    let mut issued: Vec<Issued> = Vec::new();
    let served = Served::start("links", |authority: &Authority, directory| {
        // A secret in a sub-directory, and the directory itself another.
        for at in [directory.join("shop"), directory.to_owned()] {
            fs::create_dir_all(at.join("..2026_01")).unwrap();
            let certificate = authority.certify(&[if at == directory { "root.test" } else { "shop.test" }]);
            certificate.write(&at.join("..2026_01"), "tls");
            symlink("..2026_01", at.join("..data")).unwrap();
            for file in ["tls.crt", "tls.key"] {
                symlink(format!("..data/{file}"), at.join(file)).unwrap();
            }
            issued.push(certificate);
        }
    });
    assert_eq!(served.answering("shop.test").await, issued[0].der);
    assert_eq!(served.answering("root.test").await, issued[1].der);
}
