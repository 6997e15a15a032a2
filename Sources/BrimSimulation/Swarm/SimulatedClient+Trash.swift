import BrimModel
import BrimWire

/// What was removed or overwritten is brought back, or purged.
extension SimulatedClient {
    /// Brings back what was removed last from `path`; both paths are busy meanwhile.
    func undelete(_ path: BrimPath, to target: BrimPath) async throws {
        let former = world.expectations.value.contents(target)
        let bytes: Confined<Int64> = Confined(0)
        let isBack = try await settle(doneIf: .exists) {
            bytes.value = try await $0.undelete(path, to: target).bytes
        }
        world.note("client", "undeleted", isBack.map { $0 ? 1 : 0 } ?? 2, "\(path) to \(target)")
        let history = world.expectations.value.history(target)
        switch isBack {
        case true?:
            let fitting = history.filter { $0.size == bytes.value }
            if fitting.isEmpty { world.fail("\(path) is brought back with \(bytes.value) bytes, which it never had") }
            world.count(.undeleted)
            world.expectations.value.end(target, Set(fitting.map(\.self)))
        case false?: world.expectations.value.end(target)
        case nil: world.expectations.value.end(target, former.union(history.map(\.self)))
        }
        if path != target { world.expectations.value.end(path) }
    }

    /// Makes one of the former versions of a file the current one.
    func restore(_ path: BrimPath) async throws {
        let former = world.expectations.value.contents(path)
        let versions = try? await master { try await $0.versions(path) }
        guard let version = world.one(of: versions?.filter { !$0.current } ?? []) else {
            return world.expectations.value.end(path)
        }
        let stat: Confined<FileStat?> = Confined(nil)
        let isDone = try await settle { stat.value = try await $0.restore(path, version: version.version) }
        world.note("client", "restored", isDone.map { $0 ? 1 : 0 } ?? 2, "version \(version.version) of \(path)")
        switch isDone {
        case true?:
            guard let stat = stat.value, let checksum = stat.checksum else {
                return world.fail("\(path) was restored and is no file")
            }
            let content = Content(size: stat.size, checksum: checksum)
            if stat.size != version.size || !world.expectations.value.history(path).contains(content) {
                world.fail("\(path) was restored to \(content), which is not its version \(version)")
            }
            world.count(.restored)
            world.expectations.value.end(path, [content])
        case false?: world.expectations.value.end(path)
        case nil:
            let history = world.expectations.value.history(path)
            world.expectations.value.end(path, former.union(history.map(\.self)))
        }
    }

    /// Buries what was removed from a path and the former versions of what is there; of all without a path.
    func purge(_ path: BrimPath?) async throws {
        do {
            let purged = try await master { try await $0.purge(PurgeRequest(path: path)) }
            world.note("client", "purged", purged.files, path?.description ?? "all")
        } catch is BrimError {
            return
        }
    }
}
