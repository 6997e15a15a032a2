import BrimModel
import BrimWire
import Foundation
import GRDB
import Logging
import Synchronization

/// How much of the namespace a slave keeps a copy of.
public enum NamespaceSetting: String, Sendable, CaseIterable {
    /// All of it.
    case full
    /// Directories, symbolic links, and the files it has itself.
    case own
    /// All of it, until that is too much (`SlaveConfiguration.namespaceLimit`).
    case auto
}

/// This slave's copy of the namespace: the one that is read, and while a new one is made, that too.
///
/// `DATA/namespace/N.sqlite`: of several files the newest that was once complete is read, a newer one is being made.
final class NamespaceReplica: Sendable {
    private struct State {
        var serving: ReplicaDatabase?
        var building: ReplicaDatabase?
        var swarm: SwarmReply?
        /// Of the newest file.
        var number = 0
    }

    private let directory: String
    private let logger: Logger
    private let state = Mutex(State())

    /// Opens what is there; a file that cannot be opened is thrown away. Blocks.
    init(directory: String, logger: Logger) throws {
        self.directory = directory
        self.logger = logger
        try POSIX.makeDirectory(directory)
        var found = State()
        for number in try Self.numbers(in: directory) {
            found.number = number
            guard let database = open(number) else { continue }
            if database.progress.isReady {
                for old in [found.serving, found.building].compactMap(\.self) { ReplicaDatabase.remove(old.path) }
                (found.serving, found.building) = (database, nil)
            } else {
                if let old = found.building { ReplicaDatabase.remove(old.path) }
                found.building = database
            }
        }
        found.swarm = swarm(known: found.serving ?? found.building)
        state.withLock { [found] in $0 = found }
    }

    private static func numbers(in directory: String) throws -> [Int] {
        let names = try FileManager.default.contentsOfDirectory(atPath: directory)
        return names.filter { $0.hasSuffix(".sqlite") }.compactMap { Int($0.dropLast(7)) }.sorted()
    }

    private func path(_ number: Int) -> String { "\(directory)/\(number).sqlite" }

    private func open(_ number: Int) -> ReplicaDatabase? {
        do {
            // What a file says of itself counts; a file that says nothing is useless.
            let name = try ServerName(validating: "unknown")
            let database = try ReplicaDatabase(path: path(number), new: .init(scope: .full, server: name))
            if database.progress.position != nil { return database }
        } catch {
            logger.warning(
                "a copy of the namespace cannot be used and is made anew",
                metadata: ["path": "\(path(number))", "error": "\(error)"])
        }
        ReplicaDatabase.remove(path(number))
        return nil
    }

    /// What a copy says of where the swarm is.
    private func swarm(known copy: ReplicaDatabase?) -> SwarmReply? {
        do {
            return try copy?.swarm()
        } catch {
            logger.warning("it is not known where the swarm was", metadata: ["error": "\(error)"])
            return nil
        }
    }

    // MARK: Keeping up

    /// The copy that changes are to be applied to.
    var writing: ReplicaDatabase? { state.withLock { $0.building ?? $0.serving } }

    /// Begins a new copy; the one that is read stays until that is complete. Blocks.
    func begin(scope: ReplicaScope, server: ServerName) throws -> ReplicaDatabase {
        let (number, old) = state.withLock { state in
            state.number += 1
            defer { state.building = nil }
            return (state.number, state.building)
        }
        if let old { ReplicaDatabase.remove(old.path) }
        ReplicaDatabase.remove(path(number))
        let database = try ReplicaDatabase(path: path(number), new: .init(scope: scope, server: server))
        state.withLock { $0.building = database }
        return database
    }

    /// A copy has become all that there is: it is read from now on.
    func serve(_ database: ReplicaDatabase) {
        let old = state.withLock { state -> ReplicaDatabase? in
            guard state.serving !== database else { return nil }
            defer { (state.serving, state.building) = (database, nil) }
            return state.serving
        }
        if let old { ReplicaDatabase.remove(old.path) }
    }

