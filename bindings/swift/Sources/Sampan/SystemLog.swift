// The engine's notes in the log of the system, where Apple's is.

import SampanCore

/// A note as a log shows it.
struct LogLine: Equatable {
    let level: LogLevel
    let text: String
}

extension LogLine {
    /// The lines for notes that came together; the last one says how many were dropped, if any were.
    static func lines(_ records: [LogRecord], dropped: Int) -> [LogLine] {
        let lines = records.map { LogLine(level: $0.level, text: "\($0.target): \($0.text)") }
        guard dropped > 0 else { return lines }
        return lines + [LogLine(level: .warn, text: "\(dropped) notes were dropped")]
    }
}

#if canImport(os)
    import os

    /// Writes the engine's notes to the system's log: `try setLogSink(sink: SystemLog(), level: .info)`. The
    /// notes hold no words of messages and no secrets, so they are written in the open.
    public final class SystemLog: LogSink {
        private let logger: Logger

        public init(subsystem: String = "chat.sampan", category: String = "engine") {
            logger = Logger(subsystem: subsystem, category: category)
        }

        public func log(records: [LogRecord], dropped: Int) throws {
            for line in LogLine.lines(records, dropped: dropped) {
                logger.log(level: line.level.type, "\(line.text, privacy: .public)")
            }
        }
    }

    extension LogLevel {
        fileprivate var type: OSLogType {
            switch self {
            case .error: .error
            case .warn: .default
            case .info: .info
            case .debug: .debug
            }
        }
    }
#endif
