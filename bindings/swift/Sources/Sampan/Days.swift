// Days and runs: the places of a screen's separators. These are pure functions over items, because the calendar
// and the time zone belong to the screen and may change while the engine runs.

import Foundation
import SampanCore

/// The items of one day.
public struct TimelineDay: Identifiable, Sendable, Equatable {
    /// The day's beginning; nil only where no item of a timeline has a time.
    public let date: Date?
    /// The items, oldest first.
    public let items: [TimelineItem]

    /// The day's first item: two days have no item in common.
    public var id: ItemKey { items.first?.key ?? "" }
}

extension Array where Element == TimelineItem {
    /// The items by the day of their messages. A gap or a mark belongs to the day of the message after it; after the
    /// last message it belongs to that message's day.
    public func days(in calendar: Calendar = .current) -> [TimelineDay] {
        var dates = map { item in item.message.map { calendar.startOfDay(for: $0.sentAt) } }
        for at in dates.indices.dropLast().reversed() where dates[at] == nil {
            dates[at] = dates[at + 1]
        }
        var days: [TimelineDay] = []
        var open: [TimelineItem] = []
        var date: Date?
        for (item, own) in zip(self, dates) {
            let day = own ?? date
            if !open.isEmpty, day != date {
                days.append(TimelineDay(date: date, items: open))
                open = []
            }
            date = day
            open.append(item)
        }
        if !open.isEmpty { days.append(TimelineDay(date: date, items: open)) }
        return days
    }

    /// True if the item at an index begins a run: the message before it has another sender, or is more than `seconds`
    /// older. A screen shows the sender's name at the beginning of a run.
    public func beginsRun(at place: Int, within seconds: TimeInterval = 300) -> Bool {
        guard indices.contains(place), let message = self[place].message else { return false }
        guard place > 0, let before = self[place - 1].message else { return true }
        return before.sender != message.sender
            || message.sentAt.timeIntervalSince(before.sentAt) > seconds
    }
}
