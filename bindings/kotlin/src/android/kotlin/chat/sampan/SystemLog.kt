// Android: the engine's log in the log of the system.
package chat.sampan

import android.util.Log

/**
 * Writes the engine's log records to the system's log: `setLogSink(SystemLog(), LogLevel.INFO)`. The records hold
 * no texts of messages and no secrets.
 */
class SystemLog(private val tag: String = "sampan") : LogSink {
    override fun log(records: List<LogRecord>, dropped: Int) {
        for (record in records) Log.println(record.level.priority, tag, "${record.target}: ${record.text}")
        if (dropped > 0) Log.println(Log.WARN, tag, "$dropped notes were dropped")
    }
}

private val LogLevel.priority: Int
    get() = when (this) {
        LogLevel.ERROR -> Log.ERROR
        LogLevel.WARN -> Log.WARN
        LogLevel.INFO -> Log.INFO
        LogLevel.DEBUG -> Log.DEBUG
    }
