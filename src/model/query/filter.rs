//! The `where` language of conversation queries: parsed once into a [`Filter`], then asked row by row.
//!
//! ```text
//! {"m": {"$all": ["Tom", "Jerry"], "$size": 2}, "attr.topic": "tea", "$or": [{…}, {…}]}
//!  └column  └operators, all must hold             └equality            └sub-filters
//! ```
//!
//! | form | holds when |
//! |---|---|
//! | `key: value`, `$eq` | the value is the same, or an array that contains it; `null` also where there is none |
//! | `$ne`, `$nin` | the opposite of `$eq`, `$in` |
//! | `$lt`, `$lte`, `$gt`, `$gte` | both are numbers, texts, booleans or dates, and in that order |
//! | `$exists`, `$size` | the key is there or not; the array has that length |
//! | `$in`, `$all` | one or all of the listed values are equal in the sense above |
//! | `$regex` with `$options` | a text matches; see [`pattern`] |
//! | `$nearSphere`, `$within` with `$box` | a `GeoPoint` near a point, up to `$maxDistance…` and from `$minDistance…` where these are given; one in a box |
//! | `$or`, `$and` | one or all of the listed filters hold |
//!
//! A date is `{"__type": "Date", "iso": …}` and compares with dates and with ISO texts such as
//! `createdAt`. Other geo operators, sub-queries and everything else are typed errors, which the service
//! answers with 4310. Every limit is a constant here, so that one query takes a bounded amount of
//! memory; the time it takes is counted in [`pattern::Steps`].

mod operator;
pub mod pattern;
mod place;

use std::collections::BTreeSet;

use crate::model::ClientId;
use serde_json::{Map, Value};

use self::operator::{Operand, Test};
use self::pattern::{PatternError, Steps};
use crate::model::query::column::{Column, InvalidColumn};

/// The longest `where` in bytes; over the socket a frame is far shorter, so this binds REST.
pub const MAX_BYTES: usize = 64 * 1024;

/// How deep `$or` and `$and` may nest.
pub const MAX_DEPTH: usize = 8;

/// The most tests of columns in one filter.
pub const MAX_TESTS: usize = 128;

/// The most values listed by `$in`, `$nin` and `$all` in one filter; SDKs fetch 999 ids at once.
pub const MAX_LISTED: usize = 2000;

/// The most regular expressions in one filter; each may take [`pattern::MAX_COMPILED_BYTES`].
pub const MAX_PATTERNS: usize = 8;

/// The reason why a `where` is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// The text is longer than [`MAX_BYTES`].
    #[error("where is longer than {MAX_BYTES} bytes")]
    TooLong,
    /// The text is not a JSON object, or a sub-filter is not one.
    #[error("where must be a JSON object")]
    NotAnObject,
    /// One of the limits on depth, tests, listed values and patterns is passed.
    #[error("where has more than {max} {what}")]
    TooMany {
        /// The kind of parts that are too many.
        what: &'static str,
        /// The limit.
        max: usize,
    },
    /// A key names no column.
    #[error("where names no column: {0}")]
    Column(#[from] InvalidColumn),
    /// An operator that does not exist here.
    #[error("where has an operator that is not supported: {0}")]
    UnknownOperator(String),
    /// An operator of places on the earth that no SDK offers.
    #[error("where has a geo operator, which is not supported: {0}")]
    Geo(String),
    /// An operator's value is of the wrong type.
    #[error("{operator} wants {wanted}")]
    Operand {
        /// The operator.
        operator: &'static str,
        /// The value that the operator takes.
        wanted: &'static str,
    },
    /// A date object without a right `iso`.
    #[error("a date has no ISO 8601 time")]
    Date,
    /// A regular expression that cannot be used.
    #[error(transparent)]
    Pattern(#[from] PatternError),
}

/// A parsed `where`: all its conditions must hold.
#[derive(Clone, Debug)]
pub struct Filter {
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug)]
enum Condition {
    Test(Column, Test),
    Any(Vec<Filter>),
    All(Vec<Filter>),
}

/// The rows that may match a filter: every match has one of the ids or one of the members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Candidates {
    /// Ids of conversations.
    pub ids: BTreeSet<String>,
    /// Ids of clients that are members.
    pub members: BTreeSet<String>,
}

/// The rest of the limits while a filter is parsed.
pub(super) struct Budget {
    depth: usize,
    tests: usize,
    listed: usize,
    patterns: usize,
}

impl Filter {
    /// The filter of a client's query: without conditions it means the client's own conversations.
    ///
    /// # Errors
    ///
    /// [`FilterError`], to be answered with 4310.
    pub fn for_client(text: Option<&str>, client: &ClientId) -> Result<Self, FilterError> {
        let text = text.unwrap_or_default();
        if text.trim().is_empty() {
            return Ok(Self::of_member(client));
        }
        let filter = Self::parse(text)?;
        Ok(if filter.conditions.is_empty() {
            Self::of_member(client)
        } else {
            filter
        })
    }

    /// The filter that matches the conversations with this member.
    #[must_use]
    pub fn of_member(client: &ClientId) -> Self {
        let member = Operand::Value(Value::String(client.as_str().to_owned()));
        match Column::parse("m") {
            Ok(column) => Self {
                conditions: vec![Condition::Test(column, Test::Equal(member))],
            },
            Err(_) => Self {
                conditions: vec![Condition::Any(Vec::new())],
            },
        }
    }

