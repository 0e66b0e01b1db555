//! Key sets: how long they are believed, and who waits for whom.

use std::sync::Arc;
use std::time::{Duration, Instant};

use policy::actions::jwt_validation::KeySet;
use policy::run::{Effect, KeysWanted, Outcome, Unavailable};
use prometheus::Registry;
use proxy::config::Policies;
use proxy::effects::{Effects, Whose, outcome_at};

use crate::server::{Server, answer, redirect};
use crate::{at_home, effects, policies, whose};

fn document(id: &str) -> String {
    let key = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","kid":"{id}","x":"{key}"}}]}}"#)
}

fn set(id: &str) -> String {
    answer(200, &document(id))
}

async fn bring(
    effects: &Effects,
    whose: Whose,
    url: &str,
    fresh: bool,
    now: Instant,
) -> Result<Arc<KeySet>, Unavailable> {
    let effect = Effect::Keys(KeysWanted { url: url.to_owned(), fresh });
    match outcome_at(effects, whose, effect, now).await {
        Outcome::Keys(keys) => keys,
        other => panic!("{other:?}"),
    }
}

/// One gateway, one address, and a clock.
struct Story {
    effects: Effects,
    server: Server,
    start: Instant,
}

impl Story {
    async fn new() -> Self {
        Self { effects: at_home(), server: Server::saying(set("one")).await, start: Instant::now() }
    }

    /// The key that is brought, and how often the server was asked for it.
    async fn at(&mut self, seconds: u64, fresh: bool) -> (Option<&'static str>, usize) {
        let now = self.start + Duration::from_secs(seconds);
        let keys = bring(&self.effects, whose(1, 1), &self.server.url("/keys"), fresh, now).await;
        let id = keys.ok().map(|keys| {
            let told = format!("{keys:?}");
            *["one", "two"].iter().find(|id| told.contains(*id)).unwrap()
        });
        (id, self.server.times())
    }
}

#[tokio::test]
async fn a_set_is_used_for_a_quarter_of_an_hour_and_then_brought_again() {
    let mut story = Story::new().await;
    assert_eq!(story.at(0, false).await, (Some("one"), 1));
    story.server.say(set("two"));
    assert_eq!(story.at(899, false).await, (Some("one"), 0));
    assert_eq!(story.at(900, false).await, (Some("two"), 1));
    assert_eq!(story.at(1799, false).await, (Some("two"), 0));
}

#[tokio::test]
async fn a_missing_key_has_the_set_brought_at_most_once_a_minute() {
    let mut story = Story::new().await;
    assert_eq!(story.at(0, true).await, (Some("one"), 1));
    story.server.say(set("two"));
    assert_eq!(story.at(59, true).await, (Some("one"), 0));
    assert_eq!(story.at(60, true).await, (Some("two"), 1));
    story.server.say(answer(500, ""));
    assert_eq!(story.at(120, true).await, (Some("two"), 1));
    assert_eq!(story.at(179, true).await, (Some("two"), 0));
}

#[tokio::test]
async fn in_an_outage_the_old_set_is_used_until_it_is_an_hour_old() {
    let mut story = Story::new().await;
    assert_eq!(story.at(0, false).await, (Some("one"), 1));
    story.server.say(answer(503, ""));
    assert_eq!(story.at(900, false).await, (Some("one"), 1));
    assert_eq!(story.at(904, false).await, (Some("one"), 0));
    assert_eq!(story.at(905, false).await, (Some("one"), 1));
    assert_eq!(story.at(3599, false).await, (Some("one"), 1));
    assert_eq!(story.at(3600, false).await, (None, 0));
    assert_eq!(story.at(3604, false).await, (None, 1));
    story.server.say(set("two"));
    assert_eq!(story.at(3608, false).await, (None, 0));
    assert_eq!(story.at(3609, false).await, (Some("two"), 1));
}

#[tokio::test]
async fn all_who_ask_at_once_wait_for_one() {
    let effects = Arc::new(at_home());
    let mut server = Server::silent(set("one")).await;
    let now = Instant::now();
    let ask = |server: &Server| {
        let (effects, url) = (Arc::clone(&effects), server.url("/keys"));
        tokio::spawn(async move { bring(&effects, whose(1, 1), &url, false, now).await })
    };
    let waiting: Vec<_> = (0..8).map(|_| ask(&server)).collect();
    server.asked.recv().await.unwrap();
    server.open();
    let mut brought = Vec::new();
    for asked in waiting {
        brought.push(asked.await.unwrap().unwrap());
    }
    assert!(brought.iter().all(|set| Arc::ptr_eq(set, &brought[0])));
    assert_eq!(server.times(), 0);
}

