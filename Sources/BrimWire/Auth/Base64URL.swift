import Foundation

/// Base 64 with the URL-safe alphabet and without padding (RFC 4648, section 5).
enum Base64URL {
    static func encode(_ data: Data) -> String {
        var text = Array(data.base64EncodedString().utf8)
        while text.last == UInt8(ascii: "=") { text.removeLast() }
        for i in text.indices {
            switch text[i] {
            case UInt8(ascii: "+"): text[i] = UInt8(ascii: "-")
            case UInt8(ascii: "/"): text[i] = UInt8(ascii: "_")
            default: break
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    static func decode(_ bytes: some Collection<UInt8>) -> Data? {
        var text: [UInt8] = []
        text.reserveCapacity(bytes.count + 3)
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "-"): text.append(UInt8(ascii: "+"))
            case UInt8(ascii: "_"): text.append(UInt8(ascii: "/"))
            case UInt8(ascii: "+"), UInt8(ascii: "/"), UInt8(ascii: "="): return nil
            default: text.append(byte)
            }
        }
        while text.count % 4 != 0 { text.append(UInt8(ascii: "=")) }
        return Data(base64Encoded: Data(text))
    }
}
