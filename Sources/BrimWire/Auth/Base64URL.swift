import Foundation

/// Base 64 with the URL-safe alphabet and without padding (RFC 4648, section 5).
enum Base64URL {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
    /// The value of each byte that is a digit; 255 for all others.
    private static let values: [UInt8] = {
        var values = [UInt8](repeating: 255, count: 256)
        for (value, digit) in alphabet.enumerated() { values[Int(digit)] = UInt8(value) }
        return values
    }()

    static func encode(_ data: some Collection<UInt8>) -> String {
        let length = (data.count * 4 + 2) / 3
        let alphabet = alphabet
        return String(unsafeUninitializedCapacity: length) { text in
            var (bits, count, next) = (UInt32(0), 0, 0)
            for byte in data {
                bits = bits << 8 | UInt32(byte)
                count += 8
                while count >= 6 {
                    count -= 6
                    text[next] = alphabet[Int(bits >> UInt32(count) & 63)]
                    next += 1
                }
            }
            if count > 0 { text[next] = alphabet[Int(bits << UInt32(6 - count) & 63)] }
            return length
        }
    }

    /// nil for other characters than the alphabet's, and for a length that no text has.
    static func decode(_ text: some Collection<UInt8>) -> Data? {
        let length = text.count
        guard length % 4 != 1 else { return nil }
        let values = values
        var bytes: [UInt8] = []
        bytes.reserveCapacity(length * 3 / 4)
        var (bits, count) = (UInt32(0), 0)
        for digit in text {
            let value = values[Int(digit)]
            guard value < 64 else { return nil }
            bits = bits << 6 | UInt32(value)
            count += 6
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
        }
        return Data(bytes)
    }
}
