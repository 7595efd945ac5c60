//! The operations of each client, and of each app, in the current minute.

use std::collections::BTreeMap;
use std::time::Duration;

use sampan::model::{AppId, ClientId};
use sampan::wire::ServiceCode;

use crate::core::apps::rates::{Counted, Rates};
use crate::core::exchange::refusal::Refusal;

/// The time over which is counted.
const MINUTE: Duration = Duration::from_secs(60);

/// Counts are looked through for those whose minute is over when there are this many, and twice as
/// many as were left the last time.
const LOOK_AT: usize = 1024;

/// Whose operations are counted: a client's, or without one the app's.
type Whose = (AppId, Option<ClientId>, Counted);

#[derive(Debug)]
struct Count {
    since: Duration,
    operations: u64,
}

/// Counts of those who have a rate; others are not counted.
#[derive(Debug, Default)]
pub(in crate::core) struct Pace {
    counts: BTreeMap<Whose, Count>,
    look_at: usize,
}

impl Pace {
    /// Counts an operation; refuses it when it is one more than the rate.
    pub(in crate::core) fn count(
        &mut self,
        rates: &Rates,
        whose: (&AppId, Option<&ClientId>),
        counted: Counted,
        now: Duration,
    ) -> Result<(), Refusal> {
        let Some(rate) = rates.of(counted) else {
            return Ok(());
        };
        if self.counts.len() >= self.look_at.max(LOOK_AT) {
            self.counts.retain(|_, count| !count.is_over(now));
            self.look_at = self.counts.len() * 2;
        }
        let (app, client) = whose;
        let whose = (app.clone(), client.cloned(), counted);
        let count = self.counts.entry(whose).or_insert(Count {
            since: now,
            operations: 0,
        });
        if count.is_over(now) {
            (count.since, count.operations) = (now, 0);
        }
        if count.operations >= rate {
            let detail = format!("more than {rate} in a minute");
            return Err(Refusal::because(code(counted), detail));
        }
        count.operations += 1;
        Ok(())
    }
}

impl Count {
    fn is_over(&self, now: Duration) -> bool {
        now.saturating_sub(self.since) >= MINUTE
    }
}

const fn code(counted: Counted) -> ServiceCode {
    match counted {
        Counted::Send | Counted::AppSend | Counted::ServerSend => {
            ServiceCode::MESSAGE_SENT_QUOTA_EXCEEDED
        }
        Counted::Read | Counted::Other => ServiceCode::CONVERSATION_API_QUOTA_EXCEEDED,
        Counted::Opening => ServiceCode::APP_QUOTA_EXCEEDED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn send(pace: &mut Pace, client: &str, rate: u64, at: Duration) -> Option<i32> {
        let rates = Rates {
            sends: Some(rate),
            ..Rates::default()
        };
        let (app, client) = (AppId::new("a").unwrap(), ClientId::new(client).unwrap());
        let whose = (&app, Some(&client));
        let counted = pace.count(&rates, whose, Counted::Send, at);
        counted.err().map(|refusal| refusal.code.number())
    }

    #[test]
    fn what_is_over_the_rate_is_refused_until_the_minute_ends_and_counts_for_its_client_alone() {
        let mut pace = Pace::default();
        assert_eq!(send(&mut pace, "Tom", 2, SECOND), None);
        assert_eq!(send(&mut pace, "Tom", 2, 30 * SECOND), None);
        assert_eq!(send(&mut pace, "Tom", 2, 60 * SECOND), Some(4116));
        assert_eq!(send(&mut pace, "Jerry", 2, 60 * SECOND), None);
        assert_eq!(send(&mut pace, "Tom", 2, 61 * SECOND), None);
    }

    #[test]
    fn counts_of_clients_that_went_are_forgotten() {
        let mut pace = Pace::default();
        for number in 0..10_000_u32 {
            // Ten clients a second.
            send(&mut pace, &format!("c{number}"), 1, SECOND * (number / 10));
            assert!(pace.counts.len() <= 2 * LOOK_AT, "{}", pace.counts.len());
        }
    }
}
