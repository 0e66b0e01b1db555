//! Every call that an exploration makes, made on a real server with the real scripts, and what the server
//! has and answers compared with the model.
//!
//! The calls are a graph: what Redis has, and what each call makes of it. It is walked from where eras
//! begin, depth first; each depth has a shard of its own, into which the server copies what the shard
//! above has before the next call is made there. Nothing needs to be known of one answer to make the
//! next call, so thousands travel together: the time is a key that the test sets, which lets every call
//! come 31 seconds after the one before, and streams begin in the far future, where Redis numbers their
//! entries one after the other.

mod dump;
pub(crate) mod edits;
mod graph;
mod wire;

use meter::protocol::{Bundle, Clock, Scripts, key, published, text};
use redis::aio::MultiplexedConnection;
use redis::{Cmd, RedisResult, Value};

pub(crate) use graph::Graph;

use crate::redis::Redis;
use crate::scene::Money;
use dump::Errands;
use edits::Edit;
use model::Shard;
use wire::{ACCOUNT, BEGINNING, Wire, position};

/// Commands that travel together.
const TOGETHER: usize = 3000;
const ERA: u64 = 1;

/// A difference between the model and the scripts.
#[derive(Debug)]
pub(crate) struct Difference {
    /// Which figure or answer differs.
    pub what: &'static str,
    pub story: String,
}

/// A server on which graphs are replayed.
pub(crate) struct Replay {
    connection: MultiplexedConnection,
    errands: Errands,
    /// One for each depth.
    scripts: Vec<Scripts>,
    /// Under which digests the server has other texts than these.
    other: Vec<[String; 2]>,
}

impl Replay {
    /// Loads the scripts for so many calls after one another, with a change if one is given.
    pub(crate) async fn on(mut connection: MultiplexedConnection, deepest: u8, edit: Option<Edit>) -> Self {
        let () = redis::cmd("FLUSHALL").query_async(&mut connection).await.unwrap();
        let mut digests = Vec::new();
        for text in Errands::texts() {
            digests
                .push(redis::cmd("SCRIPT").arg("LOAD").arg(text).query_async(&mut connection).await.unwrap());
        }
        let [dump, fork]: [String; 2] = digests.try_into().unwrap();
        let (mut scripts, mut other) = (Vec::new(), Vec::new());
        for shard in (0..=deepest).map(Shard) {
            scripts.push(Scripts::with(shard, ERA, Clock::Key));
            let mut loaded = Vec::new();
            for bundle in Bundle::ALL {
                let mut text = text(bundle, shard, ERA, Clock::Key);
                if let Some(edit) = edit.filter(|edit| edit.bundle == bundle) {
                    assert_eq!(text.matches(edit.from).count(), 1, "{edit:?} fits in one place");
                    text = text.replace(edit.from, edit.to);
                }
                loaded.push(
                    redis::cmd("SCRIPT").arg("LOAD").arg(text).query_async(&mut connection).await.unwrap(),
                );
            }
            other.push(loaded.try_into().unwrap());
            let () =
                redis::cmd("SET").arg(published(shard)).arg(ERA).query_async(&mut connection).await.unwrap();
        }
        Self { connection, errands: Errands { dump, fork }, scripts, other }
    }

    /// Makes the calls of a graph that come at most so deep; answers how many those were.
    pub(crate) async fn walk(&mut self, graph: &Graph, deepest: u8) -> Result<usize, Difference> {
        let mut asked = Vec::new();
        let mut commands = Vec::new();
        for root in graph.roots() {
            self.begin(&graph.nodes[root as usize], &mut commands);
            asked.push(Asked::Root(root));
            let mut open: Vec<u32> = graph.out(root).collect();
            while let Some(edge) = open.pop() {
                let depth = graph.depth(graph.edges[edge as usize].from);
                if depth >= u32::from(deepest) {
                    continue;
                }
                self.step(graph, edge, depth as usize, &mut commands);
                asked.push(Asked::Edge(edge));
                if graph.is_first(edge) {
                    open.extend(graph.out(graph.edges[edge as usize].to));
                }
                if commands.len() > TOGETHER {
                    self.compare(graph, &mut commands, &mut asked).await?;
                }
            }
            self.compare(graph, &mut commands, &mut asked).await?;
        }
        let calls = graph.edges.iter().filter(|edge| graph.depth(edge.from) < u32::from(deepest));
        Ok(calls.count())
    }

    /// What the server has where an era begins.
    fn begin(&self, redis: &Redis, commands: &mut Vec<Cmd>) {
        let shard = self.scripts[0].shard();
        let name = |name: &str| key(shard, ERA, name);
        let account = ACCOUNT.0.simple().to_string();
        // Empty the shard, by a copy of one that is.
        commands.push(self.errands.fork("nothing:", &name(""), BEGINNING));
        let mut add =
            |command: &str, words: &[&str]| commands.push(redis::cmd(command).arg(words).to_owned());
        add("SET", &[&name("posted"), &position(0)]);
        add("XADD", &[&name("u"), &position(0), "nothing", ""]);
        add("XDEL", &[&name("u"), &position(0)]);
        if redis.account.loaded {
            let free = redis.account.free.to_string();
            add("HSET", &[&name(&format!("a:{account}")), "loaded", "1", "applied", "0", "free", &free]);
        }
        for entry in &redis.stream {
            let lines = entry.lines.iter().map(|line| {
                let kind = if line.abandoned { 'a' } else { 'r' };
                format!("{kind}{},{};", line.request, line.charge)
            });
            add("XADD", &[&name("u"), &position(entry.number), "b", &lines.collect::<String>()]);
        }
        commands.push(self.errands.dump(&name("")));
    }

