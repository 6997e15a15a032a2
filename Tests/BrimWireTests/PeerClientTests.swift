import BrimModel
import BrimWire
import HTTPTypes
import Hummingbird
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization
import Testing

/// One at a time: on a machine that is busy otherwise all of them at once would wait for each other longer than a connection
/// may take.
@Suite(.serialized, .timeLimit(.minutes(10)))
struct PeerClientTests {
    private struct Parts: AsyncSequence, Sendable {
        typealias Element = ByteBuffer
        typealias Failure = any Error
        var count: Int
        var size: Int
        var failure: BrimError?
        /// Counts parts as they are asked for.
        let asked = Counter()

        struct AsyncIterator: AsyncIteratorProtocol {
            var left: Int
            let parts: Parts
            mutating func next() async throws -> ByteBuffer? {
                guard left > 0 else {
                    if let failure = parts.failure { throw failure }
                    return nil
                }
                left -= 1
                parts.asked.add(1)
                return ByteBuffer(repeating: 1, count: parts.size)
            }
        }
        func makeAsyncIterator() -> AsyncIterator { AsyncIterator(left: count, parts: self) }
    }

    private final class Counter: Sendable {
        private let value = Mutex(0)
        func add(_ number: Int) { value.withLock { $0 += number } }
        var count: Int { value.withLock { $0 } }
    }

    private func freePort() async throws -> Int {
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(channel.localAddress?.port)
        try await channel.close()
        return port
    }

