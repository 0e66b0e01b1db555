//! What somebody may have meant who wrote a name that nobody has.

/// How many are named.
const MOST: usize = 3;
/// Names are compared up to this length, so that a long one costs no more.
const LONGEST: usize = 64;

/// The names nearest to one, by how many characters would have to be written otherwise.
pub(super) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    if name.len() > LONGEST {
        return Vec::new();
    }
    let name: Vec<u8> = name.to_lowercase().into_bytes();
    let limit = (name.len() / 4).clamp(1, 4);
    let mut near: Vec<(usize, &str)> = Vec::new();
    for other in names.filter(|other| other.len() <= LONGEST) {
        // Part of a name is often all that is remembered.
        let beginning = other.as_bytes().get(..name.len()).filter(|_| name.len() >= 4);
        let begins = beginning.is_some_and(|beginning| beginning.eq_ignore_ascii_case(&name));
        let distance = if begins { Some(limit) } else { distance(&name, other.as_bytes(), limit) };
        near.extend(distance.map(|distance| (distance, other)));
    }
    near.sort_by_key(|(distance, other)| (*distance, other.len(), *other));
    near.dedup();
    near.into_iter().take(MOST).map(|(_, other)| other.to_owned()).collect()
}

/// How many bytes have to be inserted, removed or replaced to make `one`, which is in lower case, of the
/// other, if at most `limit`.
fn distance(one: &[u8], other: &[u8], limit: usize) -> Option<usize> {
    if one.len().abs_diff(other.len()) > limit {
        return None;
    }
    let mut above: Vec<usize> = (0..=other.len()).collect();
    for (row, byte) in one.iter().enumerate() {
        let mut diagonal = above[0];
        above[0] = row + 1;
        let mut least = above[0];
        for (column, compared) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(*byte != compared.to_ascii_lowercase());
            diagonal = above[column + 1];
            above[column + 1] = replaced.min(diagonal + 1).min(above[column] + 1);
            least = least.min(above[column + 1]);
        }
        if least > limit {
            return None;
        }
    }
    above.last().copied().filter(|distance| *distance <= limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_forgiven_and_a_beginning_completed() {
        let names = ["gpt-4o", "gpt-4o-mini", "claude-opus-4-6", "o3"];
        let near = |name| nearest(name, names.into_iter());
        assert_eq!(near("gtp-4o"), ["gpt-4o"; 0]);
        assert_eq!(near("gpt-40"), ["gpt-4o"]);
        assert_eq!(near("GPT4o"), ["gpt-4o"]);
        assert_eq!(near("claude-opus-46"), ["claude-opus-4-6"]);
        assert_eq!(near("claude"), ["claude-opus-4-6"]);
        assert!(near("").is_empty() && near("llama").is_empty() && near(&"a".repeat(1000)).is_empty());
    }

    #[test]
    fn a_distance_is_counted_up_to_a_limit() {
        assert_eq!(distance(b"kitten", b"sitting", 3), Some(3));
        assert_eq!(distance(b"kitten", b"sitting", 2), None);
        assert_eq!(distance(b"", b"", 1), Some(0));
        assert_eq!(distance(b"", b"ab", 2), Some(2));
    }
}
