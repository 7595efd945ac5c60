//! The chat in a terminal of `examples/tui`, without a terminal: what it shows after which keys.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent};
use sampan::Client;
use sampan::model::{
    ClientId, MediaFile, MediaSource, MessageContent, NewMedia, NewMessage, Timestamp,
};
use std::sync::Arc;

use crate::place::{Device, Place, id, in_time};
use crate::support::raw::RawConnection;
use crate::tui_screen::{App, Flow, draw};

/// A screen of 84 columns and 20 lines.
struct Screen {
    app: App,
    terminal: Terminal<TestBackend>,
}

fn plain(client: &ClientId) -> String {
    client.as_str().to_owned()
}

/// The service's clock and the device's are the same here.
fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "a test shows what is of today")]
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp::from_millis(i64::try_from(since.unwrap().as_millis()).unwrap())
}

impl Screen {
    async fn open(client: &Arc<Client>) -> Self {
        let mut app = App::open(Arc::clone(client), plain).await.unwrap();
        app.tick(now());
        let terminal = Terminal::new(TestBackend::new(84, 20)).unwrap();
        Self { app, terminal }
    }

    /// Draws, and gives the lines without what they end in.
    fn draw(&mut self) -> Vec<String> {
        let (app, mut shown) = (&self.app, None);
        self.terminal
            .draw(|frame| shown = draw(frame, app))
            .unwrap();
        self.app.drawn(shown);
        let buffer = self.terminal.backend().buffer();
        let lines = buffer.content.chunks(usize::from(buffer.area.width));
        let texts = lines.map(|cells| cells.iter().map(|cell| cell.symbol()).collect());
        texts
            .map(|line: String| without_times(line.trim_end()))
            .collect()
    }

    async fn press(&mut self, codes: &[KeyCode]) -> Flow {
        let mut flow = Flow::Continue;
        for code in codes {
            flow = self.app.key(KeyEvent::from(*code)).await;
            self.draw();
        }
        flow
    }

    async fn write(&mut self, text: &str) {
        let letters: Vec<_> = text.chars().map(KeyCode::Char).collect();
        self.press(&letters).await;
    }

    /// Takes news and draws until the screen is as wanted.
    async fn until(&mut self, what: &str, wanted: impl Fn(&[String]) -> bool) -> Vec<String> {
        let shown = crate::place::Shown::default();
        let search = async {
            loop {
                let lines = self.draw();
                shown.keep(format!("{lines:#?}"));
                if wanted(&lines) {
                    return lines;
                }
                assert!(self.app.changed().await.unwrap(), "the client is open");
            }
        };
        in_time(what, search).await
    }

    async fn shows(&mut self, text: &str) -> Vec<String> {
        let has = |lines: &[String]| lines.iter().any(|line| line.contains(text));
        self.until(text, has).await
    }
}

/// `09:41` reads `00:00`: the day goes on while the test runs.
fn without_times(line: &str) -> String {
    let mut letters: Vec<char> = line.chars().collect();
    for at in 2..letters.len().saturating_sub(2) {
        let digits = [at - 2, at - 1, at + 1, at + 2];
        let is_digit = |it: &usize| letters.get(*it).is_some_and(char::is_ascii_digit);
        if letters.get(at) == Some(&':') && digits.iter().all(is_digit) {
            for digit in digits {
                if let Some(letter) = letters.get_mut(digit) {
                    *letter = '0';
                }
            }
        }
    }
    letters.into_iter().collect()
}

/// Ben made a conversation with ann and says things there.
struct Talk {
    raw: RawConnection,
    ben: ClientId,
    id: sampan::model::ConversationId,
}

impl Talk {
    async fn begin(place: &Place, name: &str) -> Self {
        let (raw, ben) = place.raw("ben").await;
        let members = [ben.clone(), id("ann")];
        let talk = raw.start_conversation(&ben, &members, name).await.unwrap();
        Self { raw, ben, id: talk }
    }

    async fn say(&self, words: &str) {
        self.raw.say(&self.ben, &self.id, words).await.unwrap();
    }
}

