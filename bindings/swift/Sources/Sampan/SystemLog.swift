// The engine's log in the log of the system, on Apple's systems.

import SampanCore

/// A log record as a log shows it.
struct LogLine: Equatable {
    let level: LogLevel
    let text: String
}

extension LogLine {
    /// The lines for a batch of records; the last line has the number of dropped records, if there are any.
    static func lines(_ records: [LogRecord], dropped: Int) -> [LogLine] {
        let lines = records.map { LogLine(level: $0.level, text: "\($0.target): \($0.text)") }
        guard dropped > 0 else { return lines }
        return lines + [LogLine(level: .warn, text: "\(dropped) notes were dropped")]
    }
}

#if canImport(os)
    import os

    /// Writes the engine's log records to the system's log: `try setLogSink(sink: SystemLog(), level: .info)`. The records
    /// hold no texts of messages and no secrets, so the system's log shows them in full.
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
