//! The app's wish that a client be online or offline.
//!
//! The wish is a state, not a message: an app sets its wish without waiting, and the loop reads the last one.
//! Of the wishes between two readings, only a wish to go offline is carried out too.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::sync::{Connect, Disconnect, Request, SignIn};

/// The app's last wish for a client's session.
#[derive(Debug, Default)]
pub(crate) struct OnlineWish {
    said: Mutex<Said>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Said {
    /// The way to sign in; none for offline.
    online: Option<SignIn>,
    /// The part of the wish that the loop has not read yet.
    unread: NotRead,
    /// The number of refreshes that are under way.
    visits: usize,
    /// True if the client is online for refreshes alone, and the app has not said anything since.
    is_visit: bool,
}

impl Said {
    fn say(&mut self, online: Option<SignIn>) {
        self.online = online;
        self.is_visit = false;
        self.unread = NotRead {
            goes_offline: self.unread.goes_offline || online.is_none(),
            goes_online: online.is_some(),
        };
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct NotRead {
    goes_offline: bool,
    goes_online: bool,
}

impl OnlineWish {
    /// Notes the app's wish.
    pub(super) fn say(&self, online: Option<SignIn>) {
        self.said().say(online);
    }

    /// A refresh begins; true when the client goes online for it.
    pub(super) fn begin_visit(&self) -> bool {
        let mut said = self.said();
        said.visits += 1;
        let begins = said.online.is_none();
        if begins {
            said.say(Some(SignIn::Yield));
            said.is_visit = true;
        }
        begins
    }

    /// A refresh ends; true when the client goes offline with it: it was the last one, and the app has said nothing.
    pub(super) fn end_visit(&self) -> bool {
        let mut said = self.said();
        debug_assert!(said.visits > 0, "a visit that ends has begun");
        said.visits = said.visits.saturating_sub(1);
        let ends = said.visits == 0 && said.is_visit;
        if ends {
            said.say(None);
        }
        ends
    }

    /// True if the app wants to be online.
    pub(crate) fn is_online(&self) -> bool {
        self.said().online.is_some()
    }

    /// The client's requests for the app's wishes since the last reading, in order.
    pub(super) fn read(&self) -> Vec<Request> {
        let mut said = self.said();
        let NotRead {
            goes_offline,
            goes_online,
        } = std::mem::take(&mut said.unread);
        let online = said.online.filter(|_| goes_online);
        let offline = goes_offline.then_some(Request::from(Disconnect));
        let online = online.map(|mode| Connect { mode }.into());
        offline.into_iter().chain(online).collect()
    }

    /// The code under this lock moves a value and runs no code of the app.
    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_wish_holds_and_the_session_before_it_ends() {
        let connect = |mode| Request::from(Connect { mode });
        let wish = OnlineWish::default();
        assert_eq!(wish.read(), []);
        wish.say(Some(SignIn::TakeOver));
        assert_eq!(wish.read(), [connect(SignIn::TakeOver)]);
        assert_eq!(wish.read(), []);
        assert!(wish.is_online(), "what was read still holds");
        wish.say(None);
        wish.say(Some(SignIn::TakeOver));
        wish.say(None);
        wish.say(Some(SignIn::Yield));
        assert_eq!(wish.read(), [Disconnect.into(), connect(SignIn::Yield)]);
        wish.say(Some(SignIn::Yield));
        wish.say(None);
        assert_eq!(wish.read(), [Disconnect.into()]);
        assert!(!wish.is_online());
    }

    #[test]
    fn the_last_of_the_visits_ends_them_unless_the_app_said_something() {
        let wish = OnlineWish::default();
        assert!(wish.begin_visit(), "the first one goes online");
        assert!(!wish.begin_visit());
        assert!(!wish.end_visit() && wish.is_online(), "another one goes on");
        assert!(wish.end_visit() && !wish.is_online());
        assert!(wish.begin_visit());
        wish.say(Some(SignIn::TakeOver));
        assert!(!wish.end_visit() && wish.is_online(), "the app came");
        assert!(!wish.begin_visit() && !wish.end_visit());
    }
}
