//! Answers in fewer bytes, for callers who can read them.

use std::io::Write;

use brotli::CompressorWriter;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use policy::actions::compress_response::Algorithm;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Compresses one answer as it comes.
pub struct Compressor {
    /// Taken by the last bytes.
    encoder: Option<Encoder>,
    /// Whether what came is to be readable at once.
    flushes: bool,
    _places: SemaphorePermit<'static>,
}

enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    Deflate(ZlibEncoder<Vec<u8>>),
    Brotli(Box<CompressorWriter<Vec<u8>>>),
}

/// Of how much memory answers are compressed at once, in pieces of some three hundred kilobytes. Any others are
/// sent as they are, which their callers can read too.
const MOST: usize = 512;

static PLACES: Semaphore = Semaphore::const_new(MOST);

/// Bodies up to this length are compressed where they are; larger ones would keep others waiting.
const AT_ONCE: usize = 64 * 1024;

impl Compressor {
    /// Begins an answer, unless too many are under way. One that `flushes` can be read as far as it has come
    /// whenever it stands still.
    pub fn begin(algorithm: Algorithm, flushes: bool) -> Option<Self> {
        let places = PLACES.try_acquire_many(places(algorithm)).ok()?;
        Some(Self { encoder: Some(Encoder::new(algorithm)), flushes, _places: places })
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
        let Some(encoder) = &mut self.encoder else { return Bytes::new() };
        encoder.write(bytes, self.flushes);
        Bytes::from(std::mem::take(encoder.written()))
    }

    /// The same, when they are the last.
    pub(super) fn last(&mut self, bytes: &[u8]) -> Bytes {
        let Some(mut encoder) = self.encoder.take() else { return Bytes::new() };
        encoder.write(bytes, false);
        encoder.finish().into()
    }
}

/// How many pieces of memory it takes.
fn places(algorithm: Algorithm) -> u32 {
    match algorithm {
        Algorithm::Gzip | Algorithm::Deflate => 1,
        Algorithm::Brotli => 4,
    }
}

/// They write into memory, which does not fail.
impl Encoder {
    /// With little effort, which saves nearly as much of text, in a third of the time.
    fn new(algorithm: Algorithm) -> Self {
        const BUFFER: usize = 4096;
        const QUALITY: u32 = 4;
        /// Two to the power of this is how far back what is repeated may stand.
        const WINDOW: u32 = 18;
        match algorithm {
            Algorithm::Gzip => Self::Gzip(GzEncoder::new(Vec::new(), Compression::fast())),
            Algorithm::Deflate => Self::Deflate(ZlibEncoder::new(Vec::new(), Compression::fast())),
            Algorithm::Brotli => {
                Self::Brotli(Box::new(CompressorWriter::new(Vec::new(), BUFFER, QUALITY, WINDOW)))
            }
        }
    }

    fn write(&mut self, bytes: &[u8], flushes: bool) {
        let writer: &mut dyn Write = match self {
            Self::Gzip(encoder) => encoder,
            Self::Deflate(encoder) => encoder,
            Self::Brotli(encoder) => &mut **encoder,
        };
        let written = writer.write_all(bytes).and_then(|()| if flushes { writer.flush() } else { Ok(()) });
        debug_assert!(written.is_ok());
    }

    fn written(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Gzip(encoder) => encoder.get_mut(),
            Self::Deflate(encoder) => encoder.get_mut(),
            Self::Brotli(encoder) => encoder.get_mut(),
        }
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Self::Gzip(encoder) => encoder.finish().unwrap_or_default(),
            Self::Deflate(encoder) => encoder.finish().unwrap_or_default(),
            Self::Brotli(encoder) => encoder.into_inner(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::{GzDecoder, ZlibDecoder};

    use super::*;

    const ALL: [Algorithm; 3] = [Algorithm::Gzip, Algorithm::Deflate, Algorithm::Brotli];

    fn reader(algorithm: Algorithm, bytes: &[u8]) -> Box<dyn Read + '_> {
        match algorithm {
            Algorithm::Gzip => Box::new(GzDecoder::new(bytes)),
            Algorithm::Deflate => Box::new(ZlibDecoder::new(bytes)),
            Algorithm::Brotli => Box::new(brotli::Decompressor::new(bytes, 4096)),
        }
    }

    #[test]
    fn what_has_come_can_be_read_before_the_rest() {
        for algorithm in ALL {
            let mut compressor = Compressor::begin(algorithm, true).unwrap();
            let mut sent = compressor.more(b"data: one\n\n").to_vec();
            let mut read = [0; 11];
            reader(algorithm, &sent).read_exact(&mut read).unwrap();
            assert_eq!(&read, b"data: one\n\n");
            sent.extend(compressor.more(b"data: two\n\n"));
            sent.extend(compressor.last(b""));
            let mut all = String::new();
            reader(algorithm, &sent).read_to_string(&mut all).unwrap();
            assert_eq!(all, "data: one\n\ndata: two\n\n");
            assert!(compressor.more(b"late").is_empty());
        }
    }

    #[tokio::test]
    async fn a_body_becomes_shorter_however_long_it_is() {
        for (algorithm, length) in ALL.into_iter().flat_map(|one| [(one, 10_000), (one, 10 * AT_ONCE)]) {
            let body = Bytes::from(vec![b'a'; length]);
            let sent = Compressor::whole(algorithm, body.clone()).await.unwrap();
            let mut read = Vec::new();
            reader(algorithm, &sent).read_to_end(&mut read).unwrap();
            assert!(read == body && sent.len() < length / 10);
        }
    }
}
