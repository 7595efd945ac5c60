//! Attributes of a conversation: any JSON, single keys, and changes by their present value.

use sampan::SampanError;
use sampan::model::{AttributeChange, Json, NewConversation, Uniqueness};

use crate::place::{Place, id};

fn json(text: &str) -> Json {
    Json::parse(text).unwrap()
}

/// S071, S077: members count together without losing a step, lists grow and shrink, and any JSON is kept; without the
/// service the change is refused at once and nothing waits.
#[tokio::test]
async fn an_attribute_is_changed_by_its_present_value_and_members_count_together() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let ben = place.online("laptop", "ben").await;
    let wanted = NewConversation {
        members: vec![id("ben")],
        attributes: Some(json(r#"{"deep": {"any": [1, null, "x"]}}"#)),
        uniqueness: Uniqueness::Separate,
        ..NewConversation::default()
    };
    let talk = ann.client.create_conversation(wanted).await.unwrap();
    let talk = talk.conversation;
    let talk_id = ann.service_id(&talk).await;
    let his = ben.client.fetch_conversation(talk_id).await.unwrap();
    let up = || AttributeChange::Increment { amount: 2 };
    let (one, two) = tokio::join!(
        talk.change_attribute("count".into(), up()),
        his.change_attribute("count".into(), up())
    );
    let mut counts = [one.unwrap(), two.unwrap()].map(|it| it.unwrap().as_str().to_owned());
    counts.sort();
    assert_eq!(counts, ["2", "4"]);
    let values = |texts: &[&str]| texts.iter().map(|text| json(text)).collect::<Vec<_>>();
    for (change, expected) in [
        (
            AttributeChange::Append {
                values: values(&["1", "2", "1"]),
            },
            "[1,2,1]",
        ),
        (
            AttributeChange::AppendMissing {
                values: values(&["2", "3"]),
            },
            "[1,2,1,3]",
        ),
        (
            AttributeChange::TakeOut {
                values: values(&["1"]),
            },
            "[2,3]",
        ),
    ] {
        let now = talk.change_attribute("list".into(), change).await.unwrap();
        assert_eq!(now.unwrap().as_str(), expected);
    }
    let expected = json(r#"{"count": 4, "deep": {"any": [1, null, "x"]}, "list": [2, 3]}"#);
    for (device, talk) in [(&ann, &talk), (&ben, &his)] {
        device
            .until("the attributes", || async {
                let attributes = talk.info().await.ok()?.attributes?;
                (attributes.to_value() == expected.to_value()).then_some(())
            })
            .await;
    }
    for wrong in ["", "a.b", "$a"] {
        let refused = talk.change_attribute(wrong.into(), up()).await;
        assert!(matches!(refused, Err(SampanError::InvalidArgument { .. })));
    }
    ann.client.go_offline().unwrap();
    let refused = talk.change_attribute("count".into(), up()).await;
    assert!(matches!(refused, Err(SampanError::NotConnected)));
    assert!(ann.client.outbox().await.unwrap().is_empty());
}
