import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import NIOCore
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

extension ScenarioTests {
    /// The change feed as it is offered to anyone with an admin's token.
    @Suite struct FeedTests {
        private struct Told {
            var events: [ServerSentEvent] = []
            var position: String? { events.last { $0.id != nil }?.id }
            var changes: [FeedChange] = []
            func has(_ kind: FeedEvent) -> Bool { events.contains { $0.event == kind.rawValue } }
            var names: [String] { changes.compactMap { $0.entry?.entry.name?.text } }
        }

        /// At the master of this URL, else at the first.
        private func listen(
            _ swarm: Swarm, at url: String = "", after position: String? = nil, seconds: Int = 0
        ) async throws -> Told {
            let after = position.map { "&after=\($0)" } ?? ""
            let answer = try await swarm.request(url + "/v1/changes?seconds=\(seconds)\(after)", [])
            #expect(answer.status == 200 && answer.headers["content-type"] == "text/event-stream")
            var parser = ServerSentEvents()
            var told = Told(events: try parser.take(ByteBuffer(bytes: answer.body)))
            for event in told.events where event.event == FeedEvent.changes.rawValue {
                told.changes += try BrimJSON.decoder().decode([FeedChange].self, from: Data(event.data.utf8))
            }
            return told
        }

        /// Listens until `count` names were told.
        private func names(
            _ swarm: Swarm, at url: String = "", after start: String, count: Int
        ) async throws -> (Set<String>, String) {
            var (names, position): (Set<String>, String) = ([], start)
            try await swarm.waitFor("\(count) names are told") {
                let told = try await listen(swarm, at: url, after: position)
                names.formUnion(told.names)
                position = told.position ?? position
                return names.count >= count
            }
            return (names, position)
        }

        @Test func aListenerGoesOnFromWhereItWas() async throws {
            try await Swarm.run { swarm in
                try await swarm.startMaster()
                try await swarm.startSlave("alpha", quota: "10M")
                var first = Told()
                // What is told of the swarm is up to a second old.
                try await swarm.waitFor("it is told where alpha is") {
                    first = try await listen(swarm, seconds: 2)
                    let event = try #require(first.events.last { $0.event == FeedEvent.swarm.rawValue })
                    let reply = try BrimJSON.decoder().decode(SwarmReply.self, from: Data(event.data.utf8))
                    #expect(reply.masters == [swarm.url])
                    return reply.servers.map(\.name.rawValue) == ["alpha"]
                }
                #expect(first.has(.alive) && !first.has(.gone))
                let start = try #require(first.position)
                try await swarm.put("one", to: "/d/one")
                try await swarm.put("two", to: "/d/two")
                let (names, position) = try await names(swarm, after: start, count: 3)
                #expect(names == ["d", "one", "two"])
                // A header does too, as browsers send it.
                let again = try await swarm.request("/v1/changes?seconds=0", ["-H", "Last-Event-ID: \(start)"])
                #expect(again.text.contains("\"name\":\"one\""))
                try await swarm.brim("rm", "/d/one")
                // A master that starts anew has the changes since from the database.
                try await swarm.kill9(Swarm.master)
                try await swarm.restart(Swarm.master)
                try await swarm.brim("mv", "/d/two", "/d/three")
                try await swarm.waitFor("what happened before and after is told") {
                    let told = try await listen(swarm, after: position)
                    return told.names.contains("three") && told.changes.contains { $0.removed != nil }
                }
            }
        }

        /// Whoever leads: a position that one master gave is good at another, also when that is a little behind.
        @Test func everyMasterGoesOnFromWhatAnotherHasTold() async throws {
            try await Swarm.run(SwarmOptions(["--lease", "2s"])) { swarm in
                try await swarm.startMasters(2)
                try await swarm.startSlave("alpha", quota: "10M")
                let urls = swarm.masters.map { swarm.url(of: $0) }
                var position = try #require(try await listen(swarm, at: urls[0], seconds: 2).position)
                for number in 0..<6 {
                    let (writer, reader) = (urls[number % 2], urls[number / 2 % 2])
                    let made = try await swarm.request(writer + "/v1/directories/d\(number)", ["-X", "PUT"])
                    #expect(made.status == 201 || made.status == 200, "\(made.text)")
                    let told = try await names(swarm, at: reader, after: position, count: 1)
                    #expect(told.0 == ["d\(number)"])
                    position = told.1
                }
                // A slave that followed one of them goes on at the other.
                try await OfflineReadTests.waitUntilCopied(swarm, "it", path: "/d5", on: ["alpha"]) { _ in true }
                try await swarm.kill9(Swarm.master)
                try await swarm.brim("mkdir", "/after")
                try await OfflineReadTests.waitUntilCopied(swarm, "it", path: "/after", on: ["alpha"]) { _ in true }
                let log = try String(contentsOf: swarm.log(of: "alpha"), encoding: .utf8)
                #expect(!log.contains("copied anew"), "it has kept its place")
            }
        }

