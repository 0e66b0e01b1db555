//! Digests and checksums, as bytes with the highest first.

use md5::Md5;
use sha1::{Digest, Sha1};
use sha2::{Sha256, Sha512};

/// A digest by its name.
pub(crate) fn digest(name: &str, bytes: &[u8]) -> Vec<u8> {
    match name {
        "crc32" => crc32fast::hash(bytes).to_be_bytes().to_vec(),
        "crc64" => crc64(bytes).to_be_bytes().to_vec(),
        "md5" => Md5::digest(bytes).to_vec(),
        "sha1" => Sha1::digest(bytes).to_vec(),
        "sha256" => {
            sha2::Digest::finalize(sha2::Digest::chain_update(<Sha256 as sha2::Digest>::new(), bytes))
                .to_vec()
        }
        "sha512" => {
            sha2::Digest::finalize(sha2::Digest::chain_update(<Sha512 as sha2::Digest>::new(), bytes))
                .to_vec()
        }
        _ => xxhash_rust::xxh64::xxh64(bytes, 0).to_be_bytes().to_vec(),
    }
}

/// With the polynomial of ISO 3309, bits reversed: one of two in use, and nobody says which is meant.
fn crc64(bytes: &[u8]) -> u64 {
    const POLYNOMIAL: u64 = 0xd800_0000_0000_0000;
    const TABLE: [u64; 256] = table();
    const fn table() -> [u64; 256] {
        let mut table = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            let (mut crc, mut bit) = (byte as u64, 0);
            while bit < 8 {
                crc = if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
                bit += 1;
            }
            table[byte] = crc;
            byte += 1;
        }
        table
    }
    !bytes.iter().fold(!0, |crc, byte| TABLE[usize::from(crc as u8 ^ byte)] ^ (crc >> 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_that_others_make() {
        let hex = |name| hex::encode(digest(name, b"123456789"));
        assert_eq!(hex("crc32"), "cbf43926");
        assert_eq!(hex("crc64"), "b90956c775a41001");
        assert_eq!(hex("md5"), "25f9e794323b453885f5181f1b624d0b");
        assert_eq!(hex("sha1"), "f7c3bc1d808e04732adf679965ccc34ca7ae3441");
        assert_eq!(hex("sha256"), "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225");
        assert_eq!(hex("xxhash64"), "8cb841db40e6ae83");
        assert!(hex("sha512").starts_with("d9e6762dd1c8eaf6d61b3c6192fc408d"));
    }
}
