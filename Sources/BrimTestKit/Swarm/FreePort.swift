#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Ports for daemons under test.
enum FreePort {
    /// A TCP port on which nobody listens, below those that the system gives to outgoing connections, so that only
    /// another listener could take it before its user does.
    static func any() throws -> Int {
        for _ in 0..<1000 {
            let port = Int.random(in: 20_000..<32_000)
            if isFree(port) { return port }
        }
        throw SwarmFailure("no free port from 20000 to 31999")
    }

    private static func isFree(_ port: Int) -> Bool {
        guard let holder = try? PortHolder(port: port) else { return false }
        holder.close()
        return true
    }
}

/// Keeps a TCP port from everybody else.
public final class PortHolder: Sendable {
    private let descriptor: Int32

    /// Takes a port of all addresses. Throws ``SwarmFailure`` when somebody has it.
    public init(port: Int) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = 0
        // As a server does: connections that ended a moment ago are not in the way.
        var yes: Int32 = 1
        let isBound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size)) == 0
                    && bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
                    && listen(descriptor, 1) == 0
            }
        }
        guard isBound else {
            close()
            throw SwarmFailure("port \(port) cannot be taken: errno \(errno)")
        }
    }

    public func close() {
        if descriptor >= 0 { _ = Glibc.close(descriptor) }
    }
}
