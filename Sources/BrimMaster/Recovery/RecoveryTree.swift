import BrimModel

/// The directories of a namespace that is put together: makes sure that each entry is in one, and no name is there twice.
struct RecoveryTree {
    /// Live entries by number; the root is always among them.
    private(set) var live: [FileID: Entry]
    /// Directories that are there no more, for the sake of paths.
    let formerDirectories: [FileID: Entry]
    /// What was mended, by path.
    private(set) var mended: [(path: String, what: String)] = []
    private let now: Timestamp

    init(live: [FileID: Entry], formerDirectories: [FileID: Entry], now: Timestamp) {
        self.live = live
        self.formerDirectories = formerDirectories
        self.now = now
        if self.live[.root]?.type != .directory {
            self.live[.root] = Entry(
                id: .root, parent: nil, name: nil, type: .directory, mode: 0o755, created: now, modified: now)
        }
    }

    /// Gives every entry a directory that leads to the root: one that was there before, else a new one at the top that is
    /// named after its number.
    mutating func connect() throws {
        for id in live.keys.sorted() where id != .root {
            var at = id
            var seen: Set<FileID> = []
            while at != .root, let entry = live[at], let parent = entry.parent, seen.insert(at).inserted {
                if live[parent]?.type != .directory { try makeDirectory(parent) }
                at = parent
            }
            guard at != .root, var entry = live[id] else { continue }
            // A circle, or an entry without a directory.
            entry.parent = .root
            if entry.name == nil { entry.name = try EntryName("recovered-\(id)") }
            live[id] = entry
            mended.append((path(of: id), "it was in no directory that leads to the top"))
        }
    }

    private mutating func makeDirectory(_ id: FileID) throws {
        if var known = formerDirectories[id], live[id] == nil {
            known.content = nil
            live[id] = known
            mended.append((path(of: id), "the directory is needed for what is in it, and is there again"))
            return
        }
        // The number of what is no directory cannot be that of one too.
        let name = try EntryName("recovered-\(id)")
        guard live[id] == nil else {
            for child in live.values where child.parent == id {
                var child = child
                child.parent = .root
                live[child.id] = child
            }
            return
        }
        live[id] = Entry(
            id: id, parent: .root, name: name, type: .directory, mode: 0o755, created: now, modified: now)
        mended.append(("/\(name)", "the name of this directory is not known"))
    }

    /// Where two have one name the older one makes way. Files that made way for a file are given back, with the one that
    /// stayed; whatever else made way has a name with its number.
    mutating func separate(isNewer: (Entry, Entry) -> Bool) throws -> [(loser: Entry, winner: FileID)] {
        var places: [Place: FileID] = [:]
        var losers: [(loser: Entry, winner: FileID)] = []
        for id in live.keys.sorted() {
            guard let entry = live[id], let parent = entry.parent, let name = entry.name else { continue }
            let place = Place(parent: parent, name: name)
            guard let other = places[place].flatMap({ live[$0] }) else {
                places[place] = id
                continue
            }
            let (winner, loser) = isNewer(entry, other) ? (entry, other) : (other, entry)
            places[place] = winner.id
            if winner.type == .file, loser.type == .file {
                live[loser.id] = nil
                losers.append((loser, winner.id))
                mended.append((path(of: winner.id), "two files had this name: the older one is a former version of it"))
            } else {
                var moved = loser
                moved.name = try Self.name(name, with: loser.id)
                live[loser.id] = moved
                mended.append(
                    (path(of: winner.id), "two entries had this name: the older one is now \(path(of: loser.id))"))
            }
        }
        return losers
    }

    private struct Place: Hashable {
        var parent: FileID
        var name: EntryName
    }

    private static func name(_ name: EntryName, with id: FileID) throws -> EntryName {
        var text = name.text
        let suffix = "~\(id)"
        while text.utf8.count + suffix.utf8.count > Limits.nameBytes { text.removeLast() }
        return try EntryName(text + suffix)
    }

    // MARK: Paths

    func path(of id: FileID) -> String {
        guard let entry = live[id] else { return "/" }
        return path(in: entry.parent, name: entry.name)
    }

    /// As well as it is known.
    func path(in parent: FileID?, name: EntryName?) -> String {
        var names = name.map { [$0.text] } ?? []
        var seen: Set<FileID> = []
        var at = parent
        while let id = at, id != .root, seen.insert(id).inserted {
            guard let directory = live[id] ?? formerDirectories[id], let name = directory.name else {
                names.append("recovered-\(id)")
                break
            }
            names.append(name.text)
            at = directory.parent
        }
        return "/" + names.reversed().joined(separator: "/")
    }

    mutating func update(_ entry: Entry) { live[entry.id] = entry }
}
