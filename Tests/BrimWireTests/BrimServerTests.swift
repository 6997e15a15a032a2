import BrimModel
import BrimWire
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import NIOHTTP1
import ServiceLifecycle
import Testing

@Suite(.timeLimit(.minutes(10)))
struct BrimServerTests {
    @Test func healthIsOpenEvenWithABadToken() async throws {
        try await withServer(routes: { _ in }) { _, port in
            try await RawConnection.open(port: port) { connection in
                try await connection.send(
                    "GET /healthz HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer x\r\nConnection: close\r\n\r\n")
                let reply = try await connection.receiveToEnd()
                #expect(reply.hasPrefix("HTTP/1.1 200 OK\r\n"))
                #expect(reply.hasSuffix("\r\n\r\nok\n"))
                #expect(reply.contains("GMT"))
            }
        }
    }

    @Test(arguments: BrimError.Code.allCases) func everyErrorIsRendered(code: BrimError.Code) async throws {
        let thrown = BrimError(code, "it failed", advice: "Do something", retryable: code == .full)
        try await withServer(routes: { router in
            router.get("/fail") { _, _ -> Response in throw thrown }
        }) { url, port in
            try await withClient { client in
                let error = await #expect(throws: BrimError.self) {
                    try await client.call(.GET, url + "/fail", token: nil, as: Empty.self)
                }
                #expect(error == thrown)
            }
            try await RawConnection.open(port: port) { connection in
                try await connection.send("HEAD /fail HTTP/1.1\r\nHost: h\r\n\r\nGET /fail HTTP/1.1\r\nHost: h\r\n\r\n")
                let head = try await connection.receive(until: "\r\n\r\n")
                #expect(head.hasPrefix("HTTP/1.1 \(code.httpStatus) "))
                let next = try await connection.receive(until: "\r\n\r\n")
                #expect(next.hasPrefix("HTTP/1.1 \(code.httpStatus) "), "the HEAD had no body")
                let body = try await connection.receive(until: "}\n")
                let retryable = code == .full
                #expect(
                    body == """
                        {"advice":"Do something","code":"\(code.rawValue)","message":"it failed","retryable":\(retryable)}

                        """)
            }
        }
    }

    /// Among those that come at the last moment are some that are accepted and never served.
    @Test func connectionsMayComeWhileItIsCancelled() async throws {
        for _ in 0..<20 {
            let knocks = try await withServer(routes: { _ in }) { _, port in
                let knocks = Task {
                    await withDiscardingTaskGroup { group in
                        for _ in 0..<50 { group.addTask { try? await RawConnection.open(port: port) { _ in } } }
                    }
                }
                try await RawConnection.open(port: port) { _ in }
                return knocks
            }
            await knocks.value
        }
    }

    private func failure(
        _ client: PeerClient, _ url: String, _ method: HTTPMethod, _ path: String, _ body: [Int]? = nil
    ) async throws -> BrimError? {
        do {
            let reply = try await client.call(method, url + path, body: body, token: nil, as: [Int].self)
            Issue.record("\(path) answered \(reply)")
            return nil
        } catch let error as BrimError {
            return error
        }
    }

    @Test func foreignErrorsAreRendered() async throws {
        struct Odd: Error {}
        try await withServer(routes: { router in
            router.get("/odd") { _, _ -> Response in throw Odd() }
            router.get("/gone") { _, _ -> Response in throw HTTPError(.gone, message: "it went") }
            router.get("/cancelled") { _, _ -> Response in throw CancellationError() }
            router.post("/json") { request, _ in try jsonResponse(try await request.decodeJSON([Int].self, limit: 100))
            }
        }) { url, _ in
            try await withClient { client in
                let odd = try await failure(client, url, .GET, "/odd")
                #expect(odd?.code == .internal)
                #expect(odd?.message.contains("Odd") == false)
                let gone = try await failure(client, url, .GET, "/gone")
                #expect(gone?.code == .invalid)
                #expect(gone?.message == "it went")
                #expect(try await failure(client, url, .GET, "/cancelled")?.code == .unavailable)
                #expect(
                    try await failure(client, url, .POST, "/json", Array(repeating: 0, count: 100))?.code == .tooLarge)
                #expect(
                    try await failure(client, url, .POST, "/json", Array(repeating: 0, count: 1_000_000))?.code
                        == .tooLarge)
                #expect(try await failure(client, url, .POST, "/json")?.code == .invalid)
                let echo = try await client.call(.POST, url + "/json", body: [1, 2], token: nil, as: [Int].self)
                #expect(echo == [1, 2])
            }
        }
    }

    @Test func unknownRoutesAndMethods() async throws {
        try await withServer(routes: { router in
            router.get("/v1/things/:id") { _, _ in Response(status: .ok) }
            router.delete("/v1/things/:id") { _, _ -> Response in throw BrimError(.notFound, "no such thing") }
            router.onTree("/v1/files", method: .put) { request, _ in
                try jsonResponse(try request.catchAllPath(after: "/v1/files"))
            }
        }) { url, port in
            let replies = try await RawConnection.open(port: port) { connection in
                var replies: [String] = []
                for line in [
                    "GET /nowhere", "POST /v1/things/1", "DELETE /v1/things/1", "GET /v1/files/a/b/c", "HEAD /v1/files",
                    "GET /v1/things", "PUT /v1/files/", "PUT /v1/files", "PUT /v1/files/a%20b/c",
                ] {
                    try await connection.send("\(line) HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
                    let head = try await connection.receive(until: "\r\n\r\n")
                    replies.append(head + (line.hasPrefix("HEAD") ? "" : try await connection.receive(until: "\n")))
                }
                return replies
            }
            #expect(replies[0].hasPrefix("HTTP/1.1 404") && replies[0].contains(#""code":"not_found""#))
            #expect(replies[1].hasPrefix("HTTP/1.1 405") && replies[1].contains("Allow: DELETE, GET, HEAD\r\n"))
            #expect(replies[1].contains(#""code":"unsupported""#))
            #expect(replies[2].hasPrefix("HTTP/1.1 404") && replies[2].contains("no such thing"))
            #expect(replies[3].hasPrefix("HTTP/1.1 405") && replies[3].contains("Allow: PUT\r\n"))
            #expect(replies[4].hasPrefix("HTTP/1.1 405"))
            #expect(replies[5].hasPrefix("HTTP/1.1 404"))
            #expect(replies[6].hasSuffix("\"/\"\n"))
            #expect(replies[7].hasSuffix("\"/\"\n"))
            #expect(replies[8].hasSuffix("\"/a b/c\"\n"))
        }
    }

    @Test func takenPorts() async throws {
        try await withServer(routes: { _ in }) { _, port in
            let router = brimRouter(keys: try SwarmKeys(password: "test"), logger: testLogger)
            let second = BrimServer(label: "second", host: "127.0.0.1", port: port, router: router, logger: testLogger)
            let error = await #expect(throws: BrimError.self) { try await second.run() }
            #expect(error?.code == .unavailable)
            #expect(error?.message == "cannot listen on 127.0.0.1:\(port): address in use")
            #expect(error?.advice != nil)
            await #expect(throws: BrimError.self) { try await second.boundPort }

            let third = BrimServer(
                label: "third", host: "127.0.0.1", port: port, fallbackPorts: true, router: router, logger: testLogger)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await third.run() }
                let next = try await third.boundPort
                #expect(next > port && next < port + 100)
                group.cancelAll()
            }

            let elsewhere = BrimServer(
                label: "fourth", host: "192.0.2.1", port: 0, router: router, logger: testLogger)
            #expect(await #expect(throws: BrimError.self) { try await elsewhere.run() }?.code == .io)
            let unnamed = BrimServer(
                label: "fifth", host: "no-such-host.invalid", port: 0, router: router, logger: testLogger)
            #expect(await #expect(throws: BrimError.self) { try await unnamed.run() }?.code == .invalid)
        }
    }

    @Test func aShutdownFinishesWhatIsUnderWay() async throws {
        let started = AsyncStream.makeStream(of: Void.self)
        let idle = AsyncStream.makeStream(of: Void.self)
        let release = AsyncStream.makeStream(of: Void.self)
        let router = brimRouter(keys: try SwarmKeys(password: "test"), logger: testLogger)
        router.get("/x") { _, _ in
            started.continuation.yield()
            for await _ in release.stream { break }
            return try jsonResponse("done")
        }
        let server = BrimServer(label: "test", host: "127.0.0.1", port: 0, router: router, logger: testLogger)
        let services = ServiceGroup(services: [server], logger: testLogger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await services.run() }
            let port = try await server.boundPort
            group.addTask {
                // An idle connection does not hold the shutdown up.
                try await RawConnection.open(port: port) { connection in
                    try await connection.send("GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
                    #expect(try await connection.receive(until: "ok\n").hasPrefix("HTTP/1.1 200"))
                    idle.continuation.yield()
                    #expect(try await connection.receiveToEnd() == "")
                }
            }
            group.addTask {
                try await RawConnection.open(port: port) { connection in
                    try await connection.send("GET /x HTTP/1.1\r\nHost: h\r\n\r\n")
                    #expect(try await connection.receiveToEnd().hasSuffix("\"done\"\n"))
                }
            }
            for await _ in started.stream { break }
            for await _ in idle.stream { break }
            await services.triggerGracefulShutdown()
            var refused = false
            while !refused {
                do {
                    try await RawConnection.open(port: port) { _ in }
                    try await Task.sleep(for: .milliseconds(10))
                } catch {
                    refused = true
                }
            }
            release.continuation.yield()
            try await group.waitForAll()
        }
    }
}
