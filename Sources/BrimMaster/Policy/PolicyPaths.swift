import BrimMetadata
import BrimModel
import BrimPlacement

/// Finds the paths of entries, and what the directories above them say of n, many at a time.
struct PolicyPaths {
    /// Directories that are remembered.
    private static let most = 100_000

    private struct Place {
        var path: BrimPath
        var copies: Int?
    }

    private let store: any MetadataStore
    private var places: [FileID: Place] = [:]

    init(store: any MetadataStore) { self.store = store }

    /// What policies are asked about each of these files; of those that are not reached from the root, or whose path is too
    /// long, nothing.
    mutating func subjects(_ files: [Entry], now: Timestamp) async throws -> [FileID: Policies.Subject] {
        try await find(Set(files.compactMap(\.parent)))
        var subjects: [FileID: Policies.Subject] = [:]
        for file in files {
            guard let name = file.name, let place = file.parent.flatMap({ places[$0] }),
                let path = try? place.path.appending(name)
            else { continue }
            subjects[file.id] = Policies.Subject(file: PolicyFile(file, at: path, now: now), inherited: place.copies)
        }
        return subjects
    }

    /// Looks up directories that are not known, and all above them, a level at a time.
    private mutating func find(_ wanted: Set<FileID>) async throws {
        if places.count > Self.most { places = [:] }
        if places[.root] == nil {
            places[.root] = Place(path: .root, copies: try await store.entry(.root)?.copies)
        }
        var found: [FileID: Entry] = [:]
        var open = wanted.filter { places[$0] == nil }
        while !open.isEmpty {
            let entries = try await store.entries(Array(open))
            found.merge(entries) { $1 }
            open = Set(entries.values.compactMap(\.parent).filter { places[$0] == nil && found[$0] == nil })
        }
        for id in found.keys { place(id, found) }
    }

    private mutating func place(_ id: FileID, _ found: [FileID: Entry]) {
        // From the first directory that has a place down to this one.
        var missing: [Entry] = []
        var next = found[id]
        while let entry = next, places[entry.id] == nil, missing.count <= Limits.pathComponents {
            missing.append(entry)
            next = entry.parent.flatMap { found[$0] }
        }
        for entry in missing.reversed() {
            guard let name = entry.name, let above = entry.parent.flatMap({ places[$0] }),
                let path = try? above.path.appending(name)
            else { return }
            places[entry.id] = Place(path: path, copies: entry.copies ?? above.copies)
        }
    }
}
