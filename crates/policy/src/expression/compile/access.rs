//! What names, dots and brackets mean.

use cel::IdedExpr;
use cel::common::ast::{CallExpr, Expr, LiteralValue, SelectExpr, operators};
use http::HeaderName;

use super::{Compiled, Compiler};
use crate::expression::error::CompileError;
use crate::expression::node::{HeaderKey, Node, Side, Step};
use crate::expression::scope::Namespace;
use crate::expression::variables::{self, REQUEST_HEADERS, RESPONSE_HEADERS, Resolved, Variable};
use crate::value::{Key, Value};

impl Compiler<'_> {
    /// A name, or names with dots between them.
    pub(super) fn path(&mut self, tree: &IdedExpr) -> Compiled {
        if let Expr::Ident(name) = &tree.expr
            && let Some(place) = self.local(name)
        {
            return Ok(self.folded(Step::Local(place), tree));
        }
        if let Some(chain) = self.chain(tree) {
            return self.variable(&chain, tree);
        }
        let Expr::Select(select) = &tree.expr else { return Err(self.unreadable(tree)) };
        if select.test {
            return Err(self.unreadable(tree));
        }
        let operand = self.node(&select.operand)?;
        Ok(self.selected(operand, &[&select.field], tree))
    }

    fn variable(&mut self, chain: &[&str], tree: &IdedExpr) -> Compiled {
        if !variables::is_root(chain[0]) {
            let error = self.unknown_name(chain[0], self.part(tree, chain.len() - 1));
            // A word that is nothing like another may still be a part of a name that is.
            let suggestion = error.suggestion.clone().or_else(|| variables::nearest(chain, self.scope));
            return Err(error.or(suggestion));
        }
        match variables::resolve(chain, self.scope) {
            Ok(Resolved::Variable(variable, names)) => {
                self.uses.namespaces.insert(variable.namespace);
                self.uses.all_actions |= variable.namespace == Namespace::Actions && names == chain.len();
                let node = self.folded(Step::Variable(variable), self.part(tree, chain.len() - names));
                Ok(self.selected(node, &chain[names..], tree))
            }
            Ok(Resolved::Group(group, names)) => {
                self.uses.namespaces.extend(group.namespaces());
                self.uses.all_actions |= group.namespaces().any(|part| part == Namespace::Actions);
                Ok(self.folded(Step::Group(group), self.part(tree, chain.len() - names)))
            }
            Err(unknown) => {
                let range = self.range(self.part(tree, chain.len() - unknown.names));
                Err(CompileError::new(unknown.message, range).or(unknown.suggestion))
            }
        }
    }

    /// A chain of selections without its last so many.
    fn part<'e>(&self, tree: &'e IdedExpr, without: usize) -> &'e IdedExpr {
        match &tree.expr {
            Expr::Select(SelectExpr { operand, .. }) if without > 0 => self.part(operand, without - 1),
            Expr::Call(CallExpr { func_name, args, .. }) if without > 0 && func_name == operators::INDEX => {
                args.first().map_or(tree, |operand| self.part(operand, without - 1))
            }
            _ => tree,
        }
    }

    /// Members of a value, by names that are written.
    fn selected(&mut self, operand: Node, names: &[&str], tree: &IdedExpr) -> Node {
        let Some((name, rest)) = names.split_first() else { return operand };
        self.note_member(&operand, name);
        if let Some(side) = headers(&operand) {
            let node = self.header(side, name, tree);
            return self.selected(node, rest, tree);
        }
        let keys = |names: &[&str]| names.iter().map(|name| Key::from(*name)).collect::<Vec<_>>();
        let step = match operand.step {
            // Several selections are one step.
            Step::Select { operand, fields } => {
                Step::Select { operand, fields: fields.into_vec().into_iter().chain(keys(names)).collect() }
            }
            _ => Step::Select { operand: Box::new(operand), fields: keys(names).into() },
        };
        self.folded(step, tree)
    }

    fn note_member(&mut self, operand: &Node, name: &str) {
        if let Step::Variable(variable) = &operand.step {
            match variable.namespace {
                Namespace::Vars => drop(self.uses.vars.insert(name.to_owned())),
                Namespace::Actions => drop(self.uses.actions.insert(name.to_owned())),
                _ => {}
            }
        }
    }

    /// `operand[index]`
    pub(super) fn indexed(&mut self, operand: &IdedExpr, index: &IdedExpr, tree: &IdedExpr) -> Compiled {
        // `conn['tls']` is another way to write `conn.tls`.
        if let Some(chain) = self.chain(operand)
            && variables::is_root(chain[0])
            && let Expr::Literal(LiteralValue::String(name)) = &index.expr
        {
            let chain: Vec<&str> = chain.into_iter().chain([name.inner()]).collect();
            return self.variable(&chain, tree);
        }
        let operand = self.node(operand)?;
        let index = self.node(index)?;
        if let Some(name) = index.constant().and_then(Value::as_str) {
            return Ok(self.selected(operand, &[name], tree));
        }
        if let Some(side) = headers(&operand) {
            let step = Step::Header { side, name: HeaderKey::Computed(Box::new(index)) };
            return Ok(self.folded(step, tree));
        }
        let step = match (operand.step, index.constant()) {
            (Step::Header { side, name }, Some(Value::Int(place @ 0..=63))) => {
                Step::HeaderValue { side, name, place: *place as usize }
            }
            (step, _) => {
                Step::Index { operand: Box::new(Node { step, range: operand.range }), index: Box::new(index) }
            }
        };
        Ok(self.folded(step, tree))
    }

    /// The values of a header that is named.
    pub(super) fn header(&mut self, side: Side, name: &str, tree: &IdedExpr) -> Node {
        self.uses.headers(side).insert(name.to_ascii_lowercase());
        // A name that no header can have is asked for in vain, and finds nothing.
        let name = HeaderKey::Known(HeaderName::from_bytes(name.as_bytes()).ok());
        self.folded(Step::Header { side, name }, tree)
    }

    /// `has(a.b)`
    pub(super) fn has(&mut self, arguments: &[IdedExpr], tree: &IdedExpr) -> Compiled {
        let [IdedExpr { expr: Expr::Select(select), .. }] = arguments else {
            return Err(CompileError::new("`has` takes a member, as in `has(vars.name)`", self.range(tree)));
        };
        // What is always there by name is there if it is not empty.
        let operand = match self.chain(&arguments[0]) {
            Some(chain) if variables::is_root(chain[0]) => match variables::resolve(&chain, self.scope) {
                Ok(Resolved::Variable(_, names)) if names < chain.len() => self.node(&select.operand)?,
                _ => {
                    let operand = Box::new(self.node(&arguments[0])?);
                    return Ok(self.folded(Step::Has { operand, field: None }, tree));
                }
            },
            _ => self.node(&select.operand)?,
        };
        self.note_member(&operand, &select.field);
        let field = Some(Key::from(select.field.as_str()));
        Ok(self.folded(Step::Has { operand: Box::new(operand), field }, tree))
    }
}

/// Whose headers a step is all of.
fn headers(node: &Node) -> Option<Side> {
    match &node.step {
        Step::Variable(Variable { name, .. }) if *name == REQUEST_HEADERS => Some(Side::Request),
        Step::Variable(Variable { name, .. }) if *name == RESPONSE_HEADERS => Some(Side::Response),
        _ => None,
    }
}
