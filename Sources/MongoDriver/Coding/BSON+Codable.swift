/// A key of any name, or an index of an array.
struct BSONKey: CodingKey {
    let stringValue: String
    let intValue: Int?

    init(stringValue: String) {
        self.stringValue = stringValue
        intValue = nil
    }

    init(intValue: Int) {
        stringValue = String(intValue)
        self.intValue = intValue
    }

    static let `super` = BSONKey(stringValue: "super")
}

/// In BSON the value itself. In other formats, such as JSON, what that format has for it: types that only BSON knows
/// become what their own `Codable` makes of them, and do not come back.
extension BSONValue: Codable {
    public init(from decoder: any Decoder) throws {
        if let container = try? decoder.singleValueContainer() {
            if container.decodeNil() {
                self = .null
                return
            }
            if let value = try? container.decode(Bool.self) {
                self = .bool(value)
                return
            }
            if let value = try? container.decode(Int64.self) {
                self = .int64(value)
                return
            }
            if let value = try? container.decode(Double.self) {
                self = .double(value)
                return
            }
            if let value = try? container.decode(String.self) {
                self = .string(value)
                return
            }
            if let value = try? container.decode([BSONValue].self) {
                self = .array(value)
                return
            }
        }
        self = .document(try BSONDocument(from: decoder))
    }

    public func encode(to encoder: any Encoder) throws {
        switch self {
        case .document(let value): try value.encode(to: encoder)
        case .dbPointer(let value): try value.encode(to: encoder)
        case .codeWithScope(let value): try value.encode(to: encoder)
        case .regex(let value): try value.encode(to: encoder)
        case .timestamp(let value): try value.encode(to: encoder)
        default: try encodeSingle(to: encoder)
        }
    }

    private func encodeSingle(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .double(let value): try container.encode(value)
        case .string(let value), .code(let value), .symbol(let value): try container.encode(value)
        case .array(let value): try container.encode(value)
        case .binary(let value): try container.encode(value)
        case .objectID(let value): try container.encode(value)
        case .bool(let value): try container.encode(value)
        case .date: try container.encode(dateValue)
        case .int32(let value): try container.encode(value)
        case .int64(let value): try container.encode(value)
        case .decimal128(let value): try container.encode(value.description)
        default: try container.encodeNil()
        }
    }
}

/// In BSON the document itself, in other formats a keyed container.
extension BSONDocument: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: BSONKey.self)
        self.init()
        for key in container.allKeys {
            append(key.stringValue, try container.decode(BSONValue.self, forKey: key))
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: BSONKey.self)
        for (key, value) in elements {
            try container.encode(value, forKey: BSONKey(stringValue: key))
        }
    }
}
