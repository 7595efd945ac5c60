//! The open conversation as lines: days, marks, gaps.

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use sampan::model::{ItemKey, MessageContent, Timestamp};
use sampan::{Message, TimelineItemKind};

use super::app::Naming;
use super::talk::Talk;
use super::words;

/// The lines of one item.
pub(super) struct Block {
    pub(super) key: ItemKey,
    pub(super) lines: Vec<Line<'static>>,
}

/// The width, the time and the names, on which the lines depend beside the items.
#[derive(Clone, Copy)]
pub(super) struct Look {
    pub(super) width: usize,
    pub(super) now: Timestamp,
    pub(super) naming: Naming,
}

/// All items of a timeline, oldest first; a day that begins stands above its first message.
pub(super) fn blocks(talk: &Talk, look: Look) -> Vec<Block> {
    let mut day = None;
    let mut sender = None;
    let mut blocks = Vec::with_capacity(talk.state.items.len());
    for item in &talk.state.items {
        let mut lines = Vec::new();
        match &item.kind {
            TimelineItemKind::Message { message } => {
                let its_day = words::day_of(message.sent_at);
                if day.replace(its_day) != Some(its_day) {
                    let name = words::day(its_day, words::day_of(look.now));
                    lines.push(rule(&name, look.width, Color::DarkGray));
                    sender = None;
                }
                if sender.as_ref() != Some(&message.sender) {
                    lines.push(heading(message, look));
                }
                sender = Some(message.sender.clone());
                lines.extend(body(message, look));
            }
            TimelineItemKind::Gap { state } => {
                lines.push(rule(&words::fill(state), look.width, Color::Yellow));
                sender = None;
            }
            TimelineItemKind::FirstUnread { count, at_least } => {
                let more = if *at_least { "+" } else { "" };
                let text = format!("{count}{more} new");
                lines.push(rule(&text, look.width, Color::Red));
                sender = None;
            }
        }
        blocks.push(Block {
            key: item.key.clone(),
            lines,
        });
    }
    blocks
}

/// A text in the middle of a line.
pub(super) fn rule(text: &str, width: usize, color: Color) -> Line<'static> {
    let rest = width.saturating_sub(text.chars().count() + 2);
    let (left, right) = ("─".repeat(rest / 2), "─".repeat(rest - rest / 2));
    Line::styled(format!("{left} {text} {right}"), Style::new().fg(color))
}

fn heading(message: &Message, look: Look) -> Line<'static> {
    let color = if message.is_own {
        Color::Cyan
    } else {
        Color::Green
    };
    let style = Style::new().fg(color).add_modifier(Modifier::BOLD);
    Line::from(Span::styled((look.naming)(&message.sender), style))
}

/// The words of a message, wrapped, and behind the last of them how far it got.
fn body(message: &Message, look: Look) -> Vec<Line<'static>> {
    let time = words::clock(message.sent_at);
    let quiet = Style::new().fg(Color::DarkGray);
    let style = match message.content {
        MessageContent::Recalled { .. } => quiet.add_modifier(Modifier::ITALIC),
        _ if message.mentions_me => Style::new().fg(Color::Yellow),
        _ => Style::new(),
    };
    let indent = time.chars().count() + 1;
    let texts = wrap(&said(&message.content), look.width.saturating_sub(indent));
    let mut lines: Vec<_> = texts
        .into_iter()
        .enumerate()
        .map(|(at, text)| {
            let margin = if at == 0 {
                format!("{time} ")
            } else {
                " ".repeat(indent)
            };
            Line::from(vec![Span::styled(margin, quiet), Span::styled(text, style)])
        })
        .collect();
    let mut tail = String::new();
    if message.edited_at.is_some() && !message.content.is_recalled() {
        tail.push_str(" (edited)");
    }
    if let Some(delivery) = &message.delivery {
        tail.push(' ');
        tail.push_str(&words::mark(delivery, look.now));
    }
    match lines.last_mut() {
        Some(last) if !tail.is_empty() => {
            let fits = last.width() + tail.chars().count() <= look.width;
            if fits {
                last.push_span(Span::styled(tail, quiet));
            } else {
                let tail = format!("{}{}", " ".repeat(indent), tail.trim_start());
                lines.push(Line::styled(tail, quiet));
            }
        }
        _ => {}
    }
    lines
}

/// The words of a message, or its kind.
fn said(content: &MessageContent) -> String {
    if let Some(file) = content.media() {
        let sort = words::file(content.kind_name(), file);
        return match content.words() {
            Some(caption) => format!("{sort} {caption}"),
            None => sort,
        };
    }
    match content.words() {
        Some(words) => words.to_owned(),
        None if content.is_recalled() => "taken back".to_owned(),
        None => format!("[{}]", content.kind_name()),
    }
}

/// Breaks a text at spaces, and longer words where they end.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(8);
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            let mut word: Vec<char> = word.chars().collect();
            let used = line.chars().count();
            if used > 0 && used + 1 + word.len() > width {
                lines.push(std::mem::take(&mut line));
            } else if used > 0 {
                line.push(' ');
            }
            while word.len() > width {
                let rest = word.split_off(width);
                lines.push(word.into_iter().collect());
                word = rest;
            }
            line.extend(word);
        }
        lines.push(line);
    }
    if lines.is_empty() {
        lines.push(String::new());
    }
    lines
}
