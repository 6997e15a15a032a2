import BrimModel
import BrimWire
import Hummingbird
import NIOCore

@testable import BrimSlave

/// A server with blobs that answers requests for many at once as it is told, and those for one properly.
final class FakeSource: Sendable {
    struct State: Sendable {
        var blobs: [BlobID: [UInt8]] = [:]
        /// The blobs of each request for many.
        var batches: [[BlobID]] = []
        /// Blobs that were asked for alone.
        var alone: [BlobID] = []
        /// What to answer in place of all that was asked for.
        var answer: (@Sendable ([BlobID: [UInt8]], [BlobID]) async throws -> ByteBuffer)?
    }

    let server: BrimServer
    let name: ServerName
    private let box = MutexBox(State())
    var state: State { box.current }
    func set(_ change: (inout State) -> Void) { box.withLock { change(&$0) } }

    var peer: Peer { get async throws { Peer(server: name, address: "127.0.0.1:\(try await server.boundPort)") } }

    init(keys: SwarmKeys, name: String = "source") throws {
        self.name = try ServerName(validating: name)
        let router = brimRouter(keys: keys, logger: quiet())
        let box = box
        router.post("/v1/blobs") { request, context in
            _ = try context.requireNode()
            let wanted = try await request.decodeJSON(BlobReadRequest.self).blobs
            let state = box.withLock { state in
                state.batches.append(wanted)
                return state
            }
            let answer: ByteBuffer
            if let special = state.answer {
                answer = try await special(state.blobs, wanted)
            } else {
                answer = Self.frames(state.blobs, wanted)
            }
            return Response(status: .ok, body: ResponseBody(byteBuffer: answer))
        }
        router.get("/v1/blobs/:id") { _, context in
            guard let blob = context.parameters.get("id").flatMap({ BlobID($0) }) else {
                throw BrimError(.invalid, "no id")
            }
            let bytes = box.withLock { state in
                state.alone.append(blob)
                return state.blobs[blob]
            }
            guard let bytes else { throw BrimError(.notFound, "not here") }
            return Response(status: .ok, body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
        }
        server = BrimServer(label: "source", host: "127.0.0.1", port: 0, router: router, logger: quiet())
    }

    /// What a right answer is.
    static func frames(_ blobs: [BlobID: [UInt8]], _ wanted: [BlobID]) -> ByteBuffer {
        var answer = ByteBuffer()
        for blob in wanted { BlobFrames.append(blob, blobs[blob].map { ByteBuffer(bytes: $0) }, to: &answer) }
        return answer
    }
}
