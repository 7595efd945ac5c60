//! The meaning of each operator; no text and no row can do harm.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn row() -> Value {
    json!({
        "objectId": "c1",
        "name": "Tea & talk",
        "m": ["Tom", "Jerry"],
        "mu": [],
        "c": "Tom",
        "unique": true,
        "attr": {"topic": "tea", "age": 7, "tags": ["hot", "green"], "none": null,
                 "at": {"__type": "Date", "iso": "2020-06-01T00:00:00.000Z"}},
        "lm": {"__type": "Date", "iso": "2020-01-21T14:22:48.642Z"},
        "createdAt": "2020-01-20T00:00:00.000Z",
    })
}

fn matches(filter: Value) -> bool {
    Filter::parse(&filter.to_string())
        .unwrap()
        .matches(row().as_object().unwrap(), &Steps::new(u64::MAX))
}

fn refusal(filter: Value) -> FilterError {
    Filter::parse(&filter.to_string()).unwrap_err()
}

fn date(iso: &str) -> Value {
    json!({"__type": "Date", "iso": iso})
}

/// S277, S280
#[test]
fn equality_is_by_value_and_an_array_is_equal_to_what_it_contains() {
    assert!(matches(json!({"name": "Tea & talk", "unique": true})));
    assert!(matches(json!({"m": "Tom"})) && !matches(json!({"m": "Spike"})));
    assert!(matches(json!({"m": ["Tom", "Jerry"]})) && !matches(json!({"m": ["Jerry", "Tom"]})));
    assert!(matches(json!({"attr.age": 7.0})) && !matches(json!({"attr.age": "7"})));
    assert!(matches(json!({"attr.tags": {"$eq": "hot"}})));
}

#[test]
fn null_is_equal_to_null_and_to_nothing() {
    assert!(matches(json!({"attr.none": null})) && matches(json!({"tr": null})));
    assert!(!matches(json!({"name": null})));
    assert!(matches(json!({"tr": {"$in": [null, true]}})));
}

/// S280
#[test]
fn not_equal_holds_for_rows_without_the_column_and_for_arrays_without_the_value() {
    assert!(matches(json!({"tr": {"$ne": true}})));
    assert!(matches(json!({"m": {"$ne": "Spike"}})) && !matches(json!({"m": {"$ne": "Tom"}})));
    assert!(
        matches(json!({"name": {"$nin": ["a", "b"]}})) && !matches(json!({"m": {"$nin": ["Tom"]}}))
    );
}

/// S281
#[test]
fn an_order_holds_between_values_of_one_type_only() {
    assert!(matches(json!({"attr.age": {"$gt": 6, "$lte": 7}})));
    assert!(
        !matches(json!({"attr.age": {"$lt": 7}})) && matches(json!({"attr.age": {"$gte": 6.5}}))
    );
    assert!(
        !matches(json!({"attr.age": {"$gt": "0"}})) && !matches(json!({"nothing": {"$lt": 1}}))
    );
    assert!(matches(json!({"name": {"$gt": "Tea"}})));
}

/// S285
#[test]
fn dates_compare_with_date_objects_and_with_iso_columns() {
    assert!(matches(
        json!({"lm": {"$gt": date("2020-01-21T14:22:48.641Z")}})
    ));
    assert!(!matches(
        json!({"lm": {"$gt": date("2020-01-21T14:22:48.642Z")}})
    ));
    assert!(matches(json!({"lm": date("2020-01-21T14:22:48.642Z")})));
    assert!(matches(
        json!({"createdAt": {"$lt": date("2020-01-20T00:00:00.001Z")}})
    ));
    assert!(matches(
        json!({"attr.at": {"$in": [date("2020-06-01T00:00:00.000Z")]}})
    ));
    assert_eq!(refusal(json!({"lm": date("yesterday")})), FilterError::Date);
}

#[test]
fn existence_counts_a_stored_null() {
    assert!(matches(
        json!({"attr.none": {"$exists": true}, "tr": {"$exists": false}})
    ));
    assert!(!matches(json!({"name": {"$exists": false}})));
}

