//! The rules for each file by itself.

use crate::code::code_only;
use crate::repository::Source;

/// Longer than this, a file holds more than one idea. (600 lines are where a reviewer asks why.)
const LINES_MAX: usize = 600;
/// Written by a program, and read by nobody from top to bottom.
const GENERATED: [&str; 1] = ["src/wire/generated.rs"];
/// Words of plans, which go elsewhere than into the sources. Put together here, or this file would break its rule.
const PLANS: [&str; 4] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("HA", "CK"),
];
/// Code that is not there yet.
const HOLES: [&str; 2] = [concat!("todo", "!"), concat!("unimplemented", "!")];
/// Folders of the machine that a line was written on. Code that needs a folder for a while asks the system for one.
const HOMES: [&str; 5] = [
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/Us", "ers/"),
    concat!("/t", "mp/"),
    concat!("/wo", "rk/"),
];
/// Files and folders that may sleep.
const MAY_SLEEP: [&str; 15] = [
    // Pauses before a push is tried again.
    "service/src/shell/push.rs",
    // Gathers what is typed for half a second, before it is written.
    "src/runtime/drafts.rs",
    // Waits, briefly and a bounded number of times, for the lock of a database that was just dropped.
    "src/store/tree/sled.rs",
    // Tells now and then how far an upload is.
    "src/runtime/uploads.rs",
    // Pauses before a download is tried again.
    "src/runtime/downloads.rs",
    // Writes at most twice a minute.
    "src/runtime/glance.rs",
    // The engine's one timer.
    "src/runtime/driver.rs",
    // Looks now and then whether the files of the certificate have changed.
    "service/src/shell/tls.rs",
    // Waits before it tells an app's own server again.
    "service/src/shell/hooks.rs",
    // Plays people who take their time.
    "examples/tui/",
    // Looks now and then whether a child has ended.
    "xtask/src/step.rs",
    // Keeps to the pace that it was given, until it is asked to end.
    "migrate/src/crawl/source.rs",
    // Waits before it asks a service again that had no time.
    "migrate/src/load/into.rs",
    // Measure what happens in a span of time.
    "benches/",
    "service/benches/",
];
/// Ways to sleep, called or imported.
const SLEEPS: [&str; 2] = ["thread::sleep", "time::sleep"];
/// Endings of hosts that nobody has (RFC 2606), and the names of this machine.
const HOSTS_OF_NOBODY: [&str; 8] = [
    ".invalid",
    ".example",
    ".test",
    "example.org",
    "example.com",
    "example.net",
    "localhost",
    "[::1]",
];
/// Macros that write into a terminal.
const PRINTS: [&str; 2] = ["print!(", "println!("];
/// Names that say nothing about what a type does.
const EMPTY_NAMES: [&str; 4] = ["Manager", "Helper", "Util", "Utils"];

/// The complaints about a Rust file.
pub(crate) fn rust_complaints(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    if !source.text.starts_with("//!") {
        found.push(format!("{}:1: opens without //!", source.path));
    }
    let length = source.text.lines().count();
    if length > LINES_MAX && !GENERATED.contains(&source.path.as_str()) {
        found.push(format!(
            "{}: {length} lines, more than {LINES_MAX}",
            source.path
        ));
    }
    if GENERATED.contains(&source.path.as_str()) {
        return found;
    }
    found.extend(riddles(source));
    let code = code_only(&source.text);
    let both = code.lines().zip(source.text.lines()).enumerate();
    for (index, (line, with_literals)) in both {
        let what = line_complaints(&source.path, line, with_literals);
        found.extend(what.map(|what| format!("{}:{}: {what}", source.path, index + 1)));
    }
    found.extend(reasonless(&source.path, &code));
    found.extend(nameless_tests(&source.path, &code));
    found
}

/// Words that open a sentence whose subject is a clause.
const CLAUSES: [&str; 3] = ["What ", "Whoever ", "Whatever "];

/// Comments that open with a clause as their subject: a comment names its subject.
fn riddles(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        let Some(comment) = line.trim_start().strip_prefix("//") else {
            continue;
        };
        let words = comment.trim_start_matches(['/', '!']).trim_start();
        if let Some(clause) = CLAUSES.iter().find(|it| words.starts_with(**it)) {
            let (at, clause) = (index + 1, clause.trim_end());
            found.push(format!(
                "{}:{at}: a comment opens with `{clause}`",
                source.path
            ));
        }
    }
    found
}

