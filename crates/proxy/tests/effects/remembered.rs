//! What is counted and remembered in the process, and what is told of it.

use std::time::{Duration, Instant};

use policy::actions::circuit_breaker::Breaker;
use policy::run::{BodyWanted, Count, Counted, Effect, Outcome, Passage};
use prometheus::Registry;
use proxy::config::Policies;
use proxy::effects::{Effects, Fared, outcome, outcome_at};

use crate::{at_home, whose};

fn count() -> Effect {
    Effect::Count(Count {
        name: "secret-name".into(),
        bucket: "b0".to_owned(),
        capacity: 1,
        window: Duration::from_secs(60),
    })
}

fn breaker() -> Breaker {
    Breaker {
        circuit: 0,
        error_threshold: 0.5,
        volume_threshold: 1,
        window: Duration::from_secs(10),
        tripped: Duration::from_secs(10),
    }
}

#[tokio::test]
async fn requests_are_counted_for_each_gateway_to_the_edge_of_the_window() {
    let (effects, start) = (at_home(), Instant::now());
    let counted = async |gateway, millis| {
        let now = start + Duration::from_millis(millis);
        match outcome_at(&effects, whose(1, gateway), count(), now).await {
            Outcome::Count(Ok(counted)) => counted,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(counted(1, 1000).await, Counted::Within);
    let retry_after = Duration::from_millis(1);
    assert_eq!(counted(1, 60_999).await, Counted::Exceeded { retry_after });
    assert_eq!(counted(2, 60_999).await, Counted::Within);
    assert_eq!(counted(1, 61_000).await, Counted::Within);
}

#[tokio::test]
async fn a_circuit_opens_rests_lets_one_try_and_closes() {
    let (effects, start) = (at_home(), Instant::now());
    let at = |seconds| start + Duration::from_secs(seconds);
    let passage = async |gateway, seconds| match outcome_at(
        &effects,
        whose(1, gateway),
        Effect::Breaker(breaker()),
        at(seconds),
    )
    .await
    {
        Outcome::Breaker(Ok(passage)) => passage,
        other => panic!("{other:?}"),
    };
    assert_eq!(passage(1, 0).await, Passage::Allow);
    effects.fared_at(whose(1, 1), &breaker(), at(0), Fared::Badly, at(1));
    assert_eq!(passage(1, 1).await, Passage::Block);
    assert_eq!(passage(2, 1).await, Passage::Allow);
    assert_eq!(passage(1, 11).await, Passage::AllowWhileOpen);
    assert_eq!(passage(1, 11).await, Passage::Block);
    effects.fared_at(whose(1, 1), &breaker(), at(11), Fared::Well, at(12));
    assert_eq!(passage(1, 12).await, Passage::Allow);
}

#[tokio::test]
async fn bodies_and_providers_are_not_to_be_had_here() {
    let (effects, whose) = (at_home(), whose(1, 1));
    for effect in [Effect::RequestBody(BodyWanted::Raw), Effect::ResponseBody(BodyWanted::Plain)] {
        assert!(matches!(outcome(&effects, whose, effect).await, Outcome::Body(Err(_))));
    }
}

#[tokio::test]
async fn effects_are_counted_without_a_word_of_tenants() {
    let registry = Registry::new();
    let policies = Policies { egress: Default::default(), calls: 4, buckets: 4, key_bytes: 4096 };
    let effects = Effects::new(&policies, &registry).unwrap();
    for _ in 0..3 {
        outcome(&effects, whose(1, 1), count()).await;
    }
    outcome(&effects, whose(1, 1), Effect::Breaker(breaker())).await;
    let mut told: Vec<String> = Vec::new();
    for family in registry.gather() {
        for metric in family.get_metric() {
            let labels: Vec<_> = metric.get_label().iter().map(|label| label.value().to_owned()).collect();
            told.push(format!("{} {} {}", family.name(), labels.join(" "), metric.get_counter().get_value()));
        }
    }
    assert_eq!(
        told,
        [
            "tollgate_policy_effects_total breaker allow 1",
            "tollgate_policy_effects_total count exceeded 2",
            "tollgate_policy_effects_total count within 1",
        ]
    );
}
