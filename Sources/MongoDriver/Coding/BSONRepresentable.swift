import Foundation

/// A type that the coders turn into one BSON value, instead of asking it to code itself.
protocol BSONRepresentable {
    var bsonValue: BSONValue { get }
    /// Nil if the value is of another type.
    init?(bsonValue: BSONValue)
}

extension BSONValue: BSONRepresentable {
    var bsonValue: BSONValue { self }
    init?(bsonValue: BSONValue) { self = bsonValue }
}

extension BSONDocument: BSONRepresentable {
    var bsonValue: BSONValue { .document(self) }
    init?(bsonValue: BSONValue) {
        guard let value = bsonValue.documentValue else { return nil }
        self = value
    }
}

extension ObjectID: BSONRepresentable {
    var bsonValue: BSONValue { .objectID(self) }
    init?(bsonValue: BSONValue) {
        guard let value = bsonValue.objectIDValue else { return nil }
        self = value
    }
}

extension BSONBinary: BSONRepresentable {
    var bsonValue: BSONValue { .binary(self) }
    init?(bsonValue: BSONValue) {
        guard let value = bsonValue.binaryValue else { return nil }
        self = value
    }
}

extension BSONTimestamp: BSONRepresentable {
    var bsonValue: BSONValue { .timestamp(self) }
    init?(bsonValue: BSONValue) {
        guard let value = bsonValue.timestampValue else { return nil }
        self = value
    }
}

extension BSONDecimal128: BSONRepresentable {
    var bsonValue: BSONValue { .decimal128(self) }
    init?(bsonValue: BSONValue) {
        guard case .decimal128(let value) = bsonValue else { return nil }
        self = value
    }
}

extension BSONRegex: BSONRepresentable {
    var bsonValue: BSONValue { .regex(self) }
    init?(bsonValue: BSONValue) {
        guard case .regex(let value) = bsonValue else { return nil }
        self = value
    }
}

extension BSONDBPointer: BSONRepresentable {
    var bsonValue: BSONValue { .dbPointer(self) }
    init?(bsonValue: BSONValue) {
        guard case .dbPointer(let value) = bsonValue else { return nil }
        self = value
    }
}

extension BSONCodeWithScope: BSONRepresentable {
    var bsonValue: BSONValue { .codeWithScope(self) }
    init?(bsonValue: BSONValue) {
        guard case .codeWithScope(let value) = bsonValue else { return nil }
        self = value
    }
}

extension Date: BSONRepresentable {
    var bsonValue: BSONValue { BSONValue(self) }
    init?(bsonValue: BSONValue) {
        guard let value = bsonValue.dateValue else { return nil }
        self = value
    }
}

extension Data: BSONRepresentable {
    var bsonValue: BSONValue { .binary(BSONBinary(Array(self))) }
    init?(bsonValue: BSONValue) {
        guard let value = bsonValue.binaryValue else { return nil }
        self.init(value.bytes)
    }
}
