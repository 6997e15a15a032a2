import BrimModel
import Foundation

/// Finds the address under which a peer would reach this machine.
public enum LocalAddress {
    /// The address from which `host` is reached. Asks the routing table only: nothing is sent. Blocks while the name is
    /// looked up. nil when there is no way to it.
    public static func reaching(_ host: String, port: Int) -> String? {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_DGRAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, String(port), &hints, &found) == 0 else { return nil }
        defer { freeaddrinfo(found) }
        var next = found
        while let info = next?.pointee {
            if let address = local(info) { return address }
            next = info.ai_next
        }
        return nil
    }

    /// The address under which other machines reach this one: that from which it reaches one of `peers` on another
    /// machine, else that from which it reaches the world. nil when it has none but its loopback.
    public static func ofThisMachine(towards peers: [HostPort]) -> String? {
        // An address that is reserved for examples: all that matters is the way there.
        let world = HostPort(host: "192.0.2.1", port: 9)
        return (peers + [world]).lazy.compactMap { reaching($0.host, port: $0.port) }.first { !isLoopback($0) }
    }

    /// Whether a name or address is one of this machine: something can be bound to it. Blocks while the name is looked up.
    public static func isOfThisMachine(_ host: String) -> Bool {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_DGRAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, nil, &hints, &found) == 0 else { return false }
        defer { freeaddrinfo(found) }
        var next = found
        while let info = next?.pointee {
            let descriptor = socket(info.ai_family, info.ai_socktype, 0)
            defer { close(descriptor) }
            if descriptor >= 0, bind(descriptor, info.ai_addr, info.ai_addrlen) == 0 { return true }
            next = info.ai_next
        }
        return false
    }

    /// Whether an address or URL means the machine that it is used on.
    public static func isLoopback(_ text: String) -> Bool {
        let host = text.hasPrefix("http://") ? text.dropFirst(7) : text[...]
        return host.hasPrefix("127.") || host.hasPrefix("localhost") || host.hasPrefix("::1") || host.hasPrefix("[::1]")
    }

    /// Masters that others told of, less those in `known`, and less those that say they are on this very machine unless one
    /// that is known is here.
    public static func newMasters(_ urls: [String], besides known: [String]) -> [String] {
        reachable(urls, with: known).filter { !known.contains($0) }.prefix(most).map(\.self)
    }

    /// Those of `urls` that are where they say: one that says it is on this very machine is not, unless one that is known
    /// is here.
    public static func reachable(_ urls: [String], with known: [String]) -> [String] {
        let isHere = known.contains(where: isLoopback)
        return urls.filter { isHere || !isLoopback($0) }
    }

    /// Masters learned of, beyond which more are of no use.
    private static let most = 64

    private static func local(_ info: addrinfo) -> String? {
        let descriptor = socket(info.ai_family, info.ai_socktype, 0)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        guard connect(descriptor, info.ai_addr, info.ai_addrlen) == 0 else { return nil }
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        var name = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        let result = withUnsafeMutablePointer(to: &storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address -> Int32 in
                guard getsockname(descriptor, address, &length) == 0 else { return -1 }
                return getnameinfo(address, length, &name, socklen_t(name.count), nil, 0, NI_NUMERICHOST)
            }
        }
        guard result == 0 else { return nil }
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
