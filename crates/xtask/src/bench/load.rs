//! The load generator, wrk, and what it says.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use super::contestants::Contestant;
use super::process;

/// Connections when as much as possible goes through.
const CONNECTIONS: u32 = 64;
/// Connections at a fixed rate.
const CALM_CONNECTIONS: u32 = 50;

/// What every request of a contestant names, beside its message.
#[derive(Clone, Copy)]
pub(super) struct Question {
    pub(super) model: &'static str,
    /// More members, each with a comma before it.
    pub(super) members: &'static str,
}

/// What is sent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Body {
    Kilobyte,
    HundredKilobytes,
    /// A kilobyte that asks for a stream.
    Stream,
}

impl Body {
    /// The document, as an SDK writes it; as long as it is called, whatever is asked.
    pub(super) fn text(self, question: Question) -> String {
        let Question { model, members } = question;
        let (length, options) = match self {
            Self::Kilobyte => (1_024, ""),
            Self::HundredKilobytes => (100 * 1_024, ""),
            Self::Stream => (1_024, r#","stream":true,"stream_options":{"include_usage":true}"#),
        };
        let head = r#"{"messages":[{"role":"user","content":""#;
        let tail = format!(r#""}}],"model":"{model}"{options}{members}}}"#);
        let sentence = "Tell me once more what a coin is worth. ";
        let content = sentence.repeat(length / sentence.len() + 1);
        format!("{head}{}{tail}", &content[..length - head.len() - tail.len()])
    }

    fn file_name(self) -> &'static str {
        match self {
            Self::Kilobyte => "kilobyte.json",
            Self::HundredKilobytes => "hundred-kilobytes.json",
            Self::Stream => "stream.json",
        }
    }
}

/// One run of wrk.
pub(super) struct Load {
    body: Body,
    connections: u32,
    /// How long a connection thinks between two requests, on average.
    pause_milliseconds: u32,
    length: Duration,
}

impl Load {
    /// As many requests as go through.
    pub(super) fn at_full(body: Body, length: Duration) -> Self {
        Self { body, connections: CONNECTIONS, pause_milliseconds: 0, length }
    }

    /// So many requests a second.
    pub(super) fn at_rate(rate: u32, length: Duration) -> Self {
        let pause_milliseconds = 1_000 * CALM_CONNECTIONS / rate;
        Self { body: Body::Kilobyte, connections: CALM_CONNECTIONS, pause_milliseconds, length }
    }

    /// Runs it against a contestant, on the core of all others.
    pub(super) fn run(&self, folder: &Path, contestant: &Contestant) -> Result<Outcome> {
        let script = folder.join("load.lua");
        let body = folder.join(self.body.file_name());
        fs::write(&script, include_str!("load.lua"))?;
        fs::write(&body, self.body.text(contestant.question))?;
        let output = Command::new("taskset")
            .args([
                "--cpu-list",
                &process::cores()[1].to_string(),
                "wrk",
                "--threads",
                "1",
                "--timeout",
                "10s",
            ])
            .args(["--connections", &self.connections.to_string()])
            .args(["--duration", &format!("{}s", self.length.as_secs())])
            .arg("--script")
            .arg(&script)
            .arg(format!("http://{}", contestant.address))
            .args(["--", &contestant.path])
            .arg(&body)
            .arg(self.pause_milliseconds.to_string())
            .arg(format!("Host: {}", contestant.host))
            .args(contestant.headers.iter().map(|(name, value)| format!("{name}: {value}")))
            .output()
            .context("cannot run wrk")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text.lines().rev().find(|line| line.starts_with('{'));
        let line = line.with_context(|| format!("{text}{}", String::from_utf8_lossy(&output.stderr)))?;
        let outcome: Outcome = serde_json::from_str(line)?;
        ensure!(
            outcome.failed == 0,
            "{} of {} requests to {} failed",
            outcome.failed,
            outcome.requests,
            contestant.name
        );
        Ok(outcome)
    }
}

/// What wrk measured; latencies in microseconds.
#[derive(Deserialize)]
pub(super) struct Outcome {
    pub(super) requests: u64,
    microseconds: u64,
    pub(super) p50: u32,
    pub(super) p99: u32,
    pub(super) max: u32,
    failed: u64,
}

impl Outcome {
    /// Requests a second.
    pub(super) fn rate(&self) -> f64 {
        self.requests as f64 / (self.microseconds as f64 / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_json_of_their_size() {
        for (body, length) in
            [(Body::Kilobyte, 1_024), (Body::HundredKilobytes, 102_400), (Body::Stream, 1_024)]
        {
            for members in ["", r#","max_tokens":100,"user":"cheap""#] {
                let text = body.text(Question { model: "gpt-4.1-nano", members });
                assert_eq!(text.len(), length);
                assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
            }
        }
    }
}
