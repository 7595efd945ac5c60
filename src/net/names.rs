//! Finds the addresses of names, on threads that serve nothing else.
//!
//! The system's resolver blocks, and may wait many seconds for a silent name server. It then keeps only these
//! threads busy, at most [`LOOKUPS_MAX`] for one name. A further question waits for the running ones, and the
//! first address that comes answers all.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::NetError;
use crate::threads::Threads;

/// How many look-ups of one name may be under way: one may be stuck at the name server of a network
/// that is gone, and the next one finds the new network's.
const LOOKUPS_MAX: usize = 2;

/// How many threads look names up. An engine has two names to ask for: the router's and a service's.
const THREADS_MAX: usize = 4;

type Found = Result<Vec<IpAddr>, NetError>;

/// Finds the addresses of a name; it may block.
type Resolve = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// The look-ups of one engine. Cloning the handle shares them.
#[derive(Clone)]
pub(super) struct Names {
    threads: Threads,
    resolve: Arc<Resolve>,
    under_way: Arc<Mutex<BTreeMap<String, LookUp>>>,
}

/// The running look-ups of one name, and the calls that wait for them.
#[derive(Default)]
struct LookUp {
    running: usize,
    waiting: Vec<oneshot::Sender<Found>>,
}

impl Names {
    /// Asks the system.
    pub(super) fn of_the_system() -> Self {
        Self::by(|host| {
            let found = (host, 0).to_socket_addrs()?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }

    pub(super) fn by(
        resolve: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            threads: Threads::new("sampan-names", THREADS_MAX),
            resolve: Arc::new(resolve),
            under_way: Arc::default(),
        }
    }

    /// The addresses of a host, in the resolver's order. A host that is an address is not looked up.
    pub(super) async fn find(&self, host: &str) -> Found {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        let answer = self.ask(host)?;
        // Each look-up answers, also one that panics: its senders are dropped then.
        answer.await.unwrap_or_else(|_| {
            Err(NetError::Unreachable {
                reason: "the name could not be looked up".to_owned(),
            })
        })
    }

    fn ask(&self, host: &str) -> Result<oneshot::Receiver<Found>, NetError> {
        let (done, answer) = oneshot::channel();
        let mut under_way = self.under_way();
        let look_up = under_way.entry(host.to_owned()).or_default();
        look_up.waiting.retain(|waiting| !waiting.is_closed());
        look_up.waiting.push(done);
        if look_up.running < LOOKUPS_MAX {
            look_up.running += 1;
            let (own, name) = (self.clone(), host.to_owned());
            let begun = self.threads.run(Box::new(move || own.look_up(&name)));
            if begun.is_err() {
                under_way.remove(host);
                return Err(NetError::Unreachable {
                    reason: "there is no thread to look the name up".to_owned(),
                });
            }
        }
        Ok(answer)
    }

    fn look_up(&self, host: &str) {
        let ended = Ended(self, host);
        let found = (self.resolve)(host).map_err(|error| NetError::Unreachable {
            reason: error.to_string(),
        });
        let waiting = ended.waiting_for(&found);
        drop(ended);
        for done in waiting {
            // A caller that gave up is not told.
            let _ = done.send(found.clone());
        }
    }

    /// The sections under this lock change the map and nothing else.
    fn under_way(&self) -> MutexGuard<'_, BTreeMap<String, LookUp>> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A look-up that is counted until this is dropped, also by a panic of the resolver.
struct Ended<'a>(&'a Names, &'a str);

impl Ended<'_> {
    /// The callers that wait: an address answers all of them; a failure does so only if no other look-up runs.
    fn waiting_for(&self, found: &Found) -> Vec<oneshot::Sender<Found>> {
        let mut under_way = self.0.under_way();
        match under_way.get_mut(self.1) {
            Some(look_up) if found.is_ok() || look_up.running == 1 => {
                std::mem::take(&mut look_up.waiting)
            }
            _ => Vec::new(),
        }
    }
}

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        let mut under_way = self.0.under_way();
        if let Some(look_up) = under_way.get_mut(self.1) {
            look_up.running -= 1;
            if look_up.running == 0 {
                under_way.remove(self.1);
            }
        }
    }
}

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Names(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Duration;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);
    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    type Answer = Sender<io::Result<Vec<IpAddr>>>;

    /// Names whose look-ups come out of the receiver and are answered by hand.
    fn names() -> (Names, Receiver<(String, Answer)>) {
        let (asked, questions) = channel();
        let asked = Mutex::new(asked);
        let names = Names::by(move |host| {
            let (answer, answered) = channel();
            let question = (host.to_owned(), answer);
            asked.lock().unwrap().send(question).unwrap();
            answered
                .recv()
                .expect("an answer, or a panic of this thread")
        });
        (names, questions)
    }

    fn next(questions: &Receiver<(String, Answer)>) -> Answer {
        questions.recv_timeout(PATIENCE).unwrap().1
    }

    #[tokio::test]
    async fn an_address_is_found_without_asking_anybody() {
        let (names, questions) = names();
        assert_eq!(names.find("127.0.0.1").await, Ok(vec![HERE]));
        assert!(names.find("::1").await.unwrap()[0].is_ipv6());
        assert!(questions.try_recv().is_err());
    }

    /// A silent name server, and the network lost and back five times.
    #[tokio::test]
    async fn a_name_that_is_asked_for_again_and_again_keeps_two_threads_at_most() {
        let (names, questions) = names();
        for _ in 0..5 {
            // The engine gives up a look-up when it hears of another network.
            drop(names.ask("chat.example.org").unwrap());
        }
        let stuck = [next(&questions), next(&questions)];
        let waits = names.ask("chat.example.org").unwrap();
        assert!(questions.try_recv().is_err(), "no third look-up");
        let [first, second] = stuck;
        first.send(Err(io::ErrorKind::TimedOut.into())).unwrap();
        second.send(Ok(vec![HERE])).unwrap();
        assert_eq!(waits.await.unwrap(), Ok(vec![HERE]));
        // Another name does not wait for it, and everything is as at the beginning.
        let other = names.ask("router.example.org").unwrap();
        next(&questions).send(Ok(vec![HERE])).unwrap();
        assert_eq!(other.await.unwrap(), Ok(vec![HERE]));
        while !names.under_way().is_empty() {
            std::thread::yield_now();
        }
    }

    #[tokio::test]
    async fn a_failure_is_told_when_nobody_looks_any_more_and_a_panic_is_one() {
        let (names, questions) = names();
        let waits = names.ask("nowhere.example.org").unwrap();
        next(&questions)
            .send(Err(io::ErrorKind::NotFound.into()))
            .unwrap();
        assert!(matches!(
            waits.await.unwrap(),
            Err(NetError::Unreachable { .. })
        ));
        let waits = names.ask("nowhere.example.org").unwrap();
        drop(next(&questions));
        assert!(waits.await.is_err(), "the resolver panicked");
    }
}
