import BrimModel
import BrimWire
import Logging
import ServiceLifecycle

/// Tells servers that have not spoken to this leader yet where masters are: those that know only of masters which are gone
/// would look for these for ever.
struct Introductions: BackgroundLoop {
    let worker = Worker("introductions", unit: "servers")

    private static let pauses = (first: Duration.seconds(2), last: Duration.seconds(60))
    /// Servers spoken to at a time.
    private static let atOnce = 16

    let roster: Roster
    let slaves: any SlaveLink
    /// The URLs of all masters.
    let masters: @Sendable () -> [String]
    let clock: any BrimClock
    let logger: Logger

    func run() async throws {
        var pause = Self.pauses.first
        while await clock.pause(pause) {
            let silent = await roster.silent
            worker.begins("introduces masters to \(silent.count) servers")
            let told = await introduce(silent)
            worker.did(told)
            pause = silent.isEmpty ? Self.pauses.last : min(pause * 2, Self.pauses.last)
            worker.rests(atMost: pause)
        }
    }

    /// Returns how many took it in.
    private func introduce(_ silent: [Peer]) async -> Int {
        let urls = masters()
        guard !urls.isEmpty else { return 0 }
        return await withTaskGroup(of: Bool.self) { group in
            var (waiting, count) = (silent[...], 0)
            for peer in waiting.prefix(Self.atOnce) { group.addTask { await introduce(urls, to: peer) } }
            waiting = waiting.dropFirst(Self.atOnce)
            while let told = await group.next() {
                if told { count += 1 }
                if let peer = waiting.popFirst() { group.addTask { await introduce(urls, to: peer) } }
            }
            return count
        }
    }

    private func introduce(_ urls: [String], to peer: Peer) async -> Bool {
        do {
            try await slaves.introduce(urls, to: peer)
            return true
        } catch {
            logger.debug("a server is silent", metadata: ["server.name": "\(peer.server)", "error": "\(error)"])
            return false
        }
    }
}
