//! The names that each part may use: the floors of the engine, and the rooms of the service.

use crate::code::{Token, code_only, next_names, tokens, without_tests};
use crate::repository::Source;
use std::collections::BTreeMap;

/// The names that a part of the sources never uses.
struct Rule {
    /// The part: paths that start so.
    part: &'static str,
    /// Floors of the engine, reached by `crate::`, `super::` or `sampan::`.
    floors: &'static [&'static str],
    /// Crates from outside; `tokio` stands for `tokio_tungstenite` and its like as well.
    crates: &'static [&'static str],
    /// Names of the standard library.
    names: &'static [&'static str],
}

/// Types that read a clock.
const CLOCKS: [&str; 2] = ["Instant", "SystemTime"];
/// Clocks, and types that give another order or number in each run.
const NOT_GIVEN: [&str; 6] = [
    "Instant",
    "SystemTime",
    "HashMap",
    "HashSet",
    "RandomState",
    "DefaultHasher",
];
const ABOVE_MODEL: [&str; 7] = ["wire", "store", "views", "sync", "net", "runtime", "api"];

/// The table. A floor's rule names what stands above it too: arrows point down.
const RULES: [Rule; 11] = [
    Rule {
        part: "src/model/",
        floors: &ABOVE_MODEL,
        crates: &["prost", "sled", "tokio"],
        names: &CLOCKS,
    },
    Rule {
        part: "src/error.rs",
        floors: &ABOVE_MODEL,
        crates: &["prost", "sled", "tokio"],
        names: &CLOCKS,
    },
    Rule {
        part: "src/config.rs",
        floors: &ABOVE_MODEL,
        crates: &["prost", "sled", "tokio"],
        names: &CLOCKS,
    },
    Rule {
        part: "src/wire/",
        floors: &["store", "views", "sync", "net", "runtime", "api"],
        crates: &["sled", "tokio"],
        names: &CLOCKS,
    },
    Rule {
        part: "src/store/",
        floors: &["wire", "views", "sync", "net", "runtime", "api"],
        crates: &["prost", "tokio"],
        names: &[],
    },
    Rule {
        part: "src/views/",
        floors: &["wire", "sync", "net", "runtime", "api"],
        crates: &["prost", "sled", "tokio"],
        names: &CLOCKS,
    },
    Rule {
        part: "src/sync/",
        floors: &["views", "net", "runtime", "api"],
        crates: &["prost", "sled", "tokio", "rand", "getrandom", "fastrand"],
        names: &NOT_GIVEN,
    },
    Rule {
        part: "src/net/",
        floors: &["store", "views", "sync", "runtime", "api"],
        crates: &["prost", "sled"],
        names: &[],
    },
    Rule {
        part: "src/runtime/",
        floors: &["api"],
        crates: &["prost", "sled"],
        names: &[],
    },
    Rule {
        part: "src/api/",
        floors: &["wire", "net"],
        crates: &["prost", "sled"],
        names: &[],
    },
    Rule {
        part: "service/src/core/",
        floors: &[],
        crates: &[
            "axum",
            "hyper",
            "prost",
            "redb",
            "tokio",
            "rand",
            "getrandom",
        ],
        names: &NOT_GIVEN,
    },
];

/// Crates that one file alone may name, so that a change of mind touches one file.
const SOLE_HOMES: [(&str, &str); 2] = [
    ("sled", "src/store/tree/sled.rs"),
    ("redb", "service/src/storage/redb.rs"),
];

/// The floors that the service may use, which both ends of the wire share.
const SHARED: [&str; 2] = ["model", "wire"];

/// Everything in the code of `sources` that breaks the table.
pub(crate) fn complaints(sources: &[Source]) -> Vec<String> {
    let exports = sources
        .iter()
        .find(|source| source.path == "src/lib.rs")
        .map(exports);
    let exports = exports.unwrap_or_default();
    let code = sources.iter().filter(|source| is_shipped(&source.path));
    code.flat_map(|source| file_complaints(source, &exports))
        .collect()
}

/// True if a file is code of a floor and not of its tests.
fn is_shipped(path: &str) -> bool {
    let ours = path.starts_with("src/") || path.starts_with("service/src/");
    ours && path.ends_with(".rs") && !path.ends_with("/tests.rs") && !path.contains("/tests/")
}

