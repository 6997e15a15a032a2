import BrimMetadata
import BrimModel
import BrimPlacement
import BrimWire
import Logging
import ServiceLifecycle

/// Gives files the n that policies say, where that is another one than they have: all files when people ask for it, and once a
/// day where policies depend on time; files that are read, when that may have changed what is said of them.
///
/// A pass goes through the files by their numbers and notes in MongoDB how far it is, page by page: another leader goes on
/// there. What is written or changed meanwhile is given its n by whoever does that.
actor PolicyWorker: BackgroundLoop {
    nonisolated let worker = Worker("policies", unit: "files")

    /// Between looks for something to do.
    private static let pause = Duration.seconds(1)
    /// Between passes, where policies depend on time.
    private static let daily = Duration.seconds(86_400)
    /// Pages for which directories are remembered.
    private static let pagesRemembered = 20

    private let store: any MetadataStore
    private let views: any Views
    private let policies: Policies
    private let breaker: EvictionGuard
    private let changed: Bell
    private let clock: any BrimClock
    private let logger: Logger

    init(
        store: any MetadataStore, views: any Views, policies: Policies, breaker: EvictionGuard, changed: Bell,
        clock: any BrimClock = SystemClock(), logger: Logger
    ) {
        self.store = store
        self.views = views
        self.policies = policies
        self.breaker = breaker
        self.changed = changed
        self.clock = clock
        self.logger = logger
    }

    func run() async throws {
        while await clock.pause(Self.pause) {
            do {
                try await pass()
                while try await lookAtReads() {}
                worker.rests(atMost: Self.pause)
            } catch {
                worker.failed(error, again: Self.pause)
                logger.debug("policies have to wait", metadata: ["error": "\(error)"])
            }
        }
    }

    // MARK: - All files

    /// Goes on with the pass that is under way, if there is one, to its end.
    func pass() async throws {
        var last = try await store.policyPass()
        if last?.finished != nil || last == nil, policies.dependOnTime, isOld(last) {
            last = try await store.beginPolicyPass()
        }
        guard var pass = last, pass.finished == nil else { return }
        logger.info(
            "policies are applied to all files", metadata: ["pass": "\(pass.number)", "after": "\(pass.after)"])
        var (paths, pages) = (PolicyPaths(store: store), 0)
        while pass.finished == nil {
            guard !Task.isShuttingDownGracefully, !Task.isCancelled else { return }
            pages += 1
            if pages % Self.pagesRemembered == 0 { paths = PolicyPaths(store: store) }
            try await page(&pass, &paths)
            guard try await store.note(pass) else { return }
        }
        logger.info(
            "policies were applied to all files",
            metadata: ["pass": "\(pass.number)", "files": "\(pass.seen)", "changed": "\(pass.changed)"])
    }

    private func isOld(_ pass: PolicyPass?) -> Bool {
        guard let finished = pass?.finished else { return true }
        return clock.timestamp.since(finished) > Self.daily
    }

    private func page(_ pass: inout PolicyPass, _ paths: inout PolicyPaths) async throws {
        let page = try await store.entries(after: pass.after, limit: Limits.pageEntries)
        let files = page.filter { $0.type == .file }
        worker.begins("files after \(pass.after)")
        pass.changed += Int64(try await apply(to: files, &paths))
        pass.seen += Int64(files.count)
        worker.did(files.count)
        // A page may be shorter than it might be when its documents are large.
        if let end = page.last { pass.after = end.id } else { pass.finished = clock.timestamp }
    }

    /// Returns how many files have another n, or policy, now.
    private func apply(to files: [Entry], _ paths: inout PolicyPaths) async throws -> Int {
        let open = files.filter { $0.content?.policy != PolicyName.explicit }
        let subjects = try await paths.subjects(open, now: clock.timestamp)
        let known = open.compactMap { file in subjects[file.id].map { (file, $0) } }
        let changes = await policies.changes(for: known)
        guard !changes.isEmpty else { return 0 }
        let moves = changes.contains { $0.entry.content?.n != $0.choice.n }
        if moves { breaker.explainAll() }
        let count = try await store.choose(
            changes.map { PolicyChange(file: $0.id, rev: $0.rev, choice: $1) }, view: try await views.current())
        if moves { changed.ring() }
        return count
    }

    // MARK: - Files that are read

    /// Files looked at together.
    private static let batch = 500

    /// False when there was nothing to do.
    func lookAtReads() async throws -> Bool {
        let now = clock.timestamp
        let due = try await store.filesWithReadsDue(by: now, limit: Self.batch)
        guard !due.isEmpty, !Task.isShuttingDownGracefully else { return false }
        worker.begins("\(due.count) files that were read")
        if policies.dependOnReads {
            var paths = PolicyPaths(store: store)
            _ = try await apply(to: due, &paths)
        }
        try await store.settleReads(
            due.compactMap { file in
                guard let reads = file.content?.reads else { return nil }
                let next = Self.nextLook(reads.rates(at: now)).map { now.adding($0) }
                return SettledReads(file: file.id, measured: reads.at, due: next)
            })
        worker.did(due.count)
        return true
    }

    /// When what was read may come to something else: soon after much of it was lately, later the longer ago it is; nil when
    /// there is nothing left to come.
    static func nextLook(_ reads: ReadRates) -> Duration? {
        if reads.isNegligible { return nil }
        let hours = reads.day > 0.05 ? 3 : reads.week > 0.05 ? 24 : 72
        return .seconds(hours * 3600)
    }
}
