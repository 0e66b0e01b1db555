//! How Google's answers say what was used. What was read is told in two parts, the prompt with what came of the
//! cache, and what tools gave back; what was produced in two more, of which one is thoughts. No token stands in
//! two of these parts, and each is told by modality once more.

use model::usage::Tokens;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::text::{self, Candidate};
use crate::answer::{self, Answer, MOST_TOKENS, Premium, object};
use crate::endpoint::Endpoint;
use crate::scan;

/// Reads an answer in one piece. What is no JSON object says nothing.
pub(crate) fn answer(endpoint: Endpoint, body: &[u8]) -> Answer {
    let names = &["usageMetadata", "modelVersion", "candidates", "predictions"];
    let Ok([usage, model, candidates, predictions]) = scan::members_of_text(body, names) else {
        return Answer::default();
    };
    let usage = object(body, &usage).map(Usage::read).unwrap_or_default();
    let searches = text::candidates(body, &candidates).iter().map(Candidate::searches).sum();
    let pictures = predictions.filter(|_| endpoint == Endpoint::Predict);
    Answer {
        model: answer::text(body, &model).map(bare),
        tokens: usage.tokens(candidates.is_none()),
        images: pictures.and_then(|pictures| elements(&body[pictures.span])),
        searches,
        ..usage.said()
    }
}

/// How many elements a list has.
fn elements(list: &[u8]) -> Option<u64> {
    let list: Vec<IgnoredAny> = serde_json::from_slice(list).ok()?;
    Some(list.len() as u64)
}

pub(super) fn bare(model: String) -> String {
    super::request::bare(&model).to_owned()
}

/// A usage, or several of one stream, of which the later ones count on.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Usage {
    prompt_token_count: Option<u64>,
    cached_content_token_count: Option<u64>,
    tool_use_prompt_token_count: Option<u64>,
    candidates_token_count: Option<u64>,
    thoughts_token_count: Option<u64>,
    total_token_count: Option<u64>,
    prompt_tokens_details: Option<Vec<Count>>,
    cache_tokens_details: Option<Vec<Count>>,
    tool_use_prompt_tokens_details: Option<Vec<Count>>,
    candidates_tokens_details: Option<Vec<Count>>,
    service_tier: Option<String>,
}

/// How many tokens are of a modality.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Count {
    modality: String,
    token_count: u64,
}

/// A number of tokens by what they are of, as far as that makes a difference to prices.
#[derive(Debug, Clone, Copy, Default)]
struct Parts {
    /// Text, and documents, which are priced as it is.
    text: u64,
    audio: u64,
    /// Pictures, moving ones among them.
    image: u64,
}

impl Usage {
    /// Reads a `usageMetadata` object; one that cannot be read says nothing.
    pub(super) fn read(usage: &[u8]) -> Self {
        serde_json::from_slice(usage).unwrap_or_default()
    }

    /// Takes over what a later one says. Counts only grow; one that is left out has not been taken back.
    pub(super) fn hear(&mut self, later: Self) {
        let Self {
            prompt_token_count,
            cached_content_token_count,
            tool_use_prompt_token_count,
            candidates_token_count,
            thoughts_token_count,
            total_token_count,
            prompt_tokens_details,
            cache_tokens_details,
            tool_use_prompt_tokens_details,
            candidates_tokens_details,
            service_tier,
        } = later;
        for (count, later) in [
            (&mut self.prompt_token_count, prompt_token_count),
            (&mut self.cached_content_token_count, cached_content_token_count),
            (&mut self.tool_use_prompt_token_count, tool_use_prompt_token_count),
            (&mut self.candidates_token_count, candidates_token_count),
            (&mut self.thoughts_token_count, thoughts_token_count),
            (&mut self.total_token_count, total_token_count),
        ] {
            *count = later.max(*count);
        }
        for (details, later) in [
            (&mut self.prompt_tokens_details, prompt_tokens_details),
            (&mut self.cache_tokens_details, cache_tokens_details),
            (&mut self.tool_use_prompt_tokens_details, tool_use_prompt_tokens_details),
            (&mut self.candidates_tokens_details, candidates_tokens_details),
        ] {
            *details = later.or(details.take());
        }
        self.service_tier = service_tier.or(self.service_tier.take());
    }