fn file_complaints(source: &Source, exports: &BTreeMap<String, String>) -> Vec<String> {
    let code = code_only(&source.text);
    let tokens = tokens(without_tests(&code));
    let mut found = Vec::new();
    for rule in RULES
        .iter()
        .filter(|rule| source.path.starts_with(rule.part))
    {
        let floors = root_names(&tokens, &source.path)
            .into_iter()
            .filter(|name| {
                let floor = exports.get(name.text).map_or(name.text, String::as_str);
                rule.floors.contains(&floor)
            });
        let crates = outside_crates(&tokens).into_iter().filter(|name| {
            let family = name.text.split('_').next().unwrap_or_default();
            rule.crates.contains(&name.text) || rule.crates.contains(&family)
        });
        let names = tokens
            .iter()
            .filter(|token| rule.names.contains(&token.text))
            .copied();
        let all = floors.chain(crates).chain(names);
        found.extend(all.map(|token| complaint(source, token, rule.part)));
    }
    for (outside, home) in SOLE_HOMES.iter().filter(|(_, home)| *home != source.path) {
        let named = outside_crates(&tokens)
            .into_iter()
            .filter(|token| token.text == *outside);
        found.extend(named.map(|token| complaint(source, token, &format!("all but {home}"))));
    }
    if source.path.starts_with("service/") {
        let used = names_after(&tokens, &["sampan"]);
        let strange = used.into_iter().filter(|name| !SHARED.contains(&name.text));
        found.extend(strange.map(|token| complaint(source, token, "the service")));
    }
    found
}

fn complaint(source: &Source, token: Token<'_>, who: &str) -> String {
    format!(
        "{}:{}: {who} never names `{}`",
        source.path, token.line, token.text
    )
}

/// Names at the root of the engine's crate: after `crate::`, and after as many `super::` as lead
/// there from this file.
fn root_names<'a>(tokens: &[Token<'a>], path: &str) -> Vec<Token<'a>> {
    if !path.starts_with("src/") {
        return Vec::new();
    }
    let inner = path
        .trim_start_matches("src/")
        .trim_end_matches(".rs")
        .trim_end_matches("/mod");
    let mut found = names_after(tokens, &["crate"]);
    let way_up = vec!["super"; inner.split('/').count()];
    found.extend(names_after(tokens, &way_up));
    found
}

/// The names that follow `way::`, as in `super::super::NAME`.
fn names_after<'a>(tokens: &[Token<'a>], way: &[&str]) -> Vec<Token<'a>> {
    let path: Vec<&str> = way.iter().flat_map(|&step| [step, "::"]).collect();
    let starts = tokens
        .windows(path.len())
        .enumerate()
        .filter(|(_, window)| {
            window
                .iter()
                .map(|token| token.text)
                .eq(path.iter().copied())
        });
    let ends = starts.map(|(at, _)| tokens.get(at + path.len()..).unwrap_or_default());
    ends.flat_map(next_names).collect()
}

/// Names that stand for a crate: a path begins with them, or `use` names them alone.
fn outside_crates<'a>(tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let before = at
            .checked_sub(1)
            .and_then(|before| tokens.get(before))
            .map(|one| one.text);
        let after = tokens.get(at + 1).map(|one| one.text);
        let starts_path = after == Some("::") && before != Some("::");
        if starts_path || (before == Some("use") && after != Some("::")) {
            found.push(*token);
        }
    }
    found
}

