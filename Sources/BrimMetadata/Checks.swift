import BrimModel

/// What every store refuses before it looks at its data, so that all of them refuse the same.
package enum Checks {
    /// Bytes of the id of a request.
    package static let requestBytes = 256

    package static func mode(_ mode: Int) throws(BrimError) {
        guard (0...0o7777).contains(mode) else {
            throw BrimError(.invalid, "the mode \(mode) is outside 0 to 07777")
        }
    }

    package static func copies(_ n: Int) throws(BrimError) {
        guard (1...Limits.maxCopies).contains(n) else {
            throw BrimError(.invalid, "\(n) copies were asked for", advice: "Ask for 1 to \(Limits.maxCopies)")
        }
    }

    private static func copies(_ change: CopiesChange, of entry: Entry) throws(BrimError) {
        switch (change, entry.type) {
        case (.explicit(let n), .file), (.explicit(let n), .directory): try copies(n)
        case (.chosen(let choice), .file): try copies(choice.n)
        case (.none, .directory): break
        case (_, .file): throw BrimError(.invalid, "a file always has an n")
        default: throw BrimError(.isDirectory, "only files have copies", advice: "Name a file")
        }
    }

    package static func attributes(_ attributes: [String: AttributeValue]) throws(BrimError) {
        guard attributes.count <= Limits.attributeCount else {
            throw BrimError(
                .tooLarge, "\(attributes.count) attributes are too many",
                advice: "A file may have \(Limits.attributeCount)")
        }
        for (name, value) in attributes {
            guard !name.isEmpty, !name.utf8.contains(0) else {
                throw BrimError(.invalid, "an attribute's name is empty or contains a NUL byte")
            }
            let valueBytes = if case .string(let text) = value { text.utf8.count } else { 0 }
            guard max(name.utf8.count, valueBytes) <= Limits.attributeBytes else {
                throw BrimError(
                    .tooLarge, "the attribute '\(name.prefix(64))' is too long",
                    advice: "Its name and its text may have \(Limits.attributeBytes) bytes each")
            }
        }
    }

    package static func new(_ entry: NewEntry) throws(BrimError) {
        try mode(entry.mode)
        switch entry.type {
        case .file:
            throw BrimError(.invalid, "a file is made by committing a blob, not by itself")
        case .directory:
            guard entry.target == nil else { throw BrimError(.invalid, "a directory has no target") }
        case .symlink:
            guard let target = entry.target, !target.isEmpty, !target.utf8.contains(0) else {
                throw BrimError(.invalid, "a symbolic link needs a target without NUL bytes")
            }
            guard target.utf8.count <= Limits.symlinkBytes else {
                throw BrimError(.tooLarge, "the target of a symbolic link has more than \(Limits.symlinkBytes) bytes")
            }
        }
    }

    package static func commit(_ write: BlobCommit) throws(BrimError) {
        try mode(write.mode)
        try copies(write.explicitN ?? write.policy.n)
        try attributes(write.attributes)
        guard (0...Limits.blobBytes).contains(write.size) else {
            throw BrimError(.tooLarge, "a blob of \(write.size) bytes is outside 0 to \(Limits.blobBytes)")
        }
        guard (1...requestBytes).contains(write.request.utf8.count) else {
            throw BrimError(.invalid, "the id of a request has 1 to \(requestBytes) bytes")
        }
        guard !write.replicas.isEmpty else {
            throw BrimError(.invalid, "a commit names no server that holds its blob")
        }
    }

    package static func change(_ change: EntryChange, of entry: Entry) throws(BrimError) {
        if let mode = change.mode { try self.mode(mode) }
        if let change = change.copies { try copies(change, of: entry) }
        try attributes(entry.attributes.changed(by: change.attributes))
    }

    /// Whether `precondition` holds of the file that is there, nil for none.
    package static func precondition(_ precondition: Precondition, version: Int64?) throws(BrimError) {
        let problem: String? =
            switch precondition {
            case .none: nil
            case .absent: version.map { "the file exists (version \($0))" }
            case .present: version == nil ? "the file does not exist" : nil
            case .version(let wanted):
                version == wanted ? nil : version.map { "the file has version \($0)" } ?? "the file does not exist"
            }
        if let problem { throw BrimError(.precondition, problem, advice: "Read it again and decide anew") }
    }
}

extension [String: AttributeValue] {
    /// With new values in place, those with nil removed.
    package func changed(by changes: [String: AttributeValue?]) -> [String: AttributeValue] {
        merging(changes.compactMapValues { $0 }) { $1 }.filter { name, _ in
            if let change = changes[name] { change != nil } else { true }
        }
    }
}

