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

/// Writes that are broken off, that are not what they were said to be, and daemons that are told to end meanwhile.
extension ScenarioTests.OutageTests {
    private func incoming(_ swarm: Swarm, _ name: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: swarm.data(of: name).appending(path: "incoming").path)
    }

    /// Nothing of a write is visible, on the way or held for it.
    private func expectNothing(_ swarm: Swarm, of path: String, _ slaves: [String]) async throws {
        for slave in slaves {
            try await swarm.waitFor("\(slave) holds nothing of \(path)") {
                let usage = try await swarm.usage(of: slave)
                return try usage.used == 0 && incoming(swarm, slave).isEmpty && swarm.blobs(on: slave).isEmpty
            }
        }
        #expect(try await !swarm.exists(path))
    }

    @Test func uploadsCutOffMidway() async throws {
        try await Swarm.run { swarm in
            let slaves = ["alpha", "bravo"]
            try await swarm.startMaster()
            try await swarm.startSlaves(slaves, quota: "100M")
            let large = try swarm.scratchFile(Data.random(count: 8 << 20, seed: 1), named: "large").path
            let header = "-H \"Authorization: Bearer $(brim token)\""
            let begun = slaves.map { "[ \"$(ls -A '\(swarm.data(of: $0).appending(path: "incoming").path)')\" ]" }
                .joined(separator: " && ")
            let uploads = [
                // Of a known length, of an unknown one, and by brim itself.
                "curl -sS -L --limit-rate 1M \(header) -T \(large) \(swarm.url)/v1/files/cut",
                "curl -sS -L --limit-rate 1M \(header) -H 'Transfer-Encoding: chunked' -T \(large) \(swarm.url)/v1/files/cut",
                "tail -c +1 -f --pid=$$ \(large) | brim put - /cut",
            ]
            for upload in uploads {
                let line = """
                    \(upload) & upload=$!
                    until \(begun); do
                        kill -0 $upload || exit 3
                        sleep 0.05
                    done
                    kill -9 $upload
                    wait $upload
                    exit 0
                    """
                let result = try await swarm.shell(line)
                #expect(result.status == 0, "\(result)")
                try await expectNothing(swarm, of: "/cut", slaves)
            }
        }
    }

    @Test func uploadsThatAreNotWhatWasSaid() async throws {
        try await Swarm.run { swarm in
            let slaves = ["alpha", "bravo"]
            try await swarm.startMaster()
            try await swarm.startSlaves(slaves, quota: "100M")
            func refuse(_ size: Int64?, _ arguments: [String], _ what: String) async throws {
                let path = try BrimPath(parsing: "/f")
                let item = try await swarm.grant(WriteRequest(path: path, size: size))
                let answer = try await swarm.request(try #require(item.url), arguments, token: nil)
                #expect(answer.status == 400, "\(what): \(answer.status) \(answer.text)")
                #expect(try answer.error().code == .invalid, "\(what): \(answer.text)")
                try await expectNothing(swarm, of: "/f", slaves)
            }
            let data = Data.random(count: 200_000, seed: 1)
            _ = try swarm.scratchFile(data, named: "data")
            let chunked = ["-H", "Transfer-Encoding: chunked"]
            try await refuse(200_001, ["-T", "data"], "shorter")
            try await refuse(199_999, ["-T", "data"], "longer")
            try await refuse(200_001, ["-T", "data"] + chunked, "shorter, in chunks")
            try await refuse(199_999, ["-T", "data"] + chunked, "longer, in chunks")
            for size in [200_000, nil] as [Int64?] {
                let type = size == nil ? chunked : []
                try await refuse(
                    size, ["-T", "data", "-H", "Brim-Checksum: crc32c:00000000"] + type, "another checksum")
                try await refuse(size, ["-T", "data", "-H", "Brim-Checksum: md5:0"] + type, "no checksum")
            }
            // Also on the way that users take, where the master is asked first.
            let wrong = try await swarm.curl("/v1/files/f", "-L", "-T", "data", "-H", "Brim-Checksum: crc32c:00000000")
            #expect(wrong.status == 400, "\(wrong.status) \(wrong.text)")
            #expect(try wrong.error().message.contains("Brim-Checksum"), "\(wrong.text)")
            try await expectNothing(swarm, of: "/f", slaves)
            var sum = CRC32C()
            data.withUnsafeBytes { sum.update($0) }
            let right = try await swarm.curl(
                "/v1/files/f", "-L", "-T", "data", "-H", "Brim-Checksum: \(Checksum(crc32c: sum.value))")
            #expect(right.status == 201, "\(right.status) \(right.text)")
            try await swarm.waitUntilConsistent(["/f": data])
        }
    }

    /// A write is half done when the master, its first or its second server is told to end.
    @Test func toldToEndDuringAWrite() async throws {
        try await Swarm.run { swarm in
            try await swarm.startMaster()
            try await swarm.startSlaves(["alpha", "bravo", "charlie"], quota: "10M")
            var contents: [String: Data] = [:]
            for (round, who) in ["master", "first", "second"].enumerated() {
                let path = "/\(who)"
                let data = Data.random(count: 1_000_000, seed: UInt64(round))
                let item = try await swarm.grant(
                    WriteRequest(path: try BrimPath(parsing: path), size: Int64(data.count)))
                let targets = try #require(item.targets).map(\.server.rawValue)
                try #require(targets.count == 2)
                let victim = [Swarm.master, targets[0], targets[1]][round]
                let write = try swarm.beginWrite(to: item, length: data.count)
                write.send(data.prefix(500_000))
                for target in targets {
                    try await swarm.waitFor("bytes on \(target)") { try !incoming(swarm, target).isEmpty }
                }
                let process = try swarm.process(of: victim)
                process.send(SIGTERM)
                write.send(data.dropFirst(500_000))
                async let answer = write.finish()
                #expect(try await process.waitForExit(within: .seconds(10)) == .status(0))
                try await swarm.restart(victim)
                let outcome = try await answer
                if outcome.status == 201 {
                    contents[path] = data
                } else {
                    let error = try outcome.error()
                    #expect(error.code == .unavailable && !error.message.isEmpty, "\(who): \(outcome.text)")
                    #expect(try await !swarm.exists(path), "\(who)")
                }
                try await swarm.waitUntilUp(["alpha", "bravo", "charlie"])
                for (path, data) in contents { #expect(try await swarm.read(path) == data, "\(path)") }
            }
            try await swarm.waitFor("nothing on its way") {
                try ["alpha", "bravo", "charlie"].allSatisfy { try incoming(swarm, $0).isEmpty }
            }
            #expect(contents["/master"] != nil, "a write that only waits for a master finishes with the next one")
        }
    }

    @Test(arguments: [0, 1])
    func toldToEndWhileAWriterStalls(place: Int) async throws {
        try await Swarm.run { swarm in
            try await swarm.startMaster()
            try await swarm.startSlaves(["alpha", "bravo"], quota: "10M")
            let item = try await swarm.grant(WriteRequest(path: try BrimPath(parsing: "/stalled"), size: 1_000_000))
            let targets = try #require(item.targets).map(\.server.rawValue)
            let write = try swarm.beginWrite(to: item, length: 1_000_000)
            write.send(Data(count: 500_000))
            for target in targets {
                try await swarm.waitFor("bytes on \(target)") { try !incoming(swarm, target).isEmpty }
            }
            let process = try swarm.process(of: targets[place])
            process.send(SIGTERM)
            #expect(try await process.waitForExit(within: .seconds(10)) == .status(0))
            if let answer = try? await write.finish() { #expect(answer.status >= 400, "\(answer.text)") }
            try await swarm.restart(targets[place])
            try await expectNothing(swarm, of: "/stalled", targets)
            try await swarm.put("whole", to: "/stalled")
            try await swarm.waitUntilConsistent(["/stalled": Data("whole".utf8)])
        }
    }
}
