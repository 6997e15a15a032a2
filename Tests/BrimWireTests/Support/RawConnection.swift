import Foundation
import NIOCore
import NIOPosix

/// A plain TCP connection on which a test says exactly what it wants to.
struct RawConnection {
    private var inbound: NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator
    private let outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>
    private var pending = ""

    private init(
        inbound: NIOAsyncChannelInboundStream<ByteBuffer>, outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>
    ) {
        self.inbound = inbound.makeAsyncIterator()
        self.outbound = outbound
    }

    static func open<Value: Sendable>(
        port: Int, _ body: @Sendable (inout RawConnection) async throws -> Value
    ) async throws -> Value {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel(
                        wrappingChannelSynchronously: channel,
                        configuration: .init(inboundType: ByteBuffer.self, outboundType: ByteBuffer.self))
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            var connection = RawConnection(inbound: inbound, outbound: outbound)
            return try await body(&connection)
        }
    }

    func send(_ text: String) async throws { try await outbound.write(ByteBuffer(string: text)) }
    func send(bytes: Int) async throws { try await outbound.write(ByteBuffer(repeating: 0x78, count: bytes)) }

    /// What arrives up to a marker, the marker included; all there is when the peer closes before.
    mutating func receive(until marker: String) async throws -> String {
        while true {
            if let end = pending.range(of: marker)?.upperBound {
                defer { pending = String(pending[end...]) }
                return String(pending[..<end])
            }
            guard let bytes = try await inbound.next() else {
                defer { pending = "" }
                return pending
            }
            pending += String(buffer: bytes)
        }
    }

    /// Everything until the peer closes.
    mutating func receiveToEnd() async throws -> String {
        while let bytes = try await inbound.next() { pending += String(buffer: bytes) }
        defer { pending = "" }
        return pending
    }
}
