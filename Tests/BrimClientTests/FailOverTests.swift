import BrimModel
import BrimWire
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import Synchronization
import Testing

@testable import BrimClient

/// Reads from servers that fail, in turn: what is asked of whom, and what arrives.
@Suite(.timeLimit(.minutes(10))) struct FailOverTests {
    /// What a server of the swarm does with a request for the blob.
    enum Behaviour: Sendable {
        case serves
        /// Ignores `Range`.
        case servesFromTheStart
        /// Breaks the connection off after this many bytes.
        case breaksOff(after: Int)
        case servesOtherBytes
        case servesMore
        case fails(BrimError.Code)
    }

    private static let content = Array("The quick brown fox jumps over the lazy dog".utf8)
    private static let names = ["alpha", "bravo", "charlie"]

    /// Bytes as they come, which can be taken back.
    private final class Sink: ByteSink {
        private let state = Mutex<[UInt8]>([])
        let canRestart: Bool
        var bytes: [UInt8] { state.withLock { $0 } }
        init(canRestart: Bool = true) { self.canRestart = canRestart }

        func write(_ bytes: ByteBuffer) { state.withLock { $0 += Array(bytes.readableBytesView) } }
        func restart() -> Bool {
            if canRestart { state.withLock { $0 = [] } }
            return canRestart
        }
    }

    private static func plan(_ url: String, copies: Int) throws -> ReadPlan {
        var sum = CRC32C()
        content.withUnsafeBytes { sum.update($0) }
        let servers = try names.prefix(copies).map { try ServerName(validating: $0) }
        var blobs = BlobIDGenerator()
        let file = FileContent(
            version: 1, blob: blobs.next(seconds: 1_800_000_000), size: Int64(content.count),
            checksum: Checksum(crc32c: sum.value), n: 1, k: copies, readable: true, replicas: servers)
        let entry = Entry(
            id: FileID(2), parent: .root, name: try EntryName("f"), type: .file, mode: 0o644, created: .now,
            modified: .now, content: file)
        return ReadPlan(
            file: FileStat(path: "/f", entry: entry),
            copies: servers.map { .init(server: $0, url: "\(url)/\($0)/blob") })
    }

    private static func response(_ behaviour: Behaviour, _ request: Request) throws -> Response {
        let range = request.headers[.range].flatMap { Int($0.dropFirst("bytes=".count).dropLast()) }
        let isPartial = if case .servesFromTheStart = behaviour { false } else { range != nil }
        let bytes = Array(content[(isPartial ? range ?? 0 : 0)...])
        let status: HTTPResponse.Status = isPartial ? .partialContent : .ok
        switch behaviour {
        case .serves, .servesFromTheStart:
            return Response(status: status, body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
        case .servesOtherBytes:
            return Response(status: status, body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes.map { $0 ^ 1 })))
        case .servesMore:
            return Response(status: status, body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes + [0])))
        case .breaksOff(let count):
            return Response(
                status: status,
                body: ResponseBody(contentLength: bytes.count) { writer in
                    try await writer.write(ByteBuffer(bytes: bytes.prefix(count)))
                    throw BrimError(.io, "as the test wants it")
                })
        case .fails(let code):
            return try jsonResponse(BrimError(code, "as the test wants it"), status: .init(code: code.httpStatus))
        }
    }

    /// Reads a file whose copies behave so; gives what went into the sink and who was asked, with which range.
    private func read(
        _ behaviours: [Behaviour], into sink: Sink = Sink()
    ) async throws -> (result: Result<Void, any Error>, asked: [String], progress: TransferProgress) {
        let asked = Journal<String>()
        let progress = TransferProgress { _ in }
        let result = try await withServer { router in
            router.post("/v1/reads") { request, _ in
                guard let host = request.head.authority else { throw BrimError(.invalid, "no host") }
                let plan = try Self.plan("http://\(host)", copies: behaviours.count)
                return try jsonResponse(ReadsReply(reads: [.init(plan: plan)]))
            }
            for (name, behaviour) in zip(Self.names, behaviours) {
                router.get("/\(name)/blob") { request, _ in
                    asked.add(name + (request.headers[.range].map { " \($0)" } ?? ""))
                    return try Self.response(behaviour, request)
                }
            }
        } _: { url in
            try await withClient([url]) { client -> Result<Void, any Error> in
                do {
                    try await client.read(BrimPath(parsing: "/f"), into: sink, progress: progress)
                    return .success(())
                } catch {
                    return .failure(error)
                }
            }
        }
        return (result, asked.elements, progress)
    }

    @Test func theBestCopyIsEnough() async throws {
        let sink = Sink()
        let (result, asked, progress) = try await read([.serves, .serves], into: sink)
        try result.get()
        #expect(sink.bytes == Self.content)
        #expect(asked == ["alpha"])
        #expect(progress.snapshot.bytes == Int64(Self.content.count))
    }

    @Test(arguments: [BrimError.Code.unavailable, .notFound, .corrupt, .internal])
    func theNextCopyIsReadWhenOneFails(code: BrimError.Code) async throws {
        let sink = Sink()
        let (result, asked, _) = try await read([.fails(code), .fails(code), .serves], into: sink)
        try result.get()
        #expect(sink.bytes == Self.content)
        #expect(asked == ["alpha", "bravo", "charlie"])
    }

    /// Also when the next server knows no ranges.
    @Test(arguments: [Behaviour.serves, .servesFromTheStart])
    func theNextCopyGoesOnWhereOneBrokeOff(next: Behaviour) async throws {
        let sink = Sink(canRestart: false)
        let (result, asked, progress) = try await read([.breaksOff(after: 10), next], into: sink)
        try result.get()
        #expect(sink.bytes == Self.content)
        #expect(asked == ["alpha", "bravo bytes=10-"])
        #expect(progress.snapshot.bytes == Int64(Self.content.count))
    }

    @Test func aCorruptCopyIsReadAnewElsewhere() async throws {
        let sink = Sink()
        let (result, asked, progress) = try await read([.servesOtherBytes, .serves], into: sink)
        try result.get()
        #expect(sink.bytes == Self.content)
        #expect(asked == ["alpha", "bravo"])
        #expect(progress.snapshot.bytes == Int64(Self.content.count))
    }

    /// What has gone to a pipe cannot be taken back.
    @Test func aCorruptCopyInAStreamIsAnError() async throws {
        let (result, asked, _) = try await read([.servesOtherBytes, .serves], into: Sink(canRestart: false))
        let error = #expect(throws: BrimError.self) { try result.get() }
        #expect(error?.code == .corrupt)
        #expect(asked == ["alpha"])
    }

    @Test func bytesBeyondTheSizeAreNotWritten() async throws {
        let sink = Sink()
        let (result, asked, _) = try await read([.servesMore, .serves], into: sink)
        try result.get()
        #expect(sink.bytes == Self.content)
        #expect(asked.first == "alpha" && asked.count == 2)
    }

    /// Three rounds over all copies, none of which brings anything.
    @Test func whenAllFailTheLastFailureIsTold() async throws {
        let (result, asked, _) = try await read([.fails(.unavailable), .fails(.notFound)])
        let error = #expect(throws: BrimError.self) { try result.get() }
        #expect(error?.code == .notFound)
        #expect(asked == Array(repeating: ["alpha", "bravo"], count: 3).flatMap { $0 })
    }

    // MARK: Masters

    @Test(.timeLimit(.minutes(1))) func anotherMasterIsAskedBesideOneThatIsFrozen() async throws {
        let inquiry = Inquiry(masters: ["frozen", "away", "well"], logger: testLogger)
        let (reply, master) = try await inquiry.run { master in
            switch master {
            case "frozen":
                try await Task.sleep(for: .seconds(3600))
                return 1
            case "away": throw BrimError(.unavailable, "away")
            default: return 2
            }
        }
        #expect(reply == 2 && master == "well")
    }

    @Test func theNextMasterIsAskedWhenOneIsAway() async throws {
        let asked = Journal<String>()
        try await withServer { router in
            router.post("/away/v1/reads") { _, _ in
                asked.add("away")
                return try jsonResponse(BrimError(.unavailable, "away"), status: .serviceUnavailable)
            }
            router.post("/here/v1/reads") { _, _ in
                asked.add("here")
                return try jsonResponse(ReadsReply(reads: [.init(error: BrimError(.denied, "not for you"))]))
            }
        } _: { url in
            try await withClient(["\(url)/away", "\(url)/here"]) { client in
                for _ in 1...2 {
                    let error = await #expect(throws: BrimError.self) {
                        _ = try await client.read(BrimPath(parsing: "/f"), into: Sink())
                    }
                    #expect(error?.code == .denied)
                }
            }
        }
        // A refusal is an answer, and who answered is asked first the next time.
        #expect(asked.elements == ["away", "here", "here"])
    }

    @Test func aClientNeedsAMaster() {
        let error = #expect(throws: BrimError.self) {
            _ = try BrimClient(masters: [], memory: nil, token: { "" }, logger: testLogger)
        }
        #expect(error?.code == .invalid)
    }
}
