//! What a real server has in the keys of one era, read as the model has it.

use std::collections::HashMap;

use redis::{Cmd, Value, from_redis_value};

use super::wire::{ACCOUNT, COUNTER, MILLISECONDS, incarnation, lease, money, record, withdrawal};
use crate::redis::{Account, Collected, Counter, Entry, Hold, Kind, Line, Redis, Start};
use crate::scene::{Money, REQUESTS, STARTS};

/// Two errands of the test itself, beside the scripts.
pub(crate) struct Errands {
    pub dump: String,
    pub fork: String,
}

/// Everything of the era that KEYS[1] begins with.
const DUMP: &str = "
local at, account, counter = KEYS[1], ARGV[1], ARGV[2]
local function hash(name) return redis.call('HGETALL', at .. name) end
local answer = { hash('a:' .. account), hash('c:' .. account .. ':' .. counter), hash('b'), hash('collected'),
  redis.call('XRANGE', at .. 'u', '-', '+'), redis.call('SISMEMBER', at .. 'want', account),
  redis.call('GET', at .. 'posted'), redis.call('GET', at .. 'fence') or '0' }
for n = 3, #ARGV do
  answer[#answer + 1] = hash('h:' .. ARGV[n])
  answer[#answer + 1] = hash('i:' .. ARGV[n])
end
return answer";

/// Makes the era of KEYS[2] have what that of KEYS[1] has.
const FORK: &str = "
local names = { 'a:' .. ARGV[1], 'c:' .. ARGV[1] .. ':' .. ARGV[2], 'b', 'd', 'collected', 'u', 'want', 'posted', 'fence' }
for n = 4, #ARGV do
  for _, kind in ipairs({ 'h:', 'i:', 'r:' }) do names[#names + 1] = kind .. ARGV[n] end
end
for _, name in ipairs(names) do
  if redis.call('COPY', KEYS[1] .. name, KEYS[2] .. name, 'REPLACE') == 0 then
    redis.call('DEL', KEYS[2] .. name)
  end
end
redis.call('SET', KEYS[2] .. 'clock', ARGV[3])";

fn starts() -> impl Iterator<Item = String> {
    (0..STARTS as u8).map(|start| incarnation(start).simple().to_string())
}

impl Errands {
    pub(crate) fn texts() -> [&'static str; 2] {
        [DUMP, FORK]
    }

    pub(crate) fn dump(&self, at: &str) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        command.arg(&self.dump).arg(1).arg(at).arg(ACCOUNT.0.simple().to_string()).arg(COUNTER);
        command.arg(starts().collect::<Vec<_>>()).to_owned()
    }

    pub(crate) fn fork(&self, from: &str, to: &str, clock: i64) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        command.arg(&self.fork).arg(2).arg(from).arg(to).arg(ACCOUNT.0.simple().to_string()).arg(COUNTER);
        command.arg(clock).arg(starts().collect::<Vec<_>>()).to_owned()
    }
}

type Fields = HashMap<String, String>;
type Words = Vec<(String, Vec<u8>)>;

/// Reads an answer to [`Errands::dump`].
pub(crate) fn read(answer: Value, limit: Option<Money>) -> Option<Redis> {
    let parts: Vec<Value> = from_redis_value(answer).ok()?;
    let fields = |index: usize| from_redis_value::<Fields>(parts.get(index)?.clone()).ok();
    let text = |index: usize| from_redis_value::<String>(parts.get(index)?.clone()).ok();
    let mut redis = Redis { era: 1, ..Redis::default() };
    redis.account = account(&fields(0)?);
    let counted = fields(1)?;
    redis.counter = Counter { limit, used: amount(&counted, "c"), leased: amount(&counted, "l") };
    let beats = fields(2)?;
    let collected = fields(3)?;
    for id in 0..=REQUESTS {
        let name = if id == REQUESTS { withdrawal() } else { record(id as u8) };
        redis.collected[id] = match collected.get(&name.simple().to_string()).map(String::as_str) {
            None => Collected::Nothing,
            Some("-") => Collected::Over,
            Some(amount) => Collected::Taken(money(amount.parse().ok()?)),
        };
    }
    redis.want = from_redis_value(parts.get(5)?.clone()).ok()?;
    redis.posted = sequence(&text(6)?)?;
    redis.fence = text(7)?.parse().ok()?;
    let entries: Vec<(String, Words)> = from_redis_value(parts.get(4)?.clone()).ok()?;
    for (id, fields) in entries {
        let number = sequence(&id)?;
        redis.last = number;
        if number > redis.posted {
            redis.stream.push(Entry { number, lines: lines(&fields)? });
        }
    }
    for start in 0..STARTS as u8 {
        let told = fields(9 + 2 * usize::from(start))?;
        let batches = (1..=told.get("seq").map_or(0, |last| last.parse().unwrap_or(0)))
            .map(|batch: u8| told.get(&format!("s{}", batch % 16)).and_then(|entry| sequence(entry)));
        redis.starts[usize::from(start)] = Start {
            beat: beats.get(&incarnation(start).simple().to_string()).and_then(|beat| beat.parse().ok()),
            beaten: told.get("beat").map_or(0, |beat| beat.parse().unwrap_or(u8::MAX)),
            dead: told.contains_key("dead"),
            declared: told.contains_key("declared"),
            batches: batches.collect::<Option<_>>()?,
        };
        for (id, line) in fields(8 + 2 * usize::from(start))? {
            let place = (0..REQUESTS as u8).find(|request| record(*request).simple().to_string() == id);
            let place = place.map(usize::from).or_else(|| {
                (lease(start).simple().to_string() == id).then(|| crate::calls::lease_place(start))
            })?;
            redis.holds[place] = Some(hold(&line, start)?);
        }
    }
    Some(redis)
}

fn account(fields: &Fields) -> Account {
    Account {
        loaded: fields.contains_key("loaded"),
        free: amount(fields, "free"),
        held: amount(fields, "held"),
        unposted: amount(fields, "unposted"),
        leased: amount(fields, "leased"),
        leases: u8::try_from(amount(fields, "leases")).unwrap_or(u8::MAX),
        recall: fields.contains_key("recall"),
        applied: u8::try_from(amount(fields, "applied")).unwrap_or(u8::MAX),
    }
}

fn amount(fields: &Fields, name: &str) -> Money {
    fields.get(name).map_or(0, |text| money(text.parse().unwrap_or(i64::MIN)))
}

/// The number of an entry, in streams that begin in the far future.
fn sequence(id: &str) -> Option<u8> {
    let (milliseconds, sequence) = id.split_once('-')?;
    (milliseconds.parse() == Ok(MILLISECONDS)).then(|| sequence.parse().ok())?
}

fn hold(line: &str, start: u8) -> Option<Hold> {
    let words: Vec<&str> = line.split(' ').collect();
    let number = |index: usize| words.get(index).map_or(Some(0), |word| word.parse().ok()).map(money);
    let is_ours = *words.get(1)? == ACCOUNT.0.simple().to_string();
    is_ours.then_some(Hold {
        kind: match *words.first()? {
            "o" => Kind::Own,
            "l" => Kind::Lease,
            _ => Kind::Closed,
        },
        amount: number(2)?,
        floor: number(3)?,
        reported: number(4)?,
        step: u8::try_from(number(5)?).ok()?,
        reserved: number(9)?,
        reserved_floor: number(10)?,
        start,
    })
}

/// The records of an entry: a batch as the replay writes it, or what `reap` has made of prototypes.
fn lines(fields: &Words) -> Option<Vec<Line>> {
    let field = |name: &str| {
        let found = fields.iter().find(|(field, _)| field == name)?;
        String::from_utf8(found.1.clone()).ok()
    };
    let list = |name: &str| -> Vec<Money> {
        let texts = field(name).unwrap_or_default();
        texts.split(',').filter_map(|text| text.parse().ok()).collect()
    };
    let Some(batch) = field("b") else { return Some(Vec::new()) };
    let (paid, charges) = (list("p"), list("c"));
    let paid = |place: usize| paid.get(place).copied().unwrap_or(0);
    if !charges.is_empty() {
        let records = batch.split('\n').skip(1).enumerate();
        let reaped = records.map(|(place, record)| {
            let request = record.strip_prefix('\u{1}')?.parse().ok()?;
            Some(Line {
                request,
                charge: charges[place],
                paid: paid(place),
                used: 0,
                counted: 0,
                abandoned: true,
            })
        });
        // They come in no order.
        let mut reaped: Vec<Line> = reaped.collect::<Option<_>>()?;
        reaped.sort_by_key(|line| line.request);
        return Some(reaped);
    }
    let records = batch.split_terminator(';').enumerate();
    let settled = records.map(|(place, record)| {
        let (request, charge) = record.get(1..)?.split_once(',')?;
        let (request, charge) = (request.parse().ok()?, charge.parse().ok()?);
        Some(Line {
            request,
            charge,
            paid: paid(place),
            used: 0,
            counted: 0,
            abandoned: record.starts_with('a'),
        })
    });
    settled.collect()
}
