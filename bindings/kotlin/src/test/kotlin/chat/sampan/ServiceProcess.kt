// A service of the test's own.
package chat.sampan

import java.nio.file.Path
import java.util.concurrent.TimeUnit
import kotlin.io.path.writeText

/**
 * `sampan-service` in a process of its own, on a free port; its program is named by
 * SAMPAN_SERVICE_BIN. `settings` is the JSON of its settings file.
 */
class ServiceProcess(data: Path, settings: String? = null) : AutoCloseable {
    private val process = ProcessBuilder(
        listOf(
            System.getenv("SAMPAN_SERVICE_BIN"),
            "--listen", "127.0.0.1:0",
            "--data", data.toString(),
            "--app", "kotlin:kotlin-key:kotlin-master",
        ) + settingsFlag(data, settings),
    ).redirectError(ProcessBuilder.Redirect.INHERIT).start()

    val url: String = process.inputReader().readLine().substringAfterLast(' ')

    override fun close() {
        process.destroy()
        process.waitFor(20, TimeUnit.SECONDS)
    }
}

private fun settingsFlag(data: Path, settings: String?): List<String> {
    if (settings == null) return emptyList()
    val file = data.resolveSibling("settings.json")
    return listOf("--settings", file.writeText(settings).let { file.toString() })
}

/** An engine with a folder of its own; without a URL it finds nobody. */
fun engine(folder: Path, device: String, url: String = "http://127.0.0.1:9"): Engine =
    Engine.open(config(folder, device, url))

fun config(folder: Path, device: String, url: String = "http://127.0.0.1:9"): Config {
    val root = folder.resolve(device).toFile()
    val config = Config("kotlin", HiddenText("kotlin-key"), ServerAddress.Router(url), root)
    return config.copy(limits = selfHostedLimits())
}

/** A client with an open session. */
suspend fun Engine.online(id: ClientId): Client = client(id).also {
    it.goOnline()
    it.waitOnline()
}

/** The words of a message that was added; null for any other event. */
fun Event.words(): String? = (this as? Event.MessageAdded)?.message?.content?.words()

/** The words of a message; null for an item that is none. */
fun TimelineItem.words(): String? = (kind as? TimelineItemKind.Message)?.message?.content?.words()

private fun MessageContent.words(): String? = (this as? MessageContent.Text)?.text
