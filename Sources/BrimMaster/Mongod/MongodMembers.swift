import BrimModel
import BrimWire

/// The replica set that a swarm runs itself, with `brim mongod` on several machines. Its members know each other, and the
/// masters, by keys that are derived from the swarm's password.
public struct MongodMembers: Sendable, CustomStringConvertible {
    /// Of the replica set; the same as that of a master's own mongod, so that such a one can become a member.
    static let replicaSet = "brim"
    /// What a mongod answers that has no configuration of a replica set: the code of NotYetInitialized.
    static let notInitialized = 94
    /// The masters' user.
    static let user = "brim"

    /// As they reach each other. The first one begins a new set.
    public let hosts: [HostPort]
    private let keys: SwarmKeys

    public init(_ hosts: [HostPort], keys: SwarmKeys) {
        self.hosts = hosts
        self.keys = keys
    }

    /// Nothing of the keys: services are described in logs with all they hold.
    public var description: String { hosts.map(\.description).joined(separator: ",") }

    /// The content of a key file.
    var key: String { keys.mongodKey }

    /// For masters and shells: with the rights to read and write databases, to set up their collections, and to look how the
    /// set is. Holds a password.
    public var uri: String {
        "mongodb://\(Self.user):\(keys.mongodPassword)@\(self)/?replicaSet=\(Self.replicaSet)&authSource=admin"
    }

    var password: String { keys.mongodPassword }

    /// For one member alone, whatever its state, with all rights. Holds a password.
    func directURI(_ host: HostPort) -> String {
        "mongodb://__system:\(key)@\(host)/?authSource=local&directConnection=true"
    }

    /// Which of the members this machine is, that listens on `port`. Blocks while names are looked up. Throws `.invalid` when
    /// none is, or several are.
    public func own(port: Int) throws -> HostPort {
        let own = hosts.filter { $0.port == port && LocalAddress.isOfThisMachine($0.host) }
        guard let first = own.first else {
            throw BrimError(
                .invalid, "none of the members \(self) is this machine with port \(port)",
                advice: "Name this machine among --members, or say which one it is with --advertise")
        }
        guard own.count == 1 else {
            throw BrimError(
                .invalid, "the members \(own.map(\.description).joined(separator: " and ")) are both this machine",
                advice: "Say which one it is with --advertise")
        }
        return first
    }
}
