//! What may be done in an account, and which role and which permission group may do it. This is
//! the one table.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::account::Role;

/// One thing that may be done in an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// See the account and its members.
    AccountRead,
    /// Rename the account, manage its members.
    AccountWrite,
    /// Delete the account, make others owner. No token has it.
    AccountOwn,
    /// See API tokens, without their values.
    TokensRead,
    /// Create, change and delete API tokens.
    TokensWrite,
    /// See gateways, keys and logs.
    AiGatewayRead,
    /// Change gateways, gateway tokens and provider keys.
    AiGatewayWrite,
    /// Send requests through the account's gateways.
    AiGatewayRun,
    /// See the balance, the statement and the terms of payment.
    BillingRead,
    /// Buy credits, redeem vouchers, set auto top-up and notices.
    BillingWrite,
}

/// A set of permissions.
pub type Permissions = BTreeSet<Permission>;

impl Permission {
    /// As written in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Permission::AccountRead => "account_read",
            Permission::AccountWrite => "account_write",
            Permission::AccountOwn => "account_own",
            Permission::TokensRead => "tokens_read",
            Permission::TokensWrite => "tokens_write",
            Permission::AiGatewayRead => "ai_gateway_read",
            Permission::AiGatewayWrite => "ai_gateway_write",
            Permission::AiGatewayRun => "ai_gateway_run",
            Permission::BillingRead => "billing_read",
            Permission::BillingWrite => "billing_write",
        }
    }

    /// Reads what `as_str` wrote; a permission that this release does not know grants nothing.
    pub fn from_word(word: &str) -> Option<Self> {
        use Permission::*;
        [
            AccountRead,
            AccountWrite,
            AccountOwn,
            TokensRead,
            TokensWrite,
            AiGatewayRead,
            AiGatewayWrite,
            AiGatewayRun,
            BillingRead,
            BillingWrite,
        ]
        .into_iter()
        .find(|permission| permission.as_str() == word)
    }
}

impl Role {
    /// What a member of this role may do.
    pub fn permissions(self) -> Permissions {
        use Permission::*;
        let own: &[Permission] = match self {
            Role::Viewer => &[AccountRead, TokensRead, AiGatewayRead, BillingRead],
            Role::Editor => &[AiGatewayWrite, AiGatewayRun],
            Role::Admin => &[AccountWrite, TokensWrite, BillingWrite],
            Role::Owner => &[AccountOwn],
        };
        let below = match self {
            Role::Viewer => Permissions::new(),
            Role::Editor => Role::Viewer.permissions(),
            Role::Admin => Role::Editor.permissions(),
            Role::Owner => Role::Admin.permissions(),
        };
        below.into_iter().chain(own.iter().copied()).collect()
    }
}

/// A named group of permissions, as policies of API tokens grant them. The names are Cloudflare's,
/// the ids our own: hers are not published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PermissionGroup {
    /// 32 hex digits, for good.
    pub id: &'static str,
    /// What people call it.
    pub name: &'static str,
    /// What one can do with it, in a sentence.
    pub description: &'static str,
    /// Cloudflare's word for the product it belongs to.
    pub category: &'static str,
    /// What it grants.
    pub permissions: &'static [Permission],
}

/// Every permission group. A group that writes also reads, as one expects of a token that changes
/// what it is shown.
pub const PERMISSION_GROUPS: &[PermissionGroup] = &[
    PermissionGroup {
        id: "a1b6a2e6f0d84c0e9d5b7c3f10000001",
        name: "AI Gateway Read",
        description: "Grants read access to gateways, their keys and their logs.",
        category: "ai_and_machine_learning",
        permissions: &[Permission::AiGatewayRead],
    },
    PermissionGroup {
        id: "a1b6a2e6f0d84c0e9d5b7c3f10000002",
        name: "AI Gateway Write",
        description: "Grants write access to gateways and their keys, and read access to their logs.",
        category: "ai_and_machine_learning",
        permissions: &[Permission::AiGatewayRead, Permission::AiGatewayWrite],
    },
    PermissionGroup {
        id: "a1b6a2e6f0d84c0e9d5b7c3f10000003",
        name: "AI Gateway Run",
        description: "Grants the right to send requests through gateways.",
        category: "ai_and_machine_learning",
        permissions: &[Permission::AiGatewayRun],
    },
    PermissionGroup {
        id: "a1b6a2e6f0d84c0e9d5b7c3f10000004",
        name: "Account Settings Read",
        description: "Grants read access to the account and its members.",
        category: "account_and_billing",
        permissions: &[Permission::AccountRead],
    },
    PermissionGroup {
        id: "a1b6a2e6f0d84c0e9d5b7c3f10000005",
        name: "Account Settings Write",
        description: "Grants write access to the account and its members.",
        category: "account_and_billing",
        permissions: &[Permission::AccountRead, Permission::AccountWrite],
    },
    PermissionGroup {
        id: "a1b6a2e6f0d84c0e9d5b7c3f10000006",
        name: "Account API Tokens Read",
        description: "Grants read access to API tokens, without their values.",
        category: "account_and_billing",
        permissions: &[Permission::TokensRead],
    },
    PermissionGroup {
        id: "a1b6a2e6f0d84c0e9d5b7c3f10000007",
        name: "Account API Tokens Write",
        description: "Grants write access to API tokens.",
        category: "account_and_billing",
        permissions: &[Permission::TokensRead, Permission::TokensWrite],
    },
    PermissionGroup {
        id: "a1b6a2e6f0d84c0e9d5b7c3f10000008",
        name: "Billing Read",
        description: "Grants read access to the balance, the statement and the terms of payment.",
        category: "account_and_billing",
        permissions: &[Permission::BillingRead],
    },
    PermissionGroup {
        id: "a1b6a2e6f0d84c0e9d5b7c3f10000009",
        name: "Billing Write",
        description: "Grants write access to vouchers, credits and the terms of payment.",
        category: "account_and_billing",
        permissions: &[Permission::BillingRead, Permission::BillingWrite],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_do_what_the_ones_below_it_may() {
        for (below, above) in
            [(Role::Viewer, Role::Editor), (Role::Editor, Role::Admin), (Role::Admin, Role::Owner)]
        {
            assert!(below.permissions().is_subset(&above.permissions()));
            assert!(below.permissions().len() < above.permissions().len());
        }
    }

    #[test]
    fn no_token_can_own_an_account() {
        assert!(PERMISSION_GROUPS.iter().all(|group| !group.permissions.contains(&Permission::AccountOwn)));
    }
}
