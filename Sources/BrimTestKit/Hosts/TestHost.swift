import Foundation

/// Where a process of a test runs: on loopback, or on a host of a ``TestNetwork``.
public struct TestHost: Sendable, Hashable {
    public static let loopback = TestHost(name: "localhost", address: "127.0.0.1", namespace: nil)

    public var name: String
    /// IPv4.
    public var address: String
    /// The network namespace; nil: that of this process.
    var namespace: String?

    /// The command that runs another one on this host, under the same process id.
    func command(_ executable: URL, _ arguments: [String]) -> (executable: URL, arguments: [String]) {
        guard let namespace else { return (executable, arguments) }
        return (
            URL(filePath: "/usr/bin/env"),
            ["nsenter", "--net=/run/netns/\(namespace)", "--", executable.path] + arguments
        )
    }
}