    /// What the masters said last of where the swarm is.
    var swarm: SwarmReply? {
        get { state.withLock { $0.swarm } }
        set { state.withLock { $0.swarm = newValue } }
    }

    // MARK: Reading

    /// How far the copy that is read is; nil while there is none.
    var readProgress: ReplicaDatabase.Progress? { state.withLock { $0.serving }?.progress }

    /// What is known of the copy that is read; nil while there is none.
    func status(at now: Timestamp = .now) -> ReplicaStatus? {
        guard let progress = readProgress else { return nil }
        return ReplicaStatus(
            server: progress.server, age: Self.age(progress.asOf, now), entries: progress.entries,
            scope: progress.scope)
    }

    /// Reads at one moment; also gives the age in seconds. Throws `.unavailable` while there is no complete copy.
    func read<Value: Sendable>(
        _ body: @escaping @Sendable (ReplicaReader) throws -> Value
    ) async throws -> (value: Value, age: Double) {
        guard let database = state.withLock({ $0.serving }) else {
            throw BrimError(
                .unavailable, "this slave has no complete copy of the namespace yet",
                advice: "Ask a master, or another slave")
        }
        let age = Self.age(database.progress.asOf, .now)
        do {
            let scope = database.progress.scope
            return (try await database.pool.read { try body(ReplicaReader(database: $0, scope: scope)) }, age)
        } catch let error as DatabaseError {
            throw BrimError(.io, "the copy of the namespace cannot be read: \(error)", advice: "Ask another slave")
        }
    }

    /// In seconds, to the millisecond.
    private static func age(_ asOf: Int64, _ now: Timestamp) -> Double {
        Double(max(0, now.milliseconds - asOf)) / 1000
    }
}

/// The entries at one moment.
struct ReplicaReader {
    let database: Database
    let scope: ReplicaScope

    /// The entries along a path, the root first, as far as they are there.
    func resolve(_ path: BrimPath) throws -> [Entry] {
        guard let root = try entry("id = 1", []) else { return [] }
        var found = [root]
        for name in path.components {
            guard let parent = found.last, parent.type == .directory,
                let next = try entry(
                    "parent = ? AND name = ? ORDER BY id DESC LIMIT 1", [parent.id.rawValue, Data(name.text.utf8)])
            else { break }
            found.append(next)
        }
        return found
    }

    /// Entries of a directory in the order of their names' bytes.
    func list(_ directory: FileID, after: EntryName?, limit: Int) throws -> [Entry] {
        let statement = try database.cachedStatement(
            sql: """
                SELECT \(ReplicaRow.columns) FROM entries WHERE parent = ? AND name > ? ORDER BY parent, name LIMIT ?
                """)
        return try Row.fetchAll(
            statement, arguments: [directory.rawValue, Data((after?.text ?? "").utf8), limit]
        ).map(ReplicaRow.entry)
    }

    private func entry(_ condition: String, _ arguments: StatementArguments) throws -> Entry? {
        let statement = try database.cachedStatement(
            sql: "SELECT \(ReplicaRow.columns) FROM entries WHERE \(condition)")
        return try Row.fetchOne(statement, arguments: arguments).map(ReplicaRow.entry)
    }

    /// Entries in the order of their numbers.
    func entries(after: FileID?, through: FileID? = nil, limit: Int) throws -> [Entry] {
        let statement = try database.cachedStatement(
            sql: "SELECT \(ReplicaRow.columns) FROM entries WHERE id > ? AND id <= ? ORDER BY id LIMIT ?")
        return try Row.fetchAll(
            statement, arguments: [after?.rawValue ?? 0, through?.rawValue ?? .max, limit]
        ).map(ReplicaRow.entry)
    }

    /// All entries, for tests.
    func all() throws -> [Entry] {
        try Row.fetchAll(database, sql: "SELECT \(ReplicaRow.columns) FROM entries ORDER BY id").map(ReplicaRow.entry)
    }
}
