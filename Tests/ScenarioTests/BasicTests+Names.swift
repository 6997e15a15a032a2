import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import Testing

/// Names that are allowed and unusual, and sizes that are.
extension ScenarioTests.BasicTests {
    private static let names = [
        "a b", " ", "100%", "%41", "A", "a+b", "?query#fragment", "\\", ":", "*", "-dash", "'\"", "new\nline", "\u{7f}",
        "\u{e9}", "e\u{301}", "日本語", "🎵", "...", String(repeating: "ä", count: 127) + "x",
    ]

    @Test func unusualNames() async throws {
        try await Swarm.run { swarm in
            try await swarm.startMaster()
            try await swarm.startSlaves(["alpha", "bravo"], quota: "1M")
            for (index, name) in Self.names.enumerated() {
                let data = Data("content \(index)".utf8)
                if index.isMultiple(of: 2) {
                    try await swarm.put(data, to: "/names/\(name)")
                } else {
                    _ = try swarm.scratchFile(data, named: "local")
                    let url = "/v1/files/names/\(PercentEncoding.encode(name))"
                    #expect(try await swarm.curl(url, "-L", "-T", "local").status == 201, "\(name)")
                }
            }
            // Listed in the order of their bytes: spellings that look the same are two names.
            struct Item: Decodable { var name: String }
            let listed = try await swarm.brim("ls", "--json", "/names").json([Item].self)
            let expected = Self.names.map { Array($0.utf8) }.sorted { $0.lexicographicallyPrecedes($1) }
            #expect(listed.map { Array($0.name.utf8) } == expected)
            for (index, name) in Self.names.enumerated() {
                let data = Data("content \(index)".utf8)
                #expect(try await swarm.read("/names/\(name)") == data, "\(name)")
                let read = try await swarm.curl("/v1/files/names/\(PercentEncoding.encode(name))", "-L")
                #expect(read.body == data, "\(name)")
            }
            #expect(try await swarm.status().files == Int64(Self.names.count))
            for name in Self.names { try await swarm.brim("rm", "/names/\(name)") }
            try await swarm.waitUntilConsistent([:])
        }
    }

    @Test func emptyFiles() async throws {
        try await Swarm.run { swarm in
            try await swarm.startMaster()
            try await swarm.startSlaves(["alpha", "bravo"], quota: "10")
            try await swarm.put("", to: "/empty")
            try await swarm.brim("put", "-", "/streamed", input: Data())
            _ = try swarm.scratchFile(Data(), named: "nothing")
            #expect(try await swarm.curl("/v1/files/curled", "-L", "-T", "nothing").status == 201)
            try await swarm.waitFor("two copies of each") { try await swarm.files().values.allSatisfy { $0.k == 2 } }
            let read = try await swarm.curl("/v1/files/empty", "-L")
            #expect(read.status == 200 && read.body.isEmpty && read.headers["content-length"] == "0")
            let head = try await swarm.curl("/v1/files/empty", "-I")
            #expect(head.status == 200 && head.headers["content-length"] == "0")
            try await swarm.waitUntilConsistent(["/empty": Data(), "/streamed": Data(), "/curled": Data()])
        }
    }

    @Test func twentyMebibytes() async throws {
        try await Swarm.run { swarm in
            try await swarm.startMaster()
            try await swarm.startSlaves(["alpha", "bravo", "charlie"], quota: "100M")
            let data = Data.random(count: 20 << 20, seed: 5)
            let file = try swarm.scratchFile(data, named: "large")
            try await swarm.brim("put", file.path, "/large")
            #expect(try await swarm.curl("/v1/files/curled", "-L", "-T", "large").status == 201)
            try await swarm.brim("get", "/large", "back")
            #expect(try Data(contentsOf: swarm.scratch.appending(path: "back")) == data)
            let middle = try await swarm.curl("/v1/files/curled", "-L", "-r", "10000000-10999999")
            #expect(middle.body == data[10_000_000..<11_000_000])
            try await swarm.waitFor("three copies of each") { try await swarm.files().values.allSatisfy { $0.k == 3 } }
            try await swarm.waitUntilConsistent(["/large": data, "/curled": data])
        }
    }

    @Test func standardInputAndOutput() async throws {
        try await Swarm.run { swarm in
            try await swarm.startMaster()
            try await swarm.startSlaves(["alpha", "bravo"], quota: "50M")
            let data = Data.random(count: 9_000_000, seed: 6)
            try await swarm.brim("put", "-", "/dumps/shop.sql", input: data)
            #expect(try await swarm.brim("get", "/dumps/shop.sql", "-").stdout == data)
            #expect(try await swarm.brim("cat", "/dumps/shop.sql").stdout == data)
            // Into a directory the file keeps its name.
            try await swarm.brim("get", "/dumps/shop.sql", "fetched/")
            #expect(try Data(contentsOf: swarm.scratch.appending(path: "fetched/shop.sql")) == data)
            try await swarm.waitUntilConsistent(["/dumps/shop.sql": data])
        }
    }
}
