//! Conversation queries: a filter, an order, a page, and the wanted parts of each row.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;

use crate::model::{ClientId, Timestamp};
use serde_json::{Map, Value};

use crate::model::query::ask::ConversationQuery;
use crate::model::query::column::{Column, InvalidColumn};
use crate::model::query::filter::{Filter, FilterError};
use crate::model::query::value;

/// The page of a query that does not say how long it should be.
pub const DEFAULT_LIMIT: usize = 10;

/// The most rows that can be skipped: they are all kept in memory while a page is chosen.
pub const MAX_SKIP: usize = 100_000;

/// The most memory that the places of rows in the order may take.
pub const MAX_ORDER_BYTES: usize = 4 * 1024 * 1024;

/// The most columns to sort by.
pub const MAX_SORT_COLUMNS: usize = 8;

/// How many characters of a text take part in sorting.
const SORTED_CHARS: usize = 256;

/// Bit of `flag`: leave out the members.
const FLAG_COMPACT: i32 = 1;

/// Bit of `flag`: add the last message.
const FLAG_LAST_MESSAGE: i32 = 2;

/// The reason why a query is refused; answered with 4310.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The `where` cannot be used.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// `sort` names no column.
    #[error("sort names no column: {0}")]
    Sort(InvalidColumn),
    /// `sort` has more than [`MAX_SORT_COLUMNS`] columns.
    #[error("sort has more than {MAX_SORT_COLUMNS} columns")]
    TooManyColumns,
    /// The rows to choose among take more than [`MAX_ORDER_BYTES`] to sort.
    #[error("there is too much to sort: name more conditions, skip fewer rows")]
    TooLarge,
    /// The filter took more steps than one query may.
    #[error("the query looks at too much: name ids or members, or a simpler pattern")]
    TooExpensive,
    /// `skip` or `limit` is negative, or `skip` is above [`MAX_SKIP`].
    #[error("{0} is out of range")]
    OutOfRange(&'static str),
}

/// The fields of a query as they came over the wire; an absent field has a default.
#[derive(Clone, Copy, Debug, Default)]
pub struct QueryFields<'a> {
    /// The conditions as JSON text.
    pub filter: Option<&'a str>,
    /// The order, such as `-lm,createdAt`.
    pub sort: Option<&'a str>,
    /// The most rows of the answer.
    pub limit: Option<i32>,
    /// The number of rows to skip.
    pub skip: Option<i32>,
    /// Bits that select the parts of each row.
    pub flag: Option<i32>,
}

/// A query that can be run.
#[derive(Clone, Debug)]
pub struct QuerySelection {
    /// The filter.
    pub filter: Filter,
    /// The order.
    pub sort: Sort,
    /// The number of matches to skip.
    pub skip: usize,
    /// The most rows of the page; may be 0.
    pub limit: usize,
    /// The wanted parts of each row.
    pub detail: Detail,
}

/// The wanted parts of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Detail {
    /// True if the members are listed.
    pub members: bool,
    /// True if the last message is included.
    pub last_message: bool,
}

/// The order of rows: the first column that differs decides, then the id.
#[derive(Clone, Debug)]
pub struct Sort(Vec<(Column, Direction)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Ascending,
    Descending,
}

/// The place where a row stands in the order of a [`Sort`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SortKey(Vec<Place>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Ascending(SortValue),
    Descending(Reverse<SortValue>),
}

/// Values in the order of their types; a row without the column comes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum SortValue {
    Missing,
    Number(Amount),
    Text(String),
    Object,
    Array,
    Bool(bool),
    Date(Timestamp),
}

/// A number that has an order with every other.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Amount(serde_json::Number);

impl QuerySelection {
    /// Reads the fields of a client's query. A page is cut to `longest_page` rows, not refused.
    ///
    /// # Errors
    ///
    /// [`QueryError`], to be answered with 4310.
    pub fn for_client(
        fields: QueryFields<'_>,
        client: &ClientId,
        longest_page: usize,
    ) -> Result<Self, QueryError> {
        let limit = match fields.limit {
            None => DEFAULT_LIMIT,
            Some(limit) => usize::try_from(limit).map_err(|_| QueryError::OutOfRange("limit"))?,
        };
        let skip = usize::try_from(fields.skip.unwrap_or(0))
            .ok()
            .filter(|skip| *skip <= MAX_SKIP);
        Ok(Self {
            filter: Filter::for_client(fields.filter, client)?,
            sort: Sort::parse(fields.sort)?,
            skip: skip.ok_or(QueryError::OutOfRange("skip"))?,
            limit: limit.min(longest_page),
            detail: Detail::from_flag(fields.flag.unwrap_or(0)),
        })
    }

