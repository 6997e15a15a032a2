import BrimModel

/// What bytes are reserved for.
package enum ReservationPurpose: Sendable {
    /// A client's write; the master that granted it may hold room for it, too.
    case write
    /// A copy that the leader ordered.
    case pull
}

/// The arithmetic of a slave's space. What is stored plus what is reserved exceeds the quota only after the quota was
/// lowered; then nothing is granted until use has fallen.
package struct QuotaBook: Sendable, Equatable {
    /// Bytes.
    private(set) var quota: Int64
    /// Bytes of blobs on disk, quarantined ones included.
    private(set) var stored: Int64
    /// Bytes granted to writes under way.
    private(set) var reserved: Int64 = 0
    /// Of `reserved`: bytes for writes of clients, not for pulls.
    private(set) var writing: Int64 = 0
    /// Of `reserved`: bytes already on disk.
    private(set) var written: Int64 = 0
    /// Blobs stored, without quarantined ones.
    private(set) var files: Int64
    /// Rises with each change.
    private(set) var count: Int64 = 0

    package init(quota: Int64, stored: Int64, files: Int64) {
        self.quota = quota
        self.stored = stored
        self.files = files
    }

    var used: Int64 { stored + reserved }

    /// What the file system could still take beyond all promises.
    func diskFree(available: Int64) -> Int64 { max(0, available - (reserved - written)) }

    /// Bytes that could be granted now.
    func free(available: Int64) -> Int64 { max(0, min(quota - used, diskFree(available: available))) }

    /// Grants `bytes` or says how many are missing; `available` is what the file system could still take.
    mutating func reserve(_ bytes: Int64, for purpose: ReservationPurpose, available: Int64) -> Int64 {
        let missing = bytes - free(available: available)
        guard missing <= 0 || bytes == 0 else { return missing }
        reserved += bytes
        if purpose == .write { writing += bytes }
        count += 1
        return 0
    }

    /// Bytes of a reservation that have reached the disk.
    mutating func wrote(_ bytes: Int64) { written += bytes }

    /// Ends a reservation: `size` bytes of it stay as a blob, nil if none does.
    mutating func settle(
        reserved bytes: Int64, for purpose: ReservationPurpose, written done: Int64, storing size: Int64?
    ) {
        reserved -= bytes
        if purpose == .write { writing -= bytes }
        written -= done
        if let size {
            stored += size
            files += 1
        }
        count += 1
    }

    /// A blob was found on disk that nothing was reserved for.
    mutating func add(_ size: Int64) {
        stored += size
        files += 1
        count += 1
    }

    /// Blobs were unlinked.
    mutating func remove(files removed: Int64, bytes: Int64) {
        stored -= bytes
        files -= removed
        count += 1
    }

    /// A blob of `size` bytes moved to quarantine: it is no file any more, and its bytes stay, as many as there are. nil
    /// when whoever missed it at that moment has taken it off the account.
    mutating func quarantine(_ size: Int64?, keeping bytes: Int64) {
        if size != nil { files -= 1 }
        stored += bytes - (size ?? 0)
        count += 1
    }

    mutating func setQuota(_ bytes: Int64) {
        quota = bytes
        count += 1
    }
}
