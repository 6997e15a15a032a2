import BrimMetadata
import BrimModel
import BrimTestKit
import Testing

/// The one conformance suite, on each store.
@Suite struct MetadataStoreTests {
    @Test(arguments: MetadataConformance.all)
    func inMemory(_ check: MetadataConformance) async throws {
        let store = InMemoryMetadataStore()
        _ = try await store.prepare(passwordProof: "proof")
        try await check.run(store)
    }

    @Test(arguments: MetadataConformance.all)
    func mongoDB(_ check: MetadataConformance) async throws {
        try await TestStore.withMongo { try await check.run($0) }
    }

    private static let fixedSeeds: [UInt64] = [1, 2, 3]

    /// Random steps on both stores; a failure names the seed, which replays it.
    @Test(arguments: fixedSeeds + [UInt64.random(in: 4...(.max))])
    func storesAgree(seed: UInt64) async throws {
        print("MetadataComparison seed \(seed)")
        let clock = MetadataComparison.Clock()
        try await TestStore.withMongo(clock: { clock.now }) { mongo in
            let memory = InMemoryMetadataStore(clock: { clock.now })
            _ = try await memory.prepare(passwordProof: "proof")
            var comparison = try MetadataComparison(memory, mongo, clock: clock, seed: seed)
            try await comparison.run(steps: 400)
            // What a fresh seed reaches is chance; the fixed ones reach every kind of step.
            guard Self.fixedSeeds.contains(seed) else { return }
            for step in [
                "committing", "creating", "renaming", "removing", "updating", "copying", "giving", "recounting",
                "settling", "undeleting", "restoring", "purging",
            ] {
                #expect(comparison.effective[step, default: 0] > 0, "\(comparison.effective)")
            }
        }
    }

    /// One entry more in one of them must not pass.
    @Test func comparisonSeesADifference() async throws {
        let clock = MetadataComparison.Clock()
        let first = InMemoryMetadataStore(clock: { clock.now })
        let second = InMemoryMetadataStore(clock: { clock.now })
        for store in [first, second] { _ = try await store.prepare(passwordProof: "proof") }
        _ = try await second.create(
            NewEntry(
                place: EntryPlace(parent: .root, name: EntryName("extra")), type: .directory, mode: 0o755,
                modified: clock.now))
        var comparison = try MetadataComparison(first, second, clock: clock, seed: 1)
        await #expect(throws: ConformanceFailure.self) { try await comparison.run(steps: 40) }
    }
}
