//! The panels: the line of the connection, the list, the outbox, the input.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block as Border, Paragraph};
use sampan::model::{ClientId, Count, ItemKey};
use sampan::{Anchor, ConversationRow, Delivery, LinkState, OutboxRow, SyncState, TimelineEdge};

use super::app::App;
use super::lines::{self, Block, Look};
use super::talk::{Scroll, Talk};
use super::words;

/// The width of the list.
const LIST_WIDTH: u16 = 32;

/// The number of rows of the outbox that are shown.
const OUTBOX_HEIGHT: u16 = 8;

/// Which items of the open conversation were drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(super) first: ItemKey,
    pub(super) last: ItemKey,
    /// True if the first is the first of the window.
    pub(super) is_first: bool,
    /// True if the last is the last of the window.
    pub(super) is_last: bool,
}

/// Draws everything; answers which items of the open conversation are on the screen.
pub(crate) fn draw(frame: &mut Frame<'_>, app: &App) -> Option<Shown> {
    let parts = [
        Constraint::Length(1),
        Constraint::Min(3),
        Constraint::Length(1),
    ];
    let [top, middle, bottom] = Layout::vertical(parts).areas(frame.area());
    frame.render_widget(banner(app), top);
    frame.render_widget(help(app), bottom);
    let columns = [Constraint::Length(LIST_WIDTH), Constraint::Min(20)];
    let [list, talk] = Layout::horizontal(columns).areas(middle);
    draw_list(frame, app, list);
    let outbox = if app.shows_outbox { OUTBOX_HEIGHT } else { 0 };
    let [talk, outbox] =
        Layout::vertical([Constraint::Min(5), Constraint::Length(outbox)]).areas(talk);
    if app.shows_outbox {
        draw_outbox(frame, app, outbox);
    }
    let border = Border::bordered().title(title(app));
    let inside = border.inner(talk);
    frame.render_widget(border, talk);
    let open = app.talk.as_ref()?;
    let [timeline, input] =
        Layout::vertical([Constraint::Min(1), Constraint::Length(2)]).areas(inside);
    draw_input(frame, open, input);
    draw_timeline(frame, app, open, timeline)
}

/// The state of the client's connection, and its unfinished work.
fn banner(app: &App) -> Paragraph<'static> {
    let (text, color) = match (&app.state.link, &app.state.sync) {
        (LinkState::Off, _) => ("offline: F4 goes online".to_owned(), Color::DarkGray),
        (LinkState::Connecting, _) => ("connecting …".to_owned(), Color::Yellow),
        (LinkState::Waiting { retry_at, failure }, _) => {
            let seconds = words::seconds_until(*retry_at, app.now);
            let why = failure
                .as_ref()
                .map_or("the connection broke", words::unreachable);
            (format!("{why}: next try in {seconds} s"), Color::Yellow)
        }
        (LinkState::NoNetwork, _) => ("no network".to_owned(), Color::Yellow),
        (LinkState::Background, _) => ("in the background".to_owned(), Color::DarkGray),
        (LinkState::Ended { reason }, _) => (words::ended(reason), Color::Red),
        (LinkState::Online, SyncState::CatchingUp { done, total }) => {
            (format!("catching up: {done} of {total}"), Color::Yellow)
        }
        (LinkState::Online, _) => ("online".to_owned(), Color::Green),
    };
    let mut spans = vec![Span::styled(format!(" ● {text} "), Style::new().fg(color))];
    let unread = app.state.unread.unmuted;
    if unread.messages > 0 {
        let more = if unread.at_least > 0 { "+" } else { "" };
        spans.push(Span::raw(format!("│ {}{more} unread ", unread.messages)));
    }
    let outbox = &app.state.outbox;
    if outbox.waiting > Count(0) {
        let why = outbox.blocker.map(|it| words::waits(it, app.now));
        let why = why.unwrap_or_else(|| "on its way".to_owned());
        spans.push(Span::raw(format!("│ {} unsent: {why} ", outbox.waiting)));
    }
    if outbox.failed > Count(0) {
        let text = format!("│ {} failed: F5 again, F8 away ", outbox.failed);
        spans.push(Span::styled(text, Style::new().fg(Color::Red)));
    }
    let style = Style::new().add_modifier(Modifier::REVERSED);
    Paragraph::new(Line::from(spans)).style(style)
}

fn help(app: &App) -> Paragraph<'static> {
    if let Some(trouble) = &app.trouble {
        return Paragraph::new(format!(" {trouble}")).style(Style::new().fg(Color::Red));
    }
    if let Some(saved) = &app.saved {
        return Paragraph::new(format!(" {saved}"));
    }
    let keys = if app.talk.is_some() {
        " ↑↓ choose  Tab open  PgUp PgDn scroll  F2 unread  End newest  F3 outbox  F4 link  F6 save file  Esc close"
    } else {
        " ↑↓ choose  Enter open  End more  F3 outbox  F4 link  Esc quit"
    };
    Paragraph::new(keys).style(Style::new().fg(Color::DarkGray))
}

