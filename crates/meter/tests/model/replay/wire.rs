//! The model's calls as the scripts take them, and what these answer as the model has it.

use meter::protocol::calls::{
    self, Batch, Beat, Declared, Group, Held, LeaseBack, LeaseState, More, MorePart, Needs, Says, Settled,
    Wanted, WantedPart,
};
use meter::protocol::{Script, Scripts};
use model::limits::{Counter, Window};
use model::usage::Measure;
use model::{AccountId, Nanos};
use redis::{Cmd, RedisError, Value};
use uuid::Uuid;

use crate::calls::{Answer, Call, GiveBack};
use crate::scene::{Money, REQUESTS};

/// The one account of a shard, the one limit that it may have, and the number of its one window.
pub(crate) const ACCOUNT: AccountId = AccountId(Uuid::from_u128(1));
pub(crate) const COUNTER: &str = "limit";
pub(crate) const WINDOW: i64 = 1;
const SECONDS: u32 = 1_000_000_000;
/// Milliseconds since 1970 in that window, at which everything begins.
pub(crate) const BEGINNING: i64 = 1_500_000_000_000;
/// Streams begin so far in the future that Redis numbers their entries on from here.
pub(crate) const MILLISECONDS: u64 = 9_000_000_000_000;

/// The id of a request's record and hold.
pub(crate) fn record(request: u8) -> Uuid {
    Uuid::from_u128(0x100 + u128::from(request))
}

/// The id of the withdrawal.
pub(crate) fn withdrawal() -> Uuid {
    Uuid::from_u128(0x200)
}

/// The incarnation that is a proxy's start, and the id of its lease.
pub(crate) fn incarnation(start: u8) -> Uuid {
    Uuid::from_u128(0x300 + u128::from(start))
}

pub(crate) fn lease(start: u8) -> Uuid {
    Uuid::from_u128(0x400 + u128::from(start))
}

/// The position of an entry.
pub(crate) fn position(number: u8) -> String {
    format!("{MILLISECONDS}-{number}")
}

/// Writes calls for scripts, and reads their answers.
pub(crate) struct Wire<'a> {
    pub scripts: &'a Scripts,
    pub limit: Option<Money>,
}

