//! The state lanes of a conversation: its name and attributes, and its muting by this client. Their changes
//! coalesce, and no other entry waits for them.
//!
//! Each change sets a value, so it may be repeated.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{
    ConversationId, ConversationKind, ConversationState, Json, OutboxEntryId, OutboxState,
};
use crate::store::{
    ConversationNumber, ConversationRow, DetailsIntent, Entry, Intent, MuteIntent, StoreError,
};
use crate::sync::client::answer::Answer;
use crate::sync::client::incoming::membership::is_news;
use crate::sync::client::outgoing::requests::{ATTRIBUTES_DEPTH_MAX, fits};
use crate::sync::client::outgoing::sender::LaneKind;
use crate::sync::client::{Answered, Client, Purpose, Turn};
use crate::sync::link::RequestTag;
use crate::sync::request::{Done, RequestError, SetAttributes, SetMuted, SetName};
use crate::wire::{Command, Envelope, Op, iso, request};

impl Client {
    /// Changes the name of a conversation.
    pub(in crate::sync::client) fn set_name(
        &mut self,
        turn: &mut Turn<'_, '_>,
        call: SetName,
    ) -> Answered<Done> {
        let changes = DetailsIntent {
            name: Some(call.name),
            ..DetailsIntent::default()
        };
        self.change_details(turn, &call.conversation, changes)
    }

    /// Changes single attributes of a conversation: the keys of an object, where null removes one.
    pub(in crate::sync::client) fn set_attributes(
        &mut self,
        turn: &mut Turn<'_, '_>,
        call: SetAttributes,
    ) -> Answered<Done> {
        let attributes = match single_changes(&call.changes) {
            Ok(attributes) => attributes,
            Err(reason) => {
                let reason = reason.to_owned();
                return Ok(Err(RequestError::InvalidArgument { reason }));
            }
        };
        let changes = DetailsIntent {
            name: None,
            attributes,
        };
        self.change_details(turn, &call.conversation, changes)
    }

    fn change_details(
        &mut self,
        turn: &mut Turn<'_, '_>,
        conversation: &ConversationId,
        changes: DetailsIntent,
    ) -> Answered<Done> {
        let shown = match shown(turn, conversation)? {
            Ok(row) => row,
            Err(error) => return Ok(Err(error)),
        };
        if shown.kind == ConversationKind::Temporary {
            return Ok(Err(RequestError::NotPossible {
                obstacle: crate::Obstacle::KindDoesNotAllow,
            }));
        }
        if changes == DetailsIntent::default() {
            return Ok(Ok(Done));
        }
        let waiting = self.waiting(turn, conversation, LaneKind::Details)?;
        let mut all = match waiting.as_deref().map(|entry| &entry.intent) {
            Some(Intent::Details(earlier)) => earlier.clone(),
            _ => DetailsIntent::default(),
        };
        all.merge(changes);
        if let Err(error) = fits(self.size_of(command(&shown.id, &all))) {
            return Ok(Err(error));
        }
        self.put_state(turn, conversation, waiting, Intent::Details(all))
    }

    /// Mutes a conversation for this client, or unmutes it.
    pub(in crate::sync::client) fn set_muted(
        &mut self,
        turn: &mut Turn<'_, '_>,
        call: SetMuted,
    ) -> Answered<Done> {
        let SetMuted {
            conversation,
            muted,
        } = call;
        if let Err(error) = shown(turn, &conversation)? {
            return Ok(Err(error));
        }
        let waiting = self.waiting(turn, &conversation, LaneKind::Mute)?;
        self.put_state(
            turn,
            &conversation,
            waiting,
            Intent::Mute(MuteIntent { muted }),
        )
    }

    /// The entry of a state lane that waits or failed, and so can still be changed.
    fn waiting(
        &self,
        turn: &Turn<'_, '_>,
        conversation: &ConversationId,
        kind: LaneKind,
    ) -> Result<Option<Arc<Entry>>, StoreError> {
        let snapshot = turn.overlay.snapshot();
        let Some(number) = snapshot.number(conversation)? else {
            return Ok(None);
        };
        let mut entries = snapshot.outbox_of(number).into_iter().rev();
        Ok(entries.find(|entry| {
            LaneKind::of(&entry.intent) == Some(kind) && !self.sender.is_busy_with(entry.id)
        }))
    }

