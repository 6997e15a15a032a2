import BrimMetadata
import BrimModel

// MARK: - What was removed or overwritten

extension SimulatedStore {
    func removedFiles(_ scope: TrashScope, after: TrashPosition?, limit: Int) async throws -> [RemovedFile] {
        try await call("removedFiles") { $0.removedFiles(scope, after: after, limit: limit) }
    }

    func removedFile(_ id: FileID) async throws -> RemovedFile? {
        try await call("removedFile") { $0.removedFile(id) }
    }

    func undelete(
        _ id: FileID, to place: EntryPlace, view: ServerView, request: String?
    ) async throws -> Entry {
        try await call("undelete") { store in
            let entry = try store.undelete(id, to: place, view: view, request: request)
            judge.changed(store, isAsked: true)
            return entry
        }
    }

    func formerVersions(of file: FileID, before: Int64?, limit: Int) async throws -> [FormerVersion] {
        try await call("formerVersions") { $0.formerVersions(of: file, before: before, limit: limit) }
    }

    func restore(_ version: Int64, of file: FileID, view: ServerView, request: String?) async throws -> Entry {
        try await call("restore") { store in
            let entry = try store.restore(version, of: file, view: view, request: request)
            judge.changed(store, isAsked: true)
            return entry
        }
    }

    func settleVersions(of files: [FileID]?, limit: Int, view: ServerView) async throws -> Int {
        try await call("settleVersions") { store in
            if world.flaw == .trashReturns, let file = store.removedFiles(.below("/"), after: nil, limit: 1).first,
                let parent = file.entry.parent, let name = file.entry.name
            {
                _ = try? store.undelete(
                    file.entry.id, to: EntryPlace(parent: parent, name: name), view: view, request: nil)
            }
            let count = store.settleVersions(of: files, limit: limit, view: view)
            judge.changed(store)
            return count
        }
    }

    func purge(_ scope: PurgeScope, before: Timestamp?, limit: Int) async throws -> Purged {
        try await call("purge") { store in
            let purged = store.purge(scope, before: before, limit: limit)
            judge.changed(store)
            return purged
        }
    }

    func trashTotals(_ scope: TrashScope?) async throws -> TrashTotals {
        try await call("trashTotals") { $0.trashTotals(scope) }
    }
}

// MARK: - Stories and settings

extension SimulatedStore {
    func events(of file: FileID, limit: Int) async throws -> [FileEvent] {
        try await call("events") { $0.events(of: file, limit: limit) }
    }

    func trimEvents(_ retention: EventRetention, after: FileID?, limit: Int) async throws -> TrimmedEvents {
        try await call("trimEvents") { $0.trimEvents(retention, after: after, limit: limit) }
    }

    func settings() async throws -> StoredSettings { try await call("settings") { $0.settings() } }

    func changeSettings(_ change: SettingsChange) async throws -> StoredSettings {
        try await call("changeSettings") { $0.changeSettings(change) }
    }
}
