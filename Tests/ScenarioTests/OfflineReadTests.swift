import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import Testing

extension ScenarioTests {
    /// Reading while no master answers.
    @Suite struct OfflineReadTests {
        static let names = ["alpha", "bravo", "charlie"]

        /// Three slaves, each file on one of them only, and a master with a mongod of its own.
        static func run(_ body: (Swarm, [String: Data]) async throws -> Void) async throws {
            var options = SwarmOptions(["--copies", "1", "--max-copies", "1"])
            options.database = .ownMongod
            try await Swarm.run(options) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(names, quota: "20M")
                var files: [String: Data] = [:]
                for number in 1...12 {
                    files["/music/song \(number).mp3"] = .random(count: 20_000 * number, seed: UInt64(number))
                }
                files["/music/e\u{301}"] = Data("decomposed".utf8)
                files["/empty"] = Data()
                for (path, data) in files { try await swarm.put(data, to: path) }
                // Another name, though to a dictionary of strings it is the same.
                try await swarm.put("composed", to: "/music/\u{e9}")
                try await swarm.brim("set", "/music/song 1.mp3", "popularity=7")
                try await waitUntilCopied(swarm, "the last change") { stat in
                    stat.path == "/music/song 1.mp3" && stat.attributes["popularity"] == .int(7)
                }
                try await body(swarm, files)
            }
        }

        static func url(of slave: String, _ swarm: Swarm) throws -> String {
            let arguments = try swarm.arguments(of: slave)
            return "http://\(arguments[try #require(arguments.firstIndex(of: "--listen")) + 1])"
        }

        /// Waits until each slave says so of a path.
        static func waitUntilCopied(
            _ swarm: Swarm, _ what: String, path: String = "/music/song 1.mp3", on slaves: [String] = names,
            _ condition: (FileStat) -> Bool
        ) async throws {
            for slave in slaves {
                let route = "/v1/stat" + (try BrimPath(parsing: path).percentEncoded)
                try await swarm.waitFor("\(slave) knows \(what)") {
                    let answer = try await swarm.request(try url(of: slave, swarm) + route, [])
                    return try answer.status == 200
                        && condition(BrimJSON.decoder().decode(FileStat.self, from: answer.body))
                }
            }
        }

        static func killMaster(_ swarm: Swarm) async throws {
            try await swarm.kill9(Swarm.master)
            try await swarm.waitFor("its mongod gone") { swarm.ownMongods().isEmpty }
        }

        /// Every file, from every slave, with curl.
        static func expectReadable(_ swarm: Swarm, _ files: [String: Data], from slaves: [String] = names) async throws
        {
            for slave in slaves {
                let url = try url(of: slave, swarm)
                var redirects = 0
                for (path, data) in files {
                    let route = "/v1/files" + (try BrimPath(parsing: path).percentEncoded)
                    let answer = try await swarm.request(url + route, ["-L"])
                    #expect(answer.status == 200 && answer.body == data, "\(path) from \(slave): \(answer.status)")
                    redirects += answer.redirects
                    let head = try await swarm.request(url + route, ["-I"])
                    #expect(head.status == 200 && head.headers["content-length"] == "\(data.count)", "\(path)")
                }
                #expect(redirects > 0 && redirects < files.count, "some files are on \(slave), some are not")
            }
        }

        // MARK: - Tests

        @Test func everySlaveAnswersReadersWithoutAMaster() async throws {
            try await Self.run { swarm, files in
                try await Self.killMaster(swarm)
                try await Self.expectReadable(swarm, files)
                for slave in Self.names {
                    let url = try Self.url(of: slave, swarm)
                    let list = try await swarm.request(url + "/v1/list/music?limit=1000", [])
                    let items = try BrimJSON.decoder().decode(ListReply.self, from: list.body).entries
                    #expect(Set(items.map(\.name.text.utf8).map(Array.init)).count == 14)
                    #expect(items.allSatisfy { $0.age != nil && $0.n == 1 && $0.k == 1 })
                    let wanted = try await swarm.request(url + "/v1/where/empty", [])
                    let locations = try BrimJSON.decoder().decode([Location].self, from: wanted.body)
                    #expect(locations.count == 1 && locations.allSatisfy { $0.age != nil && $0.state == .up })
                    let part = try await swarm.request(url + "/v1/files/music/song%203.mp3", ["-L", "-r", "100-199"])
                    #expect(part.status == 206 && part.body == files["/music/song 3.mp3"]?[100..<200])
                    #expect(try await swarm.request(url + "/v1/stat/none", []).status == 404)
                    #expect(try await swarm.request(url + "/v1/list/empty", []).status == 409)
                    #expect(try await swarm.request(url + "/v1/files/music", []).status == 409)
                    let fresh = try await swarm.request(url + "/v1/stat/empty", ["-H", "Cache-Control: no-cache"])
                    #expect(fresh.status == 503)
                }
            }
        }

