//! Who is compared, and everything that has to run for it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::credits::Proof;
use super::installation::Installation;
use super::load::{Body, Load, Outcome, Question};
use super::process::{self, Memory, cores, pinned};
use crate::checkout::Checkout;
use crate::children::Children;
use crate::http::Http;
use crate::ports::Turn;
use crate::services::Services;

const CHAT_COMPLETIONS: &str = "/v1/chat/completions";
const PLAIN: Question = Question { model: "gpt-4o-mini", members: "" };
/// Bounded, so that what is set aside for it is small, and all that the provider is to be told is there already.
const PAID: Question = Question {
    model: "gpt-4.1-nano",
    members: r#","max_tokens":100,"store":false,"service_tier":"default""#,
};
/// The same where the answer costs next to nothing: money is set aside and comes back, and the balance stays about
/// what it is.
const CHEAP: Question = Question {
    model: "gpt-4.1-nano",
    members: r#","max_tokens":100,"store":false,"service_tier":"default","user":"cheap""#,
};

/// One way from the load generator to the mock.
pub(super) struct Contestant {
    pub(super) name: &'static str,
    /// Host and port.
    pub(super) address: String,
    /// What the `Host` header says.
    pub(super) host: String,
    pub(super) path: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) question: Question,
    /// Whether a hundred kilobytes are sent too. Not where credits do not suffice for so many of them at once.
    pub(super) takes_large_bodies: bool,
    /// Whether latencies and streams are measured too. Not at the ceiling, where the mock has the proxy's core.
    pub(super) takes_rates: bool,
    /// Where the mock that answers in the end can be asked for its count.
    mock: String,
    /// The process whose work is counted; the mock where there is no proxy.
    pid_file: PathBuf,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Mock,
    Floor,
    Tollgate,
}

/// All of them, ready.
pub(super) struct Contestants {
    pub(super) all: Vec<Contestant>,
    folder: PathBuf,
    simulator: PathBuf,
    mock: String,
    installation: Option<Installation>,
}

/// What was done so far on behalf of one contestant.
pub(super) struct Counters {
    answered: u64,
    cpu: u64,
    redis_cpu: Option<u64>,
}

/// What was done between two readings.
pub(super) struct Spent {
    /// Requests that the mock answered.
    pub(super) answered: u64,
    /// Nanoseconds.
    pub(super) cpu: u64,
    pub(super) redis_cpu: Option<u64>,
}

impl Counters {
    pub(super) fn since(&self, before: &Self) -> Spent {
        let redis_cpu = self.redis_cpu.zip(before.redis_cpu).map(|(after, before)| after - before);
        Spent { answered: self.answered - before.answered, cpu: self.cpu - before.cpu, redis_cpu }
    }
}

impl Contestant {
    /// A whole request, as it is written to the socket.
    pub(super) fn request(&self, body: Body) -> Vec<u8> {
        let Self { path, host, question, .. } = self;
        let body = body.text(*question);
        let mut request =
            format!("POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n");
        for (name, value) in &self.headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
        request.into_bytes()
    }
}

impl Contestants {
    /// Starts the mocks, the proxies and, with `services`, a whole installation.
    pub(super) fn start(
        checkout: &Checkout,
        children: &Children,
        services: Option<Services>,
    ) -> Result<Self> {
        let folder = checkout.state.join("bench");
        let release = checkout.binaries()?.parent().context("a target folder")?.join("release");
        let simulator = release.join("simulator");
        let http = Http::new();
        let mut turn = Turn::wait();
        let mut port = || turn.free_port(18_000).map(|port| format!("127.0.0.1:{port}"));
        let (ceiling, mock, counted_mock, floor) = (port()?, port()?, port()?, port()?);
        let upstream = format!("http://{mock}");
        let [proxy_core, other_core] = cores();
        for (name, core, arguments) in [
            ("ceiling", proxy_core, &["mock", "--addr", &ceiling][..]),
            ("mock", other_core, &["mock", "--addr", &mock]),
            ("counted-mock", other_core, &["mock", "--addr", &counted_mock]),
            ("floor", proxy_core, &["floor", "--addr", &floor, "--upstream", &upstream]),
        ] {
            let mut program = pinned(name, core, &simulator, arguments);
            program.pid_file = Some(checkout.pids.join(format!("{name}.pid")));
            program.log = Some(checkout.logs.join(format!("{name}.log")));
            let child = children.start(program, None)?;
            http.wait_until_ready(children, &child, &format!("http://{}/", arguments[2]))?;
        }
        let installation = match services {
            Some(services) => {
                Some(Installation::start(checkout, children, &services, &release, &counted_mock, &mut turn)?)
            }
            None => None,
        };

        let own_key = ("authorization", "Bearer sk-bench".to_owned());
        let contestant = |name, address: &str, kind, pid_file: &str| Contestant {
            name,
            address: address.to_owned(),
            host: address.to_owned(),
            path: CHAT_COMPLETIONS.to_owned(),
            headers: vec![own_key.clone()],
            question: PLAIN,
            takes_large_bodies: true,
            takes_rates: true,
            mock: mock.clone(),
            pid_file: checkout.pids.join(pid_file),
            kind,
        };
        let mut all = vec![
            Contestant {
                takes_rates: false,
                mock: ceiling.clone(),
                ..contestant("mock alone", &ceiling, Kind::Mock, "ceiling.pid")
            },
            contestant("direct", &mock, Kind::Mock, "mock.pid"),
            contestant("bare hyper", &floor, Kind::Floor, "floor.pid"),
        ];
        if let Some(installation) = &installation {
            let gateway = |name, path, headers| Contestant {
                path,
                headers,
                mock: counted_mock.clone(),
                ..contestant(name, &installation.gateway, Kind::Tollgate, "proxy.pid")
            };
            all.push(gateway("open gateway", installation.open_path(), vec![own_key.clone()]));
            all.push(gateway("governed", installation.governed_path(), installation.governed_headers()));
            let [rich, poor] = &installation.payers;
            all.push(Contestant { question: PAID, ..gateway(rich.name, rich.path(), rich.headers()) });
            all.push(Contestant {
                question: CHEAP,
                takes_large_bodies: false,
                ..gateway(poor.name, poor.path(), poor.headers())
            });
            for hosted in &installation.hosted {
                let host = hosted.host.to_owned();
                let contestant = gateway(hosted.name, CHAT_COMPLETIONS.to_owned(), hosted.headers());
                all.push(Contestant { host, ..contestant });
            }
        }
        Ok(Self { all, folder, simulator, mock, installation })
    }

