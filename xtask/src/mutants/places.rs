//! Finds the places where a small defect can be planted, and the defects of each.

use std::ops::Range;

use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{Attribute, BinOp, Block, Expr, ReturnType, Signature, Type, UnOp};

/// The way in which a defect is written into the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Edit {
    /// A statement at the start of a body leaves the function with this value.
    Leave(String),
    /// Another expression stands in the place of this one.
    Instead(String),
    /// A condition holds when it did not.
    Not,
    /// A guard of a match arm always holds.
    Always,
    /// A guard of a match arm never holds.
    Never,
    /// An arm without a guard is passed over; another arm takes everything.
    Passed,
}

/// A defect: where it goes, and what it does.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The path from the root of the workspace.
    pub(crate) file: String,
    pub(crate) line: usize,
    /// The function around the place, with its type.
    pub(crate) function: String,
    /// The expression; empty, and at the start of the body, where a function is left.
    pub(crate) range: Range<usize>,
    /// The text before and after, on one line.
    pub(crate) change: String,
    pub(crate) edit: Edit,
}

impl Place {
    /// The name of the defect: it stays the same while other lines of the file change.
    pub(crate) fn name(&self) -> String {
        format!("{}: {}\n    {}", self.file, self.function, self.change)
    }
}

/// All defects of a file. A file that is generated has none.
pub(crate) fn places(file: &str, source: &str) -> syn::Result<Vec<Place>> {
    if file.ends_with("generated.rs") {
        return Ok(Vec::new());
    }
    let mut finder = Finder {
        file,
        source,
        around: Vec::new(),
        found: Vec::new(),
    };
    finder.visit_file(&syn::parse_file(source)?);
    Ok(finder.found)
}

/// True for code that a build of the tests on this machine may not hold, and for tests themselves.
pub(crate) fn is_left_out(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let path = attribute.path();
        let is_test = path.segments.last().is_some_and(|it| it.ident == "test");
        let condition = path.is_ident("cfg").then(|| match &attribute.meta {
            syn::Meta::List(list) => list.tokens.to_string(),
            _ => String::new(),
        });
        let only_feature = |text: &str| text.starts_with("feature");
        is_test || condition.is_some_and(|text| !only_feature(&text))
    })
}

/// Traits whose functions write text for people who debug.
const TEXT_TRAITS: [&str; 3] = ["Debug", "Display", "Error"];
/// Integers, of which 0 and 1 are the defaults.
const INTEGERS: [&str; 12] = [
    "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize",
];
/// Collections, of which the empty one is the default.
const COLLECTIONS: [&str; 6] = [
    "Vec", "VecDeque", "BTreeMap", "BTreeSet", "HashMap", "HashSet",
];

struct Finder<'a> {
    file: &'a str,
    source: &'a str,
    /// The types and functions that the visitor is in.
    around: Vec<String>,
    found: Vec<Place>,
}

