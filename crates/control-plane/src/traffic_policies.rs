//! Traffic policies as they come in: each is checked before it is kept, so that what proxies are told
//! can be obeyed.

use std::collections::BTreeMap;

use egress::TrustedHosts;
use model::AccountId;
use model::document::Mistake;
use model::id::GatewayInternalId;
use model::traffic_policy::LONGEST;
use policy::ip_policies::{Ranges, with_ranges};
use policy::{Operator, Policy};
use store::ip_policies::{self, IpPolicyId, Naming};
use store::{ConfigTx, StoreError, gateways};
use uuid::Uuid;

pub(crate) use policy::Problems;

/// Why a policy is not kept.
#[derive(Debug)]
pub(crate) enum Unusable {
    /// It is longer than any needs to be.
    TooLong,
    /// It has mistakes.
    Problems(Problems),
    /// The ranges of its IP policies cannot stand in their place.
    Unwritten,
}

/// What a policy is told that has what JSON does not.
pub(crate) const UNWRITTEN: &str = "a policy that names IP policies has no numbers that JSON does not have";

/// What a policy that is too long is told.
pub(crate) const TOO_LONG: &str = "a traffic policy has at most 131072 bytes";

/// Whether a policy can be obeyed.
pub(crate) fn check(text: &str, operator: &Operator) -> Result<Policy, Unusable> {
    if text.len() > LONGEST {
        return Err(Unusable::TooLong);
    }
    Policy::parse(text, operator).map_err(Unusable::Problems)
}

/// Why a policy was not kept.
#[derive(Debug)]
pub(crate) enum NotKept {
    /// It cannot be obeyed.
    Unusable(Unusable),
    /// Its gateway is gone.
    NoGateway,
    /// Something went wrong with the database.
    Store(StoreError),
}

impl From<StoreError> for NotKept {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Unusable> for NotKept {
    fn from(unusable: Unusable) -> Self {
        Self::Unusable(unusable)
    }
}

/// Checks a gateway's policy, and keeps it as it stands; proxies are told the ranges of the IP policies that
/// it names in their place.
pub(crate) async fn keep(
    tx: &mut ConfigTx,
    account: AccountId,
    gateway: GatewayInternalId,
    text: &str,
    operator: &Operator,
) -> Result<(), NotKept> {
    if text.len() > LONGEST {
        return Err(Unusable::TooLong.into());
    }
    let anything = Operator { ip_policies: None, ..operator.clone() };
    let named = Policy::parse(text, &anything).map_or_else(|_| Vec::new(), |policy| ids(&policy));
    if !named.is_empty() {
        ip_policies::hold(tx, account, &named).await?;
    }
    let found = ranges(tx, account, &named).await?;
    let ip_policies = Some(found.keys().cloned().collect());
    check(text, &Operator { ip_policies, ..operator.clone() })?;
    if !gateways::set_traffic_policy(tx, account, gateway, Some(text)).await? {
        return Err(NotKept::NoGateway);
    }
    if !named.is_empty() {
        let served = served(text, &found, operator)?;
        ip_policies::set_served(tx, account, gateway, Some(&served), &named).await?;
    }
    Ok(())
}

/// Tells proxies what the policies come to that name an IP policy whose rules have changed. Other IP policies
/// that they name are read as they are: whoever is changing one of them comes here next.
pub(crate) async fn write_anew(
    tx: &mut ConfigTx,
    account: AccountId,
    changed: IpPolicyId,
    operator: &Operator,
) -> Result<(), NotKept> {
    for Naming { gateway, traffic_policy, names } in ip_policies::named_by(tx, account, changed).await? {
        let found = ranges(tx, account, &names).await?;
        let served = served(&traffic_policy, &found, operator)?;
        ip_policies::set_served(tx, account, gateway, Some(&served), &names).await?;
    }
    Ok(())
}

/// The policy as proxies are told it, who know no IP policies: it is checked as they will.
fn served(text: &str, ranges: &BTreeMap<String, Ranges>, operator: &Operator) -> Result<String, Unusable> {
    let unwritten = || Unusable::Unwritten;
    let served = with_ranges(text, ranges).ok_or_else(unwritten)?;
    Policy::parse(&served, operator).map_err(Unusable::Problems)?;
    Ok(served)
}

async fn ranges(
    tx: &mut ConfigTx,
    account: AccountId,
    ids: &[IpPolicyId],
) -> Result<BTreeMap<String, Ranges>, StoreError> {
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let found = ip_policies::ranges(tx, account, ids).await?.into_iter();
    Ok(found
        .map(|(id, ip_policies::Ranges { allow, deny })| (shown_id(id), Ranges { allow, deny }))
        .collect())
}

/// The IP policies that a policy names; what is no id is left out, as nothing has it.
fn ids(policy: &Policy) -> Vec<IpPolicyId> {
    policy.ip_policies().into_iter().filter_map(ip_policy_id).collect()
}

const PREFIX: &str = "ipp_";

/// An IP policy's id as it is shown.
pub(crate) fn shown_id(IpPolicyId(id): IpPolicyId) -> String {
    format!("{PREFIX}{}", id.simple())
}

/// The id of an IP policy in the one way in which it is shown.
pub(crate) fn ip_policy_id(text: &str) -> Option<IpPolicyId> {
    let id = IpPolicyId(Uuid::try_parse(text.strip_prefix(PREFIX)?).ok()?);
    (shown_id(id) == text).then_some(id)
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
            Unusable::Unwritten => vec![Mistake { path: at(""), message: UNWRITTEN.to_owned() }],
            Unusable::Problems(problems) => problems
                .iter()
                .map(|problem| Mistake { path: at(&problem.path), message: problem.to_string() })
                .collect(),
        }
    }
}