/// S278
#[test]
fn exactly_these_members_is_all_of_them_and_their_number() {
    let exactly = |members: Value, size| matches(json!({"m": {"$all": members, "$size": size}}));
    assert!(exactly(json!(["Jerry", "Tom"]), 2));
    assert!(!exactly(json!(["Tom"]), 1) && !exactly(json!(["Tom", "Spike"]), 2));
    assert!(matches(json!({"mu": {"$size": 0}})) && !matches(json!({"name": {"$size": 10}})));
    assert!(!matches(json!({"m": {"$all": []}})));
}

/// S282, S283
#[test]
fn a_regular_expression_matches_texts_and_elements_of_arrays() {
    assert!(matches(json!({"name": {"$regex": r"\Q& talk\E$"}})));
    assert!(matches(
        json!({"name": {"$regex": "^tea", "$options": "i"}})
    ));
    assert!(
        matches(json!({"attr.tags": {"$regex": "^gr"}}))
            && !matches(json!({"attr.age": {"$regex": "7"}}))
    );
    assert_eq!(
        refusal(json!({"name": {"$regex": "(?=x)"}})),
        PatternError::Unsupported.into()
    );
}

/// S284
#[test]
fn conditions_combine() {
    assert!(matches(
        json!({"$or": [{"c": "Spike"}, {"attr.topic": "tea"}]})
    ));
    assert!(!matches(
        json!({"$and": [{"c": "Tom"}, {"attr.topic": "milk"}]})
    ));
    assert!(!matches(json!({"c": "Tom", "attr.topic": "milk"})));
    assert!(matches(
        json!({"$and": [{"$or": [{"x": 1}, {"c": "Tom"}]}, {}]})
    ));
}

/// S276
#[test]
fn an_absent_or_empty_where_means_my_own_conversations() {
    let tom = ClientId::new("Tom").unwrap();
    for text in [None, Some(""), Some(" "), Some("{}")] {
        let candidates = Filter::for_client(text, &tom)
            .unwrap()
            .candidates()
            .unwrap();
        assert_eq!(candidates.members, BTreeSet::from(["Tom".to_owned()]));
        assert!(candidates.ids.is_empty());
    }
    assert!(Filter::parse("{}").unwrap().candidates().is_none());
}

/// A place on the earth, in degrees.
fn point(latitude: f64, longitude: f64) -> Value {
    json!({"__type": "GeoPoint", "latitude": latitude, "longitude": longitude})
}

/// True if a condition holds for a row whose attribute has this value.
fn holds(condition: &Value, value: &Value) -> bool {
    let row = json!({"attr": {"place": value}});
    Filter::parse(&json!({ "attr.place": condition }).to_string())
        .unwrap()
        .matches(row.as_object().unwrap(), &Steps::new(u64::MAX))
}

#[test]
fn places_are_found_near_a_point_and_within_a_box() {
    let finds = |condition: Value, latitude: f64, longitude: f64| {
        let place = point(latitude, longitude);
        holds(&condition, &place)
    };
    // Beijing and Shanghai are 1067 kilometres apart, which is 663 miles.
    let (beijing, shanghai) = (point(39.9042, 116.4074), (31.2304, 121.4737));
    let near = |bound: &str, distance: f64| {
        let condition = json!({"$nearSphere": beijing, bound: distance});
        finds(condition, shanghai.0, shanghai.1)
    };
    assert!(near("$maxDistanceInKilometers", 1080.0) && !near("$maxDistanceInKilometers", 1050.0));
    assert!(near("$maxDistanceInMiles", 671.0) && !near("$maxDistanceInMiles", 653.0));
    assert!(near("$maxDistanceInRadians", 0.1695) && !near("$maxDistanceInRadians", 0.1648));
    assert!(near("$maxDistance", 0.1695) && !near("$maxDistance", 0.1648));
    assert!(near("$minDistanceInKilometers", 1050.0) && !near("$minDistanceInKilometers", 1080.0));
    assert!(near("$minDistance", 0.1648) && !near("$minDistanceInRadians", 0.1695));
    assert!(
        finds(json!({"$nearSphere": beijing}), -80.0, -70.0),
        "without a bound"
    );
    assert!(!holds(&json!({"$nearSphere": beijing}), &json!("Beijing")));
    let within = |from: Value, to: Value| json!({"$within": {"$box": [from, to]}});
    let china = || within(point(18.0, 73.0), point(54.0, 135.0));
    assert!(finds(china(), shanghai.0, shanghai.1));
    assert!(!finds(china(), 35.7, 139.7) && !finds(china(), 10.0, 100.0));
    let pacific = || within(point(-40.0, 160.0), point(40.0, -120.0));
    assert!(finds(pacific(), 21.3, -157.9) && finds(pacific(), -36.8, 174.8));
    assert!(!finds(pacific(), 0.0, 0.0), "it crosses the date line");
}

