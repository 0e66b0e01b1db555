//! Anthropic.

use super::{Auth, Dialect, Provider};

pub(super) const ANTHROPIC: Provider = Provider {
    slug: "anthropic",
    root: "https://api.anthropic.com",
    prefix: "v1",
    version_segments: &["v1"],
    compat_prefixes: &["anthropic"],
    auth: Auth::XApiKey,
    dialect: Dialect::Anthropic,
    allows_splices: true,
    credits: None,
    stops_billing_on_cancel: false,
    output_is_visible: false,
};
