import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import Testing

extension ScenarioTests {
    /// What administrators do, by command line and by HTTP, rightly and wrongly.
    @Suite struct AdminTests {
        private func withServers(_ body: (Swarm) async throws -> Void) async throws {
            try await Swarm.run(SwarmOptions(["--copies", "1"])) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(["alpha", "bravo", "charlie"], quota: "1M")
                try await swarm.put("text", to: "/f")
                try await body(swarm)
            }
        }

        private func fields(_ data: Data) throws -> [String: Any] {
            try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        }

        private static let serverFields: Set = [
            "name", "address", "state", "zone", "quota", "used", "essential", "spare", "trash", "free", "files",
            "maxSurplus", "load", "heartbeat", "version", "fault", "drain", "heldBack",
        ]
        private static let drainFields: Set = [
            "since", "state", "safeFiles", "safeBytes", "remainingFiles", "remainingBytes", "bytesPerSecond",
            "etaSeconds",
        ]

        @Test func byCommandLine() async throws {
            try await withServers { swarm in
                func json(_ arguments: String...) async throws -> [String: Any] {
                    let result = try await swarm.cli(arguments + ["--json"])
                    #expect(result.status == 0, "\(result)")
                    return try fields(result.stdout)
                }
                let drained = try await json("server", "drain", "alpha")
                #expect(Set(drained.keys) == Self.serverFields)
                #expect(drained["state"] as? String == "draining")
                #expect(Set(try #require(drained["drain"] as? [String: Any]).keys) == Self.drainFields)
                #expect(try await json("server", "drain", "alpha")["state"] as? String == "draining", "twice")
                #expect(try await json("server", "undrain", "alpha")["state"] as? String == "up")
                #expect(try await json("server", "undrain", "alpha")["drain"] is NSNull, "twice")
                #expect(try await json("server", "quota", "alpha", "2M")["quota"] as? Int == 2_000_000)
                #expect(try await json("server", "zone", "alpha", "rack 7")["zone"] as? String == "rack 7")

                let status = try await json("status")
                let servers = try #require(status["servers"] as? [[String: Any]])
                #expect(servers.compactMap { $0["zone"] as? String }.first == "rack 7")
                let listed = try await swarm.brim("servers", "--json").json([ServerStatus].self)
                #expect(listed.map(\.name.rawValue) == ["alpha", "bravo", "charlie"])
                #expect(Set(try await json("token", "--admin").keys) == ["token", "expires"])

                _ = try await json("server", "drain", "charlie")
                #expect(try await swarm.brim("server", "drain", "charlie").text.hasPrefix("charlie: draining"))
                #expect(try await swarm.brim("servers").text.contains("charlie: draining"))
                try await swarm.waitFor("safe elsewhere") {
                    try await swarm.server("charlie").drain?.remainingFiles == 0
                }
                let forgotten = try await json("server", "forget", "charlie")
                #expect(forgotten["server"] as? String == "charlie" && forgotten["lostFiles"] as? Int == 0)
                #expect(try await swarm.status().servers.count == 2)
            }
        }

