import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import Synchronization
import Testing

/// What happens on a connection when client and server do not finish in step.
@Suite(.timeLimit(.minutes(10)))
struct ExchangeTests {
    /// `/count` reads all and answers its size, `/refuse` and `/redirect` answer without reading.
    private static func routes(_ router: Router<BrimRequestContext>, redirect: String = "/count") {
        router.put("/count") { request, _ in
            var size = 0
            for try await part in request.body { size += part.readableBytes }
            return try jsonResponse(size)
        }
        router.put("/refuse") { _, _ -> Response in throw BrimError(.full, "no room") }
        router.put("/redirect") { _, _ in Response(status: .temporaryRedirect, headers: [.location: redirect]) }
    }

    @Test func continueIsSentWhenTheBodyIsRead() async throws {
        try await withServer(routes: { Self.routes($0) }) { _, port in
            try await RawConnection.open(port: port) { connection in
                // Twice, since the connection stays open.
                for _ in 0..<2 {
                    try await connection.send(
                        "PUT /count HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\n")
                    #expect(try await connection.receive(until: "\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n")
                    try await connection.send("hello")
                    let reply = try await connection.receive(until: "5\n")
                    #expect(reply.hasPrefix("HTTP/1.1 200 OK\r\n"))
                    #expect(!reply.lowercased().contains("connection: close"))
                }
            }
        }
    }

    @Test(arguments: ["/refuse", "/redirect", "/nowhere"])
    func noContinueWhenTheBodyIsNotRead(path: String) async throws {
        try await withServer(routes: { Self.routes($0) }) { _, port in
            try await RawConnection.open(port: port) { connection in
                try await connection.send(
                    "PUT \(path) HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
                let reply = try await connection.receiveToEnd()
                #expect(!reply.contains("100 Continue"))
                #expect(
                    reply.hasPrefix("HTTP/1.1 507") || reply.hasPrefix("HTTP/1.1 307")
                        || reply.hasPrefix("HTTP/1.1 404"))
                #expect(reply.lowercased().contains("connection: close"))
            }
        }
    }

    @Test func noContinueForABodyThatIsHereAlready() async throws {
        try await withServer(routes: { Self.routes($0) }) { _, port in
            let reply = try await RawConnection.open(port: port) { connection in
                try await connection.send(
                    "PUT /count HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nConnection: close\r\n"
                        + "Content-Length: 5\r\n\r\nhello")
                return try await connection.receiveToEnd()
            }
            #expect(reply.hasPrefix("HTTP/1.1 200 OK\r\n"))
            #expect(reply.hasSuffix("5\n"))
        }
    }

    @Test func unreadBodiesNeverHang() async throws {
        try await withServer(routes: { Self.routes($0) }) { _, port in
            // Small and all here: the connection goes on.
            try await RawConnection.open(port: port) { connection in
                for _ in 0..<3 {
                    try await connection.send("PUT /refuse HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello")
                    #expect(try await connection.receive(until: "}\n").hasPrefix("HTTP/1.1 507"))
                }
            }
            // Announced, and never sent or sent without end: answered, then closed.
            for bytes in [0, 100_000, 100_000_000] {
                let start = ContinuousClock.now
                try await RawConnection.open(port: port) { connection in
                    try await connection.send("PUT /refuse HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000000\r\n\r\n")
                    let reply = try await connection.receive(until: "}\n")
                    #expect(reply.hasPrefix("HTTP/1.1 507"))
                    #expect(reply.lowercased().contains("connection: close"))
                    var sent = 0
                    while sent < bytes, (try? await connection.send(bytes: 100_000)) != nil { sent += 100_000 }
                    #expect(try await connection.receiveToEnd() == "")
                }
                #expect(ContinuousClock.now - start < .seconds(5), "\(bytes) bytes")
            }
        }
    }

    @Test(arguments: ["Content-Length: 10\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"])
    func aBodyThatEndsEarlyIsAnError(text: String) async throws {
        let seen = Mutex<[String]>([])
        let result = AsyncStream.makeStream(of: String.self)
        try await withServer(routes: { router in
            router.put("/x") { request, _ in
                do {
                    var size = 0
                    for try await part in request.body { size += part.readableBytes }
                    result.continuation.yield("complete: \(size)")
                } catch {
                    result.continuation.yield("failed")
                    throw error
                }
                return Response(status: .ok)
            }
        }) { _, port in
            var results = result.stream.makeAsyncIterator()
            try await RawConnection.open(port: port) { connection in
                try await connection.send("PUT /x HTTP/1.1\r\nHost: h\r\n" + text)
            }
            let outcome = await results.next()
            seen.withLock { $0.append(outcome ?? "") }
        }
        #expect(seen.withLock { $0 } == ["failed"])
    }

    @Test func pipelinedRequestsAreAnsweredInOrder() async throws {
        try await withServer(routes: { Self.routes($0) }) { _, port in
            try await RawConnection.open(port: port) { connection in
                let requests = (1...20).map {
                    "PUT /count HTTP/1.1\r\nHost: h\r\nContent-Length: \($0)\r\n\r\n"
                        + String(repeating: "x", count: $0)
                }
                try await connection.send(requests.joined())
                for size in 1...20 {
                    let head = try await connection.receive(until: "\r\n\r\n")
                    #expect(head.hasPrefix("HTTP/1.1 200"))
                    #expect(try await connection.receive(until: "\n") == "\(size)\n")
                }
            }
        }
    }

    private static let curl = ["/usr/bin/curl", "/usr/local/bin/curl", "/opt/homebrew/bin/curl"]
        .first { FileManager.default.isExecutableFile(atPath: $0) }

    @Test(.enabled(if: ExchangeTests.curl != nil), arguments: [0, 10, 3_000_000])
    func curlUploadsThroughARedirectWithoutWaiting(size: Int) async throws {
        let curl = URL(filePath: try #require(Self.curl))
        let file = FileManager.default.temporaryDirectory.appending(path: "brim-wire-\(UUID().uuidString)")
        try Data(repeating: 7, count: size).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        try await withServer(routes: { Self.routes($0) }) { slave, _ in
            try await withServer(routes: { Self.routes($0, redirect: slave + "/count") }) { master, _ in
                let start = ContinuousClock.now
                let (status, output) = try await runProgram(
                    curl,
                    [
                        "-sS", "-v", "-L", "-T", file.path, "-H", "Expect: 100-continue", "--expect100-timeout", "30",
                        master + "/redirect",
                    ])
                #expect(status == 0, "\(output)")
                #expect(output.contains("\(size)\n"))
                // Without a 100 it waits this long before it sends.
                #expect(ContinuousClock.now - start < .seconds(20), "\(output)")
                if size > 0 { #expect(output.components(separatedBy: "100 Continue").count == 2, "\(output)") }
                let refused = try await runProgram(
                    curl,
                    ["-sS", "-T", file.path, "-H", "Expect: 100-continue", "-w", "%{http_code}", master + "/refuse"])
                #expect(refused.status == 0)
                #expect(refused.output.hasSuffix("507"))
                let plain = try await runProgram(
                    curl, ["-sS", "-L", "-T", file.path, "-H", "Expect:", master + "/redirect"])
                #expect(plain.output == "\(size)\n")
            }
        }
    }
}
