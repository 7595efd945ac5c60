//! The result of each change; no text can do harm.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const MAX: usize = 1024;

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn update(stored: Value, changes: Value) -> Result<(Value, Value), AttributeError> {
    let changed = Changes::parse(&changes.to_string())?.apply(&object(stored), MAX)?;
    Ok((changed.columns.into(), changed.modified.into()))
}

fn refusal(stored: Value, changes: Value) -> AttributeError {
    update(stored, changes).unwrap_err()
}

fn column(text: &str) -> Column {
    Column::parse(text).unwrap()
}

#[test]
fn a_column_is_replaced_and_a_dotted_key_changes_one_key() {
    let stored = json!({"name": "old", "attr": {"a": 1, "b": 2}});
    let (columns, modified) =
        update(stored.clone(), json!({"name": "new", "attr.a": "x"})).unwrap();
    assert_eq!(columns, json!({"name": "new", "attr": {"a": "x", "b": 2}}));
    assert_eq!(modified, json!({"name": "new", "attr": {"a": "x"}}));
    let (columns, modified) = update(stored, json!({"attr": {"c": 3}, "color": "red"})).unwrap();
    assert_eq!(
        columns,
        json!({"name": "old", "attr": {"c": 3}, "color": "red"})
    );
    assert_eq!(modified, json!({"attr": {"c": 3}, "color": "red"}));
}

#[test]
fn the_way_to_a_key_is_made() {
    let (columns, modified) = update(json!({}), json!({"attr.a.b": 1})).unwrap();
    assert_eq!(columns, json!({"attr": {"a": {"b": 1}}}));
    assert_eq!(modified, columns);
    assert_eq!(
        refusal(json!({"attr": {"a": 1}}), json!({"attr.a.b": 1})),
        AttributeError::Type(column("attr.a.b"))
    );
}

#[test]
fn a_deleted_key_is_gone_and_absent_from_the_result() {
    let stored = json!({"name": "n", "attr": {"a": 1, "b": 2}});
    let delete = json!({"__op": "Delete"});
    let (columns, modified) = update(
        stored,
        json!({"name": delete, "attr.a": delete, "attr.b": 3, "x.y": delete}),
    )
    .unwrap();
    assert_eq!(columns, json!({"attr": {"b": 3}}));
    assert_eq!(modified, json!({"attr": {"b": 3}}));
}

#[test]
fn arrays_grow_and_shrink_by_operations() {
    let stored = json!({"attr": {"tags": ["a", "b", "a"]}});
    let tags = |op: &str, objects: Value| {
        let (_, modified) = update(
            stored.clone(),
            json!({"attr.tags": {"__op": op, "objects": objects}}),
        )
        .unwrap();
        modified["attr"]["tags"].clone()
    };
    assert_eq!(tags("Add", json!(["a"])), json!(["a", "b", "a", "a"]));
    assert_eq!(
        tags("AddUnique", json!(["b", "c", "c"])),
        json!(["a", "b", "a", "c"])
    );
    assert_eq!(tags("Remove", json!(["a", "x"])), json!(["b"]));
    let (columns, _) = update(json!({}), json!({"list": {"__op": "Add", "objects": [1]}})).unwrap();
    assert_eq!(columns, json!({"list": [1]}));
    let add = json!({"name": {"__op": "Add", "objects": [1]}});
    assert_eq!(
        refusal(json!({"name": "n"}), add),
        AttributeError::Type(column("name"))
    );
}

#[test]
fn a_number_is_incremented_whole_where_it_is_whole() {
    let increment = |stored: Value, amount: Value| {
        update(
            stored,
            json!({"n": {"__op": "Increment", "amount": amount}}),
        )
        .map(|(columns, _)| columns["n"].clone())
    };
    assert_eq!(increment(json!({"n": 1}), json!(-3)), Ok(json!(-2)));
    assert_eq!(increment(json!({}), json!(5)), Ok(json!(5)));
    assert_eq!(increment(json!({"n": 1}), json!(0.5)), Ok(json!(1.5)));
    assert_eq!(
        increment(json!({"n": i64::MAX}), json!(1)),
        Err(AttributeError::Overflow(column("n")))
    );
    assert_eq!(
        increment(json!({"n": 1e308}), json!(1e308)),
        Err(AttributeError::Overflow(column("n")))
    );
    assert_eq!(
        increment(json!({"n": "1"}), json!(1)),
        Err(AttributeError::Type(column("n")))
    );
}

#[test]
fn an_unknown_or_incomplete_operation_is_refused() {
    for operation in [
        json!({"__op": "Batch"}),
        json!({"__op": 1}),
        json!({"__op": "Add"}),
        json!({"__op": "Increment", "amount": "1"}),
    ] {
        assert_eq!(
            refusal(json!({}), json!({"x": operation})),
            AttributeError::Operation(column("x"))
        );
    }
}

