import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import Testing

extension ScenarioTests {
    /// Everything that can be asked wrongly: a clear answer each, and nothing lost.
    @Suite struct BadInputTests {
        /// Expects a command to fail with a status and a code.
        private func expectFailure(
            _ swarm: Swarm, _ code: BrimError.Code, _ arguments: String..., input: Data? = nil,
            sourceLocation: SourceLocation = #_sourceLocation
        ) async throws {
            let result = try await swarm.cli(arguments + ["--json"], input: input)
            #expect(result.status == 1, "\(result)", sourceLocation: sourceLocation)
            let error = try result.error()
            #expect(error.code == code, "\(result)", sourceLocation: sourceLocation)
            #expect(!error.message.isEmpty, sourceLocation: sourceLocation)
            // The same for people.
            let told = try await swarm.cli(arguments, input: input)
            #expect(told.status == 1, "\(told)", sourceLocation: sourceLocation)
            #expect(told.stderr.hasPrefix("brim: "), "\(told)", sourceLocation: sourceLocation)
        }

        private func expectWrongUsage(
            _ swarm: Swarm, _ arguments: String..., sourceLocation: SourceLocation = #_sourceLocation
        ) async throws {
            let result = try await swarm.cli(arguments, within: .seconds(30))
            #expect(result.status == 2, "\(result)", sourceLocation: sourceLocation)
            #expect(result.stderr.hasPrefix("brim: "), "\(result)", sourceLocation: sourceLocation)
            #expect(result.stdout.isEmpty, "\(result)", sourceLocation: sourceLocation)
        }

        @Test func wrongAndMissingPasswords() async throws {
            try await Swarm.run { swarm in
                try await swarm.startMaster()
                try await swarm.startSlave("alpha", quota: "1K")
                let secret = "not-the-right-one-7391"
                let wrong = try swarm.scratchFile(Data("\(secret)\n".utf8), named: "wrong").path
                let empty = try swarm.scratchFile(Data("\n".utf8), named: "empty").path
                let environments: [[String: String?]] = [
                    ["BRIM_PASSWORD_FILE": wrong], ["BRIM_PASSWORD_FILE": nil],
                    ["BRIM_PASSWORD_FILE": empty], ["BRIM_PASSWORD_FILE": "/nowhere/at/all"],
                ]
                for environment in environments {
                    let result = try await swarm.cli(["status", "--json"], environment: environment)
                    #expect(result.status == 1, "\(result)")
                    let error = try result.error()
                    #expect(error.code == .unauthorized, "\(result)")
                    #expect(error.advice?.isEmpty == false, "\(result)")
                    let told = try await swarm.cli(["status"], environment: environment)
                    #expect(told.stderr.lowercased().contains("password"), "\(told)")
                    #expect(!told.stderr.contains(secret) && !told.stderr.contains(swarm.password), "\(told)")
                }
                // From the variable itself.
                let variable: [String: String?] = ["BRIM_PASSWORD_FILE": nil, "BRIM_PASSWORD": swarm.password]
                #expect(try await swarm.cli(["status"], environment: variable).status == 0)

                // A slave and a master with another password do not come in.
                let slave = try swarm.launch(
                    "stranger",
                    [
                        "slave", "--master", swarm.url, "--data", swarm.data(of: "stranger").path, "--quota", "1K",
                        "--name", "stranger", "--listen", "127.0.0.1:\(try Swarm.unusedPort())",
                    ], environment: ["BRIM_PASSWORD_FILE": wrong])
                #expect(try await slave.waitForExit(within: .seconds(60)) == .status(1))
                let words = try String(contentsOf: swarm.log(of: "stranger"), encoding: .utf8)
                #expect(words.lowercased().contains("password") && !words.contains(secret))
                #expect(try await swarm.status().servers.map(\.name.rawValue) == ["alpha"])
            }
        }

