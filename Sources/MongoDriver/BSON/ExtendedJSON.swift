import Foundation

extension BSONDocument: CustomStringConvertible {
    /// Relaxed extended JSON (version 2) on one line.
    public var description: String {
        "{" + elements.map { "\(jsonString($0.key)): \($0.value)" }.joined(separator: ", ") + "}"
    }
}

extension BSONValue: CustomStringConvertible {
    /// Relaxed extended JSON (version 2) on one line.
    public var description: String {
        switch self {
        case .double(let value): value.isFinite ? "\(value)" : wrapped("numberDouble", jsonString(Self.text(of: value)))
        case .string(let value): jsonString(value)
        case .document(let value): "\(value)"
        case .array(let value): "[" + value.map(\.description).joined(separator: ", ") + "]"
        case .binary(let value):
            wrapped(
                "binary",
                """
                {"base64": \(jsonString(Data(value.bytes).base64EncodedString())), \
                "subType": "\(String(format: "%02x", value.subtype))"}
                """)
        case .undefined: wrapped("undefined", "true")
        case .objectID(let value): wrapped("oid", jsonString(value.hex))
        case .bool(let value): value ? "true" : "false"
        case .date(let milliseconds): wrapped("date", Self.text(ofDate: milliseconds))
        case .null: "null"
        case .regex(let value):
            wrapped(
                "regularExpression",
                "{\"pattern\": \(jsonString(value.pattern)), \"options\": \(jsonString(value.options))}")
        case .dbPointer(let value):
            wrapped("dbPointer", "{\"$ref\": \(jsonString(value.namespace)), \"$id\": \(BSONValue.objectID(value.id))}")
        case .code(let value): wrapped("code", jsonString(value))
        case .codeWithScope(let value): "{\"$code\": \(jsonString(value.code)), \"$scope\": \(value.scope)}"
        case .symbol(let value): wrapped("symbol", jsonString(value))
        case .int32(let value): "\(value)"
        case .timestamp(let value): wrapped("timestamp", "{\"t\": \(value.seconds), \"i\": \(value.increment)}")
        case .int64(let value): "\(value)"
        case .decimal128(let value): wrapped("numberDecimal", jsonString("\(value)"))
        case .minKey: wrapped("minKey", "1")
        case .maxKey: wrapped("maxKey", "1")
        }
    }

    private func wrapped(_ name: String, _ json: String) -> String { "{\"$\(name)\": \(json)}" }

    private static func text(of value: Double) -> String {
        value.isNaN ? "NaN" : value < 0 ? "-Infinity" : "Infinity"
    }

    /// ISO 8601 for the years 1970 to 9999, else the number of milliseconds.
    private static func text(ofDate milliseconds: Int64) -> String {
        guard (0..<253_402_300_800_000).contains(milliseconds) else {
            return "{\"$numberLong\": \"\(milliseconds)\"}"
        }
        let date = Date(timeIntervalSince1970: Double(milliseconds / 1000))
        let seconds = date.formatted(.iso8601)
        let fraction = milliseconds % 1000
        return jsonString(fraction == 0 ? seconds : seconds.dropLast() + String(format: ".%03dZ", Int(fraction)))
    }
}

/// A JSON string with its quotes.
private func jsonString(_ text: some StringProtocol) -> String {
    var json = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"": json += "\\\""
        case "\\": json += "\\\\"
        case "\n": json += "\\n"
        case "\r": json += "\\r"
        case "\t": json += "\\t"
        case _ where scalar.value < 0x20 || scalar.value == 0x7F: json += String(format: "\\u%04x", scalar.value)
        default: json.unicodeScalars.append(scalar)
        }
    }
    return json + "\""
}
