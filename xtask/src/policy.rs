//! `cargo xtask policy`: holds every dependency to deny.toml.
//!
//! deny.toml is cargo-deny's file, and cargo-deny reads more out of it (advisories, for one) where it is
//! installed. Some rules must never slip, and are checked here as well, with nothing but cargo: the licences,
//! the banned crates, the sources, and that our own crates ask for exact enough versions.

use crate::licence::is_allowed;
use crate::tree::{metadata, root};
use crate::{Problem, Verdict};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The one place that dependencies come from, as cargo names it.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The policy of deny.toml.
#[derive(Debug, Default)]
struct Policy {
    allowed: BTreeSet<String>,
    /// Licences that only the named crate may have.
    exceptions: BTreeMap<String, BTreeSet<String>>,
    /// Banned crates, each with its reason.
    banned: BTreeMap<String, String>,
}

/// One package of the dependency graph.
#[derive(Debug)]
struct Package {
    name: String,
    version: String,
    licence: Option<String>,
    /// The registry or repository that the package comes from; a package of this workspace has none.
    source: Option<String>,
    /// Dependencies that it asks for with the version `*`.
    wildcards: Vec<String>,
}

/// Checks the graph and prints the violations of the policy.
pub(crate) fn run(_arguments: &[String]) -> Result<Verdict, Problem> {
    let root = root();
    let text = std::fs::read_to_string(root.join("deny.toml"))
        .map_err(|cause| Problem::while_doing("reading deny.toml", cause))?;
    let policy = Policy::parse(&text)?;
    let packages = packages(&metadata(&root, &["--all-features"])?);
    let complaints: Vec<String> = packages
        .iter()
        .flat_map(|package| policy.complaints(package))
        .collect();
    for complaint in &complaints {
        println!("{complaint}");
    }
    println!(
        "{} packages looked at, {} complaints",
        packages.len(),
        complaints.len()
    );
    Ok(if complaints.is_empty() {
        Verdict::Good
    } else {
        Verdict::Short
    })
}

impl Policy {
    fn parse(text: &str) -> Result<Self, Problem> {
        let table: toml::Table = text
            .parse()
            .map_err(|cause| Problem::while_doing("reading deny.toml", cause))?;
        let section = |name: &str| table.get(name).and_then(toml::Value::as_table);
        let mut policy = Self::default();
        if let Some(licenses) = section("licenses") {
            policy.allowed = strings(licenses.get("allow"));
            for exception in entries(licenses.get("exceptions")) {
                let licences = strings(exception.get("allow"));
                policy.exceptions.insert(crate_name(exception)?, licences);
            }
        }
        if let Some(bans) = section("bans") {
            for ban in entries(bans.get("deny")) {
                let reason = ban
                    .get("reason")
                    .and_then(toml::Value::as_str)
                    .unwrap_or_default();
                policy.banned.insert(crate_name(ban)?, reason.to_owned());
            }
        }
        if policy.allowed.is_empty() {
            return Err(Problem("deny.toml allows no licence at all".to_owned()));
        }
        Ok(policy)
    }

    fn complaints(&self, package: &Package) -> Vec<String> {
        let Package { name, version, .. } = package;
        let mut found = Vec::new();
        if let Some(reason) = self.banned.get(name) {
            found.push(format!("{name} {version} is banned: {reason}"));
        }
        if !self.allows(package) {
            let licence = package.licence.as_deref().unwrap_or("no licence");
            found.push(format!(
                "{name} {version} has a licence that is not allowed: {licence}"
            ));
        }
        if let Some(source) = package
            .source
            .as_deref()
            .filter(|&source| source != CRATES_IO)
        {
            found.push(format!("{name} {version} comes from elsewhere: {source}"));
        }
        if package.source.is_none() {
            let ask = |dependency| format!("{name} asks for any version of {dependency}");
            found.extend(package.wildcards.iter().map(ask));
        }
        found
    }

