import BrimModel
import BrimWire
import Foundation
import Hummingbird
import Logging

let testLogger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// Runs a server with these routes on a free port of the loopback, calls `body` with its URL and stops it.
func withServer<Value: Sendable>(
    keys: SwarmKeys? = nil, routes: (Router<BrimRequestContext>) -> Void,
    _ body: @escaping @Sendable (_ url: String, _ port: Int) async throws -> Value
) async throws -> Value {
    let router = brimRouter(keys: try keys ?? SwarmKeys(password: "test"), logger: testLogger)
    routes(router)
    let server = BrimServer(label: "test", host: "127.0.0.1", port: 0, router: router, logger: testLogger)
    return try await withThrowingTaskGroup(of: Value?.self) { group in
        group.addTask {
            try await server.run()
            return nil
        }
        group.addTask {
            let port = try await server.boundPort
            return try await body("http://127.0.0.1:\(port)", port)
        }
        defer { group.cancelAll() }
        while let value = try await group.next() {
            if let value { return value }
        }
        throw CancellationError()
    }
}

/// Calls `body` with a client and shuts it down.
func withClient<Value>(_ body: (PeerClient) async throws -> Value) async throws -> Value {
    let client = PeerClient(logger: testLogger)
    do {
        let value = try await body(client)
        await client.shutdown()
        return value
    } catch {
        await client.shutdown()
        throw error
    }
}
