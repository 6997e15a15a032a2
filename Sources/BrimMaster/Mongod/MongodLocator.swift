import BrimModel
import Foundation

/// Finds a mongod on this machine.
enum MongodLocator {
    /// The mongod to start: `explicit`, else on PATH, else the newest one that `deploy/get-mongod` installed below the
    /// cache directory. Throws `.unavailable` with the ways to get one.
    static func locate(
        explicit: String?, environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws -> URL {
        if let explicit {
            guard isExecutable(explicit) else {
                throw BrimError(
                    .unavailable, "there is no mongod at \(explicit)", advice: "Check --mongod (BRIM_MONGOD)",
                    retryable: false)
            }
            return URL(fileURLWithPath: explicit)
        }
        let path = (environment["PATH"] ?? "").split(separator: ":").map { "\($0)/mongod" }
        guard let found = (path + cached(environment)).first(where: isExecutable) else {
            throw BrimError(
                .unavailable, "no mongod was found on PATH or in \(cacheDirectory(environment).path)",
                advice: "Run deploy/get-mongod, name one with --mongod PATH (BRIM_MONGOD), or use a running "
                    + "MongoDB with --mongodb URI",
                retryable: false)
        }
        return URL(fileURLWithPath: found)
    }

    private static func cacheDirectory(_ environment: [String: String]) -> URL {
        let base = environment["XDG_CACHE_HOME"].flatMap { $0.isEmpty ? nil : URL(fileURLWithPath: $0) }
        let home = URL(fileURLWithPath: environment["HOME"] ?? "/").appendingPathComponent(".cache")
        return (base ?? home).appendingPathComponent("brim")
    }

    private static func cached(_ environment: [String: String]) -> [String] {
        let cache = cacheDirectory(environment)
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: cache.path)) ?? []
        let newestFirst = versions.filter { $0.hasPrefix("mongod") }
            .sorted { $0.compare($1, options: .numeric) == .orderedDescending }
        return newestFirst.flatMap {
            [
                cache.appendingPathComponent($0).appendingPathComponent("mongod").path,
                cache.appendingPathComponent($0).path,
            ]
        }
    }

    private static func isExecutable(_ path: String) -> Bool {
        var isDirectory: ObjCBool = false
        return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) && !isDirectory.boolValue
            && FileManager.default.isExecutableFile(atPath: path)
    }
}
