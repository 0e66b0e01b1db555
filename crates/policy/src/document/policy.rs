//! A policy: the rules of each phase, read, checked and compiled.

use std::collections::HashMap;
use std::sync::Arc;

use super::place::{Findings, Place, all};
use super::{Value, parse};
use crate::actions::Action;
use crate::actions::ai_gateway::{AiGateway, Provider};
use crate::document::short;
use crate::expression::{Expression, Uses};
use crate::operator::Operator;
use crate::phase::Phase;
use crate::problem::{Code, Problems, nearest};

/// How many rules a policy may have.
const MOST_RULES: usize = 200;
/// How many actions a rule may have.
const MOST_ACTIONS: usize = 50;
/// How many conditions a rule may have.
const MOST_EXPRESSIONS: usize = 50;

/// A traffic policy, ready to be evaluated.
#[derive(Default)]
pub struct Policy {
    phases: [Vec<Rule>; 4],
    uses: Uses,
}

/// What is done when all conditions hold.
pub struct Rule {
    /// What its author calls it.
    pub name: Option<String>,
    pub(crate) expressions: Vec<Expression>,
    pub(crate) actions: Vec<Action>,
    /// Where it stands, for messages.
    pub(crate) path: Arc<str>,
}

/// Only how many rules there are: what stands in them may be a secret.
impl std::fmt::Debug for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(Phase::ALL.map(|phase| (phase.name(), self.rules(phase).len()))).finish()
    }
}

impl Policy {
    /// Reads and checks a document, YAML or JSON. All that is wrong with it is reported at once.
    pub fn parse(text: &str, operator: &Operator) -> Result<Self, Problems> {
        let node = parse(text)?;
        let findings = Findings::default();
        let policy = Self::read(&Place::root(&node, &findings, operator));
        match (Problems::found(findings.problems.into_inner()), policy) {
            (None, Some(policy)) => Ok(Self { uses: findings.uses.into_inner(), ..policy }),
            (Some(problems), _) => Err(problems),
            // Whoever returns `None` has said why; should somebody forget, the document is still refused.
            (None, None) => Err(super::refused(node.at, "This document cannot be read as a policy.")),
        }
    }

    fn read(place: &Place<'_>) -> Option<Self> {
        let Value::Map(entries) = place.value() else {
            return place.wrong_so(
                Code::Document,
                "A policy is a map of phases to lists of rules.",
                "Begin with `on_http_request:`.",
            );
        };
        let mut policy = Self::default();
        let mut right = true;
        for (entry, (name, value)) in entries.iter().zip(place.entries(0..=100)?) {
            let Some(phase) = Phase::ALL.into_iter().find(|phase| phase.name() == name) else {
                right = false;
                unknown_phase(&name, &place.name_of(entry));
                continue;
            };
            // An empty phase is what a person leaves who comments the last rule out.
            if *value.value() == Value::Null {
                continue;
            }
            match rules(&value.within(phase)) {
                Some(rules) => policy.phases[phase as usize] = rules,
                None => right = false,
            }
        }
        if policy.phases.iter().map(Vec::len).sum::<usize>() > MOST_RULES {
            return place.wrong(Code::TooManyRules, format!("A policy may have {MOST_RULES} rules."));
        }
        if right {
            policy.check_costs(place)?;
            policy.number_circuits();
            policy.check_gateways(place)?;
        }
        right.then_some(policy)
    }

    /// What costs more than a few steps of an expression may not stand in a policy without end.
    fn check_costs(&self, place: &Place<'_>) -> Option<()> {
        let mut counted: HashMap<&'static str, usize> = HashMap::new();
        for action in self.phases.iter().flatten().flat_map(|rule| &rule.actions) {
            if let Some((what, cost, most)) = action.cost() {
                let sum = counted.entry(what).or_default();
                *sum += cost;
                if *sum > most {
                    return place.wrong(Code::TooMany, format!("A policy may have {most} {what}."));
                }
            }
        }
        Some(())
    }

    fn check_gateways(&self, place: &Place<'_>) -> Option<()> {
        let rules = self.rules(Phase::Request);
        let gateways: Vec<&Rule> = rules
            .iter()
            .flat_map(|rule| rule.actions.iter().map(move |action| (rule, action)))
            .filter(|(_, action)| matches!(action, Action::AiGateway(_)))
            .map(|(rule, _)| rule)
            .collect();
        let request = place.entries(0..=100)?.into_iter().find(|(name, _)| name == Phase::Request.name());
        let at = |rule: &Rule| {
            let (_, place) = request.as_ref()?;
            let index = rules.iter().position(|other| std::ptr::eq(other, rule))?;
            place.items(0..=usize::MAX)?.into_iter().nth(index)
        };
        if let [_, second, ..] = gateways.as_slice() {
            return at(second)?
                .wrong(Code::SecondGateway, "A policy has one `ai-gateway` action; this is another.");
        }
        let Some(rule) = gateways.first() else { return Some(()) };
        if !rules.iter().any(Rule::always_answers) {
            return at(rule)?.wrong_so(
                Code::Unhandled,
                "A request may reach the end of `on_http_request` unanswered.",
                "End with a rule without expressions that answers, such as a `custom-response`.",
            );
        }
        Some(())
    }

    fn number_circuits(&mut self) {
        let mut circuit = 0;
        for action in self.phases.iter_mut().flatten().flat_map(|rule| &mut rule.actions) {
            if let Action::CircuitBreaker(breaker) = action {
                breaker.number(circuit);
                circuit += 1;
            }
        }
    }

    /// The rules of a phase, in their order.
    pub fn rules(&self, phase: Phase) -> &[Rule] {
        &self.phases[phase as usize]
    }