impl Wire<'_> {
    pub(crate) fn command(&self, call: &Call) -> Cmd {
        let scripts = self.scripts;
        match *call {
            Call::Hold { start, request, amount, floor } => {
                let wanted = self.wanted(record(request), amount, floor, vec![b'0' + request]);
                calls::hold(scripts, incarnation(start), &[wanted])
            }
            Call::Lease { start, amount, least } => {
                let wanted = self.wanted(lease(start), amount, least, Vec::new());
                let wanted = Wanted { is_lease: true, least: nanos(least), floor: Nanos(0), ..wanted };
                calls::hold(scripts, incarnation(start), &[wanted])
            }
            Call::Extend { start, request, more, reported, carve, floor, next } => {
                let part = carve.unwrap_or(0);
                let parts = self.counter().into_iter().map(|counter| MorePart {
                    counter,
                    window: WINDOW,
                    more: i64::from(more),
                    part: i64::from(part),
                    floor: i64::from(floor),
                });
                let more = More {
                    batch: u64::from(next),
                    id: record(request),
                    step: 1,
                    account: ACCOUNT,
                    needs: Needs::Credits,
                    more: nanos(more),
                    reported: nanos(reported),
                    lease: carve.map(|part| (lease(start), nanos(part))),
                    floor: nanos(floor),
                    record: vec![b'0' + request],
                    counters: parts.collect(),
                };
                calls::extend(scripts, incarnation(start), &more)
            }
            Call::Settle { start, number, ref records } => {
                let encoded = records.iter().map(|settled| {
                    let kind = if settled.abandoned { 'a' } else { 'r' };
                    format!("{kind}{},{};", settled.request, settled.charge)
                });
                let groups = records.iter().enumerate().map(|(place, settled)| self.group(place, settled));
                let batch = Batch {
                    number: u64::from(number),
                    encoded: encoded.collect::<String>().into_bytes(),
                    length: records.len(),
                    groups: groups.collect(),
                };
                calls::settle(scripts, incarnation(start), &batch)
            }
            Call::Beat { start, number, ref reports, lease: given, names } => {
                let mut named: Vec<_> =
                    (0..REQUESTS as u8).filter(|r| names & 1 << r != 0).map(record).collect();
                if names & 1 << REQUESTS != 0 {
                    named.push(lease(start));
                }
                let beat = Beat {
                    number: u64::from(number),
                    reports: reports
                        .iter()
                        .map(|(request, amount)| (record(*request), nanos(*amount)))
                        .collect(),
                    leases: given.map(|given| self.given_back(start, given)).into_iter().collect(),
                    release: Vec::new(),
                    accounts: vec![ACCOUNT],
                    says: Says::Names(named),
                };
                calls::beat(scripts, incarnation(start), &beat)
            }
            Call::Bury { start } => calls::bury(scripts, incarnation(start), 64),
            Call::Declare { start, ref holds } => {
                let holds: Vec<_> = holds.iter().map(|hold| self.declared(hold)).collect();
                calls::declare(scripts, incarnation(start), 1, true, &holds)
            }
            _ => self.of_desk(call),
        }
    }

    fn of_desk(&self, call: &Call) -> Cmd {
        let begin = |script, fence: u8| self.scripts.call(script).arg(fence).to_owned();
        let account = ACCOUNT.0.simple().to_string();
        let counters = u8::from(self.limit.is_some());
        match *call {
            Call::Reap { fence, start, beat } => begin(Script::Reap, fence)
                .arg(incarnation(start).simple().to_string())
                .arg(beat)
                .arg(64)
                .to_owned(),
            Call::Collect { fence, position: as_of, id, missing } => {
                let id = if usize::from(id) == REQUESTS { withdrawal() } else { record(id) };
                let mut command = begin(Script::Collect, fence);
                command.arg(position(as_of)).arg(1).arg(id.simple().to_string()).arg(account).arg(missing);
                command
            }
            Call::Posted { fence, position: to, unposted, back, counted, uncounted, ids } => {
                let mut command = begin(Script::Posted, fence);
                command
                    .arg(position(to))
                    .arg("0-0")
                    .arg(1)
                    .arg(&account)
                    .arg(unposted)
                    .arg(back)
                    .arg(counters);
                if self.limit.is_some() {
                    command.arg(&account).arg(COUNTER).arg(WINDOW).arg(counted).arg(uncounted);
                }
                let ids = (0..REQUESTS as u8).filter(|id| ids & 1 << id != 0).map(record);
                let ids: Vec<_> = ids.map(|id| id.simple().to_string()).collect();
                command.arg(ids.len()).arg(ids).to_owned()
            }
            Call::Credit { fence, amount, sequence } => {
                begin(Script::Credit, fence).arg(1).arg(account).arg(amount).arg(sequence).to_owned()
            }
            Call::Load { fence, position: as_of, balance, sequence, counted } => {
                let mut command = begin(Script::Load, fence);
                command.arg(position(as_of)).arg(1).arg(account).arg(balance).arg(sequence).arg(counters);
                if self.limit.is_some() {
                    command.arg(COUNTER).arg(WINDOW).arg(counted);
                }
                command
            }
            Call::Withdrawn { fence, back } => {
                let id = withdrawal().simple().to_string();
                begin(Script::Withdrawn, fence).arg(1).arg(id).arg(account).arg(back).to_owned()
            }
            _ => unreachable!("a proxy's call"),
        }
    }

    /// What a script has answered.
    pub(crate) fn answer(&self, call: &Call, answer: Result<Value, RedisError>) -> Option<Answer> {
        let answer = match answer.and_then(Value::extract_error) {
            Ok(answer) => answer,
            Err(error) => {
                return match error.code() {
                    Some("GAP" | "MOVED") => Some(Answer::Gap),
                    Some("FENCED") => Some(Answer::Fenced),
                    _ => None,
                };
            }
        };
        let number = |answer: &Value| if let Value::Int(number) = answer { Some(*number) } else { None };
        match call {
            Call::Hold { .. } | Call::Lease { .. } => {
                Held::read_all(answer).ok()?.first().map(|held| self.held(held))
            }
            Call::Extend { .. } => Some(self.held(&Held::read(answer).ok()?)),
            Call::Settle { .. } => {
                let (entry, _) = calls::settled(answer).ok()?;
                Some(Answer::Entry(u8::try_from(entry.sequence).ok()?))
            }
            Call::Beat { .. } => {
                Some(if calls::heard(answer).ok()?.is_dead { Answer::Dead } else { Answer::Done })
            }
            Call::Declare { .. } => {
                Some(if calls::declared(answer).ok()?.1 { Answer::Dead } else { Answer::Done })
            }
            Call::Collect { .. } => {
                let taken: Vec<Money> = redis::from_redis_value(answer).ok()?;
                taken.first().copied().map(Answer::Taken)
            }
            Call::Credit { .. } | Call::Load { .. } => {
                let done: Vec<i64> = redis::from_redis_value(answer).ok()?;
                Some(if done == [1] { Answer::Done } else { Answer::Unmoved })
            }
            Call::Posted { .. } => Some(if number(&answer)? == 1 { Answer::Done } else { Answer::Unmoved }),
            Call::Reap { .. } => Some(if number(&answer)? == 0 { Answer::Done } else { Answer::Unmoved }),
            Call::Bury { .. } => (number(&answer)? == 0).then_some(Answer::Done),
            Call::Withdrawn { .. } => Some(Answer::Done),
        }
    }

    /// The model tells apart what some scripts answer alike.
    pub(crate) fn as_answered(&self, call: &Call, answer: Answer) -> Answer {
        match (call, answer) {
            (Call::Beat { .. } | Call::Declare { .. } | Call::Withdrawn { .. }, Answer::Unmoved) => {
                Answer::Done
            }
            _ => answer,
        }
    }

    fn held(&self, held: &Held) -> Answer {
        match held {
            Held::Granted { amount, parts } => {
                let reserved = parts.first().map_or(0, |part| part.amount);
                Answer::Granted(money(amount.0), money(reserved))
            }
            Held::Credits { .. } => Answer::NoCredits,
            Held::Limit { .. } => Answer::NoLimit,
            Held::Cold => Answer::Cold,
            Held::Wait => Answer::Wait,
            Held::Dead => Answer::Dead,
            Held::Small => Answer::TooSmall,
            Held::Gone => Answer::Nothing,
        }
    }

    fn counter(&self) -> Option<Counter> {
        self.limit.map(|limit| Counter {
            id: COUNTER.to_owned(),
            measure: Measure::Spend,
            limit: i64::from(limit),
            window: Window::Fixed { seconds: SECONDS },
        })
    }

    fn wanted(&self, id: Uuid, amount: Money, floor: Money, record: Vec<u8>) -> Wanted {
        let part = |counter| WantedPart { counter, amount: i64::from(amount), floor: i64::from(floor) };
        Wanted {
            id,
            is_lease: false,
            account: ACCOUNT,
            needs: Needs::Credits,
            amount: nanos(amount),
            least: Nanos(0),
            floor: nanos(floor),
            counters: self.counter().into_iter().map(part).collect(),
            record,
        }
    }

    fn counters(&self) -> Vec<(String, i64)> {
        self.limit.iter().map(|_| (COUNTER.to_owned(), WINDOW)).collect()
    }

    fn group(&self, place: usize, settled: &crate::calls::Settled) -> Group {
        let part = settled.part.unwrap_or(0);
        let used = self.limit.iter().map(|_| (i64::from(settled.charge), i64::from(part))).collect();
        Group {
            incarnation: incarnation(settled.start),
            own: Some(record(settled.request)),
            lease: settled.part.map(|_| lease(settled.start)),
            account: ACCOUNT,
            counters: self.counters(),
            records: vec![Settled { place, charge: nanos(settled.charge), part: nanos(part), used }],
        }
    }

    fn given_back(&self, start: u8, given: GiveBack) -> LeaseBack {
        let parts = self.limit.iter().map(|_| (COUNTER.to_owned(), WINDOW, i64::from(given.reserved)));
        LeaseBack {
            id: lease(start),
            state: if given.ends { LeaseState::Ended } else { LeaseState::Closed },
            amount: nanos(given.credits),
            parts: parts.collect(),
        }
    }

    fn declared(&self, hold: &crate::calls::Declared) -> Declared {
        let &crate::calls::Declared { request, amount, floor, step } = hold;
        let reserved =
            self.limit.iter().map(|_| (COUNTER.to_owned(), WINDOW, i64::from(amount), i64::from(floor)));
        Declared {
            id: record(request),
            account: ACCOUNT,
            amount: nanos(amount),
            floor: nanos(floor),
            reported: Nanos(0),
            step: u32::from(step),
            reserved: reserved.collect(),
            record: vec![b'0' + request],
        }
    }
}

fn nanos(amount: Money) -> Nanos {
    Nanos(i64::from(amount))
}

/// What is out of the model's range is certainly wrong, and stays wrong as its least amount.
pub(crate) fn money(amount: i64) -> Money {
    Money::try_from(amount).unwrap_or(Money::MIN)
}
