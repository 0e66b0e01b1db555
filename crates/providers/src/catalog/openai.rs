//! OpenAI.

use super::{Auth, Dialect, Provider};
use crate::credits;

pub(super) const OPENAI: Provider = Provider {
    slug: "openai",
    root: "https://api.openai.com",
    prefix: "v1",
    version_segments: &["v1"],
    compat_prefixes: &["openai"],
    auth: Auth::Bearer,
    dialect: Dialect::OpenAi,
    allows_splices: true,
    credits: Some(&credits::openai::OPENAI),
    // OpenAI's guide to background mode has a request cancelled by ending its connection, and aggregators
    // who are billed for it (OpenRouter, "Stream cancellation") list it among those that then stop billing.
    stops_billing_on_cancel: true,
    // Words that were predicted in vain would be billed unseen, so predictions are refused on credits.
    output_is_visible: true,
};
