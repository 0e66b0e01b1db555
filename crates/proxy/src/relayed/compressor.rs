//! Answers in fewer bytes, for callers who can read them.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use policy::actions::compress_response::Algorithm;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Compresses one answer as it comes.
pub struct Compressor {
    encoder: Encoder,
    /// Whether what came is to be readable at once.
    flushes: bool,
    _place: SemaphorePermit<'static>,
}

enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    Deflate(ZlibEncoder<Vec<u8>>),
}

/// How many answers are compressed at once: each takes some three hundred kilobytes. Any others are sent as
/// they are, which their callers can read too.
const MOST: usize = 512;

static PLACES: Semaphore = Semaphore::const_new(MOST);

/// Bodies up to this length are compressed where they are; larger ones would keep others waiting.
const AT_ONCE: usize = 64 * 1024;

impl Compressor {
    /// Begins an answer, unless too many are under way. One that `flushes` can be read as far as it has come
    /// whenever it stands still.
    pub fn begin(algorithm: Algorithm, flushes: bool) -> Option<Self> {
        let place = PLACES.try_acquire().ok()?;
        Some(Self { encoder: Encoder::new(algorithm), flushes, _place: place })
    }

    /// A whole body. `None` if too many are under way.
    pub async fn whole(algorithm: Algorithm, body: Bytes) -> Option<Bytes> {
        let mut compressor = Self::begin(algorithm, false)?;
        if body.len() <= AT_ONCE {
            return Some(compressor.last(&body));
        }
        tokio::task::spawn_blocking(move || compressor.last(&body)).await.ok()
    }

    /// What there is to be sent when these bytes have come, which may be nothing.
    pub(super) fn more(&mut self, bytes: &[u8]) -> Bytes {
        self.encoder.write(bytes);
        if self.flushes {
            self.encoder.flush();
        }
        self.encoder.take()
    }

    /// The same, when they are the last.
    pub(super) fn last(&mut self, bytes: &[u8]) -> Bytes {
        self.encoder.write(bytes);
        self.encoder.finish();
        self.encoder.take()
    }
}

/// They write into memory, which does not fail.
impl Encoder {
    fn new(algorithm: Algorithm) -> Self {
        // The least effort: it saves nearly as much of text, in a third of the time.
        let level = Compression::fast();
        match algorithm {
            Algorithm::Gzip => Self::Gzip(GzEncoder::new(Vec::new(), level)),
            Algorithm::Deflate => Self::Deflate(ZlibEncoder::new(Vec::new(), level)),
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        let written = match self {
            Self::Gzip(encoder) => encoder.write_all(bytes),
            Self::Deflate(encoder) => encoder.write_all(bytes),
        };
        debug_assert!(written.is_ok());
    }

    fn flush(&mut self) {
        let flushed = match self {
            Self::Gzip(encoder) => encoder.flush(),
            Self::Deflate(encoder) => encoder.flush(),
        };
        debug_assert!(flushed.is_ok());
    }

    fn finish(&mut self) {
        let finished = match self {
            Self::Gzip(encoder) => encoder.try_finish(),
            Self::Deflate(encoder) => encoder.try_finish(),
        };
        debug_assert!(finished.is_ok());
    }

    fn take(&mut self) -> Bytes {
        let written = match self {
            Self::Gzip(encoder) => encoder.get_mut(),
            Self::Deflate(encoder) => encoder.get_mut(),
        };
        Bytes::from(std::mem::take(written))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::{GzDecoder, ZlibDecoder};

    use super::*;

    #[test]
    fn what_has_come_can_be_read_before_the_rest() {
        let mut compressor = Compressor::begin(Algorithm::Gzip, true).unwrap();
        let mut sent = compressor.more(b"data: one\n\n").to_vec();
        let mut read = [0; 11];
        GzDecoder::new(&*sent).read_exact(&mut read).unwrap();
        assert_eq!(&read, b"data: one\n\n");
        sent.extend(compressor.more(b"data: two\n\n"));
        sent.extend(compressor.last(b""));
        let mut all = String::new();
        GzDecoder::new(&*sent).read_to_string(&mut all).unwrap();
        assert_eq!(all, "data: one\n\ndata: two\n\n");
    }

    #[tokio::test]
    async fn a_body_becomes_shorter_however_long_it_is() {
        for length in [10_000, 10 * AT_ONCE] {
            let body = Bytes::from(vec![b'a'; length]);
            let sent = Compressor::whole(Algorithm::Deflate, body.clone()).await.unwrap();
            let mut read = Vec::new();
            ZlibDecoder::new(&*sent).read_to_end(&mut read).unwrap();
            assert!(read == body && sent.len() < length / 10);
        }
    }
}
