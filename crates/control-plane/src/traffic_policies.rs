//! Traffic policies as they come in: each is checked before it is kept, so that what proxies are told
//! can be obeyed.

use egress::TrustedHosts;
use model::document::Mistake;
use model::traffic_policy::LONGEST;
use policy::{Operator, Policy};

pub(crate) use policy::Problems;

/// Why a policy is not kept.
#[derive(Debug)]
pub(crate) enum Unusable {
    /// It is longer than any needs to be.
    TooLong,
    /// It has mistakes.
    Problems(Problems),
}

/// What a policy that is too long is told.
pub(crate) const TOO_LONG: &str = "a traffic policy has at most 131072 bytes";

/// Whether a policy can be obeyed.
pub(crate) fn check(text: &str, operator: &Operator) -> Result<Policy, Unusable> {
    if text.len() > LONGEST {
        return Err(Unusable::TooLong);
    }
    Policy::parse(text, operator).map_err(Unusable::Problems)
}

/// What policies may name: the providers of the catalogue, as proxies know them, and what the operator trusts.
pub(crate) fn operator(trusted: &TrustedHosts) -> Operator {
    let known = providers::catalog::all().iter().map(|provider| (provider.id, provider.names()));
    let internal = trusted.internal.iter().map(|host| (&*host.name, &*host.url));
    Operator::of(known).trusting(&trusted.plain, internal)
}

impl From<Unusable> for Vec<Mistake> {
    fn from(unusable: Unusable) -> Self {
        let at = |path: &str| {
            let body = std::iter::once("body".to_owned());
            body.chain((!path.is_empty()).then(|| path.to_owned())).collect()
        };
        match unusable {
            Unusable::TooLong => vec![Mistake { path: at(""), message: TOO_LONG.to_owned() }],
            Unusable::Problems(problems) => problems
                .iter()
                .map(|problem| Mistake { path: at(&problem.path), message: problem.to_string() })
                .collect(),
        }
    }
}
