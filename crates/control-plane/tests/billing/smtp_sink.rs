//! A mail server that takes every letter, or none, and keeps what it took.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use model::Secret;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// One letter.
pub(crate) struct Letter {
    pub(crate) to: Vec<String>,
    pub(crate) text: String,
}

pub(crate) struct SmtpSink {
    address: SocketAddr,
    answer: Arc<AtomicU16>,
    letters: mpsc::UnboundedReceiver<Letter>,
}

impl SmtpSink {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, letters) = mpsc::unbounded_channel();
        let answer = Arc::new(AtomicU16::new(250));
        let answers = answer.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(converse(stream, sender.clone(), answers.clone()));
            }
        });
        Self { address, answer, letters }
    }

    pub(crate) fn url(&self) -> Secret {
        Secret::new(format!("smtp://{}", self.address))
    }

    /// Answers so to every addressee from now on: 250 takes the letter.
    pub(crate) fn answers(&self, code: u16) {
        self.answer.store(code, Ordering::Relaxed);
    }

    /// The letters since the last time.
    pub(crate) fn received(&mut self) -> Vec<Letter> {
        let mut letters = Vec::new();
        while let Ok(letter) = self.letters.try_recv() {
            letters.push(letter);
        }
        letters
    }
}

/// As much of RFC 5321 as a client needs that sends one letter.
async fn converse(
    stream: TcpStream,
    letters: mpsc::UnboundedSender<Letter>,
    answer: Arc<AtomicU16>,
) -> Option<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 sink\r\n").await.ok()?;
    let mut to = Vec::new();
    loop {
        let line = lines.next_line().await.ok()??;
        let word = line.get(..4).unwrap_or_default().to_ascii_uppercase();
        let reply = match word.as_str() {
            "RCPT" => {
                to.push(line.trim_start_matches("RCPT TO:").trim_matches(['<', '>']).to_owned());
                format!("{} as the test says", answer.load(Ordering::Relaxed))
            }
            "DATA" => {
                write.write_all(b"354 go on\r\n").await.ok()?;
                let mut text = String::new();
                loop {
                    let line = lines.next_line().await.ok()??;
                    if line == "." {
                        break;
                    }
                    text.push_str(line.strip_prefix('.').unwrap_or(&line));
                    text.push('\n');
                }
                letters.send(Letter { to: std::mem::take(&mut to), text }).ok()?;
                "250 taken".to_owned()
            }
            "QUIT" => "221 bye".to_owned(),
            _ => "250 yes".to_owned(),
        };
        write.write_all(format!("{reply}\r\n").as_bytes()).await.ok()?;
    }
}
