//! The views that are followed, and what the keys do.

use std::path::PathBuf;
use std::sync::Arc;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use sampan::model::{ClientId, ConversationKey, Count, Timestamp};
use sampan::views::{ListState, OutboxListState};
use sampan::{
    Client, ClientState, ConversationList, ConversationRow, Delivery, DownloadState, LinkState,
    ListUpdate, OutboxList, OutboxUpdate, SampanError, TimelineStart, TimelineUpdate,
};

use super::save::{Saved, Saving};
use super::talk::{Scroll, Talk};

/// Makes a name of a client's id.
pub(crate) type Naming = fn(&ClientId) -> String;

/// All that is shown.
pub(crate) struct App {
    pub(super) me: ClientId,
    pub(super) naming: Naming,
    client: Arc<Client>,
    list: Arc<ConversationList>,
    outbox: Arc<OutboxList>,
    pub(super) rows: ListState,
    pub(super) unsent: OutboxListState,
    pub(super) state: ClientState,
    /// The row that the keys mean.
    pub(super) selected: Option<ConversationKey>,
    pub(super) talk: Option<Talk>,
    pub(super) shows_outbox: bool,
    /// The last call that failed.
    pub(super) trouble: Option<String>,
    /// Where files are saved.
    pub(crate) folder: PathBuf,
    saving: Option<Saving>,
    /// How far the file is that is being saved, or where it is.
    pub(super) saved: Option<String>,
    /// The time that the clock shows.
    pub(super) now: Timestamp,
}

/// The program goes on or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    Continue,
    Quit,
}

/// News of one of the views.
enum News {
    List(ListUpdate),
    Outbox(OutboxUpdate),
    State(ClientState),
    Timeline(TimelineUpdate),
    File(Option<DownloadState>),
}

impl App {
    /// Opens the views of a client. No network is waited for.
    pub(crate) async fn open(client: Arc<Client>, naming: Naming) -> Result<Self, SampanError> {
        let (list, outbox) =
            tokio::try_join!(client.conversation_list(None), client.outbox_list())?;
        let mut app = Self {
            me: client.client_id(),
            naming,
            state: client.state(),
            client,
            list,
            outbox,
            rows: ListState::default(),
            unsent: OutboxListState::default(),
            selected: None,
            talk: None,
            shows_outbox: false,
            trouble: None,
            folder: PathBuf::new(),
            saving: None,
            saved: None,
            now: Timestamp::ZERO,
        };
        // The first rows are read already.
        app.changed().await?;
        Ok(app)
    }

    /// Waits until something else is to be shown. It may be dropped at any moment and asked again: each
    /// view is told what is held, so nothing is lost. False when the client is closed.
    pub(crate) async fn changed(&mut self) -> Result<bool, SampanError> {
        let timeline = async {
            match &self.talk {
                Some(talk) => talk.next().await,
                None => std::future::pending().await,
            }
        };
        let file = async {
            match &self.saving {
                Some(saving) => saving.next().await,
                None => std::future::pending().await,
            }
        };
        let news = tokio::select! {
            update = self.list.next(self.rows.version) => update?.map(News::List),
            update = self.outbox.next(self.unsent.version) => update?.map(News::Outbox),
            state = self.client.next_state(self.state.version) => state?.map(News::State),
            update = timeline => update?.map(News::Timeline),
            state = file => Some(News::File(state?)),
        };
        let Some(news) = news else {
            return Ok(false);
        };
        self.take(news);
        Ok(true)
    }

    fn take(&mut self, news: News) {
        match news {
            News::List(update) => self.rows.apply(update),
            News::Outbox(update) => self.unsent.apply(update),
            News::State(state) => self.state = state,
            News::File(state) => self.save_on(state),
            News::Timeline(update) => {
                if let Some(talk) = &mut self.talk {
                    talk.apply(update);
                }
            }
        }
    }

    fn save_on(&mut self, state: Option<DownloadState>) {
        let saved = self.saving.as_mut().zip(state);
        match saved.map(|(saving, state)| saving.take(state)) {
            Some(Saved::Running(told)) => self.saved = Some(told),
            Some(Saved::Ended(told)) => {
                self.saved = Some(told);
                self.saving = None;
            }
            None => self.saving = None,
        }
    }

    /// Saves the newest file on the screen.
    fn save(&mut self) -> Result<(), SampanError> {
        let file = self.talk.as_ref().and_then(Talk::file);
        let Some(file) = file.cloned() else {
            self.saved = Some("no file is on the screen".to_owned());
            return Ok(());
        };
        self.saving = Some(Saving::begin(&self.client, file, &self.folder)?);
        Ok(())
    }

