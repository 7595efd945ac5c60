//! Finds the limits of a source: constants by their names, settings by their types.

use crate::repository::Source;
use crate::value::{Constants, evaluate, shown};
use std::collections::BTreeMap;
use syn::{Attribute, Expr, ExprLit, Fields, ImplItem, Item, Lit, Meta};

/// Parts of a name that make a constant a limit.
const WORDS: [&str; 11] = [
    "MAX", "MIN", "ONCE", "TIMEOUT", "EVERY", "LINGER", "PAUSE", "KEPT", "MARGIN", "WINDOW", "TTL",
];

/// Types whose fields are limits that an app or an operator sets.
const SETTINGS: [&str; 2] = ["Limits", "Retention"];

/// The ends of the files that hold these types.
const SETTINGS_FILES: [&str; 2] = ["src/config.rs", "settings.rs"];

/// One limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    /// The constant's name, or the setting's.
    pub(crate) name: String,
    /// The type whose setting it is; none for a constant.
    pub(crate) setting_of: Option<String>,
    /// Its value, or its default, for people.
    pub(crate) value: String,
    /// The first sentence of its documentation.
    pub(crate) meaning: String,
    /// The file it stands in, from the root.
    pub(crate) file: String,
}

/// The limits of all sources, in the order of their files.
pub(crate) fn limits(sources: &[Source]) -> Vec<Limit> {
    let parsed: Vec<(&Source, syn::File)> = sources
        .iter()
        .map(|source| (source, syn::parse_file(&source.text).expect("it compiles")))
        .collect();
    let mut constants = Constants::default();
    for (source, file) in &parsed {
        each_constant(&file.items, &mut |_, name, value| {
            constants.learn(&source.path, name, value);
        });
    }
    let mut found = Vec::new();
    for (source, file) in &parsed {
        found.extend(settings(&file.items, &source.path, &constants));
        each_constant(&file.items, &mut |attributes, name, value| {
            if is_limit(name) {
                found.extend(constant(source, attributes, name, value, &constants));
            }
        });
    }
    found
}

/// True if a name is that of a limit.
fn is_limit(name: &str) -> bool {
    name.split('_').any(|part| WORDS.contains(&part))
}

/// A constant as a limit, unless its value is neither a number nor a span of time.
fn constant(
    source: &Source,
    attributes: &[Attribute],
    name: &str,
    value: &Expr,
    constants: &Constants,
) -> Option<Limit> {
    let computed = evaluate(value, &source.path, constants)?;
    Some(Limit {
        name: name.to_owned(),
        setting_of: None,
        value: shown(name, &computed),
        meaning: first_sentence(attributes),
        file: source.path.clone(),
    })
}

/// Calls `found` with each constant outside of tests, those of types included.
fn each_constant<'a>(items: &'a [Item], found: &mut impl FnMut(&'a [Attribute], &str, &'a Expr)) {
    for item in items {
        match item {
            Item::Const(one) => found(&one.attrs, &one.ident.to_string(), &one.expr),
            Item::Impl(block) => {
                for item in &block.items {
                    if let ImplItem::Const(one) = item {
                        found(&one.attrs, &one.ident.to_string(), &one.expr);
                    }
                }
            }
            Item::Mod(inner) if !is_of_tests(&inner.attrs) => {
                if let Some((_, items)) = &inner.content {
                    each_constant(items, found);
                }
            }
            _ => {}
        }
    }
}

fn is_of_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let Meta::List(list) = &attribute.meta else {
            return false;
        };
        list.path.is_ident("cfg") && list.tokens.to_string() == "test"
    })
}

