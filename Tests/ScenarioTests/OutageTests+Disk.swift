import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Disks that are full, read-only or gone.
extension ScenarioTests.OutageTests {
    /// Whether file systems may be mounted here.
    private static func mayMount() async throws -> Bool {
        let trial = "d=$(mktemp -d) && mount -t tmpfs none \"$d\" && umount \"$d\"; r=$?; rmdir \"$d\"; exit $r"
        return try await runProgram(URL(filePath: "/bin/sh"), ["-c", trial]).status == 0
    }

    /// Runs a line of shell that must succeed.
    private func sh(_ swarm: Swarm, _ line: String) async throws {
        let result = try await swarm.shell(line)
        guard result.status == 0 else { throw SwarmFailure("\(result)") }
    }

    /// Runs `body` while something is mounted, and unmounts all of it whatever happens.
    private func mounted(
        _ swarm: Swarm, _ mounts: [String], at places: [URL], _ body: () async throws -> Void
    ) async throws {
        func unmount() async throws {
            for place in places.reversed() {
                try await sh(swarm, "! mountpoint -q '\(place.path)' || umount -l '\(place.path)'")
            }
        }
        do {
            for mount in mounts { try await sh(swarm, mount) }
            try await body()
        } catch {
            try await Task { try await unmount() }.value
            throw error
        }
        try await Task { try await unmount() }.value
    }

    private func readiness(_ swarm: Swarm, _ name: String) async throws -> CurlResult {
        try await swarm.request("http://\(try await swarm.server(name).address)/readyz", [])
    }

    /// Asks one server for a file's bytes, as other servers do.
    private func blob(_ swarm: Swarm, _ path: String, on name: String) async throws -> CurlResult {
        let blob = try #require(try await swarm.stat(path).blob)
        return try await swarm.request(
            "http://\(try await swarm.server(name).address)/v1/blobs/\(blob)", [],
            token: try swarm.keys.nodeToken(name: "test"))
    }

