//! Two providers, of which the first fails in each way that there is: what the caller sees, which attempts were made
//! and with which keys, what was metered and what was charged.

mod everybody;
mod stage;
mod ways;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use anyhow::{Context as _, ensure};
use e2e::books;
use e2e::http::{Answer, Call};
use e2e::provider::Billed;
use e2e::records::Record;
use serde_json::{Value, json};
use stage::{ANSWERING, SECOND, Stage, UNREACHABLE};
use ways::{Owed, Then, WAYS, Way};

/// More than all of it costs.
const GRANTED: i64 = 1_000_000_000;

/// With whose keys providers are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keys {
    /// Those that the gateway keeps.
    Own,
    /// The operator's, which credits pay for.
    Operators,
}

impl Keys {
    const fn host(self) -> &'static str {
        match self {
            Self::Own => "own.failing.example",
            Self::Operators => "credits.failing.example",
        }
    }

    /// A key of a provider's, which begins unlike all others.
    fn of(self, provider: &str) -> String {
        let whose = match self {
            Self::Own => "own",
            Self::Operators => "opr",
        };
        format!("sk-{whose}-{provider:.4}-0123456789abcdef")
    }

    /// What the provider sees of it.
    fn seen(self, provider: &str) -> String {
        format!("Bearer {}", &self.of(provider)[..11])
    }
}

/// One request, and what came back.
struct Story {
    way: &'static Way,
    keys: Keys,
    id: String,
    answer: Answer,
}

/// Everything that is known of a request when it is over.
struct Known<'a> {
    /// In the order of the attempts.
    records: Vec<&'a Record>,
    /// By provider.
    arrivals: BTreeMap<&'static str, Vec<&'a Value>>,
}

#[tokio::test]
async fn each_way_of_failing_is_met_told_and_charged_as_promised() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let system = &stage.system;
    let own = system.tenant("own").await?;
    for provider in ANSWERING.iter().chain(&UNREACHABLE) {
        own.store_key_of("demo", provider, &Keys::Own.of(provider), "default").await?;
    }
    let credits = system.tenant("credits").await?;
    for provider in ANSWERING.iter().chain(&UNREACHABLE) {
        system.store_operator_key_of(provider, &Keys::Operators.of(provider)).await?;
    }
    system.grant(&credits, GRANTED).await?;
    let mut tokens = BTreeMap::new();
    for (tenant, keys) in [(&own, Keys::Own), (&credits, Keys::Operators)] {
        stage.bind(tenant, "demo", keys.host()).await?;
        let (_, token) = tenant.gateway_token("demo").await?;
        let (call, body) = stage.ask(keys.host(), "warm-up", &["openai:gpt-4o-mini"], "");
        tenant.until(200, || call.clone().bearer(&token).json(&body)).await?;
        tokens.insert(keys.host(), token);
    }

    let mut stories = Vec::new();
    for (way, keys) in WAYS.iter().flat_map(|way| [(way, Keys::Own), (way, Keys::Operators)]) {
        let id = format!("{}-{keys:?}", way.name);
        let answer = asked(&stage, way, keys, &id).bearer(&tokens[keys.host()]).send().await;
        stories.push(Story { way, keys, answer: answer.with_context(|| id.clone())?, id });
    }

    let count = |records: &[Record], id: &str| records.iter().filter(|record| record.event_id == id).count();
    let attempts = |way: &Way| if way.then == Then::AnotherAnswers { 2 } else { 1 };
    let all =
        |records: &[Record]| stories.iter().all(|story| count(records, &story.id) >= attempts(story.way));
    let records = system.records_when("a record of each attempt", all).await?;
    let mut arrivals = BTreeMap::new();
    for provider in ANSWERING {
        arrivals.insert(provider, stage.arrivals(provider).await?);
    }
    let mut mistakes = Vec::new();
    for story in &stories {
        let of_story = |arrival: &&Value| arrival["test_id"] == story.id;
        let mut known = Known {
            records: records.iter().filter(|record| record.event_id == story.id).collect(),
            arrivals: arrivals
                .iter()
                .map(|(who, all)| (*who, all.iter().filter(of_story).collect()))
                .collect(),
        };
        known.records.sort_by_key(|record| record.attempt);
        if let Err(mistake) = story.is_as_promised(&known) {
            let Story { id, answer, .. } = story;
            let answer = format!("{} {:?} {}", answer.status, answer.headers, answer.text());
            mistakes
                .push(format!("{id}: {mistake}\n  {answer}\n  {:#?}\n  {:?}", known.records, known.arrivals));
        }
    }
    ensure!(mistakes.is_empty(), "{}", mistakes.join("\n\n"));

    for both in BOTH {
        let fail = both_fail_on_credits(&stage, &tokens[Keys::Operators.host()], both).await;
        fail.context(both.0)?;
    }
    no_key_is_shown_to_another(&arrivals)?;
    ensure!(stage.untrusted.called.load(Ordering::Relaxed) > 0, "nobody asked whom nobody trusts");
    ensure!(stage.untrusted.told.load(Ordering::Relaxed) == 0, "somebody told whom nobody trusts");
    books::balanced(system, &credits, GRANTED).await?;
    Ok(())
}

