import BrimMetadata
import BrimModel
import BrimTestKit
import BrimWire
import Logging
import Synchronization
import Testing

@testable import BrimMaster

/// A small namespace, as MongoDB has it and as slaves do: `/dir`, and `/dir/song` on alpha and bravo.
private struct Sample {
    static let time = Timestamp(seconds: 1_700_000_000, nanoseconds: 5)

    let alpha, bravo, charlie: ServerName
    let root: Entry
    let directory: Entry
    var song: Entry

    init() throws {
        alpha = try ServerName(validating: "alpha")
        bravo = try ServerName(validating: "bravo")
        charlie = try ServerName(validating: "charlie")
        root = Entry(
            id: .root, parent: nil, name: nil, type: .directory, mode: 0o755, created: Self.time, modified: Self.time)
        directory = Entry(
            id: FileID(2), parent: .root, name: try EntryName("dir"), type: .directory, mode: 0o755,
            created: Self.time, modified: Self.time)
        song = Entry(
            id: FileID(3), parent: FileID(2), name: try EntryName("song"), type: .file, mode: 0o644,
            created: Self.time, modified: Self.time, rev: 4, attributes: ["stars": .double(5), "by": .string("x")],
            content: FileContent(
                version: 2, blob: try Self.blob(1), size: 10, checksum: Checksum(crc32c: 7), n: 2, k: 2,
                readable: true, replicas: [alpha, bravo]))
    }

    static func blob(_ number: UInt8) throws -> BlobID {
        try #require(BlobID(bytes: [0x65, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, number]))
    }

    /// The last of the range is a number that no entry has any more.
    var mongodb: NamespaceSample {
        NamespaceSample(range: NumberRange(after: FileID(0), through: FileID(9)), entries: [root, directory, song])
    }

    /// The song in a catalog.
    func item(_ change: (inout RecoveryBlobs.Item) -> Void = { _ in }) throws -> RecoveryBlobs.Item {
        let content = try #require(song.content)
        var item = RecoveryBlobs.Item(
            blob: content.blob, confirmed: true, size: content.size, checksum: content.checksum, created: Self.time,
            label: BlobLabel(
                file: song.id, parent: FileID(2), name: try EntryName("song"), rev: song.rev, n: content.n,
                attributes: song.attributes))
        change(&item)
        return item
    }

    /// What a slave answers when all is well, with a change.
    func answer(
        scope: ReplicaScope = .full, _ change: (inout DrillAnswer) throws -> Void = { _ in }
    ) throws -> DrillAnswer {
        var known = song
        // These are not told, and numbers come from JSON.
        known.content?.k = 0
        known.content?.readable = false
        known.attributes["stars"] = .int(5)
        var answer = DrillAnswer(
            namespace: .init(
                scope: scope, entries: [.root: root, directory.id: directory, song.id: known], through: FileID(9),
                age: .zero), blobs: [try Self.blob(1): try item()])
        try change(&answer)
        return answer
    }

    func findings(
        _ answer: DrillAnswer, of server: ServerName? = nil, unknown: Set<BlobID> = []
    ) -> [DrillFinding] {
        DrillComparison(mongodb).findings(answer, of: server ?? alpha, unknown: unknown)
    }
}

/// What differs between MongoDB and slaves.
@Suite struct DrillComparisonTests {
    private let sample: Sample

    init() throws { sample = try Sample() }

