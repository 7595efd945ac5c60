//! The tests of one column, parsed and carried out.

use std::cmp::Ordering;

use crate::model::Timestamp;
use serde_json::{Map, Value};

use super::pattern::{Pattern, Steps};
use super::place::{self, NoPlace, Region};
use super::{Budget, FilterError};
use crate::model::query::value;

/// How many characters of an unknown operator an error repeats.
const SHOWN_CHARS: usize = 32;

/// One condition on the values of a column.
#[derive(Clone, Debug)]
pub(super) enum Test {
    Equal(Operand),
    NotEqual(Operand),
    Less(Operand),
    LessOrEqual(Operand),
    Greater(Operand),
    GreaterOrEqual(Operand),
    Exists,
    Missing,
    In(Vec<Operand>),
    NotIn(Vec<Operand>),
    All(Vec<Operand>),
    Size(usize),
    Matches(Box<Pattern>),
    /// A point in a part of the earth.
    At(Region),
}

/// A value to compare with; a date is parsed once, here, and not for every row.
#[derive(Clone, Debug)]
pub(super) enum Operand {
    Date(Timestamp),
    Value(Value),
}

/// Reads the tests behind a column: operators, or a value that the column must be equal to.
pub(super) fn parse_tests(value: Value, budget: &mut Budget) -> Result<Vec<Test>, FilterError> {
    match value {
        Value::Object(object) if object.keys().any(|key| key.starts_with('$')) => {
            parse_operators(object, budget)
        }
        value => {
            budget.take_test()?;
            Ok(vec![Test::Equal(Operand::parse(value)?)])
        }
    }
}

/// The error for an operator that is not supported, with its name, cut to a limited length.
pub(super) fn unknown(operator: &str) -> FilterError {
    const GEO: [&str; 6] = [
        "$near",
        "$geoWithin",
        "$geoIntersects",
        "$box",
        "$centerSphere",
        "$polygon",
    ];
    let shown = operator.chars().take(SHOWN_CHARS).collect();
    if GEO.contains(&operator) {
        FilterError::Geo(shown)
    } else {
        FilterError::UnknownOperator(shown)
    }
}

fn parse_operators(
    object: Map<String, Value>,
    budget: &mut Budget,
) -> Result<Vec<Test>, FilterError> {
    let mut tests = Vec::new();
    let options = object.get("$options").cloned();
    if options.is_some() && !object.contains_key("$regex") {
        return Err(FilterError::Operand {
            operator: "$options",
            wanted: "a $regex beside it",
        });
    }
    let near = object.get("$nearSphere");
    let near = near.map(|center| Region::near(center, &object));
    let near = near.transpose().map_err(no_place)?;
    for (operator, value) in object {
        if operator == "$options" || (near.is_some() && place::is_bound(&operator)) {
            continue;
        }
        budget.take_test()?;
        tests.push(match operator.as_str() {
            "$eq" => Test::Equal(Operand::parse(value)?),
            "$ne" => Test::NotEqual(Operand::parse(value)?),
            "$lt" => Test::Less(Operand::parse(value)?),
            "$lte" => Test::LessOrEqual(Operand::parse(value)?),
            "$gt" => Test::Greater(Operand::parse(value)?),
            "$gte" => Test::GreaterOrEqual(Operand::parse(value)?),
            "$exists" => exists(&value)?,
            "$in" => Test::In(list("$in", value, budget)?),
            "$nin" => Test::NotIn(list("$nin", value, budget)?),
            "$all" => Test::All(list("$all", value, budget)?),
            "$size" => Test::Size(size(&value)?),
            "$nearSphere" => Test::At(near.clone().ok_or_else(|| unknown("$nearSphere"))?),
            "$within" => Test::At(Region::within(&value).map_err(no_place)?),
            bound if place::is_bound(bound) => {
                return Err(FilterError::Operand {
                    operator: "$maxDistance or $minDistance",
                    wanted: "a $nearSphere beside it",
                });
            }
            "$regex" => Test::Matches(Box::new(pattern(&value, options.as_ref(), budget)?)),
            other => return Err(unknown(other)),
        });
    }
    Ok(tests)
}

fn no_place(NoPlace { operator, wanted }: NoPlace) -> FilterError {
    FilterError::Operand { operator, wanted }
}

fn exists(value: &Value) -> Result<Test, FilterError> {
    match value {
        Value::Bool(true) => Ok(Test::Exists),
        Value::Bool(false) => Ok(Test::Missing),
        _ => Err(FilterError::Operand {
            operator: "$exists",
            wanted: "true or false",
        }),
    }
}

