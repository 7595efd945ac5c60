// As much of UIKit as the layer names, for compiling it where there is none. An app never sees it.

@_exported import Foundation

public struct UIBackgroundTaskIdentifier: Sendable {}

@MainActor public final class UIApplication {
    public static let shared = UIApplication()
    public nonisolated static let didEnterBackgroundNotification = Notification.Name("background")
    public nonisolated static let willEnterForegroundNotification = Notification.Name("foreground")

    public func beginBackgroundTask(
        withName name: String?, expirationHandler: (@MainActor @Sendable () -> Void)?
    ) -> UIBackgroundTaskIdentifier {
        UIBackgroundTaskIdentifier()
    }

    public func endBackgroundTask(_ identifier: UIBackgroundTaskIdentifier) {}
}
