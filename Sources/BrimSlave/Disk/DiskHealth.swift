import BrimModel
import Logging
import Synchronization

/// Whether the disk may be written to. A disk that failed once is not trusted again until the slave is started anew.
final class DiskHealth: Sendable {
    private let failure = Mutex<String?>(nil)
    private let logger: Logger

    init(logger: Logger) { self.logger = logger }

    /// Why the disk is failing; nil while it is well.
    var reason: String? { failure.withLock { $0 } }

    /// Throws `.io` when the disk is failing.
    func check() throws {
        guard let reason else { return }
        throw BrimError(
            .io, "the disk of this server is failing: \(reason)", advice: "Replace the disk, then start the slave again"
        )
    }

    /// Runs a step of a write; a fault of the disk (not a full one) marks it as failing.
    func watch<Value>(_ step: () throws -> Value) throws -> Value {
        do {
            return try step()
        } catch let error as BrimError where error.code == .io {
            markFailing(error.message)
            throw error
        }
    }

    func markFailing(_ reason: String) {
        let isNews = failure.withLock { failure in
            guard failure == nil else { return false }
            failure = reason
            return true
        }
        if isNews { logger.error("disk failing, no more writes are taken", metadata: ["reason": "\(reason)"]) }
    }
}
