//! Text that is a function of the request, and its tokens, as OpenAI cuts and counts them.

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

/// So many words of one token each, so that whoever counts the text or a beginning of it counts the same.
pub(crate) fn coins(words: usize) -> String {
    " coin".repeat(words)
}

/// The text, with more behind it until it can be delivered in so many pieces.
pub(crate) fn for_pieces(mut text: String, pieces: usize) -> String {
    while count(&text) < pieces as u64 {
        text.push_str(" and so on");
    }
    text
}

/// A part of a text, as a stream delivers it.
pub(crate) struct Piece {
    pub(crate) text: String,
    pub(crate) tokens: u64,
}

/// The pieces that a stream delivers: one for each token, or so many of about the same length. Concatenated, they
/// are the text.
pub(crate) fn pieces(text: &str, wanted: Option<usize>) -> Vec<Piece> {
    let tokens = tokens(text);
    let wanted = wanted.filter(|wanted| *wanted > 0).unwrap_or(tokens.len()).min(tokens.len());
    let piece = |tokens: &[Piece]| Piece {
        text: tokens.iter().map(|token| token.text.as_str()).collect(),
        tokens: tokens.iter().map(|token| token.tokens).sum(),
    };
    let bound = |index| tokens.len() * index / wanted;
    (0..wanted).map(|index| piece(&tokens[bound(index)..bound(index + 1)])).collect()
}

/// How many tokens a text has. One tokenizer serves all models, although the oldest have another.
pub(crate) fn count(text: &str) -> u64 {
    bpe_openai::o200k_base().count(text) as u64
}

/// The beginning of a text that has at most `limit` tokens, and whether anything was cut off.
pub(crate) fn limited(text: String, limit: Option<u64>) -> (String, bool) {
    let Some(limit) = limit else { return (text, false) };
    let mut beginning = String::new();
    let mut so_far = 0;
    for token in tokens(&text) {
        so_far += token.tokens;
        if so_far > limit {
            return (beginning, true);
        }
        beginning.push_str(&token.text);
    }
    (text, false)
}

/// The tokens of a text; those that only together are whole characters stay together.
fn tokens(text: &str) -> Vec<Piece> {
    let tokenizer = bpe_openai::o200k_base();
    let mut pieces = Vec::new();
    let mut bytes = Vec::new();
    let mut tokens = 0;
    for token in tokenizer.encode(text) {
        bytes.extend_from_slice(tokenizer.bpe.token_bytes(token));
        tokens += 1;
        if let Ok(whole) = std::str::from_utf8(&bytes) {
            pieces.push(Piece { text: whole.to_owned(), tokens });
            bytes.clear();
            tokens = 0;
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(pieces: &[Piece]) -> String {
        pieces.iter().map(|piece| piece.text.as_str()).collect()
    }

    #[test]
    fn coins_are_counted_alike_in_whole_and_in_part() {
        let text = coins(50);
        assert_eq!(count(&text), 50);
        for (at, _) in text.match_indices(' ') {
            assert_eq!(count(&text[..at]), at as u64 / 5);
        }
        assert_eq!(limited(text, Some(20)), (coins(20), true));
    }

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
            assert_eq!(said(&tokens(text)), text);
        }
        let tokens = tokens("Hello, big world");
        let texts: Vec<&str> = tokens.iter().map(|token| token.text.as_str()).collect();
        assert_eq!(texts, ["Hello", ",", " big", " world"]);
    }

    #[test]
    fn pieces_are_as_many_as_asked_for() {
        let text = for_pieces("one two".to_owned(), 100);
        assert_eq!(pieces(&text, Some(100)).len(), 100);
        let pieces = pieces("one two three", Some(2));
        assert_eq!((pieces.len(), said(&pieces)), (2, "one two three".to_owned()));
        assert_eq!(pieces.iter().map(|piece| piece.tokens).sum::<u64>(), 3);
    }

    #[test]
    fn the_same_prompt_has_the_same_answer() {
        assert_eq!(answer("Hi", 0), answer("Hi", 0));
        assert_ne!(answer("Hi", 0), answer("Hi", 1));
    }
}
