import BrimModel
import Logging
import Synchronization

/// Whether the disk may be written to. A disk that failed once is not trusted again until the slave is started anew.
final class DiskHealth: Sendable {
    private let current = Mutex<ServerFault?>(nil)
    private let logger: Logger

    init(logger: Logger) { self.logger = logger }

    /// What is wrong with the disk; nil while it is well.
    var fault: ServerFault? { current.withLock { $0 } }

    /// Throws `.io` when the disk is failing.
    func check() throws {
        if let fault { throw Self.failing(fault) }
    }

    /// Throws `.io` when what is stored cannot be read: then nothing may be concluded from a file that is not found.
    func checkReadable() throws {
        if let fault, !fault.isReadable { throw Self.failing(fault) }
    }

    private static func failing(_ fault: ServerFault) -> BrimError {
        BrimError(
            .io, "the disk of this server is failing: \(fault.reason)",
            advice: "Mount or replace the disk, then start the slave again")
    }

    /// Runs a step of a write; a fault of the disk (not a full one) marks it as failing. A file or directory that is
    /// not found where this slave made it is such a fault. Throws `.io`, `.full`.
    func watch<Value>(_ step: () throws -> Value) throws -> Value {
        do {
            return try step()
        } catch let error as BrimError where error.code == .io || error.code == .notFound {
            markFailing(error.message)
            throw BrimError(.io, error.message, advice: error.advice)
        }
    }

    func markFailing(_ reason: String) { mark(ServerFault(reason: reason, isReadable: true)) }

    /// Only the first fault is kept, unless a later one is worse.
    func mark(_ fault: ServerFault) {
        let isNews = current.withLock { current in
            guard current.map({ $0.isReadable && !fault.isReadable }) ?? true else { return false }
            current = fault
            return true
        }
        if isNews { logger.error("disk failing, no more writes are taken", metadata: ["reason": "\(fault.reason)"]) }
    }
}
