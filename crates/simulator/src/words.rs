//! Text that is a function of the request, and a count of tokens that is a function of the text.

/// A small generator whose whole state is its seed: the same seed, the same text.
#[derive(Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    /// Dice that fall as `text` decides (FNV-1a).
    pub(crate) fn seeded_by(text: &str) -> Self {
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(hash)
    }

    /// The next number (SplitMix64).
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number between -1 and 1.
    pub(crate) fn fraction(&mut self) -> f32 {
        (self.roll() >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    }
}

const WORDS: [&str; 48] = [
    "the", "model", "answers", "with", "a", "steady", "voice", "and", "each", "word", "costs", "one",
    "small", "coin", "that", "someone", "must", "count", "before", "river", "reaches", "sea", "while",
    "lamps", "along", "harbour", "stay", "lit", "for", "ships", "whose", "names", "are", "written", "in",
    "ledger", "kept", "by", "careful", "hands", "under", "quiet", "sky", "where", "nothing", "is", "ever",
    "lost",
];

/// An answer to `prompt`: the same every time, different for each prompt and each `choice`.
pub(crate) fn answer(prompt: &str, choice: u64) -> String {
    let mut dice = Dice::seeded_by(prompt);
    dice.0 = dice.0.wrapping_add(choice);
    let echo: String = prompt.chars().take(60).collect();
    let mut text = format!("This is a simulated answer to \"{echo}\":");
    let words = 12 + dice.roll() % 30;
    for _ in 0..words {
        text.push(' ');
        text.push_str(WORDS[(dice.roll() % WORDS.len() as u64) as usize]);
    }
    text.push('.');
    text
}

/// Exactly `bytes` bytes of text.
pub(crate) fn filler(bytes: usize) -> String {
    let line = "All work and no play makes a simulator dull. ";
    let mut text = line.repeat(bytes / line.len() + 1);
    text.truncate(bytes);
    text
}

/// The pieces that a stream delivers: as many as there are tokens, or exactly `pieces`.
pub(crate) fn pieces(text: &str, pieces: Option<usize>) -> Vec<String> {
    let tokens = tokens(text);
    let Some(wanted) = pieces.filter(|wanted| *wanted > 0) else {
        return tokens.into_iter().map(str::to_owned).collect();
    };
    let mut text = text.to_owned();
    while text.chars().count() < wanted {
        text.push_str(" and so on");
    }
    let characters: Vec<char> = text.chars().collect();
    (0..wanted)
        .map(|index| {
            let from = characters.len() * index / wanted;
            let to = characters.len() * (index + 1) / wanted;
            characters[from..to].iter().collect()
        })
        .collect()
}

/// How many tokens a text has.
pub(crate) fn count(text: &str) -> u64 {
    tokens(text).len() as u64
}

/// The beginning of a text that has at most `limit` tokens, and whether anything was cut off.
pub(crate) fn limited(text: String, limit: Option<u64>) -> (String, bool) {
    let Some(limit) = limit else { return (text, false) };
    let tokens = tokens(&text);
    if tokens.len() as u64 <= limit {
        return (text, false);
    }
    (tokens[..limit as usize].concat(), true)
}

/// Splits as a tokenizer roughly would: a word with its leading space, in parts of at most six characters; every
/// other sign alone. Concatenated, the tokens are the text.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::with_capacity(text.len() / 5 + 1);
    let mut start = 0;
    let mut letters = 0;
    for (at, character) in text.char_indices() {
        let continues = character.is_alphanumeric() && letters < 6 && {
            let so_far = &text[start..at];
            so_far.is_empty() || so_far == " " || letters > 0
        };
        if at > start && !continues {
            tokens.push(&text[start..at]);
            start = at;
            letters = 0;
        }
        if character.is_alphanumeric() {
            letters += 1;
        }
    }
    if start < text.len() {
        tokens.push(&text[start..]);
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_concatenated_are_the_text() {
        for text in [
            "",
            " ",
            "Hello, world!",
            "höher  als\n\nnötig…",
            "internationalisation 12345678",
            "日本語のテキスト",
        ] {
            assert_eq!(tokens(text).concat(), text);
        }
        assert_eq!(tokens("Hello, big world"), ["Hello", ",", " big", " world"]);
    }

    #[test]
    fn pieces_are_as_many_as_asked_for() {
        assert_eq!(pieces("one two", Some(100)).len(), 100);
        assert_eq!(pieces("one two three", Some(2)).concat(), "one two three");
    }

    #[test]
    fn the_same_prompt_has_the_same_answer() {
        assert_eq!(answer("Hi", 0), answer("Hi", 0));
        assert_ne!(answer("Hi", 0), answer("Hi", 1));
    }
}
