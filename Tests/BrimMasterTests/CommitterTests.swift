import BrimMetadata
import BrimModel
import Logging
import ServiceLifecycle
import Testing

@testable import BrimMaster

@Suite struct CommitterTests {
    @Test func commitsAllOfManyConcurrentWriters() async throws {
        let fixture = try await Fixture(servers: ["alpha"])
        let committer = Committer(store: fixture.store, views: fixture.views)
        let ids = BlobIDSource()
        let alpha = try ServerName(validating: "alpha")
        try await withThrowingTaskGroup(of: Void.self) { loop in
            loop.addTask { try await committer.run() }
            let versions = try await withThrowingTaskGroup(of: Int64?.self) { writers in
                for i in 0..<500 {
                    let name = try EntryName("file-\(i % 100)")
                    writers.addTask {
                        let outcomes = try await committer.commit([
                            BlobCommit(
                                request: ids.request(), place: EntryPlace(parent: .root, name: name), blob: ids.next(),
                                size: 1, checksum: Fixture.checksum, replicas: [alpha], mode: 0o644, modified: .now,
                                explicitN: nil, policy: .standard(1))
                        ])
                        return try outcomes[0].get().entry.content?.version
                    }
                }
                return try await writers.reduce(into: [Int64: Int]()) { $0[$1 ?? 0, default: 0] += 1 }
            }
            // Five writers of each of a hundred names: each version was given out once per name.
            #expect(versions == [1: 100, 2: 100, 3: 100, 4: 100, 5: 100])
            loop.cancelAll()
        }
    }

    @Test func refusesWithAnOldView() async throws {
        let fixture = try await Fixture(servers: ["alpha"])
        let views = ViewKeeper(store: fixture.store, logger: .init(label: "test"))
        let error = await #expect(throws: BrimError.self) { _ = try await views.current() }
        #expect(error?.code == .unavailable)
    }
}