        @Test func aMasterWithAnotherPasswordLeavesTheDatabaseAlone() async throws {
            try await Swarm.run { swarm in
                try await swarm.startMaster()
                try await swarm.startSlave("alpha", quota: "1K")
                try await swarm.put("text", to: "/f")
                try await swarm.stop(Swarm.master)
                let wrong = try swarm.scratchFile(Data("quite another one\n".utf8), named: "wrong").path
                let other = try swarm.launch(
                    "other", try swarm.arguments(of: Swarm.master), environment: ["BRIM_PASSWORD_FILE": wrong])
                #expect(try await other.waitForExit(within: .seconds(60)) == .status(1))
                let words = try String(contentsOf: swarm.log(of: "other"), encoding: .utf8)
                #expect(words.lowercased().contains("password"), "\(words.suffix(2000))")
                try await swarm.restart(Swarm.master)
                try await swarm.waitUntilUp(["alpha"])
                try await swarm.waitUntilConsistent(["/f": Data("text".utf8)])
            }
        }

        @Test func namesThatBreakTheRules() async throws {
            try await Swarm.run { swarm in
                try await swarm.startMaster()
                try await swarm.startSlave("alpha", quota: "1M")
                _ = try swarm.scratchFile(Data("text".utf8), named: "text")
                let tooLong = String(repeating: "x", count: 256)
                let tooDeep = String(repeating: "/d", count: 256)
                for path in ["/a/../b", "/.", "/a/..", "/\(tooLong)", tooDeep] {
                    let result = try await swarm.cli(["put", "text", path])
                    #expect(result.status == 2, "\(path): \(result)")
                    #expect(result.stderr.hasPrefix("brim: "), "\(result)")
                }
                let encoded = [
                    "a%2Fb", "a%00", "%2E", "%2E%2E/b", "a/../b", "%FF", "a%", "a%2", "a%zz", "a//b", tooLong,
                    String(tooDeep.dropFirst()),
                ]
                for path in encoded {
                    for route in ["files", "stat", "list", "where", "directories"] {
                        let method = route == "directories" ? "PUT" : "GET"
                        let result = try await swarm.curl("/v1/\(route)/\(path)", "--path-as-is", "-X", method)
                        #expect(result.status == 400, "\(method) \(route) \(path): \(result.status) \(result.text)")
                        #expect(try result.error().code == .invalid, "\(route) \(path)")
                    }
                    let put = try await swarm.curl("/v1/files/\(path)", "--path-as-is", "-L", "-T", "text")
                    #expect(put.status == 400, "PUT \(path): \(put.status) \(put.text)")
                    let delete = try await swarm.curl("/v1/files/\(path)", "--path-as-is", "-X", "DELETE")
                    #expect(delete.status == 400, "DELETE \(path): \(delete.status) \(delete.text)")
                }
                // Decoded once: this is a name with a percent sign.
                #expect(try await swarm.curl("/v1/files/%252E%252E", "-L", "-T", "text").status == 201)
                try await swarm.waitUntilConsistent(["/%2E%2E": Data("text".utf8)])
            }
        }