fn draw_list(frame: &mut Frame<'_>, app: &App, area: Rect) {
    let title = format!(
        " {} ",
        words::counted(app.rows.total, "conversation", "conversations")
    );
    let border = Border::bordered().title(title);
    let inside = border.inner(area);
    frame.render_widget(border, area);
    let selected = app.selected_row().map_or(0, |(at, _)| at);
    let height = usize::from(inside.height / 2).max(1);
    // The selected row stays on the screen.
    let first = selected.saturating_sub(height.saturating_sub(1));
    let rows = app.rows.rows.iter().enumerate().skip(first).take(height);
    let width = usize::from(inside.width);
    let lines = rows.flat_map(|(at, row)| row_lines(app, row, width, at == selected));
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), inside);
}

fn name_of(app: &App, row: &ConversationRow) -> String {
    match (&row.name, &row.peer) {
        (Some(name), _) => name.clone(),
        (None, Some(peer)) => (app.naming)(peer),
        (None, None) => words::counted(row.member_count, "member", "members"),
    }
}

/// A line with the names of those who write.
fn writes(app: &App, typing: &[ClientId]) -> String {
    let names: Vec<_> = typing.iter().map(|client| (app.naming)(client)).collect();
    let verb = if names.len() == 1 { "writes" } else { "write" };
    format!("{} {verb} …", names.join(", "))
}

/// True if a conversation is the one that is open.
fn is_open(app: &App, row: &ConversationRow) -> bool {
    app.talk.as_ref().is_some_and(|talk| talk.key == row.key)
}

fn row_lines(app: &App, row: &ConversationRow, width: usize, chosen: bool) -> [Line<'static>; 2] {
    let badge = words::badge(row.unread).unwrap_or_default();
    let pinned = if row.pinned { "⚑ " } else { "" };
    let muted = if row.muted { " (muted)" } else { "" };
    let room = width.saturating_sub(badge.chars().count() + 2);
    let name = cut(&format!("{pinned}{}{muted}", name_of(app, row)), room);
    let gap = " ".repeat(width.saturating_sub(name.chars().count() + badge.chars().count() + 1));
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let style = if row.unread.count > 0 {
        bold
    } else {
        Style::new()
    };
    let mut above = Line::from(vec![
        Span::styled(format!("{}{name}", if chosen { "›" } else { " " }), style),
        Span::raw(gap),
        Span::styled(
            badge,
            Style::new().fg(Color::Yellow).add_modifier(Modifier::BOLD),
        ),
    ]);
    let typing = (!row.typing.is_empty()).then(|| writes(app, &row.typing));
    let draft = row.draft.as_ref().filter(|_| !is_open(app, row));
    let draft = draft.map(|words| format!("✎ {words}"));
    let last = row.last.as_ref().map(|last| {
        let sign = last.delivery.as_ref().map_or("", words::sign);
        let text = last
            .words
            .clone()
            .unwrap_or_else(|| format!("[{:?}]", last.kind));
        format!("{sign}{text}")
    });
    let last = cut(
        &typing
            .or(draft)
            .or(last)
            .unwrap_or_else(|| "(nothing yet)".to_owned()),
        width.saturating_sub(3),
    );
    let mut below = Line::styled(format!("   {last}"), Style::new().fg(Color::DarkGray));
    if chosen {
        let marked = Style::new().add_modifier(Modifier::REVERSED);
        above = above.style(marked);
        below = below.patch_style(marked);
    }
    [above, below]
}

fn draw_outbox(frame: &mut Frame<'_>, app: &App, area: Rect) {
    let border = Border::bordered().title(" unsent ");
    let inside = border.inner(area);
    frame.render_widget(border, area);
    let rows = app.unsent.rows.iter().take(usize::from(inside.height));
    let mut lines: Vec<_> = rows.map(|row| outbox_line(app, row)).collect();
    if lines.is_empty() {
        lines.push(Line::from(" everything is sent"));
    }
    frame.render_widget(Paragraph::new(lines), inside);
}

