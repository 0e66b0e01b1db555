//! The dialect of Anthropic's Messages API: how answers and streams say what was used, and how a stream
//! is ended that cannot be paid further.

mod cut_off;
pub(crate) mod stream;
pub(crate) mod usage;

use model::Picos;

/// The unit in which searches of the web are recorded.
pub(crate) const WEB_SEARCH: &str = "web_search";
/// What one costs: ten dollars a thousand, by Anthropic's price page.
pub(crate) const WEB_SEARCH_PRICE: Picos = Picos(10_000_000_000);