    /// Puts a load on a contestant.
    pub(super) fn run(&self, contestant: &Contestant, load: &Load) -> Result<Outcome> {
        load.run(&self.folder, contestant)
    }

    /// Waits until nobody has anything left to do for the load that has ended.
    pub(super) fn settle(&self) -> Result<()> {
        match &self.installation {
            Some(installation) => installation.settle(),
            None => Ok(()),
        }
    }

    /// What was done so far.
    pub(super) fn counters(&self, contestant: &Contestant) -> Result<Counters> {
        let redis = self.installation.as_ref().filter(|_| contestant.kind == Kind::Tollgate);
        Ok(Counters {
            answered: count(&contestant.mock)?,
            cpu: process::cpu_nanoseconds(process::pid_of(&contestant.pid_file)?)?,
            redis_cpu: redis.map(Installation::redis_cpu).transpose()?.flatten(),
        })
    }

    pub(super) fn memory(&self, contestant: &Contestant) -> Result<Memory> {
        process::memory(process::pid_of(&contestant.pid_file)?)
    }

    /// How many records Postgres has, and how many requests reached the mock through Tollgate.
    pub(super) fn records(&self) -> Result<Option<(u64, u64)>> {
        self.installation.as_ref().map(Installation::records).transpose()
    }

    /// Whether the requests on credits were recorded, held for, counted and paid.
    pub(super) fn proofs(&self) -> Result<Vec<Proof>> {
        self.installation.as_ref().map_or(Ok(Vec::new()), Installation::proofs)
    }

    /// Milliseconds from the start of a proxy to its first answer, several times.
    pub(super) fn start_times(&self, checkout: &Checkout, contestant: &Contestant) -> Result<Vec<f64>> {
        let core = cores()[0].to_string();
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", &core]).stdout(Stdio::null()).stderr(Stdio::null());
        let mut address = contestant.address.clone();
        match contestant.kind {
            Kind::Mock => return Ok(Vec::new()),
            Kind::Floor => {
                address = Turn::wait().free_port(18_000).map(|port| format!("127.0.0.1:{port}"))?;
                command.arg(&self.simulator).args(["floor", "--addr", &address]);
                command.arg("--upstream").arg(format!("http://{}", self.mock));
            }
            Kind::Tollgate => {
                let Some(installation) = &self.installation else { bail!("no installation") };
                installation.become_ready_to_start(checkout, &mut command)?;
            }
        }
        let mut times = Vec::new();
        for _ in 0..5 {
            let begin = Instant::now();
            let mut child = command.spawn()?;
            let answered = wait_for_an_answer(contestant, &address);
            times.push(begin.elapsed().as_secs_f64() * 1e3);
            child.kill()?;
            child.wait()?;
            answered?;
        }
        Ok(times)
    }
}

/// Sends a request until it is answered as it should be.
fn wait_for_an_answer(contestant: &Contestant, address: &str) -> Result<()> {
    let request = contestant.request(Body::Kilobyte);
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(&request)?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer)?;
        Ok(&answer == b"HTTP/1.1 200")
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        if ask().unwrap_or(false) {
            return Ok(());
        }
        thread::sleep(Duration::from_micros(200));
    }
    bail!("{} did not answer within 20 seconds of its start", contestant.name)
}

/// How many requests a mock has answered.
pub(super) fn count(mock: &str) -> Result<u64> {
    let answer = Http::new().call("GET", &format!("http://{mock}/count"), &[], None)?;
    answer.body.as_u64().context("the mock's count is a number")
}
