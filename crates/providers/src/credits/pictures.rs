//! The most that pictures cost, looked at or made, where that is documented.

/// How closely a picture is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Detail {
    /// At a glance.
    Low,
    /// As the model or the caller chooses.
    #[default]
    Other,
}

impl Detail {
    pub(super) fn of(word: &str) -> Self {
        if word == "low" { Self::Low } else { Self::Other }
    }
}

/// The most tokens that a picture is read as.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Read {
    /// How the model's name begins.
    pub(super) model: &'static str,
    /// At low detail.
    pub(super) low: u64,
    /// At any other.
    pub(super) other: u64,
}

/// The most tokens that a picture is made of.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Made {
    /// How the model's name begins.
    pub(super) model: &'static str,
    /// By quality: the square one, and the oblong ones.
    pub(super) tokens: &'static [(&'static str, u64, u64)],
}

/// What a draft adds to a picture that is streamed.
const DRAFT_TOKENS: u64 = 100;
/// Text that image models write beside a picture; a few hundred were seen, and nothing is documented.
pub(super) const CAPTION_TOKENS: u64 = 2_048;

/// The most that a request's picture is made of, or what of it nobody knows: the member, and what it
/// must be.
pub(super) fn made(
    table: &[Made],
    model: &str,
    size: &str,
    quality: &str,
    drafts: u64,
) -> Result<u64, (&'static str, &'static str)> {
    let by_quality = table.iter().find(|made| model.starts_with(made.model)).ok_or((
        "model",
        "must be another model: how many tokens a picture of this one takes is not documented",
    ))?;
    // Which quality `auto` is, the model says, and a later one may have higher ones than are known here.
    let is_known = !model.starts_with("gpt-image-2.");
    let quality = match quality {
        "" | "auto" if is_known => "high",
        quality => quality,
    };
    let found = by_quality.tokens.iter().find(|(name, ..)| *name == quality);
    let (_, square, oblong) = found.ok_or((
        "quality",
        "must be `low`, `medium` or `high`: how many tokens another one takes is not documented",
    ))?;
    let tokens = match size {
        "1024x1024" => square,
        "1024x1536" | "1536x1024" => oblong,
        "" | "auto" => square.max(oblong),
        _ => {
            let rule = "must be `1024x1024`, `1024x1536`, `1536x1024` or `auto`: how many tokens another one \
                        takes is not documented";
            return Err(("size", rule));
        }
    };
    Ok(tokens + drafts.min(3) * DRAFT_TOKENS)
}

#[cfg(test)]
mod tests {
    use crate::credits::openai::OPENAI;

    fn made(model: &str, size: &str, quality: &str) -> Result<u64, &'static str> {
        super::made(OPENAI.painted, model, size, quality, 0).map_err(|(member, _)| member)
    }

    #[test]
    fn a_picture_takes_what_the_guide_says() {
        assert_eq!(made("gpt-image-1", "1024x1024", "low"), Ok(272));
        assert_eq!(made("gpt-image-1-mini", "1536x1024", "medium"), Ok(1_584));
        assert_eq!(made("gpt-image-1.5", "", ""), Ok(6_240));
        assert_eq!(super::made(OPENAI.painted, "gpt-image-1", "", "low", 2), Ok(608));
    }

    #[test]
    fn what_nobody_knows_is_named() {
        assert_eq!(made("dall-e-3", "1024x1024", "hd"), Err("model"));
        assert_eq!(made("gpt-image-1", "2048x2048", "low"), Err("size"));
        assert_eq!(made("gpt-image-2.5-flare", "1024x1024", "auto"), Err("quality"));
        assert_eq!(made("gpt-image-2.5-flare", "1024x1024", "max"), Err("quality"));
        assert!(made("gpt-image-2.5-flare", "1024x1024", "high").is_ok());
    }
}
