import BrimMetadata
import BrimModel
import BrimPlacement
import BrimWire
import Logging
import Testing

@testable import BrimMaster

/// Copies enter the metadata only by the order that asked for them, and only once.
@Suite struct CompletionTests {
    private let fixture: Fixture
    private let desk: OrderDesk
    private let giveUp: GiveUp
    private let dispatcher: CopyDispatcher
    private let bravo: ServerName

    init() async throws {
        fixture = try await Fixture(servers: ["alpha", "bravo"])
        bravo = try ServerName(validating: "bravo")
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let ledger = fixture.ledger
        desk = fixture.desk
        giveUp = GiveUp(
            store: fixture.store, views: fixture.views, desk: desk, ledger: ledger, roster: fixture.roster,
            breaker: EvictionGuard(store: fixture.store, settings: SwarmSettings(), logger: logger), logger: logger)
        dispatcher = CopyDispatcher(
            store: fixture.store, views: fixture.views, roster: fixture.roster, ledger: ledger, desk: desk,
            giveUp: giveUp, bell: fixture.changed, rate: CopyRate(), logger: logger)
    }

    /// Has bravo pull a file; the completion that it will send.
    private func pull(_ entry: Entry) async throws -> CompletionsRequest {
        let content = try #require(entry.content)
        let order = Order.Pull(
            blob: content.blob, size: content.size, checksum: content.checksum, label: try BlobLabel(entry: entry),
            sources: [])
        let receipt = try await desk.send([OrderDesk.Draft(evict: [], pull: order)], to: bravo)
        return CompletionsRequest(
            name: bravo, id: "id-bravo", term: 1,
            items: [.init(sequence: receipt.sequences[0], file: entry.id, blob: content.blob, error: nil)],
            usage: receipt.usage)
    }

    private func replicas(_ entry: Entry) async throws -> [String] {
        try #require(try await fixture.store.entry(entry.id)?.content).replicas.map(\.rawValue)
    }

    private func giveUpOnBravo(_ entry: Entry) async throws {
        let content = try #require(try await fixture.store.entry(entry.id)?.content)
        let victim = Victim(
            file: entry.id, blob: content.blob, size: content.size, surplus: content.surplus,
            replicas: content.replicas)
        let gone = try await giveUp.strike([victim], on: bravo, minSurplus: [1], reasons: ["test"])
        #expect(gone.count == 1)
    }

    /// The server still has the blob, and says that it is there; the order to delete it comes next.
    @Test func aPullOfWhatIsBeingGivenUpCountsForNothing() async throws {
        let entry = try await fixture.file("/f", on: ["alpha", "bravo"])
        try await giveUpOnBravo(entry)
        let reply = try await dispatcher.completed(try await pull(entry))
        #expect(reply.keep == [] && reply.discard == [])
        #expect(try await replicas(entry) == ["alpha"])
    }

    @Test func aCopyIsEnteredOnce() async throws {
        let entry = try await fixture.file("/f", on: ["alpha"])
        let blob = try #require(entry.content?.blob)
        let completion = try await pull(entry)
        #expect(try await dispatcher.completed(completion).keep == [blob])
        #expect(try await replicas(entry) == ["alpha", "bravo"])
        // Its answer got lost, and it comes again.
        let again = try await dispatcher.completed(completion)
        #expect(again.keep == [blob])
        #expect(again.discard.isEmpty)
        // Word of an earlier loss that comes now says nothing of this copy.
        let alpha = try ServerName(validating: "alpha")
        #expect(await desk.hasLatest([blob], on: bravo))
        #expect(await !desk.hasLatest([blob], on: alpha))
    }

