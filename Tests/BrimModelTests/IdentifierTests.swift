import BrimModel
import Foundation
import Testing

struct IdentifierTests {
    @Test func blobIDsAreHex() throws {
        let id = try #require(BlobID("0123456789abcdef01234567"))
        #expect(id.description == "0123456789abcdef01234567")
        #expect(BlobID("0123456789ABCDEF01234567") == id)
        #expect(id.bytes == [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67])
        #expect(BlobID(bytes: id.bytes) == id)
        #expect(String(decoding: try JSONEncoder().encode([id]), as: UTF8.self) == #"["0123456789abcdef01234567"]"#)
        for bad in [
            "", "0", String(repeating: "0", count: 23), String(repeating: "0", count: 25),
            String(repeating: "g", count: 24),
        ] {
            #expect(BlobID(bad) == nil)
        }
        #expect(BlobID(bytes: [1, 2, 3]) == nil)
        #expect(throws: DecodingError.self) { try JSONDecoder().decode([BlobID].self, from: Data(#"["x"]"#.utf8)) }
    }

    @Test func blobIDsSortByTheirBytes() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = Random(seed: seed)
        let ids = (0..<500).compactMap { _ in
            // Few distinct bytes, so that many ids agree in their beginning.
            BlobID(bytes: (0..<12).map { _ in [0, 1, 0x7f, 0x80, 0xff].randomElement(using: &random) ?? 0 })
        }
        #expect(ids.count == 500)
        let sorted = ids.sorted().map(\.description)
        #expect(sorted == ids.map(\.description).sorted(), "seed \(seed)")
        for id in ids { #expect(BlobID(id.description) == id) }
    }

    @Test func generatedIDsDiffer() {
        var one = BlobIDGenerator()
        var two = BlobIDGenerator()
        var seen: Set<BlobID> = []
        for i in 0..<10_000 {
            seen.insert(one.next(seconds: UInt32(i / 5000)))
            seen.insert(two.next(seconds: UInt32(i / 5000)))
        }
        #expect(seen.count == 20_000)
        #expect(one.next(seconds: 0x0102_0304).bytes.prefix(4) == [1, 2, 3, 4])
    }

    @Test(arguments: ["a", "alpha-2", "A.b_c", "9", String(repeating: "x", count: 63)]) func serverNames(text: String)
        throws
    {
        #expect(try ServerName(validating: text).rawValue == text)
    }

    @Test(arguments: ["", "-a", ".a", "_a", "a b", "ü", "a/b", String(repeating: "x", count: 64)])
    func badServerNames(text: String) {
        #expect(#expect(throws: BrimError.self) { try ServerName(validating: text) }?.code == .invalid)
    }

    @Test func fileIDsAreNumbersInJSON() throws {
        #expect(String(decoding: try JSONEncoder().encode([FileID(1 << 60)]), as: UTF8.self) == "[1152921504606846976]")
        #expect(
            try JSONDecoder().decode([FileID].self, from: Data("[1152921504606846977]".utf8)) == [FileID(1 << 60 | 1)])
    }

    @Test func attributesKeepTheirType() throws {
        let values: [String: AttributeValue] = [
            "true": .bool(true), "7": .int(7), "-7": .int(-7), "2.5": .double(2.5), "inf": .string("inf"),
            "text": .string("text"), "9223372036854775807": .int(.max), "": .string(""),
        ]
        for (text, value) in values { #expect(AttributeValue(parsing: text) == value) }
        let json = try JSONEncoder().encode(values)
        #expect(try JSONDecoder().decode([String: AttributeValue].self, from: json) == values)
    }

    @Test(arguments: BrimError.Code.allCases) func errorsTravelAsJSON(code: BrimError.Code) throws {
        let error = BrimError(code, "it failed")
        let json = try JSONEncoder().encode(error)
        #expect(try JSONDecoder().decode(BrimError.self, from: json) == error)
        #expect((400...599).contains(code.httpStatus))
        // A peer's bare status stands for a code of the same status; but that a server was forgotten, which ends it, is
        // believed only of a master that says so.
        let assumed = BrimError.Code(httpStatus: code.httpStatus)
        #expect(code == .forgotten ? assumed == .invalid : assumed.httpStatus == code.httpStatus)
        #expect(code.rawValue.allSatisfy { $0.isLowercase || $0 == "_" })
    }
}