/// The failures that stores have in common, in the same words.
package enum Refusal {
    package static func gone(_ id: FileID) -> BrimError {
        BrimError(.notFound, "entry \(id) does not exist")
    }
    package static func gone(_ place: EntryPlace) -> BrimError {
        BrimError(.notFound, "'\(place.name)' does not exist")
    }
    package static func parentGone(_ place: EntryPlace) -> BrimError {
        BrimError(.notFound, "the directory of '\(place.name)' does not exist", advice: "Make it first")
    }
    package static func notDirectory(_ name: EntryName) -> BrimError {
        BrimError(.notDirectory, "'\(name)' is not in a directory, or is not one")
    }
    package static func isDirectory(_ name: EntryName, _ type: EntryType) -> BrimError {
        BrimError(.isDirectory, "'\(name)' is a \(type == .symlink ? "symbolic link" : "directory")")
    }
    package static func exists(_ name: EntryName) -> BrimError {
        BrimError(.exists, "'\(name)' exists already")
    }
    package static func notEmpty(_ name: EntryName?) -> BrimError {
        BrimError(.notEmpty, "the directory '\(name?.text ?? "/")' is not empty")
    }
    package static func changed(_ name: EntryName?) -> BrimError {
        BrimError(.conflict, "'\(name?.text ?? "/")' changed in the meantime")
    }
    package static func otherRevision(_ revision: Int64) -> BrimError {
        BrimError(
            .precondition, "the rules are at revision \(revision): somebody else has changed them",
            advice: "Look at them, and change them anew")
    }
    package static func root(_ verb: String) -> BrimError {
        BrimError(.invalid, "the root directory cannot be \(verb)")
    }
    package static func belowItself(_ name: EntryName) -> BrimError {
        BrimError(.invalid, "the directory '\(name)' cannot be moved below itself")
    }
    package static func blobTaken(_ blob: BlobID) -> BrimError {
        BrimError(
            .conflict, "blob \(blob) was given up, removed or belongs to another write", advice: "Write the file again",
            retryable: false)
    }
    package static func serverUnknown(_ name: ServerName) -> BrimError {
        BrimError(.notFound, "there is no server '\(name)' with this id")
    }
    package static func serverNameTaken(_ name: ServerName) -> BrimError {
        BrimError(
            .exists, "another server is named '\(name)'",
            advice: "Choose another --name, or forget the old server first")
    }
    package static func serverForgotten(_ name: ServerName) -> BrimError {
        BrimError(
            .forgotten, "the server \(name) was forgotten: its swarm does not know its data any more",
            advice: "Start it with a new --data directory to join anew; 'blobs' of the old one may be moved there first"
        )
    }
    package static func nameJustFree(_ name: ServerName, _ wait: Duration) -> BrimError {
        BrimError(
            .unavailable, "the name \(name) was that of a server that was forgotten",
            advice: "It can be used in \(wait.components.seconds + 1) seconds")
    }
    package static func beingForgotten(_ name: ServerName) -> BrimError {
        BrimError(.unavailable, "the server \(name) is being forgotten", advice: "Wait until it is")
    }
    package static func holdersForgotten(_ names: [ServerName]) -> BrimError {
        BrimError(
            .conflict,
            "every server that received the write was forgotten meanwhile"
                + " (\(names.map(\.rawValue).joined(separator: ", ")))",
            advice: "Write the file again", retryable: false)
    }
    package static func stillCounts(_ name: ServerName) -> BrimError {
        BrimError(
            .conflict, "the copies on \(name) still count: it is neither draining nor down",
            advice: "Drain it first: brim server drain \(name)", retryable: false)
    }
    package static func quota(_ quota: Int64) -> BrimError {
        BrimError(.invalid, "a quota of \(quota) bytes is negative")
    }
    package static func staleTerm(_ term: Int64) -> BrimError {
        BrimError(.conflict, "term \(term) of leadership is over", retryable: false)
    }
    package static let requestDone = BrimError(
        .conflict, "this request was carried out or refused before", retryable: false)
    package static func otherPassword(database: String) -> BrimError {
        BrimError(
            .denied, "the database '\(database)' belongs to a swarm with another password",
            advice: "Start the master with that swarm's password; or, for a swarm of its own, with another --database "
                + "or --mongodb")
    }
}

extension ServerUsage {
    /// Whether the slave said `other` after this, as far as can be told: a restart counts as later.
    package func isFollowed(by other: ServerUsage) -> Bool { boot != other.boot || other.count >= count }
}

/// How large a file may be, by its k, to be able to take one more copy: `[k]` is the (k + 1)-th largest brim.
package func sizeLimits(brims: [Int64], maxCopies: Int) -> [Int64] {
    // More values of k than this would make MongoDB sort what it could read in order.
    Array(brims.sorted(by: >).prefix(max(0, min(maxCopies, 200))))
}

extension Sequence where Element: Hashable {
    /// Each element once, in the order of their first appearance.
    package var withoutRepeats: [Element] {
        var seen: Set<Element> = []
        return filter { seen.insert($0).inserted }
    }
}
