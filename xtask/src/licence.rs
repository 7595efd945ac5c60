//! Licence expressions, as far as crates use them.
//!
//! `A OR B` lets us choose, `A AND B` binds us to both, `A WITH E` is A with an exception, brackets
//! group, and old manifests write `A/B` for a choice. `AND` binds tighter than `OR`.

use std::collections::BTreeSet;

/// True if an expression can be satisfied with the allowed licences alone. An expression that cannot be read is
/// not satisfied.
pub(crate) fn is_allowed(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let words = words(expression);
    let mut reader = Reader {
        words: &words,
        allowed,
    };
    reader.choice() == Some(true) && reader.words.is_empty()
}

fn words(expression: &str) -> Vec<String> {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    spaced.split_whitespace().map(str::to_owned).collect()
}

struct Reader<'a> {
    words: &'a [String],
    allowed: &'a BTreeSet<String>,
}

impl Reader<'_> {
    /// `all (OR all)*`; `None` when it is no expression.
    fn choice(&mut self) -> Option<bool> {
        let mut holds = self.all()?;
        while self.take("OR") {
            holds |= self.all()?;
        }
        Some(holds)
    }

    /// `one (AND one)*`
    fn all(&mut self) -> Option<bool> {
        let mut holds = self.one()?;
        while self.take("AND") {
            holds &= self.one()?;
        }
        Some(holds)
    }

    /// A licence, perhaps with an exception, or a group in brackets.
    fn one(&mut self) -> Option<bool> {
        if self.take("(") {
            let holds = self.choice()?;
            return self.take(")").then_some(holds);
        }
        let (licence, rest) = self.words.split_first()?;
        if ["(", ")", "OR", "AND", "WITH"].contains(&licence.as_str()) {
            return None;
        }
        self.words = rest;
        if !self.take("WITH") {
            return Some(self.allowed.contains(licence));
        }
        let (exception, rest) = self.words.split_first()?;
        self.words = rest;
        // An exception only ever permits more, so the bare licence being allowed is enough.
        let whole = format!("{licence} WITH {exception}");
        Some(self.allowed.contains(licence) || self.allowed.contains(&whole))
    }

    fn take(&mut self, word: &str) -> bool {
        match self.words.split_first() {
            Some((first, rest)) if first == word => {
                self.words = rest;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(expression: &str) -> bool {
        let licences = ["MIT", "Apache-2.0", "ISC", "Unicode-3.0"];
        is_allowed(
            expression,
            &licences.map(str::to_owned).into_iter().collect(),
        )
    }

    #[test]
    fn one_allowed_choice_is_enough() {
        assert!(allowed("MIT OR GPL-3.0"));
        assert!(allowed("GPL-3.0 OR Apache-2.0"));
        assert!(allowed("MIT/Apache-2.0"));
        assert!(!allowed("GPL-3.0 OR AGPL-3.0"));
    }

    #[test]
    fn every_part_of_a_conjunction_must_be_allowed() {
        assert!(allowed("Apache-2.0 AND ISC"));
        assert!(!allowed("Apache-2.0 AND GPL-3.0"));
        assert!(allowed("(MIT OR GPL-3.0) AND Unicode-3.0"));
        assert!(allowed("GPL-3.0 AND ISC OR MIT"));
    }

    #[test]
    fn an_exception_does_not_make_an_allowed_licence_forbidden() {
        assert!(allowed("Apache-2.0 WITH LLVM-exception OR GPL-3.0"));
        assert!(!allowed("GPL-2.0 WITH Classpath-exception-2.0"));
    }

    #[test]
    fn what_is_no_expression_is_not_allowed() {
        for expression in [
            "",
            "MIT OR",
            "(MIT",
            "MIT)",
            "MIT Apache-2.0",
            "AND MIT",
            "MIT WITH",
        ] {
            assert!(!allowed(expression), "{expression}");
        }
    }
}