    /// Expects one finding.
    private func expect(
        _ findings: [DrillFinding], _ kind: DrillReport.Kind, _ path: String, _ mongodb: String, _ slave: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(findings.count == 1, "\(findings)", sourceLocation: sourceLocation)
        for found in findings {
            #expect(
                found.key.kind == kind && found.path == path && found.mongodb == mongodb && found.slave == slave,
                "\(found)", sourceLocation: sourceLocation)
        }
    }

    @Test func whatIsTheSameIsNoDifference() throws {
        #expect(sample.findings(try sample.answer()) == [])
        #expect(sample.findings(try sample.answer(), of: sample.bravo) == [])
        // A server that has no copy and knows none; one that keeps only what it has itself.
        #expect(sample.findings(try sample.answer { $0.blobs = [:] }, of: sample.charlie) == [])
        let own = try sample.answer(scope: .own) {
            $0.blobs = [:]
            $0.namespace?.entries[sample.song.id] = nil
        }
        #expect(sample.findings(own, of: sample.charlie) == [])
        // Nothing is said of names where there is no copy of the namespace, nor of those that were not told.
        #expect(sample.findings(try sample.answer { $0.namespace = nil }) == [])
        let part = try sample.answer {
            $0.namespace?.entries[sample.song.id] = nil
            $0.namespace?.through = FileID(2)
        }
        #expect(sample.findings(part) == [])
        #expect(DrillComparison(sample.mongodb).copies(on: [sample.alpha, sample.charlie]) == 1)
    }

    @Test func anEntryThatASlaveDoesNotKnow() throws {
        let file = try sample.answer { $0.namespace?.entries[sample.song.id] = nil }
        let words = "a file, version 2, 10 bytes, rev 4"
        expect(sample.findings(file), .missing, "/dir/song", words, "no entry")
        var own = file
        own.namespace?.scope = .own
        expect(sample.findings(own), .missing, "/dir/song", words, "no entry")
        let directory = try sample.answer(scope: .own) { $0.namespace?.entries[sample.directory.id] = nil }
        expect(sample.findings(directory), .missing, "/dir", "a directory, rev 1", "no entry")
    }

    @Test func anEntryThatMongoDBDoesNotKnow() throws {
        let answer = try sample.answer {
            var other = sample.song
            other.id = FileID(5)
            other.name = try EntryName("other")
            $0.namespace?.entries[other.id] = other
        }
        expect(sample.findings(answer), .unknown, "/dir/other", "no entry", "a file, version 2, 10 bytes, rev 4")
    }

    /// Each field that can be rebuilt.
    @Test func anEntryOfWhichASlaveKnowsSomethingElse() throws {
        let changes: [(String, String, (inout Entry) throws -> Void)] = [
            ("name song", "name tune", { $0.name = try EntryName("tune") }),
            ("directory 2", "directory 1", { $0.parent = .root }),
            ("mode 644", "mode 600", { $0.mode = 0o600 }),
            (
                "modified 2023-11-14T22:13:20.000000005Z", "modified 2023-11-14T22:13:20Z",
                { $0.modified = Timestamp(seconds: 1_700_000_000, nanoseconds: 0) }
            ),
            ("rev 4", "rev 3", { $0.rev = 3 }),
            ("attributes by='x' stars=5", "attributes by='x'", { $0.attributes["stars"] = nil }),
            ("attributes by='x' stars=5", "attributes by='x' stars='5'", { $0.attributes["stars"] = .string("5") }),
            ("version 2", "version 1", { $0.content?.version = 1 }),
            (
                "blob 650000000000000000000001", "blob 650000000000000000000002",
                { $0.content?.blob = try Sample.blob(2) }
            ),
            ("size 10", "size 11", { $0.content?.size = 11 }),
            ("checksum crc32c:00000007", "checksum crc32c:00000008", { $0.content?.checksum = Checksum(crc32c: 8) }),
            ("n 2", "n 7", { $0.content?.n = 7 }),
            (
                "size 10, n 2", "size 11, n 7",
                {
                    $0.content?.size = 11
                    $0.content?.n = 7
                }
            ),
        ]
        for (mongodb, slave, change) in changes {
            let answer = try sample.answer { answer in
                var known = try #require(answer.namespace?.entries[sample.song.id])
                try change(&known)
                answer.namespace?.entries[sample.song.id] = known
            }
            expect(sample.findings(answer), .attributes, "/dir/song", mongodb, slave)
        }
    }

    @Test func copiesThatAreElsewhere() throws {
        let without = try sample.answer { $0.blobs = [:] }
        expect(sample.findings(without), .copyMissing, "/dir/song", "a copy there of 10 bytes", "no copy")
        expect(
            sample.findings(try sample.answer(), of: sample.charlie), .copyUnknown, "/dir/song", "no copy there",
            "a copy of 10 bytes")
        // One that is being made is not there yet.
        let pending = try sample.answer { $0.blobs = [try Sample.blob(1): try sample.item { $0.confirmed = false }] }
        #expect(sample.findings(pending, of: sample.charlie) == [])
        #expect(sample.findings(pending) == [])
    }

    @Test func copiesOfOtherBytes() throws {
        let answer = try sample.answer { $0.blobs = [try Sample.blob(1): try sample.item { $0.size = 9 }] }
        expect(sample.findings(answer), .attributes, "/dir/song", "size 10", "a copy with size 9")
    }

    /// What is written beside a copy counts only where it is as recent as the entry.
    @Test func labels() throws {
        func answer(_ change: (inout RecoveryBlobs.Item) -> Void) throws -> DrillAnswer {
            try sample.answer { $0.blobs = [try Sample.blob(1): try sample.item(change)] }
        }
        expect(
            sample.findings(try answer { $0.label.n = 5 }), .attributes, "/dir/song", "n 2", "a copy with n 5")
        #expect(sample.findings(try answer { ($0.label.n, $0.label.rev) = (5, 3) }) == [])
        #expect(sample.findings(try answer { ($0.label.n, $0.label.file) = (5, FileID(0)) }) == [])
    }

    /// The content of an entry that MongoDB has lost: copies of the namespace have lost it too by then.
    @Test func blobsThatMongoDBDoesNotKnow() throws {
        let lost = try Sample.blob(8)
        let answer = try sample.answer {
            $0.blobs[lost] = try sample.item {
                $0.blob = lost
                $0.label = BlobLabel(
                    file: FileID(7), parent: FileID(2), name: $0.label.name, rev: 2, n: 2, attributes: [:])
            }
        }
        #expect(DrillComparison(sample.mongodb).strangers(in: answer) == [lost])
        // In the trash, or a former version.
        #expect(sample.findings(answer) == [])
        expect(
            sample.findings(answer, unknown: [lost]), .unknown, "/dir/song", "no entry, no removed file",
            "a copy of the blob \(lost), 10 bytes, as of rev 2")
        var outside = answer
        outside.blobs[lost]?.label.file = FileID(10)
        #expect(DrillComparison(sample.mongodb).strangers(in: outside) == [])
        outside = answer
        outside.blobs[lost]?.confirmed = false
        #expect(DrillComparison(sample.mongodb).strangers(in: outside) == [])
    }
}

