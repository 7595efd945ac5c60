//! A store of a real run, damaged: the app starts and is told, unsent work is kept and sent once,
//! the chat goes on, and history is whole again, from the files or from the service.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sampan::model::{ClientId, ConversationId, StoreHealth};
use sampan::{Conversation, Loss, PageItem};
use tokio::time::timeout;

use crate::place::{Device, PATIENCE, Place, id, line};
use crate::support::raw::RawConnection;

/// The number of lines that are said before the damage.
const LINES: usize = 45;

const UNSENT: [&str; 3] = ["unsent 0", "unsent 1", "unsent 2"];

/// The seeds of the random cases; the long run sets `SAMPAN_TORTURE_ROUNDS`, and `SAMPAN_TORTURE_FROM`.
fn seeds() -> std::ops::Range<u64> {
    let number = |name| {
        std::env::var(name)
            .ok()
            .and_then(|value| value.parse().ok())
    };
    let from = number("SAMPAN_TORTURE_FROM").unwrap_or(0);
    from..from + number("SAMPAN_TORTURE_ROUNDS").unwrap_or(16)
}

/// Chance from a seed.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> usize {
        usize::try_from(sampan::splitmix::next(&mut self.0) >> 8).unwrap()
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}

/// The kinds of damage to a file.
#[derive(Clone, Copy, Debug)]
enum Way {
    FlipFirst,
    FlipSomewhere,
    FlipMany,
    Zero,
    Garbage,
    Truncate,
    Empty,
    Delete,
    Append,
    /// The file of the same name from another client's store.
    Foreign,
    /// A folder in the file's place.
    Folder,
}

const WAYS: [Way; 11] = [
    Way::FlipFirst,
    Way::FlipSomewhere,
    Way::FlipMany,
    Way::Zero,
    Way::Garbage,
    Way::Truncate,
    Way::Empty,
    Way::Delete,
    Way::Append,
    Way::Foreign,
    Way::Folder,
];

fn spoil(file: &Path, way: Way, foreign: &Path, dice: &mut Dice) {
    let mut bytes = fs::read(file).unwrap();
    let at = dice.next() % bytes.len().max(1);
    match way {
        Way::FlipFirst => bytes.iter_mut().take(1).for_each(|byte| *byte = !*byte),
        Way::FlipSomewhere => bytes
            .iter_mut()
            .skip(at)
            .take(1)
            .for_each(|byte| *byte ^= 0x10),
        Way::FlipMany => bytes
            .iter_mut()
            .skip(at)
            .take(64)
            .for_each(|byte| *byte = dice.byte()),
        Way::Zero => bytes.fill(0),
        Way::Garbage => bytes.iter_mut().for_each(|byte| *byte = dice.byte()),
        Way::Truncate => bytes.truncate(at),
        Way::Empty => bytes.clear(),
        Way::Delete => return fs::remove_file(file).unwrap(),
        Way::Append => bytes.extend((0..1000).map(|_| dice.byte())),
        Way::Foreign => bytes = fs::read(foreign).unwrap_or_default(),
        Way::Folder => {
            fs::remove_file(file).unwrap();
            return fs::create_dir(file).unwrap();
        }
    }
    fs::write(file, bytes).unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(path, target).unwrap();
        }
    }
}

/// Every file below a folder, by its path from there.
fn files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(root).unwrap().to_path_buf());
            }
        }
    }
    found.sort();
    found
}

/// The one folder of a store under a root.
fn store_under(root: &Path) -> PathBuf {
    let mut entries = fs::read_dir(root).unwrap();
    entries.next().unwrap().unwrap().path()
}

/// A conversation between ann, whose stores get damaged, and ben.
struct Scene {
    place: Place,
    ben: (RawConnection, ClientId),
    talk: ConversationId,
    /// ann's store, closed in good order, with unsent work.
    closed: PathBuf,
    /// The same a moment before: as a kill would have left it.
    killed: PathBuf,
    /// Another client's store.
    foreign: PathBuf,
    /// Everything that was said and arrived, oldest first; ann's unsent work comes behind it.
    said: Vec<String>,
}

impl Scene {
    async fn new() -> Self {
        let place = Place::new().await;
        let ben = place.raw("ben").await;
        let (raw, ben_id) = (&ben.0, &ben.1);
        let members = [ben_id.clone(), id("ann")];
        let talk = raw
            .start_conversation(ben_id, &members, "long")
            .await
            .unwrap();
        let ann = place.online("phone", "ann").await;
        let mut said = Vec::new();
        for number in 0..LINES {
            let words = format!("line {number}");
            raw.say(ben_id, &talk, &words).await.unwrap();
            said.push(format!("ben: {words}"));
        }
        let lines: Vec<&str> = said.iter().map(String::as_str).collect();
        ann.until("every line", || async {
            let held = ann.lines(&talk).await.ok()?;
            held.ends_with(
                &lines
                    .iter()
                    .map(|line| (*line).to_owned())
                    .collect::<Vec<_>>(),
            )
            .then_some(())
        })
        .await;
        ann.client.go_offline().unwrap();
        let conversation = ann.client.conversation(talk.clone()).unwrap();
        for words in UNSENT {
            conversation
                .send_text(words.to_owned(), None)
                .await
                .unwrap();
        }
        let root = place.folder.path();
        let (phone, killed) = (root.join("phone"), root.join("killed"));
        copy(&phone, &killed);
        ann.engine.shutdown().await.unwrap();
        let stranger = place.online("stranger", "eve").await;
        stranger.talk_to("ben").await;
        stranger.engine.shutdown().await.unwrap();
        let foreign = store_under(&root.join("stranger"));
        Self {
            ben,
            talk,
            closed: phone,
            killed,
            foreign,
            said,
            place,
        }
    }

