import Foundation
import MongoDriver
import Testing

@Suite struct BSONCodingTests {
    enum Kind: String, Codable { case file, directory }
    enum Level: Int, Codable { case low = 1, high = 2 }

    struct Inner: Codable, Equatable {
        var a: Int
        var b: [String]?
    }

    struct Everything: Codable, Equatable {
        var id: ObjectID
        var int: Int
        var int32: Int32
        var int64: Int64
        var uint8: UInt8
        var uint: UInt
        var double: Double
        var float: Float
        var bool: Bool
        var string: String
        var date: Date
        var data: Data
        var binary: BSONBinary
        var timestamp: BSONTimestamp
        var kind: Kind
        var level: Level
        var missing: String?
        var present: String?
        var inner: Inner
        var inners: [Inner]
        var byName: [String: Inner]
        var document: BSONDocument
        var value: BSONValue
        var values: [BSONValue]
        var optionals: [Int?]
        var uuid: UUID
    }

    static let everything = Everything(
        id: ObjectID(), int: -1, int32: 2, int64: .max, uint8: 255, uint: UInt(Int64.max), double: 0.1, float: 1.5,
        bool: true, string: "\u{e9}", date: Date(timeIntervalSince1970: 1_700_000_000.125), data: Data([1, 2]),
        binary: BSONBinary([3], subtype: 4), timestamp: BSONTimestamp(seconds: 1, increment: 2), kind: .directory,
        level: .high, missing: nil, present: "x", inner: Inner(a: 1, b: nil), inners: [Inner(a: 2, b: ["q"])],
        byName: ["n": Inner(a: 3, b: [])], document: ["z": .int32(1), "y": .minKey],
        value: .decimal128(BSONDecimal128(high: 1, low: 2)), values: [1, "a", nil, .undefined],
        optionals: [1, nil, 3], uuid: UUID())

    @Test func roundTrip() throws {
        let document = try BSONEncoder().encode(Self.everything)
        #expect(try BSONDecoder().decode(Everything.self, from: document) == Self.everything)
        let again = try BSONDocument(bytes: try document.bytes())
        #expect(try BSONDecoder().decode(Everything.self, from: again) == Self.everything)
    }

    @Test func types() throws {
        let document = try BSONEncoder().encode(Self.everything)
        let types = Dictionary(uniqueKeysWithValues: document.map { ($0.key, $0.value.typeName) })
        #expect(types["id"] == "objectId")
        #expect(types["int"] == "long")
        #expect(types["int32"] == "int")
        #expect(types["uint8"] == "long")
        #expect(types["date"] == "date")
        #expect(types["data"] == "binData")
        #expect(types["binary"] == "binData")
        #expect(types["timestamp"] == "timestamp")
        #expect(types["kind"] == "string")
        #expect(types["level"] == "long")
        #expect(types["missing"] == nil)
        #expect(types["byName"] == "object")
        #expect(document["document"] == ["z": .int32(1), "y": .minKey])
        #expect(document["values"] == [1, "a", nil, .undefined])
        #expect(document.keys.first == "id")
    }

    @Test func tooLargeNumbers() throws {
        #expect(throws: EncodingError.self) { try BSONEncoder().encode(["a": UInt64.max]) }
        #expect(throws: DecodingError.self) { try BSONDecoder().decode([String: Int8].self, from: ["a": 128]) }
        #expect(throws: DecodingError.self) { try BSONDecoder().decode([String: UInt].self, from: ["a": -1]) }
        #expect(throws: DecodingError.self) { try BSONDecoder().decode([String: Int].self, from: ["a": 1.5]) }
    }

    @Test func numbersOfAnyType() throws {
        let document: BSONDocument = ["a": .int32(1), "b": .int64(2), "c": .double(3)]
        #expect(try BSONDecoder().decode([String: Int].self, from: document) == ["a": 1, "b": 2, "c": 3])
        #expect(try BSONDecoder().decode([String: Double].self, from: document) == ["a": 1, "b": 2, "c": 3])
    }