        @Test func filesAndDirectoriesInEachOthersPlace() async throws {
            try await Swarm.run { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(["alpha", "bravo"], quota: "1M")
                try await swarm.put("text", to: "/file")
                try await swarm.put("inner", to: "/dir/inner")
                try await swarm.brim("mkdir", "/empty")
                let local = try swarm.scratchFile(Data("new".utf8), named: "local").path

                try await expectFailure(swarm, .notDirectory, "put", local, "/file/below")
                try await expectFailure(swarm, .notDirectory, "put", local, "/file/")
                try await expectFailure(swarm, .notDirectory, "mkdir", "/file/below")
                try await expectFailure(swarm, .notDirectory, "mkdir", "-p", "/file/below")
                try await expectFailure(swarm, .exists, "mkdir", "/file")
                try await expectFailure(swarm, .isDirectory, "cat", "/dir")
                try await expectFailure(swarm, .isDirectory, "get", "/dir", "out")
                try await expectFailure(swarm, .isDirectory, "put", "-", "/dir", input: Data("x".utf8))
                try await expectFailure(swarm, .isDirectory, "put", swarm.scratch.path, "/dir")
                try await expectFailure(swarm, .notEmpty, "rm", "/dir")
                try await expectFailure(swarm, .notFound, "rm", "/nothing")
                try await expectFailure(swarm, .notFound, "cat", "/nothing")
                try await expectFailure(swarm, .notFound, "get", "/nothing", "out")
                try await expectFailure(swarm, .notFound, "ls", "/nothing")
                try await expectFailure(swarm, .notFound, "stat", "/nothing")
                try await expectFailure(swarm, .notFound, "where", "/nothing")
                try await expectFailure(swarm, .notFound, "du", "/nothing")
                try await expectFailure(swarm, .notFound, "set", "/nothing", "n=2")
                try await expectFailure(swarm, .notFound, "mv", "/nothing", "/else")
                try await expectFailure(swarm, .notFound, "put", "/no/such/local/file", "/f")
                try await expectFailure(swarm, .notFound, "server", "quota", "zulu", "1M")
                try await expectFailure(swarm, .invalid, "mv", "/dir", "/dir/inside")
                try await expectFailure(swarm, .notDirectory, "mv", "/dir", "/file/below")
                let overFile = try await swarm.cli(["mv", "/dir", "/file", "--json"])
                #expect(overFile.status == 1, "\(overFile)")

                let requests: [(Int, BrimError.Code, [String], String)] = [
                    (409, .isDirectory, ["-L"], "/v1/files/dir"),
                    (409, .isDirectory, ["-L", "-T", "local"], "/v1/files/dir"),
                    (409, .notDirectory, ["-L", "-T", "local"], "/v1/files/file/below"),
                    (409, .notDirectory, [], "/v1/list/file"),
                    (409, .notDirectory, [], "/v1/list/file/below"),
                    (409, .notEmpty, ["-X", "DELETE"], "/v1/files/dir"),
                    (409, .exists, ["-X", "PUT"], "/v1/directories/dir"),
                    (404, .notFound, ["-X", "PUT"], "/v1/directories/no/parent"),
                    (404, .notFound, ["-L"], "/v1/files/nothing"),
                    (404, .notFound, [], "/v1/no-such-route"),
                    (405, .unsupported, ["-X", "POST"], "/v1/files/file"),
                ]
                for (status, code, arguments, path) in requests {
                    let result = try await swarm.request(path, arguments)
                    #expect(result.status == status, "\(arguments) \(path): \(result.status) \(result.text)")
                    #expect(try result.error().code == code, "\(arguments) \(path): \(result.text)")
                }
                // An empty directory goes, a full one with -r.
                try await swarm.brim("rm", "/empty")
                try await swarm.waitUntilConsistent([
                    "/file": Data("text".utf8), "/dir/inner": Data("inner".utf8),
                ])
                try await swarm.brim("rm", "-r", "/dir", "/file")
                try await swarm.waitUntilConsistent([:])
            }
        }