    /// Reads a filter as it is written; without conditions it matches every row.
    ///
    /// # Errors
    ///
    /// [`FilterError`], to be answered with 4310.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        if text.len() > MAX_BYTES {
            return Err(FilterError::TooLong);
        }
        let value: Value = serde_json::from_str(text).map_err(|_| FilterError::NotAnObject)?;
        Self::from_value(value, &mut Budget::full())
    }

    /// True if a conversation's row matches. The answer means nothing if the steps were used up meanwhile.
    #[must_use]
    pub fn matches(&self, row: &Map<String, Value>, steps: &Steps) -> bool {
        let matches = |filter: &Self| filter.matches(row, steps);
        self.conditions.iter().all(|condition| match condition {
            Condition::Test(column, test) => {
                let values = column.values(row);
                steps.take(1 + values.len() as u64) && test.holds(&values, steps)
            }
            Condition::Any(filters) => filters.iter().any(matches),
            Condition::All(filters) => filters.iter().all(matches),
        })
    }

    /// The ids and members by which an index finds all matches; `None` when only a look at every conversation
    /// can find them.
    ///
    /// [`Filter::matches`] still has to decide on each conversation found there.
    #[must_use]
    pub fn candidates(&self) -> Option<Candidates> {
        let found = self
            .conditions
            .iter()
            .filter_map(|condition| match condition {
                Condition::Test(column, test) => Candidates::of_test(column, test),
                Condition::Any(filters) => Candidates::of_any(filters),
                Condition::All(filters) => filters
                    .iter()
                    .filter_map(Self::candidates)
                    .min_by_key(Candidates::cost),
            });
        found.min_by_key(Candidates::cost)
    }

    fn from_value(value: Value, budget: &mut Budget) -> Result<Self, FilterError> {
        let Value::Object(object) = value else {
            return Err(FilterError::NotAnObject);
        };
        let mut conditions = Vec::new();
        for (key, value) in object {
            match key.as_str() {
                "$or" => conditions.push(Condition::Any(sub_filters("$or", value, budget)?)),
                "$and" => conditions.push(Condition::All(sub_filters("$and", value, budget)?)),
                operator if operator.starts_with('$') => return Err(operator::unknown(operator)),
                column => {
                    let column = Column::parse(column)?;
                    for test in operator::parse_tests(value, budget)? {
                        conditions.push(Condition::Test(column.clone(), test));
                    }
                }
            }
        }
        Ok(Self { conditions })
    }
}

fn sub_filters(
    operator: &'static str,
    value: Value,
    budget: &mut Budget,
) -> Result<Vec<Filter>, FilterError> {
    let Value::Array(values) = value else {
        return Err(FilterError::Operand {
            operator,
            wanted: "a list of conditions",
        });
    };
    if values.is_empty() {
        return Err(FilterError::Operand {
            operator,
            wanted: "at least one condition",
        });
    }
    budget.descend()?;
    // An empty sub-filter costs as much as a test, or a list of a million of them would be free.
    let filters = values.into_iter().map(|value| {
        budget.take_test()?;
        Filter::from_value(value, budget)
    });
    let filters = filters.collect::<Result<Vec<_>, _>>()?;
    budget.ascend();
    Ok(filters)
}

impl Candidates {
    fn of_test(column: &Column, test: &Test) -> Option<Self> {
        let texts = |operands: &[Operand]| -> Option<BTreeSet<String>> {
            operands
                .iter()
                .map(|operand| operand.text().map(str::to_owned))
                .collect()
        };
        if column.is("objectId") {
            let ids = match test {
                Test::Equal(id) => texts(std::slice::from_ref(id))?,
                Test::In(ids) => texts(ids)?,
                _ => return None,
            };
            return Some(Self {
                ids,
                ..Self::default()
            });
        }
        if column.is("m") {
            let members = match test {
                Test::Equal(member) => texts(std::slice::from_ref(member))?,
                Test::In(members) => texts(members)?,
                Test::All(members) => texts(members)?.into_iter().take(1).collect(),
                _ => return None,
            };
            return Some(Self {
                members,
                ..Self::default()
            });
        }
        None
    }

    fn of_any(filters: &[Filter]) -> Option<Self> {
        filters.iter().try_fold(Self::default(), |mut all, filter| {
            let one = filter.candidates()?;
            all.ids.extend(one.ids);
            all.members.extend(one.members);
            Some(all)
        })
    }

    /// Fewer members first, then fewer ids: an id is one row, a member may have thousands.
    fn cost(&self) -> (usize, usize) {
        (self.members.len(), self.ids.len())
    }
}

impl Budget {
    fn full() -> Self {
        Self {
            depth: MAX_DEPTH,
            tests: MAX_TESTS,
            listed: MAX_LISTED,
            patterns: MAX_PATTERNS,
        }
    }

    fn descend(&mut self) -> Result<(), FilterError> {
        take(&mut self.depth, 1, "levels of $or and $and", MAX_DEPTH)
    }

    fn ascend(&mut self) {
        self.depth += 1;
    }

    fn take_test(&mut self) -> Result<(), FilterError> {
        take(&mut self.tests, 1, "conditions", MAX_TESTS)
    }

    fn take_listed(&mut self, count: usize) -> Result<(), FilterError> {
        take(&mut self.listed, count, "listed values", MAX_LISTED)
    }

    fn take_pattern(&mut self) -> Result<(), FilterError> {
        take(&mut self.patterns, 1, "regular expressions", MAX_PATTERNS)
    }
}

fn take(left: &mut usize, count: usize, what: &'static str, max: usize) -> Result<(), FilterError> {
    *left = left
        .checked_sub(count)
        .ok_or(FilterError::TooMany { what, max })?;
    Ok(())
}

#[cfg(test)]
mod tests;