fn outbox_line(app: &App, row: &OutboxRow) -> Line<'static> {
    let mut rows = app.rows.rows.iter();
    let home = rows.find(|known| known.conversation == row.conversation);
    let home = home.map_or_else(
        || row.conversation.as_str().to_owned(),
        |it| name_of(app, it),
    );
    let kind = format!("{:?}", row.kind).to_lowercase();
    let mut text = format!(" {kind} · {home} · {}", words::mark(&row.delivery, app.now));
    if row.tries > Count(0) {
        let tries = words::counted(row.tries, "try", "tries");
        text.push_str(&format!(" · {tries}"));
    }
    if let Some(refusal) = &row.refusal {
        text.push_str(&format!(" · {} ({})", refusal.reason, refusal.code));
    }
    let has_failed = matches!(row.delivery, Delivery::Failed { .. });
    let color = if has_failed { Color::Red } else { Color::Reset };
    Line::styled(text, Style::new().fg(color))
}

fn title(app: &App) -> String {
    let Some(talk) = &app.talk else {
        return format!(" {} ", (app.naming)(&app.me));
    };
    let row = app.rows.rows.iter().find(|row| row.key == talk.key);
    let name = row.map(|row| name_of(app, row)).unwrap_or_default();
    match talk.state.anchor {
        Anchor::Searching => format!(" {name} · searching … "),
        Anchor::Absent => format!(" {name} · no such message "),
        _ if !talk.state.typing.is_empty() => {
            format!(" {name} · {} ", writes(app, &talk.state.typing))
        }
        _ if talk.state.below > Count(0) => format!(" {name} · {} ↓ ", talk.state.below),
        _ => format!(" {name} "),
    }
}

fn draw_input(frame: &mut Frame<'_>, talk: &Talk, area: Rect) {
    let width = usize::from(area.width);
    let rule = lines::rule("write", width, Color::DarkGray);
    // The end of what is written stays on the screen.
    let room = width.saturating_sub(4);
    let count = talk.input.chars().count();
    let end: String = talk
        .input
        .chars()
        .skip(count.saturating_sub(room))
        .collect();
    frame.render_widget(
        Paragraph::new(vec![rule, Line::from(format!(" > {end}▏"))]),
        area,
    );
}

/// Draws the part of the timeline that the user is at.
fn draw_timeline(frame: &mut Frame<'_>, app: &App, talk: &Talk, area: Rect) -> Option<Shown> {
    let look = Look {
        width: usize::from(area.width),
        now: app.now,
        naming: app.naming,
    };
    let mut blocks = lines::blocks(talk, look);
    frame_edges(talk, &mut blocks, look.width);
    let starts: Vec<usize> = blocks
        .iter()
        .scan(0, |sum, block| {
            let start = *sum;
            *sum += block.lines.len();
            Some(start)
        })
        .collect();
    let total: usize = blocks.iter().map(|block| block.lines.len()).sum();
    let height = usize::from(area.height);
    let at = |key: &ItemKey| blocks.iter().position(|block| block.key == *key);
    let top = match &talk.scroll {
        Scroll::Follow => None,
        Scroll::Top(key) => at(key).and_then(|at| starts.get(at).copied()),
        Scroll::Bottom(key) => at(key).and_then(|at| {
            let end = starts.get(at)? + blocks.get(at)?.lines.len();
            Some(end.saturating_sub(height))
        }),
    };
    let top = top.unwrap_or(usize::MAX).min(total.saturating_sub(height));
    let end = (top + height).min(total);
    let shown = shown_between(&blocks, &starts, top, end);
    let lines = blocks.into_iter().flat_map(|block| block.lines);
    let lines: Vec<_> = lines.skip(top).take(height).collect();
    frame.render_widget(Paragraph::new(lines), area);
    shown
}

/// Says above the first item and below the last what lies beyond them.
fn frame_edges(talk: &Talk, blocks: &mut [Block], width: usize) {
    let edge = |edge: &TimelineEdge| match edge {
        TimelineEdge::End => None,
        TimelineEdge::More => Some(lines::rule("more", width, Color::DarkGray)),
        TimelineEdge::Missing { state } => {
            Some(lines::rule(&words::fill(state), width, Color::Yellow))
        }
    };
    if let (Some(first), Some(line)) = (blocks.first_mut(), edge(&talk.state.older)) {
        first.lines.insert(0, line);
    }
    if let (Some(last), Some(line)) = (blocks.last_mut(), edge(&talk.state.newer)) {
        last.lines.push(line);
    }
}

fn shown_between(blocks: &[Block], starts: &[usize], top: usize, end: usize) -> Option<Shown> {
    let spans = blocks.iter().zip(starts).enumerate();
    let mut seen =
        spans.filter(|(_, (block, start))| **start < end && **start + block.lines.len() > top);
    let (first_at, (first, _)) = seen.next()?;
    let (last_at, (last, _)) = seen.next_back().unwrap_or((first_at, (first, &0)));
    Some(Shown {
        first: first.key.clone(),
        last: last.key.clone(),
        is_first: first_at == 0,
        is_last: last_at + 1 == blocks.len(),
    })
}

/// A text on one line of at most `width` characters.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}
