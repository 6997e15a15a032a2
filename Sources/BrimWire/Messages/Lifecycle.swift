import BrimModel

/// How far a draining server is emptied: part of its status. Counted in the background, every few seconds.
public struct DrainStatus: Sendable, Codable {
    public var since: Timestamp
    /// How it is judged meanwhile: up, suspect or down.
    public var state: ServerState
    /// Files on it that can do without it: they have as many counted copies elsewhere as they want, or as there are
    /// servers.
    public var safeFiles: Int64
    public var safeBytes: Int64
    /// The others.
    public var remainingFiles: Int64
    public var remainingBytes: Int64
    /// By how much `remainingBytes` falls per second, lately.
    public var bytesPerSecond: Int64
    /// Seconds until nothing remains, at that speed; null while nothing moves.
    @Nullable public var etaSeconds: Int64?

    public init(
        since: Timestamp, state: ServerState, safeFiles: Int64, safeBytes: Int64, remainingFiles: Int64,
        remainingBytes: Int64, bytesPerSecond: Int64, etaSeconds: Int64?
    ) {
        self.since = since
        self.state = state
        self.safeFiles = safeFiles
        self.safeBytes = safeBytes
        self.remainingFiles = remainingFiles
        self.remainingBytes = remainingBytes
        self.bytesPerSecond = bytesPerSecond
        self._etaSeconds = Nullable(wrappedValue: etaSeconds)
    }

    /// In words.
    func remark(_ name: ServerName) -> String {
        let away = state == .up ? "" : " (\(state.rawValue))"
        let began = since.description.prefix(16) + "Z"
        guard remainingFiles > 0 else {
            return "draining\(away) since \(began): all it holds is safe elsewhere; "
                + "'brim server forget \(name)' strikes it off"
        }
        var text =
            "draining\(away) since \(began): \(safeFiles) files (\(ByteCount.format(safeBytes))) safe elsewhere, "
            + "\(remainingFiles) (\(ByteCount.format(remainingBytes))) to copy"
        if let etaSeconds {
            text += ", \(ByteCount.format(bytesPerSecond))/s, \(Self.inWords(etaSeconds)) left"
        }
        return text
    }

    private static func inWords(_ seconds: Int64) -> String {
        switch seconds {
        case ..<120: "about \(seconds)s"
        case ..<7200: "about \((seconds + 59) / 60)m"
        default: "about \((seconds + 3599) / 3600)h"
        }
    }
}

/// `PUT /v1/servers/NAME/zone` on a master.
public struct ZoneRequest: Sendable, Codable {
    public var zone: String
    public init(zone: String) { self.zone = zone }
}

/// `DELETE /v1/servers/NAME` on a master: the server is struck off.
public struct ForgetReply: Sendable, Codable {
    public var server: ServerName
    /// Files that had no other copy that can be read; null when somebody else finished it.
    @Nullable public var lostFiles: Int64?
    public init(server: ServerName, lostFiles: Int64?) {
        self.server = server
        self._lostFiles = Nullable(wrappedValue: lostFiles)
    }
}
