//! The suite that each fan-out has to pass: order, nothing twice, no hole, and no receiver that waits for
//! another. A fan-out joins by a [`Backend`].

use super::*;
use crate::core::Gap;

/// A kind of fan-out under test.
trait Backend {
    /// The way in.
    fn bus(&self) -> &dyn FanOut;

    /// A new connection.
    fn open(&mut self, connection: u64);

    /// The next thing for a connection, after all that was delivered so far has had time to arrive.
    fn read(&mut self, connection: u64) -> Read;

    /// The connection ends.
    fn close(&mut self, connection: u64);

    /// An HTTP request waits from now on.
    fn expect(&mut self, ticket: u64);

    /// The answer that came for it, if one did.
    fn answer(&mut self, ticket: u64) -> Option<RestAnswer>;
}

/// The next thing for a connection.
#[derive(Debug, PartialEq, Eq)]
enum Read {
    Bytes(Vec<u8>),
    /// The connection is closed with a code.
    Close,
    /// Nothing waits.
    Nothing,
    /// The connection is to end at once.
    Ended,
}

#[derive(Default)]
struct Local {
    outlets: Arc<LocalFanOut>,
    queues: HashMap<u64, Queue>,
    answers: HashMap<u64, oneshot::Receiver<RestAnswer>>,
}

impl Backend for Local {
    fn bus(&self) -> &dyn FanOut {
        &*self.outlets
    }

    fn open(&mut self, connection: u64) {
        let queue = self.outlets.open(ConnectionId(connection));
        self.queues.insert(connection, queue);
    }

    fn read(&mut self, connection: u64) -> Read {
        let queue = self.queues.get_mut(&connection).unwrap();
        match self.outlets.pop(ConnectionId(connection)) {
            None => Read::Ended,
            Some(None) => Read::Nothing,
            Some(Some(next)) => {
                queue.taken(next.weight());
                match next {
                    Outgoing::Write { bytes, .. } => Read::Bytes(bytes),
                    Outgoing::Close(_) => Read::Close,
                }
            }
        }
    }

    fn close(&mut self, connection: u64) {
        self.outlets.close(ConnectionId(connection));
    }

    fn expect(&mut self, ticket: u64) {
        let answer = self.outlets.expect(Ticket(ticket));
        self.answers.insert(ticket, answer);
    }

    fn answer(&mut self, ticket: u64) -> Option<RestAnswer> {
        self.answers.get_mut(&ticket)?.try_recv().ok()
    }
}

/// Makes a test of each rule for each fan-out.
macro_rules! suite {
    ($($rule:ident),* $(,)?) => {
        mod local {
            $(#[test] fn $rule() { super::$rule(super::Local::default()); })*
        }
    };
}

suite!(
    commands_come_once_and_in_their_order_to_their_connection_alone,
    a_close_comes_behind_the_commands_before_it,
    a_connection_that_has_gone_harms_nobody,
    an_answer_comes_to_its_request_once,
    a_connection_that_reads_nothing_holds_up_nobody_and_is_left_no_hole,
);

fn write(number: u32, padding: usize) -> Outgoing {
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.resize(4 + padding, 0);
    Outgoing::Write {
        bytes,
        gap: Gap::None,
        spare: false,
    }
}

fn to(connection: u64, next: Outgoing) -> Outbound {
    Outbound::To(ConnectionId(connection), next)
}

/// Reads until nothing waits; answers the numbers, and the last thing that is no command.
fn drain(backend: &mut impl Backend, connection: u64) -> (Vec<u32>, Read) {
    let mut numbers = Vec::new();
    loop {
        match backend.read(connection) {
            Read::Bytes(bytes) => {
                let number = bytes.first_chunk::<4>().unwrap();
                numbers.push(u32::from_be_bytes(*number));
            }
            end => return (numbers, end),
        }
    }
}

fn commands_come_once_and_in_their_order_to_their_connection_alone(mut backend: impl Backend) {
    (1..4).for_each(|connection| backend.open(connection));
    for round in 0..50 {
        let number = |n: u32| round * 10 + n;
        let some = [(1, 0), (2, 1), (1, 2), (3, 3), (2, 4), (1, 5)];
        let effects = some.map(|(connection, n)| to(connection, write(number(n), 0)));
        backend.bus().deliver(effects.into());
        if round == 20 {
            // Messages that were read in between do not come again.
            assert_eq!(drain(&mut backend, 1).0.len(), 63);
        }
    }
    let expected = |of: &[u32], from: u32| -> Vec<u32> {
        (from..50)
            .flat_map(|round| of.iter().map(move |n| round * 10 + n))
            .collect()
    };
    assert_eq!(
        drain(&mut backend, 1),
        (expected(&[0, 2, 5], 21), Read::Nothing)
    );
    assert_eq!(
        drain(&mut backend, 2),
        (expected(&[1, 4], 0), Read::Nothing)
    );
    assert_eq!(drain(&mut backend, 3), (expected(&[3], 0), Read::Nothing));
}

fn a_close_comes_behind_the_commands_before_it(mut backend: impl Backend) {
    backend.open(1);
    let close = Outgoing::Close(CloseCode::READ_TIMEOUT);
    let effects = vec![to(1, write(1, 0)), to(1, write(2, 0)), to(1, close)];
    backend.bus().deliver(effects);
    assert_eq!(drain(&mut backend, 1), (vec![1, 2], Read::Close));
}

fn a_connection_that_has_gone_harms_nobody(mut backend: impl Backend) {
    backend.open(1);
    backend.open(2);
    backend
        .bus()
        .deliver(vec![to(1, write(1, 0)), to(2, write(2, 0))]);
    backend.close(1);
    let effects = vec![to(1, write(3, 0)), to(99, write(4, 0)), to(2, write(5, 0))];
    backend.bus().deliver(effects);
    assert_eq!(drain(&mut backend, 1), (Vec::new(), Read::Ended));
    assert_eq!(drain(&mut backend, 2), (vec![2, 5], Read::Nothing));
}

fn an_answer_comes_to_its_request_once(mut backend: impl Backend) {
    let answer = |ticket, status| {
        let answer = Box::new(RestAnswer::refused(status, 1, "a test"));
        Outbound::Answer(Ticket(ticket), answer)
    };
    backend.expect(1);
    backend.expect(2);
    let effects = vec![
        answer(9, 400),
        answer(2, 402),
        answer(1, 401),
        answer(1, 409),
    ];
    backend.bus().deliver(effects);
    let status = |answer: Option<RestAnswer>| answer.map(|it| it.status);
    assert_eq!(status(backend.answer(1)), Some(401));
    assert_eq!(status(backend.answer(2)), Some(402));
    assert_eq!(status(backend.answer(1)), None);
}

fn a_connection_that_reads_nothing_holds_up_nobody_and_is_left_no_hole(mut backend: impl Backend) {
    backend.open(1);
    backend.open(2);
    for number in 0..400 {
        let effects = vec![to(1, write(number, 100_000)), to(2, write(number, 0))];
        backend.bus().deliver(effects);
        assert_eq!(drain(&mut backend, 2), (vec![number], Read::Nothing));
    }
    // The receiver has all of it, or a beginning and its end.
    let (numbers, end) = drain(&mut backend, 1);
    let whole: Vec<u32> = (0..400).collect();
    assert!(whole.starts_with(&numbers), "{numbers:?}");
    assert!(numbers.len() == 400 || end == Read::Ended, "{end:?}");
}
