//! Postgres and Redis for an errand: those that the environment names, or private ones.

use std::env;

use anyhow::{Context as _, Result};

use crate::checkout::Checkout;
use crate::children::Children;
use crate::packages::{self, Need};
use crate::ports::Turn;
use crate::postgres::{self, Durability};
use crate::progress::{note, step};
use crate::redis;

/// Where they are.
pub(crate) struct Services {
    pub(crate) database_url: String,
    pub(crate) redis_url: String,
}

/// Installs what is missing and starts what is not there.
pub(crate) fn start(checkout: &Checkout, children: &Children, durability: Durability) -> Result<Services> {
    let database_url = env::var("DATABASE_URL").ok().filter(|url| !url.is_empty());
    let redis_url = env::var("REDIS_URL").ok().filter(|url| !url.is_empty());

    let mut missing = Vec::new();
    if database_url.is_none() && postgres::binaries(&checkout.data.join("postgres")).is_none() {
        missing.push(Need::Postgres);
    }
    if redis_url.is_none() && redis::server().is_none() {
        missing.push(Need::Redis);
    }
    if packages::on_path("make").is_none() {
        missing.push(Need::Make);
    }
    if !missing.is_empty() {
        step(&format!("Installing {missing:?}"), || packages::install(children, &missing))?;
    }

    step("Starting Postgres and Redis", || {
        let mut turn = Turn::wait();
        let database_url = match database_url {
            Some(url) => url,
            None => postgres::start(checkout, children, &mut turn, durability).context("Postgres")?,
        };
        let redis_url = match redis_url {
            Some(url) => url,
            None => {
                if durability == Durability::Expendable {
                    redis::wipe(checkout);
                }
                redis::start(checkout, children, &mut turn).context("Redis")?
            }
        };
        note(&format!("Postgres at {}, Redis at {}", address(&database_url), address(&redis_url)));
        Ok(Services { database_url, redis_url })
    })
}

/// The part of a URL that is no secret.
fn address(url: &str) -> &str {
    let address = url.split_once("://").map_or(url, |(_, rest)| rest);
    let address = address.rsplit_once('@').map_or(address, |(_, rest)| rest);
    address.split(['/', '?']).next().unwrap_or(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_of_a_url_holds_no_password() {
        assert_eq!(address("postgres://tollgate:secret@127.0.0.1:15432/tollgate"), "127.0.0.1:15432");
        assert_eq!(address("redis://:secret@localhost:6379"), "localhost:6379");
        assert_eq!(address("redis://localhost"), "localhost");
    }
}
