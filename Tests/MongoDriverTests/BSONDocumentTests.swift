import Foundation
import MongoDriver
import Testing

@Suite struct BSONDocumentTests {
    @Test func setReplacesInPlaceAppendsAndRemoves() {
        var document: BSONDocument = ["a": 1, "b": 2]
        document["a"] = "one"
        document["c"] = [3]
        #expect(document == ["a": "one", "b": 2, "c": [3]])
        document["b"] = nil
        #expect(document.keys == ["a", "c"])
        document["c"] = .null
        #expect(document["c"] == .null)
        #expect(document["d"] == nil)
    }

    @Test func orderMatters() {
        #expect((["a": 1, "b": 2] as BSONDocument) != ["b": 2, "a": 1])
    }

    @Test func typesMatter() {
        #expect(BSONValue.int32(1) != .int64(1))
        #expect(BSONValue.null != .undefined)
        #expect(BSONValue.string("a") != .symbol("a"))
    }

    /// Two spellings of é are two keys and two values, as for MongoDB.
    @Test func bytesAreCompared() {
        let composed = "\u{e9}"
        let decomposed = "e\u{301}"
        #expect(composed == decomposed)
        #expect(BSONValue.string(composed) != .string(decomposed))
        var document = BSONDocument([(composed, BSONValue.int(1))])
        #expect(document[decomposed] == nil)
        document[decomposed] = 2
        #expect(document.count == 2)
    }

    @Test func paths() {
        let document: BSONDocument = ["cursor": ["firstBatch": [["_id": 7]], "id": 0]]
        #expect(document[path: ["cursor", "id"]]?.intValue == 0)
        #expect(document[path: ["cursor", "firstBatch", "0", "_id"]]?.intValue == 7)
        #expect(document[path: ["cursor", "firstBatch", "1"]] == nil)
        #expect(document[path: ["cursor", "id", "x"]] == nil)
    }

    @Test func numbers() {
        #expect(BSONValue.double(3).int64Value == 3)
        #expect(BSONValue.double(3.5).int64Value == nil)
        #expect(BSONValue.double(1e30).int64Value == nil)
        #expect(BSONValue.int32(3).doubleValue == 3)
        #expect(BSONValue.string("3").int64Value == nil)
    }

    @Test func datesRoundDown() {
        #expect(BSONValue(Date(timeIntervalSince1970: 1.5)) == .date(milliseconds: 1500))
        #expect(BSONValue(Date(timeIntervalSince1970: -0.0001)) == .date(milliseconds: -1))
        #expect(BSONValue(Date.distantFuture).dateValue == Date.distantFuture)
        #expect(BSONValue(Date(timeIntervalSince1970: 1e300)) == .date(milliseconds: .max))
    }

    @Test func objectIDs() throws {
        let first = ObjectID()
        let second = ObjectID()
        #expect(first < second)
        #expect(first.bytes.count == 12)
        #expect(ObjectID(first.hex) == first)
        #expect(ObjectID(first.hex.uppercased()) == first)
        #expect(ObjectID(bytes: first.bytes) == first)
        #expect(abs(first.timestamp.timeIntervalSinceNow) < 5)
        #expect(ObjectID("") == nil)
        #expect(ObjectID("65a1b2c3d4e5f60718293a4") == nil)
        #expect(ObjectID("65a1b2c3d4e5f60718293a4g") == nil)
        #expect(ObjectID("65a1b2c3d4e5f60718293a4b00") == nil)
        #expect(Set((0..<10_000).map { _ in ObjectID() }).count == 10_000)
        let json = try JSONEncoder().encode([first])
        #expect(String(decoding: json, as: UTF8.self) == "[\"\(first.hex)\"]")
        #expect(try JSONDecoder().decode([ObjectID].self, from: json) == [first])
    }
}
