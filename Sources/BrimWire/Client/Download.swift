import AsyncHTTPClient
import NIOCore

/// A response whose body is still arriving. Dropping it breaks the transfer off.
public struct Download: Sendable {
    /// 200–299.
    public let status: Int
    /// In the order they came.
    public let headers: [(String, String)]
    public let body: Body

    init(status: Int, headers: [(String, String)], body: Body) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// The first header of this name, in any case.
    public subscript(name: String) -> String? {
        let wanted = name.lowercased()
        return headers.first { $0.0.lowercased() == wanted }?.1
    }

    /// Bytes of the body, where the peer said so.
    public var length: Int64? { self["content-length"].flatMap { Int64($0) } }

    /// The parts of the body as they arrive; to be read once. Throws `.unavailable` when the peer breaks off and
    /// `.timeout` when it falls silent.
    public struct Body: AsyncSequence, Sendable {
        public typealias Element = ByteBuffer
        public typealias Failure = any Error

        let base: HTTPClientResponse.Body
        let peer: String

        public struct AsyncIterator: AsyncIteratorProtocol {
            var base: HTTPClientResponse.Body.AsyncIterator
            let peer: String

            public mutating func next() async throws -> ByteBuffer? {
                do {
                    return try await base.next()
                } catch {
                    throw PeerClient.describe(error, peer: peer)
                }
            }
        }

        public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(base: base.makeAsyncIterator(), peer: peer) }
    }
}