/// The complaints about a line of code.
fn line_complaints<'a>(
    path: &'a str,
    line: &'a str,
    with_literals: &'a str,
) -> impl Iterator<Item = String> + 'a {
    let hole = HOLES.iter().find(|hole| line.contains(**hole));
    let ignored = with_literals.trim_start().starts_with("#[ignore]");
    let getter = line.contains("fn get_");
    // A test that sleeps is slow or flaky, and a floor that sleeps holds up a thread.
    let may_sleep = MAY_SLEEP.iter().any(|place| path.starts_with(place));
    let sleeps = !may_sleep && SLEEPS.iter().any(|sleep| line.contains(sleep));
    // A library does not write into its host's terminal; it logs through the app's hook.
    let prints = is_library(path) && PRINTS.iter().any(|print| line.contains(print));
    let hole = hole.map(|hole| format!("`{hole}` is no code"));
    let ignored = ignored.then(|| "an ignored test says why".to_owned());
    let getter = getter.then(|| "no `get_` in a name".to_owned());
    let sleeps = sleeps.then(|| "sleeps; time is an input".to_owned());
    let prints = prints.then(|| "a library does not print".to_owned());
    let empty = empty_name(line).map(|name| format!("`{name}` says nothing about what it does"));
    [hole, ignored, getter, sleeps, prints, empty]
        .into_iter()
        .flatten()
}

fn is_engine_or_service(path: &str) -> bool {
    path.starts_with("src/") || path.starts_with("service/src/")
}

/// True if a file is part of the library that an app embeds, or of the service's rules. The service's shell may
/// print, for its operator reads that; and a test may print what it counted.
fn is_library(path: &str) -> bool {
    is_engine_or_service(path)
        && !path.contains("/tests/")
        && !path.ends_with("/tests.rs")
        && !path.starts_with("src/bin/")
        && !path.starts_with("service/src/shell/")
        && path != "service/src/main.rs"
}

/// The name of a type that is declared here and says nothing.
fn empty_name(line: &str) -> Option<&str> {
    let declared = ["struct ", "enum ", "trait "]
        .iter()
        .find_map(|kind| line.split_once(kind))?
        .1;
    let name = declared
        .split(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .next()?;
    EMPTY_NAMES
        .iter()
        .any(|empty| name.ends_with(empty))
        .then_some(name)
}

/// Lints that are switched off without a reason.
fn reasonless(path: &str, code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for mark in ["#[allow(", "#![allow(", "#[expect(", "#![expect("] {
        for (at, _) in code.match_indices(mark) {
            let attribute = code.get(at..).unwrap_or_default();
            let attribute = attribute.split(")]").next().unwrap_or_default();
            if !attribute.contains("reason") {
                let line = code.get(..at).unwrap_or_default().matches('\n').count() + 1;
                found.push(format!(
                    "{path}:{line}: a lint is switched off without a reason"
                ));
            }
        }
    }
    found
}

/// Tests whose names are not sentences that could be false.
fn nameless_tests(path: &str, code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut is_test = false;
    for (index, line) in code.lines().map(str::trim).enumerate() {
        is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        // An ignored one is the other half of a test that starts it, and claims nothing itself.
        is_test &= !line.starts_with("#[ignore");
        let Some((_, rest)) = line.split_once("fn ").filter(|_| is_test) else {
            continue;
        };
        is_test = false;
        let name = rest
            .split(|letter: char| !letter.is_alphanumeric() && letter != '_')
            .next();
        let name = name.unwrap_or_default();
        if name.starts_with("test_") || name.split('_').count() < 2 {
            found.push(format!("{path}:{}: `{name}` is no sentence", index + 1));
        }
    }
    found
}

/// The complaints about a text file of any kind.
pub(crate) fn text_complaints(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        let at = format!("{}:{}", source.path, index + 1);
        let is_plan = |word: &str| PLANS.contains(&word);
        if line
            .split(|letter: char| !letter.is_alphanumeric())
            .any(is_plan)
        {
            found.push(format!("{at}: plans go elsewhere"));
        }
        if HOMES.iter().any(|home| names_folder(line, home)) {
            found.push(format!("{at}: names a folder of one machine"));
        }
    }
    found
}

