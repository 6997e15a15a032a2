import BrimMetadata
import BrimModel

extension InMemoryMetadataStore {
    public func record(_ events: [FileEvent]) {
        self.events += events
    }

    public func events(of file: FileID, limit: Int) -> [FileEvent] {
        Array(events.filter { $0.file == file }.inOrder.suffix(max(0, limit)))
    }

    public func trimEvents(_ retention: EventRetention, after: FileID?, limit: Int) -> TrimmedEvents {
        let waiting = Set(events.map(\.file)).filter { file in after.map { $0 < file } ?? true }.sorted()
        let (files, isLast) = (waiting.prefix(max(1, limit)), waiting.count <= max(1, limit))
        let before = events.count
        for file in files {
            let story = events(of: file, limit: .max)
            let expired = Set(retention.expired(story, of: records[file]?.entry.content))
            events.removeAll { $0.file == file }
            events += story.enumerated().filter { !expired.contains($0.offset) }.map(\.element)
        }
        return TrimmedEvents(deleted: before - events.count, next: isLast ? nil : files.last)
    }

    public func settings() -> StoredSettings { stored }

    public func changeSettings(_ change: SettingsChange) -> StoredSettings {
        stored.apply(change)
        return stored
    }
}