    /// A query of an app for this client, over the rows of this device.
    ///
    /// # Errors
    ///
    /// [`QueryError`] for a part of the query that can't be used.
    pub fn of(query: &ConversationQuery, client: &ClientId) -> Result<Self, QueryError> {
        let filter = query.conditions().map(|conditions| conditions.to_string());
        let sort = query.sort();
        let fields = QueryFields {
            filter: filter.as_deref(),
            sort: sort.as_deref(),
            limit: Some(number(query.limit, "limit")?),
            skip: Some(number(query.skip, "skip")?),
            flag: None,
        };
        Self::for_client(fields, client, ConversationQuery::LIMIT_MAX)
    }

    /// Begins to choose the page among rows that come one by one.
    #[must_use]
    pub const fn choice<T>(&self) -> Choice<T> {
        Choice {
            best: BTreeMap::new(),
            offered: 0,
            bytes: 0,
        }
    }

    /// Offers a row that matches. The choice keeps at most `skip + limit` rows.
    ///
    /// # Errors
    ///
    /// [`QueryError::TooLarge`] when their places in the order take too much memory.
    pub fn offer<T>(
        &self,
        choice: &mut Choice<T>,
        columns: &Map<String, Value>,
        row: T,
    ) -> Result<(), QueryError> {
        let key = self.sort.key(columns);
        choice.bytes += key.weight();
        choice.best.insert((key, choice.offered), row);
        choice.offered += 1;
        if choice.best.len() > self.skip.saturating_add(self.limit)
            && let Some(((last, _), _)) = choice.best.pop_last()
        {
            choice.bytes -= last.weight();
        }
        match choice.bytes > MAX_ORDER_BYTES {
            true => Err(QueryError::TooLarge),
            false => Ok(()),
        }
    }

    /// The page: the rows offered, in order, without those to skip.
    pub fn page<T>(&self, choice: Choice<T>) -> Vec<T> {
        choice.best.into_values().skip(self.skip).collect()
    }
}

/// The best rows so far.
#[derive(Debug)]
pub struct Choice<T> {
    best: BTreeMap<(SortKey, u64), T>,
    offered: u64,
    bytes: usize,
}

fn number(number: u32, name: &'static str) -> Result<i32, QueryError> {
    i32::try_from(number).map_err(|_| QueryError::OutOfRange(name))
}

impl SortKey {
    /// The memory it takes.
    fn weight(&self) -> usize {
        let text = |rank: &SortValue| match rank {
            SortValue::Text(text) => text.len(),
            _ => 0,
        };
        let places = self.0.iter().map(|place| match place {
            Place::Ascending(rank) | Place::Descending(Reverse(rank)) => {
                text(rank) + size_of::<Place>()
            }
        });
        places.sum()
    }
}

impl Detail {
    fn from_flag(flag: i32) -> Self {
        Self {
            members: flag & FLAG_COMPACT == 0,
            last_message: flag & FLAG_LAST_MESSAGE != 0,
        }
    }
}

impl Sort {
    /// Reads an order: columns between commas, with `-` before a descending one.
    ///
    /// An absent or empty order means the last message, newest first; blank columns are ignored.
    ///
    /// # Errors
    ///
    /// [`QueryError::Sort`] and [`QueryError::TooManyColumns`].
    pub fn parse(text: Option<&str>) -> Result<Self, QueryError> {
        let text = text
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .unwrap_or("-lm");
        let parts = text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty());
        let mut columns = Vec::new();
        for part in parts {
            let (direction, name) = match part.strip_prefix('-') {
                Some(name) => (Direction::Descending, name),
                None => (Direction::Ascending, part.strip_prefix('+').unwrap_or(part)),
            };
            if columns.len() == MAX_SORT_COLUMNS {
                return Err(QueryError::TooManyColumns);
            }
            columns.push((Column::parse(name).map_err(QueryError::Sort)?, direction));
        }
        Ok(Self(columns))
    }

    /// The place of a row; rows that are equal by every column are ordered by their id.
    #[must_use]
    pub fn key(&self, row: &Map<String, Value>) -> SortKey {
        let places = self.0.iter().map(|(column, direction)| {
            let rank = column
                .values(row)
                .first()
                .map_or(SortValue::Missing, |value| SortValue::of(value));
            match direction {
                Direction::Ascending => Place::Ascending(rank),
                Direction::Descending => Place::Descending(Reverse(rank)),
            }
        });
        let id = row
            .get("objectId")
            .map_or(SortValue::Missing, SortValue::of);
        SortKey(places.chain([Place::Ascending(id)]).collect())
    }
}

impl SortValue {
    fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Missing,
            Value::Bool(bool) => Self::Bool(*bool),
            Value::Number(number) => Self::Number(Amount(number.clone())),
            Value::String(text) => Self::Text(text.chars().take(SORTED_CHARS).collect()),
            Value::Array(_) => Self::Array,
            Value::Object(_) => value::date_object(value).map_or(Self::Object, Self::Date),
        }
    }
}

