import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Hosts on one switch, as network namespaces whose links can be cut, each direction for itself, or made to lose packets.
/// Needs root, `ip` and `nft`.
///
/// This process is on the switch too (``outside``). Who receives a packet drops it; what is for this process is dropped by
/// who sends it. What is cut is silent, as a cable that was pulled. The guard of ``TestRun`` removes it all when this
/// process dies.
public final class TestNetwork: Sendable {
    /// A direction between two hosts.
    public struct Link: Sendable, Hashable {
        public var from: String
        public var to: String

        public init(from: String, to: String) { (self.from, self.to) = (from, to) }
    }

    /// The name of this process among the hosts.
    public static let outside = "outside"

    private let prefix: String
    private let hosts: [String: TestHost]

    private init(prefix: String, hosts: [String: TestHost]) {
        self.prefix = prefix
        self.hosts = hosts
    }

    /// The names of all hosts but ``outside``, sorted.
    public var names: [String] { hosts.keys.filter { $0 != Self.outside }.sorted() }

    /// Throws when there is none of that name.
    public func host(_ name: String) throws -> TestHost {
        guard let host = hosts[name] else { throw SwarmFailure("no host \(name) in this network") }
        return host
    }

    /// Why there can be no network here; nil when there can.
    public static func obstacle() async throws -> String? {
        guard geteuid() == 0 else { return "it needs root" }
        let trial = """
            n=brim-trial-$$; ip netns add $n && ip netns exec $n nft add table ip brim; s=$?
            ip netns del $n 2>/dev/null; exit $s
            """
        let (status, output) = try await runShell(trial)
        return status == 0 ? nil : "there are no network namespaces with nftables: \(output)"
    }

    // MARK: - Making and removing

    public static func make(_ names: [String]) async throws -> TestNetwork {
        let prefix = try TestRun.shared().namespacePrefix
        let subnet = try await freeSubnet()
        var hosts = [outside: TestHost(name: outside, address: "\(subnet).1", namespace: nil)]
        for (number, name) in names.enumerated() {
            hosts[name] = TestHost(name: name, address: "\(subnet).\(number + 2)", namespace: "\(prefix)\(name)")
        }
        let network = TestNetwork(prefix: prefix, hosts: hosts)
        // Names of links are short, and those that lead to this process must be no one else's.
        let root = "bt\(getpid())n\(subnet.split(separator: ".").last ?? "")"
        var script = """
            set -e
            ip netns add \(prefix)switch
            ip -n \(prefix)switch link add switch type bridge
            ip -n \(prefix)switch link set switch up
            ip link add \(root) type veth peer name port1 netns \(prefix)switch
            ip -n \(prefix)switch link set port1 master switch up
            ip addr add \(subnet).1/24 dev \(root)
            ip link set \(root) up

            """
        for host in hosts.values.sorted(by: { $0.name < $1.name }) {
            guard let namespace = host.namespace else { continue }
            let port = "p\(host.address.split(separator: ".").last ?? "")"
            script += """
                ip netns add \(namespace)
                ip link add \(port) netns \(prefix)switch type veth peer name eth0 netns \(namespace)
                ip -n \(prefix)switch link set \(port) master switch up
                ip -n \(namespace) addr add \(host.address)/24 dev eth0
                ip -n \(namespace) link set eth0 up
                ip -n \(namespace) link set lo up
                ip netns exec \(namespace) nft add table ip brim
                ip netns exec \(namespace) nft 'add chain ip brim input { type filter hook input priority 0; }'
                ip netns exec \(namespace) nft 'add chain ip brim output { type filter hook output priority 0; }'

                """
        }
        do {
            try await mustSucceed(script)
            return network
        } catch {
            await network.remove()
            throw error
        }
    }

    private static func freeSubnet() async throws -> String {
        let (_, taken) = try await runShell("ip -4 -o addr; ip route")
        for number in (1...250).shuffled() where !taken.contains(" 10.213.\(number).") { return "10.213.\(number)" }
        throw SwarmFailure("every network 10.213.x.0 is taken")
    }

    /// Nothing may run on the hosts any more.
    public func remove() async {
        let names = (hosts.values.compactMap(\.namespace) + ["\(prefix)switch"]).joined(separator: " ")
        _ = try? await runShell("for n in \(names); do ip netns del $n 2>/dev/null; done")
    }

    // MARK: - Breaking and mending

    /// Cuts these links, has those lose that many percent of their packets, and mends all others.
    public func set(cut: Set<Link>, loss: [Link: Int] = [:]) async throws {
        var scripts: [String: String] = [:]
        for name in names { scripts[name] = "flush chain ip brim input\nflush chain ip brim output\n" }
        for link in cut { try add("drop", to: link, &scripts) }
        for (link, percent) in loss { try add("numgen random mod 100 < \(percent) drop", to: link, &scripts) }
        for (name, rules) in scripts.sorted(by: { $0.key < $1.key }) {
            let namespace = try host(name).namespace ?? ""
            try await mustSucceed("ip netns exec \(namespace) nft -f - <<'END'\n\(rules)END\n")
        }
    }

    private func add(_ verdict: String, to link: Link, _ scripts: inout [String: String]) throws {
        let (from, to) = (try host(link.from), try host(link.to))
        if to.namespace != nil {
            scripts[link.to, default: ""] += "add rule ip brim input ip saddr \(from.address) \(verdict)\n"
        } else if from.namespace != nil {
            scripts[link.from, default: ""] += "add rule ip brim output ip daddr \(to.address) \(verdict)\n"
        }
    }
}
