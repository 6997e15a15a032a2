import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import Testing

@testable import brim

extension ScenarioTests {
    /// Every code of an error: one status over HTTP, one exit status, the same words everywhere.
    @Suite struct ErrorsTests {
        /// The contract. A new code must be entered here, and in docs/openapi.yaml.
        private static let table: [BrimError.Code: Int] = [
            .invalid: 400, .unauthorized: 401, .denied: 403, .notFound: 404, .unsupported: 405, .exists: 409,
            .notDirectory: 409, .isDirectory: 409, .notEmpty: 409, .conflict: 409, .precondition: 412, .forgotten: 410,
            .tooLarge: 413,
            .range: 416, .internal: 500, .corrupt: 500, .io: 500, .unavailable: 503, .timeout: 504, .full: 507,
            .notLeader: 421,
        ]

        @Test(arguments: BrimError.Code.allCases)
        func aCodeHasOneStatusAndOneExitStatus(_ code: BrimError.Code) throws {
            let status = try #require(Self.table[code], "\(code) is in no table")
            #expect(code.httpStatus == status)
            // What is understood of a bare status is a code of that status; a bare 410 does not end a slave.
            #expect(BrimError.Code(httpStatus: status).httpStatus == (code == .forgotten ? 400 : status))
            let error = BrimError(code, "it failed", advice: "Do something")
            let decoded = try BrimJSON.decoder().decode(BrimError.self, from: BrimJSON.encoder().encode(error))
            #expect(decoded == error && decoded.retryable == code.usuallyRetryable)
            #expect(ErrorReport(error).print(asJSON: true) == 1)
            #expect("\(error)" == "it failed. Do something")
        }

        @Test func wrongUsageIsTwoAndHelpIsNone() {
            #expect(ErrorReport(UsageError("x")).print(asJSON: true) == 2)
            #expect(ErrorReport(CancellationError()).print(asJSON: true) == 1)
        }

        @Test func theDescriptionNamesEveryCode() throws {
            let code = try #require(OpenAPI().error.properties["code"]).json
            #expect(Set((code["enum"]?.items ?? []).compactMap(\.text)) == Set(Self.table.keys.map(\.rawValue)))
            let words = code["description"]?.text ?? ""
            for (code, status) in Self.table {
                let group = try #require(
                    words.split(separator: ";").first { $0.contains("\(status)") }, "\(status): \(words)")
                #expect(group.contains(code.rawValue), "\(code) is not under \(status) in docs/openapi.yaml")
            }
        }

        /// A request that fails, on the wire.
        private struct Case {
            var what: String
            var code: BrimError.Code
            var path: String
            var arguments: [String] = []
            /// nil: an admin's.
            var token: String?
        }

