//! Reading what is written in the expression language.

use regex::{Regex, RegexBuilder};

use super::Value as Written;
use super::place::{Place, all};
use crate::expression::{CompileError, Expression, Scope};
use crate::problem::Code;
use crate::template::Template;
use crate::value::{Key, Map, Value};

/// How much memory a regular expression may take when it is compiled.
pub(crate) const PATTERN_BYTES: usize = 512 << 10;

/// A regular expression of at most this size; matching takes time linear in the text.
pub(crate) fn pattern(text: &str, bytes: usize) -> Option<Regex> {
    RegexBuilder::new(text).size_limit(bytes).dfa_size_limit(PATTERN_BYTES).nest_limit(50).build().ok()
}

/// How many regular expressions an expression may have: no more than it says their function's name.
fn patterns(text: &str) -> usize {
    text.matches("matches").count()
}

impl Place<'_> {
    /// A bare expression, without `${}`.
    pub(crate) fn expression(&self) -> Option<Expression> {
        self.expression_in(self.phase().scope())
    }

    /// A bare expression that may speak of something else than its phase says.
    pub(crate) fn expression_in(&self, scope: Scope) -> Option<Expression> {
        let text = match self.value() {
            Written::Text(text) => text.clone(),
            Written::Bool(value) => value.to_string(),
            _ => return self.text().and(None),
        };
        self.may_compile(patterns(&text))?;
        let expression = Expression::compile(&text, scope)
            .map_err(|error| self.not_compiled(Code::Expression, &text, &error))
            .ok()?;
        self.findings().note(expression.uses());
        Some(expression)
    }

    /// A strategy: an expression that can come to what it is to choose from.
    pub(crate) fn strategy(&self, scope: Scope) -> Option<Expression> {
        let strategy = self.expression_in(scope)?;
        let Some(found) = strategy.never_a_choice() else { return Some(strategy) };
        let what = if scope == Scope::KeyStrategy { "key" } else { "model" };
        self.wrong_so(
            Code::Expression,
            format!("This comes to {found}; a strategy must come to a {what}, or a list of them."),
            format!("Begin with `ai.{what}s`."),
        )
    }

    /// A text in which `${…}` may stand.
    pub(crate) fn template(&self) -> Option<Template> {
        let text = match self.value() {
            Written::Text(text) => text.clone(),
            // `value: 1` in a map of headers means the text.
            Written::Integer(number) => number.to_string(),
            Written::Bool(value) => value.to_string(),
            _ => return self.text().and(None),
        };
        self.may_compile(patterns(&text))?;
        let template = Template::compile(&text, self.phase().scope())
            .map_err(|error| self.not_compiled(Code::Template, &text, &error))
            .ok()?;
        self.findings().note(template.uses());
        Some(template)
    }

    fn not_compiled(&self, code: Code, text: &str, error: &CompileError) {
        let character = text.get(..error.range.start).map_or(0, |before| before.chars().count()) + 1;
        let message = format!("At character {character} of this: {}.", error.message);
        match &error.suggestion {
            Some(suggestion) => self.wrong_so::<()>(code, message, format!("Did you mean `{suggestion}`?")),
            None => self.wrong::<()>(code, message),
        };
    }

    /// A value of any shape, with `${…}` in its texts.
    pub(crate) fn tree(&self) -> Option<Tree> {
        Some(match self.value() {
            Written::Null => Tree::Constant(Value::Null),
            Written::Bool(value) => Tree::Constant(Value::Bool(*value)),
            Written::Integer(number) => Tree::Constant(Value::Int(*number)),
            Written::Float(number) => Tree::Constant(Value::Double(*number)),
            Written::Text(text) if !text.contains("${") => Tree::Constant(Value::text(text.as_str())),
            Written::Text(_) => Tree::Text(self.template()?),
            Written::List(_) => {
                let items = self.list(0..=usize::MAX, Place::tree)?;
                match constants(&items) {
                    Some(values) => Tree::Constant(Value::list(values)),
                    None => Tree::List(items),
                }
            }
            Written::Map(_) => {
                let entries = self.entries(0..=usize::MAX)?;
                let trees = all(entries.iter().map(|(_, place)| place.tree()))?;
                let names: Vec<String> = entries.into_iter().map(|(name, _)| name).collect();
                match constants(&trees) {
                    Some(values) => Tree::Constant(Value::map(names.into_iter().zip(values))),
                    None => Tree::Map(names.into_iter().zip(trees).collect()),
                }
            }
        })
    }

    /// A value of any shape in which nothing is computed.
    pub(crate) fn constant(&self) -> Option<Value> {
        match self.tree()? {
            Tree::Constant(value) => Some(value),
            _ => self.wrong(Code::Shape, "`${…}` is not computed here."),
        }
    }
}

/// The values, if nothing in them must be computed.
fn constants(trees: &[Tree]) -> Option<Vec<Value>> {
    trees
        .iter()
        .map(|tree| if let Tree::Constant(value) = tree { Some(value.clone()) } else { None })
        .collect()
}

/// A value some of whose texts are computed for each request.
pub(crate) enum Tree {
    Constant(Value),
    Text(Template),
    List(Vec<Tree>),
    Map(Vec<(String, Tree)>),
}

impl Tree {
    /// How deep lists and maps stand in each other.
    pub(crate) fn depth(&self) -> u16 {
        match self {
            Self::Constant(value) => value.depth(),
            Self::Text(_) => 0,
            Self::List(trees) => 1 + trees.iter().map(Self::depth).max().unwrap_or(0),
            Self::Map(entries) => 1 + entries.iter().map(|(_, tree)| tree.depth()).max().unwrap_or(0),
        }
    }

    /// The value for one request.
    pub(crate) fn render(
        &self,
        facts: &crate::Facts<'_>,
    ) -> Result<Value, crate::expression::EvaluationError> {
        Ok(match self {
            Self::Constant(value) => value.clone(),
            Self::Text(template) => template.render(facts)?,
            Self::List(trees) => {
                Value::list(trees.iter().map(|tree| tree.render(facts)).collect::<Result<_, _>>()?)
            }
            Self::Map(entries) => {
                let mut map = Map::default();
                for (name, tree) in entries {
                    map.insert(Key::from(name.as_str()), tree.render(facts)?);
                }
                Value::Map(map.into())
            }
        })
    }
}
