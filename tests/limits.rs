//! Keeps `docs/limits.md` equal to the constants and settings of the sources.
//!
//! A constant is a limit if its name says so (`limits/read.rs` has the words). After a change:
//! `SAMPAN_REGENERATE=1 cargo test --test limits`.
//!
//! | file | part |
//! |---|---|
//! | `limits/read.rs` | finds limits in Rust sources: name, value, the first sentence of its documentation |
//! | `limits/value.rs` | computes the value of a constant, and writes it for people |
//! | `limits/page.rs` | writes the page |

#[path = "limits/page.rs"]
mod page;
#[path = "limits/read.rs"]
mod read;
#[path = "limits/value.rs"]
mod value;

mod repository;

use repository::{Source, root, sources};
use std::{env, fs};

/// The folders whose limits the page lists.
const PARTS: [&str; 3] = ["src/", "service/src/", "migrate/src/"];

fn product_sources() -> Vec<Source> {
    let all = sources(&[".rs"]).into_iter();
    all.filter(|source| PARTS.iter().any(|part| source.path.starts_with(part)))
        .filter(|source| !source.path.contains("/tests") && !source.path.ends_with("generated.rs"))
        .collect()
}

#[test]
fn the_page_of_limits_is_that_of_the_sources() {
    let committed = root().join("docs/limits.md");
    let fresh = page::page(&read::limits(&product_sources()));
    if env::var_os("SAMPAN_REGENERATE").is_some() {
        fs::write(&committed, &fresh).unwrap();
    }
    assert!(
        fs::read_to_string(&committed).unwrap_or_default() == fresh,
        "docs/limits.md is stale: run SAMPAN_REGENERATE=1 cargo test --test limits"
    );
}

#[test]
fn every_limit_says_of_what_it_is_one() {
    let limits = read::limits(&product_sources());
    let silent = limits.iter().filter(|limit| limit.meaning.is_empty());
    let complaints: Vec<String> = silent
        .map(|limit| format!("{}: {} has no documentation", limit.file, limit.name))
        .collect();
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
    assert!(
        limits.len() > 100,
        "only {} limits were found",
        limits.len()
    );
}