        @Test func accessRulesHoldWithoutAMaster() async throws {
            try await Self.run { swarm, _ in
                try await Self.killMaster(swarm)
                let url = try Self.url(of: "bravo", swarm)
                let scoped = try swarm.keys.sign(.user(path: BrimPath(parsing: "/music"), write: false))
                let routes = ["/v1/stat", "/v1/list", "/v1/where", "/v1/files"]
                for route in routes {
                    let place = url + route + "/empty"
                    #expect(try await swarm.request(place, [], token: nil).status == 401, "\(route)")
                    #expect(try await swarm.request(place, [], token: "nonsense").status == 401, "\(route)")
                    #expect(try await swarm.request(place, [], token: scoped).status == 403, "\(route)")
                    let up = try await swarm.request(url + route + "/music/..", ["--path-as-is"], token: scoped)
                    #expect(up.status == 400, "\(route)")
                }
                let song = "/v1/files/music/song%201.mp3"
                #expect(try await swarm.request(url + song, ["-L"], token: scoped).status == 200)
                #expect(try await swarm.request(url + song, ["-X", "DELETE"], token: scoped).status == 403)
                #expect(try await swarm.request(url + "/v1/writes", ["-X", "POST"], token: scoped).status == 403)
                #expect(try await swarm.request(url + "/v1/writes", ["-X", "POST"], token: nil).status == 401)
                let reads = ["-X", "POST", "-d", #"{"paths":["/empty"]}"#]
                #expect(try await swarm.request(url + "/v1/reads", reads, token: scoped).status == 403)
            }
        }

        @Test func writesAreRefusedAtOnce() async throws {
            try await Self.run { swarm, files in
                try await Self.killMaster(swarm)
                _ = try swarm.scratchFile(Data("new".utf8), named: "new")
                let commands = [
                    ["put", "new", "/new"], ["put", "new", "/empty"], ["mkdir", "/d"], ["mv", "/empty", "/full"],
                    ["rm", "/empty"], ["set", "/empty", "n=2"],
                ]
                for command in commands {
                    for json in [[], ["--json"]] {
                        let result = try await swarm.cli(command + json, within: .seconds(10))
                        #expect(result.status == 1, "\(result)")
                        guard json.isEmpty else {
                            #expect(try result.error().code == .unavailable, "\(result)")
                            continue
                        }
                        let last = result.stderr.split(separator: "\n").last ?? ""
                        #expect(last.hasPrefix("brim: ") && !last.contains("reading from"), "\(result)")
                    }
                }
                let url = try Self.url(of: "alpha", swarm)
                let requests: [[String]] = [
                    ["/v1/files/new", "-T", "new", "-L"], ["/v1/files/empty", "-X", "DELETE"],
                    ["/v1/directories/d", "-X", "PUT"], ["/v1/symlinks/l", "-X", "PUT"],
                    ["/v1/rename", "-X", "POST"], ["/v1/purge", "-X", "POST"],
                ]
                for request in requests {
                    let answer = try await swarm.request(url + request[0], Array(request.dropFirst()))
                    #expect(answer.status == 503, "\(request): \(answer.text)")
                    #expect(try answer.error().code == .unavailable, "\(request)")
                }
                // Nothing was queued: what comes back is what was there.
                try await swarm.restart(Swarm.master)
                #expect(Set(try await swarm.files().keys) == Set(files.keys))
            }
        }
    }
}