impl PartialOrd for Amount {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Amount {
    fn cmp(&self, other: &Self) -> Ordering {
        value::compare_numbers(&self.0, &other.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::model::query::Steps;

    fn query(fields: QueryFields<'_>) -> Result<QuerySelection, QueryError> {
        QuerySelection::for_client(fields, &ClientId::new("Tom").unwrap(), 100)
    }

    fn ids(sort: &str, skip: i32, limit: i32, rows: &[Value]) -> Vec<String> {
        let fields = QueryFields {
            filter: Some(r#"{"objectId":{"$exists":true}}"#),
            sort: Some(sort),
            skip: Some(skip),
            limit: Some(limit),
            flag: None,
        };
        let (query, steps) = (query(fields).unwrap(), Steps::new(u64::MAX));
        let mut choice = query.choice();
        for row in rows {
            let columns = row.as_object().unwrap();
            if query.filter.matches(columns, &steps) {
                query.offer(&mut choice, columns, row).unwrap();
            }
        }
        let page = query.page(choice);
        page.iter()
            .map(|row| row["objectId"].as_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn absent_fields_mean_ten_of_my_own_by_last_message() {
        let query = query(QueryFields::default()).unwrap();
        assert_eq!((query.skip, query.limit), (0, 10));
        assert_eq!(
            query.detail,
            Detail {
                members: true,
                last_message: false
            }
        );
        assert!(query.filter.candidates().unwrap().members.contains("Tom"));
    }

    #[test]
    fn a_page_is_cut_to_the_longest_and_may_be_empty() {
        let limit = |limit| {
            query(QueryFields {
                limit: Some(limit),
                ..QueryFields::default()
            })
        };
        assert_eq!(limit(999).unwrap().limit, 100);
        assert_eq!(limit(0).unwrap().limit, 0);
        assert_eq!(limit(-1).unwrap_err(), QueryError::OutOfRange("limit"));
        let far = QueryFields {
            skip: Some(i32::MAX),
            ..QueryFields::default()
        };
        assert_eq!(query(far).unwrap_err(), QueryError::OutOfRange("skip"));
    }

    #[test]
    fn the_flag_drops_members_and_adds_the_last_message() {
        let detail = |flag| {
            query(QueryFields {
                flag: Some(flag),
                ..QueryFields::default()
            })
            .unwrap()
            .detail
        };
        assert_eq!(
            detail(3),
            Detail {
                members: false,
                last_message: true
            }
        );
    }

    #[test]
    fn rows_without_a_last_message_come_last_when_the_newest_comes_first() {
        let date = |iso: &str| json!({"__type": "Date", "iso": iso});
        let rows = [
            json!({"objectId": "quiet"}),
            json!({"objectId": "old", "lm": date("2020-01-01T00:00:00.000Z")}),
            json!({"objectId": "new", "lm": date("2021-01-01T00:00:00.000Z")}),
        ];
        assert_eq!(ids("-lm", 0, 10, &rows), ["new", "old", "quiet"]);
        assert_eq!(ids("lm", 0, 10, &rows), ["quiet", "old", "new"]);
        assert_eq!(ids("-lm", 1, 1, &rows), ["old"]);
    }

    #[test]
    fn a_second_column_decides_where_the_first_is_equal_and_the_id_at_last() {
        let rows = [
            json!({"objectId": "c", "name": "x", "attr": {"n": 2}}),
            json!({"objectId": "b", "name": "x", "attr": {"n": 2.0}}),
            json!({"objectId": "a", "name": "x", "attr": {"n": 10}}),
        ];
        assert_eq!(ids("name,-attr.n", 0, 10, &rows), ["a", "b", "c"]);
    }

    #[test]
    fn an_order_by_no_column_or_too_many_is_refused() {
        assert_eq!(
            Sort::parse(Some("a..b")).unwrap_err(),
            QueryError::Sort(InvalidColumn::EmptyKey)
        );
        assert_eq!(
            Sort::parse(Some(&"a,".repeat(9))).unwrap_err(),
            QueryError::TooManyColumns
        );
        assert!(Sort::parse(Some("-lm,,createdAt,")).is_ok());
    }

    proptest! {
        #[test]
        fn any_text_is_an_order_or_an_error(text in "(?s)[a,.$ +船-]{0,40}") {
            if let Ok(sort) = Sort::parse(Some(&text)) {
                let _ = sort.key(&Map::new());
            }
        }

        #[test]
        fn a_page_is_the_same_slice_of_the_whole_order(
            numbers in proptest::collection::vec(0..5_i32, 0..20), skip in 0..8_i32, limit in 0..8_i32,
        ) {
            let rows: Vec<Value> = numbers.iter().enumerate()
                .map(|(at, n)| json!({"objectId": format!("{at:02}"), "n": n})).collect();
            let all = ids("-n", 0, 100, &rows);
            let page = ids("-n", skip, limit, &rows);
            let want: Vec<_> = all.into_iter().skip(skip as usize).take(limit as usize).collect();
            prop_assert_eq!(page, want);
        }
    }
}
