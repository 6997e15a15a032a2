import Foundation
import Testing

/// A JSON object whose fields can be checked one by one, without the types that wrote it.
struct JSONShape {
    enum Kind {
        case int, number, string, array, object, null

        func fits(_ value: Any) -> Bool {
            switch self {
            case .int: (value as? Double).map { $0 == $0.rounded() } ?? false
            case .number: value is Double
            case .string: value is String
            case .array: value is [Any]
            case .object: value is [String: Any]
            case .null: value is NSNull
            }
        }
    }

    private let fields: [String: Any]

    init(_ data: Data) throws {
        fields = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    }

    /// The objects of an array.
    static func all(_ data: Data) throws -> [JSONShape] {
        try #require(try JSONSerialization.jsonObject(with: data) as? [Any]).map { try JSONShape($0) }
    }

    private init(_ value: Any) throws { fields = try #require(value as? [String: Any]) }

    /// Records an issue for every field that is missing or of another kind.
    func expect(_ kinds: [String: Kind], sourceLocation: SourceLocation = #_sourceLocation) throws {
        for (name, kind) in kinds {
            let value = try #require(fields[name], "no field \(name)", sourceLocation: sourceLocation)
            #expect(kind.fits(value), "\(name) is \(value), not of kind \(kind)", sourceLocation: sourceLocation)
        }
    }

    var names: Set<String> { Set(fields.keys) }
    func int(_ name: String) -> Int? { fields[name] as? Int }
    func string(_ name: String) -> String? { fields[name] as? String }
    func object(_ name: String) throws -> JSONShape { try JSONShape(try #require(fields[name])) }
    func objects(_ name: String) throws -> [JSONShape] {
        try #require(fields[name] as? [Any]).map { try JSONShape($0) }
    }
}
