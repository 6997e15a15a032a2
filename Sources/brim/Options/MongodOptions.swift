import ArgumentParser
import BrimMaster
import BrimModel
import BrimWire

/// Which machines hold the metadata: the same list on all of them.
struct MembersOptions: ParsableArguments, Sendable {
    @Option(
        help: ArgumentHelp(
            "The members of the replica set, as they reach each other; the same list on all machines. BRIM_MEMBERS.",
            valueName: "host[:port][,...]"),
        transform: { try mongodMembers(parsing: $0) })
    var members: [HostPort]?

    @OptionGroup var secrets: SecretOptions

    /// Throws a `UsageError` when no members are named.
    func resolve(_ settings: Settings) throws -> MongodMembers {
        let hosts = try settings.value("members", flag: members) { try mongodMembers(parsing: $0) }
        guard let hosts else {
            throw UsageError("Name the members of the replica set with --members HOST[,HOST…] (BRIM_MEMBERS).")
        }
        return MongodMembers(hosts, keys: try SwarmKeys(password: try secrets.password(settings)))
    }
}
