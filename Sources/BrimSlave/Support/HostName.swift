import BrimModel
import Foundation

/// Names for servers that were given none.
enum HostName {
    /// This host's name without its domain.
    static var current: String {
        var buffer = [CChar](repeating: 0, count: 256)
        guard gethostname(&buffer, buffer.count - 1) == 0 else { return "localhost" }
        let name = buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        return String(decoding: name.prefix { $0 != UInt8(ascii: ".") }, as: UTF8.self)
    }

    /// A legal server name made of a host's: other characters become `-`; number 2 and on are appended (`alpha-2`).
    static func serverName(host: String, number: Int = 1) throws -> ServerName {
        let suffix = number > 1 ? "-\(number)" : ""
        let legal = host.unicodeScalars.map { scalar -> Character in
            let isLegal = scalar.isASCII && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar))
            return isLegal || scalar == "-" || scalar == "_" || scalar == "." ? Character(scalar) : "-"
        }
        let base = String(legal.drop { !$0.isLetter && !$0.isNumber }.prefix(63 - suffix.count))
        return try ServerName(validating: (base.isEmpty ? "server" : base) + suffix)
    }
}
