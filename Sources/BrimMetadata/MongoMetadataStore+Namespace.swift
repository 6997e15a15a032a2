import BrimModel
import MongoDriver

// Every look-up by name says `state: "live"`: the index of names holds live entries only.
extension MongoMetadataStore {
    /// One query, where the directories are where they were when they were last seen, else one more for each that is not.
    public func resolve(_ path: BrimPath) async throws -> [Entry] {
        try await translatingErrors("resolving '\(path)'") { try await look { try await walk(path) } }
    }

    private func walk(_ path: BrimPath) async throws -> [Entry] {
        var found: [Entry] = []
        while true {
            let places = directories.places(along: path, after: found)
            var filters = places.map(NamespaceTransaction.live)
            if found.isEmpty { filters.append(NamespaceTransaction.live(.root)) }
            var entries: [EntryPlace: Entry] = [:]
            for entry in try await live(filters) {
                if let place = entry.place { entries[place] = entry } else { found = [entry] }
            }
            guard !found.isEmpty else {
                throw BrimError(
                    .unavailable, "the database has no root directory yet", advice: "Is a master starting?")
            }
            while let next = path.place(after: found), let entry = entries[next] {
                found.append(entry)
                directories.note(entry)
            }
            guard let next = path.place(after: found), !places.contains(next) else { return found }
        }
    }

    private func live(_ filters: [BSONDocument]) async throws -> [Entry] {
        let filter = filters.count == 1 ? filters[0] : ["$or": .documents(filters)]
        return try await all(filter, in: collections.files, FindOptions()).map(Documents.entry)
    }

    public func entry(_ id: FileID) async throws -> Entry? {
        try await translatingErrors("reading entry \(id)") { try await look { try await findLive(id) } }
    }

    public func entry(at place: EntryPlace) async throws -> Entry? {
        try await translatingErrors("reading '\(place.name)'") { try await look { try await findLive(place) } }
    }

    public func entries(in directory: FileID, names: [EntryName]) async throws -> [EntryName: Entry] {
        guard !names.isEmpty else { return [:] }
        return try await translatingErrors("reading \(names.count) entries of directory \(directory)") {
            let filter: BSONDocument = [
                "state": "live", "parent": .id(directory), "name": ["$in": .strings(names.map(\.text))],
            ]
            var found: [EntryName: Entry] = [:]
            let entries = try await look { try await all(filter, in: collections.files, FindOptions()) }
            for entry in try entries.map(Documents.entry) {
                if let name = entry.name { found[name] = entry }
            }
            return found
        }
    }

    func findLive(_ id: FileID) async throws -> Entry? {
        try await collections.files.findOne(NamespaceTransaction.live(id), FindOptions(maxTime: Self.timeLimit))
            .map(Documents.entry)
    }

    private func findLive(_ place: EntryPlace) async throws -> Entry? {
        try await collections.files.findOne(NamespaceTransaction.live(place), FindOptions(maxTime: Self.timeLimit))
            .map(Documents.entry)
    }

    public func list(_ directory: FileID, after: EntryName?, limit: Int) async throws -> [Entry] {
        guard limit > 0 else { return [] }
        return try await translatingErrors("listing directory \(directory)") {
            var filter: BSONDocument = ["state": "live", "parent": .id(directory)]
            if let after { filter.append("name", ["$gt": .string(after.text)]) }
            return try await look {
                try await all(filter, in: collections.files, FindOptions(sort: ["name": 1], limit: limit))
            }.map(Documents.entry)
        }
    }

    public func outcome(of request: String) async throws -> RequestOutcome? {
        try await translatingErrors("looking for a request") {
            try await collections.requests.findOne(["_id": .string(request)]).map(Documents.requestOutcome)
        }
    }

    public func refuse(_ request: String, with error: BrimError) async throws -> RequestOutcome {
        let document = Documents.refused(request, error, at: clock())
        try await translatingErrors("refusing a request") {
            // One that carries it out enters it in its transaction: either that is first, or it is in vain.
            try await Schema.unlessPresent { _ = try await collections.requests.insertOne(document) }
        }
        return try await outcome(of: request) ?? .refused(error)
    }

    public func create(_ new: NewEntry) async throws -> Entry {
        try Checks.new(new)
        return try await translatingErrors("making '\(new.place.name)'") {
            let id = try await takeIDs(1)[0]
            let (collections, now) = (collections, clock())
            return try await transaction { tx in
                let namespace = NamespaceTransaction(tx, collections, now: now)
                try namespace.check(new.request)
                try namespace.requireDirectory(of: new.place)
                guard try namespace.find(new.place) == nil else { throw Refusal.exists(new.place.name) }
                let entry = Entry(
                    id: id, parent: new.place.parent, name: new.place.name, type: new.type, mode: new.mode,
                    created: now, modified: new.modified, target: new.target)
                try namespace.touch([new.place.parent])
                try namespace.files.insertOne(Documents.live(entry, changed: now))
                try namespace.enter(new.request, entry)
                return entry
            }
        }
    }

