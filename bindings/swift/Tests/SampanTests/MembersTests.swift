// Members as a live list, what may be done to them, attributes by their present value, and queries.

import Foundation
import Sampan
import XCTest

final class MembersTests: XCTestCase {
    func testMembersAreALiveListInWhichRolesAndSilenceShow() async throws {
        let scratch = try Scratch()
        let service = try ServiceProcess(data: scratch.folder.appendingPathComponent("service"))
        let engine = try scratch.engine("phone", url: service.url)
        let ann = try await online(engine, "ann")
        let talk = try await ann.createConversation(
            conversation: NewConversation(with: "ben", "cat")
        ).conversation
        try await until { try await ann.outbox().isEmpty }
        let list = try await talk.members(options: MemberListOptions(page: 2))
        let first = try await within { await list.states.first { $0.rows.count == 2 } }
        XCTAssertEqual(first?.total, 3)
        XCTAssertEqual(first?.more, true)
        XCTAssertEqual(first?.rows.first?.id, "ann")
        XCTAssertEqual(first?.rows.first?.role, .owner)
        let added = try await list.loadMore()
        XCTAssertEqual(added, 1)
        let feed = ann.feed()
        try await talk.setRole(member: "cat", role: .manager)
        try await talk.silenceMembers(members: ["ben"])
        let silenced = try await within {
            await list.states.first { $0.rows.last?.silenced == true }
        }
        XCTAssertEqual(silenced?.rows.map(\.client), ["ann", "cat", "ben"])
        XCTAssertEqual(silenced?.rows.map(\.isMe), [true, false, false])
        let told = try await within {
            await feed.batches.first { batch in
                batch.events.contains {
                    guard case .membersChanged(_, _, let notice) = $0 else { return false }
                    return notice.event == .silenced && notice.members == ["ben"]
                }
            }
        }
        XCTAssertNotNil(told)
        try await talk.unsilenceMembers(members: ["ben"])
        try await talk.blockMembers(members: ["cat"])
        try await until { try await ann.outbox().isEmpty }
        let count = try await talk.countMembers()
        XCTAssertEqual(count, 2)
        let blocked = try await talk.members(options: MemberListOptions(group: .blocked))
        try await blocked.refresh()
        let rows = try await within { await blocked.states.first { !$0.rows.isEmpty } }
        XCTAssertEqual(rows?.rows.map(\.client), ["cat"])
        try await talk.unblockMembers(members: ["cat"])
        _ = try await within { await blocked.states.first { $0.rows.isEmpty } }
        blocked.end()
        try await engine.shutdown()
    }

    func testAListOfMembersTellsWhoIsOnlineWhereTheAppAsked() async throws {
        let scratch = try Scratch()
        let service = try ServiceProcess(data: scratch.folder.appendingPathComponent("service"))
        let engine = try scratch.engine("phone", url: service.url)
        let laptop = try scratch.engine("laptop", url: service.url)
        let (ann, ben) = (try await online(engine, "ann"), try await online(laptop, "ben"))
        let talk = try await ann.createConversation(
            conversation: NewConversation(with: "ben", "cat")
        ).conversation
        try await until { try await ann.outbox().isEmpty }
        let list = try await talk.members(options: MemberListOptions(online: true))
        let shown = try await within {
            await list.states.first { !$0.rows.isEmpty && $0.rows.allSatisfy { $0.online != nil } }
        }
        XCTAssertEqual(shown?.rows.filter { $0.online == true }.map(\.client), ["ann", "ben"])
        try ben.goOffline()
        try await until { try await ann.onlineOf(clients: ["ben"]).isEmpty }
        try await list.refresh()
        let gone = try await within {
            await list.states.first { $0.rows.contains { $0.client == "ben" && $0.online == false } }
        }
        XCTAssertNotNil(gone)
        list.end()
        try await engine.shutdown()
        try await laptop.shutdown()
    }

    func testAttributesChangeByTheirPresentValueAndQueriesFindHereAndAtTheService() async throws {
        let scratch = try Scratch()
        let service = try ServiceProcess(data: scratch.folder.appendingPathComponent("service"))
        let engine = try scratch.engine("phone", url: service.url)
        let ann = try await online(engine, "ann")
        let talk = try await ann.createConversation(
            conversation: NewConversation(with: "ben")
        ).conversation
        try await until { try await ann.outbox().isEmpty }
        let now = try await talk.changeAttribute(key: "count", change: .increment(amount: 2))
        XCTAssertEqual(now, "2")
        let query = ConversationQuery(condition: .atLeast(key: "attr.count", value: "2"), limit: 5)
        let found = try await ann.queryConversations(query: query)
        let id = try await talk.info().id
        XCTAssertEqual(found.map(\.id), [id])
        let count = try await ann.countConversations(query: query)
        XCTAssertEqual(count, 1)
        try await until { try await ann.findConversations(query: query).map(\.id) == [id] }
        try await engine.shutdown()
    }
}
