//! Writes defects into a source, each behind the switch.

use std::iter::Peekable;
use std::ops::Range;

use super::places::{Edit, Place};

/// A defect with the number by which the switch knows it. Numbers begin at 1.
pub(crate) type Numbered<'a> = (u32, &'a Place);

/// The part of a written source that belongs to one defect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) number: u32,
    /// The defect's own text.
    pub(crate) defect: Range<usize>,
    /// That and the code of before.
    pub(crate) whole: Range<usize>,
}

/// The source with all defects of it, and where they are in it.
///
/// Only one defect is ever switched on, so the text of a defect holds the code of before without other defects.
pub(crate) fn written(source: &str, defects: &[Numbered<'_>]) -> (String, Vec<Part>) {
    let mut sorted = defects.to_vec();
    // Outer before inner; a statement at the start of a body before the expression that begins there.
    sorted.sort_by_key(|(number, place)| {
        let range = &place.range;
        (
            range.start,
            !range.is_empty(),
            usize::MAX - range.end,
            *number,
        )
    });
    let mut writer = Writer {
        source,
        out: String::with_capacity(source.len() * 2),
        parts: Vec::new(),
        left: sorted.into_iter().peekable(),
    };
    writer.copy(0..source.len());
    (writer.out, writer.parts)
}

struct Writer<'a> {
    source: &'a str,
    out: String,
    parts: Vec<Part>,
    left: Peekable<std::vec::IntoIter<Numbered<'a>>>,
}

impl Writer<'_> {
    /// Copies a range of the source, with the defects that begin in it.
    fn copy(&mut self, range: Range<usize>) {
        let mut at = range.start;
        while let Some((number, place)) = self
            .left
            .next_if(|(_, place)| place.range.start < range.end && place.range.end <= range.end)
        {
            self.source_text(at..place.range.start);
            at = place.range.end;
            self.defect(number, place);
        }
        self.source_text(at..range.end);
    }

    fn defect(&mut self, number: u32, place: &Place) {
        let start = self.out.len();
        let is = format!("crate::mutant::is({number})");
        let (head, tail) = match &place.edit {
            Edit::Leave(value) => (format!("if {is} {{ return {value}; }} "), ""),
            Edit::Instead(other) => (format!("(if {is} {{ {other} }} else {{ "), " })"),
            Edit::Not => (format!("({is} != ("), "))"),
            Edit::Always => (format!("({is} || ("), "))"),
            Edit::Passed => (format!(" if !{is}"), ""),
            Edit::Never => (format!("(!{is} && ("), "))"),
        };
        self.out.push_str(&head);
        let defect = start..self.out.len();
        // Other defects of the same expression, and those inside, stand in the code of before.
        if !place.range.is_empty() {
            self.copy(place.range.clone());
        }
        self.out.push_str(tail);
        self.parts.push(Part {
            number,
            defect,
            whole: start..self.out.len(),
        });
    }

    fn source_text(&mut self, range: Range<usize>) {
        self.out
            .push_str(self.source.get(range).unwrap_or_default());
    }
}

/// The defects whose own text these bytes touch.
pub(crate) fn touched(parts: &[Part], at: &Range<usize>) -> Vec<u32> {
    let touches = |range: &Range<usize>| range.start < at.end && at.start < range.end;
    let own = parts.iter().filter(|part| touches(&part.defect));
    own.map(|part| part.number).collect()
}

/// The innermost defect around these bytes, if there is one.
pub(crate) fn around(parts: &[Part], at: &Range<usize>) -> Vec<u32> {
    let around = parts
        .iter()
        .filter(|part| part.whole.start <= at.start && at.end <= part.whole.end);
    let innermost = around.min_by_key(|part| part.whole.len());
    innermost.map(|part| part.number).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::super::places::places;
    use super::*;

    /// The source with all its defects, numbered in order.
    fn with_all(source: &str) -> (String, Vec<Part>) {
        let found = places("src/a.rs", source).unwrap();
        let numbered: Vec<Numbered<'_>> = (1..).zip(&found).collect();
        written(source, &numbered)
    }

    #[test]
    fn each_defect_stands_behind_the_switch() {
        let (text, _) = with_all("fn a(b: u8) -> bool { b == 1 }");
        assert_eq!(
            text,
            "fn a(b: u8) -> bool {if crate::mutant::is(1) { return true; } if crate::mutant::is(2) { return \
             false; }  (if crate::mutant::is(3) { (b) != (1) } else { b == 1 }) }"
        );
    }

    #[test]
    fn defects_of_one_expression_and_of_its_parts_stand_in_the_code_of_before() {
        let (text, parts) = with_all("fn a() -> X { !b && c < d }");
        assert_eq!(
            text,
            "fn a() -> X { (if crate::mutant::is(1) { (!b) || (c < d) } else { (if crate::mutant::is(2) { b } \
             else { !b }) && (if crate::mutant::is(3) { (c) <= (d) } else { (if crate::mutant::is(4) { (c) >= (d) } \
             else { c < d }) }) }) }"
        );
        let numbers: Vec<u32> = parts.iter().map(|part| part.number).collect();
        assert_eq!(numbers, [2, 4, 3, 1], "inner ones end first");
    }

    #[test]
    fn conditions_and_guards_are_evaluated_once() {
        let (text, _) =
            with_all("fn a() -> X { if b() { c } else { match d { e if f => g, _ => h } } }");
        assert_eq!(
            text,
            "fn a() -> X { if (crate::mutant::is(1) != (b())) { c } else { match d { e if \
             (crate::mutant::is(2) || ((!crate::mutant::is(3) && (f)))) => g, _ => h } } }"
        );
    }

    #[test]
    fn every_written_source_is_rust() {
        let sources = [
            "fn a() -> u8 { match b { 1 => {} 2 | 3 if e => {} 4 | 5 => {} _ => {} } c + d }",
            "fn a() { while b < c && !d { e -= f + 1; } }",
            "fn a() -> Result<(), E> { let b = |c: u8| c == 1; if !(b)(2) { return Err(E); } Ok(()) }",
        ];
        for source in sources {
            let (text, parts) = with_all(source);
            syn::parse_file(&text).unwrap();
            assert!(!parts.is_empty());
        }
    }

    #[test]
    fn a_complaint_is_about_the_defect_it_touches_or_else_the_innermost_around() {
        let (text, parts) = with_all("fn a() -> X { !b && c + d }");
        let at = |what: &str| {
            let start = text.find(what).unwrap();
            start..start + what.len()
        };
        assert_eq!(touched(&parts, &at("(c) - (d)")), [3]);
        assert_eq!(touched(&parts, &at("(!b) ||")), [1]);
        assert_eq!(touched(&parts, &at("c + d })")), [0; 0]);
        assert_eq!(around(&parts, &at("c + d })")), [3]);
        assert_eq!(around(&parts, &at("fn a")), [0; 0]);
    }
}
