import BrimModel

/// Which events of a file's story are kept.
public struct EventRetention: Sendable, Hashable {
    /// The newest of each file that is still there stay, whatever their age.
    public var newest: Int
    /// Those from then on stay.
    public var since: Timestamp

    public init(newest: Int, since: Timestamp) {
        self.newest = newest
        self.since = since
    }

    /// Which events of one file may go, by their place in `events`, which are all it has, oldest first. `content` is what
    /// the file holds now; nil: it is gone.
    ///
    /// The newest word on how a present copy came to be always stays.
    package func expired(_ events: [FileEvent], of content: FileContent?) -> [Int] {
        var explained: Set<ServerName> = []
        var expired: [Int] = []
        for (index, event) in events.enumerated().reversed() {
            let isReason =
                event.kind.brings && content?.blob == event.blob && content?.replicas.contains(event.server) == true
                && explained.insert(event.server).inserted
            let isNew = event.at >= since || (content != nil && index >= events.count - newest)
            if !isReason, !isNew { expired.append(index) }
        }
        return expired.reversed()
    }
}

extension FileEvent.Kind {
    /// Whether a server has a copy by such an event, not one less.
    package var brings: Bool {
        switch self {
        case .written, .copied, .adopted: true
        case .givenUp, .lost, .quarantined, .removed: false
        }
    }
}

/// How far a walk over all events has come.
public struct TrimmedEvents: Sendable, Hashable {
    public var deleted: Int
    /// Give it as `after` to go on; nil: all files have been looked at.
    public var next: FileID?
    public init(deleted: Int, next: FileID?) {
        self.deleted = deleted
        self.next = next
    }
}

public protocol EventStore: Sendable {
    /// Appends to the story of files: best effort, may be lost in a crash.
    func record(_ events: [FileEvent]) async throws

    /// The newest events of a file, at most `limit`, oldest first.
    func events(of file: FileID, limit: Int) async throws -> [FileEvent]

    /// Deletes what need not be kept of the next files' stories, in order of their ids, about `limit` events at a time.
    func trimEvents(_ retention: EventRetention, after: FileID?, limit: Int) async throws -> TrimmedEvents
}
