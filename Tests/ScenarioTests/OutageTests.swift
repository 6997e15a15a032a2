import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import Testing

extension ScenarioTests {
    /// What breaks while all runs, one thing at a time: a clear error, nothing that was acknowledged is lost, and all
    /// recovers by itself.
    @Suite struct OutageTests {
        @Test func aQuotaBelowWhatIsUsedIsSaidAndReached() async throws {
            try await Swarm.run(SwarmOptions(["--copies", "2"])) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(["alpha", "bravo"], quota: "100K")
                var contents: [String: Data] = [:]
                for index in 0..<4 {
                    contents["/f\(index)"] = Data.random(count: 10_000, seed: UInt64(index))
                    try await swarm.put(contents["/f\(index)"] ?? Data(), to: "/f\(index)")
                }
                try await swarm.waitUntilConsistent(contents)
                #expect(try await swarm.server("alpha").used == 40_000)

                // Every copy is wanted: nothing may go.
                let told = try await swarm.brim("server", "quota", "alpha", "20K").text
                #expect(told.contains("20.0 kB more than its quota"), "\(told)")
                for command in ["status", "servers"] {
                    let text = try await swarm.brim(command).text
                    #expect(text.contains("alpha: uses 20.0 kB more than its quota"), "\(text)")
                }
                try await swarm.hold("use of alpha", for: .seconds(2)) {
                    let refused = try await swarm.tryPut(Data(count: 1), to: "/more", ["--json"])
                    #expect(try refused.error().code == .full, "\(refused)")
                    return try swarm.bytes(on: "alpha")
                }
                try await swarm.startSlave("charlie", quota: "100K")
                try await swarm.waitFor("alpha within its quota") { try await swarm.server("alpha").used <= 20_000 }
                let after = try await swarm.brim("servers").text
                #expect(!after.contains("more than its quota"), "\(after)")
                try await swarm.waitUntilConsistent(contents)
                #expect(try await swarm.status().minSurplus == 0)
            }
        }

        @Test func argumentsThatAreNoNames() async throws {
            try await Swarm.run { swarm in
                try await swarm.startMaster()
                try await swarm.startSlave("alpha", quota: "1M")
                // What Swift makes of bytes that are not UTF-8.
                try await swarm.put("precious", to: "/\u{FFFD}")
                _ = try swarm.scratchFile(Data("text".utf8), named: "text")
                let commands = [
                    #"rm "$(printf '/\377')""#, #"cat "$(printf '/\377')""#, #"mkdir "$(printf '/\377')""#,
                    #"put text "$(printf '/\377')""#, #"set "$(printf '/\377')" n=2"#,
                    #"mv "$(printf '/\377')" /other"#, "rm ''", "mkdir ''", "put text ''", "put '' /x", "mv /x ''",
                    "get '' .", "cat ''", "stat ''", "where ''", "du ''", "rm /..", "mv /x /../y", "mkdir -p /a/./b",
                ]
                for command in commands {
                    let told = try await swarm.shell("brim \(command)")
                    #expect(told.status == 2 && told.stderr.hasPrefix("brim: "), "\(told)")
                    let json = try await swarm.shell("brim \(command) --json")
                    #expect(try json.status == 2 && json.error().code == .invalid, "\(json)")
                }
                let long = String(repeating: "x", count: 5000)
                let bodies: [(String, String)] = [
                    ("rename", #"{"from": "/a/../b", "to": "/c"}"#), ("rename", #"{"from": "/a", "to": "/\#(long)"}"#),
                    ("rename", #"{"from": "", "to": "/c"}"#), ("rename", "{\"from\": \"/a\u{0}\", \"to\": \"/c\"}"),
                    ("writes", #"{"writes": [{"path": "/a/.."}]}"#), ("writes", #"{"writes": [{"path": "/"}]}"#),
                    ("reads", #"{"paths": ["/a/../b"]}"#), ("reads", #"{"paths": ["/\#(long)"]}"#),
                ]
                for (route, body) in bodies {
                    let answer = try await swarm.curl(
                        "/v1/\(route)", "-H", "Content-Type: application/json", "--data-binary", body)
                    if route == "writes", answer.status == 200 {
                        let item = try BrimJSON.decoder().decode(WritesReply.self, from: answer.body).writes.first
                        #expect(item?.error != nil, "\(body): \(answer.text)")
                    } else {
                        #expect(answer.status == 400, "\(route) \(body.prefix(80)): \(answer.status) \(answer.text)")
                        #expect(try answer.error().code == .invalid, "\(answer.text)")
                    }
                }
                let raw = try swarm.scratchFile(
                    Data(#"{"from": "/a"#.utf8) + [0xff] + Data(#"", "to": "/c"}"#.utf8), named: "raw")
                let answer = try await swarm.curl(
                    "/v1/rename", "-H", "Content-Type: application/json", "--data-binary", "@\(raw.path)")
                #expect(answer.status == 400, "\(answer.status) \(answer.text)")
                try await swarm.waitUntilConsistent(["/\u{FFFD}": Data("precious".utf8)])
            }
        }
    }
}
