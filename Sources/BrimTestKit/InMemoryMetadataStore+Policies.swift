import BrimMetadata
import BrimModel
import BrimPlacement

extension InMemoryMetadataStore {
    public func entries(_ ids: [FileID]) -> [FileID: Entry] {
        var found: [FileID: Entry] = [:]
        for id in ids { found[id] = records[id]?.entry }
        return found
    }

    public func choose(_ changes: [PolicyChange], view: ServerView) -> Int {
        changes.count { change in
            guard var entry = records[change.file]?.entry, entry.rev == change.rev, let content = entry.content,
                change.overrules || content.policy != PolicyName.explicit
            else { return false }
            entry.content = content.with(n: change.choice.n, policy: change.choice.rule, view: view)
            entry.rev += 1
            records[change.file]?.entry = entry
            return true
        }
    }

    public func rules() -> StoredRules { storedRules }

    public func setRules(_ text: String, ifRevision revision: Int64?) throws -> StoredRules {
        guard revision == nil || revision == storedRules.revision else {
            throw Refusal.otherRevision(storedRules.revision)
        }
        storedRules = StoredRules(text: text, revision: storedRules.revision + 1, changed: clock().wholeMilliseconds)
        return storedRules
    }

    public func policyPass() -> PolicyPass? { lastPass }

    public func beginPolicyPass() -> PolicyPass {
        let pass = PolicyPass(number: (lastPass?.number ?? 0) + 1, begun: clock().wholeMilliseconds)
        lastPass = pass
        return pass
    }

    public func note(_ pass: PolicyPass) -> Bool {
        guard let last = lastPass, last.number == pass.number else { return false }
        lastPass = pass
        lastPass?.begun = last.begun
        lastPass?.finished = pass.finished?.wholeMilliseconds ?? last.finished
        return true
    }

    public func addReads(_ reads: [BlobID: Double], at: Timestamp, due: Timestamp) {
        let (at, due) = (at.wholeMilliseconds, due.wholeMilliseconds)
        for (entry, content) in Array(files) {
            guard let count = reads[content.blob] else { continue }
            let before = content.reads ?? MeasuredReads(ReadRates(), at: at)
            records[entry.id]?.entry.content?.reads = MeasuredReads(
                before.rates(at: at).adding(count), at: max(at, before.at))
            readsDue[entry.id] = min(due, readsDue[entry.id] ?? due)
        }
    }

    public func filesWithReadsDue(by time: Timestamp, limit: Int) -> [Entry] {
        readsDue.filter { $0.value <= time.wholeMilliseconds && records[$0.key]?.entry.content?.reads != nil }
            .sorted { ($0.value, $0.key) < ($1.value, $1.key) }
            .prefix(limit).compactMap { records[$0.key]?.entry }
    }

    public func settleReads(_ settled: [SettledReads]) {
        for file in settled where records[file.file]?.entry.content?.reads?.at == file.measured {
            readsDue[file.file] = file.due?.wholeMilliseconds
            if file.due == nil { records[file.file]?.entry.content?.reads = nil }
        }
    }
}

extension Timestamp {
    /// As MongoDB's dates keep it.
    var wholeMilliseconds: Timestamp { Timestamp(milliseconds: milliseconds) }
}