#[tokio::test]
async fn the_screen_shows_badges_the_first_unread_message_and_how_far_own_ones_got() {
    let place = Place::new().await;
    let boats = Talk::begin(&place, "Boats").await;
    for words in ["the tide turns at nine", "bring the ropes"] {
        boats.say(words).await;
    }
    let ann = place.device("phone", "ann").await;
    let mut screen = Screen::open(&ann.client).await;
    assert!(screen.draw()[0].contains("offline: F4 goes online"));
    screen.press(&[KeyCode::F(4)]).await;
    screen.shows("2 unread").await;
    screen.shows("● online").await;
    let lines = screen.shows("bring the ropes").await;
    assert_eq!(
        lines[2],
        "│›Boats                       2││                                                  │"
    );
    assert_eq!(screen.press(&[KeyCode::Enter]).await, Flow::Continue);
    screen.shows("2 new").await;
    screen.write("I am on my way").await;
    screen.press(&[KeyCode::Enter]).await;
    let is_seen = |lines: &[String]| {
        let is_sent = lines.iter().any(|line| line.contains("I am on my way ✓"));
        // The last line names the keys.
        let (_, above) = lines.split_last().unwrap();
        is_sent && !above.iter().any(|line| line.contains('↓'))
    };
    let lines = screen.until("the message, sent and seen", is_seen).await;
    let talk: Vec<_> = lines[1..9].iter().map(|line| skipped(line, 32)).collect();
    let expected = [
        "┌ Boats ───────────────────────────────────────────┐",
        "│───────────────────── 2 new ──────────────────────│",
        "│───────────────────── today ──────────────────────│",
        "│ben                                               │",
        "│00:00 the tide turns at nine                      │",
        "│00:00 bring the ropes                             │",
        "│ann                                               │",
        "│00:00 I am on my way ✓                            │",
    ];
    assert_eq!(talk, expected);
    // The messages on the screen are read, and the mark stays.
    let lines = screen
        .until("no unread", |lines| !lines[0].contains("unread"))
        .await;
    assert!(lines.iter().any(|line| line.contains("2 new")));
    assert_eq!(
        screen.press(&[KeyCode::Esc, KeyCode::Esc]).await,
        Flow::Quit
    );
}

fn skipped(line: &str, count: usize) -> String {
    line.chars().skip(count).collect()
}

#[tokio::test]
async fn offline_what_is_written_waits_in_the_outbox_and_drafts_are_kept() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let (_first, _second) = (ann.talk_to("ben").await, ann.talk_to("cat").await);
    let mut screen = Screen::open(&ann.client).await;
    screen.shows("2 conversations").await;
    screen.press(&[KeyCode::Enter]).await;
    screen.write("hello").await;
    screen.press(&[KeyCode::Enter, KeyCode::F(3)]).await;
    let lines = screen.shows("send · ").await;
    let row = lines.iter().find(|line| line.contains("send · ")).unwrap();
    assert!(row.contains("◷ waits for the network"), "{row}");
    screen.shows("hello ◷ waits for the network").await;
    screen.shows("3 unsent: waits for the network").await;
    screen.write("not yet sent").await;
    screen.press(&[KeyCode::Down, KeyCode::Tab]).await;
    let lines = screen.draw();
    assert!(
        !lines.iter().any(|line| line.contains("not yet sent")),
        "{lines:#?}"
    );
    screen.press(&[KeyCode::Up, KeyCode::Tab]).await;
    screen.shows("> not yet sent").await;
    screen.press(&[KeyCode::F(4)]).await;
    screen.shows("everything is sent").await;
    screen.shows("hello ✓").await;
}

