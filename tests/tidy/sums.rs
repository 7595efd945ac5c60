//! The rule for running sums: a sum that can never be too large or too small says so, and is not held back in silence.
//!
//! A wrong `left = left.saturating_sub(1)` shows nothing. Plain sums are checked in tests and in the simulator, where
//! overflows panic. A sum that would do harm in an app if it went below zero stays saturating, behind a `debug_assert`.

use crate::code::code_only;
use crate::repository::Source;

/// A running sum that saturates: its file, its name, and the reason.
type Excuse = (&'static str, &'static str, &'static str);

/// The running sums over numbers that come from outside, or that are estimates.
const EXCUSED: [Excuse; 19] = [
    (
        "service/src/shell/listener.rs",
        "left",
        "the last read may be longer than the rest",
    ),
    (
        "sim/src/world/delivery.rs",
        "socket.unanswered",
        "a planted fault answers twice",
    ),
    (
        "sim/src/world/other_programs.rs",
        "at",
        "a time of the plan",
    ),
    (
        "src/model/json.rs",
        "depth",
        "the brackets of a foreign text",
    ),
    (
        "src/model/query/filter/pattern.rs",
        "class_depth",
        "the brackets of an app's pattern",
    ),
    (
        "src/store/format/pack.rs",
        "all_ids",
        "lengths read from the disk",
    ),
    (
        "src/store/glance.rs",
        "sum.conversations",
        "a number read from a file",
    ),
    (
        "src/store/glance.rs",
        "sum.messages",
        "a number read from a file",
    ),
    (
        "src/store/maintain/mod.rs",
        "census.live",
        "an estimate between two counts",
    ),
    (
        "src/store/maintain/seal_idle.rs",
        "hot",
        "a number of the row, and of packs that may be damaged",
    ),
    (
        "src/store/recovery/recover.rs",
        "tables.meta.next_number",
        "a number of a damaged store",
    ),
    (
        "src/store/recovery/salvage.rs",
        "self.meta.seq",
        "a number of a damaged store",
    ),
    (
        "src/store/recovery/salvage_packs.rs",
        "held.count",
        "a number of a damaged store",
    ),
    (
        "src/store/write/overlay.rs",
        "self.batch.next_entry",
        "a number read from the disk",
    ),
    (
        "src/store/write/overlay.rs",
        "self.batch.next_number",
        "a number read from the disk",
    ),
    (
        "src/store/write/links.rs",
        "held.count",
        "a damaged row is begun anew over packs that stay",
    ),
    (
        "src/sync/client/incoming/unread.rs",
        "row.unread.count",
        "the service tells the count",
    ),
    (
        "src/views/members.rs",
        "self.limit",
        "the app tells how many rows",
    ),
    (
        "src/wire/json.rs",
        "bytes",
        "the length of a foreign text, times a factor",
    ),
];

/// The word behind which a sum is held back.
const SATURATES: &str = ".saturating_";

/// How many lines before a subtraction its assertion may stand.
const NEAR: usize = 12;

/// The complaints about the running sums of all sources.
pub(crate) fn complaints(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    let mut used = Vec::new();
    for source in sources.iter().filter(|it| !is_test(&it.path)) {
        for (line, sum) in silent_sums(&source.text) {
            let excuse = (source.path.as_str(), sum.as_str());
            match EXCUSED.iter().any(|(path, name, _)| (*path, *name) == excuse) {
                true => used.push((source.path.clone(), sum)),
                false => found.push(format!(
                    "{}:{line}: `{sum}` saturates: a sum that can never be wrong is asserted (tests/tidy/sums.rs)",
                    source.path
                )),
            }
        }
    }
    let is_used = |excuse: &&Excuse| {
        used.iter()
            .any(|(path, sum)| (path, sum) == (&excuse.0.to_owned(), &excuse.1.to_owned()))
    };
    let unused = EXCUSED.iter().filter(|excuse| !is_used(excuse));
    found.extend(
        unused.map(|(path, sum, _)| format!("{path}: no `{sum}` saturates: its excuse can go")),
    );
    found
}

fn is_test(path: &str) -> bool {
    let of_tests = |part: &str| matches!(part, "tests" | "benches" | "tests.rs");
    path.split('/').any(of_tests)
}

/// The running sums of a text that saturate and are not asserted, with their lines.
fn silent_sums(text: &str) -> Vec<(usize, String)> {
    let code = code_only(text);
    let lines: Vec<&str> = code.lines().collect();
    let mut found = Vec::new();
    for (at, _) in code.match_indices(SATURATES) {
        let before = code.get(..at).unwrap_or_default();
        let from = before.rfind([';', '{', '}', ',']).map_or(0, |end| end + 1);
        let statement: String = before
            .get(from..)
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        let Some((left, right)) = statement.rsplit_once('=') else {
            continue;
        };
        let of_name = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '.');
        let left = left
            .rsplit(|letter| !of_name(letter))
            .next()
            .unwrap_or_default();
        if left.is_empty() || left != right.trim_start_matches('*') {
            continue;
        }
        let line = before.lines().count();
        let subtracts = code
            .get(at..)
            .is_some_and(|rest| rest.starts_with(".saturating_sub"));
        let near = lines.iter().take(line).rev().take(NEAR);
        if subtracts && near.into_iter().any(|it| it.contains("debug_assert")) {
            continue;
        }
        found.push((line, left.to_owned()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_sum_that_saturates_in_silence_is_found_on_however_many_lines() {
        let found = silent_sums("fn a() {\n    left = left.saturating_sub(1);\n}\n");
        assert_eq!(found, [(2, "left".to_owned())]);
        let found = silent_sums("self.count = self\n    .count\n    .saturating_add(1);\n");
        assert_eq!(found, [(3, "self.count".to_owned())]);
        assert_eq!(silent_sums("*sum = sum.saturating_add(one);").len(), 1);
        assert_eq!(
            silent_sums("Ok(read) => left = left.saturating_sub(read),").len(),
            1
        );
        assert_eq!(
            silent_sums("it(id, |it| it.tries = it.tries.saturating_add(1));").len(),
            1
        );
    }

    #[test]
    fn an_assertion_or_another_name_is_no_silent_sum() {
        let asserted = "debug_assert!(left > 0, \"one is left\");\nleft = left.saturating_sub(1);";
        assert!(silent_sums(asserted).is_empty());
        assert!(silent_sums("let room = limit.saturating_sub(held);").is_empty());
        assert!(silent_sums("let size = size.saturating_add(more);").is_empty());
        assert!(silent_sums("// left = left.saturating_sub(1);").is_empty());
    }
}