/// What counts as a difference.
@Suite struct DrillSuspectsTests {
    private static let patience = Duration.seconds(10)
    private let sample: Sample
    private let start = ContinuousClock.now

    init() throws { sample = try Sample() }

    private func missing(of server: ServerName) throws -> [DrillFinding] {
        sample.findings(try sample.answer { $0.namespace?.entries[sample.song.id] = nil }, of: server)
    }

    private func withoutCopy() throws -> [DrillFinding] { sample.findings(try sample.answer { $0.blobs = [:] }) }

    /// Findings at some seconds, with the time as of which the copy of the namespace is then.
    private func suspects(_ told: [(seconds: Int, findings: [DrillFinding], asOf: Int?)]) -> DrillSuspects {
        var suspects = DrillSuspects(patience: Self.patience)
        for (index, (seconds, findings, asOf)) in told.enumerated() {
            let testimony = DrillSuspects.Testimony(findings: findings, asOf: asOf.map { start + .seconds($0) })
            let read = start + .seconds(seconds)
            if index == 0 {
                suspects.begin(testimony, of: sample.alpha, read: read)
            } else {
                suspects.update(testimony, of: sample.alpha, read: read)
            }
        }
        return suspects
    }

    @Test func onlyWhatLastsCounts() throws {
        let lost = try withoutCopy()
        #expect(suspects([(0, lost, nil)]).differences == [])
        #expect(suspects([(0, lost, nil), (9, lost, nil)]).differences == [])
        let lasting = suspects([(0, lost, nil), (5, lost, nil), (10, lost, nil)])
        #expect(lasting.differences.map(\.kind) == [.copyMissing] && lasting.open.isEmpty)
        // What was alike once is none any more, whatever comes later.
        let healed = suspects([(0, lost, nil), (5, [], nil), (20, lost, nil)])
        #expect(healed.differences == [] && healed.open.isEmpty)
        #expect(healed.undecided(without: []).behind == [] && healed.undecided(without: []).changing == [])
    }

    @Test func whatChangesIsWaitedForAnew() throws {
        var (first, second) = (try withoutCopy(), try withoutCopy())
        first[0].entry?.rev = 3
        second[0].entry?.rev = 4
        let changing = suspects([(0, first, nil), (10, second, nil), (15, second, nil)])
        #expect(changing.differences == [] && changing.open == [sample.alpha])
        let undecided = changing.undecided(without: [])
        #expect(undecided.behind == [] && undecided.changing == [sample.song.id])
        #expect(changing.undecided(without: [sample.alpha]).changing == [])
        #expect(suspects([(0, first, nil), (10, second, nil), (20, second, nil)]).differences.count == 1)
    }

