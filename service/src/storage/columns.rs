//! The change of a conversation's columns: edits of single values, and of a list the removed and the appended
//! elements.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The change of one value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Edit {
    /// The value at a path is this.
    #[serde(rename = "s")]
    Set(Vec<String>, Value),
    /// There is no value at a path.
    #[serde(rename = "d")]
    Delete(Vec<String>),
    /// The list at a path lost the elements of these numbers, and got these at its end.
    #[serde(rename = "l")]
    List(Vec<String>, Vec<usize>, Vec<Value>),
}

/// The edits that lead from one state of the columns to another.
pub(super) fn difference(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<Edit> {
    let mut edits = Vec::new();
    compare(&mut Vec::new(), before, after, &mut edits);
    edits
}

fn compare(
    path: &mut Vec<String>,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    edits: &mut Vec<Edit>,
) {
    let at = |path: &[String], key: &String| [path, std::slice::from_ref(key)].concat();
    for key in before.keys().filter(|key| !after.contains_key(*key)) {
        edits.push(Edit::Delete(at(path, key)));
    }
    for (key, value) in after {
        match (before.get(key), value) {
            (Some(same), _) if same == value => {}
            (Some(Value::Object(old)), Value::Object(new)) => {
                path.push(key.clone());
                compare(path, old, new, edits);
                path.pop();
            }
            (Some(Value::Array(old)), Value::Array(new)) => {
                let (taken, put) = of_lists(old, new);
                edits.push(Edit::List(at(path, key), taken, put));
            }
            _ => edits.push(Edit::Set(at(path, key), value.clone())),
        }
    }
}

/// The numbers of the elements that a list lost, and the elements that it got at its end.
fn of_lists(old: &[Value], new: &[Value]) -> (Vec<usize>, Vec<Value>) {
    let mut wanted = new.iter().peekable();
    let mut taken = Vec::new();
    for (number, element) in old.iter().enumerate() {
        if wanted.next_if(|wanted| *wanted == element).is_none() {
            taken.push(number);
        }
    }
    (taken, wanted.cloned().collect())
}

/// Applies edits; fails where they do not fit the columns.
pub(super) fn apply(columns: &mut Map<String, Value>, edits: Vec<Edit>) -> Result<(), ()> {
    for edit in edits {
        match edit {
            Edit::Set(path, value) => {
                let (parent, last) = parent(columns, &path)?;
                parent.insert(last.clone(), value);
            }
            Edit::Delete(path) => {
                let (parent, last) = parent(columns, &path)?;
                parent.remove(last).ok_or(())?;
            }
            Edit::List(path, taken, put) => {
                let (parent, last) = parent(columns, &path)?;
                let list = parent.get_mut(last).and_then(Value::as_array_mut);
                let list = list.ok_or(())?;
                let mut number = 0;
                let mut taken = taken.iter().peekable();
                list.retain(|_| {
                    let stays = taken.next_if(|taken| **taken == number).is_none();
                    number += 1;
                    stays
                });
                list.extend(put);
            }
        }
    }
    Ok(())
}

/// The object that a path ends in, and the last key of the path.
fn parent<'a, 'p>(
    columns: &'a mut Map<String, Value>,
    path: &'p [String],
) -> Result<(&'a mut Map<String, Value>, &'p String), ()> {
    let (last, way) = path.split_last().ok_or(())?;
    let mut object = columns;
    for key in way {
        let next = object.get_mut(key).and_then(Value::as_object_mut);
        object = next.ok_or(())?;
    }
    Ok((object, last))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (0..4_i64).prop_map(Value::from),
            "[a-c]{0,2}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map("[a-c]", inner, 0..4)
                    .prop_map(|it| Value::Object(it.into_iter().collect())),
            ]
        })
    }

    fn columns() -> impl Strategy<Value = Map<String, Value>> {
        prop::collection::btree_map("[a-d]", value(), 0..5).prop_map(|it| it.into_iter().collect())
    }

    proptest! {
        #[test]
        fn a_difference_leads_from_one_state_to_the_other(before in columns(), after in columns()) {
            let edits = difference(&before, &after);
            let bytes = rmp_serde::to_vec_named(&edits).unwrap();
            let edits: Vec<Edit> = rmp_serde::from_slice(&bytes).unwrap();
            let mut reached = before;
            prop_assert_eq!(apply(&mut reached, edits), Ok(()));
            prop_assert_eq!(reached, after);
        }
    }

    #[test]
    fn a_small_change_of_large_columns_is_a_small_difference() {
        let long: Vec<Value> = (0..2_000).map(Value::from).collect();
        let Value::Object(before) =
            json!({"attr": {"list": long, "text": "x".repeat(9_000), "n": 1}})
        else {
            panic!("an object")
        };
        let mut after = before.clone();
        after["attr"]["n"] = json!(2);
        let list = after["attr"]["list"].as_array_mut().unwrap();
        list.remove(1_000);
        list.remove(3);
        list.push(json!("new"));
        let edits = difference(&before, &after);
        let bytes = rmp_serde::to_vec_named(&edits).unwrap();
        assert!(bytes.len() < 100, "{} bytes: {edits:?}", bytes.len());
    }

    #[test]
    fn edits_that_do_not_fit_are_noticed() {
        let mut columns = Map::new();
        for edit in [
            Edit::Set(vec![], json!(1)),
            Edit::Set(vec!["a".into(), "b".into()], json!(1)),
            Edit::Delete(vec!["a".into()]),
            Edit::List(vec!["a".into()], vec![], vec![]),
        ] {
            assert_eq!(apply(&mut columns, vec![edit]), Err(()));
        }
    }
}
