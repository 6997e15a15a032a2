import CMongo
import Logging

/// Starts libmongoc, once per process, and sends its log to swift-log under the label `mongoc`.
///
/// It is never shut down: clients may live until the process ends.
enum LibraryLog {
    static let logger = Logger(label: "mongoc")

    static let start: Void = cmongo_initialize { level, domain, message in
        guard let message else { return }
        LibraryLog.logger.log(
            level: LibraryLog.level(level), "\(String(cString: message))",
            metadata: domain.map { ["mongoc.domain": "\(String(cString: $0))"] })
    }

    /// What the library calls errors reaches callers as errors of their operations; what it calls warnings is usual, such
    /// as the end of a transaction that the server has ended already.
    private static func level(_ level: Int32) -> Logger.Level {
        switch level {
        case 0: .warning
        case 1: .critical
        case 2...5: .debug
        default: .trace
        }
    }
}
