//! One page after the other from a service: at the pace, with repeats. Fatal errors are distinguished from
//! errors that pass.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::error::CrawlError;
use super::options::CrawlOptions;
use super::progress::Progress;
use crate::archive::{Digest, Page};
use crate::clock::wall_millis;
use crate::core::pace::Pace;
use crate::core::page::{self, PageError};
use crate::core::slice::Request;
use crate::http::{Answer, Fatal, Server, Verdict, judge};

/// Bytes of a page: a thousand rows of the longest messages are a tenth of it.
const PAGE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Refusals of one page as "too many" before it is left for the next run.
const LIMITED_MAX: u32 = 60;

/// The longest wait before a page is asked for again.
const RETRY_WAIT_MAX: Duration = Duration::from_secs(60);

/// The service that pages come from, and the pace of its requests.
pub(super) struct Source {
    server: Server,
    pace: Mutex<Pace>,
    start: Instant,
    tries: u32,
    retry_wait: Duration,
    keeps_addresses: bool,
    progress: Progress,
    stop: watch::Receiver<bool>,
}

/// A page and its content as `read` understood it.
pub(super) struct Fetched<T> {
    pub(super) page: Page,
    pub(super) read: T,
}

/// The outcome of one try.
enum Try<T> {
    Done(Fetched<T>),
    Again { reason: String, is_counted: bool },
}

impl Source {
    pub(super) fn new(
        server: Server,
        options: &CrawlOptions,
        progress: Progress,
        stop: watch::Receiver<bool>,
    ) -> Self {
        Self {
            server,
            pace: Mutex::new(Pace::new(options.limits)),
            start: Instant::now(),
            tries: options.tries.max(1),
            retry_wait: options.retry_wait,
            keeps_addresses: options.keeps_addresses,
            progress,
            stop,
        }
    }

    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// True if the run is asked to end.
    pub(super) fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Waits, at most until the run is asked to end.
    pub(super) async fn rest(&self, wait: Duration) {
        let mut stop = self.stop.clone();
        // The sender lives as long as the run; if it is gone, there is nothing to wait for.
        let _ = tokio::time::timeout(wait, stop.wait_for(|stop| *stop)).await;
    }

    /// Asks until `read` understands the body; none when the run is asked to end meanwhile. The answer "gone"
    /// is a page too, with status 404 and `read` of an empty list.
    pub(super) async fn page<T>(
        &self,
        request: &Request,
        read: impl Fn(&str) -> Result<T, PageError>,
    ) -> Result<Option<Fetched<T>>, CrawlError> {
        let (mut tries, mut limited, mut wait) = (0, 0, self.retry_wait);
        loop {
            self.await_turn().await;
            if self.is_stopping() {
                return Ok(None);
            }
            match self.try_once(request, &read).await? {
                Try::Done(fetched) => return Ok(Some(fetched)),
                Try::Again { reason, is_counted } => {
                    tries += u32::from(is_counted);
                    limited += u32::from(!is_counted);
                    if tries >= self.tries || limited >= LIMITED_MAX {
                        let what = request.target();
                        return Err(CrawlError::GivenUp {
                            what,
                            reason,
                            tries: tries + limited,
                        });
                    }
                    self.progress.trouble(&reason);
                    if is_counted {
                        self.rest(wait).await;
                        wait = (wait * 2).min(RETRY_WAIT_MAX);
                    }
                }
            }
        }
    }

    async fn try_once<T>(
        &self,
        request: &Request,
        read: &impl Fn(&str) -> Result<T, PageError>,
    ) -> Result<Try<T>, CrawlError> {
        let (started, asked_at) = (self.start.elapsed(), wall_millis());
        let answer = match self.server.ask(&request.target(), PAGE_BYTES_MAX).await {
            Ok(answer) => answer,
            Err(error) => {
                self.pace(|pace, now| pace.failed(started, now));
                return Ok(Try::Again {
                    reason: error.to_string(),
                    is_counted: true,
                });
            }
        };
        match judge(&answer, self.server.key()) {
            Verdict::Good => {}
            Verdict::Gone(reason) => {
                if request.path == "/1.2/rtm/messages" {
                    return Err(Fatal::NoHistory(reason).into());
                }
            }
            Verdict::Limited(asked) => {
                self.pace(|pace, now| pace.limited(started, now, asked));
                let reason = "the service asks for fewer requests".to_owned();
                return Ok(Try::Again {
                    reason,
                    is_counted: false,
                });
            }
            Verdict::Unwell(reason) => {
                self.pace(|pace, now| pace.failed(started, now));
                return Ok(Try::Again {
                    reason,
                    is_counted: true,
                });
            }
            Verdict::Fatal(fatal) => return Err(fatal.into()),
        }
        match self.read(request, asked_at, &answer, read) {
            Ok(fetched) => {
                self.pace(|pace, now| pace.succeeded(now));
                Ok(Try::Done(fetched))
            }
            Err(error) => {
                self.pace(|pace, now| pace.failed(started, now));
                Ok(Try::Again {
                    reason: error.to_string(),
                    is_counted: true,
                })
            }
        }
    }

    fn read<T>(
        &self,
        request: &Request,
        asked_at: i64,
        answer: &Answer,
        read: &impl Fn(&str) -> Result<T, PageError>,
    ) -> Result<Fetched<T>, PageError> {
        let body = str::from_utf8(&answer.body)
            .map_err(|_| PageError::Json("it is not UTF-8".to_owned()))?;
        let is_gone = answer.status == 404;
        let read = read(if is_gone { "[]" } else { body })?;
        let kept = match self.keeps_addresses || is_gone {
            true => None,
            false => page::without_addresses(body)?,
        };
        Ok(Fetched {
            page: Page {
                request: request.clone(),
                asked_at,
                answered_at: answer.date,
                status: answer.status,
                received: Digest::of(&answer.body),
                kept: kept.as_ref().map(|kept| Digest::of(kept.as_bytes())),
                body: kept.unwrap_or_else(|| body.to_owned()),
            },
            read,
        })
    }

    /// Waits for this request's turn. A cool-down that another request meets meanwhile holds for this request
    /// too.
    async fn await_turn(&self) {
        let mut at = self.pace(Pace::reserve);
        loop {
            let now = self.start.elapsed();
            if at > now {
                self.rest(at - now).await;
            }
            let held = self.pace(|pace, now| pace.held_until().filter(|until| *until > now));
            match held {
                Some(_) if !self.is_stopping() => at = self.pace(Pace::reserve),
                _ => return,
            }
        }
    }

    fn pace<T>(&self, change: impl FnOnce(&mut Pace, Duration) -> T) -> T {
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        let value = change(&mut pace, self.start.elapsed());
        self.progress.pace(pace.per_minute());
        value
    }
}
