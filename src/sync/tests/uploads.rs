//! Files that messages wait for.

use std::time::Duration;

use super::world::{Device, World};
use crate::model::{
    ConversationId, Details, Discarded, LocalId, MediaFile, MessageContent, MessageKey, NewMessage,
    OutboxEntryId,
};
use crate::store::{Upload, UploadStage};
use crate::sync::{
    DiscardMessage, EditMessage, Randomness, RecallMessage, RetryMessage, SendMedia, UploadError,
};

fn picture(caption: &str) -> MessageContent {
    MessageContent::Image {
        file: MediaFile {
            url: "sampan-spool:file".to_owned(),
            name: Some("x.png".to_owned()),
            size: Some(5),
            ..MediaFile::default()
        },
        caption: Some(caption.to_owned()),
        details: Details::default(),
    }
}

impl World {
    /// Puts a file into the device's spool and sends it.
    fn send_file(
        &mut self,
        device: Device,
        room: &ConversationId,
        file: &str,
        local_id: Option<&str>,
    ) -> (OutboxEntryId, MessageKey) {
        self.put_into_spool(device, file);
        let mut message = NewMessage::new(picture("look"));
        message.options.local_id = local_id.map(|id| LocalId::new(id).unwrap());
        let call = SendMedia {
            conversation: room.clone(),
            message,
            upload: Box::new(Upload {
                file: file.to_owned(),
                name: "x.png".to_owned(),
                mime: "image/png".to_owned(),
                bytes: 5,
                stage: UploadStage::Waiting,
            }),
        };
        let sent = self.ask(device, call).unwrap();
        (sent.entry.unwrap(), MessageKey::local(sent.local_id))
    }

    /// The payloads that the service has in a conversation, oldest first.
    fn said(&self, device: Device, room: &ConversationId) -> Vec<String> {
        let id = self.service_id(device, room);
        let messages = self.service.conversations[id.as_str()].messages.iter();
        messages.map(|it| it.text.clone()).collect()
    }
}

