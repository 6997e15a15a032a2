import Hummingbird
import NIOCore

/// The body of a request that expects a `100 Continue`: asks the connection for it when the first part is wanted.
struct ContinuingBody: AsyncSequence, Sendable {
    let base: RequestBody
    let channel: any Channel

    struct AsyncIterator: AsyncIteratorProtocol {
        var base: RequestBody.AsyncIterator
        var channel: (any Channel)?

        mutating func next() async throws -> ByteBuffer? {
            channel?.triggerUserOutboundEvent(ExchangeHandler.BodyWanted(), promise: nil)
            channel = nil
            return try await base.next()
        }
    }

    func makeAsyncIterator() -> AsyncIterator { AsyncIterator(base: base.makeAsyncIterator(), channel: channel) }
}
