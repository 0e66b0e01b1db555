//! Whose problem it is when a request is not answered by a provider.

/// Whose problem a refusal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The request is wrong.
    Caller,
    /// The account lacks something: a gateway, a key, money.
    Account,
    /// The provider did not do its part.
    Provider,
    /// We did not.
    Tollgate,
}

impl Fault {
    /// The metric's label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Account => "account",
            Self::Provider => "provider",
            Self::Tollgate => "tollgate",
        }
    }
}