        @Test func aPositionThatIsGoneIsToldAndASnapshotTaken() async throws {
            try await Swarm.run { swarm in
                try await swarm.startMaster()
                try await swarm.startSlave("alpha", quota: "10M")
                for number in 1...5 { try await swarm.put("\(number)", to: "/d/\(number)") }
                let start = try #require(try await listen(swarm, seconds: 2).position)
                for wrong in ["nonsense", "00", "fedcba98" + start.dropFirst(8), start + "." + start.dropFirst(8)] {
                    // Ends as soon as it is told.
                    let told = try await listen(swarm, after: wrong, seconds: 50)
                    #expect(told.events.last?.event == FeedEvent.gone.rawValue, "\(wrong)")
                }
                var entries: [FeedEntry] = []
                var after: FileID?
                repeat {
                    let page = try await swarm.request(
                        "/v1/snapshot?limit=2\(after.map { "&after=\($0)" } ?? "")", [])
                    let reply = try BrimJSON.decoder().decode(SnapshotReply.self, from: page.body)
                    #expect(reply.entries.count <= 2 && !reply.position.isEmpty)
                    entries += reply.entries
                    after = reply.next
                } while after != nil
                #expect(Set(entries.compactMap(\.entry.name?.text)) == ["d", "1", "2", "3", "4", "5"])
                #expect(entries.count == 7, "and the root")
                for route in ["/v1/changes", "/v1/snapshot"] {
                    for claims in [TokenClaims.user(), .user(path: try BrimPath(parsing: "/d"))] {
                        #expect(try await swarm.request(route, [], token: swarm.keys.sign(claims)).status == 403)
                    }
                }
                #expect(try await swarm.request("/v1/snapshot?limit=0", []).status == 400)
                #expect(try await swarm.request("/v1/changes?seconds=-1", []).status == 400)
            }
        }

        /// 20 listeners that read nothing, and 40 MB of changes.
        @Test func aListenerThatNeverReadsHoldsNoMemory() async throws {
            try await Swarm.run { swarm in
                try await swarm.startMaster()
                try await swarm.startSlave("alpha", quota: "10M")
                try await swarm.put("contents", to: "/file")
                let start = try #require(try await listen(swarm, seconds: 2).position)
                let port = try #require(URL(string: swarm.url)?.port)
                let sockets = try (0..<20).map { _ in
                    try Self.open(port, "/v1/changes?after=\(start)", token: try swarm.adminToken())
                }
                defer { for socket in sockets { close(socket) } }
                let master = try swarm.process(of: Swarm.master).pid
                let before = try Self.residentBytes(master)
                let text = String(repeating: "x", count: 1000)
                for number in 0..<640 {
                    let values = (0..<63).map { ("a\($0)", AttributeValue?.some(.string(text + "\(number)"))) }
                    let attributes = Dictionary(uniqueKeysWithValues: values)
                    try await swarm.client().update(
                        BrimPath(parsing: "/file"), ChangeRequest(attributes: attributes))
                }
                let grown = try Self.residentBytes(master) - before
                #expect(grown < 250 << 20, "the master grew by \(grown >> 20) MiB")
                // Whoever reads is served meanwhile, from the database what is not in memory any more.
                let (names, _) = try await names(swarm, after: start, count: 1)
                #expect(names == ["file"])
                try await swarm.stop(Swarm.master)
            }
        }

        /// A connection over which a request was sent, with a small buffer for an answer that nobody reads.
        private static func open(_ port: Int, _ route: String, token: String) throws -> Int32 {
            let socket = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            var size: Int32 = 4096
            setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &size, 4)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = in_port_t(UInt16(port).bigEndian)
            address.sin_addr.s_addr = inet_addr("127.0.0.1")
            let connected = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            let request = Array("GET \(route) HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer \(token)\r\n\r\n".utf8)
            guard socket >= 0, connected == 0, write(socket, request, request.count) == request.count else {
                throw SwarmFailure("cannot connect to the master: errno \(errno)")
            }
            return socket
        }

        private static func residentBytes(_ pid: Int32) throws -> Int {
            let fields = try String(contentsOfFile: "/proc/\(pid)/statm", encoding: .utf8).split(separator: " ")
            return (fields.count > 1 ? Int(fields[1]) ?? 0 : 0) * Int(sysconf(Int32(_SC_PAGESIZE)))
        }
    }
}
