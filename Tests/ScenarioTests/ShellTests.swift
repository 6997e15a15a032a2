import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import Testing

extension ScenarioTests {
    /// MongoDB looked into from outside, as the README tells people to: with a driver that is not ours.
    @Suite struct ShellTests {
        private static let program = #"""
            import datetime, json, sys, bson, pymongo

            def plain(value):
                if isinstance(value, bson.ObjectId): return str(value)
                if isinstance(value, datetime.datetime): return value.isoformat() + "Z"
                raise TypeError(f"{value!r} is not to be expected here")

            db = pymongo.MongoClient(sys.argv[1]).brim
            servers = list(db.servers.find())
            print(json.dumps({
                "song": db.files.find_one({"name": "song.mp3"}),
                "files": list(db.files.find({"type": "file"})),
                "servers": servers,
                "health": list(db.health.find()),
                "neediest": list(db.neediest.find()),
                "two": list(db.neediest.find().limit(2)),
                "richest": {s["_id"]: list(db.richest.find({"server": s["_id"]})) for s in servers},
            }, default=plain))
            """#

        private struct Answer: Decodable {
            var song: File
            var files, neediest, two: [File]
            var servers: [Server]
            var health: [Health]
            var richest: [String: [Rich]]
        }
        /// A document of `files`, or a row of `neediest`.
        private struct File: Decodable, Equatable {
            var _id: Int64
            var name, blob: String
            var size: Int64
            var n, k, surplus: Int
            var replicas: [String]
        }
        private struct Server: Decodable {
            var _id, state, address, zone: String
            var quota, used, free, files: Int64
        }
        private struct Health: Decodable {
            var minSurplus, maxSurplus, filesAtRisk, unreachable: Int
        }
        private struct Rich: Decodable {
            var server: String
            var file: Int64
            var blob: String
            var size: Int64
            var surplus: Int
            var replicas: [String]
        }

        /// What a person sees who has a shell at the mongod of the master.
        private func look(_ swarm: Swarm) async throws -> Answer {
            let portFile = swarm.data(of: Swarm.master).appending(path: "mongodb/port")
            let port = try String(contentsOf: portFile, encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)
            let program = try swarm.scratchFile(Data(Self.program.utf8), named: "look.py").path
            // With pymongo; deploy/test finds or installs one.
            let python = ProcessInfo.processInfo.environment["BRIM_TEST_PYTHON"] ?? "python3"
            let result = try await swarm.shell("\(python) \(program) 'mongodb://127.0.0.1:\(port)/?replicaSet=brim'")
            try #require(result.status == 0, "python3 with pymongo (Debian: python3-pymongo): \(result)")
            return try JSONDecoder().decode(Answer.self, from: result.stdout)
        }

        /// The status of a swarm at rest, counted then.
        private func statusAtRest(_ swarm: Swarm) async throws -> StatusReply {
            try await swarm.waitFor("rest") { try await swarm.status().atRest }
            var status = try await swarm.status()
            try await swarm.waitFor("fresh numbers") {
                status = try await swarm.brim("status", "--json").json(StatusReply.self)
                return status.ageSeconds == 0
            }
            return status
        }

        @Test func viewsAndDocumentsSayWhatTheStatusSays() async throws {
            var options = SwarmOptions.watchful(["--write-copies", "1", "--headroom", "0"])
            options.database = .ownMongod
            try await Swarm.run(options) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(["alpha", "bravo"], quota: "100")
                try await swarm.startSlave("charlie", quota: "200")
                // Fits on charlie only; so nothing can be copied to another server, ever.
                try await swarm.put(Data(repeating: 1, count: 120), to: "/large", "-n", "1")
                // One is everywhere, and wants more servers than there are.
                try await swarm.put("the song 10", to: "/music/song.mp3", "-n", "5")
                // Room for some second copies.
                for index in 0..<13 { try await swarm.put("0123456789", to: "/papers/\(index)", "-n", "1") }
                try await compare(swarm, try await statusAtRest(swarm), unreachable: 0)

                try await swarm.stop("charlie")
                try await swarm.waitFor("charlie down") { try await swarm.server("charlie").state == .down }
                try await swarm.waitFor("its only copies missed") { try await swarm.status().unreachable > 0 }
                let status = try await statusAtRest(swarm)
                try await compare(swarm, status, unreachable: status.unreachable)
                #expect(try await look(swarm).servers.first { $0._id == "charlie" }?.state == "down")
            }
        }

        private func compare(_ swarm: Swarm, _ status: StatusReply, unreachable: Int64) async throws {
            var (status, stats) = (status, try await swarm.files())
            var answer = try await look(swarm)
            // A master learns of what a slave uses before the next heartbeat enters it; what that shows may end the rest.
            try await swarm.waitFor("heartbeats of all servers") {
                status = try await statusAtRest(swarm)
                stats = try await swarm.files()
                answer = try await look(swarm)
                return status.servers.allSatisfy { server in
                    answer.servers.contains {
                        $0._id == server.name.rawValue && $0.used == server.used && $0.files == server.files
                    }
                }
            }
            #expect(Int64(answer.files.count) == status.files && status.unreachable == unreachable)

            // Documents.
            #expect(answer.song == answer.files.first { $0.name == "song.mp3" })
            for (path, stat) in stats {
                let file = try #require(answer.files.first { $0._id == stat.id.rawValue }, "\(path)")
                #expect(path.hasSuffix("/\(file.name)"))
                #expect(file.n == stat.n && file.k == stat.k && file.surplus == stat.surplus, "\(path): \(file)")
                #expect(file.size == stat.size && file.blob == stat.blob?.description, "\(path): \(file)")
                #expect(Set(file.replicas) == Set((stat.replicas ?? []).map(\.rawValue)), "\(path): \(file)")
            }
            #expect(answer.servers.map(\._id).sorted() == status.servers.map(\.name.rawValue).sorted())
            for server in status.servers {
                let found = try #require(answer.servers.first { $0._id == server.name.rawValue })
                #expect(found.state == server.state.rawValue && found.address == server.address)
                #expect(found.quota == server.quota)
            }

            // health
            let health = try #require(answer.health.first)
            #expect(answer.health.count == 1)
            #expect(health.minSurplus == status.minSurplus && health.maxSurplus == status.maxSurplus)
            #expect(Int64(health.unreachable) == status.unreachable)
            let atRisk = status.surplus.filter { $0.surplus < 0 }.reduce(0) { $0 + $1.files }
            #expect(Int64(health.filesAtRisk) == atRisk)

            // neediest: what could have one more copy if there were room, least surplus first.
            let order = answer.neediest.map { [$0.surplus, Int($0.size), Int($0._id)] }
            #expect(order == order.sorted { $0.lexicographicallyPrecedes($1) })
            #expect(Array(answer.neediest.prefix(2)) == answer.two)
            let up = status.servers.filter { $0.state == .up }
            let expected = answer.files.filter { file in
                let fits = up.filter { $0.quota >= file.size }.count
                return file.k > 0 && file.k < fits
            }
            #expect(!expected.isEmpty && Set(answer.neediest.map(\._id)) == Set(expected.map(\._id)))

            // richest: the copies of each server, most surplus first.
            for server in status.servers {
                let rows = try #require(answer.richest[server.name.rawValue])
                #expect(rows.first?.surplus == server.maxSurplus, "\(server.name)")
                #expect(rows.map(\.surplus) == rows.map(\.surplus).sorted(by: >), "\(server.name)")
                let held = answer.files.filter { $0.replicas.contains(server.name.rawValue) }
                #expect(Set(rows.map(\.file)) == Set(held.map(\._id)), "\(server.name)")
                for row in rows {
                    let file = try #require(answer.files.first { $0._id == row.file })
                    #expect(row.server == server.name.rawValue && row.replicas == file.replicas)
                    #expect(row.blob == file.blob && row.size == file.size && row.surplus == file.surplus)
                }
            }
        }
    }
}
