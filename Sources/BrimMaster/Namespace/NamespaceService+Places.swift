import BrimMetadata
import BrimModel

extension NamespaceService {
    /// Where a file is to be written.
    struct Place: Sendable {
        /// A directory.
        var parent: Entry
        /// What has the name now.
        var present: Entry?
        /// The n that the directory, or one above it, says.
        var inherited: Int?
    }

    /// Where a file can be written; missing parents are made. Throws `.isDirectory` for the root, `.notDirectory`.
    func place(of path: BrimPath) async throws -> Place {
        guard let parent = path.parent else { throw Self.isDirectory(path) }
        let found = try await store.resolve(path)
        let depth = path.components.count
        guard found.count >= depth else {
            return Place(
                parent: try await ensureDirectory(parent), inherited: found[...].inheritedCopies)
        }
        guard found[depth - 1].type == .directory else { throw Self.notDirectory(parent) }
        return Place(
            parent: found[depth - 1], present: found.count > depth ? found[depth] : nil,
            inherited: found.prefix(depth).inheritedCopies)
    }

    /// The same for many files, each directory looked up once; what cannot be had is told for each.
    func places(of paths: [BrimPath]) async throws -> [BrimPath: Result<Place, BrimError>] {
        var places: [BrimPath: Result<Place, BrimError>] = [:]
        for (parent, paths) in Dictionary(grouping: paths.filter { !$0.isRoot }, by: \.parent) {
            do {
                guard let parent, paths.count > 1 else {
                    for path in paths { places[path] = .success(try await place(of: path)) }
                    continue
                }
                let (directory, inherited) = try await ensureDirectoryAndCopies(parent)
                let present = try await store.entries(in: directory.id, names: paths.compactMap(\.name))
                for path in paths {
                    places[path] = .success(
                        Place(
                            parent: directory, present: path.name.flatMap { present[$0] }, inherited: inherited))
                }
            } catch let error as BrimError {
                for path in paths { places[path] = .failure(error) }
            }
        }
        return places
    }
}
