import BrimModel
import BrimPlacement
import BrimWire
import ChildProcesses
import Foundation
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import Synchronization

/// A user's own program that decides n: it reads one question per line of its input and writes one answer per line, both JSON.
///
/// It is kept running, and started again when it ends, hangs or talks nonsense. A file for which it has no answer in time keeps
/// the n that it chose before, or has the swarm's default, and people are told.
final class PolicyProgram: ReplicationPolicy, BackgroundLoop {
    let worker = Worker("policy program", unit: "answers")

    /// Questions asked before their answers are waited for.
    private static let wave = 64
    /// Bytes of one line of an answer.
    private static let longestLine = 64 * 1024
    /// Lines that answer nothing which was asked, within one life of the program.
    private static let mostStrayLines = 1000
    private static let pauses = (first: Duration.milliseconds(500), last: Duration.seconds(60))

    let path: String
    private let deadline: Duration
    private let logger: Logger
    private let state = Mutex(State())

    private struct State {
        /// Where questions go; nil while it does not run.
        var questions: NIOAsyncChannelOutboundWriter<ByteBuffer>?
        var next = 1
        var open: [Int: Latch<Answer>] = [:]
        /// What went wrong last; nil after a good answer.
        var trouble: String?
        /// Set to have it ended and started again.
        var failed: Latch<Void>?
        var answered = false
    }

    /// - Parameters:
    ///   - path: the executable.
    ///   - deadline: how long it may take for one question.
    init(path: String, deadline: Duration, logger: Logger) {
        self.path = path
        self.deadline = deadline
        self.logger = logger
    }

    /// What people should know; nil: all is well.
    var warning: String? {
        state.withLock { $0.trouble }.map {
            "the policy program \(path) does not answer as it should, so files keep their n or have the default: \($0)"
        }
    }

    // MARK: - Questions

    private struct Question: Encodable {
        var id: Int
        var path: String
        var size: Int64
        var created: Timestamp
        var modified: Timestamp
        var attributes: [String: AttributeValue]
        var reads: ReadRates
        /// What it has now; nil for a new file.
        var n: Int?
        var policy: String?
    }

    private struct Answer: Decodable {
        var id: Int
        /// nil: no opinion.
        var n: Int?
        var why: String?
    }

    func choose(for files: [PolicyFile]) async -> [PolicyChoice?] {
        var choices: [PolicyChoice?] = []
        for start in stride(from: 0, to: files.count, by: Self.wave) {
            choices += await choose(wave: files[start..<min(files.count, start + Self.wave)])
        }
        return choices
    }

    private func choose(wave files: ArraySlice<PolicyFile>) async -> [PolicyChoice?] {
        let asked = files.map { _ in Latch<Answer>() }
        let (writer, first) = state.withLock { state in
            defer { state.next += files.count }
            if state.questions != nil {
                for (index, latch) in asked.enumerated() { state.open[state.next + index] = latch }
            }
            return (state.questions, state.next)
        }
        defer { state.withLock { state in for index in asked.indices { state.open[first + index] = nil } } }
        guard let writer else { return files.map(Self.withoutAnswer) }
        do {
            let lines = try ByteBuffer(bytes: files.enumerated().flatMap { try Self.line(id: first + $0, $1) })
            let answers = try await withThrowingTaskGroup(of: [Answer]?.self) { group in
                group.addTask {
                    try await writer.write(lines)
                    var answers: [Answer] = []
                    for latch in asked { answers.append(try await latch.get()) }
                    return answers
                }
                group.addTask {
                    try await Task.sleep(for: self.deadline)
                    return nil
                }
                defer { group.cancelAll() }
                return try await group.next() ?? nil
            }
            guard let answers else {
                if !Task.isCancelled { fail("it took longer than \(DurationText.format(deadline)) to answer") }
                return files.map(Self.withoutAnswer)
            }
            return zip(files, answers).map(choice)
        } catch {
            return files.map(Self.withoutAnswer)
        }
    }

    private static func line(id: Int, _ file: PolicyFile) throws -> [UInt8] {
        let question = Question(
            id: id, path: file.path.description, size: file.size, created: file.created, modified: file.modified,
            attributes: file.attributes, reads: file.reads, n: file.present?.n, policy: file.present?.rule)
        return try Array(BrimJSON.encoder().encode(question)) + [UInt8(ascii: "\n")]
    }

    private func choice(for file: PolicyFile, _ answer: Answer) -> PolicyChoice? {
        guard let n = answer.n else { return nil }
        guard (1...Limits.maxCopies).contains(n) else {
            state.withLock { $0.trouble = "it answered n = \(n) for \(file.path), which is none" }
            return Self.withoutAnswer(file)
        }
        return PolicyChoice(n: n, rule: PolicyName.program, reason: answer.why ?? "the policy program says so")
    }

