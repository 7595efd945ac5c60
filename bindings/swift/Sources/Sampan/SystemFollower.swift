// Reports of the operating system to an engine: network, background, foreground.

import Foundation
import SampanCore

/// A report of the operating system.
public enum SystemWord: Sendable, Equatable {
    /// The app is in the foreground.
    case foreground
    /// The app went to the background.
    case background
    /// The network changed.
    case network(NetworkChange)
}

/// The object that a `SystemFollower` drives: an `Engine`, or a test's own.
public protocol Followed: Sendable {
    func pause() async throws
    func resume() async throws
    func networkChanged(change: NetworkChange) async throws
}

extension Engine: Followed {}

/// Passes the reports of the operating system to an engine, in order and one at a time.
///
/// `hear` does not wait. When several reports of one kind wait, only the last one counts: an app that came back
/// before its engine was paused is not paused at all.
public actor SystemFollower {
    private let followed: any Followed
    private var isInFront: Bool?
    private var network: NetworkChange?
    private var isBusy = false

    public init(_ followed: any Followed) {
        self.followed = followed
    }

    /// Takes a report of the operating system, and returns when all waiting reports were passed on.
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
            // An engine that was shut down takes no more reports.
            if let change { try? await followed.networkChanged(change: change) }
            switch front {
            case true?: try? await followed.resume()
            case false?: try? await followed.pause()
            case nil: break
            }
        }
    }
}

/// A device's path to the network, as a path monitor reports it.
struct NetworkPath: Equatable, Sendable {
    /// True if there is a path.
    let isUp: Bool
    /// The name of the path's first interface.
    let interface: String?
}

/// Compares each path with the one before. The first path is the one with which the engine began.
final class PathWatch: @unchecked Sendable {
    private let lock = NSLock()
    private var last: NetworkPath?

    /// The change that a new path means for the engine; nil where the change does not concern a connection.
    func change(to now: NetworkPath) -> NetworkChange? {
        lock.lock()
        defer { lock.unlock() }
        let before = last
        last = now
        guard let before else { return nil }
        switch (before.isUp, now.isUp) {
        case (true, false): return .lost
        case (false, true): return .back
        case (true, true): return before.interface == now.interface ? nil : .switched
        case (false, false): return nil
        }
    }
}

#if canImport(Network)
    import Network

    /// Follows the network's paths and, on iOS, the app's life, until the follower is released.
    @MainActor public final class SystemObservation {
        private let follower: SystemFollower
        private let paths: PathMonitor
        private let life: AnyObject?

        init(_ engine: Engine) {
            let follower = SystemFollower(engine)
            self.follower = follower
            paths = PathMonitor(follower)
            #if canImport(UIKit)
                life = LifeObservers(follower)
            #else
                life = nil
            #endif
        }
    }

    /// Passes the system's paths to a follower.
    private final class PathMonitor: Sendable {
        private let monitor = NWPathMonitor()

        init(_ follower: SystemFollower) {
            let watch = PathWatch()
            monitor.pathUpdateHandler = { path in
                let now = NetworkPath(
                    isUp: path.status == .satisfied, interface: path.availableInterfaces.first?.name)
                guard let change = watch.change(to: now) else { return }
                Task { await follower.hear(.network(change)) }
            }
            monitor.start(queue: DispatchQueue(label: "sampan.path"))
        }

        deinit {
            monitor.cancel()
        }
    }

    extension Engine {
        /// Makes the engine follow the device: it gets the network's changes and, on iOS, pauses in the background and
        /// resumes in the foreground. Call this once. The engine follows as long as the returned object is kept.
        @MainActor public func followSystem() -> SystemObservation {
            SystemObservation(self)
        }
    }
#endif

#if canImport(Network) && canImport(UIKit)
    import UIKit

    /// Receives the app's changes to the background and back.
    private final class LifeObservers: @unchecked Sendable {
        // Written by `init` alone.
        private let observers: [any NSObjectProtocol]

        @MainActor init(_ follower: SystemFollower) {
            observers = [
                Self.observer(UIApplication.didEnterBackgroundNotification, .background, follower),
                Self.observer(UIApplication.willEnterForegroundNotification, .foreground, follower),
            ]
        }

        deinit {
            for observer in observers { NotificationCenter.default.removeObserver(observer) }
        }

        /// The system grants a little time after the app went to the background; pausing uses that time.
        @MainActor private static func observer(
            _ name: Notification.Name, _ word: SystemWord, _ follower: SystemFollower
        ) -> any NSObjectProtocol {
            NotificationCenter.default.addObserver(forName: name, object: nil, queue: .main) { _ in
                MainActor.assumeIsolated {
                    let app = UIApplication.shared
                    let time = app.beginBackgroundTask(withName: "sampan", expirationHandler: nil)
                    Task { @MainActor in
                        await follower.hear(word)
                        app.endBackgroundTask(time)
                    }
                }
            }
        }
    }
#endif
