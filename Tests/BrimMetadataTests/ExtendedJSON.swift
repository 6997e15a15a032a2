import Foundation
import MongoDriver

/// Reads what fixtures are written in: relaxed extended JSON in which doubles and 32-bit integers are wrapped.
enum ExtendedJSON {
    struct Malformed: Error { var what: String }

    /// An array of documents.
    static func documents(_ file: URL) throws -> [BSONDocument] {
        let value = try JSONDecoder().decode(Value.self, from: Data(contentsOf: file)).bson
        guard let documents = value.arrayValue?.map(\.documentValue), !documents.contains(nil) else {
            throw Malformed(what: "\(file.lastPathComponent) is no array of documents")
        }
        return documents.compactMap(\.self)
    }

    private struct Key: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    private struct Value: Decodable {
        var bson: BSONValue

        init(from decoder: any Decoder) throws {
            if let object = try? decoder.container(keyedBy: Key.self) {
                // In the order of their names: JSONDecoder does not tell the order in the file.
                var document = BSONDocument()
                for key in object.allKeys.sorted(by: { $0.stringValue < $1.stringValue }) {
                    document.append(key.stringValue, try object.decode(Value.self, forKey: key).bson)
                }
                bson = try Self.unwrapped(document)
            } else if var list = try? decoder.unkeyedContainer() {
                var values: [BSONValue] = []
                while !list.isAtEnd { values.append(try list.decode(Value.self).bson) }
                bson = .array(values)
            } else {
                let single = try decoder.singleValueContainer()
                if single.decodeNil() {
                    bson = .null
                } else if let value = try? single.decode(Bool.self) {
                    bson = .bool(value)
                } else if let value = try? single.decode(Int64.self) {
                    bson = .int64(value)
                } else {
                    bson = .string(try single.decode(String.self))
                }
            }
        }

        private static func unwrapped(_ document: BSONDocument) throws -> BSONValue {
            guard document.count == 1, let (key, value) = document.first(where: { _ in true }), key.hasPrefix("$")
            else {
                return .document(document)
            }
            let text = value.stringValue ?? ""
            switch key {
            case "$oid": return .objectID(try made(ObjectID(text), key))
            case "$numberInt": return .int32(try made(Int32(text), key))
            case "$numberLong": return .int64(try made(Int64(text), key))
            case "$numberDouble": return .double(try made(Double(text), key))
            case "$date": return .date(milliseconds: try made(value.int64Value, key))
            default: throw Malformed(what: "\(key) is not known")
            }
        }

        private static func made<T>(_ value: T?, _ key: String) throws -> T {
            guard let value else { throw Malformed(what: "the value of \(key)") }
            return value
        }
    }
}
