// What an engine is told of the device around it: network, background, foreground.

import SampanCore

/// What the operating system says.
public enum SystemWord: Sendable, Equatable {
    /// The app is in front.
    case foreground
    /// The app went to the background.
    case background
    /// The network changed.
    case network(NetworkChange)
}

/// What a `SystemFollower` drives: an `Engine`, or a test's own.
public protocol Followed: Sendable {
    func pause() async throws
    func resume() async throws
    func networkChanged(change: NetworkChange) async throws
}

extension Engine: Followed {}

/// Tells an engine what the operating system says, in order and one word at a time.
///
/// `hear` never waits. Of words that wait the last one of a kind holds: an app that came back before its
/// engine was paused is not paused at all.
public actor SystemFollower {
    private let followed: any Followed
    private var isInFront: Bool?
    private var network: NetworkChange?
    private var isBusy = false

    public init(_ followed: any Followed) {
        self.followed = followed
    }

    /// Takes a word of the operating system and returns when it, and what waited, was passed on.
    public func hear(_ word: SystemWord) async {
        switch word {
        case .foreground: isInFront = true
        case .background: isInFront = false
        case .network(let change): network = change
        }
        guard !isBusy else { return }
        isBusy = true
        defer { isBusy = false }
        while isInFront != nil || network != nil {
            let (front, change) = (isInFront, network)
            (isInFront, network) = (nil, nil)
            // An engine that was shut down follows nothing.
            if let change { try? await followed.networkChanged(change: change) }
            switch front {
            case true?: try? await followed.resume()
            case false?: try? await followed.pause()
            case nil: break
            }
        }
    }
}

#if canImport(UIKit) && canImport(Network)
    import Network
    import UIKit

    /// Follows the app's life and the network's paths until it is let go.
    @MainActor public final class SystemObservation {
        private let follower: SystemFollower
        private let monitor = NWPathMonitor()
        private var observers: [any NSObjectProtocol] = []

        init(_ engine: Engine) {
            follower = SystemFollower(engine)
            watch(UIApplication.didEnterBackgroundNotification, .background)
            watch(UIApplication.willEnterForegroundNotification, .foreground)
            let paths = Paths()
            monitor.pathUpdateHandler = { [follower] path in
                guard let change = paths.change(path) else { return }
                Task { await follower.hear(.network(change)) }
            }
            monitor.start(queue: DispatchQueue(label: "sampan.path"))
        }

        deinit {
            monitor.cancel()
            for observer in observers { NotificationCenter.default.removeObserver(observer) }
        }

        /// The system grants a little time after the app went to the background: pausing uses it.
        private func watch(_ name: Notification.Name, _ word: SystemWord) {
            let center = NotificationCenter.default
            let observer = center.addObserver(forName: name, object: nil, queue: .main) {
                [follower] _ in
                MainActor.assumeIsolated {
                    let app = UIApplication.shared
                    let time = app.beginBackgroundTask(withName: "sampan")
                    Task { @MainActor in
                        await follower.hear(word)
                        app.endBackgroundTask(time)
                    }
                }
            }
            observers.append(observer)
        }
    }

    /// What a new path means, beside the one before. It is asked on one queue.
    private final class Paths: @unchecked Sendable {
        private var last: (isUp: Bool, interface: NWInterface?)?

        func change(_ path: NWPath) -> NetworkChange? {
            let now = (isUp: path.status == .satisfied, interface: path.availableInterfaces.first)
            defer { last = now }
            guard let last else { return nil }
            switch (last.isUp, now.isUp) {
            case (true, false): return .lost
            case (false, true): return .back
            case (true, true): return last.interface == now.interface ? nil : .switched
            case (false, false): return nil
            }
        }
    }

    extension Engine {
        /// Has the engine follow the app: it is paused in the background, it resumes in front, and it hears
        /// of the network's changes. Call it once and keep what it returns as long as it shall last.
        @MainActor public func followSystem() -> SystemObservation {
            SystemObservation(self)
        }
    }
#endif