    /// A damaged copy of one of the stores; gives the root, and what was done.
    fn damaged(
        &self,
        name: &str,
        source: &Path,
        way: Way,
        file: &Path,
        dice: &mut Dice,
    ) -> PathBuf {
        let root = self.place.folder.path().join(name);
        copy(source, &root);
        let folder = store_under(&root);
        spoil(&folder.join(file), way, &self.foreign.join(file), dice);
        root
    }

    /// Opens a damaged store: ann sees her unsent work and can write.
    async fn opened(&self, root: &Path, what: &str) -> Device {
        let mut config = self.place.config("unused");
        config.store_root = root.to_path_buf();
        let opening = timeout(PATIENCE, Device::open(config, "ann"));
        let ann = opening.await.unwrap_or_else(|_| panic!("{what}: hangs"));
        assert_eq!(ann.client.store_health(), StoreHealth::Good, "{what}");
        let unsent = ann.client.outbox().await.unwrap();
        assert_eq!(unsent.len(), UNSENT.len(), "{what}: unsent work is lost");
        let conversation = ann.client.conversation(self.talk.clone());
        let conversation = conversation.unwrap_or_else(|error| panic!("{what}: {error}"));
        let page = conversation.page(None, 500).await;
        let page = page.unwrap_or_else(|error| panic!("{what}: {error}"));
        let shown: Vec<String> = page
            .items
            .iter()
            .filter_map(|it| it.message())
            .map(line)
            .collect();
        let echoes = UNSENT.map(|words| format!("ann: {words} (pending)"));
        assert!(shown.ends_with(&echoes), "{what}: {shown:?}");
        let mut expected = self.said.iter();
        for shown in shown.iter().take(shown.len() - echoes.len()) {
            assert!(
                expected.any(|said| said == shown),
                "{what}: {shown} was not said"
            );
        }
        ann
    }

    /// Goes online and chats: unsent work arrives once, and history becomes whole.
    async fn chats_on(&mut self, ann: &Device, case: u64, what: &str) {
        ann.go_online().await;
        ann.has_sent_everything().await;
        let conversation = ann.client.conversation(self.talk.clone()).unwrap();
        let ours = format!("ann goes on {case}");
        conversation.send_text(ours.clone(), None).await.unwrap();
        ann.has_sent_everything().await;
        let theirs = format!("ben goes on {case}");
        self.ben
            .0
            .say(&self.ben.1, &self.talk, &theirs)
            .await
            .unwrap();
        if case == 0 {
            self.said
                .extend(UNSENT.map(|words| format!("ann: {words}")));
        }
        self.said.push(format!("ann: {ours}"));
        self.said.push(format!("ben: {theirs}"));
        ann.until(&format!("{what}: the whole history"), || async {
            (history(&conversation).await? == self.said).then_some(())
        })
        .await;
        let theirs = self.said.iter().filter(|line| line.starts_with("ben: "));
        let unread = u32::try_from(theirs.count()).unwrap().min(100);
        ann.until(&format!("{what}: {unread} unread"), || async {
            let told = conversation.info().await.ok()?.unread;
            (told.count >= unread).then_some(())
        })
        .await;
    }
}

/// The timeline, once no gap is left in it; asks for what is missing.
async fn history(conversation: &Arc<Conversation>) -> Option<Vec<String>> {
    if !conversation.fetch_older(100).await.ok()?.start_reached {
        return None;
    }
    let page = conversation.page(None, 500).await.ok()?;
    let mut lines = Vec::new();
    for item in page.items {
        match item {
            PageItem::Message { message, .. } | PageItem::Echo { message, .. } => {
                lines.push(line(&message));
            }
            PageItem::Gap { gap } => {
                conversation.fetch_gap(gap, 100).await.ok()?;
                return None;
            }
        }
    }
    Some(lines)
}

