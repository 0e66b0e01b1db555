//! Codes of vouchers: a hundred random bits in letters and digits that people do not mistake for each
//! other (Crockford's base 32), in four groups.

use model::Secret;

const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LENGTH: usize = 20;
const GROUP: usize = 5;

/// A code out of random bytes.
pub(super) fn of(random: [u8; 32]) -> Secret {
    let mut code = String::new();
    for (index, byte) in random.into_iter().take(LENGTH).enumerate() {
        if index > 0 && index % GROUP == 0 {
            code.push('-');
        }
        code.push(char::from(DIGITS[usize::from(byte % 32)]));
    }
    Secret::new(code)
}

/// By which people recognise a code.
pub(super) fn hint(code: &Secret) -> String {
    let text = code.expose();
    format!("…{}", &text[text.len() - 4..])
}

/// A code as it was typed, brought to its one spelling; `None` if it can be none.
pub(super) fn plain(typed: &str) -> Option<String> {
    let digits = typed.chars().filter(|char| !char.is_whitespace() && *char != '-');
    let plain: Option<String> = digits
        .map(|char| match char.to_ascii_uppercase() {
            'O' => Some('0'),
            'I' | 'L' => Some('1'),
            digit if digit.is_ascii() && DIGITS.contains(&(digit as u8)) => Some(digit),
            _ => None,
        })
        .collect();
    plain.filter(|plain| plain.len() == LENGTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_however_it_is_typed() {
        let code = of([33; 32]);
        assert_eq!(code.expose(), "11111-11111-11111-11111");
        assert_eq!(hint(&code), "…1111");
        let plain_code = plain(code.expose()).unwrap();
        for typed in ["11111111111111111111", " liIL1-11111 11111-11111 "] {
            assert_eq!(plain(typed).as_deref(), Some(plain_code.as_str()), "{typed}");
        }
        for typed in ["", "1111-11111-11111-11111", "U1111-11111-11111-11111", "é1111-11111-11111-11111"] {
            assert_eq!(plain(typed), None, "{typed}");
        }
    }
}
