// Events as an asynchronous sequence.

import Dispatch
import SampanCore

/// The events, one by one. Each loop over the sequence is a subscription of its own. The subscription begins with the
/// loop and ends when the loop is left or its task is cancelled.
///
/// A loop that is slower than the events gets `.lagged` instead of the events that it missed; the app then reads its
/// screens again.
public struct Events: AsyncSequence, Sendable {
    public typealias Element = Event
    public typealias Failure = Never

    let subscribe: @Sendable (any EventObserver) throws -> EventSubscription

    public func makeAsyncIterator() -> Iterator {
        let (batches, feed) = AsyncStream.makeStream(of: [Event].self)
        let relay = Relay(feed)
        // Without a thread for the observer there are no events: the sequence ends at once.
        let subscription = try? subscribe(relay)
        if subscription == nil { relay.close() }
        return Iterator(batches.makeAsyncIterator(), Watch(relay, subscription))
    }

    public struct Iterator: AsyncIteratorProtocol {
        private var batches: AsyncStream<[Event]>.Iterator
        private var batch: ArraySlice<Event> = []
        private let watch: Watch

        init(_ batches: AsyncStream<[Event]>.Iterator, _ watch: Watch) {
            self.batches = batches
            self.watch = watch
        }

        public mutating func next() async -> Event? {
            while batch.isEmpty {
                guard let next = await batches.next() else { return nil }
                watch.relay.taken()
                batch = next[...]
            }
            return batch.popFirst()
        }
    }
}

/// Passes batches from the engine's thread to a loop, one at a time. While the loop is busy the engine's own queue fills,
/// and the engine reports missed events.
final class Relay: EventObserver {
    private let feed: AsyncStream<[Event]>.Continuation
    private let room = DispatchSemaphore(value: 0)

    init(_ feed: AsyncStream<[Event]>.Continuation) {
        self.feed = feed
    }

    func onEvents(events: [Event]) throws {
        if case .terminated = feed.yield(events) { return }
        room.wait()
    }

    func taken() {
        room.signal()
    }

    func close() {
        feed.finish()
        room.signal()
    }
}

/// Ends the subscription with the iterator, whichever way the loop was left. The relay cannot do this, because the engine
/// holds the relay.
final class Watch: Sendable {
    let relay: Relay
    private let subscription: EventSubscription?

    init(_ relay: Relay, _ subscription: EventSubscription?) {
        self.relay = relay
        self.subscription = subscription
    }

    deinit {
        subscription?.cancel()
        relay.close()
    }
}

extension Client {
    /// The events of this client from now on.
    public var events: Events { Events { [self] in try observe(observer: $0) } }
}

extension Engine {
    /// The events of all clients from now on.
    public var events: Events { Events { [self] in try observe(observer: $0) } }
}
