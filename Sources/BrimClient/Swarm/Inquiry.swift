import BrimModel
import Logging

/// One question to several masters: asked of the first, of the next when that fails or takes long, and so on; the first
/// answer counts. A refusal is an answer, `.unavailable` and `.timeout` are not.
struct Inquiry {
    /// A master that has not answered by then may be frozen or gone: another is asked beside it.
    private static let patience = Duration.seconds(2)

    let masters: [String]
    /// Whether one that takes long is not waited for alone: not where the work itself may take long.
    var isQuick = true
    let logger: Logger

    private enum Event<Reply: Sendable>: Sendable {
        case answered(Reply, String)
        case failed(BrimError, String)
        case slow
    }

    /// Throws the refusal, or the last failure when nobody answers.
    func run<Reply: Sendable>(
        _ attempt: @escaping @Sendable (String) async throws -> Reply
    ) async throws -> (Reply, String) {
        try await withThrowingTaskGroup(of: Event<Reply>.self) { group in
            defer { group.cancelAll() }
            var left = masters[...]
            var running = 0
            func askNext() {
                guard let master = left.popFirst() else { return }
                running += 1
                group.addTask { try await Self.event(master, attempt) }
                if isQuick, !left.isEmpty {
                    group.addTask {
                        try await Task.sleep(for: Self.patience)
                        return .slow
                    }
                }
            }
            askNext()
            var failure = BrimError(.unavailable, "no master answers")
            while running > 0, let event = try await group.next() {
                switch event {
                case .answered(let reply, let master): return (reply, master)
                case .slow: askNext()
                case .failed(let error, let master):
                    running -= 1
                    logger.debug("A master did not answer", metadata: ["url": "\(master)", "error": "\(error)"])
                    failure = error
                    askNext()
                }
            }
            throw failure
        }
    }

    private static func event<Reply: Sendable>(
        _ master: String, _ attempt: @Sendable (String) async throws -> Reply
    ) async throws -> Event<Reply> {
        do {
            return .answered(try await attempt(master), master)
        } catch let error as BrimError where error.code == .unavailable || error.code == .timeout {
            return .failed(error, master)
        }
    }
}
