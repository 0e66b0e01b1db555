//! `restrict-ips`: who may come, by the address of the connection; headers have no say in it.
//!
//! An address may come if an `allow` range has it and no `deny` range does. Without any `allow` every address
//! may come that is not denied.

use std::net::IpAddr;

use http::StatusCode;
use ipnet::IpNet;

use super::Next;
use crate::actions::texts::short_text;
use crate::document::place::Place;
use crate::facts::Facts;
use crate::phase::Phase;
use crate::problem::Code;
use crate::run::{Answer, Exchange, Failure, Refusal};
use crate::template::Template;
use crate::value::Value;

/// Ranges that may come and ranges that may not.
pub struct RestrictIps {
    pub(super) enforce: bool,
    allow: Vec<Range>,
    deny: Vec<Range>,
    /// Ids of ranges that are kept elsewhere.
    ip_policies: Vec<String>,
}

enum Range {
    Fixed(IpNet),
    Computed(Template),
}

impl RestrictIps {
    pub(crate) fn read(place: &Place<'_>) -> Option<Self> {
        let fields = place.fields(&["enforce", "allow", "deny", "ip_policies"])?;
        let enforce = fields.or("enforce", true, Place::boolean);
        let allow = fields.or("allow", Vec::new(), |place| place.list(0..=1000, Range::read));
        let deny = fields.or("deny", Vec::new(), |place| place.list(0..=1000, Range::read));
        let ip_policies = fields.or("ip_policies", Vec::new(), |place| place.list(0..=20, ip_policy));
        let this = Self { enforce: enforce?, allow: allow?, deny: deny?, ip_policies: ip_policies? };
        if this.allow.is_empty() && this.deny.is_empty() && this.ip_policies.is_empty() {
            return place.wrong(Code::Missing, "At least one range is needed under `allow` or `deny`.");
        }
        Some(this)
    }

    /// The ids of ranges that are kept elsewhere.
    pub(crate) fn ip_policies(&self) -> &[String] {
        &self.ip_policies
    }

    pub(crate) fn act(&self, exchange: &mut Exchange) -> Result<Next, Failure> {
        let client = exchange.arrival.connection.client_ip.to_canonical();
        let verdict = exchange.look(|facts| {
            // Whoever serves a policy has their ranges in their place.
            if !self.ip_policies.is_empty() {
                return Err(Failure::unavailable("the ranges of an IP policy are not known here"));
            }
            if let Some(range) = first(&self.deny, client, facts)? {
                return Ok((false, Some(range)));
            }
            let allowed = first(&self.allow, client, facts)?;
            Ok::<_, Failure>((self.allow.is_empty() || allowed.is_some(), allowed))
        });
        let (allowed, matched) = match verdict {
            Ok(verdict) => verdict,
            Err(failure) if self.enforce => return Err(failure),
            Err(failure) => {
                let error = Value::map([("message", Value::from(failure.to_string()))]);
                exchange.found("restrict_ips", [("action", "deny".into()), ("error", error)]);
                return Ok(Next::Go);
            }
        };
        let matched = matched.map_or(Value::Null, |range| range.to_string().into());
        let action = if allowed { "allow" } else { "deny" };
        exchange.found("restrict_ips", [("action", action.into()), ("matched_cidr", matched)]);
        if allowed || !self.enforce {
            return Ok(Next::Go);
        }
        debug_assert_ne!(exchange.phase, Phase::Message);
        let message = "This address may not use the gateway.";
        Ok(Next::End(Answer::Refused(Refusal::new(StatusCode::FORBIDDEN, Some(3203), message))))
    }
}

/// The id of an IP policy.
fn ip_policy(place: &Place<'_>) -> Option<String> {
    let id = place.text_of(1..=64)?;
    if place.operator().ip_policies.as_ref().is_some_and(|known| !known.contains(&id)) {
        return place.wrong_so(
            Code::Missing,
            "There is no IP policy with this id.",
            "Make one at `/ip_policies`, or write the ranges under `allow` and `deny`.",
        );
    }
    Some(id)
}

impl Range {
    fn read(place: &Place<'_>) -> Option<Self> {
        let text = place.text()?;
        if text.contains("${") {
            return place.template().map(Self::Computed);
        }
        match text.parse::<IpNet>() {
            Ok(range) => Some(Self::Fixed(range)),
            Err(_) => place.wrong_so(
                Code::Cidr,
                "This is not a range of addresses.",
                match text.parse::<IpAddr>() {
                    Ok(IpAddr::V4(_)) => "A single address is written with `/32` behind it.",
                    Ok(IpAddr::V6(_)) => "A single address is written with `/128` behind it.",
                    Err(_) => "Write it as `203.0.113.0/24` or `2001:db8::/32`.",
                },
            ),
        }
    }

    fn net(&self, facts: &Facts<'_>) -> Result<IpNet, Failure> {
        match self {
            Self::Fixed(net) => Ok(*net),
            Self::Computed(template) => {
                let text = short_text(template, facts, 64)?;
                text.as_str().parse().map_err(|_| Failure::evaluation("a range that was computed is not one"))
            }
        }
    }
}

/// The first range that has the address; all of them are computed, so that one that cannot be is noticed.
fn first(ranges: &[Range], client: IpAddr, facts: &Facts<'_>) -> Result<Option<IpNet>, Failure> {
    let mut found = None;
    for range in ranges {
        let net = range.net(facts)?;
        if found.is_none() && has(net, client) {
            found = Some(net);
        }
    }
    Ok(found)
}

/// Whether a range has an address; IPv4 addresses that are written as IPv6 are what they are. A range of IPv6
/// has them only if it is one of such addresses: `::/0` is not every IPv4 address besides.
fn has(net: IpNet, client: IpAddr) -> bool {
    match (net, client) {
        (IpNet::V6(net), IpAddr::V4(client)) => {
            net.prefix_len() >= 96 && net.contains(&client.to_ipv6_mapped())
        }
        _ => net.contains(&client),
    }
}
