// The samples of older guides, sessions and groups, and rooms, in Swift and against a real service.

import Foundation
import Sampan
import XCTest

final class GuidesTests: XCTestCase {
    // D07
    func testPeersWatchEachOtherWriteToEachOtherAndMeetInAGroup() async throws {
        let scratch = try Scratch()
        let service = try ServiceProcess(data: scratch.folder.appendingPathComponent("service"))
        let tom = try scratch.engine("phone", url: service.url)
        let jerry = try scratch.engine("laptop", url: service.url)
        let toms = PeerSession(client: try await tom.client("Tom"))
        let jerrys = PeerSession(client: try await jerry.client("Jerry"))
        let toTom = try await toms.notices()
        let toJerry = try await jerrys.notices()
        try await toms.open(watched: ["Jerry"])
        try await jerrys.open(watched: [])
        try await hears(toTom) { $0 == .peerOnline(peer: "Jerry") }
        let isWatching = try await toms.isWatching(peer: "Jerry")
        XCTAssertTrue(isWatching)
        let online = try await toms.status(peers: ["Jerry", "Spike"])
        XCTAssertEqual(online, ["Jerry"])
        _ = try await toms.send(message: said("wake up"), to: ["Jerry"])
        let heard = try await hears(toJerry) { $0.isMessage(from: "Tom") }
        XCTAssertEqual(heard.place, "c0a42b25e09d3689a27f346a9b498ea1")

        let group = try await toms.createGroup()
        try await group.invite(peers: ["Jerry"])
        let joined = try await hears(toJerry) { notice in
            guard case .joined(let place) = notice else { return false }
            return place != heard.place
        }
        let place = try XCTUnwrap(joined.place)
        let jerrysGroup = try await jerrys.group(id: place)
        _ = try await jerrysGroup.send(message: said("hello world"))
        try await hears(toTom) { $0.isMessage(from: "Jerry") && $0.place == place }
        let groups = try await toms.groups()
        XCTAssertEqual(groups.count, 1)
        try await group.kick(peers: ["Jerry"])
        try await hears(toJerry) { $0 == .left(conversation: place) }
        let again = try await jerrys.joinGroup(id: place)
        let joinedAgain = try await again.id()
        XCTAssertEqual(joinedAgain, place)
        try await hears(toJerry) { $0 == .joined(conversation: place) }
        try await group.leave()
        try toms.closeSession()
        try await hears(toTom) { $0 == .closed }
        try await tom.shutdown()
        try await jerry.shutdown()
    }

    // D07
    func testARoomIsMadeFoundAskedForSpokenInAndRead() async throws {
        let scratch = try Scratch()
        let service = try ServiceProcess(data: scratch.folder.appendingPathComponent("service"))
        let tom = try scratch.engine("phone", url: service.url)
        let bob = try scratch.engine("laptop", url: service.url)
        let toms = Rooms(client: try await online(tom, "Tom"))
        let own = try await online(bob, "Bob")
        let bobs = Rooms(client: own)
        let toBob = try await bobs.notices()
        try own.emit(name: "LeanCloud123", data: #"{"aaa":"test"}"#)
        try await hears(toBob) { $0 == .emitted(name: "LeanCloud123", data: #"{"aaa":"test"}"#) }
        let room = try await toms.create(options: RoomOptions(members: ["Bob"], name: "LeanCloud"))
        let joined = try await hears(toBob) { notice in
            if case .joined = notice { return true }
            return false
        }
        let id = try XCTUnwrap(joined.place)
        let known = try await bobs.get(id: id)
        let found = try XCTUnwrap(known)
        _ = try await room.send(data: #"{"testMsg":"Hello"}"#, transient: false)
        try await hears(toBob) { $0.isMessage(from: "Tom") && $0.place == id }
        let log = try await found.log(log: RoomLog(limit: 20))
        XCTAssertEqual(log.count, 1)
        _ = try await room.sendMessage(message: said("with a kind"))
        try await hears(toBob) { notice in
            guard case .message(id, let message) = notice else { return false }
            return message.content.words == "with a kind"
        }
        let rooms = try await bobs.query(query: RoomQuery(limit: 5))
        XCTAssertEqual(rooms.count, 1)
        try await room.add(clients: ["Harry"])
        try await hears(toBob) { $0 == .membersJoined(conversation: id, members: ["Harry"]) }
        try await found.leave()
        try await hears(toBob) { $0 == .left(conversation: id) }
        XCTAssertEqual(escapeHtml(text: "<b>"), "&lt;b&gt;")
        try await tom.shutdown()
        try await bob.shutdown()
    }
}

private func said(_ words: String) -> NewMessage {
    NewMessage(content: .text(text: words, details: Details()))
}

/// Waits for a notice.
@discardableResult
private func hears(
    _ feed: NoticeFeed, _ wanted: @escaping @Sendable (SessionNotice) -> Bool
) async throws -> SessionNotice {
    try await within {
        while let notice = try await feed.next() {
            if wanted(notice) { return notice }
        }
        throw TookTooLong()
    }
}

extension SessionNotice {
    fileprivate var place: ConversationId? {
        switch self {
        case .message(let place, _), .joined(let place), .left(let place), .created(let place): place
        default: nil
        }
    }

    fileprivate func isMessage(from sender: ClientId) -> Bool {
        guard case .message(_, let message) = self else { return false }
        return message.sender == sender
    }
}
