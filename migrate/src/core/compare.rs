//! Several readings of one message: the valid content, and the change between the readings. A page of history
//! has no mark of an edit, so only a later reading shows one.

use std::collections::BTreeMap;

use super::row::Row;

/// A reading, as far as comparing goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The message.
    pub row: Row,
    /// The pass that read it.
    pub pass: u32,
    /// The time of the answer that the reading is from.
    pub as_of: i64,
}

/// A finished reading of the whole app's history: a message that it does not have was not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Complete {
    /// The pass.
    pub pass: u32,
    /// The first millisecond that the pass read. Nothing can be told of messages behind the oldest row that it
    /// found, or older than the service keeps.
    pub older: i64,
    /// The first millisecond that the pass did not read.
    pub newer: i64,
    /// The time at which the pass was begun.
    pub started_at: i64,
}

/// The change of a message between two readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// A later reading has other content.
    Edited,
    /// A later reading says that it was recalled.
    Recalled,
    /// A later, complete reading does not have it.
    Deleted,
}

/// A message as the archive knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Merged {
    /// The reading that counts.
    pub latest: Seen,
    /// The change of the message.
    pub change: Option<Change>,
}

/// Joins the readings of one millisecond into messages, in the order of their conversations and ids.
/// The order of the readings does not matter, and a reading that comes twice counts once.
#[must_use]
pub fn merge(readings: impl IntoIterator<Item = Seen>, complete: &[Complete]) -> Vec<Merged> {
    let mut messages: BTreeMap<_, Vec<Seen>> = BTreeMap::new();
    for seen in readings {
        let Row {
            conversation,
            id,
            reader,
            ..
        } = &seen.row;
        let key = (conversation.clone(), id.clone(), reader.clone());
        messages.entry(key).or_default().push(seen);
    }
    messages
        .into_values()
        .filter_map(|seen| merged(seen, complete))
        .collect()
}

fn merged(mut seen: Vec<Seen>, complete: &[Complete]) -> Option<Merged> {
    seen.sort_by(|a, b| (a.as_of, a.pass, &a.row.raw).cmp(&(b.as_of, b.pass, &b.row.raw)));
    let differs = seen.windows(2).any(|pair| match pair {
        [a, b] => a.row.data != b.row.data,
        _ => false,
    });
    let latest = seen.pop()?;
    // A reading of the whole app says nothing of messages that one client alone sees.
    let is_everybodys = latest.row.reader.is_none();
    let is_gone = is_everybodys
        && complete.iter().any(|pass| {
            let (at, newest) = (latest.row.at, latest.pass);
            let has = seen.iter().any(|one| one.pass == pass.pass);
            // An earlier pass read the message; this later one covers its time and did not find the message.
            !has && pass.pass > newest
                && pass.started_at > latest.as_of
                && pass.older <= at
                && at < pass.newer
        });
    let change = match (is_gone, latest.row.is_recalled(), differs) {
        (true, _, _) => Some(Change::Deleted),
        (_, true, _) => Some(Change::Recalled),
        (_, _, true) => Some(Change::Edited),
        _ => None,
    };
    Some(Merged { latest, change })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seen(id: &str, data: &str, pass: u32) -> Seen {
        let data = serde_json::Value::from(data);
        let raw = format!(r#"{{"timestamp":50,"msg-id":"{id}","to":"c","data":{data}}}"#);
        Seen {
            row: Row::read(&raw).unwrap(),
            pass,
            as_of: i64::from(pass) * 100,
        }
    }

    fn complete(pass: u32, older: i64) -> Complete {
        Complete {
            pass,
            older,
            newer: 90,
            started_at: i64::from(pass) * 100,
        }
    }

    #[test]
    fn the_later_reading_counts_and_shows_the_edit() {
        let found = merge([seen("a", "new", 2), seen("a", "old", 1)], &[]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].latest.row.data.as_deref(), Some("new"));
        assert_eq!(found[0].change, Some(Change::Edited));
    }

    #[test]
    fn a_recall_is_told_from_an_edit() {
        let found = merge(
            [seen("a", "old", 1), seen("a", r#"{"_lctype":-127}"#, 2)],
            &[],
        );
        assert_eq!(found[0].change, Some(Change::Recalled));
    }

    #[test]
    fn a_message_that_a_complete_later_pass_lacks_was_deleted() {
        let change = |passes: &[Complete]| merge([seen("a", "x", 1)], passes)[0].change;
        assert_eq!(
            change(&[complete(1, 0), complete(2, 0)]),
            Some(Change::Deleted)
        );
        assert_eq!(change(&[complete(2, 51)]), None, "its time was not covered");
        assert_eq!(change(&[complete(1, 0)]), None, "no later pass");
    }

    #[test]
    fn one_id_in_two_conversations_is_two_messages() {
        let mut other = seen("a", "x", 1);
        other.row.conversation = "d".into();
        assert_eq!(merge([seen("a", "x", 1), other], &[]).len(), 2);
    }

    #[test]
    fn a_message_that_one_client_alone_sees_is_not_missed_by_a_reading_of_the_app() {
        let mut one = seen("a", "x", 1);
        one.row = one.row.seen_by("s".into(), "ann".into());
        let mut two = seen("a", "x", 1);
        two.row = two.row.seen_by("s".into(), "ben".into());
        let found = merge([one, two], &[complete(1, 0), complete(2, 0)]);
        let changes: Vec<_> = found
            .iter()
            .map(|it| (it.latest.row.reader.as_deref(), it.change))
            .collect();
        assert_eq!(changes, [(Some("ann"), None), (Some("ben"), None)]);
    }

    proptest! {
        #[test]
        fn the_order_and_number_of_readings_do_not_matter(
            picks in proptest::collection::vec((0_usize..3, 0_usize..3, 1_u32..4), 1..12),
            turn in 0_usize..12,
        ) {
            let words = ["x", "y", r#"{"_lctype":-127}"#];
            let readings: Vec<Seen> =
                picks.iter().map(|(id, data, pass)| seen(["a", "b", "c"][*id], words[*data], *pass)).collect();
            let passes = [complete(1, 0), complete(3, 0)];
            let expected = merge(readings.clone(), &passes);
            let mut turned = readings.clone();
            turned.rotate_left(turn % readings.len());
            turned.extend(readings);
            prop_assert_eq!(merge(turned, &passes), expected);
        }
    }
}
