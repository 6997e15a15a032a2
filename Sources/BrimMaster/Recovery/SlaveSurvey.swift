import BrimModel
import BrimWire
import Foundation
import Logging

/// All that the slaves of a swarm know, asked page by page.
struct SlaveSurvey: Sendable {
    /// One slave, and what it said.
    struct Answer: Sendable {
        /// `host:port` at which it was asked.
        var address: String
        var facts: RecoveryFacts
        var blobs: [RecoveryBlobs.Item]
        var entries: [Entry]
    }

    /// One that did not say all.
    struct Silence: Sendable, Codable, Hashable {
        var address: String
        /// null when nobody has told it.
        @Nullable var name: ServerName?
        var reason: String
    }

    /// Slaves asked at a time.
    private static let width = 4
    private static let patience = Duration.seconds(30)

    let peers: PeerClient
    let keys: SwarmKeys
    let logger: Logger

    /// Asks these slaves, and those that they tell of. Throws `.unauthorized` and `.denied` when one refuses the password:
    /// what the others say would be no more than a part.
    func ask(_ addresses: [String]) async throws -> (answers: [Answer], silent: [Silence]) {
        var known: [String: ServerName?] = Dictionary(addresses.map { ($0, nil) }) { first, _ in first }
        var waiting = known.keys.sorted()
        var answers: [Answer] = []
        var silent: [Silence] = []
        while !waiting.isEmpty {
            let batch = Array(waiting.prefix(Self.width))
            waiting.removeFirst(batch.count)
            for (address, reply) in try await ask(batch) {
                switch reply {
                case .success(let (answer, others)):
                    answers.append(answer)
                    for other in others where known[other.address] == nil {
                        // The same server may be reached at several addresses: its name tells.
                        guard !answers.contains(where: { $0.facts.name == other.name }) else { continue }
                        known[other.address] = .some(other.name)
                        waiting.append(other.address)
                    }
                case .failure(let error):
                    guard error.code != .unauthorized, error.code != .denied else { throw error }
                    silent.append(Silence(address: address, name: known[address] ?? nil, reason: error.message))
                }
            }
        }
        return try withoutDoubles(answers, silent)
    }

    private typealias Reply = Result<(Answer, [SwarmReply.Server]), BrimError>

    private func ask(_ batch: [String]) async throws -> [(String, Reply)] {
        try await withThrowingTaskGroup(of: (String, Reply).self) { group in
            for address in batch {
                group.addTask {
                    do {
                        return (address, .success(try await ask(address)))
                    } catch let error as BrimError {
                        return (address, .failure(error))
                    }
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }.sorted { $0.0 < $1.0 }
        }
    }

    /// A slave that is asked at two addresses is one; two that call themselves the same are not: one of them is of a disk
    /// that was copied. Throws `.conflict` then, since nobody but a person knows which.
    private func withoutDoubles(
        _ answers: [Answer], _ silent: [Silence]
    ) throws -> (answers: [Answer], silent: [Silence]) {
        var found: [ServerName: Answer] = [:]
        for answer in answers {
            guard let other = found[answer.facts.name] else {
                found[answer.facts.name] = answer
                continue
            }
            guard other.facts.usage.boot == answer.facts.usage.boot else {
                throw BrimError(
                    .conflict,
                    "two slaves are named \(answer.facts.name): those at \(other.address) and at \(answer.address)",
                    advice: "Stop the one whose data was copied, or is older", retryable: false)
            }
        }
        let names = Set(found.keys)
        return (
            found.values.sorted { $0.facts.name < $1.facts.name },
            silent.filter { silence in silence.name.map { !names.contains($0) } ?? true }
        )
    }

    private func ask(_ address: String) async throws -> (Answer, [SwarmReply.Server]) {
        let facts = try await call(address, "/v1/recovery", as: RecoveryFacts.self)
        logger.info(
            "asking a slave",
            metadata: ["server.name": "\(facts.name)", "server.address": "\(address)", "blobs": "\(facts.usage.files)"])
        let swarm = try await call(address, "/v1/swarm", as: SwarmReply.self)
        var answer = Answer(address: address, facts: facts, blobs: [], entries: [])
        var blob: BlobID?
        repeat {
            let after = blob.map { "?after=\($0)" } ?? ""
            let page = try await call(address, "/v1/recovery/blobs\(after)", as: RecoveryBlobs.self)
            answer.blobs += page.blobs
            blob = page.next
        } while blob != nil
        var entry: FileID?
        repeat {
            let after = entry.map { "?after=\($0)" } ?? ""
            let page = try await call(address, "/v1/recovery/entries\(after)", as: RecoveryEntries.self)
            answer.entries += page.entries.map(\.entry)
            entry = page.next
        } while entry != nil
        return (answer, swarm.servers)
    }

    /// Once more when a page is lost: what is asked for changes nothing.
    private func call<Reply: Decodable & Sendable>(
        _ address: String, _ path: String, as type: Reply.Type
    ) async throws -> Reply {
        let token = try keys.sign(.admin(subject: "recover"))
        do {
            return try await peers.call(
                .GET, "http://\(address)\(path)", token: token, deadline: Self.patience, as: type)
        } catch let error as BrimError where error.code == .timeout {
            return try await peers.call(
                .GET, "http://\(address)\(path)", token: token, deadline: Self.patience, as: type)
        }
    }
}
