import Foundation

/// A connection to one HTTP server that is kept alive: one request after the other, blocking. It does no more than
/// BrimFS needs, so that the load program takes little from the servers that it shares the machine with.
final class HTTPConnection {
    struct Reply {
        var status: Int
        var body: [UInt8]
    }

    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    private let address: String
    private let descriptor: Int32
    private var received: [UInt8] = []
    private var space = [UInt8](repeating: 0, count: 64 * 1024)

    /// - Parameter address: `a.b.c.d:port`.
    init(_ address: String) throws {
        self.address = address
        let parts = address.split(separator: ":")
        guard parts.count == 2, let port = UInt16(parts[1]) else {
            throw Failure(description: "\(address) is no address and port")
        }
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var target = sockaddr_in()
        target.sin_family = sa_family_t(AF_INET)
        target.sin_port = port.bigEndian
        target.sin_addr.s_addr = inet_addr(String(parts[0]))
        let status = withUnsafePointer(to: &target) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard status == 0 else { throw failure("connect to") }
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    }

    deinit { close(descriptor) }

    /// Sends a request and waits for the whole answer, whatever its status.
    func exchange(_ method: String, _ target: String, headers: String = "", body: [UInt8]) throws -> Reply {
        let head = "\(method) \(target) HTTP/1.1\r\nHost: \(address)\r\n\(headers)Content-Length: \(body.count)\r\n\r\n"
        try write(Array(head.utf8) + body)
        received.removeAll(keepingCapacity: true)
        let end = try readHead()
        let lines = String(decoding: received[..<end], as: UTF8.self).split(separator: "\r\n")
        guard let status = lines.first?.split(separator: " ").dropFirst().first.flatMap({ Int($0) }),
            let length = lines.lazy.compactMap(Self.contentLength).first
        else { throw Failure(description: "an answer of \(address) is not understood: \(lines.first ?? "")") }
        let start = end + 4
        while received.count < start + length { try read() }
        return Reply(status: status, body: Array(received[start..<start + length]))
    }

    private static func contentLength(_ line: Substring) -> Int? {
        guard let colon = line.firstIndex(of: ":"), line[..<colon].lowercased() == "content-length" else { return nil }
        return Int(line[line.index(after: colon)...].drop { $0 == " " })
    }

    /// Where the empty line begins that ends the head.
    private func readHead() throws -> Int {
        var searched = 0
        while true {
            try read()
            var index = max(0, searched - 3)
            while index + 3 < received.count {
                if received[index] == 13, received[index + 2] == 13, received[index + 3] == 10 { return index }
                index += 1
            }
            searched = received.count
        }
    }

    private func read() throws {
        let count = recv(descriptor, &space, space.count, 0)
        guard count > 0 else {
            throw count == 0 ? Failure(description: "\(address) closed the connection") : failure("read from")
        }
        received += space[..<count]
    }

    private func write(_ bytes: [UInt8]) throws {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes {
                send(descriptor, $0.baseAddress.map { $0 + done }, bytes.count - done, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw failure("send to") }
            done += count
        }
    }

    private func failure(_ what: String) -> Failure {
        Failure(description: "cannot \(what) \(address): \(String(cString: strerror(errno)))")
    }
}
