//! Holds the pages of docs/from to the library: each call and each name that they give for an old one is there, in
//! the type that the page says, with these labels. The library's side is bindings/surface/swift.txt.

#![allow(
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a panic in a test is a failing test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::read_to_string;
use std::path::Path;

/// The pages, and how many old calls each has at least.
const PAGES: [(&str, usize); 6] = [
    ("javascript", 25),
    ("java", 25),
    ("objective-c", 22),
    ("swift", 22),
    ("v2", 15),
    ("v1", 18),
];

/// Names that stand for an object of a type in the pages.
const OBJECTS: [(&str, &str); 10] = [
    ("engine", "Engine"),
    ("client", "Client"),
    ("conversation", "Conversation"),
    ("timeline", "Timeline"),
    ("session", "PeerSession"),
    ("group", "PeerGroup"),
    ("rooms", "Rooms"),
    ("room", "Room"),
    ("row", "ConversationRow"),
    ("members", "MemberList"),
];

/// Features, each with the call that stands for it and its spellings in older SDKs.
const SPELLINGS: [(&str, [(&str, &str); 4]); 9] = [
    (
        "Conversation.send",
        [
            ("javascript", "conversation.send(message"),
            ("java", "conversation.sendMessage"),
            ("objective-c", "sendMessage:option"),
            ("swift", "conversation.send(message:"),
        ],
    ),
    (
        "Conversation.timeline",
        [
            ("javascript", "conversation.queryMessages("),
            ("java", "conversation.queryMessages("),
            ("objective-c", "queryMessagesWithLimit:"),
            ("swift", "queryMessage("),
        ],
    ),
    (
        "Conversation.recall",
        [
            ("javascript", "conversation.recall"),
            ("java", "recallMessage"),
            ("objective-c", "recallMessage:"),
            ("swift", "recall(message:)"),
        ],
    ),
    (
        "Conversation.markRead",
        [
            ("javascript", "conversation.read()"),
            ("java", "conversation.read()"),
            ("objective-c", "readInBackground"),
            ("swift", "conversation.read("),
        ],
    ),
    (
        "Conversation.addMembers",
        [
            ("javascript", "conversation.add("),
            ("java", "addMembers"),
            ("objective-c", "addMembersWithClientIds:"),
            ("swift", "add(members:"),
        ],
    ),
    (
        "Conversation.setMuted",
        [
            ("javascript", "conversation.mute()"),
            ("java", "mute("),
            ("objective-c", "muteWithCallback:"),
            ("swift", "mute("),
        ],
    ),
    (
        "Client.createConversation",
        [
            ("javascript", "client.createConversation("),
            ("java", "client.createConversation("),
            ("objective-c", "createConversationWithClientIds:"),
            ("swift", "createConversation("),
        ],
    ),
    (
        "Client.goOnline",
        [
            ("javascript", "realtime.createIMClient("),
            ("java", "LCIMClient.getInstance(id)"),
            ("objective-c", "[[LCIMClient alloc]"),
            ("swift", "open(completion:)"),
        ],
    ),
    (
        "Client.queryConversations",
        [
            ("javascript", "client.getQuery()"),
            ("java", "client.getConversationsQuery()"),
            ("objective-c", "conversationQuery"),
            ("swift", "conversationQuery.findConversations"),
        ],
    ),
];

