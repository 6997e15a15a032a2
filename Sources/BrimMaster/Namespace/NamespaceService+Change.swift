import BrimMetadata
import BrimModel
import BrimPlacement
import BrimWire

extension [Entry].SubSequence {
    /// The n of the last directory along a path that has one.
    var inheritedCopies: Int? { last { $0.copies != nil }?.copies }
}

extension NamespaceService {
    /// Changes n, attributes, mode or time of an entry. A file whose n nobody has set has it by policies, which may depend on
    /// what is changed: the answer tells whether it has another n now, or one for another reason.
    func change(_ path: BrimPath, _ request: ChangeRequest) async throws -> (stat: FileStat, choosesN: Bool) {
        if let n = request.n { try Self.checkCopies(n) }
        if let mode = request.mode { try Self.checkMode(mode) }
        guard request.n == nil || request.resetN != true else {
            throw BrimError(.invalid, "n is set and left to policies at once", advice: "Ask for one of both")
        }
        let attributes = request.attributes ?? [:]
        for _ in 0..<Self.attempts {
            let (entry, inherited) = try await entryAndCopies(at: path)
            try Self.checkAttributes(entry.attributes.keys.count { attributes[$0] == nil }, attributes)
            var change = EntryChange(
                n: request.n, attributes: attributes, mode: request.mode, modified: request.modified)
            if request.n == nil { change.copies = try await copies(of: entry, path, inherited, request) }
            do {
                let changed = try await store.update(
                    entry.id, change, ifRev: change.copies == nil ? nil : entry.rev, view: try await views.current())
                return (FileStat(path: path.description, entry: changed), change.copies != nil)
            } catch let error as BrimError where error.code == .conflict || error.code == .notFound {
                // What is at the path then takes its place, as if this had been asked a moment later.
                try await store.catchUp()
            }
        }
        throw Self.keepsChanging(path)
    }

    /// The n that comes of a change which does not say one; nil: the one there is.
    private func copies(
        of entry: Entry, _ path: BrimPath, _ inherited: Int?, _ request: ChangeRequest
    ) async throws -> CopiesChange? {
        guard let content = entry.content else {
            guard request.resetN == true else { return nil }
            return CopiesChange.none
        }
        let isOpen = content.policy != PolicyName.explicit
        guard request.resetN == true || (isOpen && (request.attributes != nil || request.modified != nil)) else {
            return nil
        }
        var changed = entry
        changed.attributes = entry.attributes.changed(by: request.attributes ?? [:])
        changed.modified = request.modified ?? entry.modified
        let subject = Policies.Subject(
            file: PolicyFile(changed, at: path, now: clock.timestamp), inherited: inherited)
        return await policies.changes(for: [(changed, subject)]).first.map { .chosen($0.choice) }
    }

    /// Gives a directory and all that is below it an n (nil: that of policies): directories below have none of their own any
    /// more, and files have theirs by that of the directory. What others make below meanwhile has it by the directory, too.
    func changeTree(_ path: BrimPath, n: Int?) async throws -> TreeChangeReply {
        if let n { try Self.checkCopies(n) }
        let (top, above) = try await entryAndCopies(at: path)
        guard top.type == .directory else { throw Self.notDirectory(path) }
        var change = EntryChange(n: n)
        if n == nil { change.copies = CopiesChange.none }
        _ = try await store.update(top.id, change, view: try await views.current())
        var total = TreeChangeReply(files: 0, directories: 1)
        var pending = [(directory: top.id, path: path)]
        while let next = pending.popLast() {
            var after: EntryName?
            repeat {
                let page = try await store.list(next.directory, after: after, limit: Limits.pageEntries)
                after = page.count == Limits.pageEntries ? page.last?.name : nil
                for entry in page where entry.type == .directory {
                    guard let name = entry.name else { continue }
                    pending.append((entry.id, try next.path.appending(name)))
                    total.directories += 1
                    guard entry.copies != nil else { continue }
                    var change = EntryChange()
                    change.copies = CopiesChange.none
                    _ = try await store.update(entry.id, change, view: try await views.current())
                }
                total.files += try await changeFiles(page, in: next.path, inherited: n ?? above)
            } while after != nil
        }
        return total
    }

    /// Returns how many were changed. Files that changed meanwhile are tried again.
    private func changeFiles(_ page: [Entry], in directory: BrimPath, inherited: Int?) async throws -> Int64 {
        var files = page.filter { $0.content != nil }
        var count = 0
        for _ in 0..<Self.attempts where !files.isEmpty {
            let subjects = try files.compactMap { file in
                try file.name.map { name in
                    (
                        file,
                        Policies.Subject(
                            file: PolicyFile(file, at: try directory.appending(name), now: clock.timestamp),
                            inherited: inherited)
                    )
                }
            }
            let changes = await policies.changes(for: subjects).map {
                PolicyChange(file: $0.id, rev: $0.rev, choice: $1, overrules: true)
            }
            guard !changes.isEmpty else { break }
            let changed = try await store.choose(changes, view: try await views.current())
            count += changed
            if changed == changes.count { break }
            let found = try await store.entries(changes.map(\.file))
            files = changes.compactMap { found[$0.file] }
        }
        return Int64(count)
    }
}