    fn step(&self, graph: &Graph, edge: u32, depth: usize, commands: &mut Vec<Cmd>) {
        let [above, here] = [depth, depth + 1].map(|depth| key(self.scripts[depth].shard(), ERA, ""));
        let clock = BEGINNING + 31_000 * (depth as i64 + 1);
        commands.push(self.errands.fork(&above, &here, clock));
        let limit = graph.nodes[0].counter.limit;
        let wire = Wire { scripts: &self.scripts[depth + 1], limit };
        let command = wire.command(&graph.edges[edge as usize].call);
        commands.push(self.with_other_text(&command, depth + 1));
        commands.push(self.errands.dump(&here));
    }

    /// The same call of the text that the server has.
    fn with_other_text(&self, command: &Cmd, depth: usize) -> Cmd {
        let known = self.scripts[depth].digests();
        if *known == self.other[depth] {
            return command.clone();
        }
        let mut other = Cmd::new();
        for word in command.args_iter() {
            let redis::Arg::Simple(word) = word else { continue };
            let bundle = known.iter().position(|digest| digest.as_bytes() == word);
            match bundle {
                Some(bundle) => other.arg(&self.other[depth][bundle]),
                None => other.arg(word),
            };
        }
        other
    }

    async fn compare(
        &mut self,
        graph: &Graph,
        commands: &mut Vec<Cmd>,
        asked: &mut Vec<Asked>,
    ) -> Result<(), Difference> {
        let mut pipeline = redis::pipe();
        for command in commands.drain(..) {
            pipeline.add_command(command);
        }
        let answers: Vec<RedisResult<Value>> =
            pipeline.ignore_errors().query_async(&mut self.connection).await.unwrap();
        let mut answers = answers.into_iter();
        let limit = graph.nodes[0].counter.limit;
        let wire = Wire { scripts: &self.scripts[0], limit };
        for asked in asked.drain(..) {
            match asked {
                Asked::Root(root) => {
                    let dump = answers.by_ref().find(|answer| matches!(answer, Ok(Value::Array(_))));
                    difference(graph, None, &graph.nodes[root as usize], None, dump, limit)?;
                }
                Asked::Edge(number) => {
                    let edge = &graph.edges[number as usize];
                    let _fork = answers.next();
                    let answer = answers.next().map(|answer| wire.answer(&edge.call, answer));
                    let expected = wire.as_answered(&edge.call, edge.answer);
                    let wrong = (answer != Some(Some(expected)))
                        .then(|| format!("{answer:?} instead of {expected:?}"));
                    let to = &graph.nodes[edge.to as usize];
                    difference(graph, Some(number), to, wrong, answers.next(), limit)?;
                }
            }
        }
        Ok(())
    }
}

enum Asked {
    Root(u32),
    Edge(u32),
}

fn difference(
    graph: &Graph,
    edge: Option<u32>,
    expected: &Redis,
    wrong: Option<String>,
    dump: Option<RedisResult<Value>>,
    limit: Option<Money>,
) -> Result<(), Difference> {
    let real = dump.and_then(Result::ok).and_then(|dump| dump::read(dump, limit));
    let mut expected = expected.clone();
    // What a record has counted stands in no entry; the counter shows it.
    expected
        .stream
        .iter_mut()
        .flat_map(|entry| &mut entry.lines)
        .for_each(|line| (line.used, line.counted) = (0, 0));
    let what = match (&wrong, &real) {
        (_, None) => "all",
        (wrong, Some(real)) => match field(real, &expected) {
            Some(field) => field,
            None if wrong.is_some() => "answer",
            None => return Ok(()),
        },
    };
    let calls = edge.map(|edge| graph.story(edge)).unwrap_or_default();
    let story = format!("{calls}\nanswer: {wrong:?}\nmodel: {expected:?}\nredis: {real:?}");
    Err(Difference { what, story })
}

/// The first figure that differs.
fn field(real: &Redis, model: &Redis) -> Option<&'static str> {
    let (a, b) = (&real.account, &model.account);
    let differs = [
        ("free", a.free != b.free),
        ("held", a.held != b.held),
        ("unposted", a.unposted != b.unposted),
        ("leased", (a.leased, a.leases, a.recall) != (b.leased, b.leases, b.recall)),
        ("loaded", (a.loaded, a.applied, real.want) != (b.loaded, b.applied, model.want)),
        ("holds", real.holds != model.holds),
        ("counter", real.counter != model.counter),
        ("collected", real.collected != model.collected),
        ("stream", (&real.stream, real.last) != (&model.stream, model.last)),
        ("posted", real.posted != model.posted),
        ("starts", real.starts != model.starts),
        ("fence", real.fence != model.fence),
    ];
    differs.into_iter().find(|(_, differs)| *differs).map(|(name, _)| name)
}
