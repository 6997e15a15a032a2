import BrimMetadata
import BrimModel
import BrimPlacement
import BrimWire
import Logging
import ServiceLifecycle

/// Keeps the swarm's rules on this master as they are stored, and stores what people change.
///
/// Rules are parsed before they are stored, so what is stored with mistakes comes from a newer version, or from a shell: then
/// the rules that were in force before stay, and people are told.
actor RulesKeeper: BackgroundLoop {
    /// How soon a change made elsewhere is followed.
    static let interval = Duration.seconds(2)

    nonisolated let worker = Worker("rules", unit: "changes")
    private let store: any MetadataStore
    private let policies: Policies
    private let clock: any BrimClock
    private let logger: Logger
    private var last = StoredRules()
    private var mistake: String?

    init(store: any MetadataStore, policies: Policies, clock: any BrimClock = SystemClock(), logger: Logger) {
        self.store = store
        self.policies = policies
        self.clock = clock
        self.logger = logger
    }

    func run() async throws {
        repeat {
            do {
                try await read()
                worker.rests(atMost: Self.interval)
            } catch {
                worker.failed(error, again: Self.interval)
                logger.debug("the rules cannot be read", metadata: ["error": "\(error)"])
            }
        } while await clock.pause(Self.interval)
    }

    /// Takes up what is stored.
    func read() async throws { take(try await store.rules()) }

    /// The rules as people wrote them.
    var stored: StoredRules { last }

    /// Stores other rules, with `revision` only in the place of that one. Throws `.invalid`, with line and column,
    /// `.tooLarge`, `.precondition`.
    func change(_ text: String, ifRevision revision: Int64?) async throws -> StoredRules {
        _ = try PolicyRules(parsing: text)
        let stored = try await store.setRules(text, ifRevision: revision)
        take(stored)
        return stored
    }

    /// What people should know.
    var warnings: [String] {
        mistake.map { ["the rules of revision \(last.revision) cannot be used, those before stay in force: \($0)"] }
            ?? []
    }

    private func take(_ stored: StoredRules) {
        guard stored.revision > last.revision else { return }
        last = stored
        do {
            policies.rules = try PolicyRules(parsing: stored.text)
            mistake = nil
            worker.did(1)
            logger.notice(
                "the rules changed",
                metadata: ["rules.revision": "\(stored.revision)", "rules": "\(policies.rules.rules.count)"])
        } catch {
            mistake = (error as? BrimError)?.message ?? "\(error)"
            logger.error(
                "the rules cannot be used, those before stay in force",
                metadata: ["rules.revision": "\(stored.revision)", "error": "\(error)"])
        }
    }
}
