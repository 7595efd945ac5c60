// A service of the test's own.

import Foundation
import Sampan

/// `sampan-service` in a process of its own, on a free port; its program is named by
/// SAMPAN_SERVICE_BIN. It ends with the object.
final class ServiceProcess {
    let url: String
    private let process = Process()

    /// `settings` is the JSON of the service's settings file.
    init(data: URL, settings: String? = nil) throws {
        let program = ProcessInfo.processInfo.environment["SAMPAN_SERVICE_BIN"] ?? ""
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = [
            "--listen", "127.0.0.1:0", "--data", data.path, "--app", "swift:swift-key:swift-master",
        ]
        if let settings {
            let file = data.appendingPathExtension("json")
            try settings.write(to: file, atomically: true, encoding: .utf8)
            process.arguments? += ["--settings", file.path]
        }
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let line = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
        url = line.split(separator: " ").last.map { $0.trimmingCharacters(in: .newlines) } ?? ""
    }

    deinit {
        // A worker thread of Swift's holds the polite signals back, and its child inherits that.
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }
}

/// A folder that goes away with the object.
final class Scratch {
    let folder: URL

    init() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    deinit {
        try? FileManager.default.removeItem(at: folder)
    }

    /// An engine with a folder of its own; without a URL it finds nobody.
    func engine(_ device: String, url: String = "http://127.0.0.1:9") throws -> Engine {
        try Engine.open(config: config(device, url: url))
    }

    func config(_ device: String, url: String = "http://127.0.0.1:9") -> Config {
        let root = folder.appendingPathComponent(device)
        var config = Config(
            appId: "swift", appKey: "swift-key", server: .router(url: url), storeRoot: root)
        config.limits = selfHostedLimits()
        return config
    }
}
