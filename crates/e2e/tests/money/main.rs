//! Exact money, with real processes: whatever happens, each request that reached the provider is charged once, no
//! balance is overspent, and the books balance to the nano-dollar.

mod deaths;
mod desks;
mod endings;
mod losses;
mod parallel;
mod streams;

use std::ops::Range;
use std::time::Duration;

use anyhow::ensure;
use e2e::books::{self, Books};
use e2e::credits::{Asker, question};
use e2e::process::Running;
use e2e::system::{System, Wish};
use e2e::tenant::Tenant;
use e2e::traffic::Traffic;

/// A cent: enough to begin with, less than any story needs.
const CENT: i64 = 10_000_000;

/// More than any story uses up.
const FIVE_DOLLARS: i64 = 5_000_000_000;

/// Two proxies, one tenant with credits, and the operator's key.
struct Stage {
    system: System,
    tenant: Tenant,
    asker: Asker,
    granted: i64,
}

impl Stage {
    async fn set() -> anyhow::Result<Self> {
        Self::set_with(Wish::default()).await
    }

    async fn set_with(wish: Wish) -> anyhow::Result<Self> {
        let system = System::start_with(Wish { more_proxies: 1, ..wish }).await?;
        let tenant = system.tenant("tenant").await?;
        system.store_operator_key().await?;
        system.grant(&tenant, CENT).await?;
        let asker = system.asker(&tenant).await?;
        Ok(Self { system, tenant, asker, granted: CENT })
    }

    /// A tenant who can afford everything.
    async fn rich(wish: Wish) -> anyhow::Result<Self> {
        let mut stage = Self::set_with(wish).await?;
        stage.leave_exactly(FIVE_DOLLARS).await?;
        Ok(stage)
    }

    /// What is set aside for one question with wishes of this length.
    async fn hold_of(&self, wishes: &str) -> anyhow::Result<i64> {
        let id = "request-999999";
        self.system.open_gate().await?;
        let answer = self.asker.ask(self.system.url(), id, &question(id, wishes)).send().await?;
        ensure!(answer.status == 200, "the first question: {} {}", answer.status, answer.text());
        let of_it = |records: &[e2e::records::Record]| records.iter().any(|record| record.event_id == id);
        let records = self.system.records_when("the first question's record", of_it).await?;
        self.system.close_gate().await?;
        let record = records.into_iter().find(|record| record.event_id == id);
        let hold = record.and_then(|record| record.hold);
        hold.ok_or_else(|| anyhow::anyhow!("the first question was not held for"))
    }

    /// Sees to it that the tenant, who must have less, has exactly this much.
    async fn leave_exactly(&mut self, nanos: i64) -> anyhow::Result<()> {
        self.granted += self.system.grant_up_to(&self.tenant, nanos).await?;
        Ok(())
    }

    /// Sends questions of these numbers, so many at a time, by turns through the proxies.
    fn ask(&self, numbers: Range<usize>, lanes: usize, wishes: &str) -> Traffic {
        self.ask_for(Duration::ZERO, numbers, lanes, wishes)
    }

    /// The same by callers who come again when they are told to.
    fn ask_patiently(&self, numbers: Range<usize>, lanes: usize, wishes: &str) -> Traffic {
        self.ask_for(Duration::from_secs(50), numbers, lanes, wishes)
    }

    fn ask_for(&self, patience: Duration, numbers: Range<usize>, lanes: usize, wishes: &str) -> Traffic {
        let urls: Vec<String> = self.system.proxies.iter().map(|proxy| proxy.url.clone()).collect();
        let (asker, wishes) = (self.asker.clone(), wishes.to_owned());
        Traffic::of(numbers, lanes, patience, move |number, id| {
            asker.ask(&urls[number % urls.len()], id, &question(id, &wishes))
        })
    }

    /// Checks everything that must be true when a story is over.
    async fn the_books_balance(&self) -> anyhow::Result<Books> {
        books::balanced(&self.system, &self.tenant, self.granted).await
    }

    /// The process of a proxy.
    fn proxy(&mut self, number: usize) -> &mut Running {
        &mut self.system.proxies[number].running
    }
}

/// Every request whose answer came whole was charged exactly what the provider billed, and every other at most that
/// which had been set aside for it.
fn each_was_charged_what_was_billed(books: &Books) -> anyhow::Result<()> {
    for (id, arrival) in &books.arrivals {
        let record = &books.records[id];
        let billed = arrival.billed.nanos();
        match &*record.outcome {
            "abandoned" => {
                let (floor, hold) = (record.floor.unwrap_or_default(), record.hold.unwrap_or_default());
                ensure!((floor..=hold).contains(&record.charge), "not within its hold: {record:#?}");
            }
            _ => ensure!(record.charge == billed, "{billed} were billed for {arrival:#?}, but {record:#?}"),
        }
    }
    Ok(())
}
