//! Which bytes of the text a part of an expression is.

use std::ops::Range;

use cel::IdedExpr;
use cel::common::ast::{CallExpr, Expr};

use super::Compiler;

impl Compiler<'_> {
    /// The bytes of a part. Of operators and calls the parser says where the sign or the bracket is, which
    /// is why all that belongs to them is asked as well.
    pub(super) fn range(&self, tree: &IdedExpr) -> Range<usize> {
        let sign =
            self.source.offset_for(tree.id).map_or(0..0, |(start, end)| start as usize..end as usize + 1);
        let range = match &tree.expr {
            Expr::Select(select) => {
                let range = joined(sign, self.range(&select.operand));
                range.start..range.end + select.field.len()
            }
            Expr::Call(call) => self.range_of_call(call, sign),
            _ => sign,
        };
        range.start.min(self.length)..range.end.min(self.length)
    }

    fn range_of_call(&self, call: &CallExpr, sign: Range<usize>) -> Range<usize> {
        let parts = call.target.iter().map(|target| &**target).chain(&call.args);
        let mut range = parts.map(|part| self.range(part)).fold(sign.clone(), joined);
        let text = &self.source.source;
        let bracket = text.as_bytes().get(sign.start);
        let name = sign.start.saturating_sub(call.func_name.len());
        if bracket == Some(&b'(') && text.get(name..sign.start) == Some(&call.func_name) {
            range.start = range.start.min(name);
        }
        if let Some(b'(' | b'[') = bracket {
            let rest = text.get(range.end..).unwrap_or_default();
            let blank = rest.len() - rest.trim_start().len();
            range.end += if rest[blank..].starts_with([')', ']']) { blank + 1 } else { 0 };
        }
        range
    }
}

fn joined(one: Range<usize>, other: Range<usize>) -> Range<usize> {
    one.start.min(other.start)..one.end.max(other.end)
}
