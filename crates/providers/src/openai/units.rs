//! What a request is billed by beside tokens: pictures, seconds of sound, characters that are spoken.

use model::prices::{Price, TokenPrices};
use model::usage::Unit;

use crate::answer::Answer;
use crate::endpoint::Endpoint;
use crate::google;
use crate::scan::{self, Kind};

/// What a request asks for in units. What it does not say, or a form says, is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Asked {
    /// How many pictures.
    pub images: u64,
    /// Their size, such as `1024x1024`.
    pub size: String,
    /// Their quality, such as `high`.
    pub quality: String,
    /// How many characters are to be spoken.
    pub characters: u64,
}

impl Asked {
    /// Reads a request's body, where the endpoint is one that may be billed so.
    pub fn read(endpoint: Endpoint, body: &[u8]) -> Self {
        match endpoint {
            Endpoint::ImageGenerations => Self::pictures(body),
            Endpoint::Predict => Self { images: google::request::pictures(body), ..Self::default() },
            Endpoint::ImageEdits | Endpoint::ImageVariations => Self { images: 1, ..Self::default() },
            Endpoint::Speech => {
                Self { characters: Self::characters(body).unwrap_or_default(), ..Self::default() }
            }
            _ => Self::default(),
        }
    }

    fn pictures(body: &[u8]) -> Self {
        let Ok([n, size, quality]) = scan::members(body, &["n", "size", "quality"]) else {
            return Self { images: 1, ..Self::default() };
        };
        let text = |member: Option<scan::Member>| {
            let member = member.filter(|member| member.kind == Kind::String && member.span.len() <= 64)?;
            scan::unescaped(&body[member.span]).map(String::from)
        };
        let images = n.and_then(|n| str::from_utf8(&body[n.span]).ok()?.parse().ok());
        Self {
            images: images.unwrap_or(1),
            size: text(size).unwrap_or_default(),
            quality: text(quality).unwrap_or_default(),
            characters: 0,
        }
    }

    fn characters(body: &[u8]) -> Option<u64> {
        let [input] = scan::members(body, &["input"]).ok()?;
        let input = input.filter(|input| input.kind == Kind::String)?;
        Some(scan::unescaped(&body[input.span])?.chars().count() as u64)
    }
}

/// The units that a price bills a request by. Where the model is billed by tokens and the answer says
/// them there are none: prices of units beside those of tokens are other words for the same.
pub fn units(endpoint: Endpoint, price: &Price, asked: &Asked, answer: &Answer) -> Vec<Unit> {
    if answer.tokens.is_some() && price.tokens != TokenPrices::default() {
        return Vec::new();
    }
    let (names, quantity): (&[&str], _) = match endpoint {
        Endpoint::Transcriptions | Endpoint::Translations => {
            (&["input_per_second", "output_per_second"], answer.seconds)
        }
        Endpoint::Speech => (&["input_per_character"], Some(asked.characters)),
        Endpoint::ImageGenerations | Endpoint::ImageEdits | Endpoint::ImageVariations | Endpoint::Predict => {
            (&["output_per_image", "input_per_image"], answer.images.or(Some(asked.images)))
        }
        _ => return Vec::new(),
    };
    // The list has some prices under both names.
    let name = names.iter().find(|name| price.unit(name).is_some());
    let unit = name.zip(quantity).map(|(name, quantity)| Unit { name: (*name).to_owned(), quantity });
    unit.filter(|unit| unit.quantity > 0).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use model::usage::Tokens;

    use super::*;
    use crate::prices::Catalogue;

    fn unit(endpoint: Endpoint, model: &str, body: &str, answer: &Answer) -> Option<(String, u64)> {
        let price = Catalogue::current().find("openai", model).unwrap();
        let units = units(endpoint, price, &Asked::read(endpoint, body.as_bytes()), answer);
        assert!(units.len() < 2);
        units.into_iter().next().map(|unit| (unit.name, unit.quantity))
    }

    #[test]
    fn speech_is_billed_by_the_character() {
        let found =
            unit(Endpoint::Speech, "tts-1", r#"{"input":"h\u00e9llo \ud83d\ude00"}"#, &Answer::default());
        assert_eq!(found, Some(("input_per_character".to_owned(), 7)));
        let found = unit(Endpoint::Speech, "gpt-4o-mini-tts", r#"{"input":"hello"}"#, &Answer::default());
        assert_eq!(found, None);
    }

    #[test]
    fn transcriptions_are_billed_by_the_second_once() {
        let answer = Answer { seconds: Some(27), ..Answer::default() };
        let found = unit(Endpoint::Transcriptions, "whisper-1", "", &answer);
        assert_eq!(found, Some(("input_per_second".to_owned(), 27)));
    }

    #[test]
    fn what_is_billed_by_tokens_is_not_billed_by_units_too() {
        let answer = Answer { tokens: Some(Tokens::default()), seconds: Some(27), ..Answer::default() };
        assert_eq!(unit(Endpoint::Transcriptions, "gpt-4o-transcribe", "", &answer), None);
        let answer = Answer { tokens: None, ..answer };
        let found = unit(Endpoint::Transcriptions, "gpt-4o-transcribe", "", &answer);
        assert_eq!(found, Some(("input_per_second".to_owned(), 27)));
    }

    #[test]
    fn pictures_are_counted_as_they_came() {
        let body = r#"{"n":3,"size":"1024x1024","quality":"high","prompt":"x"}"#;
        let asked = Asked::read(Endpoint::ImageGenerations, body.as_bytes());
        assert_eq!((asked.images, asked.size.as_str(), asked.quality.as_str()), (3, "1024x1024", "high"));
        let name = "high/1024-x-1024/gpt-image-1";
        let count = |answer: &Answer| unit(Endpoint::ImageGenerations, name, body, answer).map(|unit| unit.1);
        assert_eq!(count(&Answer::default()), Some(3));
        assert_eq!(count(&Answer { images: Some(2), ..Answer::default() }), Some(2));
    }
}
