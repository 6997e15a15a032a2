import BrimModel
import MongoDriver

// All that reads events is answered from the index {file, at}.
extension MongoMetadataStore {
    public func record(_ events: [FileEvent]) async throws {
        guard !events.isEmpty else { return }
        try await translatingErrors("recording \(events.count) events") {
            _ = try await collections.events.insertMany(events.map(EventDocument.of), ordered: false)
        }
    }

    public func events(of file: FileID, limit: Int) async throws -> [FileEvent] {
        guard limit > 0 else { return [] }
        return try await translatingErrors("reading the story of file \(file)") {
            let newest = try await all(
                ["file": .id(file)], in: collections.events, FindOptions(sort: ["file": -1, "at": -1], limit: limit))
            // Dates hold milliseconds only; of the same one the nanoseconds decide.
            return try newest.reversed().map(EventDocument.event).inOrder
        }
    }

    public func trimEvents(_ retention: EventRetention, after: FileID?, limit: Int) async throws -> TrimmedEvents {
        try await translatingErrors("trimming events") {
            let limit = max(1, limit)
            let page = try await all(
                after.map { ["file": ["$gt": .id($0)]] } ?? [:], in: collections.events,
                FindOptions(sort: ["file": 1, "at": 1], limit: limit, hint: "file_1_at_1"))
            guard let last = try page.last?.int64("file") else { return TrimmedEvents(deleted: 0, next: nil) }
            var files: [FileID: [(id: BSONValue, event: FileEvent)]] = [:]
            for document in page {
                let event = try EventDocument.event(document)
                files[event.file, default: []].append((document["_id"] ?? .null, event))
            }
            // The last file's events may go on beyond the page: it is left to the next one, unless it is all there is.
            let isLastPage = page.count < limit
            if !isLastPage, files.count > 1 { files[FileID(last)] = nil }
            let contents = try await contents(of: Array(files.keys))
            let expired = files.flatMap { file, events in
                retention.expired(events.map(\.event), of: contents[file]).map { events[$0].id }
            }
            if !expired.isEmpty { _ = try await collections.events.deleteMany(["_id": ["$in": .array(expired)]]) }
            return TrimmedEvents(deleted: expired.count, next: isLastPage ? nil : files.keys.max())
        }
    }

    private func contents(of files: [FileID]) async throws -> [FileID: FileContent] {
        var contents: [FileID: FileContent] = [:]
        let filter: BSONDocument = ["_id": ["$in": .ids(files)], "type": "file"]
        for document in try await all(filter, in: collections.files, FindOptions()) {
            contents[FileID(try document.int64("_id"))] = try Documents.content(document)
        }
        return contents
    }
}

extension [FileEvent] {
    /// Oldest first; of the same moment in the order given.
    package var inOrder: [FileEvent] {
        enumerated().sorted { ($0.element.at, $0.offset) < ($1.element.at, $1.offset) }.map(\.element)
    }
}

/// Documents of `events`.
enum EventDocument {
    static func of(_ event: FileEvent) -> BSONDocument {
        var document: BSONDocument = [
            "file": .id(event.file), "blob": .blob(event.blob), "server": .server(event.server),
            "kind": .string(event.kind.rawValue), "reason": .string(event.reason),
        ]
        document.append(time: event.at, as: "at")
        return document
    }

    static func event(_ document: BSONDocument) throws(BrimError) -> FileEvent {
        FileEvent(
            file: FileID(try document.int64("file")), blob: try document.blob("blob"),
            server: try document.read("server") { $0.stringValue.flatMap(ServerName.init(rawValue:)) },
            kind: try document.read("kind") { $0.stringValue.flatMap(FileEvent.Kind.init) },
            reason: document["reason"]?.stringValue ?? "", at: try document.time("at"))
    }
}