    /// Its `ai-gateway` action, if it has one. A policy without one guards a gateway that says itself where
    /// requests go.
    pub fn ai_gateway(&self) -> Option<&AiGateway> {
        self.rules(Phase::Request).iter().flat_map(|rule| &rule.actions).find_map(|action| match action {
            Action::AiGateway(gateway) => Some(&**gateway),
            _ => None,
        })
    }

    /// Whether something stands in front of the providers that may keep a caller out: an action that checks
    /// who calls, or a condition that ends requests. Where nothing does, stored keys are everybody's.
    pub fn keeps_callers_out(&self) -> bool {
        [Phase::Connect, Phase::Request].into_iter().flat_map(|phase| self.rules(phase)).any(|rule| {
            rule.actions.iter().any(Action::authenticates)
                || (!rule.expressions.is_empty()
                    && rule.actions.iter().any(|action| {
                        matches!(action, Action::CustomResponse(_) | Action::Deny(_) | Action::AiGateway(_))
                    }))
        })
    }

    /// The providers for which it brings keys.
    pub fn providers_with_keys(&self) -> impl Iterator<Item = &str> {
        self.offered().filter(|provider| provider.has_keys()).map(|provider| provider.id.as_str())
    }

    /// The servers of the operator's that it asks without a key of its own.
    pub fn servers_without_keys(&self) -> impl Iterator<Item = &str> {
        let is_operators =
            |provider: &&Provider| provider.base_url.as_ref().is_some_and(|base| base.is_operators);
        let without = self.offered().filter(is_operators).filter(|provider| !provider.has_keys());
        without.map(|provider| provider.id.as_str())
    }

    fn offered(&self) -> impl Iterator<Item = &Provider> {
        self.ai_gateway().into_iter().flat_map(|gateway| &gateway.providers).filter(|one| !one.disabled)
    }

    /// What its expressions speak of: the secrets that must be there, for one.
    pub fn uses(&self) -> &Uses {
        &self.uses
    }

    /// Whether the messages of streams must be shown to the policy.
    pub fn reads_messages(&self) -> bool {
        !self.rules(Phase::Message).is_empty()
    }
}

impl Rule {
    /// Where it stands in the document, as in `on_http_request[2]`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether nothing after it is ever looked at.
    fn always_answers(&self) -> bool {
        self.expressions.is_empty() && self.actions.iter().any(Action::terminates)
    }

    /// Whether a request ends when this rule cannot be decided, rather than go on without it.
    pub(crate) fn must_be_decided(&self) -> bool {
        self.actions.iter().any(|action| !action.may_fail())
    }
}

fn unknown_phase(name: &str, place: &Place<'_>) {
    let phases = Phase::ALL.map(Phase::name);
    let advice = match name {
        "inbound" => "This is the older syntax; the phase is called `on_http_request` now.".to_owned(),
        "outbound" => "This is the older syntax; the phase is called `on_http_response` now.".to_owned(),
        _ => match nearest(name, phases) {
            Some(phase) => format!("Did you mean `{phase}`?"),
            None => format!("The phases are {}.", phases.map(|phase| format!("`{phase}`")).join(", ")),
        },
    };
    place.wrong_so::<()>(Code::UnknownField, format!("There is no phase `{}`.", short(name)), advice);
}

fn rules(place: &Place<'_>) -> Option<Vec<Rule>> {
    let places = place.items(0..=usize::MAX)?;
    if places.len() > MOST_RULES {
        return place.wrong(Code::TooManyRules, format!("A policy may have {MOST_RULES} rules."));
    }
    let mut ended = false;
    all(places.iter().map(|place| {
        let rule = Rule::read(place);
        if ended {
            return place.wrong_so(
                Code::Unreachable,
                "No request reaches this rule: one before it answers them all.",
                "Move it up, or give the other rule a condition.",
            );
        }
        ended = rule.as_ref().is_some_and(Rule::always_answers);
        rule
    }))
}

impl Rule {
    fn read(place: &Place<'_>) -> Option<Self> {
        let path: Arc<str> = place.path().into();
        let Value::Map(entries) = place.value() else {
            return place.wrong_so(
                Code::Shape,
                format!("Expected a rule, found {}.", place.value().kind()),
                "Write a map with `actions`, or an action with its `type`.",
            );
        };
        if entries.iter().any(|entry| entry.name == "type") {
            let action = Action::read(place)?;
            return Some(Self { name: None, expressions: Vec::new(), actions: vec![action], path });
        }
        let fields = place.fields(&["name", "expressions", "actions"])?;
        let name = fields.maybe("name", |place| place.text_of(0..=1024));
        let expressions =
            fields.or("expressions", Vec::new(), |place| place.list(0..=MOST_EXPRESSIONS, Place::expression));
        let actions = match fields.get("actions") {
            Some(place) => actions(&place),
            None => place.wrong_so(
                Code::NoAction,
                "This rule does nothing.",
                "Say what it does under `actions`, or give it a `type`.",
            ),
        };
        Some(Self { name: name?, expressions: expressions?, actions: actions?, path })
    }
}

fn actions(place: &Place<'_>) -> Option<Vec<Action>> {
    let places = place.items(0..=usize::MAX)?;
    if places.is_empty() {
        return place.wrong(Code::NoAction, "This rule does nothing.");
    }
    if places.len() > MOST_ACTIONS {
        return place.wrong(Code::TooManyActions, format!("A rule may have {MOST_ACTIONS} actions."));
    }
    let mut ended = false;
    all(places.iter().map(|place| {
        let action = Action::read(place);
        if ended {
            return place.wrong(Code::Unreachable, "Nothing reaches this action: one before it answers.");
        }
        ended = action.as_ref().is_some_and(Action::terminates);
        action
    }))
}
