//! What calls mean: operators, loops and functions.

use std::net::IpAddr;

use cel::IdedExpr;
use cel::common::ast::{CallExpr, Expr, operators};
use ipnet::IpNet;

use super::{Compiled, Compiler};
use crate::expression::error::CompileError;
use crate::expression::functions::{self, Function, Style};
use crate::expression::node::{Loop, LoopKind, Node, Operator, Side, Step};
use crate::expression::uses::SecretName;
use crate::expression::{patterns, suggest};
use crate::value::Value;

/// Loops that are written as methods, with the arguments that they may have.
const LOOPS: &[(&str, LoopKind, &[usize])] = &[
    ("all", LoopKind::All, &[2]),
    ("exists", LoopKind::Exists, &[2]),
    ("exists_one", LoopKind::ExistsOne, &[2]),
    ("existsOne", LoopKind::ExistsOne, &[2]),
    ("filter", LoopKind::Filter, &[2]),
    ("map", LoopKind::Map, &[2, 3]),
    ("sortBy", LoopKind::SortBy, &[2]),
];

const OPERATORS: &[(&str, Operator)] = &[
    (operators::EQUALS, Operator::Equal),
    (operators::NOT_EQUALS, Operator::NotEqual),
    (operators::LESS, Operator::Less),
    (operators::LESS_EQUALS, Operator::LessOrEqual),
    (operators::GREATER, Operator::Greater),
    (operators::GREATER_EQUALS, Operator::GreaterOrEqual),
    (operators::IN, Operator::In),
    (operators::ADD, Operator::Add),
    (operators::SUBSTRACT, Operator::Subtract),
    (operators::MULTIPLY, Operator::Multiply),
    (operators::DIVIDE, Operator::Divide),
    (operators::MODULO, Operator::Modulo),
];