/// Each file of the store, damaged in each way: it opens, unsent work is there, nothing wrong is
/// shown, and what is gone for good is told.
#[tokio::test]
async fn whatever_happens_to_a_file_the_app_starts_with_its_unsent_work() {
    let scene = Scene::new().await;
    let mut dice = Dice(1);
    let mut reports = 0;
    for file in files(&store_under(&scene.closed)) {
        for way in WAYS {
            let what = format!("{way:?} {}", file.display());
            let name = format!("{way:?}-{}", file.display()).replace(['/', '\\'], "-");
            let root = scene.damaged(&name, &scene.closed, way, &file, &mut dice);
            let ann = scene.opened(&root, &what).await;
            let told = ann.client.open_report().found_damage;
            reports += usize::from(told);
            let gone = matches!(way, Way::Zero | Way::Garbage | Way::Empty | Way::Delete);
            assert!(
                told || !(gone && file.ends_with("db/db")),
                "{what}: not told"
            );
            ann.engine.shutdown().await.unwrap();
            fs::remove_dir_all(root).unwrap();
        }
    }
    println!("torture engine, each file: {reports} reports of damage");
}

/// D04: random damage, and then the network: unsent work arrives once, history and counts come back.
#[tokio::test]
async fn after_damage_the_chat_goes_on_and_history_comes_back_from_the_service() {
    let mut scene = Scene::new().await;
    let mut reports = 0;
    let seeds = seeds();
    let many = seeds.end - seeds.start;
    for (number, seed) in (0..).zip(seeds) {
        // A page holds so many lines, and each case says two more.
        let case: u64 = number % 200;
        if case == 0 && number > 0 {
            scene = Scene::new().await;
        }
        let mut dice = Dice(seed);
        let source = if seed % 2 == 0 {
            &scene.closed
        } else {
            &scene.killed
        }
        .clone();
        let names = files(&store_under(&source));
        // Half the cases spoil the tree; of a killed run the journal must stay whole, for it alone
        // holds the promises.
        let of_tree: Vec<_> = names.iter().filter(|name| name.starts_with("db")).collect();
        let file = if seed % 2 == 1 || dice.next().is_multiple_of(2) {
            of_tree[dice.next() % of_tree.len()].clone()
        } else {
            names[dice.next() % names.len()].clone()
        };
        let way = WAYS[dice.next() % WAYS.len()];
        let what = format!("seed {seed}, {way:?} {}", file.display());
        let root = scene.damaged(&format!("case-{seed}"), &source, way, &file, &mut dice);
        let ann = scene.opened(&root, &what).await;
        reports += usize::from(ann.client.open_report().found_damage);
        scene.chats_on(&ann, case, &what).await;
        ann.engine.shutdown().await.unwrap();
        fs::remove_dir_all(root).unwrap();
    }
    println!("torture engine: {many} cases, 0 wrong; {reports} reports of damage");
}

/// Folders as hands and backups leave them.
#[tokio::test]
async fn a_folder_with_parts_missing_or_in_the_way_opens() {
    let scene = Scene::new().await;
    let root = scene.place.folder.path();
    let case = |name: &str, change: &dyn Fn(&Path)| {
        let root = root.join(name);
        copy(&scene.closed, &root);
        change(&store_under(&root));
        root
    };
    let no_tree = case("no-tree", &|store| {
        fs::remove_dir_all(store.join("db")).unwrap()
    });
    let no_journal = case("no-journal", &|store| {
        let _ = fs::remove_file(store.join("journal.0"));
        let _ = fs::remove_file(store.join("journal.1"));
    });
    let file_for_tree = case("file-for-tree", &|store| {
        fs::remove_dir_all(store.join("db")).unwrap();
        fs::write(store.join("db"), b"in the way").unwrap();
    });
    let strangers_identity = case("strangers-identity", &|store| {
        for name in ["store.0", "store.1"] {
            fs::copy(scene.foreign.join(name), store.join(name)).unwrap();
        }
    });
    for folder in [no_tree, no_journal, file_for_tree, strangers_identity] {
        let what = folder.file_name().unwrap().to_string_lossy().into_owned();
        let ann = scene.opened(&folder, &what).await;
        let report = ann.client.open_report();
        assert!(report.found_damage, "{what}: {report:?}");
        assert_eq!(
            report.lost == Loss::UnsentWork,
            what == "no-journal",
            "{what}: {report:?}"
        );
        ann.engine.shutdown().await.unwrap();
    }
    let only_lock = case("only-lock", &|store| {
        fs::remove_dir_all(store).unwrap();
        fs::create_dir(store).unwrap();
        fs::write(store.join("lock"), b"4242\n").unwrap();
    });
    let mut config = scene.place.config("unused");
    config.store_root = only_lock;
    let ann = Device::open(config, "ann").await;
    assert!(
        ann.client.open_report().created,
        "{:?}",
        ann.client.open_report()
    );
    ann.go_online().await;
    ann.until("the conversation", || async { scene.talk_of(&ann).await })
        .await;
}

impl Scene {
    async fn talk_of(&self, ann: &Device) -> Option<()> {
        let conversation = ann.client.conversation(self.talk.clone()).ok()?;
        let lines = history(&conversation).await?;
        (lines == self.said).then_some(())
    }
}
