//! What an expression speaks of, for whoever checks a policy before it serves.

use std::collections::BTreeSet;

use super::node::Side;
use super::scope::Namespace;

/// What an expression speaks of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Uses {
    /// The parts of what there is to know.
    pub namespaces: BTreeSet<Namespace>,
    /// Headers of the request that are named, in lower case.
    pub request_headers: BTreeSet<String>,
    /// Headers of the answer that are named, in lower case.
    pub response_headers: BTreeSet<String>,
    /// Secrets that are named.
    pub secrets: BTreeSet<SecretName>,
    /// Whether a secret is asked for by a name that is computed.
    pub computed_secrets: bool,
    /// Variables of `vars` that are named.
    pub vars: BTreeSet<String>,
    /// Actions whose results are named, as in `actions.ngrok.rate_limit`.
    pub actions: BTreeSet<String>,
    /// Whether the results of actions are asked for together, or by a name that is computed.
    pub all_actions: bool,
}

/// A secret as expressions name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretName {
    /// The vault; without one, the name must be the only such name, or be in the vault `default`.
    pub vault: Option<String>,
    /// The secret in it.
    pub name: String,
}

impl Uses {
    pub(super) fn headers(&mut self, side: Side) -> &mut BTreeSet<String> {
        match side {
            Side::Request => &mut self.request_headers,
            Side::Response => &mut self.response_headers,
        }
    }

    /// Adds what another expression speaks of.
    pub fn merge(&mut self, other: &Uses) {
        let Uses {
            namespaces,
            request_headers,
            response_headers,
            secrets,
            computed_secrets,
            vars,
            actions,
            all_actions,
        } = other;
        self.namespaces.extend(namespaces);
        self.request_headers.extend(request_headers.iter().cloned());
        self.response_headers.extend(response_headers.iter().cloned());
        self.secrets.extend(secrets.iter().cloned());
        self.computed_secrets |= computed_secrets;
        self.vars.extend(vars.iter().cloned());
        self.actions.extend(actions.iter().cloned());
        self.all_actions |= all_actions;
    }

    /// Whether the result of an action may be read.
    pub fn reads_result_of(&self, action: &str) -> bool {
        self.all_actions || self.actions.contains(action)
    }
}