/// The fields of the types of settings, with the defaults that the code gives them.
fn settings(items: &[Item], file: &str, constants: &Constants) -> Vec<Limit> {
    if !SETTINGS_FILES.iter().any(|end| file.ends_with(end)) {
        return Vec::new();
    }
    let defaults = defaults(items);
    let mut found = Vec::new();
    for item in items {
        let Item::Struct(one) = item else { continue };
        let type_name = one.ident.to_string();
        let Fields::Named(fields) = &one.fields else {
            continue;
        };
        if !SETTINGS.contains(&type_name.as_str()) {
            continue;
        }
        for field in &fields.named {
            let name = field
                .ident
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default();
            let default = defaults.get(&(type_name.clone(), name.clone()));
            let value = default.and_then(|value| evaluate(value, file, constants));
            found.push(Limit {
                value: value.map_or_else(|| "none".to_owned(), |value| shown(&name, &value)),
                meaning: first_sentence(&field.attrs),
                setting_of: Some(type_name.clone()),
                file: file.to_owned(),
                name,
            });
        }
    }
    found
}

/// The values of `impl Default` blocks, by type and field.
fn defaults(items: &[Item]) -> BTreeMap<(String, String), Expr> {
    let mut found = BTreeMap::new();
    for item in items {
        let Item::Impl(block) = item else { continue };
        let is_default = block
            .trait_
            .as_ref()
            .is_some_and(|(_, path, _)| path.is_ident("Default"));
        let syn::Type::Path(of) = &*block.self_ty else {
            continue;
        };
        let Some(type_name) = of.path.get_ident().filter(|_| is_default) else {
            continue;
        };
        for item in &block.items {
            let ImplItem::Fn(function) = item else {
                continue;
            };
            let Some(syn::Stmt::Expr(Expr::Struct(value), None)) = function.block.stmts.last()
            else {
                continue;
            };
            for field in &value.fields {
                if let syn::Member::Named(name) = &field.member {
                    let key = (type_name.to_string(), name.to_string());
                    found.insert(key, field.expr.clone());
                }
            }
        }
    }
    found
}

/// The first sentence of a documentation comment, on one line.
fn first_sentence(attributes: &[Attribute]) -> String {
    let mut text = String::new();
    for attribute in attributes {
        let Meta::NameValue(pair) = &attribute.meta else {
            continue;
        };
        let Expr::Lit(ExprLit {
            lit: Lit::Str(line),
            ..
        }) = &pair.value
        else {
            continue;
        };
        if pair.path.is_ident("doc") {
            let line = line.value();
            if line.trim().is_empty() && !text.is_empty() {
                break;
            }
            text.push_str(line.trim());
            text.push(' ');
        }
    }
    let end = text
        .find(". ")
        .map_or_else(|| text.trim_end().len(), |at| at + 1);
    text.get(..end).unwrap_or_default().replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Limit> {
        limits(&[Source {
            path: "src/config.rs".to_owned(),
            text: text.to_owned(),
        }])
    }

    #[test]
    fn a_constant_is_a_limit_by_its_name() {
        let found = read(
            "/// Most cups. There is tea in them.\nconst CUPS_MAX: usize = 4 * 1024;\nconst COLOUR: u8 = 3;\nconst MAXIMAL: u8 = 1;",
        );
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].name, "CUPS_MAX");
        assert_eq!(found[0].value, "4,096");
        assert_eq!(found[0].meaning, "Most cups.");
    }

    #[test]
    fn constants_of_types_are_read_and_those_of_tests_are_not() {
        let found = read(
            "impl Cup { const SIPS_MAX: u32 = 3; }\n#[cfg(test)]\nmod tests { const TRIES_MAX: u32 = 9; }",
        );
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].name, "SIPS_MAX");
    }

    #[test]
    fn a_setting_has_the_default_that_the_code_gives_it() {
        let found = read(
            "struct Limits {\n/// How long. Default: ever.\nwait: Duration }\nimpl Default for Limits { fn default() -> Self { Self { wait: Duration::from_secs(90) } } }",
        );
        assert_eq!(found[0].value, "90 s");
        assert_eq!(found[0].setting_of.as_deref(), Some("Limits"));
        assert_eq!(found[0].meaning, "How long.");
    }
}