#[test]
fn what_is_not_of_the_language_is_a_typed_error() {
    assert_eq!(refusal(json!([])), FilterError::NotAnObject);
    assert_eq!(Filter::parse("{").unwrap_err(), FilterError::NotAnObject);
    assert!(matches!(
        refusal(json!({"p": {"$geoWithin": [1, 2]}})),
        FilterError::Geo(_)
    ));
    for bad in [
        json!({"$nearSphere": [1, 2]}),
        json!({"$nearSphere": point(91.0, 0.0)}),
        json!({"$nearSphere": point(0.0, 0.0), "$maxDistanceInMiles": -1}),
        json!({"$nearSphere": point(0.0, 0.0), "$maxDistance": "far"}),
        json!({"$maxDistanceInKilometers": 5}),
        json!({"$within": {"$box": [point(0.0, 0.0)]}}),
        json!({"$within": {"$box": [point(0.0, 0.0), 5]}}),
    ] {
        let refused = refusal(json!({ "attr.place": bad }));
        assert!(
            matches!(refused, FilterError::Operand { .. }),
            "{bad}: {refused}"
        );
    }
    assert!(matches!(
        refusal(json!({"$where": "1"})),
        FilterError::UnknownOperator(_)
    ));
    assert!(matches!(
        refusal(json!({"a": {"$gt": 1, "b": 2}})),
        FilterError::UnknownOperator(_)
    ));
    assert!(matches!(
        refusal(json!({"a": {"$options": "i"}})),
        FilterError::Operand { .. }
    ));
    for bad in [
        json!({"$exists": 1}),
        json!({"$in": 1}),
        json!({"$size": -1}),
        json!({"$regex": 1}),
    ] {
        assert!(matches!(
            refusal(json!({"a": bad})),
            FilterError::Operand { .. }
        ));
    }
    assert!(matches!(
        refusal(json!({"$or": []})),
        FilterError::Operand { .. }
    ));
    assert!(matches!(
        refusal(json!({"a..b": 1})),
        FilterError::Column(InvalidColumn::EmptyKey)
    ));
}

#[test]
fn a_filter_has_limits_in_every_direction() {
    let nested = (0..=MAX_DEPTH).fold(json!({"a": 1}), |inner, _| json!({"$or": [inner]}));
    let many: Vec<Value> = (0..=MAX_TESTS).map(|_| json!({})).collect();
    let listed: Vec<usize> = (0..=MAX_LISTED).collect();
    let patterns: Vec<Value> = (0..=MAX_PATTERNS)
        .map(|_| json!({"a": {"$regex": "x"}}))
        .collect();
    for filter in [
        nested,
        json!({"$or": many}),
        json!({"a": {"$in": listed}}),
        json!({"$and": patterns}),
    ] {
        assert!(matches!(refusal(filter), FilterError::TooMany { .. }));
    }
    assert_eq!(
        refusal(json!({"a": "x".repeat(MAX_BYTES)})),
        FilterError::TooLong
    );
}