fn list(
    operator: &'static str,
    value: Value,
    budget: &mut Budget,
) -> Result<Vec<Operand>, FilterError> {
    let Value::Array(values) = value else {
        return Err(FilterError::Operand {
            operator,
            wanted: "a list",
        });
    };
    budget.take_listed(values.len())?;
    values.into_iter().map(Operand::parse).collect()
}

fn size(value: &Value) -> Result<usize, FilterError> {
    let size = value.as_u64().and_then(|size| usize::try_from(size).ok());
    size.ok_or(FilterError::Operand {
        operator: "$size",
        wanted: "a whole number from 0",
    })
}

fn pattern(
    value: &Value,
    options: Option<&Value>,
    budget: &mut Budget,
) -> Result<Pattern, FilterError> {
    const WANTED: &str = "a text";
    budget.take_pattern()?;
    let text = value.as_str();
    let text = text.ok_or(FilterError::Operand {
        operator: "$regex",
        wanted: WANTED,
    })?;
    let options = options.map_or(Some(""), Value::as_str);
    let options = options.ok_or(FilterError::Operand {
        operator: "$options",
        wanted: WANTED,
    })?;
    Ok(Pattern::parse(text, options)?)
}

impl Test {
    /// True if the test holds for the values of a row in the column. The answer means nothing if the steps were
    /// used up meanwhile.
    pub(super) fn holds(&self, values: &[&Value], steps: &Steps) -> bool {
        let among = |operand: &Operand| operand.is_among(values, steps);
        match self {
            Self::Equal(operand) => among(operand),
            Self::NotEqual(operand) => !among(operand),
            Self::In(operands) => operands.iter().any(among),
            Self::NotIn(operands) => !operands.iter().any(among),
            Self::All(operands) => !operands.is_empty() && operands.iter().all(among),
            Self::Less(operand) => operand.is_ordered(values, Ordering::is_lt, steps),
            Self::LessOrEqual(operand) => operand.is_ordered(values, Ordering::is_le, steps),
            Self::Greater(operand) => operand.is_ordered(values, Ordering::is_gt, steps),
            Self::GreaterOrEqual(operand) => operand.is_ordered(values, Ordering::is_ge, steps),
            Self::Exists => !values.is_empty(),
            Self::Missing => values.is_empty(),
            Self::Size(size) => values
                .iter()
                .any(|value| value.as_array().is_some_and(|array| array.len() == *size)),
            Self::At(region) => any(values, steps, |value| region.holds(value)),
            Self::Matches(pattern) => any(values, steps, |value| {
                value
                    .as_str()
                    .is_some_and(|text| pattern.is_match(text, steps))
            }),
        }
    }
}

impl Operand {
    fn parse(value: Value) -> Result<Self, FilterError> {
        match &value {
            Value::Object(object) if value::claims_to_be_a_date(object) => {
                value::date_object(&value)
                    .map(Self::Date)
                    .ok_or(FilterError::Date)
            }
            _ => Ok(Self::Value(value)),
        }
    }

    /// The text to compare with, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Value(value) => value.as_str(),
            Self::Date(_) => None,
        }
    }

    fn is_among(&self, values: &[&Value], steps: &Steps) -> bool {
        let is_null = matches!(self, Self::Value(Value::Null));
        (is_null && values.is_empty()) || any(values, steps, |value| self.is(value))
    }

    fn is(&self, stored: &Value) -> bool {
        match self {
            Self::Date(at) => value::instant(stored) == Some(*at),
            Self::Value(value) => value::same(stored, value),
        }
    }

    fn is_ordered(&self, values: &[&Value], wanted: fn(Ordering) -> bool, steps: &Steps) -> bool {
        any(values, steps, |stored| {
            let order = match self {
                Self::Date(at) => value::instant(stored).map(|stored| stored.cmp(at)),
                Self::Value(value) => value::compare(stored, value),
            };
            order.is_some_and(wanted)
        })
    }
}

/// True if a value, or an element of an array among the values, satisfies `holds`.
fn any(values: &[&Value], steps: &Steps, holds: impl Fn(&Value) -> bool) -> bool {
    let holds = |value: &Value| steps.take(1) && holds(value);
    values.iter().any(|value| {
        holds(value)
            || value
                .as_array()
                .is_some_and(|elements| elements.iter().any(holds))
    })
}
