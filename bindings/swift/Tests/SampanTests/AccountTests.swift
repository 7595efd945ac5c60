// Signing in with the session of an account: the app's own server, a double in this process, says whose session it is.

import Foundation
import Sampan
import XCTest

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

final class AccountTests: XCTestCase {
    func testAClientSignsInWithTheSessionOfItsAccountAndWithNoOther() async throws {
        let accounts = try AccountServer()
        let scratch = try Scratch()
        let service = try ServiceProcess(
            data: scratch.folder.appendingPathComponent("service"),
            settings: """
                {"swift": {"signatures": {"login": true},
                "hooks": {"url": "\(accounts.url)", "functions": ["_rtmClientSign"]}}}
                """)
        let engine = try scratch.engine("phone", url: service.url)
        let ann = try await engine.client(id: "ann", options: with("session of ann"))
        try ann.goOnline()
        try await within { try await ann.waitOnline() }
        let eve = try await engine.client(id: "eve", options: with("session of ann"))
        try eve.goOnline()
        await XCTAssertThrowsErrorAsync(try await within { try await eve.waitOnline() }) { error in
            guard case .refused(refusal: _, code: 4102, reason: _) = error else {
                return XCTFail("\(error)")
            }
        }
        // The app brings the right session.
        let again = try await engine.client(id: "eve", options: with("session of eve"))
        try again.goOnline()
        try await within { try await again.waitOnline() }
        let dan = try await engine.client(id: "dan", options: with("made up"))
        try dan.goOnline()
        await XCTAssertThrowsErrorAsync(try await within { try await dan.waitOnline() }) { error in
            guard case .refused = error else { return XCTFail("\(error)") }
        }
        try await engine.shutdown()
    }

    private func with(_ session: String) -> ClientOptions {
        ClientOptions(accountSession: HiddenText(session))
    }
}

/// `session of ann` is the session of `ann`; no other session is known. It ends with the object.
private final class AccountServer: @unchecked Sendable {
    let url: String
    private let listener: Int32

    init() throws {
        #if canImport(Glibc)
            let stream = Int32(SOCK_STREAM.rawValue)
        #else
            let stream = SOCK_STREAM
        #endif
        let listener = socket(AF_INET, stream, 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let port: UInt16 = try withUnsafeMutablePointer(to: &address) { pointer in
            try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { raw in
                guard bind(listener, raw, length) == 0, listen(listener, 8) == 0,
                    getsockname(listener, raw, &length) == 0
                else { throw TookTooLong() }
            }
            return UInt16(bigEndian: pointer.pointee.sin_port)
        }
        self.listener = listener
        url = "http://127.0.0.1:\(port)/hooks"
        Thread.detachNewThread {
            while true {
                let connection = accept(listener, nil, nil)
                guard connection >= 0 else { return }
                AccountServer.answer(connection)
                close(connection)
            }
        }
    }

    deinit {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
    }

    private static func answer(_ connection: Int32) {
        var text = ""
        var buffer = [UInt8](repeating: 0, count: 4096)
        // The question is one small JSON object.
        while !text.contains("}") {
            let count = read(connection, &buffer, buffer.count)
            guard count > 0 else { return }
            text += String(decoding: buffer.prefix(count), as: UTF8.self)
        }
        let session = text.components(separatedBy: "session of ").dropFirst().first
        let client = session?.prefix { $0.isLetter }
        let says = client.map { #"{"clientId": "\#($0)"}"# } ?? "{}"
        let body = #"{"result": \#(says)}"#
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\nConnection: close\r\n\r\n\(body)"
        _ = answer.withCString { write(connection, $0, strlen($0)) }
    }
}
