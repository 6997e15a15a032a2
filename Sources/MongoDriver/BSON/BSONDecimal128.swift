/// An IEEE 754 decimal of 128 bits in binary integer encoding, kept bit by bit.
public struct BSONDecimal128: Sendable, Hashable, Codable {
    public var high: UInt64
    public var low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }
}

/// The number as text, as the BSON specification writes it: `12.30`, `1E+6`, `-Infinity`, `NaN`.
extension BSONDecimal128: CustomStringConvertible {
    public var description: String {
        let sign = high >> 63 == 1 ? "-" : ""
        let combination = (high >> 58) & 0x1F
        if combination == 0x1F { return "NaN" }
        if combination == 0x1E { return sign + "Infinity" }

        let isLarge = combination >> 3 == 3
        let biasedExponent = isLarge ? (high >> 47) & 0x3FFF : (high >> 49) & 0x3FFF
        let exponent = Int(biasedExponent) - 6176
        // A coefficient in the large form, or above 34 digits, is not canonical and stands for zero.
        var coefficient = isLarge ? 0 : UInt128(high & 0x1_FFFF_FFFF_FFFF) << 64 | UInt128(low)
        if coefficient > Self.largestCoefficient { coefficient = 0 }
        return sign + Self.text(digits: String(coefficient), exponent: exponent)
    }

    /// 10^34 − 1.
    private static let largestCoefficient: UInt128 = (0..<34).reduce(UInt128(1)) { power, _ in power * 10 } - 1

    private static func text(digits: String, exponent: Int) -> String {
        let adjusted = exponent + digits.count - 1
        if exponent > 0 || adjusted < -6 {
            let fraction = digits.dropFirst()
            let mantissa = fraction.isEmpty ? digits : "\(digits.prefix(1)).\(fraction)"
            return "\(mantissa)E\(adjusted < 0 ? "" : "+")\(adjusted)"
        }
        if exponent == 0 { return digits }
        let point = digits.count + exponent
        if point > 0 { return "\(digits.prefix(point)).\(digits.dropFirst(point))" }
        return "0." + String(repeating: "0", count: -point) + digits
    }
}