    /// Whether it says how much was produced so far.
    pub(super) fn says_output(&self) -> bool {
        self.candidates_token_count.is_some()
    }

    /// What was used; `None` if it is not said, or cannot be. `is_silent` where nothing was produced, so that
    /// nothing need be said of it.
    pub(super) fn tokens(&self, is_silent: bool) -> Option<Tokens> {
        let read = self.read_tokens()?;
        let reasoning = self.thoughts_token_count.unwrap_or_default();
        // Where it is left out, it is what the others leave of the sum of all.
        let left = |total: u64| total.checked_sub(read.total_input())?.checked_sub(reasoning);
        let said = self.candidates_token_count.or_else(|| self.total_token_count.and_then(left));
        let output = said.filter(|output| is_silent || *output > 0 || self.says_output());
        let output = output.or(is_silent.then_some(0))?;
        let Parts { text, audio, image } = Parts::of(output, &self.candidates_tokens_details);
        let is_sensible = output <= MOST_TOKENS && reasoning <= MOST_TOKENS;
        is_sensible.then_some(Tokens {
            output: text,
            reasoning,
            audio_output: audio,
            image_output: image,
            ..read
        })
    }

    /// What was read.
    pub(super) fn read_tokens(&self) -> Option<Tokens> {
        let prompt = self.prompt_token_count?;
        let given_back = self.tool_use_prompt_token_count.unwrap_or_default();
        let cached = self.cached_content_token_count.unwrap_or_default().min(prompt);
        if prompt.max(given_back) > MOST_TOKENS {
            return None;
        }
        let read = Parts::of(prompt, &self.prompt_tokens_details);
        let cached = read.shared_by(cached, &self.cache_tokens_details);
        let given_back = Parts::of(given_back, &self.tool_use_prompt_tokens_details);
        Some(Tokens {
            input: read.text - cached.text + given_back.text,
            cached_input: cached.text,
            audio_input: read.audio - cached.audio + given_back.audio,
            cached_audio_input: cached.audio,
            image_input: read.image - cached.image + given_back.image,
            cached_image_input: cached.image,
            ..Tokens::default()
        })
    }

    /// What it says beside tokens.
    pub(super) fn said(&self) -> Answer {
        let details = [&self.prompt_tokens_details, &self.tool_use_prompt_tokens_details];
        let is_moving = |count: &Count| count.modality == "VIDEO" && count.token_count > 0;
        let has_video = details.into_iter().flatten().flatten().any(is_moving);
        Answer {
            service_tier: self.service_tier.as_ref().filter(|tier| tier.len() <= 64).map(|tier| {
                let tier = tier.to_ascii_lowercase();
                tier.strip_prefix("service_tier_").map(str::to_owned).unwrap_or(tier)
            }),
            premium: has_video.then_some(Premium::Video),
            ..Answer::default()
        }
    }
}

impl Parts {
    /// A number of tokens, by what is said of them. What nothing is said of is text.
    fn of(total: u64, details: &Option<Vec<Count>>) -> Self {
        let mut left = total;
        let mut take = |modality: &str| {
            let counts = details.iter().flatten().filter(|count| count.modality == modality);
            let said = counts.fold(0_u64, |sum, count| sum.saturating_add(count.token_count));
            let part = said.min(left);
            left -= part;
            part
        };
        let (audio, image) = (take("AUDIO"), take("IMAGE") + take("VIDEO"));
        Self { text: left, audio, image }
    }

    /// Of these, so many: as is said of them, as far as that can be.
    fn shared_by(self, total: u64, details: &Option<Vec<Count>>) -> Self {
        let said = Self::of(total, details);
        let mut shared = Self {
            text: said.text.min(self.text),
            audio: said.audio.min(self.audio),
            image: said.image.min(self.image),
        };
        let mut left = total - shared.text - shared.audio - shared.image;
        for (share, of) in
            [(&mut shared.text, self.text), (&mut shared.audio, self.audio), (&mut shared.image, self.image)]
        {
            let more = left.min(of - *share);
            *share += more;
            left -= more;
        }
        shared
    }
}

#[cfg(test)]
mod tests;
