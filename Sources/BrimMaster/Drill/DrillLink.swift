import BrimMetadata
import BrimModel
import BrimWire

/// Asks slaves what they would tell of a sample. Throws `.unavailable` or `.timeout` when one does not answer, else what it
/// refuses with.
package protocol DrillLink: Sendable {
    func answer(of slave: Peer, on sample: NamespaceSample) async throws -> DrillAnswer
}

extension SlaveCaller: DrillLink {
    /// What one slave may tell of a sample, in items of each kind: the rest is not compared.
    private static let limit = 10_000
    private static let patience = Duration.seconds(30)

    func answer(of slave: Peer, on sample: NamespaceSample) async throws -> DrillAnswer {
        DrillAnswer(namespace: try await namespace(slave, sample.range), blobs: try await blobs(slave, sample))
    }

    private func namespace(_ slave: Peer, _ range: NumberRange) async throws -> DrillAnswer.Namespace? {
        let facts = try await get(slave, "/v1/recovery", as: RecoveryFacts.self)
        guard let scope = facts.namespace?.scope else { return nil }
        var found = DrillAnswer.Namespace(scope: scope, entries: [:], through: range.after, age: .zero)
        while found.through < range.through, found.entries.count < Self.limit {
            let page = try await get(
                slave, "/v1/recovery/entries?after=\(found.through)&through=\(range.through)", as: RecoveryEntries.self)
            for entry in page.entries { found.entries[entry.entry.id] = entry.entry }
            // As old as its oldest page.
            found.age = if let age = found.age, let told = page.age { max(age, .seconds(told)) } else { nil }
            found.through = page.next ?? range.through
        }
        return found
    }

    /// What its catalog labels with the range's numbers, and the contents of the sample that are not among that.
    private func blobs(_ slave: Peer, _ sample: NamespaceSample) async throws -> [BlobID: RecoveryBlobs.Item] {
        var found: [BlobID: RecoveryBlobs.Item] = [:]
        var next: BlobID?
        repeat {
            let after = next.map { "&after=\($0)" } ?? ""
            let page = try await get(
                slave,
                "/v1/recovery/blobs?fileAfter=\(sample.range.after)&fileThrough=\(sample.range.through)\(after)",
                as: RecoveryBlobs.self)
            for item in page.blobs { found[item.blob] = item }
            next = page.next
        } while next != nil && found.count < Self.limit
        var rest = sample.entries.values.compactMap(\.content?.blob).filter { found[$0] == nil }.sorted()[...]
        while !rest.isEmpty {
            let asked = rest.prefix(Limits.pageEntries)
            let page = try await peers.call(
                .POST, "http://\(slave.address)/v1/recovery/blobs", body: RecoveryBlobsRequest(blobs: Array(asked)),
                token: try keys.nodeToken(name: subject), deadline: Self.patience, as: RecoveryBlobs.self)
            for item in page.blobs { found[item.blob] = item }
            rest = page.next.map { last in rest.drop { $0 <= last } } ?? rest.dropFirst(asked.count)
        }
        return found
    }

    private func get<Reply: Decodable & Sendable>(
        _ slave: Peer, _ route: String, as type: Reply.Type
    ) async throws -> Reply {
        try await peers.call(
            .GET, "http://\(slave.address)\(route)", token: try keys.nodeToken(name: subject), deadline: Self.patience,
            as: type)
    }
}
