import Foundation

/// A schema of an OpenAPI description: makes examples and finds what does not fit.
struct Schema {
    let document: OpenAPI
    let json: JSON

    init(_ document: OpenAPI, _ json: JSON) {
        self.document = document
        self.json = document.resolve(json)
    }

    private func schema(_ json: JSON) -> Schema { Schema(document, json) }

    var properties: [String: Schema] { (json["properties"]?.members ?? [:]).mapValues(schema) }
    var required: Set<String> { Set((json["required"]?.items ?? []).compactMap(\.text)) }
    private var isNullable: Bool { json["nullable"]?.isTrue == true }
    private var alternatives: [Schema] { ((json["oneOf"] ?? json["allOf"])?.items ?? []).map(schema) }
    private var type: String? { json["type"]?.text }

    // MARK: Examples

    /// A value that fits, with all properties.
    func sample(name: String = "") -> JSON {
        if let example = json["example"], type == "string" { return example }
        if let first = json["enum"]?.items.first { return first }
        if let first = alternatives.first { return first.sample(name: name) }
        switch type {
        case "boolean": return .bool(false)
        case "integer", "number": return .number(max(1, json["minimum"].flatMap(Self.number) ?? 1))
        case "array": return .array(json["items"].map { [schema($0).sample(name: name)] } ?? [])
        case "string": return .string(text(name))
        default: return .object(Dictionary(uniqueKeysWithValues: properties.map { ($0, $1.sample(name: $0)) }))
        }
    }

    private func text(_ name: String) -> String {
        switch json["pattern"]?.text {
        case let pattern? where pattern.contains("{24}"): "6920a1b2c3d4e5f601020304"
        case let pattern? where pattern.contains("crc32c"): "crc32c:00000000"
        case .some: "ghost"
        case nil: name == "address" ? "127.0.0.1:1" : "text"
        }
    }

    private static func number(_ json: JSON) -> Double? { if case .number(let value) = json { value } else { nil } }

    // MARK: Ways to be wrong

    /// Values made from one that fits, each of which must be refused, with what is wrong with it.
    func wrongs(of sample: JSON, at path: [String] = []) -> [(why: String, value: JSON)] {
        wrongs(within: sample, root: sample, at: path)
    }

    private func wrongs(within value: JSON, root: JSON, at path: [String]) -> [(why: String, value: JSON)] {
        var found: [(String, JSON)] = []
        let place = path.joined(separator: ".")
        for wrong in wrongTypes where !path.isEmpty || wrong != .null {
            if let whole = root.replacing(path[...], with: wrong) {
                found.append(("\(place) is \(wrong.encoded.prefix(30))", whole))
            }
        }
        for (name, property) in properties {
            guard let member = value[name] else { continue }
            if required.contains(name), let without = root.replacing((path + [name])[...], with: nil) {
                found.append(("\(place).\(name) is missing", without))
            }
            found += property.wrongs(within: member, root: root, at: path + [name])
        }
        if type == "array", let items = json["items"], let first = value.items.first {
            found += schema(items).wrongs(within: first, root: root, at: path + ["0"])
        }
        return found
    }

    private var wrongTypes: [JSON] {
        switch type {
        case "boolean": [.number(1), .string("true"), .array([]), .object([:])]
        case "integer": [.bool(true), .string("1"), .number(1.5), .number(1e300), .array([]), .object([:])]
        case "number": [.bool(true), .string("1"), .array([]), .object([:])]
        case "string": [.bool(true), .number(1), .array([]), .object([:])]
        case "array": [.bool(true), .number(1), .string("text"), .object(["a": .null])]
        case "object": [.bool(true), .number(1), .string("text"), .array([.number(1)])]
        default: []
        }
    }

    // MARK: What does not fit

    /// Why a value does not fit; empty when it does.
    func faults(of value: JSON, at place: String = "$") -> [String] {
        if value == .null { return isNullable || type == nil ? [] : ["\(place) is null"] }
        if let alternatives = json["oneOf"]?.items.map(schema) {
            let all = alternatives.map { $0.faults(of: value, at: place) }
            return all.contains([]) ? [] : all.first ?? []
        }
        if let all = json["allOf"]?.items.map(schema) { return all.flatMap { $0.faults(of: value, at: place) } }
        if let allowed = json["enum"]?.items, !allowed.contains(value) { return ["\(place) is \(value.encoded)"] }
        switch (type, value) {
        case ("boolean", .bool), ("number", .number): return []
        case ("integer", .number(let number)):
            return number == number.rounded() && number >= (json["minimum"].flatMap(Self.number) ?? -.infinity)
                ? [] : ["\(place) is \(number)"]
        case ("string", .string(let text)):
            guard let pattern = json["pattern"]?.text, let regex = try? Regex(pattern) else { return [] }
            return text.wholeMatch(of: regex) == nil ? ["\(place) is '\(text)'"] : []
        case ("array", .array(let items)):
            guard let item = json["items"].map(schema) else { return [] }
            return items.enumerated().flatMap { item.faults(of: $1, at: "\(place)[\($0)]") }
        case ("object", .object(let members)), (nil, .object(let members)):
            let missing = required.filter { members[$0] == nil }.map { "\(place).\($0) is missing" }
            let known = properties
            let unknown =
                json["additionalProperties"] == nil && !known.isEmpty
                ? members.keys.filter { known[$0] == nil }.map { "\(place).\($0) is not described" } : []
            return missing + unknown
                + members.flatMap { name, member in known[name]?.faults(of: member, at: "\(place).\(name)") ?? [] }
        default: return ["\(place) is \(value.encoded.prefix(40)), not \(type ?? "as described")"]
        }
    }
}