    /// The slave has deleted it; entered again, it would count, and the last real copy might be given up for it.
    @Test func oneGivenUpSinceIsNotEnteredAgain() async throws {
        let entry = try await fixture.file("/f", on: ["alpha"])
        let completion = try await pull(entry)
        _ = try await dispatcher.completed(completion)
        try await giveUpOnBravo(entry)
        let again = try await dispatcher.completed(completion)
        #expect(again.keep.isEmpty)
        #expect(again.discard.isEmpty)
        #expect(try await replicas(entry) == ["alpha"])
        // Once it was told to delete it, a new order counts, and the old completion does not stand for it.
        _ = try await desk.send([OrderDesk.Draft(evict: [try #require(entry.content?.blob)])], to: bravo)
        let second = try await pull(entry)
        #expect(try await dispatcher.completed(completion).keep.isEmpty)
        #expect(try await dispatcher.completed(second).keep.count == 1)
        #expect(try await replicas(entry) == ["alpha", "bravo"])
    }

    @Test func ordersOfAnotherLeaderEnterNothing() async throws {
        let entry = try await fixture.file("/f", on: ["alpha"])
        var completion = try await pull(entry)
        completion.term = 0
        #expect(try await dispatcher.completed(completion).keep.isEmpty)
        #expect(try await replicas(entry) == ["alpha"])
    }

    @Test func whatNobodyWantsAnyMoreIsDiscarded() async throws {
        let entry = try await fixture.file("/f", on: ["alpha"])
        let completion = try await pull(entry)
        _ = try await fixture.namespace.remove(try BrimPath(parsing: "/f"), recursive: false)
        #expect(try await dispatcher.completed(completion).discard == [try #require(entry.content?.blob)])
    }

    // MARK: - Reports

    /// The slave read its list, gave the copy up, and then the list arrives: entered again, the copy would count, and the
    /// last real one might be given up for it.
    @Test func oneGivenUpSinceTheReportWasReadIsNotAdopted() async throws {
        let entry = try await fixture.file("/f", on: ["alpha", "bravo"])
        let blob = try #require(entry.content?.blob)
        let early = try fixture.page([fixture.report(entry)], from: "bravo")
        try await giveUpOnBravo(entry)
        // Its order is not sent yet.
        #expect(try await fixture.reconciler.reconcile(early).reply.confirm.isEmpty)
        let order = try await desk.send([OrderDesk.Draft(evict: [blob])], to: bravo).sequences[0]
        // Nor carried out when this was read, as far as anybody knows.
        for sequence in 0..<order {
            let page = try fixture.page([fixture.report(entry)], from: "bravo", at: sequence)
            #expect(try await fixture.reconciler.reconcile(page).reply.confirm.isEmpty)
        }
        #expect(try await replicas(entry) == ["alpha"])
        #expect(await fixture.roster.isDoubtful(bravo))
        // One that is there all the same is.
        let page = try fixture.page([fixture.report(entry)], from: "bravo", at: order)
        #expect(try await fixture.reconciler.reconcile(page).reply.confirm == [blob])
        #expect(try await replicas(entry) == ["alpha", "bravo"])
    }

    @Test func oneThatWasAnnouncedAndStaysIsBelieved() async throws {
        let entry = try await fixture.file("/f", on: ["alpha"])
        let blob = try #require(entry.content?.blob)
        await desk.announce([blob], on: bravo)
        await desk.takeBack([blob], on: bravo)
        #expect(await desk.believes([blob], on: bravo, at: OrderPosition(term: 1, sequence: 0)) == [true])
    }

    @Test func oneLostSinceTheReportWasReadIsNotAdopted() async throws {
        let entry = try await fixture.file("/f", on: ["alpha"])
        let blob = try #require(entry.content?.blob)
        let early = try fixture.page([fixture.report(entry)], from: "bravo")
        await desk.left([blob], on: bravo)
        #expect(try await fixture.reconciler.reconcile(early).reply.confirm.isEmpty)
        #expect(await fixture.roster.isDoubtful(bravo))
        // Having the server asked anew took an order, which a later list knows of.
        let later = try fixture.page([fixture.report(entry)], from: "bravo", at: 1)
        #expect(try await fixture.reconciler.reconcile(later).reply.confirm == [blob])
    }

    /// A leader before this one may have given up what the list still names.
    @Test func aReportFromBeforeThisTermAdoptsNothing() async throws {
        let entry = try await fixture.file("/f", on: ["alpha"])
        let page = try fixture.page([fixture.report(entry)], from: "bravo", term: 0, at: 100)
        #expect(try await fixture.reconciler.reconcile(page).reply.confirm.isEmpty)
        #expect(try await replicas(entry) == ["alpha"])
        #expect(await fixture.roster.isDoubtful(bravo))
    }

    @Test func memoryOfDeparturesIsBounded() {
        var ids = BlobIDGenerator()
        let blobs = (0..<10_000).map { _ in ids.next(seconds: 1) }
        var departures = Departures()
        for (index, blob) in blobs.enumerated() { departures.note([blob], knownFrom: Int64(index + 1)) }
        // What was forgotten makes early lists worthless for all.
        #expect(!departures.believes(blobs[0], at: 1))
        #expect(!departures.believes(ids.next(seconds: 2), at: 1))
        #expect(departures.believes(blobs[0], at: 10_000))
        #expect(!departures.believes(blobs[9_999], at: 9_999))
        #expect(departures.believes(blobs[9_998], at: 9_999))
    }
}
