import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Ports for daemons under test, each given out once: a daemon that is down keeps its port until its test restarts it.
///
/// They come in blocks, below the ports that the system gives to outgoing connections. Test processes that run at once
/// leave each other's blocks alone: whoever uses one holds a socket in Linux's abstract namespace named after it, which
/// ends with its process and, as ports do, belongs to the network namespace.
enum FreePort {
    private static let blocks = 200..<320
    private static let blockSize = 100

    private static let unused = Mutex<Range<Int>>(0..<0)

    /// A TCP port on which nobody listens, and that no test was given before.
    static func any() throws -> Int {
        try unused.withLock { unused in
            while true {
                if unused.isEmpty { unused = try claimBlock() }
                let port = unused.removeFirst()
                if isFree(port) { return port }
            }
        }
    }

    private static func claimBlock() throws -> Range<Int> {
        for block in blocks.shuffled() where claim("brim-test-ports-\(block)") {
            return block * blockSize..<(block + 1) * blockSize
        }
        throw SwarmFailure("no ports left: other tests use all from 20000 to 31999")
    }

    /// Takes a name until this process ends; false when another has it.
    private static func claim(_ name: String) -> Bool {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        // A name that begins with a zero byte is no file; the length tells where it ends.
        let bytes = [0] + Array(name.utf8)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let length = MemoryLayout<sa_family_t>.size + bytes.count
        if binds(descriptor, address, length: length) { return true }
        close(descriptor)
        return false
    }

    private static func isFree(_ port: Int) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = 0
        return binds(descriptor, address, length: MemoryLayout<sockaddr_in>.size)
    }

    private static func binds<Address>(_ descriptor: Int32, _ address: Address, length: Int) -> Bool {
        withUnsafeBytes(of: address) { bytes in
            bind(descriptor, bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self), socklen_t(length)) == 0
        }
    }
}
