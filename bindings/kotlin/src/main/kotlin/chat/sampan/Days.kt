// Days and runs: the places of a screen's separators. These are pure functions over items, because the time
// zone belongs to the screen and may change while the engine runs.
package chat.sampan

import java.time.Duration
import java.time.LocalDate
import java.time.ZoneId

/** The items of one day. [date] is null only where no item of a timeline has a time. */
data class TimelineDay(val date: LocalDate?, val items: List<TimelineItem>)

/**
 * The items by the day of their messages, in a time zone. A gap or a mark belongs to the day of the message
 * after it; after the last message it belongs to that message's day.
 */
fun List<TimelineItem>.days(zone: ZoneId = ZoneId.systemDefault()): List<TimelineDay> {
    val dates = map { item -> item.message?.sentAt?.atZone(zone)?.toLocalDate() }.toMutableList()
    for (at in dates.indices.reversed()) {
        if (dates[at] == null) dates[at] = dates.getOrNull(at + 1)
    }
    val days = ArrayList<TimelineDay>()
    var open = ArrayList<TimelineItem>()
    var date: LocalDate? = null
    for ((item, own) in zip(dates)) {
        val day = own ?: date
        if (open.isNotEmpty() && day != date) {
            days.add(TimelineDay(date, open))
            open = ArrayList()
        }
        date = day
        open.add(item)
    }
    if (open.isNotEmpty()) days.add(TimelineDay(date, open))
    return days
}

/**
 * True if the item at an index begins a run: the message before it has another sender, or is more than [within]
 * older. A screen shows the sender's name at the beginning of a run.
 */
fun List<TimelineItem>.beginsRun(at: Int, within: Duration = Duration.ofMinutes(5)): Boolean {
    val message = getOrNull(at)?.message ?: return false
    val before = getOrNull(at - 1)?.message ?: return true
    return before.sender != message.sender || Duration.between(before.sentAt, message.sentAt) > within
}