#[tokio::test]
async fn whoever_hangs_up_does_not_stop_what_others_wait_for() {
    let effects = Arc::new(at_home());
    let mut server = Server::silent(set("one")).await;
    let now = Instant::now();
    let ask = |server: &Server| {
        let (effects, url) = (Arc::clone(&effects), server.url("/keys"));
        tokio::spawn(async move { bring(&effects, whose(1, 1), &url, false, now).await })
    };
    let gone = ask(&server);
    server.asked.recv().await.unwrap();
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    let other = ask(&server);
    server.open();
    assert!(other.await.unwrap().is_ok());
    assert_eq!(server.times(), 0);
}

#[tokio::test]
async fn who_can_do_with_the_old_set_does_not_wait_for_the_new_one() {
    let effects = Arc::new(at_home());
    let mut server = Server::silent(set("one")).await;
    let url = server.url("/keys");
    let start = Instant::now();
    let later = start + Duration::from_secs(1000);
    let ask = |now| {
        let (effects, url) = (Arc::clone(&effects), url.clone());
        tokio::spawn(async move { bring(&effects, whose(1, 1), &url, false, now).await })
    };
    // The server says nothing but to whom it is let.
    let first = ask(start);
    server.asked.recv().await.unwrap();
    server.release_one();
    let old = first.await.unwrap().unwrap();
    let bringing = ask(later);
    server.asked.recv().await.unwrap();
    assert!(Arc::ptr_eq(&old, &ask(later).await.unwrap().unwrap()));
    server.open();
    assert!(!Arc::ptr_eq(&old, &bringing.await.unwrap().unwrap()));
}

#[tokio::test]
async fn accounts_do_not_share_what_they_were_brought() {
    let effects = at_home();
    let mut server = Server::saying(set("one")).await;
    let (url, now) = (server.url("/keys"), Instant::now());
    for owner in [whose(1, 1), whose(1, 2), whose(2, 3)] {
        bring(&effects, owner, &url, false, now).await.unwrap();
    }
    assert_eq!(server.times(), 2);
}

#[tokio::test]
async fn the_longest_set_is_kept_however_little_memory_there_is() {
    let effects =
        Effects::new(&Policies { key_bytes: 0, ..policies("127.0.0.0/8") }, &Registry::new()).unwrap();
    let longest = document(&"x".repeat(256 * 1024 - document("").len()));
    let mut server = Server::saying(answer(200, &longest)).await;
    let (url, now) = (server.url("/keys"), Instant::now());
    for _ in 0..3 {
        bring(&effects, whose(1, 1), &url, false, now).await.unwrap();
    }
    assert_eq!(server.times(), 1);
}

#[tokio::test]
async fn what_is_no_key_set_lets_nobody_in() {
    let (now, reached) = (Instant::now(), Server::saying(set("one")).await);
    let huge = document(&"x".repeat(256 * 1024));
    for (number, said) in [
        answer(200, "<html>"),
        answer(200, "{}"),
        answer(404, &document("one")),
        answer(200, &huge),
        redirect(&reached.url("/keys")),
        redirect("/again"),
    ]
    .into_iter()
    .enumerate()
    {
        let server = Server::saying(said).await;
        let brought = bring(&at_home(), whose(1, 1), &server.url("/keys"), false, now).await;
        assert!(brought.is_err(), "answer {number}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up() {
    let effects = at_home();
    let mut server = Server::silent(set("one")).await;
    let (url, now) = (server.url("/keys"), Instant::now());
    assert!(bring(&effects, whose(1, 1), &url, false, now).await.is_err());
    assert_eq!(server.times(), 1);
    // Nobody else waits as long for the same.
    assert!(bring(&effects, whose(1, 1), &url, false, now + Duration::from_secs(4)).await.is_err());
    assert_eq!(server.times(), 0);
}

#[tokio::test]
async fn key_sets_are_not_brought_from_where_nobody_may_reach() {
    let mut server = Server::saying(set("one")).await;
    let port = server.address.port();
    for host in ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "10.0.0.1"] {
        let url = format!("http://{host}:{port}/keys");
        let brought = bring(&effects(""), whose(1, 1), &url, false, Instant::now()).await;
        assert!(brought.is_err(), "{host}");
    }
    assert_eq!(server.times(), 0);
}