        @Test func eachCodeIsMetOnTheWire() async throws {
            try await Swarm.run(SwarmOptions(["--copies", "1"])) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlave("alpha", quota: "1M")
                try await swarm.put("0123456789", to: "/d/f")
                try await swarm.put(Data(count: 100), to: "/rotten")
                let alpha = "http://\(try await swarm.server("alpha").address)"
                let node = try swarm.keys.nodeToken(name: "alpha")
                let blob = try #require(try await swarm.stat("/d/f").blob)
                let json = ["-H", "Content-Type: application/json"]
                _ = try swarm.scratchFile(Data(count: 2_000_000), named: "large")
                let writes =
                    "{\"writes\": [\(Array(repeating: "{\"path\": \"/x\"}", count: 257).joined(separator: ","))]}"
                let lateReport = #"""
                    {"name": "alpha", "id": "\#(try identity(swarm))", "begun": "2026-01-01T00:00:00Z", "blobs": [],
                     "after": "6920a1b2c3d4e5f601020304", "position": {"term": 1, "sequence": 0}}
                    """#
                let cases = [
                    Case(what: "a limit of 0", code: .invalid, path: "/v1/list/d?limit=0"),
                    Case(
                        what: "no setting", code: .invalid, path: "/v1/settings",
                        arguments: json + ["-X", "PATCH", "-d", #"{"values": {"colour": "red"}}"#]),
                    Case(what: "garbage for a token", code: .unauthorized, path: "/v1/stat/d", token: "garbage"),
                    Case(
                        what: "a reader who writes", code: .denied, path: "/v1/files/d/f", arguments: ["-X", "DELETE"],
                        token: try swarm.keys.sign(.user(write: false))),
                    Case(
                        what: "a user who sets", code: .denied, path: "/v1/settings",
                        arguments: json + ["-X", "PATCH", "-d", #"{"values": {}}"#], token: try swarm.keys.sign(.user())
                    ),
                    Case(what: "no file", code: .notFound, path: "/v1/stat/none"),
                    Case(what: "no route", code: .notFound, path: "/v1/nothing"),
                    Case(
                        what: "no server", code: .notFound, path: "/v1/servers/ghost/quota",
                        arguments: json + ["-X", "PUT", "-d", #"{"quota": 5}"#]),
                    Case(what: "no story", code: .notFound, path: "/v1/why/none"),
                    Case(
                        what: "nothing to verify", code: .notFound, path: "/v1/verify/none", arguments: ["-X", "POST"]),
                    Case(
                        what: "a method that is none", code: .unsupported, path: "/v1/stat/d",
                        arguments: ["-X", "PROPFIND"]),
                    Case(
                        what: "a directory again", code: .exists, path: "/v1/directories/d", arguments: ["-X", "PUT"]),
                    Case(what: "a file listed", code: .notDirectory, path: "/v1/list/d/f"),
                    Case(what: "a directory read", code: .isDirectory, path: "/v1/files/d"),
                    Case(
                        what: "a directory verified", code: .isDirectory, path: "/v1/verify/d",
                        arguments: ["-X", "POST"]),
                    Case(
                        what: "a full directory removed", code: .notEmpty, path: "/v1/files/d",
                        arguments: ["-X", "DELETE"]),
                    Case(
                        what: "a later part of a report", code: .conflict, path: "/v1/node/report",
                        arguments: json + ["-d", lateReport], token: node),
                    Case(
                        what: "a file that must be new", code: .precondition, path: "/v1/files/d/f",
                        arguments: ["-L", "-T", "large", "-H", "If-None-Match: *"]),
                    Case(
                        what: "too many writes", code: .tooLarge, path: "/v1/writes", arguments: json + ["-d", writes]),
                    Case(
                        what: "bytes beyond the end", code: .range, path: "\(alpha)/v1/blobs/\(blob)",
                        arguments: ["-H", "Range: bytes=10-"], token: node),
                    Case(
                        what: "more than fits", code: .full, path: "/v1/files/large", arguments: ["-L", "-T", "large"]),
                ]
                for request in cases { try await expect(request, swarm) }

                // A copy that rots; then a disk that goes; then servers that do not answer.
                let rotten = try #require(try await swarm.stat("/rotten").blob)
                let place = try #require(try swarm.blobs(on: "alpha")["\(rotten)"])
                try Data(repeating: 1, count: 100).write(
                    to: swarm.data(of: "alpha").appending(path: "blobs/\(place.path)"))
                try await expect(
                    Case(what: "rot", code: .corrupt, path: "\(alpha)/v1/blobs/\(rotten)", token: node), swarm)
                try swarm.freeze("alpha")
                try await expect(
                    Case(
                        what: "a server that is silent", code: .timeout, path: "/v1/servers/alpha/quota",
                        arguments: json + ["-X", "PUT", "-d", #"{"quota": 2000000}"#]), swarm)
                try await swarm.waitFor("down") { try await swarm.server("alpha").state == .down }
                try await expect(Case(what: "no copy answers", code: .unavailable, path: "/v1/files/d/f"), swarm)
                try swarm.thaw("alpha")
                try await swarm.waitUntilUp(["alpha"])
                let data = swarm.data(of: "alpha")
                let aside = data.deletingLastPathComponent().appending(path: "aside")
                try FileManager.default.moveItem(at: data, to: aside)
                try await expect(
                    Case(
                        what: "a disk that is gone", code: .io, path: "\(alpha)/v1/blobs/\(blob)/verify",
                        arguments: ["-X", "POST"]), swarm)
                try FileManager.default.moveItem(at: aside, to: data)

                // A server that was struck off, and says that it stops.
                try await swarm.startSlave("bravo", quota: "1M")
                let farewell = #"{"name": "bravo", "id": "\#(try identity(swarm, of: "bravo"))", "blobs": []}"#
                try await swarm.stop("bravo")
                _ = try await swarm.brim("server", "drain", "bravo")
                _ = try await swarm.brim("server", "forget", "bravo", "--lose-data")
                try await expect(
                    Case(
                        what: "one that was forgotten", code: .forgotten, path: "/v1/node/goodbye",
                        arguments: json + ["-d", farewell], token: try swarm.keys.nodeToken(name: "bravo")), swarm)

                let met = Set(cases.map(\.code)).union([.corrupt, .timeout, .unavailable, .io, .forgotten, .notLeader])
                // A fault of the program itself cannot be asked for.
                #expect(Set(Self.table.keys).subtracting(met) == [.internal])
            }
        }

        private func identity(_ swarm: Swarm, of slave: String = "alpha") throws -> String {
            struct Identity: Decodable { var id: String }
            let file = try Data(contentsOf: swarm.data(of: slave).appending(path: "brim.json"))
            return try JSONDecoder().decode(Identity.self, from: file).id
        }

        private func expect(_ request: Case, _ swarm: Swarm) async throws {
            let token = try request.token ?? swarm.adminToken()
            let answer = try await swarm.request(request.path, request.arguments, token: token)
            #expect(answer.status == Self.table[request.code], "\(request.what): \(answer.status) \(answer.text)")
            let error = try answer.error()
            #expect(error.code == request.code, "\(request.what): \(answer.text)")
            #expect(!error.message.isEmpty && !error.message.hasSuffix("."), "\(request.what): \(answer.text)")
        }

        @Test func theCommandLineTellsTheSameCodes() async throws {
            try await Swarm.run(SwarmOptions(["--copies", "1"])) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlave("alpha", quota: "1K")
                try await swarm.put("text", to: "/d/f")
                _ = try swarm.scratchFile(Data(count: 2000), named: "large")
                let cases: [([String], BrimError.Code)] = [
                    (["stat", "/none"], .notFound), (["mkdir", "/d"], .exists), (["ls", "/d/f/x"], .notDirectory),
                    (["cat", "/d"], .isDirectory), (["rm", "/d"], .notEmpty), (["put", "large", "/x"], .full),
                    (["server", "quota", "ghost", "1K"], .notFound), (["why", "/d"], .isDirectory),
                    (["why", "/none"], .notFound), (["verify", "/none"], .notFound),
                    (["settings", "colour=red"], .invalid),
                    (["settings", "copies=0"], .invalid),
                ]
                for (arguments, code) in cases {
                    let told = try await swarm.cli(arguments + ["--json"])
                    #expect(try told.status == 1 && told.error().code == code, "\(told)")
                    let words = try await swarm.cli(arguments)
                    #expect(words.status == 1 && words.stderr.hasPrefix("brim: "), "\(words)")
                }
                let stranger = try await swarm.cli(
                    ["status", "--json"], environment: ["BRIM_PASSWORD_FILE": nil, "BRIM_PASSWORD": "no"])
                #expect(try stranger.status == 1 && stranger.error().code == .unauthorized, "\(stranger)")
                let nobody = try await swarm.cli(
                    ["status", "--json", "--master", "http://127.0.0.1:\(try Swarm.unusedPort())"])
                #expect(try nobody.status == 1 && nobody.error().code == .unavailable, "\(nobody)")
                for usage in [
                    ["settings", "copies"], ["verify", "/a", "/b"], ["why"], ["workers", "x"], ["verify", ""],
                ] {
                    let told = try await swarm.cli(usage + ["--json"])
                    #expect(try told.status == 2 && told.error().code == .invalid, "\(told)")
                }
            }
        }
    }
}