/// What both do, what the caller is told then, what the records say, and whether the input is owed to each.
type Both = (&'static str, &'static str, (u16, &'static str), &'static str, Owed);

/// Whoever gives two providers up has had both read what he asked; whom both refuse owes neither. What they say of the
/// operator's keys is no tenant's business.
const BOTH: [Both; 4] = [
    ("both-are-slow", "hang", (504, ""), "provider_timeout", Owed::Billed),
    ("both-are-busy", "status=429; retry_after=9", (429, "9"), "operator_key_busy", Owed::Nothing),
    ("both-do-not-say", "status=429; retry_after=none", (429, "5"), "operator_key_busy", Owed::Nothing),
    ("both-refuse", "status=401", (502, ""), "operator_key_refused", Owed::Nothing),
];

async fn both_fail_on_credits(stage: &Stage, token: &str, both: Both) -> anyhow::Result<()> {
    let (id, wishes, told, cause, owes) = both;
    let wishes = format!("[openai: {wishes}] [groq: {wishes}]");
    let (call, body) = stage.ask(Keys::Operators.host(), id, &["openai:gpt-4o-mini", SECOND], &wishes);
    let patience = if owes == Owed::Billed { "300" } else { "30000" };
    let answer = call.header("cf-aig-request-timeout", patience).bearer(token).json(&body).send().await?;
    let seen = (answer.status, answer.header("retry-after"));
    ensure!(seen == told, "the caller saw {seen:?}: {}", answer.text());
    ensure!(!answer.text().contains("sk-"), "the caller was told of a key: {}", answer.text());
    let two = |records: &[Record]| records.iter().filter(|record| record.event_id == id).count() == 2;
    let records = stage.system.records_when(id, two).await?;
    for (attempt, provider) in [(0, "openai"), (1, "groq")] {
        let record = records.iter().find(|record| record.event_id == id && record.attempt == attempt);
        let record = record.context("a record")?;
        let arrivals = stage.arrivals(provider).await?;
        let arrival = arrivals.iter().find(|arrival| arrival["test_id"] == id).context("an arrival")?;
        let owed = if owes == Owed::Billed { billed(arrival).nanos() } else { 0 };
        ensure!((&*record.provider, &*record.cause) == (provider, cause), "{record:#?}");
        ensure!((owed > 0) == (owes == Owed::Billed), "{arrival}");
        ensure!((record.charge, record.paid) == (owed, owed), "{owed} is owed: {record:#?}");
    }
    Ok(())
}

fn asked(stage: &Stage, way: &Way, keys: Keys, id: &str) -> Call {
    let provider = way.first.split(':').next().unwrap_or_default();
    let wishes = if way.wishes.is_empty() { String::new() } else { format!("[{provider}: {}]", way.wishes) };
    let (mut call, mut body) = stage.ask(keys.host(), id, &[way.first, SECOND], &wishes);
    if way.streamed {
        body["stream"] = json!(true);
    }
    if let Some(patience) = way.patience {
        call = call.header("cf-aig-request-timeout", patience.to_string());
    }
    call.json(&body)
}

impl Story {
    fn is_as_promised(&self, known: &Known<'_>) -> anyhow::Result<()> {
        self.the_caller_saw_it()?;
        let first = self.way.first.split(':').next().unwrap_or_default();
        let arrived = |provider: &str| known.arrivals.get(provider).map_or(&[][..], Vec::as_slice);
        ensure!(arrived(first).len() == usize::from(self.way.arrives), "at `{first}`");
        for arrival in arrived(first) {
            ensure!(arrival["authorization"] == self.keys.seen(first), "another key of `{first}`");
        }
        let record = known.records.first().context("no record")?;
        let told = if self.keys == Keys::Own { self.way.told } else { self.way.told_on_credits };
        let found = ways::Told { status: record.status, cause: cause(record) };
        ensure!(found == told, "the record says {found:?}");
        ensure!((record.attempt, &*record.provider) == (0, first), "of whom is the first record?");
        let billed = arrived(first).first().map_or_else(Billed::default, |arrival| billed(arrival));
        let owed = match (self.keys, self.way.owed) {
            (Keys::Own, _) | (_, Owed::Nothing) => 0,
            (Keys::Operators, Owed::Billed) => billed.nanos(),
        };
        ensure!((record.charge, record.paid) == (owed, owed), "{owed} is owed for {billed:?}");
        match self.way.then {
            Then::AnotherAnswers => self.another_answered(known),
            Then::ItStays(..) => {
                ensure!(known.records.len() == 1 && arrived("groq").is_empty(), "it was repeated");
                Ok(())
            }
        }
    }

    fn the_caller_saw_it(&self) -> anyhow::Result<()> {
        let (answer, text) = (&self.answer, self.answer.text());
        match self.way.then {
            Then::AnotherAnswers => {
                ensure!(answer.status == 200 && text.contains("coin"), "not what the other one answers");
                ensure!(answer.header("ngrok-aig-model") == SECOND, "who answered?");
                ensure!(answer.header("ngrok-aig-attempts") == "2", "how many attempts?");
                ensure!(answer.header("retry-after").is_empty(), "the first one's words");
            }
            Then::ItStays(status, words) => {
                ensure!(answer.status == status, "not {status}");
                ensure!(words.iter().all(|word| text.contains(word)), "not all of {words:?}");
                ensure!(answer.header("ngrok-aig-attempts") == "1", "how many attempts?");
            }
        }
        Ok(())
    }

    fn another_answered(&self, known: &Known<'_>) -> anyhow::Result<()> {
        let [_, record] = known.records[..] else { anyhow::bail!("not two records") };
        ensure!((record.attempt, &*record.provider) == (1, "groq"), "of whom is the second record?");
        ensure!((&*record.outcome, record.status) == ("answered", 200), "what came of the second attempt?");
        let [arrival] = known.arrivals["groq"][..] else { anyhow::bail!("not once at `groq`") };
        ensure!(arrival["authorization"] == self.keys.seen("groq"), "another key of `groq`");
        let billed = billed(arrival);
        ensure!(billed.output > 0 && record.cost == Some(billed.nanos()), "it cost {}", billed.nanos());
        let owed = if self.keys == Keys::Operators { billed.nanos() } else { 0 };
        ensure!((record.charge, record.paid) == (owed, owed), "{owed} is owed");
        Ok(())
    }
}

fn cause(record: &Record) -> &'static str {
    let known = WAYS.iter().flat_map(|way| [way.told.cause, way.told_on_credits.cause]);
    known.into_iter().find(|cause| *cause == record.cause).unwrap_or("something else")
}

fn billed(arrival: &Value) -> Billed {
    let tokens = |class: &str| arrival["billed"][class].as_u64().unwrap_or_default();
    Billed { input: tokens("input_tokens"), cached: tokens("cached_tokens"), output: tokens("output_tokens") }
}

/// Every key stays with its provider, and no token of ours goes to any.
fn no_key_is_shown_to_another(arrivals: &BTreeMap<&'static str, Vec<Value>>) -> anyhow::Result<()> {
    for (provider, arrivals) in arrivals {
        let theirs: BTreeSet<String> =
            [Keys::Own, Keys::Operators].iter().map(|keys| keys.seen(provider)).collect();
        for arrival in arrivals {
            let seen = arrival["authorization"].as_str().unwrap_or_default();
            ensure!(theirs.contains(seen), "`{provider}` was shown {arrival}");
            ensure!(arrival["leaks"] == json!([]) && arrival["x_api_key"].is_null(), "{arrival}");
        }
    }
    Ok(())
}