        @Test func byHTTP() async throws {
            try await withServers { swarm in
                func json(_ path: String, _ arguments: String...) async throws -> [String: Any] {
                    let result = try await swarm.request("/v1/servers/" + path, arguments)
                    #expect(result.status == 200, "\(path): \(result.text)")
                    return try fields(result.body)
                }
                let drained = try await json("alpha/drain", "-X", "POST")
                #expect(Set(drained.keys) == Self.serverFields)
                #expect(Set(try #require(drained["drain"] as? [String: Any]).keys) == Self.drainFields)
                #expect(try await json("alpha/drain", "-X", "POST")["state"] as? String == "draining", "twice")
                #expect(try await json("alpha/undrain", "-X", "POST")["state"] as? String == "up")
                #expect(try await json("alpha/quota", "-X", "PUT", "-d", #"{"quota":5000}"#)["quota"] as? Int == 5000)
                #expect(try await json("alpha/zone", "-X", "PUT", "-d", #"{"zone":"x"}"#)["zone"] as? String == "x")
                _ = try await json("charlie/drain", "-X", "POST")
                try await swarm.waitFor("safe elsewhere") {
                    try await swarm.server("charlie").drain?.remainingFiles == 0
                }
                #expect(try await json("charlie?loseData=false", "-X", "DELETE")["lostFiles"] as? Int == 0)

                let refused: [(path: String, arguments: [String], status: Int, code: BrimError.Code)] = [
                    ("alpha", ["-X", "DELETE"], 409, .conflict),
                    ("alpha?loseData=true", ["-X", "DELETE"], 409, .conflict),
                    ("alpha?loseData=perhaps", ["-X", "DELETE"], 400, .invalid),
                    ("charlie", ["-X", "DELETE"], 404, .notFound),
                    ("zulu/drain", ["-X", "POST"], 404, .notFound),
                    ("zulu/undrain", ["-X", "POST"], 404, .notFound),
                    ("zulu/zone", ["-X", "PUT", "-d", #"{"zone":"x"}"#], 404, .notFound),
                    ("-zulu/drain", ["-X", "POST"], 400, .invalid),
                    ("alpha/zone", ["-X", "PUT", "-d", #"{"zone":""}"#], 400, .invalid),
                    ("alpha/zone", ["-X", "PUT", "-d", #"{"zone":"a\nb"}"#], 400, .invalid),
                    ("alpha/zone", ["-X", "PUT", "-d", "{}"], 400, .invalid),
                    ("alpha/quota", ["-X", "PUT", "-d", #"{"quota":0}"#], 400, .invalid),
                    ("alpha/quota", ["-X", "PUT", "-d", #"{"quota":-1}"#], 400, .invalid),
                ]
                for (path, arguments, status, code) in refused {
                    let result = try await swarm.request("/v1/servers/" + path, arguments)
                    #expect(result.status == status, "\(arguments[1]) \(path): \(result.text)")
                    #expect(try result.error().code == code, "\(arguments[1]) \(path)")
                }
                #expect(try await swarm.status().servers.map(\.state) == [.up, .up])
            }
        }

        @Test func wrongInputIsRefused() async throws {
            try await withServers { swarm in
                func refusal(_ arguments: String...) async throws -> BrimError {
                    let result = try await swarm.cli(["server"] + arguments + ["--json"])
                    #expect(result.status == 1, "\(result)")
                    return try result.error()
                }
                for command in ["drain", "undrain", "forget"] {
                    #expect(try await refusal(command, "zulu").code == .notFound, "\(command)")
                    #expect(try await swarm.cli(["server", command]).status == 2, "\(command)")
                    #expect(try await swarm.cli(["server", command, "not/a/name"]).status == 2, "\(command)")
                }
                #expect(try await refusal("quota", "alpha", "0").code == .invalid)
                #expect(try await refusal("quota", "zulu", "1M").code == .notFound)
                #expect(try await refusal("zone", "zulu", "x").code == .notFound)
                #expect(try await refusal("zone", "alpha", "").code == .invalid)
                #expect(try await refusal("zone", "alpha", String(repeating: "z", count: 256)).code == .invalid)
                let up = try await refusal("forget", "alpha")
                #expect(up.code == .conflict && up.advice?.contains("brim server drain alpha") == true, "\(up)")
                let told = try await swarm.cli(["server", "forget", "alpha"])
                #expect(told.status == 1 && told.stderr.hasPrefix("brim: "), "\(told)")
                #expect(try await refusal("forget", "alpha", "--lose-data").code == .conflict)
                try await swarm.brim("server", "drain", "alpha")
                try await swarm.brim("server", "drain", "bravo")
                let last = try await refusal("drain", "charlie")
                #expect(last.code == .conflict && last.advice != nil, "\(last)")
                #expect(try await swarm.status().servers.map(\.state) == [.draining, .draining, .up])
            }
        }

        @Test func onlyAdminsMay() async throws {
            try await withServers { swarm in
                let user = try await swarm.brim("token").text
                let reader = try await swarm.brim("token", "--read").text
                let admin = try await swarm.brim("token", "--admin").text
                let requests: [(path: String, arguments: [String])] = [
                    ("alpha/drain", ["-X", "POST"]), ("alpha/undrain", ["-X", "POST"]), ("alpha", ["-X", "DELETE"]),
                    ("alpha/quota", ["-X", "PUT", "-d", #"{"quota":5000}"#]),
                    ("alpha/zone", ["-X", "PUT", "-d", #"{"zone":"x"}"#]),
                ]
                for (path, arguments) in requests {
                    for token in [user, reader] {
                        let result = try await swarm.request("/v1/servers/" + path, arguments, token: token)
                        #expect(result.status == 403, "\(path): \(result.text)")
                        #expect(try result.error().code == .denied)
                    }
                    #expect(try await swarm.request("/v1/servers/" + path, arguments, token: nil).status == 401)
                }
                let before = try await swarm.server("alpha")
                #expect(before.state == .up && before.quota == 1_000_000 && before.zone != "x")
                let allowed = try await swarm.request("/v1/servers/alpha/drain", ["-X", "POST"], token: admin)
                #expect(allowed.status == 200, "\(allowed.text)")
            }
        }
    }
}