        @Test func wrongUsage() async throws {
            try await Swarm.run { swarm in
                try await expectWrongUsage(swarm, "frobnicate")
                try await expectWrongUsage(swarm, "status", "--frobnicate")
                try await expectWrongUsage(swarm, "put", "only-one")
                try await expectWrongUsage(swarm, "get", "/only-one")
                try await expectWrongUsage(swarm, "stat")
                try await expectWrongUsage(swarm, "set", "/f", "without-equals")
                try await expectWrongUsage(swarm, "set", "/f", "n=0")
                try await expectWrongUsage(swarm, "set", "/f", "n=many")
                try await expectWrongUsage(swarm, "put", "-n", "0", "local", "/f")
                try await expectWrongUsage(swarm, "rm", "-r", "/")
                try await expectWrongUsage(swarm, "token", "--expires", "soon")
                try await expectWrongUsage(swarm, "server", "quota", "alpha", "10X")
                try await expectWrongUsage(swarm, "server", "quota", "alpha", "-5")
                try await expectWrongUsage(swarm, "slave", "--quota", "much", "--data", "d", "--master", "localhost")
                try await expectWrongUsage(swarm, "slave", "--quota", "120%", "--data", "d", "--master", "localhost")
                try await expectWrongUsage(swarm, "slave", "--quota", "1M", "--data", "d", "--name", "no spaces")
                try await expectWrongUsage(swarm, "master", "--heartbeat", "5")
                try await expectWrongUsage(swarm, "master", "--heartbeat", "-5s")
                try await expectWrongUsage(swarm, "master", "--copies", "none")
                try await expectWrongUsage(swarm, "master", "--headroom", "200%")
                try await expectWrongUsage(swarm, "master", "--listen", "host:port:more")
                for arguments in [["--help"], ["--version"], ["put", "--help"], ["server", "quota", "--help"]] {
                    let result = try await swarm.cli(arguments)
                    #expect(result.status == 0 && !result.stdout.isEmpty && result.stderr.isEmpty, "\(result)")
                }
            }
        }

        @Test func noMasterAnswers() async throws {
            try await Swarm.run { swarm in
                let nobody = "http://127.0.0.1:\(try Swarm.unusedPort())"
                let local = try swarm.scratchFile(Data("x".utf8), named: "local").path
                for arguments in [["status"], ["ls", "/"], ["put", local, "/f"], ["cat", "/f"], ["rm", "/f"]] {
                    let result = try await swarm.cli(
                        arguments + ["--json"], environment: ["BRIM_MASTER": nobody], within: .seconds(30))
                    #expect(result.status == 1, "\(result)")
                    let error = try result.error()
                    #expect(error.code == .unavailable, "\(result)")
                    #expect(error.advice?.isEmpty == false, "\(result)")
                }
            }
        }

        @Test func noMongod() async throws {
            try await Swarm.run { swarm in
                let path = try swarm.scratchFile(Data(), named: "not-a-directory").path
                func master(_ mongod: String?) async throws -> String {
                    let process = try swarm.launch(
                        "lonely",
                        [
                            "master", "--data", swarm.data(of: "lonely").path,
                            "--listen", "127.0.0.1:\(try Swarm.unusedPort())",
                        ], environment: ["BRIM_MONGOD": mongod, "PATH": path])
                    #expect(try await process.waitForExit(within: .seconds(60)) == .status(1))
                    return try String(contentsOf: swarm.log(of: "lonely"), encoding: .utf8)
                }
                let none = try await master(nil)
                #expect(none.contains("mongod") && none.contains("deploy/get-mongod"), "\(none)")
                let wrong = try await master("/nowhere/mongod")
                #expect(wrong.contains("/nowhere/mongod"), "\(wrong)")
            }
        }

        @Test func twoSlavesOfOneNameOrOneDirectory() async throws {
            try await Swarm.run { swarm in
                try await swarm.startMaster()
                try await swarm.startSlave("alpha", quota: "1K")
                try await swarm.put("text", to: "/f")
                func slave(_ label: String, name: String, data: String) async throws -> String {
                    let process = try swarm.launch(
                        label,
                        [
                            "slave", "--master", swarm.url, "--data", swarm.data(of: data).path, "--quota", "1K",
                            "--name", name, "--listen", "127.0.0.1:\(try Swarm.unusedPort())",
                        ])
                    #expect(try await process.waitForExit(within: .seconds(60)) == .status(1))
                    return try String(contentsOf: swarm.log(of: label), encoding: .utf8)
                }
                let name = try await slave("second", name: "alpha", data: "second")
                #expect(name.contains("alpha") && name.contains("--name"), "\(name)")
                let directory = try await slave("third", name: "alpha", data: "alpha")
                #expect(directory.contains("in use"), "\(directory)")
                let other = try await slave("fourth", name: "delta", data: "alpha")
                #expect(other.contains("in use"), "\(other)")

                #expect(try await swarm.status().servers.map(\.name.rawValue) == ["alpha"])
                try await swarm.waitUntilConsistent(["/f": Data("text".utf8)])
                // The same server may come again at once.
                try await swarm.kill9("alpha")
                try await swarm.restart("alpha")
                try await swarm.waitUntilConsistent(["/f": Data("text".utf8)])
            }
        }

