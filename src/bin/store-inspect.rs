//! Shows the content of a store's folder, for debugging: `cargo xtask store-inspect DIR`.
//!
//! The program prints numbers, sizes and health; no text, no names. It changes nothing in the folder. It exits
//! with 1 when something is wrong with the store, and with 2 when it could not look.

use std::path::Path;
use std::process::ExitCode;

use sampan::store::{Inspection, StoreKey, inspect};

const USAGE: &str = "store-inspect DIR [--json] [--key-file FILE]";

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    match run() {
        Ok(found) if found.problems.is_empty() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            eprintln!("store-inspect: {error}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Outcome<Inspection> {
    let mut folder = None;
    let (mut json, mut key) = (false, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--json" => json = true,
            "--key-file" => key = Some(key_of(&arguments.next().ok_or(USAGE)?)?),
            _ if folder.is_none() && !argument.starts_with('-') => folder = Some(argument),
            _ => return Err(USAGE.into()),
        }
    }
    let found = inspect(Path::new(&folder.ok_or(USAGE)?), key.as_ref())?;
    if json {
        println!("{}", serde_json::to_string_pretty(&found)?);
    } else {
        show(&found);
    }
    Ok(found)
}

/// The 32 bytes of a key file.
fn key_of(path: &str) -> Outcome<StoreKey> {
    let bytes = std::fs::read(path)?;
    let bytes = <[u8; 32]>::try_from(bytes).map_err(|_| "a key file has 32 bytes")?;
    Ok(StoreKey::new(bytes))
}

fn show(found: &Inspection) {
    println!("health");
    for problem in &found.problems {
        println!("  {problem}");
    }
    if found.problems.is_empty() {
        println!("  good");
    }
    let identity = &found.identity;
    println!("identity");
    line("store", identity.store.as_deref().unwrap_or("unknown"));
    line("whole copies", identity.whole_copies);
    line("schema", number(identity.schema.map(u64::from)));
    line("encrypted", yes(identity.is_encrypted));
    line("readable here", yes(identity.is_readable));
    line("last holder", number(found.last_holder.map(u64::from)));
    let journal = &found.journal;
    println!("journal");
    line("generation", journal.generation);
    for (kind, count) in &journal.records {
        line(&format!("{kind} records"), count);
    }
    line("last commit", journal.seq);
    line("not in the tree", journal.not_in_tree);
    line("unsettled entries", number(journal.unsettled));
    show_tree(found);
    println!("files, in bytes");
    for (name, bytes) in &found.files {
        line(name, bytes);
    }
}

fn show_tree(found: &Inspection) {
    let tree = &found.tree;
    match tree.refusal {
        None => println!("tree"),
        Some(_) => println!("tree: what is whole in it, removed records included"),
    }
    line("last commit", number(tree.seq));
    line("schema", number(tree.schema.map(u64::from)));
    line("messages", number(tree.messages));
    line("damaged values", tree.damaged);
    line("live bytes", tree.live_bytes);
    line("bytes of its files", tree.file_bytes);
    line("whole frames in them", tree.frames);
    for (kind, count) in &tree.kinds {
        line(kind, format!("{} ({} bytes)", count.records, count.bytes));
    }
    println!("largest conversations");
    for one in &tree.largest {
        let size = format!(
            "{} messages, {} packs, {} bytes",
            one.messages, one.packs, one.bytes
        );
        line(&format!("number {}", one.number), size);
    }
}

fn number(value: Option<u64>) -> String {
    value.map_or_else(|| "unknown".to_owned(), |value| value.to_string())
}

fn yes(answer: bool) -> &'static str {
    if answer { "yes" } else { "no" }
}

fn line(name: &str, value: impl std::fmt::Display) {
    println!("  {name:<24} {value}");
}
