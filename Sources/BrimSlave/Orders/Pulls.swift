import BrimModel
import BrimWire
import Logging
import NIOCore
import ServiceLifecycle
import Synchronization

/// Carries out pulls, a few at a time.
final class Pulls: BackgroundLoop {
    let worker = Worker("pulls", unit: "copies")

    private struct State {
        var queue = PullQueue()
        /// Requests under way, some of which bring many blobs.
        var active = 0
        /// Queued and active ones.
        var jobs: [BlobID: [PullJob]] = [:]
    }

    let node: SlaveNode
    let completions: Completions
    private let state = Mutex(State())
    private let signal = Signal()

    init(node: SlaveNode, completions: Completions) {
        self.node = node
        self.completions = completions
    }

    /// The space reserved for pulls bounds how many can wait.
    func add(_ jobs: [PullJob]) {
        state.withLock { state in
            for job in jobs {
                state.queue.append(job)
                state.jobs[job.pull.blob, default: []].append(job)
            }
        }
        signal.raise()
    }

    /// Gives up pulls of blobs that a later order evicts.
    func cancel(_ blobs: [BlobID]) {
        let jobs = state.withLock { state in blobs.flatMap { state.jobs[$0] ?? [] } }
        for job in jobs { job.cancel() }
    }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                while !Task.isCancelled {
                    await self.signal.wait()
                    while !Task.isCancelled, let jobs = self.next() {
                        group.addTask { await self.work(on: jobs) }
                    }
                }
            }
        }
    }

    private func next() -> [PullJob]? {
        state.withLock { state in
            guard state.active < node.configuration.pulls, let jobs = state.queue.next() else { return nil }
            state.active += 1
            worker.begins("\(state.active) under way, \(state.queue.count) waiting")
            return jobs
        }
    }

    private func work(on jobs: [PullJob]) async {
        var alone: [PullJob] = []
        if let job = jobs.first, jobs.count == 1 {
            await carryOut(job)
        } else {
            alone = await carryOut(jobs)
        }
        let again = Set(alone.map(ObjectIdentifier.init))
        finished(jobs.filter { !again.contains(ObjectIdentifier($0)) }, again: alone)
    }

    /// `again`: jobs that are to be done once more, each alone.
    private func finished(_ jobs: [PullJob], again: [PullJob]) {
        state.withLock { state in
            state.active -= 1
            for job in jobs {
                state.jobs[job.pull.blob]?.removeAll { $0 === job }
                if state.jobs[job.pull.blob]?.isEmpty == true { state.jobs[job.pull.blob] = nil }
            }
            for job in again { state.queue.append(job, alone: true) }
            worker.did(jobs.count)
            if state.active == 0, state.queue.count == 0 { worker.rests() }
        }
        signal.raise()
    }

    private func carryOut(_ job: PullJob) async {
        let transfer = node.transfers.begin()
        defer { withExtendedLifetime(transfer) {} }
        await node.receiving.withLock(job.pull.blob) {
            var badSources: [ServerName] = []
            var failure: BrimError?
            do {
                try await fetch(job, badSources: &badSources)
            } catch let error as BrimError {
                failure = error
            } catch is CancellationError {
                // Shutting down: the leader sees that this server started anew and plans again.
                job.reservation.release()
                return
            } catch {
                failure = BrimError(.internal, "the pull failed: \(error)")
            }
            job.reservation.release()
            node.logger.debug(
                "pull ended",
                metadata: ["blob": "\(job.pull.blob)", "error": "\(failure.map(String.init(describing:)) ?? "none")"])
            completions.add(job, error: failure, badSources: badSources)
        }
    }

    /// Brings the blob here from the first source that has it whole.
    private func fetch(_ job: PullJob, badSources: inout [ServerName]) async throws {
        let pull = job.pull
        try job.check()
        if let known = try await node.catalog.row(pull.blob) {
            guard known.size == pull.size, known.checksum == pull.checksum else {
                throw BrimError(.conflict, "the blob is here already, with other bytes", retryable: false)
            }
            return
        }
        if job.reservation.bytes < pull.size { try job.reservation.extendOrFail(by: pull.size, node.name) }
        var last = BrimError(.unavailable, "no source was named")
        for source in pull.sources {
            do {
                try await fetch(job, from: source)
                return
            } catch let error as SourceFailure {
                node.logger.debug(
                    "pull from a source failed",
                    metadata: ["blob": "\(pull.blob)", "server.name": "\(source.server)", "error": "\(error.error)"])
                if error.isBad { badSources.append(source.server) }
                last = BrimError(error.error.code, "\(source.server): \(error.error.message)")
                job.reservation.rewind()
            }
        }
        throw last
    }

    /// It is the source's fault, so the next may do better.
    private struct SourceFailure: Error {
        var error: BrimError
        /// Its copy is damaged or missing.
        var isBad: Bool

        init(_ error: any Error) throws {
            guard let error = error as? BrimError else { throw error }
            self.error = error
            isBad = error.code == .corrupt || error.code == .notFound
        }
    }

    private func fetch(_ job: PullJob, from source: Peer) async throws {
        let pull = job.pull
        var incoming = node.store.receive(pull.blob)
        do {
            var parts = try await open(pull, at: source).makeAsyncIterator()
            while let part = try await next(&parts) {
                try job.check()
                guard incoming.sums.size + Int64(part.readableBytes) <= pull.size else {
                    throw try SourceFailure(BrimError(.corrupt, "it sends more than \(pull.size) bytes"))
                }
                job.reservation.wrote(try await incoming.append(part))
            }
            guard incoming.sums.size == pull.size, incoming.sums.checksum == pull.checksum else {
                throw try SourceFailure(
                    BrimError(
                        .corrupt,
                        "it sent \(incoming.sums.size) bytes with \(incoming.sums.checksum); \(pull.size) with "
                            + "\(pull.checksum) are right"))
            }
            try job.check()
            try await node.enter(&incoming, job.reservation, label: pull.label)
        } catch {
            await incoming.discard()
            throw error
        }
        if job.isCancelled {
            try await node.remove([pull.blob])
            try job.check()
        }
    }

    private func open(_ pull: Order.Pull, at source: Peer) async throws -> Download.Body {
        do {
            let download = try await node.peers.download(
                "http://\(source.address)/v1/blobs/\(pull.blob)", headers: [],
                token: try node.configuration.keys.nodeToken(name: node.name.rawValue),
                idle: node.configuration.transferIdle)
            guard download.length == nil || download.length == pull.size else {
                throw BrimError(.corrupt, "its copy has \(download.length ?? 0) bytes in place of \(pull.size)")
            }
            return download.body
        } catch {
            throw try SourceFailure(error)
        }
    }

    private func next(_ parts: inout Download.Body.AsyncIterator) async throws -> ByteBuffer? {
        do { return try await parts.next() } catch { throw try SourceFailure(error) }
    }
}