    private static func withoutAnswer(_ file: PolicyFile) -> PolicyChoice? {
        file.present?.rule == PolicyName.program ? file.present : nil
    }

    // MARK: - Its life

    func run() async throws {
        var pause = Self.pauses.first
        while !Task.isShuttingDownGracefully, !Task.isCancelled {
            let begun = ContinuousClock.now
            do {
                try await cancelWhenGracefulShutdown { try await self.live() }
            } catch is CancellationError {
                return
            } catch {
                fail("\((error as? BrimError)?.message ?? "\(error)")")
                worker.failed(error, again: pause)
            }
            // One that did its work for a while begins anew at once.
            let isWell = state.withLock { $0.answered } && ContinuousClock.now - begun > Self.pauses.last
            pause = isWell ? Self.pauses.first : min(pause * 2, Self.pauses.last)
            let next = pause
            try? await cancelWhenGracefulShutdown { try await Task.sleep(for: next) }
        }
    }

    /// Notes what is wrong, and has the program ended.
    private func fail(_ why: String) {
        let (isNews, failed) = state.withLock { state in
            defer { state.trouble = why }
            return (state.trouble != why, state.failed)
        }
        if isNews { logger.warning("the policy program failed", metadata: ["program": "\(path)", "reason": "\(why)"]) }
        failed?.set(.failure(BrimError(.unavailable, why)))
    }

    /// One life of the program; throws when it ends.
    private func live() async throws {
        let (input, output) = (try ChildProcess.makePipe(), try ChildProcess.makePipe())
        let child: ChildProcess
        do {
            defer { for end in [input.reading, output.writing] { close(end) } }
            child = try ChildProcess(
                URL(filePath: path), [], input: .descriptor(input.reading), output: .descriptor(output.writing),
                error: .inherited)
        } catch {
            for end in [input.writing, output.reading] { close(end) }
            throw error
        }
        worker.begins("asks \(path)")
        let failed = Latch<Void>()
        do {
            let channel = try await NIOPipeBootstrap(group: .singletonMultiThreadedEventLoopGroup)
                .takingOwnershipOfDescriptors(input: output.reading, output: input.writing) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                    }
                }
            try await channel.executeThenClose { inbound, outbound in
                state.withLock { ($0.questions, $0.failed, $0.answered) = (outbound, failed, false) }
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await self.listen(inbound) }
                    group.addTask { try await failed.get() }
                    defer { group.cancelAll() }
                    try await group.next()
                }
            }
        } catch {
            await end(child)
            throw error
        }
        await end(child)
    }

    private func end(_ child: ChildProcess) async {
        let open = state.withLock { state in
            defer { (state.questions, state.failed, state.open) = (nil, nil, [:]) }
            return state.open
        }
        for latch in open.values { latch.set(.failure(BrimError(.unavailable, "the policy program ended"))) }
        child.send(SIGKILL)
        _ = await child.wait()
    }

    // MARK: - Answers

    private func listen(_ inbound: NIOAsyncChannelInboundStream<ByteBuffer>) async throws {
        var (said, stray) = (ByteBuffer(), 0)
        for try await part in inbound {
            said.writeImmutableBuffer(part)
            while let end = said.readableBytesView.firstIndex(of: UInt8(ascii: "\n")) {
                let line = said.readSlice(length: end - said.readerIndex) ?? ByteBuffer()
                said.moveReaderIndex(forwardBy: 1)
                if try !take(line) { stray += 1 }
                guard stray <= Self.mostStrayLines else {
                    throw BrimError(.unavailable, "it writes answers to what was not asked, without end")
                }
            }
            said.discardReadBytes()
            guard said.readableBytes <= Self.longestLine else {
                throw BrimError(.unavailable, "it writes a line of more than \(Self.longestLine) bytes")
            }
        }
        throw BrimError(.unavailable, "it ended")
    }

    /// Whether the line answers a question.
    private func take(_ line: ByteBuffer) throws -> Bool {
        let text = Data(line.readableBytesView)
        guard let answer = try? BrimJSON.decoder().decode(Answer.self, from: text) else {
            let shown = String(decoding: text.prefix(80), as: UTF8.self)
            throw BrimError(.unavailable, "it wrote '\(shown)', which is no answer")
        }
        let latch = state.withLock { state in
            defer { (state.trouble, state.answered) = (nil, true) }
            return state.open.removeValue(forKey: answer.id)
        }
        latch?.set(.success(answer))
        if latch != nil { worker.did(1) }
        return latch != nil
    }
}