    /// Enqueues a state, in place of the waiting or failed one.
    fn put_state(
        &mut self,
        turn: &mut Turn<'_, '_>,
        conversation: &ConversationId,
        waiting: Option<Arc<Entry>>,
        intent: Intent,
    ) -> Answered<Done> {
        let Some(number) = turn.overlay.snapshot().number(conversation)? else {
            return Ok(Err(RequestError::UnknownConversation));
        };
        let Some(entry) = waiting else {
            if self.outbox_is_full(turn) {
                return Ok(Err(self.outbox_full()));
            }
            self.enqueue(turn, number, intent)?;
            return Ok(Ok(Done));
        };
        turn.overlay.update_entry(entry.id, |entry| {
            entry.intent = intent;
            entry.state = OutboxState::Queued;
            entry.tries = 0;
        });
        turn.overlay.intend();
        self.sender.add(&entry);
        Ok(Ok(Done))
    }

    /// Gives up the states that later ones of the same conversation set as well: two conversations
    /// became one, and each brought its own.
    ///
    /// A state that is in flight or failed stays as it is: the service may have the first, and the
    /// app decides about the second.
    pub(in crate::sync::client) fn give_up_overtaken_states(
        &mut self,
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
    ) {
        let mut later = DetailsIntent::default();
        let mut later_mute = false;
        let unsent = turn.overlay.snapshot().outbox_of(number);
        for entry in unsent.into_iter().rev() {
            if matches!(entry.state, OutboxState::Failed { .. }) {
                continue;
            }
            let waits = !self.sender.is_busy_with(entry.id);
            match &entry.intent {
                Intent::Details(changes) => {
                    let mut kept = changes.clone();
                    kept.leave_out(&later);
                    let mut all = changes.clone();
                    all.merge(std::mem::take(&mut later));
                    later = all;
                    if waits && kept != *changes {
                        self.keep_of_state(turn, &entry, kept);
                    }
                }
                Intent::Mute(_) => {
                    if waits && later_mute {
                        self.sender.remove(&entry);
                        turn.overlay.settle(entry.id);
                    }
                    later_mute = true;
                }
                _ => {}
            }
        }
    }

    /// Keeps a part of a state that waits; none of it ends the entry.
    fn keep_of_state(&mut self, turn: &mut Turn<'_, '_>, entry: &Entry, kept: DetailsIntent) {
        if kept == DetailsIntent::default() {
            self.sender.remove(entry);
            turn.overlay.settle(entry.id);
        } else {
            turn.overlay
                .update_entry(entry.id, |entry| entry.intent = Intent::Details(kept));
        }
    }

    /// Sends a state, once the service knows the conversation.
    pub(in crate::sync::client) fn dispatch_state(
        &mut self,
        turn: &mut Turn<'_, '_>,
        entry: &Entry,
    ) -> Result<(), StoreError> {
        let row = turn.overlay.snapshot().conversation(entry.conversation)?;
        let Some(row) = row.filter(|row| !row.id.is_local()) else {
            return Ok(());
        };
        if !self.paces.others.allows(turn.elapsed()) {
            return Ok(());
        }
        let command = match &entry.intent {
            Intent::Details(details) => command(&row.id, details),
            Intent::Mute(mute) => request::mute(&row.id, mute.muted),
            _ => return Ok(()),
        };
        self.paces.others.note(turn.elapsed());
        self.dispatch(turn, entry, command, Purpose::State(entry.id));
        Ok(())
    }

    pub(in crate::sync::client) fn state_answered(
        &mut self,
        turn: &mut Turn<'_, '_>,
        tag: RequestTag,
        id: OutboxEntryId,
        answer: Answer,
    ) -> Result<(), StoreError> {
        let Some(entry) = turn.overlay.snapshot().entry(id) else {
            return Ok(());
        };
        // A late answer may be to the entry's content before it was changed.
        if !self.sender.carries(tag, id) {
            return Ok(());
        }
        let Answer::Said(Envelope {
            command:
                Command::Conv {
                    op: Op::Updated,
                    body,
                },
            ..
        }) = &answer
        else {
            return self.not_sent(turn, tag, &entry, answer);
        };
        self.paces.others.answered();
        let changed_at = body.udate.as_deref().and_then(iso::parse);
        let me = self.settings.client.clone();
        turn.overlay
            .update_conversation(entry.conversation, |row| {
                // A later change by another device is asked for by its notification.
                if is_news(row, changed_at) {
                    entry.show_on_row(row, &me);
                }
                row.updated_at = row.updated_at.max(changed_at);
            })?;
        self.sender.remove(&entry);
        turn.overlay.settle(id);
        turn.overlay.intend();
        Ok(())
    }
}