/// The types that the crate's root exports, each with the floor it comes from.
fn exports(root: &Source) -> BTreeMap<String, String> {
    let code = code_only(&root.text);
    let tokens = tokens(&code);
    let mut found = BTreeMap::new();
    for (at, token) in tokens
        .iter()
        .enumerate()
        .filter(|(_, token)| token.text == "use")
    {
        let Some(floor) = tokens.get(at + 1).filter(|floor| floor.line >= token.line) else {
            continue;
        };
        let rest = tokens.get(at + 2..).unwrap_or_default();
        let statement = rest.iter().take_while(|token| token.text != ";");
        for name in statement.filter(|token| token.text.starts_with(char::is_uppercase)) {
            found.insert(name.text.to_owned(), floor.text.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        let source = |path: &str, text: &str| Source {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        let root = source(
            "src/lib.rs",
            "pub use api::{Client, Engine};\npub use error::SampanError;",
        );
        complaints(&[root, source(path, text)])
    }

    #[test]
    fn an_arrow_that_points_up_is_found_however_it_is_written() {
        let ways = [
            ("src/model/id.rs", "use crate::store::Key;"),
            (
                "src/model/id.rs",
                "use crate::{error::SampanError, store::{Key, db}};",
            ),
            ("src/model/id.rs", "fn f() -> crate::wire::Frame {}"),
            ("src/model/mod.rs", "use super::wire;"),
            ("src/sync/link/mod.rs", "use super::super::net::Transport;"),
            ("src/store/mod.rs", "use crate::Engine;"),
            ("src/store/mod.rs", "use crate::wire;"),
            ("src/net/mod.rs", "use crate::sync::Step;"),
            ("src/api/client.rs", "use crate::net::Transport;"),
            ("src/runtime/driver.rs", "use crate::{api, sync};"),
        ];
        for (path, text) in ways {
            assert_eq!(found(path, text).len(), 1, "{path}: {text}");
        }
    }

    #[test]
    fn an_arrow_that_points_down_is_fine() {
        let ways = [
            (
                "src/sync/client.rs",
                "use crate::{model::ClientId, store::Store, wire};",
            ),
            (
                "src/store/outbox.rs",
                "use crate::SampanError; use super::wire_format;",
            ),
            (
                "src/store/timeline.rs",
                "mod net; use super::sync; // a sibling of that name",
            ),
            (
                "src/runtime/driver.rs",
                "use tokio::time; use std::time::Instant;",
            ),
            (
                "src/store/mod.rs",
                "//! Not of `crate::wire`.\nconst A: &str = \"tokio::spawn\";",
            ),
            (
                "src/model/id.rs",
                "#[cfg(test)]\nmod tests {\n use crate::wire;\n}",
            ),
        ];
        for (path, text) in ways {
            assert_eq!(found(path, text), Vec::<String>::new(), "{path}: {text}");
        }
    }

    #[test]
    fn crates_that_a_floor_never_names_are_found() {
        assert_eq!(
            found("src/wire/frame.rs", "#[tokio::main] fn f() {}").len(),
            1
        );
        assert_eq!(
            found("src/sync/link.rs", "use tokio_tungstenite::Message;").len(),
            1
        );
        assert_eq!(found("src/sync/random.rs", "use rand;").len(), 1);
        assert_eq!(found("src/store/key.rs", "use sled::IVec;").len(), 1);
        assert_eq!(found("src/store/tree/sled.rs", "use sled::IVec;").len(), 0);
        assert_eq!(
            found("service/src/storage/mod.rs", "use redb::Database;").len(),
            1
        );
        assert_eq!(
            found(
                "service/src/storage/mod.rs",
                "mod redb; pub use self::redb::Redb;"
            )
            .len(),
            0
        );
    }

    #[test]
    fn time_and_order_that_were_not_given_are_found() {
        assert_eq!(
            found("src/sync/timer.rs", "use std::time::{Duration, Instant};").len(),
            1
        );
        assert_eq!(
            found("src/sync/pending.rs", "use std::collections::HashMap;").len(),
            1
        );
        assert_eq!(
            found("service/src/core/registry.rs", "use std::time::SystemTime;").len(),
            1
        );
    }

    #[test]
    fn the_service_shares_words_and_wire_and_nothing_else() {
        assert_eq!(
            found(
                "service/src/shell/mod.rs",
                "use sampan::{model, wire::Frame};"
            )
            .len(),
            0
        );
        assert_eq!(
            found("service/src/shell/mod.rs", "use sampan::{model, net};").len(),
            1
        );
        assert_eq!(
            found("service/src/shell/mod.rs", "use sampan::SampanError;").len(),
            1
        );
        assert_eq!(
            found("service/src/core/session.rs", "use axum::Router;").len(),
            1
        );
    }
}
