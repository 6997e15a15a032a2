import MongoDriver
import Testing

/// Bytes as other drivers write them (made with pymongo's `bson`; deprecated types from the BSON corpus).
@Suite struct BSONBytesTests {
    struct Fixture: Sendable, CustomTestStringConvertible {
        var hex: String
        var document: BSONDocument
        var json: String

        var testDescription: String { json }
    }

    static let fixtures: [Fixture] = [
        Fixture(hex: "0500000000", document: [:], json: "{}"),
        Fixture(
            hex: "26000000016100000000000000f83f0162000000000000000080016300000000000000f07f00",
            document: ["a": 1.5, "b": -0.0, "c": .double(.infinity)],
            json: #"{"a": 1.5, "b": -0.0, "c": {"$numberDouble": "Infinity"}}"#),
        Fixture(
            hex: "270000000261000b00000068c3a96c6c6f200020780002000a000000656d707479206b65790000",
            document: ["a": "h\u{e9}llo \u{0} x", "": "empty key"],
            json: #"{"a": "h\#u{e9}llo \u0000 x", "": "empty key"}"#),
        Fixture(
            hex: "2000000003610018000000036200100000001263000100000000000000000000",
            document: ["a": ["b": ["c": 1]]], json: #"{"a": {"b": {"c": 1}}}"#),
        Fixture(
            hex: """
                3e0000000461003600000012300001000000000000000231000400000074776f0001320000000000000008400433000500\
                00000003340005000000000000
                """,
            document: ["a": [1, "two", 3.0, [], .document([:])]], json: #"{"a": [1, "two", 3.0, [], {}]}"#),
        Fixture(
            hex: """
                3800000005610003000000000102ff056200100000000400000000000000000000000000000000056f6c640006000000\
                0202000000787900
                """,
            document: [
                "a": .binary(BSONBinary([1, 2, 255])),
                "b": .binary(BSONBinary(Array(repeating: 0, count: 16), subtype: 4)),
                "old": .binary(BSONBinary(Array("xy".utf8), subtype: 2)),
            ],
            json: """
                {"a": {"$binary": {"base64": "AQL/", "subType": "00"}}, \
                "b": {"$binary": {"base64": "AAAAAAAAAAAAAAAAAAAAAA==", "subType": "04"}}, \
                "old": {"$binary": {"base64": "eHk=", "subType": "02"}}}
                """),
        Fixture(hex: "0800000006610000", document: ["a": .undefined], json: #"{"a": {"$undefined": true}}"#),
        Fixture(
            hex: "16000000075f69640065a1b2c3d4e5f60718293a4b00",
            document: ["_id": ObjectID("65a1b2c3d4e5f60718293a4b").map { .objectID($0) } ?? .null],
            json: #"{"_id": {"$oid": "65a1b2c3d4e5f60718293a4b"}}"#),
        Fixture(
            hex: "0d000000087400010866000000", document: ["t": true, "f": false], json: #"{"t": true, "f": false}"#),
        Fixture(
            hex: "1b0000000961002e8fa97c9b010000096200ffffffffffffffff00",
            document: ["a": .date(milliseconds: 1_767_323_045_678), "b": .date(milliseconds: -1)],
            json: #"{"a": {"$date": "2026-01-02T03:04:05.678Z"}, "b": {"$date": {"$numberLong": "-1"}}}"#),
        Fixture(hex: "080000000a610000", document: ["a": nil], json: #"{"a": null}"#),
        Fixture(
            hex: "120000000b61005e612e2a622400696d0000", document: ["a": .regex(BSONRegex("^a.*b$", options: "im"))],
            json: #"{"a": {"$regularExpression": {"pattern": "^a.*b$", "options": "im"}}}"#),
        Fixture(
            hex: "1a0000000c610002000000620056e1fc72e0c917e9c471416100",
            document: [
                "a": ObjectID("56e1fc72e0c917e9c4714161").map {
                    .dbPointer(BSONDBPointer(namespace: "b", id: $0))
                } ?? .null
            ], json: #"{"a": {"$dbPointer": {"$ref": "b", "$id": {"$oid": "56e1fc72e0c917e9c4714161"}}}}"#),
        Fixture(
            hex: "100000000d6100040000006628290000", document: ["a": .code("f()")], json: #"{"a": {"$code": "f()"}}"#),
        Fixture(hex: "0e0000000e610002000000620000", document: ["a": .symbol("b")], json: #"{"a": {"$symbol": "b"}}"#),
        Fixture(
            hex: "250000000f61001d0000000500000066287829001000000012780007000000000000000000",
            document: ["a": .codeWithScope(BSONCodeWithScope("f(x)", scope: ["x": 7]))],
            json: #"{"a": {"$code": "f(x)", "$scope": {"x": 7}}}"#),
        Fixture(
            hex: "13000000106100fbffffff106200ffffff7f00", document: ["a": .int32(-5), "b": .int32(.max)],
            json: #"{"a": -5, "b": 2147483647}"#),
        Fixture(
            hex: "100000001161000700000000f1536500",
            document: ["a": .timestamp(BSONTimestamp(seconds: 1_700_000_000, increment: 7))],
            json: #"{"a": {"$timestamp": {"t": 1700000000, "i": 7}}}"#),
        Fixture(
            hex: "10000000126100000000000000008000", document: ["a": .int64(.min)],
            json: #"{"a": -9223372036854775808}"#),
        Fixture(
            hex: """
                3e000000136100ce040000000000000000000000003c3013620001000000000000000000000000004cb0136300000000\
                0000000000000000000000007c00
                """,
            document: [
                "a": .decimal128(BSONDecimal128(high: 0x303c_0000_0000_0000, low: 1230)),
                "b": .decimal128(BSONDecimal128(high: 0xb04c_0000_0000_0000, low: 1)),
                "c": .decimal128(BSONDecimal128(high: 0x7c00_0000_0000_0000, low: 0)),
            ],
            json: """
                {"a": {"$numberDecimal": "12.30"}, "b": {"$numberDecimal": "-1E+6"}, "c": {"$numberDecimal": "NaN"}}
                """),
        Fixture(
            hex: "0b000000ff61007f620000", document: ["a": .minKey, "b": .maxKey],
            json: #"{"a": {"$minKey": 1}, "b": {"$maxKey": 1}}"#),
    ]

    @Test(arguments: fixtures)
    func writesWhatOtherDriversWrite(_ fixture: Fixture) throws {
        #expect(hex(try fixture.document.bytes()) == fixture.hex)
    }

    @Test(arguments: fixtures)
    func readsWhatOtherDriversWrite(_ fixture: Fixture) throws {
        let document = try BSONDocument(bytes: bytes(fixture.hex))
        #expect(document == fixture.document)
        #expect(document.description == fixture.json)
        #expect(hex(try document.bytes()) == fixture.hex)
    }

    @Test func everyTypeIsCovered() {
        let types = Set(Self.fixtures.flatMap { $0.document.values.map(\.typeName) })
        #expect(types.count == 21)
    }

    @Test(arguments: [
        "", "05000000", "0500000001", "0600000000", "04000000", "ffffffff00", "050000000000",
        "0d000000087400020866000000",  // a boolean that is 2
        "0e00000002610005000000620000",  // a string longer than its document
        "0e00000002610000000000620000",  // a string of length 0
        "0e00000002610002000000626200",  // a string without its zero
        "0e00000002610002000000ff0000",  // not UTF-8
        "0c0000000361000500000000",  // ends before its length
        "080000002061000000",  // an unknown type
        "0d0000000561000500000000ff00",  // a binary longer than its document
        "080000000a616200",  // a key without its zero
    ])
    func refusesCorruption(_ text: String) {
        #expect { try BSONDocument(bytes: bytes(text)) } throws: { ($0 as? MongoError)?.kind == .corruptBSON }
    }

    @Test func refusesWhatCannotBeWritten() {
        #expect { try (["a\u{0}b": 1] as BSONDocument).bytes() } throws: {
            ($0 as? MongoError)?.kind == .invalidArgument
        }
        var deep: BSONDocument = [:]
        for _ in 0..<300 { deep = ["a": .document(deep)] }
        #expect { try deep.bytes() } throws: { ($0 as? MongoError)?.kind == .invalidArgument }
    }

    /// As deep as a million levels: an error, not an overflow of the stack.
    @Test func refusesDeepNesting() throws {
        let levels = 1_000_000
        var text: [UInt8] = []
        let total = levels * 8 + 5
        for level in 0..<levels {
            withUnsafeBytes(of: Int32(total - level * 8).littleEndian) { text.append(contentsOf: $0) }
            text += [3, 0x61, 0]
        }
        #expect { try BSONDocument(bytes: text) } throws: { ($0 as? MongoError)?.kind == .corruptBSON }
    }
}

func bytes(_ hex: String) -> [UInt8] {
    let digits = Array(hex.utf8)
    return stride(from: 0, to: digits.count - 1, by: 2).compactMap {
        UInt8(String(decoding: digits[$0...($0 + 1)], as: UTF8.self), radix: 16)
    }
}

func hex(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}
