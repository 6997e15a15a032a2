import BrimMetadata
import BrimModel
import BrimPlacement
import Synchronization

/// Decides the n of files of which nobody has said one: what a directory above says, the swarm's rules, the policies that this
/// master was started with, the swarm's default; the first that has an opinion.
final class Policies: Sendable {
    /// A file, and what the directories above it say.
    struct Subject: Sendable {
        var file: PolicyFile
        var inherited: Int?
    }

    private let swarm = Mutex(PolicyRules())
    private let own: [any ReplicationPolicy]
    private let settings: LiveSettings

    init(own: [any ReplicationPolicy] = [], settings: LiveSettings) {
        self.own = own
        self.settings = settings
    }

    /// The swarm's rules, as this master knows them.
    var rules: PolicyRules {
        get { swarm.withLock { $0 } }
        set { swarm.withLock { $0 = newValue } }
    }

    /// Whether what is chosen for a file may depend on more than its path, its size and when it was written.
    var areAboutThePresent: Bool { !own.isEmpty || rules.areAboutThePresent }

    /// Whether what is chosen may become another by itself as time goes by.
    var dependOnTime: Bool { !own.isEmpty || rules.dependsOnTime }

    var dependOnReads: Bool { !own.isEmpty || rules.dependsOnReads }

    /// The swarm's default.
    var standard: PolicyChoice { .standard(settings.copies) }

    func choose(for subject: Subject) async -> PolicyChoice { await choose(for: [subject])[0] }

    /// A choice for each, in their order. With `rules` as if these were the swarm's.
    func choose(for subjects: [Subject], rules: PolicyRules? = nil) async -> [PolicyChoice] {
        var choices = subjects.map { subject in subject.inherited.map(Self.inherited) }
        for policy in [rules ?? self.rules] + own {
            let open = choices.indices.filter { choices[$0] == nil }
            guard !open.isEmpty else { break }
            for (index, choice) in zip(open, await policy.choose(for: open.map { subjects[$0].file })) {
                choices[index] = choice.map(Self.bounded)
            }
        }
        let standard = standard
        return choices.map { $0 ?? standard }
    }

    /// Those of these files for which something else is chosen than they have: another n, or the same for another reason.
    func changes(for files: [(entry: Entry, subject: Subject)]) async -> [(entry: Entry, choice: PolicyChoice)] {
        zip(files, await choose(for: files.map(\.subject))).compactMap { file, choice in
            guard let content = file.entry.content, content.n != choice.n || content.policy != choice.rule else {
                return nil
            }
            return (file.entry, choice)
        }
    }

    private static func inherited(_ n: Int) -> PolicyChoice {
        PolicyChoice(n: n, rule: PolicyName.directory, reason: "a directory above has this n")
    }

    /// What the writer of a policy did not think of.
    private static func bounded(_ choice: PolicyChoice) -> PolicyChoice {
        var choice = choice
        choice.n = min(max(choice.n, 1), Limits.maxCopies)
        return choice
    }
}

extension PolicyFile {
    /// One that is about to be written, or just was, over what is at its path now.
    init(
        writing path: BrimPath, over present: Entry?, size: Int64, modified: Timestamp,
        attributes: [String: AttributeValue], now: Timestamp
    ) {
        self.init(path: path, size: size, created: now, modified: modified, now: now)
        if let present {
            self = PolicyFile(present, at: path, now: now)
            (self.size, self.modified) = (size, modified)
        }
        self.attributes.merge(attributes) { $1 }
    }

    /// As it is known now.
    init(_ entry: Entry, at path: BrimPath, now: Timestamp) {
        let content = entry.content
        self.init(
            path: path, size: content?.size ?? 0, created: entry.created, modified: entry.modified, now: now,
            attributes: entry.attributes, reads: content?.reads?.rates(at: now) ?? ReadRates(),
            present: content.map { PolicyChoice(n: $0.n, rule: $0.policy) })
    }
}
