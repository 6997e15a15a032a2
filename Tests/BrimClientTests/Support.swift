import BrimClient
import BrimModel
import BrimWire
import Foundation
import Hummingbird
import Logging
import NIOCore
import Synchronization

let testLogger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// A directory that is removed with its last reference.
final class TemporaryDirectory: Sendable {
    let url: URL
    var path: String { url.path }

    init() throws {
        url = FileManager.default.temporaryDirectory.appending(path: "brim-client-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: url) }

    func file(_ name: String, _ text: String = "") throws -> String {
        let file = url.appending(path: name)
        try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: file)
        return file.path
    }

    func text(_ name: String) throws -> String { try String(contentsOf: url.appending(path: name), encoding: .utf8) }

    /// Names in it, sorted.
    var names: [String] { get throws { try FileManager.default.contentsOfDirectory(atPath: path).sorted() } }
}

/// Values in the order in which tasks added them.
final class Journal<Element: Sendable>: Sendable {
    private let list = Mutex<[Element]>([])
    var elements: [Element] { list.withLock { $0 } }
    func add(_ element: Element) { list.withLock { $0.append(element) } }
}

/// Runs an HTTP server with these routes, which let everybody in, on a free port of the loopback; calls `body` with its
/// URL and stops it.
func withServer<Value: Sendable>(
    routes: (Router<BrimRequestContext>) -> Void, _ body: @escaping @Sendable (_ url: String) async throws -> Value
) async throws -> Value {
    let router = Router(context: BrimRequestContext.self)
    routes(router)
    let server = BrimServer(label: "test", host: "127.0.0.1", port: 0, router: router, logger: testLogger)
    return try await withThrowingTaskGroup(of: Value?.self) { group in
        group.addTask {
            try await server.run()
            return nil
        }
        group.addTask { try await body("http://127.0.0.1:\(try await server.boundPort)") }
        defer { group.cancelAll() }
        while let value = try await group.next() {
            if let value { return value }
        }
        throw CancellationError()
    }
}

/// Calls `body` with a client of these masters and shuts it down.
func withClient<Value>(_ masters: [String], _ body: (BrimClient) async throws -> Value) async throws -> Value {
    let client = try BrimClient(masters: masters, memory: nil, token: { "token" }, logger: testLogger)
    do {
        let value = try await body(client)
        await client.shutdown()
        return value
    } catch {
        await client.shutdown()
        throw error
    }
}