/// Addresses in code that are neither this machine's nor reserved for nobody: a test that dialled one
/// would leave loopback.
pub(crate) fn address_complaints(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    if MAY_NAME_HOSTS.contains(&source.path.as_str()) {
        return found;
    }
    for (index, line) in source.text.lines().enumerate() {
        let text = line.trim_start();
        if ["//", "*", "/*", "#"]
            .iter()
            .any(|start| text.starts_with(start))
        {
            continue;
        }
        for (at, mark) in line.match_indices("://") {
            let host = line.get(at + mark.len()..).unwrap_or_default();
            let host = host.split(|letter: char| !is_of_host(letter)).next();
            let host = host.unwrap_or_default();
            if is_somebodys(host) {
                let at = format!("{}:{}", source.path, index + 1);
                found.push(format!("{at}: `{host}` is another machine"));
            }
        }
    }
    found
}

/// Files that name machines of others.
const MAY_NAME_HOSTS: [&str; 3] = [
    // Names where packages come from, and dials nobody.
    "xtask/src/policy.rs",
    // Name the addresses at which Apple and Google take pushes: an operator's settings may name others.
    "service/src/core/apps/push_settings.rs",
    "service/src/shell/push/fcm.rs",
];

fn is_of_host(letter: char) -> bool {
    letter.is_alphanumeric() || "-._[]".contains(letter)
}

/// True if a host may be another machine: it has a dot, and is neither reserved nor loopback.
fn is_somebodys(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let here = host.starts_with("127.") || host == "0.0.0.0";
    let nobodys = HOSTS_OF_NOBODY.iter().any(|ending| host.ends_with(ending));
    host.contains('.') && !here && !nobodys
}

/// Lines of an npm lock file that name a package's host: a package is checked by its hash, and the host is a matter
/// of the machine that installs.
pub(crate) fn lock_complaints(lock: &Source) -> Vec<String> {
    let found = lock
        .text
        .lines()
        .enumerate()
        .filter(|(_, line)| line.contains("\"resolved\": \"http"));
    found
        .map(|(index, _)| format!("{}:{}: names a host", lock.path, index + 1))
        .collect()
}