#[tokio::test]
async fn scrolling_up_pages_through_the_store_and_loads_what_is_missing() {
    let place = Place::new().await;
    let mut config = place.config("phone");
    config.limits.catch_up_max = 20;
    let ann = Device::open(config, "ann").await;
    let boats = Talk::begin(&place, "Boats").await;
    for line in 0..150 {
        boats.say(&format!("line {line}.")).await;
    }
    ann.go_online().await;
    let mut screen = Screen::open(&ann.client).await;
    screen.shows("line 149.").await;
    screen.press(&[KeyCode::Enter, KeyCode::End]).await;
    screen.shows("00:00 line 149.").await;
    let is_first = |lines: &[String]| lines.iter().any(|line| line.contains("00:00 line 0."));
    let climb = async {
        loop {
            let lines = screen.draw();
            if is_first(&lines) {
                return lines;
            }
            screen.press(&[KeyCode::PageUp]).await;
            let more =
                tokio::time::timeout(std::time::Duration::from_millis(20), screen.app.changed());
            let _ = more.await;
        }
    };
    let lines = in_time("the first message", climb).await;
    assert!(
        !lines.iter().any(|line| line.contains("missing")),
        "{lines:#?}"
    );
    // The live end is one key away, however far the user went.
    screen.press(&[KeyCode::End]).await;
    screen.shows("00:00 line 149.").await;
}

#[tokio::test]
async fn a_link_that_waits_counts_down_and_says_why() {
    let place = Place::new().await;
    let mut config = place.config("phone");
    config.server = sampan::ServerAddress::Router {
        url: "http://127.0.0.1:9".to_owned(),
    };
    let ann = Device::open(config, "ann").await;
    ann.client.go_online(None).unwrap();
    let mut screen = Screen::open(&ann.client).await;
    let lines = screen
        .shows("the service can't be reached: next try in")
        .await;
    assert!(screen.app.counts_down());
    let seconds = |lines: &[String]| -> i64 {
        let (_, rest) = lines[0].split_once("next try in ").unwrap();
        rest.split_once(" s").unwrap().0.parse().unwrap()
    };
    let before = seconds(&lines);
    screen
        .app
        .tick(now().saturating_add(std::time::Duration::from_secs(3600)));
    let link = screen.draw();
    assert_eq!((seconds(&link), before > 0), (0, true));
}

/// A file of any kind is a line with its name and measures.
#[tokio::test]
async fn a_picture_is_a_line_with_its_name_and_size() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let talk = ann.talk_to("ben").await;
    let picture = MediaFile {
        name: Some("boat.png".to_owned()),
        size: Some(18_032),
        width: Some(640),
        height: Some(480),
        ..MediaFile::at("https://files.invalid/boat.png")
    };
    let sound = MediaFile {
        duration: Some(12.4),
        ..MediaFile::at("https://files.invalid/a.mp3")
    };
    let picture = MessageContent::image(picture).with_caption("our boat");
    for content in [picture, MessageContent::audio(sound)] {
        talk.send(NewMessage::new(content)).await.unwrap();
    }
    let mut screen = Screen::open(&ann.client).await;
    screen.shows("›ben").await;
    screen.press(&[KeyCode::Enter]).await;
    screen
        .shows("[image boat.png, 640×480, 19 kB] our boat")
        .await;
    screen.shows("[audio 12 s]").await;
}

/// A file of a message is downloaded and saved under the name that its sender gave it, beside what is there.
#[tokio::test]
async fn a_picture_on_the_screen_is_saved() {
    let place = Place::new().await;
    let (ann, ben) = (
        place.online("phone", "ann").await,
        place.online("laptop", "ben").await,
    );
    let talk = ann.talk_to("ben").await;
    let picture = NewMedia {
        name: Some("../boat.png".to_owned()),
        caption: Some("our boat".to_owned()),
        ..NewMedia::new(MediaSource::Bytes {
            data: vec![7; 3000],
        })
    };
    talk.send_media(picture).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut screen = Screen::open(&ben.client).await;
    screen.app.folder = folder.path().to_owned();
    screen.shows("›ann").await;
    screen.press(&[KeyCode::Enter]).await;
    screen.shows("boat.png, 3 kB] our boat").await;
    for name in ["boat.png", "boat (1).png"] {
        screen.press(&[KeyCode::F(6)]).await;
        screen.shows("saved as").await;
        let saved = std::fs::read(folder.path().join(name)).unwrap();
        assert_eq!(saved, [7; 3000], "{name}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}
