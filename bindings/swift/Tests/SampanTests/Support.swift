// Shared by the tests: patience, and a look at an error that was thrown.

import Foundation
import Sampan
import XCTest

/// The seconds that anything may take before a test fails: a machine may be busy.
let patience: UInt64 = 60

struct TookTooLong: Error {}

/// Fails the test when something takes longer than patience lasts.
func within<Value: Sendable>(
    _ seconds: UInt64 = patience, _ work: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    try await withThrowingTaskGroup(of: Value.self) { group in
        group.addTask(operation: work)
        group.addTask {
            try await Task.sleep(nanoseconds: seconds * 1_000_000_000)
            throw TookTooLong()
        }
        defer { group.cancelAll() }
        guard let value = try await group.next() else { throw TookTooLong() }
        return value
    }
}

/// Waits until something is true.
func until(_ holds: @escaping @Sendable () async throws -> Bool) async throws {
    try await within {
        while try await !holds() { try await Task.sleep(nanoseconds: 10_000_000) }
    }
}

func XCTAssertThrowsErrorAsync(
    _ call: @autoclosure () async throws -> some Any, _ look: (SampanError) -> Void,
    line: UInt = #line
) async {
    do {
        _ = try await call()
        XCTFail("it threw nothing", line: line)
    } catch let error as SampanError {
        look(error)
    } catch {
        XCTFail("another error: \(error)", line: line)
    }
}
