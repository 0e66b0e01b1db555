//! The dialect of Anthropic's Messages API: how answers and streams say what was used, and how a stream
//! is ended that cannot be paid further.

mod cut_off;
pub(crate) mod stream;
pub(crate) mod usage;

use model::Picos;

use crate::scan::{self, Kind, unescaped};

/// The unit in which searches of the web are recorded.
pub(crate) const WEB_SEARCH: &str = "web_search";
/// What one costs: ten dollars a thousand, by Anthropic's price page.
pub(crate) const WEB_SEARCH_PRICE: Picos = Picos(10_000_000_000);

/// The member of a question for which nobody here knows a price: faster answers, and those that are made in a
/// place that is asked for.
pub(crate) fn unpriced(question: &[u8]) -> Option<&'static str> {
    const NAMES: [&str; 2] = ["speed", "inference_geo"];
    // What stands there twice is the provider's to judge, and may be read as the dearer one.
    let Ok(members) = scan::members_of_text(question, &NAMES) else { return Some(NAMES[0]) };
    let usual = [&["standard"][..], &["global"]];
    let mut asked = NAMES.into_iter().zip(members).zip(usual);
    let dearer = asked.find(|((_, member), usual)| {
        let member = member.as_ref().filter(|member| member.kind != Kind::Null);
        member.is_some_and(|member| {
            let word = unescaped(&question[member.span.clone()]);
            !word.is_some_and(|word| usual.contains(&&*word))
        })
    });
    dearer.map(|((name, _), _)| name)
}

#[cfg(test)]
mod tests {
    use super::unpriced;

    #[test]
    fn what_costs_more_is_named() {
        for (body, named) in [
            (r#"{"speed":"fast","inference_geo":"us"}"#, Some("speed")),
            (r#"{"speed":"standard","inference_geo":"us"}"#, Some("inference_geo")),
            (r#"{"speed":"standard","speed":"fast"}"#, Some("speed")),
            (r#"{"speed":null,"inference_geo":"global"}"#, None),
            (r#"{"model":"m"}"#, None),
        ] {
            assert_eq!(unpriced(body.as_bytes()), named, "{body}");
        }
    }
}