    /// A copy of the namespace may be older than what MongoDB says: then it proves nothing.
    @Test func namesCountOnlyIfTheyAreRecent() throws {
        let lost = try missing(of: sample.alpha)
        for asOf in [nil, -1] {
            let old = suspects([(0, lost, asOf), (10, lost, asOf), (100, lost, asOf)])
            #expect(old.differences == [] && old.open == [sample.alpha])
            let undecided = old.undecided(without: [])
            #expect(undecided.behind == [sample.alpha] && undecided.changing == [])
        }
        #expect(suspects([(0, lost, -1), (10, lost, 0)]).differences.map(\.kind) == [.missing])
    }

    @Test func whatSeveralSlavesSayIsToldTogether() throws {
        var suspects = DrillSuspects(patience: Self.patience)
        for (index, read) in [start, start + Self.patience].enumerated() {
            for server in [sample.bravo, sample.alpha] {
                let told = DrillSuspects.Testimony(findings: try missing(of: server), asOf: start)
                if index == 0 {
                    suspects.begin(told, of: server, read: read)
                } else {
                    suspects.update(told, of: server, read: read)
                }
            }
        }
        #expect(
            suspects.differences == [
                DrillReport.Difference(
                    path: "/dir/song", kind: .missing, mongodb: "a file, version 2, 10 bytes, rev 4",
                    slaves: [
                        .init(server: sample.alpha, says: "no entry"), .init(server: sample.bravo, says: "no entry"),
                    ])
            ])
    }

    @Test func thereIsABoundToWhatIsLookedAt() throws {
        let findings = try (0..<DrillSuspects.limit + 5).map { number in
            var finding = try withoutCopy()[0]
            finding.key.file = FileID(Int64(number))
            return finding
        }
        #expect(suspects([(0, findings, nil), (10, findings, nil)]).differences.count == DrillSuspects.limit)
    }
}

/// Drills over an in-memory store, in a time that passes when it is waited for.
@Suite struct RebuildDrillTests {
    /// Slaves that answer what is in a store, each with a change that may become another one each time.
    private final class Slaves: DrillLink {
        typealias Change = @Sendable (_ time: Int, inout DrillAnswer) throws -> Void
        private let store: any MetadataStore
        private let changes: Mutex<[String: Change]>
        private let times = Mutex([String: Int]())

        init(_ store: any MetadataStore, _ changes: [String: Change] = [:]) {
            self.store = store
            self.changes = Mutex(changes)
        }

        func times(_ server: String) -> Int { times.withLock { $0[server] ?? 0 } }

        func answer(of slave: Peer, on sample: NamespaceSample) async throws -> DrillAnswer {
            let time = times.withLock { times in
                times[slave.server.rawValue, default: 0] += 1
                return times[slave.server.rawValue] ?? 0
            }
            let sample = try await store.sample(sample.range)
            var answer = DrillAnswer(
                namespace: .init(scope: .full, entries: sample.entries, through: sample.range.through, age: .zero),
                blobs: [:])
            for entry in sample.entries.values {
                guard let content = entry.content, content.replicas.contains(slave.server) else { continue }
                answer.blobs[content.blob] = RecoveryBlobs.Item(
                    blob: content.blob, confirmed: true, size: content.size, checksum: content.checksum,
                    created: Sample.time, label: try BlobLabel(entry: entry))
            }
            try changes.withLock { $0[slave.server.rawValue] }?(time, &answer)
            return answer
        }
    }

    private static let servers = ["alpha", "bravo"]

    private let fixture: Fixture
    private let clock = TestClock()

    init() async throws {
        fixture = try await Fixture(servers: Self.servers)
        for number in 0..<20 { try await fixture.file("/d/f\(number)", on: Self.servers) }
    }

