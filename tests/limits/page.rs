//! Writes `docs/limits.md`.

use crate::read::Limit;
use std::fmt::Write;

/// The opening of the page.
const HEAD: &str = "\
# Limits

Every limit of the engine and of the service, with its value. This page is made from the sources:
`SAMPAN_REGENERATE=1 cargo test --test limits` writes it, and that test fails when it is stale. The
protocol's own limits, such as the length of a message, are explained in [wire.md](wire.md).
";

/// The floors and rooms of the page: the folder, its heading.
const ROOMS: [(&str, &str); 12] = [
    ("src/model/", "Engine: data (`src/model`)"),
    (
        "src/wire/",
        "Engine and service: frames and payloads (`src/wire`)",
    ),
    ("src/store/", "Engine: the store (`src/store`)"),
    ("src/sync/", "Engine: the state machines (`src/sync`)"),
    ("src/net/", "Engine: sockets (`src/net`)"),
    ("src/runtime/", "Engine: the loop (`src/runtime`)"),
    ("src/", "Engine: calls (`src/api` and others)"),
    ("service/src/core/", "Service: rules (`service/src/core`)"),
    (
        "service/src/storage/",
        "Service: storage (`service/src/storage`)",
    ),
    (
        "service/src/shell/",
        "Service: sockets and HTTP (`service/src/shell`)",
    ),
    ("service/src/", "Service: the program (`service/src`)"),
    ("migrate/src/", "Moving in (`migrate/src`)"),
];

/// The whole page.
pub(crate) fn page(limits: &[Limit]) -> String {
    let mut page = HEAD.to_owned();
    let (settings, constants): (Vec<&Limit>, Vec<&Limit>) =
        limits.iter().partition(|limit| limit.setting_of.is_some());
    settings_of(
        &mut page,
        "Set by an app: `Config.limits`",
        "src/config.rs",
        &settings,
    );
    let by_operator = "Set by an operator, for each app: `limits` and `retention`";
    settings_of(&mut page, by_operator, "service/", &settings);
    for (folder, heading) in ROOMS {
        let rows: Vec<&&Limit> = constants
            .iter()
            .filter(|limit| room(&limit.file) == Some(folder))
            .collect();
        if rows.is_empty() {
            continue;
        }
        let _ = write!(
            page,
            "\n## {heading}\n\n| limit | value | of what | file |\n|---|---|---|---|\n"
        );
        for limit in rows {
            let _ = writeln!(
                page,
                "| `{}` | {} | {} | `{}` |",
                limit.name, limit.value, limit.meaning, limit.file
            );
        }
    }
    page
}

/// A table of the settings whose file begins with `prefix`.
fn settings_of(page: &mut String, heading: &str, prefix: &str, settings: &[&Limit]) {
    let mut rows = settings
        .iter()
        .filter(|limit| limit.file.starts_with(prefix))
        .peekable();
    if rows.peek().is_none() {
        return;
    }
    let _ = write!(
        page,
        "\n## {heading}\n\n| setting | default | of what |\n|---|---|---|\n"
    );
    for limit in rows {
        let _ = writeln!(
            page,
            "| `{}` | {} | {} |",
            limit.name, limit.value, limit.meaning
        );
    }
}

/// The first room of the page whose folder holds a file.
fn room(file: &str) -> Option<&'static str> {
    ROOMS
        .iter()
        .map(|(folder, _)| *folder)
        .find(|folder| file.starts_with(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_stands_in_the_table_of_its_room() {
        let limit = Limit {
            name: "CUPS_MAX".to_owned(),
            setting_of: None,
            value: "3".to_owned(),
            meaning: "Most cups.".to_owned(),
            file: "src/store/cup.rs".to_owned(),
        };
        let page = page(&[limit]);
        assert!(page.contains("## Engine: the store"));
        assert!(page.contains("| `CUPS_MAX` | 3 | Most cups. | `src/store/cup.rs` |"));
        assert!(!page.contains("## Engine: sockets"));
    }
}