/// A text of the repository.
fn text(path: &str) -> String {
    read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

// ── What the library has ─────────────────────────────────────────────────────────────────────

/// The members of each type; for a function also its labels, as `name(one:two:)`. Free functions and the
/// cases of all enumerations are under the empty name.
type Library = BTreeMap<String, BTreeSet<String>>;

fn library(surface: &str) -> Library {
    let mut library = Library::new();
    let mut current = String::new();
    for line in surface.lines() {
        let is_member = line.starts_with("    ");
        let (header, member) = match line.split_once(": public ") {
            Some((header, member)) if header.starts_with("open class") => (header, member),
            _ if is_member => ("", line.trim()),
            _ => (line, line),
        };
        if let Some(found) = type_named(header).filter(|_| !is_member) {
            library.entry(found.clone()).or_default();
            current = found;
        } else if !is_member {
            current = String::new();
        }
        for name in names_of(member) {
            library
                .entry(String::new())
                .or_default()
                .insert(name.clone());
            library.entry(current.clone()).or_default().insert(name);
        }
    }
    library
}

/// The calls that an app has: the surface, and the additions of the layer by hand.
fn surface() -> String {
    let mut surface = text("bindings/surface/swift.txt");
    let layer = Path::new(env!("CARGO_MANIFEST_DIR")).join("bindings/swift/Sources/Sampan");
    for entry in std::fs::read_dir(layer).unwrap() {
        let source = read_to_string(entry.unwrap().path()).unwrap_or_default();
        let is_public = |line: &&str| {
            ["public ", "    public ", "extension "]
                .iter()
                .any(|begin| line.starts_with(begin))
        };
        for line in source.lines().filter(is_public) {
            surface.push_str(&format!("\n{line}"));
        }
    }
    surface
}

/// The type that a line begins, without the ending that protocols of objects have.
fn type_named(header: &str) -> Option<String> {
    let mut words = header.split([' ', ':', '<', '=']);
    words.find(|word| {
        [
            "protocol",
            "struct",
            "enum",
            "class",
            "extension",
            "actor",
            "typealias",
        ]
        .contains(word)
    })?;
    let name = words.next()?;
    Some(name.strip_suffix("Protocol").unwrap_or(name).to_owned())
}

/// The name that a line declares, and with its labels if it is a function.
fn names_of(member: &str) -> Vec<String> {
    let head = member.split(" -> ").next().unwrap_or(member);
    let bare = |text: &str| {
        let end = text.find(|one: char| !one.is_alphanumeric());
        text[..end.unwrap_or(text.len())].to_owned()
    };
    for (keyword, is_function) in [
        ("func ", true),
        ("init(", true),
        ("var ", false),
        ("let ", false),
        ("case ", false),
    ] {
        let Some(at) = head.find(keyword) else {
            continue;
        };
        let rest = match keyword {
            "init(" => &head[at..],
            _ => &head[at + keyword.len()..],
        };
        let name = bare(rest);
        let Some(open) = rest.find('(').filter(|_| is_function) else {
            return vec![name];
        };
        return vec![
            name.clone(),
            format!("{name}({})", labels(&rest[open + 1..])),
        ];
    }
    Vec::new()
}

/// The labels of parameters: each word before a colon, outside of brackets.
fn labels(parameters: &str) -> String {
    let (mut found, mut depth, mut word) = (String::new(), 0_i32, String::new());
    for one in parameters.chars() {
        match one {
            '(' | '[' | '<' => depth += 1,
            ')' | ']' | '>' => depth -= 1,
            ':' if depth == 0 => {
                let label = word.split_whitespace().next().unwrap_or_default();
                found.push_str(&format!("{label}:"));
            }
            _ => {}
        }
        match one {
            ',' if depth == 0 => word.clear(),
            _ => word.push(one),
        }
        if depth < 0 {
            break;
        }
    }
    found
}

// ── The pages ────────────────────────────────────────────────────────────────────────────────

/// The rows of a page: the old call, and the cell of the new one.
fn rows(page: &str) -> Vec<(String, String)> {
    let text = text(&format!("docs/from/{page}.md"));
    let cells = text.lines().filter_map(|line| {
        let line = line.strip_prefix("| ")?.strip_suffix(" |")?;
        let (old, new) = line.split_once(" | ")?;
        Some((old.to_owned(), new.to_owned()))
    });
    cells.skip(1).collect()
}

/// The texts in code quotes.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// A call in parts, such as `client`, `info()`, `unread`, cut at dots outside of brackets.
fn parts(call: &str) -> Vec<&str> {
    let (mut found, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, one) in call.char_indices() {
        match one {
            '(' => depth += 1,
            ')' => depth -= 1,
            '.' if depth == 0 => {
                found.push(&call[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    found.push(&call[start..]);
    found
}

/// The reason why a call is none of the library's.
fn complaint(library: &Library, call: &str) -> Option<String> {
    let mut of = String::new();
    for (place, part) in parts(call).into_iter().enumerate() {
        let (name, arguments) = part.split_once('(').map_or((part, None), |(name, rest)| {
            (name, Some(rest.trim_end_matches(')')))
        });
        let end = name.find(|one: char| !one.is_alphanumeric() && one != '_');
        let name = &name[..end.unwrap_or(name.len())];
        if name.is_empty() {
            continue;
        }
        let object = OBJECTS.iter().find(|(object, _)| *object == name);
        if let Some((_, found)) = object.filter(|_| place == 0 && arguments.is_none()) {
            of = (*found).to_owned();
            continue;
        }
        if library.contains_key(name) {
            of = name.to_owned();
            match arguments {
                Some(labels) if labels.contains(':') => {
                    let init = format!("init({labels})");
                    if !library[name].contains(&init) {
                        return Some(format!("{name} has no {init}"));
                    }
                }
                _ => {}
            }
            continue;
        }
        // Constants of Kotlin are spelled in capitals.
        let own = match name
            .chars()
            .all(|one| one.is_ascii_uppercase() || one == '_')
        {
            true => name.to_lowercase(),
            false => name.to_owned(),
        };
        let wanted = match arguments {
            Some(labels) if labels.ends_with(':') => format!("{own}({labels})"),
            _ => own,
        };
        if !library
            .get(&of)
            .is_some_and(|members| members.contains(&wanted))
        {
            return Some(format!("`{of}` has no {wanted}"));
        }
        of = match name {
            "info" => "ConversationInfo".to_owned(),
            _ => String::new(),
        };
    }
    None
}

/// S378: from each older generation a page leads to calls that are there.
#[test]
fn each_call_that_a_page_names_is_the_librarys() {
    let library = library(&surface());
    let mut complaints = Vec::new();
    for (page, least) in PAGES {
        let rows = rows(page);
        assert!(rows.len() >= least, "{page} has {} rows", rows.len());
        for (old, new) in rows {
            let is_answer = !new.contains("not yet") && !new.is_empty();
            if !is_answer {
                complaints.push(format!("{page}: {old} leads nowhere"));
            }
            let wrong = quoted(&new)
                .into_iter()
                .filter_map(|call| complaint(&library, call));
            complaints.extend(wrong.map(|it| format!("{page}: {old}: {it}")));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// S375: a feature has one call, however the older SDKs spell theirs.
#[test]
fn every_spelling_of_a_feature_leads_to_the_same_call() {
    for (call, spellings) in SPELLINGS {
        let (of, name) = call.split_once('.').unwrap();
        let object = OBJECTS.iter().find(|(_, found)| *found == of).unwrap().0;
        for (page, old) in spellings {
            let rows = rows(page);
            let row = rows
                .iter()
                .find(|row| quoted(&row.0).iter().any(|it| it.starts_with(old)));
            let (_, new) = row.unwrap_or_else(|| panic!("{page} has no {old}"));
            let whole = format!("{object}.{name}");
            let leads = |it: &&str| it.split('(').next() == Some(whole.as_str());
            assert!(
                quoted(new).iter().any(leads),
                "{page}: {old} leads to {new}, not to {whole}"
            );
        }
    }
}

#[test]
fn a_call_that_is_not_there_is_noticed() {
    let surface = "public protocol ClientProtocol: AnyObject\n    func join(id: ConversationId, at: [Date]) async throws -> X\npublic struct Config: Hashable\n    public var appId: AppId\n    public init(appId: AppId)\nopen class Engine: public static func open(config: Config)throws -> Engine\n";
    let library = library(surface);
    for good in [
        "client.join(id:at:)",
        "client.join",
        "join",
        "Config",
        "Config.appId",
        "Config(appId:)",
        "Engine.open(config:)",
    ] {
        assert_eq!(complaint(&library, good), None, "{good}");
    }
    for bad in [
        "client.quit()",
        "client.join(id:)",
        "Config.appKey",
        "Config(key:)",
        "Nothing",
        "engine.join",
    ] {
        assert!(complaint(&library, bad).is_some(), "{bad}");
    }
}