    @Test(.enabled("mounting is not allowed here") { try await mayMount() })
    func aFullDisk() async throws {
        try await Swarm.run(SwarmOptions(["--copies", "1"])) { swarm in
            let disk = swarm.data(of: "alpha")
            try FileManager.default.createDirectory(at: disk, withIntermediateDirectories: true)
            try await mounted(swarm, ["mount -t tmpfs -o size=8m none '\(disk.path)'"], at: [disk]) {
                try await swarm.startMaster()
                try await swarm.startSlave("alpha", quota: "1G")
                // Full of blobs of its own.
                var contents: [String: Data] = [:]
                for index in 0... {
                    let data = Data.random(count: 1_000_000, seed: UInt64(index))
                    let result = try await swarm.tryPut(data, to: "/f\(index)", ["--json"])
                    if result.status == 0 {
                        contents["/f\(index)"] = data
                        continue
                    }
                    let error = try result.error()
                    #expect(error.code == .full, "\(result)")
                    // Told by the master, or by alpha itself when it had not yet said so to the master.
                    let told = "\(error.message). \(error.advice ?? "")"
                    #expect(told.contains("on alpha") && told.contains("disk is full"), "\(result)")
                    break
                }
                #expect(contents.count >= 4)
                _ = try swarm.scratchFile(Data(count: 1_000_000), named: "large")
                #expect(try await swarm.curl("/v1/files/large", "-L", "-T", "large").status == 507)
                try await swarm.waitFor("the full disk is shown") {
                    try await swarm.brim("servers").text.contains("alpha: its disk is full, although its quota leaves")
                }
                #expect(try await readiness(swarm, "alpha").status == 200)
                try await swarm.waitUntilConsistent(contents)
                try await swarm.brim("rm", "/f0", "/f1")
                (contents["/f0"], contents["/f1"]) = (nil, nil)
                try await swarm.waitFor("room again") { try await swarm.tryPut(Data("x".utf8), to: "/x").status == 0 }
                contents["/x"] = Data("x".utf8)

                // Somebody else fills it in the middle of a write.
                let size = 900_000
                let granted = try await swarm.grant(
                    WriteRequest(path: try BrimPath(parsing: "/cut"), size: Int64(size)))
                let write = try swarm.beginWrite(to: granted, length: size)
                write.send(Data(count: size / 3))
                try await swarm.waitFor("it has begun") {
                    try !FileManager.default.contentsOfDirectory(atPath: disk.appending(path: "incoming").path).isEmpty
                }
                try await sh(swarm, "cat /dev/zero >'\(disk.path)/ballast' 2>/dev/null || true")
                write.send(Data(count: size - size / 3))
                let outcome = try await write.finish()
                #expect(outcome.status == 507, "\(outcome.status) \(outcome.text)")
                #expect(try outcome.error().code == .full)
                #expect(try await !swarm.exists("/cut"))
                #expect(try swarm.process(of: "alpha").isRunning)
                for (path, data) in contents { #expect(try await swarm.read(path) == data) }

                // Others take what it cannot, and it takes its share when it can.
                try await swarm.startSlave("bravo", quota: "100M")
                try await sh(swarm, "cat /dev/zero >>'\(disk.path)/ballast' 2>/dev/null || true")
                try await swarm.waitFor("no room on alpha") { try await swarm.server("alpha").free == 0 }
                try await swarm.put("elsewhere", to: "/elsewhere")
                contents["/elsewhere"] = Data("elsewhere".utf8)
                #expect(try await swarm.holders("/elsewhere").contains("bravo"))
                try FileManager.default.removeItem(at: disk.appending(path: "ballast"))
                try await swarm.waitFor("alpha takes copies again") {
                    try await swarm.holders("/elsewhere") == ["alpha", "bravo"]
                }
                #expect(try await readiness(swarm, "alpha").status == 200)
                try await swarm.waitUntilConsistent(contents)
            }
        }
    }

    @Test(.enabled("mounting is not allowed here") { try await mayMount() })
    func aReadOnlyDisk() async throws {
        try await Swarm.run(SwarmOptions(["--copies", "2"])) { swarm in
            try await swarm.startMaster()
            try await swarm.startSlaves(["alpha", "bravo", "charlie"], quota: "10M", ["--pending-expiry", "10s"])
            var contents: [String: Data] = [:]
            for index in 0..<3 {
                contents["/f\(index)"] = Data.random(count: 20_000, seed: UInt64(index))
                try await swarm.put(contents["/f\(index)"] ?? Data(), to: "/f\(index)")
            }
            try await swarm.waitFor("copies everywhere") { try await swarm.files().values.allSatisfy { $0.k == 3 } }
            let places = ["blobs", "incoming"].map { swarm.data(of: "alpha").appending(path: $0) }
            let mounts = places.map {
                "mount --bind '\($0.path)' '\($0.path)' && mount -o remount,bind,ro '\($0.path)'"
            }
            try await mounted(swarm, mounts, at: places) {
                for index in 3..<6 {
                    contents["/f\(index)"] = Data.random(count: 20_000, seed: UInt64(index))
                    try await swarm.put(contents["/f\(index)"] ?? Data(), to: "/f\(index)")
                    #expect(try await !swarm.holders("/f\(index)").contains("alpha"))
                }
                try await swarm.waitFor("the status says so") {
                    try await swarm.server("alpha").fault?.contains("read-only") == true
                }
                let told = try await swarm.brim("servers").text
                #expect(told.contains("alpha: its disk is failing: "), "\(told)")
                let ready = try await readiness(swarm, "alpha")
                #expect(ready.status == 503)
                #expect(try ready.error().message.contains("read-only"), "\(ready.text)")
                // Plain HTTP knows where to go, too.
                _ = try swarm.scratchFile(Data("new".utf8), named: "new")
                #expect(try await swarm.curl("/v1/files/new", "-L", "-T", "new").status == 201)
                contents["/new"] = Data("new".utf8)
                // What is there counts, and can be read.
                #expect(try await swarm.k("/f0") == 3)
                let read = try await blob(swarm, "/f0", on: "alpha")
                #expect(read.status == 200 && read.body == contents["/f0"])
            }
            try await swarm.stop("alpha")
            try await swarm.restart("alpha")
            try await swarm.waitFor("alpha takes copies again") {
                try await swarm.files().values.allSatisfy { $0.k == 3 }
            }
            #expect(try await swarm.server("alpha").fault == nil)
            try await swarm.waitUntilConsistent(contents)
        }
    }

    @Test func aDirectoryThatVanishes() async throws {
        try await Swarm.run(.watchful(["--copies", "2"])) { swarm in
            try await swarm.startMaster()
            try await swarm.startSlaves(["alpha", "bravo", "charlie"], quota: "10M", ["--pending-expiry", "10s"])
            var contents: [String: Data] = [:]
            for index in 0..<3 {
                contents["/f\(index)"] = Data.random(count: 20_000, seed: UInt64(index))
                try await swarm.put(contents["/f\(index)"] ?? Data(), to: "/f\(index)")
            }
            try await swarm.waitFor("copies everywhere") { try await swarm.files().values.allSatisfy { $0.k == 3 } }
            let before = try swarm.blobs(on: "alpha")
            let (here, there) = (swarm.data(of: "alpha"), swarm.directory.appending(path: "elsewhere"))
            try FileManager.default.moveItem(at: here, to: there)

            // A read there fails, and is no reason to strike the copy off.
            let read = try await blob(swarm, "/f0", on: "alpha")
            #expect(read.status == 500, "\(read.status) \(read.text)")
            #expect(try read.error().code == .io)
            for (path, data) in contents { #expect(try await swarm.read(path) == data) }
            contents["/new"] = Data("new".utf8)
            try await swarm.put("new", to: "/new")
            #expect(try await swarm.holders("/new") == ["bravo", "charlie"])
            try await swarm.waitFor("the status says so") {
                try await swarm.server("alpha").fault?.contains("not there any more") == true
            }
            #expect(try await readiness(swarm, "alpha").status == 503)
            // It is judged as if it were silent, and nothing more.
            try await swarm.waitFor("alpha down") { try await swarm.server("alpha").state == .down }
            #expect(try await swarm.stat("/f0").replicas?.count == 3)
            try await swarm.waitFor("its copies not counted") { try await swarm.k("/f0") == 2 }

            try await swarm.stop("alpha")
            try FileManager.default.moveItem(at: there, to: here)
            try await swarm.restart("alpha")
            try await swarm.waitFor("all counted again") { try await swarm.files().values.allSatisfy { $0.k == 3 } }
            let after = try swarm.blobs(on: "alpha")
            for (name, blob) in before { #expect(after[name] == blob) }
            try await swarm.waitUntilConsistent(contents)
        }
    }
}