impl Compiler<'_> {
    pub(super) fn call(&mut self, tree: &IdedExpr, call: &CallExpr) -> Compiled {
        let CallExpr { func_name, target, args } = call;
        let step = match (func_name.as_str(), target, args.as_slice()) {
            (operators::CONDITIONAL, None, [test, yes, no]) => {
                Step::If(Box::new((self.node(test)?, self.node(yes)?, self.node(no)?)))
            }
            (operators::LOGICAL_AND, None, [one, other]) => {
                Step::And(Box::new((self.node(one)?, self.node(other)?)))
            }
            (operators::LOGICAL_OR, None, [one, other]) => {
                Step::Or(Box::new((self.node(one)?, self.node(other)?)))
            }
            (operators::LOGICAL_NOT, None, [operand]) => Step::Not(Box::new(self.node(operand)?)),
            (operators::NEGATE, None, [operand]) => Step::Negate(Box::new(self.node(operand)?)),
            (operators::INDEX, None, [operand, index]) => return self.indexed(operand, index, tree),
            (operators::OPT_INDEX | operators::OPT_SELECT, ..) => return Err(self.optional(tree)),
            ("has", None, arguments) => return self.has(arguments, tree),
            (name, None, [one, other]) if let Some(operator) = operator(name) => {
                Step::Binary(operator, Box::new((self.node(one)?, self.node(other)?)))
            }
            (name, None, arguments) => return self.function(name, None, arguments, tree),
            (name, Some(target), arguments) => {
                if let Some(found) = self.each(name, target, arguments) {
                    return found.map(|step| self.folded(step, tree));
                }
                return self.method(name, target, arguments, tree);
            }
        };
        Ok(self.folded(step, tree))
    }

    /// A loop, if it is written as one.
    fn each(
        &mut self,
        name: &str,
        over: &IdedExpr,
        arguments: &[IdedExpr],
    ) -> Option<Result<Step, CompileError>> {
        let (_, kind, _) =
            LOOPS.iter().find(|(n, _, counts)| *n == name && counts.contains(&arguments.len()))?;
        Some(self.looped(*kind, over, arguments))
    }

    fn looped(
        &mut self,
        kind: LoopKind,
        over: &IdedExpr,
        arguments: &[IdedExpr],
    ) -> Result<Step, CompileError> {
        let Expr::Ident(name) = &arguments[0].expr else {
            let message = "the first argument must be a name for the items";
            return Err(CompileError::new(message, self.range(&arguments[0])));
        };
        let over = self.node(over)?;
        let local = self.locals.len();
        self.locals.push(name.clone());
        let inner: Result<Vec<Node>, _> = arguments[1..].iter().map(|argument| self.node(argument)).collect();
        self.locals.truncate(local);
        let mut inner = inner?;
        let last = inner.pop();
        let (test, result) = match kind {
            LoopKind::Map | LoopKind::SortBy => (inner.pop(), last),
            _ => (last, None),
        };
        Ok(Step::Loop(Box::new(Loop { kind, over, test, result })))
    }

    /// A call behind a dot: of a function whose name has one, or on a value.
    fn method(&mut self, name: &str, target: &IdedExpr, arguments: &[IdedExpr], tree: &IdedExpr) -> Compiled {
        if let Some(chain) = self.chain(target) {
            let full = format!("{}.{name}", chain.join("."));
            if functions::named(&full).next().is_some() {
                return self.function(&full, None, arguments, tree);
            }
            if let [namespace] = chain[..]
                && functions::is_namespace(namespace)
            {
                return Err(self.unknown_function(&full, tree));
            }
        }
        self.function(name, Some(target), arguments, tree)
    }

    fn function(
        &mut self,
        name: &str,
        target: Option<&IdedExpr>,
        arguments: &[IdedExpr],
        tree: &IdedExpr,
    ) -> Compiled {
        let style = if target.is_some() { Style::Method } else { Style::Global };
        let mut known = functions::named(name).filter(|function| function.style.allows(style)).peekable();
        if known.peek().is_none() {
            return Err(self.unknown_function(name, tree));
        }
        let count = arguments.len() + usize::from(target.is_some());
        let Some(function) = known.find(|function| function.takes(count)) else {
            return Err(self.wrong_count(name, style, tree));
        };
        if let Some(namespace) = function.namespace {
            if !self.scope.knows(namespace) {
                let message = format!("`{name}` has no meaning {}", self.scope.place());
                return Err(CompileError::new(message, self.range(tree)));
            }
            self.uses.namespaces.insert(namespace);
        }
        let arguments: Result<Vec<Node>, _> =
            target.into_iter().chain(arguments).map(|a| self.node(a)).collect();
        let step = self.specialised(function, arguments?, tree)?;
        Ok(self.folded(step, tree))
    }

    /// What can be done ahead of time for a few functions, and noted for whoever checks.
    fn specialised(
        &mut self,
        function: &'static Function,
        mut arguments: Vec<Node>,
        tree: &IdedExpr,
    ) -> Result<Step, CompileError> {
        let invalid = |compiler: &Self, message: String| CompileError::new(message, compiler.range(tree));
        match (function.name, arguments.as_slice()) {
            ("matches", [_, pattern]) if let Some(pattern) = pattern.constant().and_then(Value::as_str) => {
                let pattern = patterns::compile(pattern).map_err(|message| invalid(self, message))?;
                let text = Box::new(arguments.swap_remove(0));
                return Ok(Step::Matches { text, pattern: Box::new(pattern) });
            }
            ("inCidrRange" | "inCidrRanges", [_, ranges]) if let Some(ranges) = ranges.constant() => {
                // What is computed may be no range and is passed over; what is written must be one.
                let texts = ranges.items().unwrap_or(std::slice::from_ref(ranges));
                let mut parsed = Vec::with_capacity(texts.len());
                for text in texts.iter().filter_map(Value::as_str) {
                    let error =
                        || CompileError::new(format!("`{text}` is no range of addresses"), self.range(tree));
                    let single = text.parse::<IpAddr>().map(|address| IpNet::from(address).to_string());
                    parsed.push(text.parse().map_err(|_| error().or(single.ok()))?);
                }
                if parsed.len() == texts.len() {
                    let address = Box::new(arguments.swap_remove(0));
                    return Ok(Step::InRanges { address, ranges: parsed.into() });
                }
            }
            ("getReqHeader" | "hasReqHeader", [name]) => self.note_header(Side::Request, name),
            ("getResHeader" | "hasResHeader", [name]) => self.note_header(Side::Response, name),
            ("secrets.get", names) => {
                let mut names =
                    names.iter().map(|name| name.constant().and_then(Value::as_str)).collect::<Vec<_>>();
                match (names.pop().flatten(), names.pop()) {
                    (Some(name), None) => self.note_secret(None, name),
                    (Some(name), Some(Some(vault))) => self.note_secret(Some(vault), name),
                    _ => self.uses.computed_secrets = true,
                }
            }
            _ => {}
        }
        Ok(Step::Call { function, arguments })
    }

    fn note_header(&mut self, side: Side, name: &Node) {
        if let Some(name) = name.constant().and_then(Value::as_str) {
            self.uses.headers(side).insert(name.to_ascii_lowercase());
        }
    }

    fn note_secret(&mut self, vault: Option<&str>, name: &str) {
        let name = SecretName { vault: vault.map(str::to_owned), name: name.to_owned() };
        self.uses.secrets.insert(name);
    }

    fn unknown_function(&self, name: &str, tree: &IdedExpr) -> CompileError {
        let names = functions::names().chain(LOOPS.iter().map(|(name, ..)| *name));
        let suggestion = suggest::nearest(name, names);
        CompileError::new(format!("there is no function `{name}`"), self.range(tree)).or(suggestion)
    }

    fn wrong_count(&self, name: &str, style: Style, tree: &IdedExpr) -> CompileError {
        let itself = usize::from(style == Style::Method);
        let counts: Vec<String> = functions::named(name)
            .filter(|function| function.style.allows(style))
            .flat_map(|function| function.counts())
            .map(|count| (count.saturating_sub(itself)).to_string())
            .collect();
        CompileError::new(format!("`{name}` takes {} arguments", counts.join(" or ")), self.range(tree))
    }
}

fn operator(name: &str) -> Option<Operator> {
    OPERATORS.iter().find(|(written, _)| *written == name).map(|(_, operator)| *operator)
}