#[test]
fn a_message_waits_for_its_file_and_a_later_text_does_not() {
    let mut world = World::seeded(71);
    let [ann] = world.devices(["ann"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    for _ in 0..2 {
        let reason = "no route".to_owned();
        world
            .service
            .files
            .troubles
            .push_back(UploadError::Later { reason });
    }
    world.send_file(ann, &room, "one", None);
    world.say(ann, &room, "after it");
    world.moment();
    assert_eq!(world.said(ann, &room), ["after it"]);
    assert_eq!(world.spool(ann), ["one"]);
    world.settle();
    let said = world.said(ann, &room);
    let [_, sent] = &said[..] else {
        panic!("both are sent: {said:?}");
    };
    assert!(
        sent.contains("https://files/0") && sent.contains("look"),
        "{sent}"
    );
    assert!(world.service.files.is_confirmed("https://files/0"));
    assert!(world.spool(ann).is_empty(), "the copy is gone");
    assert!(world.outbox(ann).is_empty());
}

#[test]
fn an_upload_that_is_killed_at_any_point_ends_with_one_message_and_one_file() {
    for seed in 0..200 {
        let mut world = World::seeded(seed);
        let mut chance = Randomness::seeded(seed);
        let [ann] = world.devices(["ann"]);
        let room = world.create(ann, &["ben"]);
        world.settle();
        world.send_file(ann, &room, "one", None);
        for _ in 0..=chance.below(3) {
            for _ in 0..chance.below(25) {
                world.step();
            }
            world.crash(ann);
        }
        world.connect(ann);
        world.settle();
        assert_eq!(world.said(ann, &room).len(), 1, "seed {seed}");
        assert_eq!(world.service.files.stored(), 1, "seed {seed}");
        assert!(world.spool(ann).is_empty(), "seed {seed}");
        assert!(world.outbox(ann).is_empty(), "seed {seed}");
    }
}

#[test]
fn a_file_that_is_given_up_stops_its_upload_and_leaves_nothing() {
    let mut world = World::seeded(72);
    let [ann] = world.devices(["ann"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    let (_, message) = world.send_file(ann, &room, "one", None);
    let conversation = room.clone();
    let discarded = world
        .ask(
            ann,
            DiscardMessage {
                conversation,
                message,
            },
        )
        .unwrap();
    assert_eq!(discarded.discarded, Discarded::NeverSent);
    let (_, message) = world.send_file(ann, &room, "two", None);
    let conversation = room.clone();
    world
        .ask(
            ann,
            RecallMessage {
                conversation,
                message,
            },
        )
        .unwrap();
    world.settle();
    assert!(world.said(ann, &room).is_empty());
    assert_eq!(world.service.files.stored(), 0);
    assert_eq!(world.stopped_uploads(ann), 2);
    assert!(world.spool(ann).is_empty() && world.outbox(ann).is_empty());
}

#[test]
fn a_refused_file_fails_with_the_reason_and_goes_when_the_app_tries_again() {
    let mut world = World::seeded(73);
    let [ann] = world.devices(["ann"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    world
        .service
        .files
        .troubles
        .push_back(UploadError::Refused {
            status: 413,
            code: Some(154),
            reason: "too large".to_owned(),
        });
    let (_, message) = world.send_file(ann, &room, "one", None);
    world.settle();
    let failed = world.outbox(ann);
    assert!(
        failed[0].contains("NotUploaded") && failed[0].contains("413"),
        "{failed:?}"
    );
    assert_eq!(world.spool(ann), ["one"], "the copy stays for another try");
    let conversation = room.clone();
    world
        .ask(
            ann,
            RetryMessage {
                conversation,
                message,
            },
        )
        .unwrap();
    world.settle();
    assert_eq!(world.said(ann, &room).len(), 1);
    assert!(world.spool(ann).is_empty());
}

#[test]
fn a_ticket_that_is_refused_is_replaced_and_what_is_never_reached_fails_at_last() {
    let mut world = World::seeded(74);
    let [ann] = world.devices(["ann"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    let (status, reason) = (403, "expired".to_owned());
    world.send_file(ann, &room, "one", None);
    while world.service.files.files.is_empty() {
        world.step();
    }
    let refused = UploadError::TicketRefused { status, reason };
    world.service.files.troubles.push_back(refused);
    world.settle();
    assert_eq!(world.service.files.files.len(), 2, "two tickets");
    assert_eq!(world.service.files.stored(), 1, "one file");
    assert_eq!(world.said(ann, &room).len(), 1);
    for _ in 0..8 {
        let reason = "no route".to_owned();
        world
            .service
            .files
            .troubles
            .push_back(UploadError::Later { reason });
    }
    world.send_file(ann, &room, "two", None);
    world.settle();
    world.settle();
    let failed = world.outbox(ann);
    assert!(failed[0].contains("Unreachable { tries: 8"), "{failed:?}");
}

#[test]
fn a_storage_that_takes_no_ticket_ends_the_upload_at_last() {
    let mut world = World::seeded(77);
    let [ann] = world.devices(["ann"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    world.service.files.refuses_tickets = true;
    let (_, message) = world.send_file(ann, &room, "one", None);
    world.settle();
    let failed = world.outbox(ann);
    assert!(failed[0].contains("Unreachable { tries: 8"), "{failed:?}");
    assert_eq!(world.service.files.files.len(), 8, "a ticket for each try");
    world.service.files.refuses_tickets = false;
    let conversation = room.clone();
    let retry = RetryMessage {
        conversation,
        message,
    };
    world.ask(ann, retry).unwrap();
    world.settle();
    assert_eq!(world.said(ann, &room).len(), 1);
}

impl World {
    /// Has so many steps of uploads end without a result.
    fn hold_uploads_up(&mut self, steps: usize) {
        let trouble = || UploadError::Later {
            reason: "no route".to_owned(),
        };
        let troubles = std::iter::repeat_with(trouble).take(steps);
        self.service.files.troubles.extend(troubles);
    }
}

#[test]
fn tries_of_an_upload_begin_anew_when_its_bytes_have_arrived() {
    let mut world = World::seeded(82);
    let [ann] = world.devices(["ann"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    world.hold_uploads_up(5);
    world.send_file(ann, &room, "one", None);
    while world.service.files.stored() == 0 {
        assert!(world.step(), "the bytes arrive");
    }
    world.hold_uploads_up(5);
    world.settle();
    assert!(world.service.files.troubles.is_empty(), "all were met");
    assert_eq!(world.said(ann, &room).len(), 1);
}

/// The time in which five tries of an upload bring nothing.
const FIVE_TRIES: Duration = Duration::from_secs(45);

#[test]
fn tries_on_a_connection_that_proves_to_be_broken_are_taken_back() {
    let mut world = World::seeded(83);
    let [ann] = world.devices(["ann"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    world.hold_uploads_up(1_000);
    world.send_file(ann, &room, "one", None);
    for round in 1..=3 {
        world.pass(FIVE_TRIES);
        world.cut(ann);
        world.moment();
        // The try right after the service came back counts.
        let entries = world.store(ann).snapshot().outbox();
        assert!(entries[0].tries <= round, "{:?}", entries[0]);
    }
    assert_eq!(world.outbox(ann), ["Send queued"]);
    world.service.files.troubles.clear();
    world.settle();
    assert_eq!(world.said(ann, &room).len(), 1);
}

#[test]
fn tries_before_the_service_was_heard_count_although_the_connection_breaks_later() {
    let mut world = World::seeded(84);
    let [ann] = world.devices(["ann"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    world.hold_uploads_up(8);
    world.send_file(ann, &room, "one", None);
    world.pass(FIVE_TRIES);
    let id = world.service_id(ann, &room);
    world.post(&id, "ben", "still here");
    world.moment();
    world.cut(ann);
    world.settle();
    let failed = world.outbox(ann);
    assert!(failed[0].contains("Unreachable { tries: 8"), "{failed:?}");
}

#[test]
fn an_edit_while_it_uploads_changes_the_words_or_takes_the_file_away() {
    let mut world = World::seeded(75);
    let [ann] = world.devices(["ann"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    let (_, message) = world.send_file(ann, &room, "one", None);
    let edit = |world: &mut World, message: MessageKey, content| {
        let conversation = room.clone();
        let call = EditMessage {
            conversation,
            message,
            content,
        };
        world.ask(ann, call).unwrap();
    };
    edit(&mut world, message, picture("see"));
    let (_, message) = world.send_file(ann, &room, "two", None);
    edit(&mut world, message, MessageContent::text("no picture"));
    world.settle();
    let texts = world.said(ann, &room);
    assert_eq!(texts.len(), 2);
    assert!(
        texts[0].contains("no picture") && !texts[0].contains("_lcfile"),
        "{texts:?}"
    );
    assert!(
        texts[1].contains("see") && texts[1].contains("https://files/"),
        "{texts:?}"
    );
    assert!(world.spool(ann).is_empty());
}

#[test]
fn the_same_local_id_again_sends_one_file_and_drops_the_other_copy() {
    let mut world = World::seeded(76);
    let [ann] = world.devices(["ann"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    let first = world.send_file(ann, &room, "one", Some("mine"));
    let second = world.send_file(ann, &room, "two", Some("mine"));
    assert_eq!(first, second);
    assert_eq!(world.spool(ann), ["one"]);
    world.pass(Duration::from_secs(60));
    assert_eq!(world.said(ann, &room).len(), 1);
    assert_eq!(world.service.files.stored(), 1);
}

#[test]
fn two_files_are_on_their_way_at_a_time_and_all_arrive() {
    let mut world = World::seeded(78);
    let [ann] = world.devices(["ann"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    for file in ["a", "b", "c", "d", "e"] {
        world.send_file(ann, &room, file, None);
    }
    let mut most = world.uploads_under_way();
    while world.said(ann, &room).len() < 5 {
        assert!(world.step(), "all of them arrive");
        most = most.max(world.uploads_under_way());
    }
    assert_eq!(most, 2);
}

/// A message that was taken at the call is not too long once its file has an address.
#[test]
fn the_longest_words_beside_a_file_that_a_call_takes_are_sent() {
    let mut world = World::seeded(80);
    let [ann] = world.devices(["ann"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    world.service.files.url_bytes = 256;
    let mut send = |length: usize| {
        let file = format!("file{length}");
        world.put_into_spool(ann, &file);
        let call = SendMedia {
            conversation: room.clone(),
            message: NewMessage::new(picture(&"w".repeat(length))),
            upload: Box::new(Upload {
                file,
                name: "x.png".to_owned(),
                mime: "image/png".to_owned(),
                bytes: 5,
                stage: UploadStage::Waiting,
            }),
        };
        world.ask(ann, call).is_ok()
    };
    let (mut fits, mut does_not) = (1, 5_200);
    assert!(!send(does_not));
    while does_not - fits > 1 {
        let length = fits.midpoint(does_not);
        match send(length) {
            true => fits = length,
            false => does_not = length,
        }
    }
    world.settle();
    assert!(world.outbox(ann).is_empty(), "{:?}", world.outbox(ann));
    let longest = "w".repeat(fits);
    assert!(
        world
            .said(ann, &room)
            .iter()
            .any(|it| it.contains(&longest))
    );
}

#[test]
fn an_edit_to_a_file_that_is_elsewhere_stops_the_upload_and_keeps_its_address() {
    let mut world = World::seeded(81);
    let [ann] = world.devices(["ann"]);
    let room = world.create(ann, &["ben"]);
    world.settle();
    let (_, message) = world.send_file(ann, &room, "one", None);
    assert_eq!(world.uploads_under_way(), 1);
    let mut content = picture("see");
    content.media_mut().unwrap().url = "https://elsewhere/x.png".to_owned();
    let conversation = room.clone();
    let edit = EditMessage {
        conversation,
        message,
        content,
    };
    world.ask(ann, edit).unwrap();
    assert_eq!(world.stopped_uploads(ann), 1);
    world.settle();
    let said = world.said(ann, &room);
    assert!(
        said.len() == 1 && said[0].contains("https://elsewhere/x.png"),
        "{said:?}"
    );
    assert!(world.spool(ann).is_empty() && world.outbox(ann).is_empty());
}
