import BrimModel
import BrimWire
import Foundation
import Logging
import NIOCore
import NIOFoundationCompat
import NIOHTTP1

extension Pulls {
    /// Pulls small blobs that one source has, in one request, and makes them durable together. Answers those that must be
    /// pulled alone: for whatever is not plain about them, that way knows what to do.
    func carryOut(_ jobs: [PullJob]) async -> [PullJob] {
        let transfer = node.transfers.begin()
        defer { withExtendedLifetime(transfer) {} }
        let held = jobs.filter { !$0.isCancelled && node.receiving.tryAcquire($0.pull.blob) }
        defer { for job in held { node.receiving.release(job.pull.blob) } }
        var settled: Set<ObjectIdentifier> = []
        do {
            let arrivals = try await fetch(try await missing(held))
            settled = Set(arrivals.map { ObjectIdentifier($0.job) })
            let ended = await enter(arrivals)
            for (job, _) in ended { job.reservation.release() }
            completions.add(ended)
            node.logger.debug(
                "pulls ended together",
                metadata: ["blobs": "\(ended.count)", "failed": "\(ended.count { $0.error != nil })"])
        } catch is CancellationError {
            // Shutting down: the leader sees that this server started anew and plans again.
            for job in jobs { job.reservation.release() }
            return []
        } catch {
            node.logger.debug("blobs cannot be pulled together", metadata: ["error": "\(error)"])
        }
        return jobs.filter { !settled.contains(ObjectIdentifier($0)) }
    }

    /// Those that are not here and have room.
    private func missing(_ jobs: [PullJob]) async throws -> [PullJob] {
        let known = try await node.catalog.facts(jobs.map(\.pull.blob))
        return jobs.filter { known[$0.pull.blob] == nil && $0.reservation.bytes >= $0.pull.size }
    }

    private typealias Arrival = (job: PullJob, bytes: ByteBuffer)

    /// The right bytes of those that their source sends.
    private func fetch(_ jobs: [PullJob]) async throws -> [Arrival] {
        guard let source = jobs.first?.pull.sources.first else { return [] }
        let request = BlobReadRequest(blobs: jobs.map(\.pull.blob))
        let (status, answer) = try await node.peers.exchange(
            .POST, "http://\(source.address)/v1/blobs",
            headers: HTTPHeaders([("content-type", "application/json")]),
            body: ByteBuffer(data: try BrimJSON.encoder().encode(request)),
            token: try node.configuration.keys.nodeToken(name: node.name.rawValue),
            deadline: node.configuration.transferIdle)
        guard status == 200 else { throw BrimError(.init(httpStatus: status), "\(source.server) answered \(status)") }
        var wanted = Dictionary(jobs.map { ($0.pull.blob, $0) }) { first, _ in first }
        var frames = BlobFrames(answer)
        var arrivals: [Arrival] = []
        // Of an answer that breaks off, what came whole counts.
        while let (blob, bytes) = try? frames.next() {
            guard let bytes, let job = wanted.removeValue(forKey: blob), Self.isRight(bytes, job.pull) else { continue }
            arrivals.append((job, bytes))
        }
        return arrivals
    }

    private static func isRight(_ bytes: ByteBuffer, _ pull: Order.Pull) -> Bool {
        guard Int64(bytes.readableBytes) == pull.size else { return false }
        var sum = CRC32C()
        bytes.withUnsafeReadableBytes { sum.update($0) }
        return sum.value == pull.checksum.crc32c
    }

    /// Makes what has arrived durable, but for what has been given up meanwhile; answers how each ended.
    private func enter(_ arrivals: [Arrival]) async -> [(job: PullJob, error: BrimError?)] {
        let wanted = arrivals.filter { !$0.job.isCancelled }
        var failure: BrimError?
        do {
            try await node.enter(wanted.map { ($0.bytes, $0.job.pull, $0.job.reservation) })
            // Who gives a blob up from now on finds its row.
            let unwanted = wanted.map(\.job).filter(\.isCancelled)
            if !unwanted.isEmpty { try await node.remove(unwanted.map(\.pull.blob)) }
        } catch let error as BrimError {
            failure = error
        } catch {
            failure = BrimError(.internal, "the pull failed: \(error)")
        }
        return arrivals.map { arrival in
            do {
                try arrival.job.check()
                return (arrival.job, failure)
            } catch {
                return (arrival.job, error as? BrimError ?? failure)
            }
        }
    }
}