    /// Notes the time that the clock shows.
    pub(crate) const fn tick(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// True if something on the screen changes with the clock.
    pub(crate) const fn counts_down(&self) -> bool {
        matches!(self.state.link, LinkState::Waiting { .. })
    }

    /// Takes the items that were drawn: they count as seen.
    pub(crate) fn drawn(&mut self, shown: Option<super::draw::Shown>) {
        if let (Some(talk), Some(shown)) = (&mut self.talk, shown) {
            talk.drawn(shown);
        }
    }

    /// Does what a key says. A call that fails is shown, and the program goes on.
    pub(crate) async fn key(&mut self, key: KeyEvent) -> Flow {
        self.trouble = None;
        if self.saving.is_none() {
            self.saved = None;
        }
        match self.act(key).await {
            Ok(flow) => flow,
            Err(error) => {
                self.trouble = Some(error.to_string());
                Flow::Continue
            }
        }
    }

    async fn act(&mut self, key: KeyEvent) -> Result<Flow, SampanError> {
        if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
            return Ok(Flow::Quit);
        }
        match key.code {
            KeyCode::F(2) => self.jump(TimelineStart::FirstUnread),
            KeyCode::F(3) => self.shows_outbox = !self.shows_outbox,
            KeyCode::F(4) => self.toggle_link()?,
            KeyCode::F(5) => self.retry().await?,
            KeyCode::F(6) => self.save()?,
            KeyCode::F(8) => self.discard().await?,
            KeyCode::Up => self.select(-1),
            KeyCode::Down => self.select(1),
            KeyCode::Enter if self.talk.is_none() => self.enter().await?,
            KeyCode::Tab => self.enter().await?,
            code => match &mut self.talk {
                Some(talk) => {
                    if code == KeyCode::Esc {
                        self.leave();
                    } else {
                        talk.key(code).await?;
                    }
                }
                None if matches!(code, KeyCode::Esc | KeyCode::Char('q')) => {
                    return Ok(Flow::Quit);
                }
                None if code == KeyCode::End => {
                    self.list.load_more(50).await?;
                }
                None => {}
            },
        }
        Ok(Flow::Continue)
    }

    /// The row that the keys mean: the one that was selected, wherever it stands by now.
    pub(super) fn selected_row(&self) -> Option<(usize, &ConversationRow)> {
        let mut rows = self.rows.rows.iter().enumerate();
        let selected = rows.find(|(_, row)| Some(row.key) == self.selected);
        selected.or_else(|| self.rows.rows.first().map(|row| (0, row)))
    }

    fn select(&mut self, step: isize) {
        let at = self.selected_row().map_or(0, |(at, _)| at);
        let row = self.rows.rows.get(at.saturating_add_signed(step));
        if let Some(row) = row.or_else(|| self.rows.rows.get(at)) {
            self.selected = Some(row.key);
        }
    }

    /// Opens the selected conversation at its first unread message.
    async fn enter(&mut self) -> Result<(), SampanError> {
        let Some((_, row)) = self.selected_row() else {
            return Ok(());
        };
        let (key, id) = (row.key, row.conversation.clone());
        if self.talk.as_ref().is_some_and(|talk| talk.key == key) {
            return Ok(());
        }
        let conversation = self.client.conversation(id)?;
        self.selected = Some(key);
        self.leave();
        self.talk = Some(Talk::open(key, conversation).await?);
        Ok(())
    }

    fn leave(&mut self) {
        if let Some(talk) = self.talk.take() {
            talk.close();
        }
    }

    fn jump(&mut self, to: TimelineStart) {
        if let Some(talk) = &mut self.talk {
            talk.jump(to, Scroll::Follow);
        }
    }

    fn toggle_link(&self) -> Result<(), SampanError> {
        match self.state.link {
            LinkState::Off | LinkState::Ended { .. } => self.client.go_online(None),
            _ => self.client.go_offline(),
        }
    }

    /// Sends again what failed, and connects at once if the link waits.
    async fn retry(&self) -> Result<(), SampanError> {
        if self.state.outbox.failed == Count(0) {
            self.client.retry_now();
        }
        for entry in self.failed() {
            self.client.retry(entry).await?;
        }
        Ok(())
    }

    /// Gives up what failed.
    async fn discard(&self) -> Result<(), SampanError> {
        for entry in self.failed() {
            self.client.discard(entry).await?;
        }
        Ok(())
    }

    fn failed(&self) -> impl Iterator<Item = sampan::model::OutboxEntryId> {
        let rows = self.unsent.rows.iter();
        rows.filter(|row| matches!(row.delivery, Delivery::Failed { .. }))
            .map(|row| row.entry)
    }
}
