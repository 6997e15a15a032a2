import HTTPTypes

/// Headers of our own.
public enum BrimHeader: String {
    /// A target's place in the chain of a write, from 1; the client leaves it out.
    case brimHop = "Brim-Hop"
    /// The checksum of a whole blob.
    case brimChecksum = "Brim-Checksum"
    /// Names a request that changes names: sent again with the same value it is not carried out again.
    case brimRequest = "Brim-Request"
    /// Set by a master that passes a request on to the leader.
    case brimForwarded = "Brim-Forwarded"

    /// For header fields of a message; nil never happens for these names.
    public var name: HTTPField.Name? { HTTPField.Name(rawValue) }
}

extension HTTPFields {
    public func value(of header: BrimHeader) -> String? { header.name.flatMap { self[$0] } }

    public mutating func set(_ header: BrimHeader, _ value: String) {
        if let name = header.name { self[name] = value }
    }
}
