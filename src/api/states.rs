//! The states of live views as streams, for Rust. Other languages have their own in the layers.

use std::sync::Arc;

use futures_util::stream::{Stream, unfold};

use super::client::Client;
use super::conversation_list::ConversationList;
use super::download::Download;
use super::member_list::MemberList;
use super::outbox_list::OutboxList;
use super::timeline::Timeline;
use crate::views::{
    ClientState, DownloadState, ListState, MemberListState, OutboxListState, TimelineState, Version,
};

/// Each state of a view, by the updates that lead from one to the next. A stream that is polled seldom gives one
/// state for all changes that it missed.
macro_rules! states {
    ($($view:ident gives $state:ident),* $(,)?) => {
        $(impl $view {
            /// The states from the present one on, until the view ends. The stream keeps the view alive. Any number
            /// of streams may be polled, each at its own pace, and dropping one loses nothing.
            pub fn states(self: &Arc<Self>) -> impl Stream<Item = $state> + Send + use<> {
                let first = (Arc::clone(self), $state::default());
                unfold(first, |(view, mut state)| async move {
                    state.apply(view.next(state.version).await.ok()??);
                    Some((state.clone(), (view, state)))
                })
            }
        })*
    };
}

states! {
    Timeline gives TimelineState,
    ConversationList gives ListState,
    OutboxList gives OutboxListState,
    MemberList gives MemberListState,
}

impl Download {
    /// The download's states, from the present one to the last. The stream keeps the download alive.
    pub fn states(self: &Arc<Self>) -> impl Stream<Item = DownloadState> + Send + use<> {
        let first = (Arc::clone(self), Version::NONE);
        unfold(first, |(download, have)| async move {
            let state = download.next(have).await.ok()??;
            let version = state.version;
            Some((state, (download, version)))
        })
    }
}

impl Client {
    /// The client's states from the present one on, until it signs out or the engine is shut down. The
    /// stream keeps the client alive.
    pub fn states(self: &Arc<Self>) -> impl Stream<Item = ClientState> + Send + use<> {
        unfold(
            (Arc::clone(self), Version::NONE),
            |(client, have)| async move {
                let state = client.next_state(have).await.ok()??;
                let version = state.version;
                Some((state, (client, version)))
            },
        )
    }
}
