//! One key, its id, and what it seals: the layout of the crate's first page, read and written here.

use std::fmt;

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use model::AccountId;
use zeroize::Zeroizing;

use crate::VaultError;

const VERSION: u8 = 1;
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
pub(crate) const KEY_BYTES: usize = 32;
pub(crate) const MAX_KEY_ID_BYTES: usize = 32;

/// What sealed bytes are for. They open for exactly this and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context<'a> {
    /// Whose it is; none for what belongs to the installation.
    pub account: Option<AccountId>,
    /// What it is, such as `jwt-signing-key`.
    pub purpose: &'a str,
    /// Which one it is: the id of the row or the name of the file.
    pub record: &'a str,
}

/// A key that seals and opens, with the id that what it sealed carries.
#[derive(Clone)]
pub(crate) struct Key {
    id: Vec<u8>,
    cipher: Aes256Gcm,
}

impl Key {
    /// The id must have 1 to 32 bytes, which the two places that make keys see to.
    pub(crate) fn new(id: &[u8], bytes: &[u8; KEY_BYTES]) -> Self {
        Self { id: id.to_vec(), cipher: Aes256Gcm::new(bytes.into()) }
    }

    pub(crate) fn id(&self) -> &[u8] {
        &self.id
    }

    pub(crate) fn seal(&self, context: Context<'_>, plaintext: &[u8]) -> Result<Vec<u8>, VaultError> {
        let id_length = u8::try_from(self.id.len()).map_err(|_| VaultError::Malformed)?;
        let mut sealed = vec![VERSION, id_length];
        sealed.extend_from_slice(&self.id);
        let associated = associated_data(&sealed, context);
        let nonce: [u8; NONCE_BYTES] = random()?;
        let payload = Payload { msg: plaintext, aad: &associated };
        // The only error is a text beyond 64 GiB.
        let ciphertext =
            self.cipher.encrypt(Nonce::from_slice(&nonce), payload).map_err(|_| VaultError::Malformed)?;
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&ciphertext);
        Ok(sealed)
    }

    pub(crate) fn open(&self, context: Context<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let parts = Parts::of(sealed)?;
        if parts.key_id != self.id {
            return Err(parts.unknown_key());
        }
        let associated = associated_data(parts.header, context);
        self.cipher
            .decrypt(Nonce::from_slice(parts.nonce), Payload { msg: parts.ciphertext, aad: &associated })
            .map(Zeroizing::new)
            .map_err(|_| VaultError::NotAuthentic)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(****)")
    }
}

/// Sealed bytes, taken apart.
pub(crate) struct Parts<'a> {
    header: &'a [u8],
    pub(crate) key_id: &'a [u8],
    nonce: &'a [u8],
    ciphertext: &'a [u8],
}

impl<'a> Parts<'a> {
    pub(crate) fn of(sealed: &'a [u8]) -> Result<Self, VaultError> {
        match sealed {
            [VERSION, id_length, ..] => {
                let header_end = 2 + usize::from(*id_length);
                let nonce_end = header_end + NONCE_BYTES;
                if *id_length == 0
                    || usize::from(*id_length) > MAX_KEY_ID_BYTES
                    || sealed.len() < nonce_end + TAG_BYTES
                {
                    return Err(VaultError::Malformed);
                }
                Ok(Self {
                    header: &sealed[..header_end],
                    key_id: &sealed[2..header_end],
                    nonce: &sealed[header_end..nonce_end],
                    ciphertext: &sealed[nonce_end..],
                })
            }
            [version, ..] if *version != VERSION => Err(VaultError::UnknownVersion(*version)),
            _ => Err(VaultError::Malformed),
        }
    }

    pub(crate) fn unknown_key(&self) -> VaultError {
        VaultError::UnknownKey(String::from_utf8_lossy(self.key_id).into_owned())
    }
}

/// Random bytes for a key or a nonce.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], VaultError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| VaultError::NoRandomness)?;
    Ok(bytes)
}

fn associated_data(header: &[u8], context: Context<'_>) -> Vec<u8> {
    let Context { account, purpose, record } = context;
    let account = account.map(|account| *account.0.as_bytes());
    let account = account.as_ref().map_or(&[][..], |bytes| bytes);
    let mut data = Vec::with_capacity(64 + purpose.len() + record.len());
    for part in [header, account, purpose.as_bytes(), record.as_bytes()] {
        data.extend_from_slice(&(part.len() as u64).to_be_bytes());
        data.extend_from_slice(part);
    }
    data
}
