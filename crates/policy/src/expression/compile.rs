//! From syntax tree to steps. Whatever can be known before there is a request is decided here: what a
//! name means, whether a function exists and takes so many arguments, what constants come to.

mod access;
mod calls;
mod range;

use cel::IdedExpr;
use cel::common::ast::{EntryExpr, Expr, LiteralValue, SourceInfo};

use super::error::CompileError;
use super::evaluate;
use super::node::{Node, Step};
use super::scope::Scope;
use super::uses::Uses;
use super::{steady, suggest, variables};
use crate::value::Value;

pub(super) struct Compiler<'t> {
    scope: Scope,
    source: &'t SourceInfo,
    /// How long the text is.
    length: usize,
    /// The variables of the loops that are open.
    locals: Vec<String>,
    uses: Uses,
}

pub(super) type Compiled = Result<Node, CompileError>;

/// The steps of an expression, and what it speaks of.
pub(super) fn compile(
    tree: &IdedExpr,
    source: &SourceInfo,
    length: usize,
    scope: Scope,
) -> Result<(Node, Uses), CompileError> {
    let mut compiler = Compiler { scope, source, length, locals: Vec::new(), uses: Uses::default() };
    let mut node = compiler.node(tree)?;
    if scope == Scope::ModelStrategy {
        steady::mark(&mut node, &mut 0);
    }
    Ok((node, compiler.uses))
}

impl Compiler<'_> {
    fn node(&mut self, tree: &IdedExpr) -> Compiled {
        let step = match &tree.expr {
            Expr::Literal(literal) => Step::Constant(constant(literal)),
            Expr::Ident(_) | Expr::Select(_) => return self.path(tree),
            Expr::Call(call) => return self.call(tree, call),
            Expr::List(list) if !list.optional_indices.is_empty() => return Err(self.optional(tree)),
            Expr::List(list) => {
                Step::List(list.elements.iter().map(|e| self.node(e)).collect::<Result<_, _>>()?)
            }
            Expr::Map(map) => {
                let mut entries = Vec::with_capacity(map.entries.len());
                for entry in &map.entries {
                    let EntryExpr::MapEntry(entry) = &entry.expr else { return Err(self.unreadable(tree)) };
                    if entry.optional {
                        return Err(self.optional(tree));
                    }
                    entries.push((self.node(&entry.key)?, self.node(&entry.value)?));
                }
                Step::Map(entries)
            }
            Expr::Struct(_) => {
                return Err(CompileError::new("there are no message types here", self.range(tree)));
            }
            Expr::Comprehension(_) | Expr::Unspecified => return Err(self.unreadable(tree)),
        };
        Ok(self.folded(step, tree))
    }

    /// The step, or what it comes to if it depends on nothing.
    fn folded(&self, step: Step, tree: &IdedExpr) -> Node {
        let range = self.range(tree);
        let node = Node { step, range: (range.start as u32, range.end as u32) };
        let constant = match &node.step {
            Step::List(items) => items.iter().all(|item| item.constant().is_some()),
            Step::Map(entries) => {
                entries.iter().all(|(k, v)| k.constant().is_some() && v.constant().is_some())
            }
            Step::Negate(operand) => operand.constant().is_some(),
            _ => false,
        };
        match constant.then(|| evaluate::constant(&node)).flatten() {
            Some(value) => Node { step: Step::Constant(value), ..node },
            // It fails, and shall do so when it is asked for.
            None => node,
        }
    }

    fn optional(&self, tree: &IdedExpr) -> CompileError {
        CompileError::new("optional values are not offered", self.range(tree))
    }

    fn unreadable(&self, tree: &IdedExpr) -> CompileError {
        CompileError::new("the expression cannot be read", self.range(tree))
    }

    /// Names with dots between them, if the tree is nothing else.
    fn chain<'e>(&self, tree: &'e IdedExpr) -> Option<Vec<&'e str>> {
        let (mut chain, mut at) = (Vec::new(), tree);
        loop {
            match &at.expr {
                Expr::Ident(name) if self.local(name).is_none() => {
                    chain.push(name.as_str());
                    chain.reverse();
                    return Some(chain);
                }
                Expr::Select(select) => {
                    chain.push(&select.field);
                    at = &select.operand;
                }
                _ => return None,
            }
        }
    }

    /// The place of a loop's variable; the innermost of a name counts.
    fn local(&self, name: &str) -> Option<usize> {
        self.locals.iter().rposition(|local| local == name)
    }

    fn unknown_name(&self, name: &str, tree: &IdedExpr) -> CompileError {
        let locals = self.locals.iter().map(String::as_str);
        let suggestion =
            suggest::nearest(name, locals.chain(variables::roots(self.scope).map(|root| root as &str)));
        CompileError::new(format!("there is no `{name}`"), self.range(tree)).or(suggestion)
    }
}

fn constant(literal: &LiteralValue) -> Value {
    match literal {
        LiteralValue::Boolean(value) => Value::Bool(*value.inner()),
        LiteralValue::Bytes(bytes) => Value::Bytes(bytes.inner().into()),
        LiteralValue::Double(number) => Value::Double(*number.inner()),
        LiteralValue::Int(number) => Value::Int(*number.inner()),
        LiteralValue::Null => Value::Null,
        LiteralValue::String(text) => Value::text(text.inner()),
        LiteralValue::UInt(number) => Value::Uint(*number.inner()),
    }
}
