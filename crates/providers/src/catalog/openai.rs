//! OpenAI.

use super::{Auth, Dialect, Provider};

pub(super) const OPENAI: Provider = Provider {
    slug: "openai",
    root: "https://api.openai.com",
    prefix: "v1",
    version_segments: &["v1"],
    compat_prefixes: &["openai"],
    auth: Auth::Bearer,
    dialect: Dialect::OpenAi,
    allows_splices: true,
};