fn command(conversation: &ConversationId, changes: &DetailsIntent) -> Command {
    request::details(conversation, changes.name.as_deref(), &changes.attributes)
}

/// A conversation whose details this client may change, as the app sees it.
fn shown(
    turn: &Turn<'_, '_>,
    conversation: &ConversationId,
) -> Result<Result<Arc<ConversationRow>, RequestError>, StoreError> {
    let snapshot = turn.overlay.snapshot();
    let Some(number) = snapshot.number(conversation)? else {
        return Ok(Err(RequestError::UnknownConversation));
    };
    Ok(match snapshot.shown_row(number)? {
        None => Err(RequestError::UnknownConversation),
        Some(row) if row.state == ConversationState::Left => Err(RequestError::NotPossible {
            obstacle: crate::Obstacle::ConversationLeft,
        }),
        Some(row) => Ok(row),
    })
}

/// The single changes that an object of an app asks for.
fn single_changes(changes: &Json) -> Result<BTreeMap<String, Option<Json>>, &'static str> {
    if !changes.fits_columns(ATTRIBUTES_DEPTH_MAX) {
        return Err("attributes: nested deeper than 31 levels, or an integer of over 64 bits");
    }
    let serde_json::Value::Object(object) = changes.to_value() else {
        return Err("attributes: not a JSON object");
    };
    let mut all = BTreeMap::new();
    for (key, value) in object {
        // The service takes a dot for a path, and a dollar sign for an operator.
        if !is_single_key(&key) {
            return Err("attributes: a key is empty, or has a dot or a dollar sign");
        }
        let operates = value.as_object().is_some_and(|it| it.contains_key("__op"));
        if operates {
            return Err("attributes: a value has the key __op, which is the service's");
        }
        let value = (!value.is_null()).then(|| Json::from_value(&value));
        all.insert(key, value);
    }
    Ok(all)
}

/// True if a text names one attribute and is no path or operator.
pub(super) fn is_single_key(key: &str) -> bool {
    !key.is_empty() && !key.contains(['.', '$'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_becomes_single_changes_and_null_removes() {
        let json = Json::parse(r#"{"a": 1, "b": null, "c": {"d": [2]}}"#).unwrap();
        let changes = single_changes(&json).unwrap();
        let texts: Vec<_> = changes
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_ref().map(Json::as_str)))
            .collect();
        assert_eq!(
            texts,
            [("a", Some("1")), ("b", None), ("c", Some(r#"{"d":[2]}"#))]
        );
    }

    #[test]
    fn what_the_service_would_take_for_something_else_is_refused() {
        for text in [
            "[1]",
            r#"{"a.b": 1}"#,
            r#"{"": 1}"#,
            r#"{"$set": 1}"#,
            r#"{"a": {"__op": "Delete"}}"#,
            r#"{"a": 99999999999999999999999}"#,
        ] {
            assert!(
                single_changes(&Json::parse(text).unwrap()).is_err(),
                "{text}"
            );
        }
    }

    #[test]
    fn later_changes_win_and_the_others_stay() {
        let changes = |text: &str| DetailsIntent {
            name: None,
            attributes: single_changes(&Json::parse(text).unwrap()).unwrap(),
        };
        let mut all = changes(r#"{"a": 1, "b": 2}"#);
        all.merge(changes(r#"{"b": null, "c": 3}"#));
        assert_eq!(all, changes(r#"{"a": 1, "b": null, "c": 3}"#));
        let mut row = ConversationRow::unknown(ConversationId::new("c").unwrap());
        row.attributes = Some(Json::parse(r#"{"b": 0, "d": 4}"#).unwrap());
        all.apply_to(&mut row);
        let expected = serde_json::json!({"a": 1, "c": 3, "d": 4});
        assert_eq!(row.attributes.unwrap().to_value(), expected);
    }
}
