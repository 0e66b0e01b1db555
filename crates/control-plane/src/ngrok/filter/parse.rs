//! Reads the text of a filter.

use time::Duration;

use super::{Comparison, Expression, Operand};

/// How deep expressions stand in each other. What reads them calls itself.
const DEEPEST: usize = 32;

type Read<T> = Result<T, String>;

/// Reads a whole expression.
pub(super) fn expression(text: &str) -> Read<Expression> {
    let mut reader = Reader { rest: text, depth: 0 };
    let expression = reader.or()?;
    match reader.rest.trim_start() {
        "" => Ok(expression),
        rest => Err(format!("`{}` is not expected there", beginning(rest))),
    }
}

struct Reader<'t> {
    rest: &'t str,
    depth: usize,
}

impl<'t> Reader<'t> {
    fn or(&mut self) -> Read<Expression> {
        let mut one = self.and()?;
        while self.takes("||") {
            one = Expression::Or(Box::new(one), Box::new(self.and()?));
        }
        Ok(one)
    }

    fn and(&mut self) -> Read<Expression> {
        let mut one = self.comparison()?;
        while self.takes("&&") {
            one = Expression::And(Box::new(one), Box::new(self.comparison()?));
        }
        Ok(one)
    }

    fn comparison(&mut self) -> Read<Expression> {
        const SIGNS: [(&str, Comparison); 6] = [
            ("==", Comparison::Equal),
            ("!=", Comparison::Unequal),
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ];
        let one = self.unary()?;
        let sign = SIGNS.into_iter().find(|(sign, _)| self.takes(sign)).map(|(_, comparison)| comparison);
        let sign = sign.or_else(|| self.takes_word("in").then_some(Comparison::In));
        match sign {
            Some(comparison) => Ok(Expression::Compared(comparison, Box::new(one), Box::new(self.unary()?))),
            None => Ok(one),
        }
    }

    fn unary(&mut self) -> Read<Expression> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!("it is more than {DEEPEST} expressions deep"));
        }
        let read = match !self.rest.trim_start().starts_with("!=") && self.takes("!") {
            true => self.unary().map(|inner| Expression::Not(Box::new(inner))),
            false => self.primary(),
        };
        self.depth -= 1;
        read
    }

    fn primary(&mut self) -> Read<Expression> {
        if self.takes("(") {
            let inner = self.or()?;
            return self.expect(")").map(|()| inner);
        }
        if self.takes("[") {
            let mut entries = Vec::new();
            while !self.takes("]") {
                if !entries.is_empty() {
                    self.expect(",")?;
                }
                entries.push(self.unary()?);
            }
            return Ok(Expression::List(entries));
        }
        let rest = self.rest.trim_start();
        if rest.starts_with(['\'', '"']) {
            return self.text().map(|text| Expression::Literal(Operand::Text(text)));
        }
        if rest.starts_with(|first: char| first.is_ascii_digit() || first == '-') {
            return self.number();
        }
        match self.word() {
            "true" => Ok(Expression::Literal(Operand::Truth(true))),
            "false" => Ok(Expression::Literal(Operand::Truth(false))),
            "null" => Ok(Expression::Literal(Operand::Nothing)),
            "obj" => self.field(),
            "size" => self.argument().map(|inner| Expression::Size(Box::new(inner))),
            "timestamp" => self.timestamp(),
            "time" if self.takes(".") && self.word() == "now" => Ok(Expression::Now),
            _ => Err(format!("`{}` is not expected there", beginning(rest))),
        }
    }

    fn field(&mut self) -> Read<Expression> {
        let mut names = Vec::new();
        while self.takes(".") {
            match self.word() {
                "" => return Err("a field's name is missing".to_owned()),
                name => names.push(name.to_owned()),
            }
        }
        match self.rest.trim_start().starts_with(['(', '[']) {
            true => Err("a field cannot be called or indexed".to_owned()),
            false => Ok(Expression::Field(names)),
        }
    }

    fn argument(&mut self) -> Read<Expression> {
        self.expect("(")?;
        let inner = self.unary()?;
        self.expect(")").map(|()| inner)
    }

    fn timestamp(&mut self) -> Read<Expression> {
        let mut moment = Expression::Timestamp(Box::new(self.argument()?));
        while self.takes(".") {
            let sign = match self.word() {
                "add" => 1,
                "subtract" => -1,
                _ => return Err("a timestamp has `add` and `subtract`".to_owned()),
            };
            // Their number is bounded by the length of the whole, but not their depth.
            self.depth += 1;
            if self.depth > DEEPEST {
                return Err(format!("it is more than {DEEPEST} expressions deep"));
            }
            self.expect("(")?;
            let by = duration(&self.text()?)?;
            self.expect(")")?;
            moment = Expression::Shifted(Box::new(moment), by * sign);
        }
        Ok(moment)
    }

    fn number(&mut self) -> Read<Expression> {
        let rest = self.rest.trim_start();
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '-').unwrap_or(rest.len());
        let (number, rest) = rest.split_at(end);
        self.rest = rest;
        let number = number.parse().map_err(|_| format!("`{}` is no number", beginning(number)))?;
        Ok(Expression::Literal(Operand::Number(number)))
    }

    fn text(&mut self) -> Read<String> {
        let rest = self.rest.trim_start();
        let mut letters = rest.char_indices();
        let Some((_, quote @ ('\'' | '"'))) = letters.next() else {
            return Err("a text in quotes is expected".to_owned());
        };
        let mut text = String::new();
        while let Some((at, letter)) = letters.next() {
            match letter {
                _ if letter == quote => {
                    self.rest = &rest[at + 1..];
                    return Ok(text);
                }
                '\\' => text.extend(letters.next().map(|(_, letter)| letter)),
                _ => text.push(letter),
            }
        }
        Err("a text has no end".to_owned())
    }

    fn word(&mut self) -> &'t str {
        let rest = self.rest.trim_start();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (word, rest) = rest.split_at(end);
        self.rest = rest;
        word
    }

    fn takes(&mut self, sign: &str) -> bool {
        let rest = self.rest.trim_start().strip_prefix(sign);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let before = self.rest;
        let is_taken = self.word() == word;
        if !is_taken {
            self.rest = before;
        }
        is_taken
    }

    fn expect(&mut self, sign: &str) -> Read<()> {
        match self.takes(sign) {
            true => Ok(()),
            false => Err(format!("`{sign}` is missing before `{}`", beginning(self.rest.trim_start()))),
        }
    }
}

/// A distance in time, such as `7d`, `36h`, `-90m` or `10s`.
fn duration(text: &str) -> Read<Duration> {
    let wrong = || "a duration is written like `7d`, `36h`, `90m` or `10s`".to_owned();
    let unit = text.chars().last().ok_or_else(wrong)?;
    let number: i64 = text.strip_suffix(unit).and_then(|number| number.parse().ok()).ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    number.checked_mul(seconds).map(Duration::seconds).ok_or_else(wrong)
}

fn beginning(text: &str) -> String {
    text.chars().take(20).collect()
}