    public func rename(
        _ id: FileID, from: EntryPlace, to: EntryPlace, path: String, replace: Bool, view: ServerView, request: String?
    ) async throws -> Entry {
        guard id != .root else { throw Refusal.root("renamed") }
        return try await translatingErrors("renaming '\(from.name)'") {
            let (collections, now) = (collections, clock())
            return try await transaction { tx in
                let namespace = NamespaceTransaction(tx, collections, now: now)
                try namespace.check(request)
                let entry = try namespace.rename(id, from: from, to: to, path: path, replace: replace, view: view)
                try namespace.enter(request, entry)
                return entry
            }
        }
    }

    public func remove(
        _ removals: [Removal], now isNow: Bool, view: ServerView, request: String?
    ) async throws -> [BrimError?] {
        guard !removals.isEmpty else { return [] }
        return try await translatingErrors("removing \(removals.count) entries") {
            let (collections, now) = (collections, clock())
            return try await transaction { tx in
                let namespace = NamespaceTransaction(tx, collections, now: now)
                try namespace.check(request)
                let outcomes = try namespace.remove(removals, now: isNow, view: view)
                if !outcomes.contains(where: { $0 != nil }) { try namespace.enter(request) }
                return outcomes
            }
        }
    }

    public func update(
        _ id: FileID, _ change: EntryChange, ifRev rev: Int64?, view: ServerView
    ) async throws -> Entry {
        try await translatingErrors("changing entry \(id)") {
            // Read, then changed on condition that it is as it was read.
            for _ in 0..<Self.attempts {
                guard let entry = try await findLive(id) else { throw Refusal.gone(id) }
                guard rev == nil || entry.rev == rev else { throw Refusal.changed(entry.name) }
                try Checks.change(change, of: entry)
                if let changed = try await apply(change, to: entry, view: view) { return changed }
            }
            throw Refusal.changed(nil)
        }
    }

    private func apply(_ change: EntryChange, to entry: Entry, view: ServerView) async throws -> Entry? {
        var fields: BSONDocument = ["rev": .int64(entry.rev + 1)]
        fields.append(time: clock(), as: "changed")
        if !change.attributes.isEmpty {
            fields.append(
                "attributes", .literal(.attributes(entry.attributes.changed(by: change.attributes))))
        }
        if let mode = change.mode { fields.append("mode", .int(mode)) }
        if let modified = change.modified { fields.append(time: modified, as: "modified") }
        let isFile = entry.type == .file
        switch change.copies {
        case .explicit(let n):
            fields.append("n", .int(n))
            if isFile { fields.append("policy", .string(PolicyName.explicit)) }
        case .chosen(let choice): fields.merge(Documents.chosen(choice))
        case .none?: fields.append("n", "$$REMOVE")
        case nil: break
        }
        return try await collections.files.findOneAndUpdate(
            NamespaceTransaction.live(entry.id).merging(["rev": .int64(entry.rev)]),
            change.copies != nil && isFile
                ? Pipelines.setting(fields, view: view) : .pipeline([["$set": .document(fields)]]), returnNew: true
        ).map(Documents.entry)
    }

    public func catchUp() async throws {
        try await translatingErrors("waiting for what others have changed") {
            try await collections.sign("catchUp")
        }
    }

    public func summarize(_ directories: [FileID]) async throws -> DirectorySummary {
        guard !directories.isEmpty else { return DirectorySummary() }
        return try await translatingErrors("summing up directories") {
            let children: BSONDocument = ["state": "live", "parent": ["$in": .ids(directories)]]
            let sums = try await aggregate([
                ["$match": .document(children.merging(["type": "file"]))],
                [
                    "$group": [
                        "_id": .null, "files": ["$sum": 1], "bytes": ["$sum": "$size"],
                        "storedBytes": ["$sum": ["$multiply": ["$size", "$k"]]],
                        "spareBytes": ["$sum": ["$multiply": ["$size", ["$max": [0, "$surplus"]]]]],
                    ]
                ],
            ])
            var summary = DirectorySummary()
            if let sum = sums.first {
                summary.files = try sum.int64("files")
                summary.bytes = try sum.int64("bytes")
                summary.storedBytes = try sum.int64("storedBytes")
                summary.spareBytes = try sum.int64("spareBytes")
            }
            summary.subdirectories = try await all(
                children.merging(["type": "directory"]), in: collections.files, FindOptions(projection: ["_id": 1])
            ).map { FileID(try $0.int64("_id")) }.sorted()
            return summary
        }
    }
}
