import BrimModel
import Logging

/// Logs one line per message on stderr: time, level, message, metadata in order of keys.
struct StderrLog: LogHandler {
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?

    static func bootstrap(level: Logger.Level) {
        LoggingSystem.bootstrap { _ in StderrLog(logLevel: level) }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var all = metadata
        if let provided = metadataProvider?.get() { all.merge(provided) { $1 } }
        if let given = event.metadata { all.merge(given) { $1 } }
        if let error = event.error { all["error"] = "\(error)" }
        let pairs = all.sorted { $0.key < $1.key }.map { " \($0.key)=\(Self.quoted($0.value.description))" }.joined()
        Console.writeError(
            "\(Self.time()) \(Self.name(event.level)) \(Self.oneLine(event.message.description))\(pairs)\n")
    }

    /// `2026-11-22T18:40:00.123Z`
    private static func time() -> String {
        let now = Timestamp.now
        let seconds = Timestamp(seconds: now.seconds, nanoseconds: 0).description.dropLast()
        let milliseconds = String(now.nanoseconds / 1_000_000 + 1000).dropFirst()
        return "\(seconds).\(milliseconds)Z"
    }

    private static func name(_ level: Logger.Level) -> String {
        level.rawValue + String(repeating: " ", count: max(0, 7 - level.rawValue.count))
    }

    private static func quoted(_ value: String) -> String {
        let line = oneLine(value)
        return line.isEmpty || line.contains(where: { $0 == " " || $0 == "\"" }) ? "\"\(line)\"" : line
    }

    private static func oneLine(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: { $0.value < 0x20 }) else { return text }
        return text.unicodeScalars.map { $0.value < 0x20 ? " " : String($0) }.joined()
    }
}
