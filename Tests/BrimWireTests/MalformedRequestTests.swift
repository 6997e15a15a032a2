import BrimModel
import BrimWire
import Foundation
import HTTPTypes
import Hummingbird
import Synchronization
import Testing

/// Requests that are not HTTP, or mean one thing to one reader and another to the next (request smuggling): refused with
/// 400, the connection closed, and nothing after them on the connection is taken for a request.
@Suite(.timeLimit(.minutes(10)))
struct MalformedRequestTests {
    struct Sample: CustomTestStringConvertible {
        let testDescription: String
        let text: String
        init(_ name: String, _ text: String) {
            testDescription = name
            self.text = text
        }
    }

    /// What follows each sample on its connection and must never be seen as a request.
    private static let smuggled = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"

    static let samples: [Sample] = [
        Sample("no HTTP at all", "\u{1}\u{2}\u{3}\r\n\r\n"),
        Sample("another protocol's greeting", "SSH-2.0-OpenSSH_9.2\r\n"),
        Sample("two lengths that differ", put("Content-Length: 5\r\nContent-Length: 6", "hello")),
        Sample("two lengths that agree", put("Content-Length: 5\r\nContent-Length: 5", "hello")),
        Sample("a list of lengths", put("Content-Length: 5, 5", "hello")),
        Sample("a negative length", put("Content-Length: -5", "hello")),
        Sample("a length with a sign", put("Content-Length: +5", "hello")),
        Sample("a length in hex", put("Content-Length: 0x5", "hello")),
        Sample("a length beyond 64 bits", put("Content-Length: 99999999999999999999", "hello")),
        Sample("a length that is empty", put("Content-Length: ", "hello")),
        Sample("length and chunked", put("Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n")),
        Sample("chunked and length", put("Transfer-Encoding: chunked\r\nContent-Length: 5", "0\r\n\r\n")),
        Sample("chunked, and then something else", put("Transfer-Encoding: chunked, identity", "0\r\n\r\n")),
        Sample("a chunk's size that is no number", put("Transfer-Encoding: chunked", "xyz\r\nhello\r\n0\r\n\r\n")),
        Sample("a negative chunk", put("Transfer-Encoding: chunked", "-1\r\nhello\r\n0\r\n\r\n")),
        Sample("a chunk longer than its size", put("Transfer-Encoding: chunked", "3\r\nhello\r\n0\r\n\r\n")),
        Sample("a chunk of more than 64 bits", put("Transfer-Encoding: chunked", "fffffffffffffffff\r\nhello\r\n")),
        Sample("a bare CR in a header", "GET /x HTTP/1.1\r\nHost: h\r\nX: a\rb\r\n\r\n"),
        Sample("a bare CR before a header", "GET /x HTTP/1.1\r\nHost: h\r\n\rX: a\r\n\r\n"),
        Sample("NUL in a header", "GET /x HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n"),
        Sample("NUL in a header's name", "GET /x HTTP/1.1\r\nHost: h\r\nX\0: a\r\n\r\n"),
        Sample("NUL in the path", "GET /x\0y HTTP/1.1\r\nHost: h\r\n\r\n"),
        Sample("a space before the colon", "GET /x HTTP/1.1\r\nHost: h\r\nX : a\r\n\r\n"),
        Sample("no colon", "GET /x HTTP/1.1\r\nHost: h\r\nnonsense\r\n\r\n"),
        Sample("a continued header", "GET /x HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n"),
        Sample("an unknown version", "GET /x HTTP/9.9\r\nHost: h\r\n\r\n"),
        Sample("a method in lower case", "get /x HTTP/1.1\r\nHost: h\r\n\r\n"),
        Sample("no path", "GET HTTP/1.1\r\nHost: h\r\n\r\n"),
        Sample(
            "a huge header", "GET /x HTTP/1.1\r\nHost: h\r\nX: \(String(repeating: "y", count: 300_000))\r\n\r\n"),
        Sample(
            "many headers",
            "GET /x HTTP/1.1\r\nHost: h\r\n\((0..<5000).map { "X\($0): y\r\n" }.joined())\r\n"),
        Sample("a huge path", "GET /x?\(String(repeating: "z", count: 600_000)) HTTP/1.1\r\nHost: h\r\n\r\n"),
    ]

    private static func put(_ headers: String, _ body: String) -> String {
        "PUT /x HTTP/1.1\r\nHost: h\r\n\(headers)\r\n\r\n\(body)"
    }

    @Test(arguments: samples)
    func isRefusedAndTheConnectionClosed(_ sample: Sample) async throws {
        let completed = Mutex<[String]>([])
        try await withServer(routes: { router in
            router.get("/x") { _, _ in Response(status: .ok) }
            router.get("/smuggled") { _, _ in
                completed.withLock { $0.append("smuggled") }
                return Response(status: .ok)
            }
            router.put("/x") { request, _ in
                let bytes = try await request.body.collect(upTo: 100)
                completed.withLock { $0.append("put \(bytes.readableBytes)") }
                return Response(status: .ok)
            }
        }) { _, port in
            let reply = try await RawConnection.open(port: port) { connection in
                // The server may close before it has read all of it.
                try? await connection.send(sample.text + Self.smuggled)
                return (try? await connection.receiveToEnd()) ?? ""
            }
            #expect(completed.withLock { $0 } == [], "it was carried out")
            // Whoever is still sending when the connection is closed may get a reset instead of the answer.
            if reply.isEmpty, sample.text.utf8.count > 30_000 { return }
            let first = reply.split(separator: "\r\n").first.map(String.init) ?? "nothing"
            #expect(first.hasPrefix("HTTP/1.1 400 ") || first.hasPrefix("HTTP/1.1 431 "), "\(first)")
            #expect(reply.lowercased().contains("connection: close"), "\(reply.prefix(300))")
            #expect(reply.components(separatedBy: "HTTP/1.1 ").count == 2, "one answer: \(reply.prefix(600))")
        }
    }

    @Test func aLongTokenFits() async throws {
        try await withServer(routes: { router in router.get("/x") { _, _ in Response(status: .ok) } }) { _, port in
            let long = String(repeating: "y", count: 200_000)
            let reply = try await RawConnection.open(port: port) { connection in
                try await connection.send("GET /x?token2=\(long) HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
                return try await connection.receiveToEnd()
            }
            #expect(reply.hasPrefix("HTTP/1.1 200"))
        }
    }
}