    @Test func refusedConnectionsAreUnavailable() async throws {
        let port = try await freePort()
        let url = "http://127.0.0.1:\(port)/x?token=secret"
        try await withClient { client in
            var errors: [BrimError?] = []
            errors.append(
                await #expect(throws: BrimError.self) { try await client.call(.GET, url, token: nil, as: Empty.self) })
            errors.append(
                await #expect(throws: BrimError.self) {
                    try await client.download(url, headers: [], token: nil, idle: .seconds(5))
                })
            errors.append(
                await #expect(throws: BrimError.self) {
                    try await client.upload(
                        url, length: 10, headers: [], body: Parts(count: 1, size: 10), token: nil, idle: .seconds(5))
                })
            for error in errors {
                #expect(error?.code == .unavailable)
                #expect(error?.message == "127.0.0.1:\(port) cannot be reached: connection refused")
                #expect(error?.retryable == true)
            }
            let unknown = await #expect(throws: BrimError.self) {
                try await client.call(.GET, "http://no-such-host.invalid:1/", token: nil, as: Empty.self)
            }
            #expect(unknown?.code == .unavailable)
            let wrong = await #expect(throws: BrimError.self) {
                try await client.call(.GET, "http:///x", token: nil, as: Empty.self)
            }
            #expect(wrong?.code == .invalid)
        }
    }

    @Test func silenceIsATimeout() async throws {
        try await withServer(routes: { router in
            router.get("/slow") { _, _ in
                try await Task.sleep(for: .seconds(60))
                return Response(status: .ok)
            }
            router.put("/slow") { _, _ in
                try await Task.sleep(for: .seconds(60))
                return Response(status: .ok)
            }
            router.get("/stall") { _, _ in
                Response(
                    status: .ok,
                    body: ResponseBody(contentLength: 10) { writer in
                        try await writer.write(ByteBuffer(string: "hello"))
                        try await Task.sleep(for: .seconds(60))
                    })
            }
        }) { url, _ in
            try await withClient { client in
                let limit = Duration.milliseconds(300)
                for path in ["/slow", "/stall"] {
                    let error = await #expect(throws: BrimError.self) {
                        try await client.call(.GET, url + path, token: nil, deadline: limit, as: Empty.self)
                    }
                    #expect(error?.code == .timeout)
                }
                let head = await #expect(throws: BrimError.self) {
                    try await client.download(url + "/slow", headers: [], token: nil, idle: limit)
                }
                #expect(head?.code == .timeout)
                // Its head must come in time, also on a busy machine.
                let download = try await client.download(url + "/stall", headers: [], token: nil, idle: .seconds(5))
                #expect(download.length == 10)
                let body = await #expect(throws: BrimError.self) {
                    for try await _ in download.body {}
                }
                #expect(body?.code == .timeout)
                // Larger than all buffers on the way, so that the peer must be seen to take nothing.
                for count in [1, 10_000] {
                    let error = await #expect(throws: BrimError.self) {
                        try await client.upload(
                            url + "/slow", length: nil, headers: [], body: Parts(count: count, size: 10_000),
                            token: nil,
                            idle: limit)
                    }
                    #expect(error?.code == .timeout)
                }
            }
        }
    }

    @Test(arguments: [true, false]) func uploadsStream(lengthKnown: Bool) async throws {
        let received = Counter()
        try await withServer(routes: { router in
            router.put("/x") { request, context in
                #expect(request.headers[.contentLength] == (lengthKnown ? "20000000" : nil))
                #expect(request.headers[.eTag] == "t")
                for try await part in request.body { received.add(part.readableBytes) }
                return try jsonResponse(received.count, status: .created)
            }
        }) { url, _ in
            try await withClient { client in
                let reply = try await client.upload(
                    url + "/x", length: lengthKnown ? 20_000_000 : nil, headers: [("ETag", "t")],
                    body: Parts(count: 200, size: 100_000), token: nil, idle: .seconds(10))
                #expect(reply.status == 201)
                #expect(String(buffer: reply.body) == "20000000\n")
            }
        }
    }

    @Test func emptyUploads() async throws {
        try await withServer(routes: { router in
            router.put("/x") { request, _ in try jsonResponse(try await request.body.collect(upTo: 1).readableBytes) }
        }) { url, _ in
            try await withClient { client in
                for length: Int64? in [0, nil] {
                    let reply = try await client.upload(
                        url + "/x", length: length, headers: [], body: Parts(count: 0, size: 0), token: nil,
                        idle: .seconds(10))
                    #expect(reply.status == 200)
                    #expect(String(buffer: reply.body) == "0\n")
                }
            }
        }
    }

    /// The peer refuses before or in the middle: its answer counts, and the rest is not sent.
    @Test(arguments: [0, 1_000_000]) func anEarlyAnswerEndsTheUpload(after bytes: Int) async throws {
        try await withServer(routes: { router in
            router.put("/x") { request, _ -> Response in
                var size = 0
                if bytes > 0 {
                    for try await part in request.body {
                        size += part.readableBytes
                        if size >= bytes { break }
                    }
                }
                throw BrimError(.full, "no room")
            }
        }) { url, _ in
            try await withClient { client in
                for _ in 0..<5 {
                    let parts = Parts(count: 20_000, size: 100_000)
                    let reply = try await client.upload(
                        url + "/x", length: 2_000_000_000, headers: [], body: parts, token: nil, idle: .seconds(10))
                    #expect(reply.status == 507)
                    #expect(String(buffer: reply.body).contains("no room"))
                    #expect(parts.asked.count < 2000)
                }
            }
        }
    }

    @Test func whatTheSourceThrowsIsThrown() async throws {
        try await withServer(routes: { router in
            router.put("/x") { request, _ in
                for try await _ in request.body {}
                return Response(status: .ok)
            }
        }) { url, _ in
            try await withClient { client in
                let error = await #expect(throws: BrimError.self) {
                    try await client.upload(
                        url + "/x", length: 1000,
                        headers: [], body: Parts(count: 2, size: 100, failure: BrimError(.corrupt, "bad block")),
                        token: nil, idle: .seconds(10))
                }
                #expect(error?.code == .corrupt)
                let short = await #expect(throws: BrimError.self) {
                    try await client.upload(
                        url + "/x", length: 1000, headers: [], body: Parts(count: 2, size: 100), token: nil,
                        idle: .seconds(10))
                }
                #expect(short?.code == .invalid)
            }
        }
    }

    @Test func downloadsStreamWithBackPressure() async throws {
        let sent = Counter()
        try await withServer(routes: { router in
            router.get("/x") { _, _ in
                Response(
                    status: .partialContent, headers: [.eTag: "\"1-x\""],
                    body: ResponseBody(contentLength: 100_000_000) { writer in
                        for _ in 0..<1000 {
                            try await writer.write(ByteBuffer(repeating: 2, count: 100_000))
                            sent.add(100_000)
                        }
                        try await writer.finish(nil)
                    })
            }
            router.get("/none") { _, _ -> Response in throw BrimError(.notFound, "no such blob") }
            router.get("/range") { _, _ in Response(status: .rangeNotSatisfiable) }
        }) { url, _ in
            try await withClient { client in
                let download = try await client.download(
                    url + "/x", headers: [("Range", "bytes=0-")], token: nil, idle: .seconds(10))
                #expect(download.status == 206)
                #expect(download["etag"] == "\"1-x\"")
                #expect(download.length == 100_000_000)
                var size = 0
                for try await part in download.body {
                    if size == 0 {
                        // Whatever the buffers on the way hold is sent; then the sender waits.
                        var before = -1
                        while sent.count != before {
                            before = sent.count
                            try await Task.sleep(for: .milliseconds(200))
                        }
                        #expect(sent.count < 50_000_000)
                    }
                    size += part.readableBytes
                }
                #expect(size == 100_000_000)
                func failure(_ path: String) async -> BrimError? {
                    await #expect(throws: BrimError.self) {
                        try await client.download(url + path, headers: [], token: nil, idle: .seconds(10))
                    }
                }
                #expect(await failure("/none") == BrimError(.notFound, "no such blob"))
                #expect(await failure("/range")?.code == .range)
            }
        }
    }

    @Test func aTruncatedDownloadIsAnError() async throws {
        try await withServer(routes: { router in
            router.get("/:kind") { _, context in
                let length = context.parameters.get("kind") == "known" ? 10 : nil
                return Response(
                    status: .ok,
                    body: ResponseBody(contentLength: length) { writer in
                        try await writer.write(ByteBuffer(string: "hello"))
                        throw BrimError(.io, "disk failed")
                    })
            }
        }) { url, _ in
            try await withClient { client in
                for path in ["/known", "/unknown"] {
                    let error = await #expect(throws: BrimError.self) {
                        let download = try await client.download(url + path, headers: [], token: nil, idle: .seconds(5))
                        for try await _ in download.body {}
                    }
                    #expect(error?.code == .unavailable, "\(path)")
                }
            }
        }
    }

    @Test func aStaleConnectionIsReplaced() async throws {
        // Answers one request per connection and then closes without having said so.
        let served = Counter()
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel(
                        wrappingChannelSynchronously: channel,
                        configuration: .init(inboundType: ByteBuffer.self, outboundType: ByteBuffer.self))
                }
            }
        let port = try #require(server.channel.localAddress?.port)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await server.executeThenClose { connections in
                    try await withThrowingDiscardingTaskGroup { group in
                        for try await connection in connections {
                            group.addTask {
                                try await connection.executeThenClose { inbound, outbound in
                                    var requests = inbound.makeAsyncIterator()
                                    _ = try await requests.next()
                                    served.add(1)
                                    try await outbound.write(
                                        ByteBuffer(string: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"))
                                    // The next request is read, then dropped.
                                    _ = try await requests.next()
                                }
                            }
                        }
                    }
                }
            }
            try await withClient { client in
                for _ in 0..<3 {
                    _ = try await client.call(.GET, "http://127.0.0.1:\(port)/", token: nil, as: Empty.self)
                }
                let error = await #expect(throws: BrimError.self) {
                    try await client.call(.POST, "http://127.0.0.1:\(port)/", token: nil, as: Empty.self)
                }
                #expect(error?.code == .unavailable, "a POST is not sent twice")
            }
            #expect(served.count == 3)
            group.cancelAll()
        }
    }

    @Test func repliesOfAnotherKindAreErrors() async throws {
        try await withServer(routes: { router in
            router.get("/text") { _, _ in Response(status: .ok, body: ResponseBody(byteBuffer: ByteBuffer(string: "x")))
            }
            router.get("/nothing") { _, _ in Response(status: .noContent) }
            router.get("/teapot") { _, _ in Response(status: .init(code: 502)) }
        }) { url, _ in
            try await withClient { client in
                func failure(_ path: String) async -> BrimError? {
                    await #expect(throws: BrimError.self) {
                        try await client.call(.GET, url + path, token: nil, as: Empty.self)
                    }
                }
                #expect(await failure("/text")?.code == .internal)
                #expect(await failure("/teapot")?.code == .unavailable)
                _ = try await client.call(.GET, url + "/nothing", token: nil, as: Empty.self)
            }
        }
    }

    @Test func manyCallsAtOnce() async throws {
        try await withServer(routes: { router in
            router.post("/echo") { request, _ in try jsonResponse(try await request.decodeJSON([Int].self)) }
        }) { url, _ in
            try await withClient { client in
                let sum = try await withThrowingTaskGroup(of: Int.self) { group in
                    for i in 0..<500 {
                        group.addTask {
                            try await client.call(
                                .POST, url + "/echo", body: [i], token: nil, deadline: .seconds(100), as: [Int].self)[0]
                        }
                    }
                    return try await group.reduce(0, +)
                }
                #expect(sum == 499 * 500 / 2)
            }
        }
    }
}