/// True if a line names an absolute folder, and not the end of a longer path or address.
fn names_folder(line: &str, home: &str) -> bool {
    line.match_indices(home).any(|(at, _)| {
        let before = line.get(..at).unwrap_or_default().chars().next_back();
        !before.is_some_and(|letter| letter.is_alphanumeric() || ".-_}".contains(letter))
    })
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

    fn rust(text: &str) -> Vec<String> {
        rust_complaints(&source("src/model/id.rs", &format!("//! Ids.\n{text}")))
    }

    #[test]
    fn a_file_that_does_not_say_what_it_is_about_is_found() {
        assert_eq!(
            rust_complaints(&source("src/model/id.rs", "use std::fmt;\n")).len(),
            1
        );
        assert_eq!(rust("use std::fmt;\n"), Vec::<String>::new());
    }

    #[test]
    fn a_file_of_too_many_lines_is_found() {
        assert_eq!(rust(&"fn a() {}\n".repeat(LINES_MAX)).len(), 1);
        assert_eq!(rust(&"fn a() {}\n".repeat(LINES_MAX - 1)).len(), 0);
    }

    #[test]
    fn code_that_is_not_there_yet_is_found() {
        for hole in HOLES {
            assert_eq!(rust(&format!("fn a() {{ {hole}() }}")).len(), 1);
        }
    }

    #[test]
    fn an_ignored_test_without_a_reason_is_found() {
        assert_eq!(rust("#[test]\n#[ignore]\nfn a_thing_holds() {}").len(), 1);
        assert_eq!(
            rust("#[test]\n#[ignore = \"slow\"]\nfn a_thing_holds() {}").len(),
            0
        );
    }

    #[test]
    fn a_lint_switched_off_without_a_reason_is_found() {
        assert_eq!(rust("#[allow(dead_code)]\nfn a() {}").len(), 1);
        assert_eq!(
            rust("#[expect(\n    dead_code,\n    reason = \"why\"\n)]\nfn a() {}").len(),
            0
        );
    }

    #[test]
    fn names_that_say_nothing_are_found() {
        assert_eq!(rust("pub struct ConnectionManager;").len(), 1);
        assert_eq!(rust("fn get_id() {}").len(), 1);
        assert_eq!(rust("#[test]\nfn test_the_id_holds() {}").len(), 1);
        assert_eq!(rust("#[test]\nfn ids() {}").len(), 1);
        assert_eq!(
            rust("#[test]\n#[ignore = \"a half\"]\nfn victim() {}").len(),
            0
        );
    }

    #[test]
    fn code_that_sleeps_is_found_in_tests_too() {
        for line in [
            "fn a() { std::thread::sleep(d); }",
            "use std::thread::sleep;",
            "async fn a() { tokio::time::sleep(d).await; }",
            "use tokio::time::sleep;",
        ] {
            for (path, count) in [
                ("tests/it/main.rs", 1),
                ("sim/src/a.rs", 1),
                ("benches/a.rs", 0),
            ] {
                let file = source(path, &format!("//! It.\n{line}"));
                assert_eq!(rust_complaints(&file).len(), count, "{path}: {line}");
            }
        }
    }

    #[test]
    fn a_comment_that_opens_with_a_clause_is_found() {
        assert_eq!(
            rust(concat!("/", "// What is held.\nstruct Held;\n")).len(),
            1
        );
        assert_eq!(rust(concat!("/", "/ Whoever asks.\n")).len(), 1);
        assert!(rust("/// The fault: what is missing.\nstruct Fault;\n").is_empty());
    }

    #[test]
    fn an_address_of_another_machine_is_found() {
        let found = |line: &str| address_complaints(&source("tests/it/a.rs", line)).len();
        assert_eq!(found(concat!("let url = \"ws:", "//192.0.2.1:9/\";")), 1);
        assert_eq!(
            found(concat!("let url = \"https:", "//chat.sampan.dev/x\";")),
            1
        );
        for fine in [
            "let url = \"ws://127.0.0.1:9/\";",
            "let url = \"ws://0.0.0.0:9/\";",
            "let url = \"https://files.invalid/a.bin\";",
            "let url = \"https://chat.example.org\";",
            "let url = format!(\"http://{}\", service.addr());",
            "let url = \"ws://memory\";",
        ] {
            assert_eq!(found(fine), 0, "{fine}");
        }
        assert_eq!(found(concat!("// see https:", "//docs.rs/x")), 0);
    }

    #[test]
    fn a_library_that_prints_is_found() {
        assert_eq!(rust("fn a() { eprintln!(\"{}\", 1); }").len(), 1);
        let main = source(
            "service/src/main.rs",
            "//! It.\nfn main() { println!(\"on\"); }",
        );
        assert_eq!(rust_complaints(&main).len(), 0);
    }

    #[test]
    fn what_stands_in_a_comment_or_a_string_is_not_code() {
        assert_eq!(
            rust("// fn get_id()\nconst A: &str = \"struct FooManager\";"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn plans_and_folders_of_one_machine_are_found() {
        let [plan, ..] = PLANS;
        let [home, ..] = HOMES;
        assert_eq!(
            text_complaints(&source("a.md", &format!("{plan}: later"))).len(),
            1
        );
        assert_eq!(
            text_complaints(&source("a.md", &format!("see {home}someone/x"))).len(),
            1
        );
        assert_eq!(
            text_complaints(&source("a.md", &format!("example.org{home}page"))).len(),
            0
        );
    }

    #[test]
    fn a_lock_file_that_names_a_host_is_found() {
        let lock = |text: &str| lock_complaints(&source("a/package-lock.json", text)).len();
        assert_eq!(
            lock("  \"resolved\": \"https://example.org/a.tgz\",\n  \"integrity\": \"x\""),
            1
        );
        assert_eq!(lock("  \"resolved\": \"../a\",\n  \"integrity\": \"x\""), 0);
    }
}
