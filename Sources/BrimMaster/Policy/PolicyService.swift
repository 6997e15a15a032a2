import BrimMetadata
import BrimModel
import BrimPlacement
import BrimWire

/// What people ask of policies: what they are, what they would say, and that they be applied.
struct PolicyService: Sendable {
    let store: any MetadataStore
    let namespace: NamespaceService
    let policies: Policies
    let rules: RulesKeeper
    let program: PolicyProgram?
    let settings: LiveSettings
    var clock: any BrimClock = SystemClock()

    func show() async throws -> PolicyReply {
        try await rules.read()
        let stored = await rules.stored
        return PolicyReply(
            text: stored.text, revision: stored.revision, changed: stored.changed,
            rules: policies.rules.rules.map(\.name), copies: settings.copies, program: program?.path,
            pass: try await pass(), warnings: await warnings)
    }

    /// Throws `.invalid`, with line and column, `.tooLarge`, `.precondition`.
    func change(_ request: PolicyRequest) async throws -> PolicyReply {
        _ = try await rules.change(request.text, ifRevision: request.ifRevision)
        return try await show()
    }

    /// Begins a pass over all files.
    func apply() async throws -> PolicyPassReply { try await reply(try await store.beginPolicyPass()) }

    private func pass() async throws -> PolicyPassReply? {
        guard let pass = try await store.policyPass() else { return nil }
        return try await reply(pass)
    }

    private func reply(_ pass: PolicyPass) async throws -> PolicyPassReply {
        var total: Int64?
        if pass.finished == nil {
            let histogram = try await store.histogram()
            total = histogram.levels.reduce(histogram.unreachableFiles) { $0 + $1.files }
        }
        return PolicyPassReply(
            number: pass.number, begun: pass.begun, finished: pass.finished, files: pass.seen, changed: pass.changed,
            total: total)
    }

    /// What people should know.
    var warnings: [String] {
        get async { await rules.warnings + [program?.warning].compactMap(\.self) }
    }

    /// What is said of each of these files; with `text` as if these were the rules. Throws `.invalid` for rules with mistakes.
    func test(_ request: PolicyTestRequest) async throws -> PolicyTestReply {
        let tried = try request.text.map { try PolicyRules(parsing: $0) }
        var items: [PolicyTestReply.Item] = []
        for path in request.paths {
            do {
                items.append(try await test(path, tried))
            } catch let error as BrimError {
                items.append(PolicyTestReply.Item(path: path.description, error: error))
            }
        }
        return PolicyTestReply(files: items)
    }

    private func test(_ path: BrimPath, _ tried: PolicyRules?) async throws -> PolicyTestReply.Item {
        let (entry, content, inherited) = try await namespace.fileAndCopies(at: path)
        let subject = Policies.Subject(
            file: PolicyFile(entry, at: path, now: clock.timestamp), inherited: inherited)
        var item = PolicyTestReply.Item(path: path.description, n: content.n, policy: content.policy)
        item.rules = (tried ?? policies.rules).rules.map {
            PolicyTestReply.RuleVerdict(rule: $0.name, says: $0.verdict(on: subject.file))
        }
        if content.policy == PolicyName.explicit {
            (item.wanted, item.rule, item.why) = (content.n, content.policy, "somebody set it for this file")
        } else {
            let choice = await policies.choose(for: [subject], rules: tried)[0]
            (item.wanted, item.rule, item.why) = (choice.n, choice.rule, choice.reason)
        }
        return item
    }
}