#[test]
fn candidates_are_the_fewest_that_hold_every_match() {
    let candidates = |filter: Value| Filter::parse(&filter.to_string()).unwrap().candidates();
    let texts = |texts: &[&str]| {
        texts
            .iter()
            .map(|text| (*text).to_owned())
            .collect::<BTreeSet<_>>()
    };
    let some = |ids: &[&str], members: &[&str]| {
        Some(Candidates {
            ids: texts(ids),
            members: texts(members),
        })
    };
    assert_eq!(
        candidates(json!({"objectId": "c1", "m": "Tom"})),
        some(&["c1"], &[])
    );
    assert_eq!(
        candidates(json!({"objectId": {"$in": ["a", "b"]}})),
        some(&["a", "b"], &[])
    );
    assert_eq!(
        candidates(json!({"m": {"$all": ["Tom", "Jerry"], "$size": 2}})),
        some(&[], &["Jerry"])
    );
    assert_eq!(
        candidates(json!({"$or": [{"m": "Tom"}, {"objectId": "c1"}]})),
        some(&["c1"], &["Tom"])
    );
    assert_eq!(
        candidates(json!({"$or": [{"m": "Tom"}, {"name": "n"}]})),
        None
    );
    assert_eq!(candidates(json!({"m": {"$in": ["Tom", null]}})), None);
    assert_eq!(candidates(json!({"m": {"$ne": "Tom"}})), None);
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3..3_i64).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop_oneof![
            Just("Tom"),
            Just("c1"),
            Just("2020-01-01T00:00:00.000Z"),
            Just("")
        ]
        .prop_map(Value::from),
        Just(json!({"__type": "Date", "iso": "2020-01-01T00:00:00.000Z"})),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map("[ab0]", inner, 0..3)
                .prop_map(|map| Value::from(Map::from_iter(map))),
        ]
    })
}

fn any_row() -> impl Strategy<Value = Map<String, Value>> {
    let members = proptest::collection::vec(prop_oneof![Just("Tom"), Just("Jerry")], 0..3);
    (members, prop_oneof![Just("c1"), Just("c2")], any_value()).prop_map(|(members, id, a)| {
        Map::from_iter([
            ("m".to_owned(), json!(members)),
            ("objectId".to_owned(), json!(id)),
            ("a".to_owned(), a),
        ])
    })
}

fn any_filter() -> impl Strategy<Value = Value> {
    let column = prop_oneof![
        Just("m"),
        Just("objectId"),
        Just("a"),
        Just("a.b"),
        Just("a.0")
    ];
    let operator = prop_oneof![
        Just("$eq"),
        Just("$ne"),
        Just("$lt"),
        Just("$lte"),
        Just("$gt"),
        Just("$gte"),
        Just("$exists"),
        Just("$in"),
        Just("$nin"),
        Just("$all"),
        Just("$size"),
        Just("$regex"),
    ];
    let test = prop_oneof![
        (column.clone(), any_value()).prop_map(|(column, value)| json!({column: value})),
        (column, operator, any_value())
            .prop_map(|(column, operator, value)| { json!({column: {operator: value}}) }),
    ];
    test.prop_recursive(2, 8, 3, |inner| {
        let list = proptest::collection::vec(inner, 1..3);
        prop_oneof![
            list.clone().prop_map(|list| json!({"$or": list})),
            list.prop_map(|list| json!({"$and": list})),
        ]
    })
}

proptest! {
    #[test]
    fn any_text_is_a_filter_or_an_error(text in "(?s).{0,80}") {
        let _ = Filter::parse(&text);
    }

    #[test]
    fn any_json_is_a_filter_or_an_error_and_asking_it_never_panics(
        filter in prop_oneof![any_value(), any_filter()], row in any_row(),
    ) {
        if let Ok(filter) = Filter::parse(&filter.to_string()) {
            let _ = filter.matches(&row, &Steps::new(u64::MAX));
        }
    }

    #[test]
    fn every_match_is_among_the_candidates(filter in any_filter(), row in any_row()) {
        let Ok(filter) = Filter::parse(&filter.to_string()) else { return Ok(()) };
        let Some(candidates) = filter.candidates() else { return Ok(()) };
        if filter.matches(&row, &Steps::new(u64::MAX)) {
            let by_id = candidates.ids.contains(row["objectId"].as_str().unwrap());
            let members = row["m"].as_array().unwrap();
            let by_member = members.iter().any(|m| candidates.members.contains(m.as_str().unwrap()));
            prop_assert!(by_id || by_member, "{:?}", candidates);
        }
    }

    #[test]
    fn a_test_and_its_opposite_never_agree(value in any_value(), row in any_row()) {
        for (test, opposite) in [("$eq", "$ne"), ("$in", "$nin")] {
            let ask = |operator: &str| {
                Filter::parse(&json!({"a": {operator: value}}).to_string()).map(|f| f.matches(&row, &Steps::new(u64::MAX)))
            };
            if let (Ok(holds), Ok(fails)) = (ask(test), ask(opposite)) {
                prop_assert_ne!(holds, fails);
            }
        }
    }
}
