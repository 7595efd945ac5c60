//! The open conversation: its timeline and where the user is in it.

use std::sync::Arc;

use ratatui::crossterm::event::KeyCode;
use sampan::model::{ConversationKey, Count, Draft, ItemKey, MediaFile};
use sampan::views::TimelineState;
use sampan::{
    Anchor, Conversation, SampanError, Timeline, TimelineEdge, TimelineItem, TimelineOptions,
    TimelineStart, TimelineUpdate,
};

use super::draw::Shown;

/// The number of messages that come with one step through history.
const PAGE: u32 = 50;

/// A conversation on the screen.
pub(super) struct Talk {
    pub(super) key: ConversationKey,
    conversation: Arc<Conversation>,
    timeline: Arc<Timeline>,
    pub(super) state: TimelineState,
    pub(super) scroll: Scroll,
    pub(super) input: String,
    /// The items that were drawn last.
    shown: Option<Shown>,
    /// The jump that the screen has followed.
    jumps: Count,
}

/// Which part of the timeline is on the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scroll {
    /// The newest item is at the bottom.
    Follow,
    /// An item is at the top.
    Top(ItemKey),
    /// An item is at the bottom.
    Bottom(ItemKey),
}

impl Talk {
    pub(super) async fn open(
        key: ConversationKey,
        conversation: Arc<Conversation>,
    ) -> Result<Self, SampanError> {
        let options = TimelineOptions {
            start: Some(TimelineStart::FirstUnread),
            ..TimelineOptions::default()
        };
        let timeline = conversation.timeline(Some(options)).await?;
        let draft = conversation.draft().await?;
        let mut talk = Self {
            key,
            conversation,
            timeline,
            state: TimelineState::default(),
            scroll: Scroll::Follow,
            input: draft.map(|draft| draft.text).unwrap_or_default(),
            shown: None,
            jumps: Count(0),
        };
        // The first page is read already.
        if let Some(update) = talk.next().await? {
            talk.apply(update);
        }
        Ok(talk)
    }

    pub(super) async fn next(&self) -> Result<Option<TimelineUpdate>, SampanError> {
        self.timeline.next(self.state.version).await
    }

    pub(super) fn apply(&mut self, update: TimelineUpdate) {
        self.state.apply(update);
        // Each jump is followed once; from then on the user scrolls.
        if let Anchor::At { key, jump } = &self.state.anchor
            && *jump > self.jumps
        {
            self.jumps = *jump;
            let mark = ItemKey::FirstUnread;
            let top = if self.state.find(&mark).is_some() {
                mark
            } else {
                key.clone()
            };
            self.scroll = Scroll::Top(top);
        }
    }

    /// The items on the screen count as seen: the engine reads, fills gaps and pages by them.
    pub(super) fn drawn(&mut self, shown: Shown) {
        if self.shown.as_ref() != Some(&shown) {
            // Keys of the window are never refused.
            let _ = self.timeline.seen(shown.first.clone(), shown.last.clone());
            if shown.is_first && self.state.older != TimelineEdge::End {
                self.load(Side::Older);
            }
            if shown.is_last && self.state.newer != TimelineEdge::End {
                self.load(Side::Newer);
            }
        }
        self.shown = Some(shown);
    }

    /// The newest file on the screen.
    pub(super) fn file(&self) -> Option<&MediaFile> {
        let shown = self.shown.as_ref()?;
        let place = |key| self.state.find(key).map(|(place, _)| place);
        let (first, last) = (place(&shown.first)?, place(&shown.last)?);
        let items = self.state.items.get(first..=last)?;
        let mut messages = items.iter().rev().filter_map(TimelineItem::message);
        messages.find_map(|message| message.content.media())
    }

    /// Loads beside the screen: its update comes by itself, and says if something is missing.
    fn load(&self, side: Side) {
        let timeline = Arc::clone(&self.timeline);
        tokio::spawn(async move {
            let _ = match side {
                Side::Older => timeline.load_older(PAGE).await,
                Side::Newer => timeline.load_newer(PAGE).await,
            };
        });
    }

    pub(super) fn jump(&mut self, to: TimelineStart, scroll: Scroll) {
        self.scroll = scroll;
        let timeline = Arc::clone(&self.timeline);
        tokio::spawn(async move {
            // A view that has ended shows nothing any more.
            let _ = timeline.jump(to).await;
        });
    }

    pub(super) async fn key(&mut self, code: KeyCode) -> Result<(), SampanError> {
        match code {
            KeyCode::PageUp => {
                if let Some(shown) = &self.shown {
                    self.scroll = Scroll::Bottom(shown.first.clone());
                }
            }
            KeyCode::PageDown => {
                if let Some(shown) = &self.shown {
                    self.scroll = if shown.is_last {
                        Scroll::Follow
                    } else {
                        Scroll::Top(shown.last.clone())
                    };
                }
            }
            KeyCode::Home => {
                let at = sampan::model::Timestamp::ZERO;
                self.jump(TimelineStart::Time { at }, Scroll::Follow);
            }
            KeyCode::End => self.jump(TimelineStart::Newest, Scroll::Follow),
            KeyCode::Enter if !self.input.trim().is_empty() => {
                let text = std::mem::take(&mut self.input);
                let sent = self.conversation.send_text(text.clone(), None).await;
                if sent.is_err() {
                    self.input = text;
                }
                sent?;
                self.keep_draft()?;
                if self.state.newer == TimelineEdge::End {
                    self.scroll = Scroll::Follow;
                } else {
                    self.jump(TimelineStart::Newest, Scroll::Follow);
                }
            }
            KeyCode::Char(letter) => {
                self.input.push(letter);
                self.keep_draft()?;
            }
            KeyCode::Backspace => {
                self.input.pop();
                self.keep_draft()?;
            }
            _ => {}
        }
        Ok(())
    }

    /// The written text stays, whatever becomes of the program.
    fn keep_draft(&self) -> Result<(), SampanError> {
        self.conversation.set_typing(!self.input.is_empty());
        let draft = Draft::text(self.input.clone());
        self.conversation.set_draft(Some(draft))
    }

    pub(super) fn close(self) {
        self.timeline.end();
    }
}

#[derive(Clone, Copy)]
enum Side {
    Older,
    Newer,
}
