import BrimModel
import Foundation

/// TCP ports on loopback that nobody listens on.
enum FreePort {
    /// Whether 127.0.0.1:`port` can be listened on now.
    static func isFree(_ port: Int) -> Bool { bound(to: port) != nil }

    /// A free port above 1023, below those that Linux gives to outgoing connections: another one of these could have it
    /// whenever it is wanted again. Throws `.io` when there is none.
    static func find() throws -> Int {
        for _ in 0..<100 {
            let port = Int.random(in: 20_000..<32_000)
            if isFree(port) { return port }
        }
        guard let port = bound(to: 0) else { throw BrimError(.io, "no free TCP port on 127.0.0.1") }
        return port
    }

    private static func bound(to port: Int) -> Int? {
        guard (0...65535).contains(port) else { return nil }
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(port).bigEndian)
        address.sin_addr.s_addr = in_addr_t(UInt32(0x7f00_0001).bigEndian)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        return withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { raw in
                guard bind(descriptor, raw, length) == 0, getsockname(descriptor, raw, &length) == 0 else { return nil }
                return Int(UInt16(bigEndian: pointer.pointee.sin_port))
            }
        }
    }
}
