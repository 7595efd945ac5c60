//! The list of defects that say the same as the code of before, each with its reason.
//!
//! An entry is three lines: the file and the function, the change, the reason. An empty line ends it.

use std::collections::BTreeMap;
use std::path::Path;

use crate::Problem;

/// The list, from the root of the workspace.
const LIST: &str = "xtask/mutants.equivalent.txt";

/// The reasons, by the names of the defects.
pub(crate) fn read(root: &Path) -> Result<BTreeMap<String, String>, Problem> {
    let text = std::fs::read_to_string(root.join(LIST))
        .map_err(|cause| Problem::while_doing(LIST, cause))?;
    parsed(&text)
}

fn parsed(text: &str) -> Result<BTreeMap<String, String>, Problem> {
    let mut found = BTreeMap::new();
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    for entry in lines.split(|line| line.is_empty()) {
        match entry {
            [] => {}
            [place, change, reason] if reason.trim().len() > "because".len() => {
                found.insert(format!("{place}\n{change}"), reason.trim().to_owned());
            }
            wrong => {
                let first = wrong.first().copied().unwrap_or_default();
                return Err(Problem(format!(
                    "{LIST}: an entry is a place, a change and a reason: {first}"
                )));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_needs_a_place_a_change_and_a_reason() {
        let good = "# a word\n\nsrc/a.rs: b\n    c → d\n    both are the same there\n";
        let found = parsed(good).unwrap();
        assert_eq!(
            found.get("src/a.rs: b\n    c → d").map(String::as_str),
            Some("both are the same there")
        );
        assert!(parsed("src/a.rs: b\n    c → d\n").is_err());
        assert!(parsed("src/a.rs: b\n    c → d\n    no\n").is_err());
    }

    #[test]
    fn the_list_is_readable() {
        read(&crate::tree::root()).unwrap();
    }
}
