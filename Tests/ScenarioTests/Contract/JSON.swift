import Foundation

/// Any JSON value, taken apart.
enum JSON: Equatable, Sendable {
    case null
    case bool(Bool)
    case number(Double)
    case string(String)
    case array([JSON])
    case object([String: JSON])

    init?(parsing data: Data) {
        guard let json = try? JSONDecoder().decode(JSON.self, from: data) else { return nil }
        self = json
    }

    subscript(_ name: String) -> JSON? {
        if case .object(let members) = self { members[name] } else { nil }
    }

    var text: String? { if case .string(let text) = self { text } else { nil } }
    var items: [JSON] { if case .array(let items) = self { items } else { [] } }
    var members: [String: JSON] { if case .object(let members) = self { members } else { [:] } }
    var isTrue: Bool { self == .bool(true) }

    /// As text of JSON.
    var encoded: String {
        switch self {
        case .null: "null"
        case .bool(let value): "\(value)"
        case .number(let value): value == value.rounded() && abs(value) < 1e15 ? "\(Int64(value))" : "\(value)"
        case .string(let text): String(decoding: (try? JSONEncoder().encode(text)) ?? Data(), as: UTF8.self)
        case .array(let items): "[" + items.map(\.encoded).joined(separator: ",") + "]"
        case .object(let members):
            "{"
                + members.sorted { $0.key < $1.key }.map { "\(JSON.string($0.key).encoded):\($0.value.encoded)" }
                .joined(separator: ",") + "}"
        }
    }

    /// This value with the member at a path of names (and indices) replaced; nil removes it.
    func replacing(_ path: ArraySlice<String>, with value: JSON?) -> JSON? {
        guard let step = path.first else { return value }
        switch self {
        case .object(var members):
            members[step] = path.count == 1 ? value : members[step]?.replacing(path.dropFirst(), with: value)
            return .object(members)
        case .array(var items):
            guard let index = Int(step), items.indices.contains(index) else { return self }
            if let item = items[index].replacing(path.dropFirst(), with: value) {
                items[index] = item
            } else {
                items.remove(at: index)
            }
            return .array(items)
        default: return self
        }
    }
}

/// From JSON, and from YAML.
extension JSON: Decodable {
    init(from decoder: any Decoder) throws {
        if let members = try? [String: JSON](from: decoder) {
            self = .object(members)
        } else if let items = try? [JSON](from: decoder) {
            self = .array(items)
        } else {
            let value = try decoder.singleValueContainer()
            if value.decodeNil() {
                self = .null
            } else if let bool = try? value.decode(Bool.self) {
                self = .bool(bool)
            } else if let number = try? value.decode(Double.self) {
                self = .number(number)
            } else {
                self = .string(try value.decode(String.self))
            }
        }
    }
}
