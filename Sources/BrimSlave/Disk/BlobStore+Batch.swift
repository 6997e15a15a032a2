import BrimModel
import Foundation
import NIOCore

extension BlobStore {
    /// A small blob that has arrived whole.
    struct Arrival: Sendable {
        var blob: BlobID
        var bytes: ByteBuffer
    }

    /// Where an arrival is written first, and where it goes.
    private struct Move: Sendable {
        var from: String
        var to: String
    }

    /// Makes small blobs durable in their places, all or none of them. Nobody else may be receiving one, nor may one be
    /// here. Throws `.io`, `.full`.
    func install(_ arrivals: [Arrival]) async throws {
        let moves = arrivals.map { Move(from: temporaryPath(of: $0.blob), to: path(of: $0.blob)) }
        do {
            if let fileSystem {
                try await io.run { try self.health.watch { _ = try self.write(arrivals, moves) } }
                try await fileSystem.sync()
                let made = try await io.run {
                    try self.health.watch {
                        let made = try self.makeDirectories(for: arrivals)
                        for move in moves { try POSIX.rename(move.from, move.to) }
                        return made
                    }
                }
                try await fileSystem.sync()
                noteDurable(made)
            } else {
                try await io.run { try self.health.watch { try self.installOneByOne(arrivals, moves) } }
            }
        } catch {
            await discard(moves)
            throw error
        }
    }

    /// Where each file and directory must be synced by itself: what is common to several is synced once.
    private func installOneByOne(_ arrivals: [Arrival], _ moves: [Move]) throws {
        for file in try write(arrivals, moves) { try POSIX.sync(file) }
        let made = try makeDirectories(for: arrivals)
        for parent in Set(made.map { directory.blobs + ($0.utf8.count == 2 ? "" : "/" + $0.prefix(2)) }) {
            try POSIX.syncDirectory(parent)
        }
        noteDurable(made)
        for move in moves { try POSIX.rename(move.from, move.to) }
        for folder in Set(moves.map { String($0.to[..<($0.to.lastIndex(of: "/") ?? $0.to.endIndex)]) }) {
            try POSIX.syncDirectory(folder)
        }
    }

    private func write(_ arrivals: [Arrival], _ moves: [Move]) throws -> [POSIX.File] {
        try zip(arrivals, moves).map { arrival, move in
            let file = try POSIX.open(move.from, O_WRONLY | O_CREAT | O_EXCL)
            try arrival.bytes.withUnsafeReadableBytes { try POSIX.write(file, $0, at: 0) }
            return file
        }
    }

    private func discard(_ moves: [Move]) async {
        let paths = moves.flatMap { [$0.from, $0.to] }
        let health = health
        do {
            try await io.run {
                for path in paths {
                    // What stays is found at the next start: it is in incoming/, or has no row.
                    do { try health.watch { _ = try POSIX.unlink(path) } } catch { continue }
                }
            }
        } catch {
            // The slave is shutting down.
        }
    }
}