#[test]
fn the_columns_of_the_service_cannot_be_named() {
    for reserved in [
        "objectId",
        "m",
        "mu",
        "c",
        "lm",
        "createdAt",
        "updatedAt",
        "tr",
        "sys",
        "unique",
    ] {
        let error = refusal(json!({}), json!({reserved: "x"}));
        assert_eq!(error, AttributeError::Reserved(reserved.to_owned()));
        assert_eq!(error.code(), ServiceCode::CONVERSATION_READ_ONLY);
    }
    assert_eq!(
        refusal(json!({}), json!({"m.0": "x"})),
        AttributeError::Reserved("m".to_owned())
    );
}

#[test]
fn the_name_is_a_text_and_the_attributes_are_an_object() {
    assert_eq!(
        refusal(json!({}), json!({"name": 1})),
        AttributeError::Type(column("name"))
    );
    assert_eq!(
        refusal(json!({}), json!({"attr": [1]})),
        AttributeError::Type(column("attr"))
    );
    let (columns, _) = update(
        json!({"name": "n", "attr": {}}),
        json!({"name": null, "attr": null}),
    )
    .unwrap();
    assert_eq!(columns, json!({}));
}

#[test]
fn a_whole_column_is_set_before_its_keys_whatever_the_order_of_the_text() {
    let changes = Changes::parse(r#"{"attr.b": 2, "attr": {"a": 1}}"#).unwrap();
    let changed = changes.apply(&Map::new(), MAX).unwrap();
    assert_eq!(
        Value::from(changed.columns),
        json!({"attr": {"a": 1, "b": 2}})
    );
}

#[test]
fn what_is_stored_stays_small_and_flat_enough_to_be_read_again() {
    let long = json!({"x": "y".repeat(MAX)});
    assert_eq!(
        refusal(json!({}), long),
        AttributeError::TooLarge { max: MAX }
    );
    let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!([inner]));
    assert!(update(json!({}), json!({"x": nested(MAX_DEPTH - 1)})).is_ok());
    assert_eq!(
        refusal(json!({}), json!({"x": nested(MAX_DEPTH)})),
        AttributeError::TooDeep
    );
    let stored = json!({"x": {"y": nested(MAX_DEPTH - 2)}});
    assert_eq!(
        refusal(json!({}), json!({"x.y.z": nested(MAX_DEPTH - 2)})),
        AttributeError::TooDeep
    );
    assert!(update(stored, json!({"a": 1})).is_ok());
}

#[test]
fn a_new_conversation_has_what_it_was_started_with() {
    let columns = initial(
        r#"{"name": "Tea", "attr": {"topic": "tea"}, "color": "red"}"#,
        MAX,
    )
    .unwrap();
    assert_eq!(
        Value::from(columns),
        json!({"name": "Tea", "attr": {"topic": "tea"}, "color": "red"})
    );
    assert!(initial("{}", MAX).unwrap().is_empty());
    assert_eq!(initial("[]", MAX).unwrap_err(), AttributeError::NotAnObject);
    assert_eq!(initial("", MAX).unwrap_err(), AttributeError::NotAnObject);
}

fn any_changes() -> impl Strategy<Value = Value> {
    let column = prop_oneof![
        Just("name"),
        Just("attr"),
        Just("attr.a"),
        Just("attr.a.b"),
        Just("x"),
        Just("x.y")
    ];
    let number = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from)
    ];
    let value = prop_oneof![
        Just(json!("t")),
        Just(json!({"a": 1})),
        Just(json!(["t"])),
        Just(Value::Null),
        number.clone(),
        Just(json!({"__op": "Delete"})),
        prop_oneof![Just("Add"), Just("AddUnique"), Just("Remove")]
            .prop_map(|op| json!({"__op": op, "objects": ["t", 1]})),
        number.prop_map(|amount| json!({"__op": "Increment", "amount": amount})),
    ];
    proptest::collection::btree_map(column, value, 0..4).prop_map(|changes| {
        changes
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect()
    })
}

proptest! {
    #[test]
    fn any_text_is_changes_or_an_error(text in "(?s).{0,80}") {
        let _ = Changes::parse(&text);
    }

    #[test]
    fn the_result_has_every_modified_value_in_its_place(updates in proptest::collection::vec(any_changes(), 1..6)) {
        let mut columns = Map::new();
        for changes in updates {
            let Ok(changes) = Changes::parse(&changes.to_string()) else { continue };
            let Ok(changed) = changes.apply(&columns, MAX) else { continue };
            for (column, _) in &changes.0 {
                prop_assert_eq!(value_at(&changed.modified, column), value_at(&changed.columns, column));
            }
            columns = changed.columns;
        }
    }
}