    fn allows(&self, package: &Package) -> bool {
        let Some(licence) = &package.licence else {
            return false;
        };
        let own = self
            .exceptions
            .get(&package.name)
            .into_iter()
            .flatten()
            .cloned();
        is_allowed(licence, &self.allowed.iter().cloned().chain(own).collect())
    }
}

/// The strings of an array; nothing where there is none.
fn strings(value: Option<&toml::Value>) -> BTreeSet<String> {
    let array = value.and_then(toml::Value::as_array);
    let words = array.into_iter().flatten().filter_map(toml::Value::as_str);
    words.map(str::to_owned).collect()
}

/// The tables of an array.
fn entries(value: Option<&toml::Value>) -> impl Iterator<Item = &toml::Table> {
    let array = value.and_then(toml::Value::as_array);
    array
        .into_iter()
        .flatten()
        .filter_map(toml::Value::as_table)
}

fn crate_name(entry: &toml::Table) -> Result<String, Problem> {
    let name = entry
        .get("crate")
        .or_else(|| entry.get("name"))
        .and_then(toml::Value::as_str);
    let name = name.ok_or_else(|| Problem("an entry of deny.toml names no crate".to_owned()))?;
    Ok(name.to_owned())
}

fn packages(metadata: &Value) -> Vec<Package> {
    let all = metadata
        .get("packages")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    all.map(package).collect()
}

fn package(value: &Value) -> Package {
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let dependencies = value
        .get("dependencies")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    Package {
        name: text(value, "name").unwrap_or_default(),
        version: text(value, "version").unwrap_or_default(),
        licence: text(value, "license"),
        source: text(value, "source"),
        wildcards: dependencies
            .filter(|dependency| text(dependency, "req").as_deref() == Some("*"))
            // A member of the workspace is named by its path, at any version.
            .filter(|dependency| text(dependency, "path").is_none())
            .filter_map(|dependency| text(dependency, "name"))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DENY: &str = r#"
        [licenses]
        allow = ["MIT"]
        exceptions = [{ crate = "uncommon", allow = ["MPL-2.0"] }]
        [bans]
        deny = [{ crate = "openssl", reason = "we use rustls" }]
    "#;

    fn complaints(name: &str, licence: Option<&str>, source: Option<&str>) -> Vec<String> {
        Policy::parse(DENY).unwrap().complaints(&Package {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            licence: licence.map(str::to_owned),
            source: source.map(str::to_owned),
            wildcards: vec!["anything".to_owned()],
        })
    }

    #[test]
    fn a_crate_that_keeps_to_the_policy_is_not_complained_about() {
        assert!(complaints("common", Some("MIT"), Some(CRATES_IO)).is_empty());
    }

    #[test]
    fn an_exception_is_for_the_named_crate_alone() {
        assert!(complaints("uncommon", Some("MPL-2.0"), Some(CRATES_IO)).is_empty());
        assert_eq!(
            complaints("common", Some("MPL-2.0"), Some(CRATES_IO)).len(),
            1
        );
        assert_eq!(complaints("common", None, Some(CRATES_IO)).len(), 1);
    }

    #[test]
    fn a_banned_crate_is_named_with_the_reason() {
        let found = complaints("openssl", Some("MIT"), Some(CRATES_IO));
        assert!(
            found.iter().any(|line| line.contains("we use rustls")),
            "{found:?}"
        );
    }

    #[test]
    fn a_git_source_is_refused() {
        assert_eq!(
            complaints("common", Some("MIT"), Some("git+https://example.org/x")).len(),
            1
        );
    }

    #[test]
    fn our_own_crates_may_not_ask_for_any_version() {
        assert_eq!(complaints("ours", Some("MIT"), None).len(), 1);
    }

    #[test]
    fn a_policy_without_licences_is_an_error() {
        assert!(Policy::parse("[licenses]\nallow = []\n").is_err());
    }
}
