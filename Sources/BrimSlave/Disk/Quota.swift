import BrimModel
import Foundation
import Synchronization

/// The space a slave may fill: the quota, and what the disk has left after 1 % of it is set aside.
package final class Quota: Sendable {
    private let book: Mutex<QuotaBook>
    private let boot = UUID().uuidString.lowercased()
    /// Bytes the file system could still take.
    private let available: @Sendable () -> Int64

    /// - Parameter available: asked before each grant; for tests that bring a disk of their own.
    package init(_ book: QuotaBook, available: @escaping @Sendable () -> Int64) {
        self.book = Mutex(book)
        self.available = available
    }

    convenience init(_ book: QuotaBook, directory: String, health: DiskHealth) {
        self.init(book) {
            // A disk that cannot even be asked takes nothing, and a failing one neither.
            guard health.fault == nil, let space = try? POSIX.space(directory) else { return 0 }
            return max(0, space.available - space.total / 100)
        }
    }

    /// The quota in force, in bytes.
    package var bytes: Int64 { book.withLock { $0.quota } }

    /// Grants `bytes`. Throws `.full`, naming what is missing.
    package func reserve(_ bytes: Int64, for purpose: ReservationPurpose) throws(NoRoom) -> Reservation {
        let reservation = Reservation(quota: self, purpose: purpose)
        try reservation.extend(by: bytes)
        return reservation
    }

    package func usage() -> ServerUsage {
        let available = available()
        return book.withLock {
            ServerUsage(
                boot: boot, count: $0.count, used: $0.used, reserved: $0.reserved, writing: $0.writing,
                diskFree: $0.diskFree(available: available), files: $0.files)
        }
    }

    /// Bytes that could be granted now.
    package func free() -> Int64 {
        let available = available()
        return book.withLock { $0.free(available: available) }
    }

    /// Whether this is a change.
    package func set(_ bytes: Int64) -> Bool {
        book.withLock { book in
            guard book.quota != bytes else { return false }
            book.setQuota(bytes)
            return true
        }
    }

    package func add(_ size: Int64) { book.withLock { $0.add(size) } }
    package func remove(files: Int64, bytes: Int64) {
        if files > 0 { book.withLock { $0.remove(files: files, bytes: bytes) } }
    }
    package func quarantine(_ size: Int64?, keeping bytes: Int64) {
        book.withLock { $0.quarantine(size, keeping: bytes) }
    }

    fileprivate func grant(_ bytes: Int64, for purpose: ReservationPurpose) throws(NoRoom) {
        let available = available()
        let refusal = book.withLock { book -> NoRoom? in
            let missing = book.reserve(bytes, for: purpose, available: available)
            guard missing > 0 else { return nil }
            let isDiskFull = book.diskFree(available: available) < book.quota - book.used
            return NoRoom(needed: bytes, missing: missing, isDiskFull: isDiskFull)
        }
        if let refusal { throw refusal }
    }

    fileprivate func wrote(_ bytes: Int64) { book.withLock { $0.wrote(bytes) } }

    fileprivate func settle(
        reserved: Int64, for purpose: ReservationPurpose, written: Int64, storing size: Int64?
    ) {
        book.withLock { $0.settle(reserved: reserved, for: purpose, written: written, storing: size) }
    }
}

/// A grant that cannot be made now.
package struct NoRoom: Error, Equatable {
    /// Bytes asked for.
    var needed: Int64
    /// Of these, bytes that are not there.
    var missing: Int64
    /// Whether it is the disk that has no more, and not the quota.
    var isDiskFull = false

    /// The error a peer is told.
    package func described(server: ServerName) -> BrimError {
        BrimError(
            .full,
            "no room on \(server): \(ByteCount.format(needed)) are needed and \(ByteCount.format(missing)) are missing"
                + (isDiskFull ? "; its disk is full, although its quota is not" : ""),
            advice: isDiskFull
                ? "Free space on that disk, add a server, or remove files"
                : "Raise its quota with brim server quota, add a server, or remove files")
    }
}

/// Bytes granted to one write. What is not stored in the end is given back, at the latest when this is dropped.
package final class Reservation: Sendable {
    private struct State {
        var bytes: Int64 = 0
        var written: Int64 = 0
        var isSettled = false
    }
    private let quota: Quota
    private let purpose: ReservationPurpose
    private let state = Mutex(State())

    fileprivate init(quota: Quota, purpose: ReservationPurpose) {
        self.quota = quota
        self.purpose = purpose
    }

    deinit { release() }

    /// Bytes granted so far.
    package var bytes: Int64 { state.withLock { $0.bytes } }

    /// Grants more. Throws `NoRoom`; what was granted before stays.
    package func extend(by more: Int64) throws(NoRoom) {
        try quota.grant(more, for: purpose)
        state.withLock { $0.bytes += more }
    }

    /// Grants more. Throws `.full`.
    package func extendOrFail(by more: Int64, _ server: ServerName) throws {
        do { try extend(by: more) } catch { throw error.described(server: server) }
    }

    package func wrote(_ bytes: Int64) {
        state.withLock { $0.written += bytes }
        quota.wrote(bytes)
    }

    /// What was written has been removed again; the grant stays.
    package func rewind() {
        let written = state.withLock { state in
            defer { state.written = 0 }
            return state.written
        }
        quota.wrote(-written)
    }

    /// The write has become a blob of `size` bytes.
    package func store(_ size: Int64) { settle(storing: size) }

    /// The write came to nothing.
    package func release() { settle(storing: nil) }

    private func settle(storing size: Int64?) {
        let settled = state.withLock { state -> State? in
            guard !state.isSettled else { return nil }
            state.isSettled = true
            return state
        }
        guard let settled else { return }
        quota.settle(reserved: settled.bytes, for: purpose, written: settled.written, storing: size)
    }
}
