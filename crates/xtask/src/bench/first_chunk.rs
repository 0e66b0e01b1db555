//! How long a stream's first chunk takes. wrk times whole answers only, so these few requests are our own.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::contestants::Contestant;
use super::load::Body;

/// Streams that are open at a time: while one is asked, the others come to their end.
const CONNECTIONS: usize = 16;
const REQUESTS: usize = 128;
const BETWEEN_REQUESTS: Duration = Duration::from_millis(16);

/// The median time from the request to the first chunk, in microseconds.
pub(super) fn median(contestant: &Contestant) -> Result<f64> {
    let request = contestant.request(Body::Stream);
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        let stream = TcpStream::connect(&contestant.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        connections.push(Connection { stream, is_busy: false });
    }
    let mut times = Vec::new();
    for at in 0..REQUESTS {
        thread::sleep(BETWEEN_REQUESTS);
        let connection = &mut connections[at % CONNECTIONS];
        connection.finish()?;
        let time = connection.ask(&request)?;
        // The first requests also make the connections behind the proxy.
        if at >= CONNECTIONS {
            times.push(time.as_secs_f64() * 1e6);
        }
    }
    for connection in &mut connections {
        connection.finish()?;
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

struct Connection {
    stream: TcpStream,
    is_busy: bool,
}

impl Connection {
    fn ask(&mut self, request: &[u8]) -> Result<Duration> {
        let mut seen = Vec::new();
        let begin = Instant::now();
        self.stream.write_all(request)?;
        while !contains(&seen, b"data: ") {
            self.read(&mut seen)?;
        }
        self.is_busy = true;
        Ok(begin.elapsed())
    }

    /// Reads the rest of the stream that was asked for last.
    fn finish(&mut self) -> Result<()> {
        let mut seen = Vec::new();
        while self.is_busy && !seen.ends_with(b"0\r\n\r\n") {
            self.read(&mut seen)?;
        }
        self.is_busy = false;
        Ok(())
    }

    fn read(&mut self, seen: &mut Vec<u8>) -> Result<()> {
        let mut buffer = [0; 16 * 1024];
        let length = self.stream.read(&mut buffer)?;
        ensure!(length > 0, "a stream ended early: {}", String::from_utf8_lossy(seen));
        seen.extend_from_slice(&buffer[..length]);
        Ok(())
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}