impl Finder<'_> {
    fn text(&self, range: Range<usize>) -> &str {
        self.source.get(range).unwrap_or_default()
    }

    fn plant(&mut self, range: Range<usize>, before: &str, after: &str, edit: Edit) {
        let ahead = self.source.get(..range.start).unwrap_or_default();
        self.found.push(Place {
            file: self.file.to_owned(),
            line: ahead.matches('\n').count() + 1,
            function: self.around.join("::"),
            range,
            change: one_line(&format!("{before} → {after}")),
            edit,
        });
    }

    fn function(&mut self, signature: &Signature, block: &Block) {
        if signature.constness.is_some() {
            return;
        }
        self.around.push(signature.ident.to_string());
        let has_inner = block
            .stmts
            .first()
            .is_some_and(|first| self.text(first.span().byte_range()).starts_with("#!"));
        if !has_inner {
            self.leaves(signature, block);
        }
        visit::visit_block(self, block);
        self.around.pop();
    }

    fn leaves(&mut self, signature: &Signature, block: &Block) {
        let body = block.brace_token.span.open().byte_range().end
            ..block.brace_token.span.close().byte_range().start;
        let inside = one_line(self.text(body.clone()));
        let values = match &signature.output {
            ReturnType::Default if block.stmts.is_empty() => Vec::new(),
            ReturnType::Default => vec!["()".to_owned()],
            ReturnType::Type(_, of) => values(of),
        };
        for value in values.into_iter().filter(|value| *value != inside) {
            let at = body.start..body.start;
            self.plant(at, "body", &value.clone(), Edit::Leave(value));
        }
    }

    fn instead(&mut self, whole: Range<usize>, after: String) {
        let before = self.text(whole.clone()).to_owned();
        self.plant(whole, &before, &after.clone(), Edit::Instead(after));
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !is_left_out(&item.attrs) {
            self.function(&item.sig, &item.block);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !is_left_out(&item.attrs) {
            self.function(&item.sig, &item.block);
        }
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default
            && !is_left_out(&item.attrs)
        {
            self.function(&item.sig, block);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let of = item.trait_.as_ref().and_then(|it| it.1.segments.last());
        let is_text = of.is_some_and(|it| TEXT_TRAITS.iter().any(|text| it.ident == text));
        if is_text || is_left_out(&item.attrs) {
            return;
        }
        let name = one_line(self.text(item.self_ty.span().byte_range()));
        self.around.push(name);
        visit::visit_item_impl(self, item);
        self.around.pop();
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.around.push(item.ident.to_string());
        visit::visit_item_trait(self, item);
        self.around.pop();
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_left_out(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    // Code that runs while the compiler runs can not ask the switch.
    fn visit_item_const(&mut self, _: &'ast syn::ItemConst) {}
    fn visit_item_static(&mut self, _: &'ast syn::ItemStatic) {}
    fn visit_impl_item_const(&mut self, _: &'ast syn::ImplItemConst) {}
    fn visit_trait_item_const(&mut self, _: &'ast syn::TraitItemConst) {}
    fn visit_expr_const(&mut self, _: &'ast syn::ExprConst) {}
    fn visit_type(&mut self, _: &'ast Type) {}
    fn visit_pat(&mut self, _: &'ast syn::Pat) {}
    fn visit_attribute(&mut self, _: &'ast Attribute) {}
    fn visit_expr_repeat(&mut self, repeat: &'ast syn::ExprRepeat) {
        self.visit_expr(&repeat.expr);
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        if !is_left_out(&local.attrs) {
            visit::visit_local(self, local);
        }
    }

    fn visit_expr_block(&mut self, block: &'ast syn::ExprBlock) {
        if !is_left_out(&block.attrs) {
            visit::visit_expr_block(self, block);
        }
    }

    fn visit_expr_binary(&mut self, binary: &'ast syn::ExprBinary) {
        let is_chain = holds_let(&binary.left) || holds_let(&binary.right);
        if binary.attrs.is_empty() && !is_chain {
            let left = self.text(binary.left.span().byte_range()).to_owned();
            let right = self.text(binary.right.span().byte_range()).to_owned();
            for other in others(&binary.op) {
                self.instead(
                    binary.span().byte_range(),
                    format!("({left}) {other} ({right})"),
                );
            }
        }
        visit::visit_expr_binary(self, binary);
    }

    fn visit_expr_unary(&mut self, unary: &'ast syn::ExprUnary) {
        if matches!(unary.op, UnOp::Not(_)) && unary.attrs.is_empty() {
            let inner = self.text(unary.expr.span().byte_range()).to_owned();
            self.instead(unary.span().byte_range(), inner);
        }
        visit::visit_expr_unary(self, unary);
    }

    fn visit_expr_if(&mut self, branch: &'ast syn::ExprIf) {
        // Conditions of one comparison or one `!` have their own defects.
        let is_plain = matches!(
            &*branch.cond,
            Expr::Path(_) | Expr::Call(_) | Expr::MethodCall(_) | Expr::Field(_) | Expr::Macro(_)
        );
        let is_joined = matches!(&*branch.cond, Expr::Binary(it) if matches!(it.op, BinOp::And(_) | BinOp::Or(_)));
        if is_plain || (is_joined && !holds_let(&branch.cond)) {
            let range = branch.cond.span().byte_range();
            let before = self.text(range.clone()).to_owned();
            let after = format!("!({before})");
            self.plant(range, &format!("if {before}"), &after, Edit::Not);
        }
        visit::visit_expr_if(self, branch);
    }

    fn visit_expr_match(&mut self, of: &'ast syn::ExprMatch) {
        let takes_all =
            |arm: &syn::Arm| matches!(arm.pat, syn::Pat::Wild(_)) && arm.guard.is_none();
        if of.arms.iter().any(takes_all) {
            let arms = of.arms.iter();
            for arm in arms
                .filter(|arm| arm.guard.is_none() && !takes_all(arm) && !is_left_out(&arm.attrs))
            {
                let pattern = arm.pat.span().byte_range();
                let before = format!("arm {}", self.text(pattern.clone()));
                self.plant(
                    pattern.end..pattern.end,
                    &before,
                    "passed over",
                    Edit::Passed,
                );
            }
        }
        visit::visit_expr_match(self, of);
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        if is_left_out(&arm.attrs) {
            return;
        }
        if let Some((_, guard)) = &arm.guard
            && !holds_let(guard)
        {
            let range = guard.span().byte_range();
            let before = format!("guard {}", self.text(range.clone()));
            self.plant(range.clone(), &before, "true", Edit::Always);
            self.plant(range, &before, "false", Edit::Never);
        }
        visit::visit_arm(self, arm);
    }
}

/// True if a condition binds names, so that it can not stand in an expression of its own.
fn holds_let(condition: &Expr) -> bool {
    match condition {
        Expr::Let(_) => true,
        Expr::Binary(it) if matches!(it.op, BinOp::And(_)) => {
            holds_let(&it.left) || holds_let(&it.right)
        }
        _ => false,
    }
}

/// The operators that stand in for one.
fn others(operator: &BinOp) -> &'static [&'static str] {
    match operator {
        BinOp::Eq(_) => &["!="],
        BinOp::Ne(_) => &["=="],
        BinOp::Lt(_) => &["<=", ">="],
        BinOp::Le(_) => &["<", ">"],
        BinOp::Gt(_) => &[">=", "<="],
        BinOp::Ge(_) => &[">", "<"],
        BinOp::And(_) => &["||"],
        BinOp::Or(_) => &["&&"],
        BinOp::Add(_) => &["-"],
        BinOp::Sub(_) => &["+"],
        BinOp::AddAssign(_) => &["-="],
        BinOp::SubAssign(_) => &["+="],
        _ => &[],
    }
}

/// The values that a function of this type could give without any work.
fn values(of: &Type) -> Vec<String> {
    match of {
        Type::Tuple(tuple) if tuple.elems.is_empty() => vec!["()".to_owned()],
        Type::Reference(it) if it.mutability.is_none() && is_named(&it.elem, "str") => {
            vec!["\"\"".to_owned()]
        }
        Type::Path(path) => path.path.segments.last().map_or_else(Vec::new, |last| {
            let name = last.ident.to_string();
            match name.as_str() {
                "bool" => vec!["true".to_owned(), "false".to_owned()],
                "String" => vec!["String::new()".to_owned()],
                "Option" => vec!["None".to_owned()],
                "Result" => first_of(&last.arguments)
                    .map_or_else(Vec::new, values)
                    .into_iter()
                    .map(|value| format!("Ok({value})"))
                    .collect(),
                name if INTEGERS.contains(&name) => vec!["0".to_owned(), "1".to_owned()],
                name if COLLECTIONS.contains(&name) => vec!["Default::default()".to_owned()],
                _ => Vec::new(),
            }
        }),
        _ => Vec::new(),
    }
}

fn is_named(of: &Type, name: &str) -> bool {
    matches!(of, Type::Path(it) if it.path.is_ident(name))
}

fn first_of(arguments: &syn::PathArguments) -> Option<&Type> {
    let syn::PathArguments::AngleBracketed(arguments) = arguments else {
        return None;
    };
    arguments.args.iter().find_map(|argument| match argument {
        syn::GenericArgument::Type(of) => Some(of),
        _ => None,
    })
}

/// A text on one line, with single spaces.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The changes in a source, in order.
    fn changes(source: &str) -> Vec<String> {
        let found = places("src/a.rs", source).unwrap();
        found.into_iter().map(|place| place.change).collect()
    }

    #[test]
    fn a_body_is_left_with_the_defaults_of_its_type() {
        let of = |output: &str| changes(&format!("fn a() {output} {{ b() }}"));
        assert_eq!(of(""), ["body → ()"]);
        assert_eq!(of("-> bool"), ["body → true", "body → false"]);
        assert_eq!(of("-> u8"), ["body → 0", "body → 1"]);
        assert_eq!(of("-> Option<u8>"), ["body → None"]);
        assert_eq!(of("-> Result<(), E>"), ["body → Ok(())"]);
        assert_eq!(
            of("-> io::Result<Vec<u8>>"),
            ["body → Ok(Default::default())"]
        );
        assert_eq!(
            of("-> Result<bool>"),
            ["body → Ok(true)", "body → Ok(false)"]
        );
        assert_eq!(of("-> &'static str"), ["body → \"\""]);
        assert!(of("-> Other").is_empty() && of("-> impl Iterator<Item = u8>").is_empty());
    }

    #[test]
    fn a_body_that_is_the_default_already_is_no_place() {
        assert_eq!(changes("fn a() {}"), [""; 0]);
        assert_eq!(changes("fn a() -> bool { true }"), ["body → false"]);
        assert_eq!(changes("fn a() -> Option<u8> { None }"), [""; 0]);
    }

    #[test]
    fn operators_conditions_and_guards_have_their_defects() {
        let of = |expression: &str| changes(&format!("fn a() -> X {{ {expression} }}"));
        assert_eq!(of("b == c"), ["b == c → (b) != (c)"]);
        assert_eq!(of("b < c"), ["b < c → (b) <= (c)", "b < c → (b) >= (c)"]);
        assert_eq!(of("b + c"), ["b + c → (b) - (c)"]);
        assert_eq!(of("b += c"), ["b += c → (b) -= (c)"]);
        assert_eq!(of("!b"), ["!b → b"]);
        assert_eq!(of("if b() { c } else { d }"), ["if b() → !(b())"]);
        assert_eq!(
            of("if b && c { d } else { e }"),
            ["if b && c → !(b && c)", "b && c → (b) || (c)"]
        );
        assert_eq!(
            of("match b { c if d => e, _ => f }"),
            ["guard d → true", "guard d → false"]
        );
        assert_eq!(
            of("match b { C => d, E | F => g, _ => h }"),
            ["arm C → passed over", "arm E | F → passed over"]
        );
        assert_eq!(of("match b { C => d, E => g }"), [""; 0]);
    }

    #[test]
    fn a_condition_that_binds_is_left_and_its_parts_are_not() {
        let source = "fn a() -> X { if let Some(b) = c && b == 1 { d } else { e } }";
        assert_eq!(changes(source), ["b == 1 → (b) != (1)"]);
    }

    #[test]
    fn tests_constants_and_texts_for_people_are_no_places() {
        for source in [
            "#[test] fn a() { b(); }",
            "#[tokio::test] async fn a() { b(); }",
            "#[cfg(test)] mod tests { fn a() { b(); } }",
            "#[cfg(not(unix))] fn a() { b(); }",
            "const fn a() -> bool { b == c }",
            "const A: bool = 1 == 2;",
            "impl fmt::Debug for A { fn fmt(&self) -> R { b == c } }",
            "fn a() -> X { debug_assert!(b == c); d }",
            "fn a() -> X { let b: [u8; 1 + 2] = [0; 1 + 2]; b }",
        ] {
            assert_eq!(changes(source), [""; 0], "{source}");
        }
        assert_eq!(changes("#[cfg(feature = \"b\")] fn a() { b(); }").len(), 1);
    }

    #[test]
    fn a_name_says_where_without_a_line() {
        let source = "impl A {\n    fn b(&self) -> X {\n        c ==\n            d\n    }\n}";
        let found = places("src/a.rs", source).unwrap();
        let place = found.first().unwrap();
        assert_eq!(place.name(), "src/a.rs: A::b\n    c == d → (c) != (d)");
        assert_eq!(place.line, 3);
        assert_eq!(source.get(place.range.clone()).unwrap().len(), 18);
    }
}
