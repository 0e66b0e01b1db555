//! Texts that are computed and must not be long: names, keys, addresses.

use crate::facts::Facts;
use crate::run::Failure;
use crate::template::Template;
use crate::value::Text;

/// What a template comes to, if it has at most so many bytes.
pub(super) fn short_text(template: &Template, facts: &Facts<'_>, most: usize) -> Result<Text, Failure> {
    let text = template.render_text(facts)?;
    if text.len() > most {
        return Err(Failure::evaluation(format!("a text that was computed is longer than {most} bytes")));
    }
    Ok(text)
}
