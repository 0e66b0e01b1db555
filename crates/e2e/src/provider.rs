//! The provider's side of a story: what reached it, what it billed, and the gate that it keeps.

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::http::call;
use crate::system::System;

/// A request that reached the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// What the story calls it, if it bears an id.
    pub id: Option<String>,
    /// How far it came: `answered`, `cancelled`, `broken`, or what comes before.
    pub state: String,
    /// What is billed for it.
    pub billed: Billed,
    /// How many tokens its answer may have, if it says so.
    pub output_limit: Option<u64>,
}

/// Tokens that a provider bills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Billed {
    /// Read, cached ones among them.
    pub input: u64,
    /// Read from the cache.
    pub cached: u64,
    /// Produced, those out of sight among them.
    pub output: u64,
}

impl Billed {
    /// In nano-dollars, at what `gpt-4o-mini` costs: $0.15, $0.075 and $0.60 a million.
    pub fn nanos(self) -> i64 {
        let nanos = (self.input - self.cached) * 150 + self.cached * 75 + self.output * 600;
        i64::try_from(nanos).expect("a small sum")
    }
}

impl Arrival {
    fn of(request: &Value) -> Self {
        let tokens = |member: &str| request["billed"][member].as_u64().unwrap_or_default();
        Self {
            id: request["test_id"].as_str().map(str::to_owned),
            state: request["state"].as_str().unwrap_or_default().to_owned(),
            billed: Billed {
                input: tokens("input_tokens"),
                cached: tokens("cached_tokens"),
                output: tokens("output_tokens"),
            },
            output_limit: request["output_limit"].as_u64(),
        }
    }

    /// Whether nothing more will happen to it.
    pub fn is_over(&self) -> bool {
        matches!(&*self.state, "answered" | "cancelled" | "broken")
    }
}

impl System {
    /// The requests that reached the provider, oldest first, as it lists them.
    pub async fn reached_the_provider(&self) -> anyhow::Result<Vec<Value>> {
        let answer = crate::http::get(&format!("{}/_simulator/requests", self.simulator_url())).await?;
        let list = answer.json().as_array().cloned();
        list.with_context(|| format!("the simulator's list of requests, not {}", answer.text()))
    }

    /// The requests that reached the provider, oldest first.
    pub async fn arrivals(&self) -> anyhow::Result<Vec<Arrival>> {
        Ok(self.reached_the_provider().await?.iter().map(Arrival::of).collect())
    }

    /// Makes the provider forget what reached it so far, which is no part of the story.
    pub async fn forget_arrivals(&self) -> anyhow::Result<()> {
        let answer = call("DELETE", format!("{}/_simulator/requests", self.simulator_url())).send().await?;
        ensure!(answer.status == 200, "forget the requests: {}", answer.text());
        Ok(())
    }

    /// Waits until so many answers wait at the provider's gate, at most a minute.
    pub async fn wait_at_gate(&self, waiting: usize) -> anyhow::Result<()> {
        let url = format!("{}/_simulator/gate?waiting={waiting}", self.simulator_url());
        let answer = call("GET", url).send().await;
        let answer = answer.with_context(|| format!("{waiting} at the gate"))?;
        ensure!(answer.json()["waiting"].as_u64() >= Some(waiting as u64), "{}", answer.text());
        Ok(())
    }

    /// How many answers wait at the provider's gate now.
    pub async fn waiting_at_gate(&self) -> anyhow::Result<usize> {
        let answer = crate::http::get(&format!("{}/_simulator/gate", self.simulator_url())).await?;
        let waiting = answer.json()["waiting"].as_u64().context("a number")?;
        Ok(usize::try_from(waiting)?)
    }

    /// Lets all answers through the provider's gate.
    pub async fn open_gate(&self) -> anyhow::Result<()> {
        call("PUT", format!("{}/_simulator/gate", self.simulator_url())).send().await?;
        Ok(())
    }

    /// Closes the provider's gate again for those who come from now on.
    pub async fn close_gate(&self) -> anyhow::Result<()> {
        call("DELETE", format!("{}/_simulator/gate", self.simulator_url())).send().await?;
        Ok(())
    }
}