    @Test func nullIsNil() throws {
        let inner = try BSONDecoder().decode(Inner.self, from: ["a": 1, "b": nil, "unknown": true])
        #expect(inner == Inner(a: 1, b: nil))
    }

    @Test func errorsNameThePlace() throws {
        struct Outer: Decodable { var inners: [Inner] }
        let document: BSONDocument = ["inners": [["a": 1], ["a": "two"]]]
        do {
            _ = try BSONDecoder().decode(Outer.self, from: document)
            Issue.record("decoded a string as a number")
        } catch DecodingError.typeMismatch(_, let context) {
            #expect(context.codingPath.map(\.stringValue) == ["inners", "1", "a"])
            #expect(context.debugDescription.contains("string"))
        }
        do {
            _ = try BSONDecoder().decode(Inner.self, from: [:])
            Issue.record("decoded nothing")
        } catch DecodingError.keyNotFound(let key, _) {
            #expect(key.stringValue == "a")
        }
    }

    @Test func onlyDocumentsAtTheTop() throws {
        #expect(throws: EncodingError.self) { try BSONEncoder().encode([1, 2]) }
        #expect(try BSONEncoder().encodeValue([1, 2]) == [1, 2])
    }

    /// Nested containers, also when they are filled after others were begun.
    @Test func nestedContainers() throws {
        struct Odd: Codable, Equatable {
            var x = 1
            var y = [2, 3]
            enum Keys: String, CodingKey { case first, second }
            enum Inner: String, CodingKey { case x }

            init() {}

            func encode(to encoder: any Encoder) throws {
                var container = encoder.container(keyedBy: Keys.self)
                var first = container.nestedContainer(keyedBy: Inner.self, forKey: .first)
                var second = container.nestedUnkeyedContainer(forKey: .second)
                for value in y { try second.encode(value) }
                try first.encode(x, forKey: .x)
            }

            init(from decoder: any Decoder) throws {
                let container = try decoder.container(keyedBy: Keys.self)
                x = try container.nestedContainer(keyedBy: Inner.self, forKey: .first).decode(Int.self, forKey: .x)
                var second = try container.nestedUnkeyedContainer(forKey: .second)
                y = []
                while !second.isAtEnd { y.append(try second.decode(Int.self)) }
            }
        }
        let document = try BSONEncoder().encode(Odd())
        #expect(document == ["first": ["x": 1], "second": [2, 3]])
        #expect(try BSONDecoder().decode(Odd.self, from: document) == Odd())
    }

    @Test func superEncoder() throws {
        class Base: Codable {
            var a = 1
        }
        final class Derived: Base {
            var b = 2
            enum Keys: CodingKey { case b }
            override init() { super.init() }
            required init(from decoder: any Decoder) throws {
                let container = try decoder.container(keyedBy: Keys.self)
                b = try container.decode(Int.self, forKey: .b)
                try super.init(from: try container.superDecoder())
            }
            override func encode(to encoder: any Encoder) throws {
                var container = encoder.container(keyedBy: Keys.self)
                try container.encode(b, forKey: .b)
                try super.encode(to: container.superEncoder())
            }
        }
        let value = Derived()
        value.a = 7
        let document = try BSONEncoder().encode(value)
        #expect(document == ["b": 2, "super": ["a": 7]])
        #expect(try BSONDecoder().decode(Derived.self, from: document).a == 7)
    }

    @Test func documentsInJSON() throws {
        let document: BSONDocument = ["a": 1, "b": [true, nil, 1.5, "x"], "c": ["d": "e"]]
        let json = try JSONEncoder().encode(document)
        let back = try JSONDecoder().decode(BSONDocument.self, from: json)
        #expect(Set(back.keys) == ["a", "b", "c"])
        #expect(back["b"] == [true, nil, 1.5, "x"])
        #expect(back["a"] == 1)
    }
}
