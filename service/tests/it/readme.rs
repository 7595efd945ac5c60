//! README.md against the program: every flag, variable, tool and setting is told of, and there is no other.

use std::collections::BTreeSet;
use std::process::Command;

use sampan_service::core::settings::parse_file;

const README: &str = include_str!("../../README.md");

/// The rows of a table of README.md, by its head.
fn table(head: &str) -> Vec<Vec<&'static str>> {
    let (_, rows) = README.split_once(head).expect("the table is there");
    let rows = rows.lines().skip(2);
    rows.take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect()
}

/// The texts between backticks that begin like this, up to a blank.
fn coded(text: &str, begin: &str) -> BTreeSet<String> {
    let codes = text.split('`').skip(1).step_by(2);
    codes
        .filter(|code| code.starts_with(begin))
        .filter_map(|code| code.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

fn help(tool: &[&str]) -> String {
    let mut program = Command::new(env!("CARGO_BIN_EXE_sampan-service"));
    let said = program.args(tool).arg("--help").output().unwrap();
    assert!(said.status.success(), "{tool:?}");
    String::from_utf8(said.stdout).unwrap()
}

/// The flags and variables that a help names as its options.
fn options(help: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut flags, mut variables) = (BTreeSet::new(), BTreeSet::new());
    for line in help.lines().map(str::trim) {
        let flag = line
            .strip_prefix("-h, ")
            .or_else(|| line.strip_prefix("-V, "));
        let flag = flag.unwrap_or(line).split([' ', '=']).next();
        flags.extend(
            flag.filter(|flag| flag.starts_with("--"))
                .map(str::to_owned),
        );
        let variable = line
            .strip_prefix("[env: ")
            .and_then(|it| it.split(['=', ']']).next());
        variables.extend(variable.map(str::to_owned));
    }
    for every in ["--help", "--version"] {
        flags.remove(every);
    }
    (flags, variables)
}

#[test]
fn the_flags_of_the_readme_are_those_of_the_program() {
    let (flags, variables) = options(&help(&[]));
    assert!(
        flags.len() > 10 && variables.len() > 10,
        "{flags:?} {variables:?}"
    );
    let rows = table("| flag | environment | default | meaning |");
    let column = |index: usize, begin| -> BTreeSet<String> {
        let cells = rows.iter().filter_map(|row| row.get(index));
        cells.flat_map(|cell| coded(cell, begin)).collect()
    };
    assert_eq!(column(0, "--"), flags);
    assert_eq!(column(1, "SAMPAN_"), variables);
}

#[test]
fn the_readme_tells_of_every_tool_and_its_flags() {
    let tools = [
        "check-settings",
        "backup",
        "restore",
        "check",
        "salvage",
        "admin",
    ];
    let listed = help(&[]);
    let (_, commands) = listed.split_once("Commands:").unwrap();
    let commands = commands
        .lines()
        .skip(1)
        .take_while(|line| !line.trim().is_empty());
    let commands: BTreeSet<_> = commands
        .filter_map(|it| it.split_whitespace().next())
        .collect();
    let known: BTreeSet<_> = tools.into_iter().chain(["help"]).collect();
    assert_eq!(commands, known);
    let errands = [
        "sessions",
        "stats",
        "kick",
        "bar",
        "unbar",
        "revoke",
        "delete-conversation",
        "erase",
    ];
    let of_tools = tools.into_iter().map(|tool| vec![tool]);
    let of_errands = errands.into_iter().map(|errand| vec!["admin", errand]);
    for tool in of_tools.chain(of_errands) {
        assert!(README.contains(tool.last().unwrap()), "{tool:?}");
        for flag in options(&help(&tool)).0 {
            assert!(README.contains(&flag), "{flag} of {tool:?}");
        }
    }
}

/// The keys that settings may have under some keys, as their refusal names them.
fn keys_under(group: Option<&str>) -> BTreeSet<String> {
    let text = group.map_or_else(
        || r#"{"app":{"no such key":1}}"#.to_owned(),
        |group| format!(r#"{{"app":{{"{group}":{{"no such key":1}}}}}}"#),
    );
    let refused = parse_file(&text).unwrap_err().to_string();
    let (_, expected) = refused.split_once("expected ").unwrap();
    expected
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_settings_of_the_readme_are_those_that_exist() {
    let groups = [
        "signatures",
        "features",
        "limits",
        "rates",
        "retention",
        "push",
        "files",
        "hooks",
    ];
    let mut exist = keys_under(None);
    for group in groups {
        assert!(exist.remove(group), "{group}");
        exist.extend(
            keys_under(Some(group))
                .iter()
                .map(|key| format!("{group}.{key}")),
        );
    }
    let rows = table("| setting | default | range | meaning |");
    let told = rows.iter().filter_map(|row| row.first());
    let told: BTreeSet<String> = told.flat_map(|cell| coded(cell, "")).collect();
    assert_eq!(told, exist);
}

#[test]
fn numbers_of_settings_have_the_ranges_of_the_readme() {
    let mut ranges = 0;
    for row in table("| setting | default | range | meaning |") {
        let [name, _, range, ..] = row.as_slice() else {
            panic!("{row:?}");
        };
        let Some((least, most)) = range.split_once('–') else {
            continue;
        };
        let (Ok(least), Ok(most)) = (least.parse::<u64>(), most.parse::<u64>()) else {
            continue;
        };
        ranges += 1;
        let (group, key) = name.trim_matches('`').split_once('.').unwrap();
        let with =
            |value: u64| parse_file(&format!(r#"{{"app":{{"{group}":{{"{key}":{value}}}}}}}"#));
        let above = with(most + 1).unwrap_err().to_string();
        assert!(
            above.contains(&format!("from {least} to {most}")),
            "{name}: {above}"
        );
        if let Some(below) = least.checked_sub(1) {
            assert!(with(below).is_err(), "{name}: {below}");
        }
    }
    assert!(ranges > 20, "{ranges}");
}