        @Test func tokensThatMayTooLittle() async throws {
            try await Swarm.run { swarm in
                try await swarm.startMaster()
                try await swarm.startSlave("alpha", quota: "1M")
                try await swarm.put("text", to: "/music/song")
                try await swarm.put("text", to: "/other")
                _ = try swarm.scratchFile(Data("new".utf8), named: "new")

                func status(_ token: String?, _ path: String, _ arguments: String...) async throws -> Int {
                    let result = try await swarm.request(path, arguments, token: token)
                    if result.status >= 400 {
                        let code = try result.error().code
                        #expect(code == (result.status == 401 ? .unauthorized : .denied), "\(path): \(result.text)")
                    }
                    return result.status
                }
                for token in [nil, "nonsense", "a.b.c", try await swarm.brim("token").text + "x"] {
                    #expect(try await status(token, "/v1/files/music/song", "-L") == 401)
                    #expect(try await status(token, "/v1/files/new", "-L", "-T", "new") == 401)
                    #expect(try await status(token, "/v1/status") == 401)
                    #expect(try await status(token, "/v1/files/other", "-X", "DELETE") == 401)
                }
                let read = try await swarm.brim("token", "--read").text
                #expect(try await status(read, "/v1/files/music/song", "-L") == 200)
                #expect(try await status(read, "/v1/files/new", "-L", "-T", "new") == 403)
                #expect(try await status(read, "/v1/files/other", "-X", "DELETE") == 403)
                let write = try await swarm.brim("token", "--write").text
                #expect(try await status(write, "/v1/files/new", "-L", "-T", "new") == 201)
                #expect(try await status(write, "/v1/files/music/song", "-L") == 403)
                let music = try await swarm.brim("token", "--path", "/music").text
                #expect(try await status(music, "/v1/files/music/song", "-L") == 200)
                #expect(try await status(music, "/v1/files/musical", "-L", "-T", "new") == 403)
                #expect(try await status(music, "/v1/files/other", "-L") == 403)
                let quota = ["-X", "PUT", "-H", "Content-Type: application/json", "-d", #"{"quota": 5}"#]
                let user = try await swarm.brim("token").text
                #expect(try await swarm.request("/v1/servers/alpha/quota", quota, token: user).status == 403)
                #expect(try await swarm.request("/v1/node/heartbeat", quota, token: user).status != 200)
                #expect(try await swarm.server("alpha").quota == 1_000_000)

                // The slave lets nobody in without the master's leave.
                let blob = try #require(try await swarm.stat("/music/song").blob)
                let slave = "http://\(try await swarm.server("alpha").address)"
                #expect(try await status(nil, "\(slave)/v1/blobs/\(blob)") == 401)
                #expect(try await status(user, "\(slave)/v1/blobs/\(blob)") == 403)
                #expect(try await status(user, "\(slave)/v1/blobs/\(BlobID.sample)", "-T", "new") == 403)
                #expect(try await swarm.request("/healthz", [], token: nil).status == 200)
                #expect(try await swarm.request("\(slave)/healthz", [], token: nil).status == 200)
                try await swarm.waitUntilConsistent([
                    "/music/song": Data("text".utf8), "/other": Data("text".utf8), "/new": Data("new".utf8),
                ])
            }
        }
    }
}

extension BlobID {
    /// An id that no blob has.
    fileprivate static var sample: BlobID {
        var generator = BlobIDGenerator()
        return generator.next(seconds: 1)
    }
}
