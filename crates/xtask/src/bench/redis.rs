//! As much of Redis's protocol as it takes to look at what is in it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use anyhow::{Context as _, Result, bail};

/// A connection.
pub(super) struct Redis(BufReader<TcpStream>);

impl Redis {
    /// Connects to the server of a URL, with its password if it has one.
    pub(super) fn at(url: &str) -> Result<Self> {
        let rest = url.strip_prefix("redis://").context("a redis:// URL")?;
        let authority = rest.split(['/', '?']).next().unwrap_or(rest);
        let (user, address) = authority.rsplit_once('@').unwrap_or(("", authority));
        let address = if address.contains(':') { address.to_owned() } else { format!("{address}:6379") };
        let mut redis = Self(BufReader::new(TcpStream::connect(address)?));
        if let Some((_, password)) = user.split_once(':') {
            redis.ask(&["AUTH", password])?;
        }
        Ok(redis)
    }

    /// Sends a command and answers with the texts that come back; a missing one is empty.
    pub(super) fn ask(&mut self, words: &[&str]) -> Result<Vec<String>> {
        let mut command = format!("*{}\r\n", words.len());
        for word in words {
            command.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        self.0.get_mut().write_all(command.as_bytes())?;
        self.answer()
    }

    fn answer(&mut self) -> Result<Vec<String>> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        let line = line.trim_end();
        let (kind, text) = line.split_at_checked(1).context("an answer")?;
        match kind {
            "+" | ":" => Ok(vec![text.to_owned()]),
            "$" => match usize::try_from(text.parse::<i64>()?) {
                Ok(length) => {
                    let mut bytes = vec![0; length + 2];
                    self.0.read_exact(&mut bytes)?;
                    bytes.truncate(length);
                    Ok(vec![String::from_utf8(bytes)?])
                }
                Err(_) => Ok(vec![String::new()]),
            },
            "*" => {
                let mut texts = Vec::new();
                for _ in 0..text.parse::<u64>()? {
                    texts.extend(self.answer()?);
                }
                Ok(texts)
            }
            _ => bail!("Redis says {line}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[test]
    fn answers_of_every_kind_are_read() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("redis://:secret@{}/0", listener.local_addr().expect("its address"));
        let server = thread::spawn(move || {
            let (mut socket, _) = listener.accept().expect("a connection");
            for (asks, says) in [
                ("*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n", "+OK\r\n"),
                ("*1\r\n$1\r\na\r\n", "*3\r\n$3\r\none\r\n$-1\r\n:7\r\n"),
                ("*1\r\n$1\r\nb\r\n", "-ERR no\r\n"),
            ] {
                let mut heard = vec![0; asks.len()];
                socket.read_exact(&mut heard).expect("a command");
                assert_eq!(heard, asks.as_bytes());
                socket.write_all(says.as_bytes()).expect("somebody listens");
            }
        });
        let mut redis = Redis::at(&url).expect("a connection");
        assert_eq!(redis.ask(&["a"]).expect("an answer"), ["one", "", "7"]);
        assert!(redis.ask(&["b"]).is_err());
        server.join().expect("the server saw what it should");
    }
}
