//! The rule for the names of the engine's types: two floors never give one name to two of their public types.
//!
//! A reader who meets a name knows the type. A name that an app sees may belong to a type below as well, if the two are
//! the app's and the engine's sides of one thing: these are listed with a reason.

use crate::code::{code_only, tokens, without_tests};
use crate::repository::Source;
use std::collections::{BTreeMap, BTreeSet};

/// Names that types of two floors share, and why.
const SHARED: [(&str, &str); 8] = [
    (
        "Client",
        "an app's handle of a client, and the machine behind it",
    ),
    (
        "ConversationRow",
        "a conversation in the list of a screen, and as the store keeps it",
    ),
    (
        "Delivery",
        "how far an own message got, and what the link delivers to a client",
    ),
    (
        "Frame",
        "bytes of a WebSocket, and the protocol's bytes in them",
    ),
    (
        "Message",
        "a message on a screen, and as everything below knows it",
    ),
    (
        "OpenReport",
        "what an app is told of an opened store, and what the store tells",
    ),
    (
        "Reply",
        "a message that answers another, and the answer to a call",
    ),
    (
        "TimelineItem",
        "a line of a screen, and an item of the stored history",
    ),
];

/// The floors of the engine.
const ENGINE: &str = "src/";

/// The complaints about names that floors share.
pub(crate) fn complaints(sources: &[Source]) -> Vec<String> {
    complaints_but(sources, &SHARED)
}

fn complaints_but(sources: &[Source], shared: &[(&str, &str)]) -> Vec<String> {
    let mut floors: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for source in sources {
        let Some(floor) = floor_of(&source.path) else {
            continue;
        };
        for name in public_types(&source.text) {
            floors.entry(name).or_default().insert(floor);
        }
    }
    floors.retain(|_, floors| floors.len() > 1);
    let is_listed = |name: &str| shared.iter().any(|(listed, _)| *listed == name);
    let found = floors.iter().filter(|(name, _)| !is_listed(name));
    let mut found: Vec<String> = found
        .map(|(name, floors)| {
            format!("{floors:?} have a public type `{name}` each: one word, one meaning")
        })
        .collect();
    let unused = shared
        .iter()
        .filter(|(name, _)| !floors.contains_key(*name));
    found.extend(
        unused.map(|(name, _)| format!("`{name}` is on one floor alone: take it off the list")),
    );
    found
}

fn floor_of(path: &str) -> Option<&str> {
    let inside = path.strip_prefix(ENGINE)?;
    let (floor, rest) = inside.split_once('/')?;
    let is_test = rest
        .split('/')
        .any(|part| matches!(part, "tests" | "tests.rs"));
    (!is_test && floor != "bin" && rest != "generated.rs").then_some(floor)
}

/// The types that a file makes public without a limit.
fn public_types(text: &str) -> BTreeSet<String> {
    let code = code_only(text);
    let words = tokens(without_tests(&code));
    let mut found = BTreeSet::new();
    for three in words.windows(3) {
        if let [visible, kind, name] = three
            && visible.text == "pub"
            && matches!(kind.text, "struct" | "enum" | "trait" | "type" | "union")
            && name.text.starts_with(char::is_uppercase)
        {
            found.insert(name.text.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn a_name_of_two_floors_is_found_unless_it_is_listed() {
        let two = [
            source("src/model/row.rs", "pub struct Row;"),
            source("src/wire/row.rs", "pub enum Row {}"),
        ];
        assert_eq!(complaints_but(&two, &[]).len(), 1);
        assert!(complaints_but(&two, &[("Row", "why")]).is_empty());
    }

    #[test]
    fn names_of_one_floor_of_tests_and_of_private_types_are_free() {
        let free = [
            source("src/model/a.rs", "pub struct Row;"),
            source("src/model/b.rs", "pub struct Row;"),
            source("src/wire/a.rs", "struct Row; pub(crate) struct Row;"),
            source("src/store/tests/a.rs", "pub struct Row;"),
            source("service/src/a.rs", "pub struct Row;"),
        ];
        assert!(complaints_but(&free, &[]).is_empty());
        assert_eq!(complaints_but(&free, &[("Row", "why")]).len(), 1);
    }
}