    private func drill(_ changes: [String: Slaves.Change] = [:]) -> (RebuildDrill, Slaves) {
        let slaves = Slaves(fixture.store, changes)
        let drill = RebuildDrill(
            store: fixture.store, slaves: slaves, roster: fixture.roster, settings: fixture.settings, clock: clock,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        return (drill, slaves)
    }

    @Test func allIsWell() async throws {
        let (drill, slaves) = drill()
        let report = try await drill.drill()
        #expect(report.differing == 0 && report.entries == 22 && report.copies == 40 && report.servers == 2)
        #expect(report.silent == [] && report.behind == [] && report.changing == 0)
        #expect(report.at == clock.timestamp && slaves.times("alpha") == 1, "nothing is asked twice")
        #expect(try await fixture.store.drill() == report)
    }

    @Test func aDifferenceIsFoundAndKept() async throws {
        let (drill, slaves) = drill(["bravo": { $1.namespace?.entries[FileID(5)]?.mode = 0 }])
        let report = try await drill.drill()
        #expect(report.differing == 1 && report.differences.map(\.kind) == [.attributes], "\(report)")
        #expect(report.differences.first?.slaves.map(\.server.rawValue) == ["bravo"])
        #expect(slaves.times("alpha") == 1 && slaves.times("bravo") > 2 && report.seconds >= 15)
        #expect(try await fixture.store.drill() == report)
    }

    @Test func whatSettlesIsNoDifference() async throws {
        let (drill, slaves) = drill(["bravo": { if $0 < 4 { $1.blobs = [:] } }])
        let report = try await drill.drill()
        #expect(report.differing == 0 && report.changing == 0 && slaves.times("bravo") == 4, "\(report)")
    }

    @Test func whatIsNotDecidedIsTold() async throws {
        let (drill, _) = drill([
            // Another one each time.
            "alpha": { $1.namespace?.entries[FileID(5)]?.mode = $0 },
            "bravo": { _, answer in
                answer.namespace?.age = .seconds(3600)
                answer.namespace?.entries[FileID(6)] = nil
            },
        ])
        let report = try await drill.drill()
        #expect(report.differing == 0 && report.changing == 1 && report.entries == 21, "\(report)")
        #expect(report.behind.map(\.rawValue) == ["bravo"])
    }

    @Test func slavesThatDoNotAnswer() async throws {
        let away: Slaves.Change = { _, _ in throw BrimError(.unavailable, "it is away") }
        let error = await #expect(throws: BrimError.self) {
            _ = try await drill(["alpha": away, "bravo": away]).0.drill()
        }
        #expect(error?.code == .unavailable)
        #expect(try await fixture.store.drill() == nil)
        let report = try await drill(["bravo": away]).0.drill()
        #expect(report.differing == 0 && report.servers == 1 && report.copies == 20)
        #expect(report.silent.map(\.rawValue) == ["bravo"])
        // One that has no copy of the namespace.
        let without = try await drill(["bravo": { $1.namespace = nil }]).0.drill()
        #expect(without.behind.map(\.rawValue) == ["bravo"])
    }

    /// The first some minutes after the term has begun, and then as often as it is set; not once it is switched off.
    @Test func itRunsByItself() async throws {
        let (began, clock, settings) = (clock.now, clock, fixture.settings)
        let asked = Mutex([Duration]())
        let (drill, _) = drill([
            "alpha": { time, _ in
                asked.withLock { $0.append(clock.now - began) }
                if time == 2 { settings.current.drillEvery = .zero }
            }
        ])
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await drill.run() }
            while clock.now - began < .seconds(300_000) { try await Task.sleep(for: .milliseconds(10)) }
            group.cancelAll()
            try await group.waitForAll()
        }
        let times = asked.withLock { $0 }
        try #require(times.count == 2)
        #expect((RebuildDrill.delay...RebuildDrill.delay + RebuildDrill.look).contains(times[0]))
        #expect((.seconds(86_400)...(.seconds(86_400) + RebuildDrill.look * 2)).contains(times[1] - times[0]))
    }

    @Test func whatAPersonShouldKnow() throws {
        func warning(_ report: DrillReport?, every: Int64 = 86_400, after seconds: Int64) -> String? {
            DrillWarning.text(
                report, every: .seconds(every), since: Sample.time, now: Sample.time.adding(.seconds(seconds)))
        }
        var report = DrillReport(at: Sample.time, seconds: 1, entries: 10, copies: 20, servers: 3)
        let (hour, day): (Int64, Int64) = (3600, 86_400)
        for report in [nil, report] {
            #expect(warning(report, after: hour) == nil && warning(report, after: 2 * day) == nil)
            #expect(warning(report, after: 2 * day + hour)?.contains("there was no rebuild drill") == true)
            #expect(warning(report, every: 0, after: 100 * day) == nil)
            #expect(warning(report, every: 7 * day, after: 13 * day) == nil)
            #expect(warning(report, every: 7 * day, after: 15 * day) != nil)
        }
        report.differing = 3
        for every in [0, day] {
            let text = try #require(warning(report, every: every, after: hour))
            #expect(text.contains("3 differences") && text.contains("brim drill"))
        }
    }
}
