import Foundation
import Synchronization

/// A 12-byte identifier: 4 bytes of seconds since 1970, 5 random bytes per process, a counter of 3 bytes.
///
/// Ids made later by one process sort later. See the BSON ObjectId specification.
public struct ObjectID: Sendable, Hashable, Comparable {
    /// The first eight bytes, most significant first.
    private let high: UInt64
    /// The last four bytes, most significant first.
    private let low: UInt32

    private static let processRandom = UInt64.random(in: 0..<(1 << 40))
    private static let counter = Atomic<UInt32>(UInt32.random(in: 0..<(1 << 24)))

    /// A new id, unlike any other.
    public init() {
        let seconds = UInt64(UInt32(truncatingIfNeeded: Int64(Date().timeIntervalSince1970)))
        let count = Self.counter.wrappingAdd(1, ordering: .relaxed).oldValue & 0xFF_FFFF
        high = seconds << 32 | Self.processRandom >> 8
        low = UInt32(truncatingIfNeeded: Self.processRandom & 0xFF) << 24 | count
    }

    /// Nil unless there are exactly 12 bytes.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 12 else { return nil }
        high = bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
        low = bytes.dropFirst(8).reduce(0) { $0 << 8 | UInt32($1) }
    }

    /// Nil unless `hex` is exactly 24 hexadecimal digits, of either case.
    public init?(_ hex: String) {
        var bytes: [UInt8] = []
        var pending: UInt8?
        for character in hex.utf8 {
            guard let digit = Self.digit(character) else { return nil }
            if let first = pending {
                bytes.append(first << 4 | digit)
                pending = nil
            } else {
                pending = digit
            }
        }
        guard pending == nil else { return nil }
        self.init(bytes: bytes)
    }

    /// The 12 bytes, as they are stored.
    public var bytes: [UInt8] {
        withUnsafeBytes(of: high.bigEndian) { Array($0) } + withUnsafeBytes(of: low.bigEndian) { Array($0) }
    }

    /// 24 lower-case hexadecimal digits.
    public var hex: String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(24)
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// When the id was made, to the second.
    public var timestamp: Date { Date(timeIntervalSince1970: TimeInterval(high >> 32)) }

    public static func < (left: ObjectID, right: ObjectID) -> Bool {
        (left.high, left.low) < (right.high, right.low)
    }

    private static func digit(_ character: UInt8) -> UInt8? {
        switch character {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): character - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): character - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}

extension ObjectID: LosslessStringConvertible {
    public var description: String { hex }
}

/// In BSON an ObjectId, in any other format its hexadecimal digits.
extension ObjectID: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let value = ObjectID(text) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "not 24 hexadecimal digits: \(text)")
        }
        self = value
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(hex)
    }
}
