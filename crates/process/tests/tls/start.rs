//! What is told at the start.

use std::fs;

use process::Tls;
use tempfile::TempDir;

use crate::support::Authority;

#[tokio::test]
async fn everything_that_is_wrong_is_told_at_once_with_the_names_of_files() {
    let (authority, directory) = (Authority::new(), TempDir::new().unwrap());
    let at = |name: &str| directory.path().join(name);
    let [good, other] = [&["good.test"], &["other.test"]].map(|hosts| authority.certify(hosts));
    good.write(directory.path(), "good");
    fs::write(at("swapped.crt"), &good.chain).unwrap();
    fs::write(at("swapped.key"), &other.key).unwrap();
    fs::write(at("lonely.pem"), &good.chain).unwrap();
    fs::write(at("orphan.key"), &good.key).unwrap();
    authority.certify(&[]).write(directory.path(), "nameless");
    fs::write(at("binary.crt"), &good.der).unwrap();
    fs::write(at("binary.key"), &good.key).unwrap();
    fs::write(at("garbled.crt"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    fs::write(at("garbled.key"), &good.key).unwrap();
    fs::write(at("locked.crt"), &good.chain).unwrap();
    let locked = good.key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    fs::write(at("locked.key"), locked).unwrap();
    fs::write(at("strange.crt"), &good.chain).unwrap();
    fs::create_dir(at("strange.key")).unwrap();

    let told = Tls::open(directory.path(), "flaws").unwrap_err().to_string();
    for expected in [
        "swapped.key does not fit the first certificate in ",
        "lonely.pem has no key: there is no ",
        "orphan.key has no certificate: there is no ",
        "nameless.crt names no host as a subject alternative name, and is not the default",
        "binary.crt holds no certificate that can be read as PEM",
        "garbled.crt begins with a certificate that cannot be understood",
        "locked.key holds no private key that can be used",
        "strange.key is no file of at most one MiB",
    ] {
        let line = told.lines().find(|line| line.contains(expected));
        let line = line.unwrap_or_else(|| panic!("{expected} is not in {told}"));
        assert!(line.starts_with(&format!("  - {}", directory.path().display())), "{line}");
    }
    assert_eq!(told.lines().count(), 1 + 8, "{told}");
    let secret = good.key.lines().nth(1).unwrap();
    assert!(!told.contains(secret));
}

#[tokio::test]
async fn a_directory_that_is_empty_or_not_there_is_refused() {
    let directory = TempDir::new().unwrap();
    let told = Tls::open(directory.path(), "empty").unwrap_err().to_string();
    assert!(told.contains("holds no certificate: expected"), "{told}");
    let told = Tls::open(&directory.path().join("elsewhere"), "away").unwrap_err().to_string();
    assert!(told.contains("elsewhere cannot be listed: entity not found"), "{told}");
}

#[tokio::test]
async fn what_has_run_out_is_served_all_the_same() {
    let (authority, directory) = (Authority::new(), TempDir::new().unwrap());
    authority.certify_for(&["a.test"], -9, -1).write(directory.path(), "a");
    Tls::open(directory.path(), "late").unwrap();
}
