import BrimModel
import BrimSlave
import BrimWire

/// Blobs that come and go.
extension SimulatedSlave {
    /// Makes a received blob durable and enters it as pending.
    func enter(_ blob: BlobID, size: Int64, _ checksum: Checksum, file: FileID, _ reservation: Reservation) async throws
    {
        if world.flaw == .commitBeforeDurable {
            // It promises, and keeps its promise a second later.
            _ = process.spawn { [self] in
                try? await sleep(.seconds(1))
                try? await enterNow(blob, size: size, checksum, file: file, reservation)
            }
            return
        }
        try await enterNow(blob, size: size, checksum, file: file, reservation)
    }

    private func enterNow(
        _ blob: BlobID, size: Int64, _ checksum: Checksum, file: FileID, _ reservation: Reservation
    ) async throws {
        try checkWritable()
        _ = try await durably { $0.blobs[blob] = SimulatedDisk.Blob(size: size, checksum: checksum) }
        reservation.store(size)
        let created = machine.clock.timestamp.milliseconds
        try await durably {
            $0.rows[blob] = SimulatedDisk.Row(
                blob: blob, isConfirmed: false, file: file, size: size, checksum: checksum, created: created)
        }
        world.note(process.name, "stored", size, "\(blob)")
    }

    func checkWritable() throws {
        guard let fault = state.value.fault else { return }
        throw BrimError(.io, "the disk of this server is failing: \(fault.reason)")
    }

    /// Marks blobs as confirmed; answers those that are not here. Those of which something else `isOpen` then stay as
    /// they are.
    func confirm(
        _ blobs: [BlobID], file: FileID? = nil, unless isOpen: @escaping @Sendable (BlobID) -> Bool = { _ in false }
    ) async throws -> [BlobID] {
        guard !blobs.isEmpty else { return [] }
        return try await durably { disk in
            blobs.filter { blob in
                if isOpen(blob) { return false }
                guard disk.rows[blob] != nil else { return true }
                disk.rows[blob]?.isConfirmed = true
                if let file { disk.rows[blob]?.file = file }
                return false
            }
        }
    }

    /// Deletes blobs: from the catalog first, so that no row names a blob that is gone.
    func remove(_ blobs: [BlobID]) async throws {
        guard !blobs.isEmpty else { return }
        try await unlink(try await durably { disk in blobs.compactMap { disk.rows.removeValue(forKey: $0) } })
    }

    /// One may have been entered by a list that was not answered yet.
    func removePending(_ blobs: [BlobID]) async throws {
        guard !blobs.isEmpty else { return }
        let removed = try await durably { disk in
            blobs.compactMap { blob -> SimulatedDisk.Row? in
                guard let row = disk.rows[blob], !row.isConfirmed else { return nil }
                disk.rows[blob] = nil
                return row
            }
        }
        lost(removed.map(\.blob))
        try await unlink(removed)
    }

    func unlink(_ removed: [SimulatedDisk.Row]) async throws {
        guard !removed.isEmpty else { return }
        try await sync()
        for row in removed { disk.state.value.blobs[row.blob] = nil }
        quota.remove(files: Int64(removed.count), bytes: removed.reduce(0) { $0 + $1.size })
        world.note(process.name, "deleted", Int64(removed.count), "\(removed.map(\.blob))")
    }

    /// The bytes of a blob, checked as they are read. Throws `.notFound`, and `.corrupt` after a damaged one was set aside.
    func read(_ blob: BlobID) async throws -> (size: Int64, checksum: Checksum) {
        try await sync()
        guard let row = disk.state.value.rows[blob] else {
            throw BrimError(.notFound, "the blob \(blob) is not on \(name)")
        }
        guard let found = disk.state.value.blobs[blob] else {
            try await missing(blob)
            throw BrimError(.corrupt, "the blob \(blob) is missing on \(name)")
        }
        guard found.checksum == row.checksum else {
            try await quarantine(blob)
            throw BrimError(.corrupt, "the blob \(blob) is damaged on \(name)")
        }
        return (row.size, row.checksum)
    }

    private func missing(_ blob: BlobID) async throws {
        guard let row = try await durably({ $0.rows.removeValue(forKey: blob) }) else { return }
        quota.remove(files: 1, bytes: row.size)
        lost([blob])
    }

    private func quarantine(_ blob: BlobID) async throws {
        try await sync()
        guard let found = disk.state.value.blobs.removeValue(forKey: blob) else { return }
        disk.state.value.quarantined += found.size
        world.note(process.name, "quarantined", found.size, "\(blob)")
        quota.quarantine(try await durably { $0.rows.removeValue(forKey: blob) }?.size, keeping: found.size)
        lost([blob])
    }

    /// Reads everything, so that damage is found.
    func scrub() async throws {
        for blob in disk.state.value.rows.keys.sorted() { _ = try? await read(blob) }
    }

    // MARK: - Space

    /// Grants space for a write; when there is none, asks the master once to make some. Throws `.full`.
    func reserve(_ bytes: Int64) async throws -> Reservation {
        let reservation = try quota.reserve(0, for: .write)
        do {
            try reservation.extend(by: bytes)
            return reservation
        } catch {
            let missing = max(1, bytes - quota.free())
            let request = RoomRequest(name: name, id: disk.state.value.id, bytes: missing)
            do {
                try await master(deadline: .seconds(30)) { try await $0.room(request) }
            } catch is BrimError {
                // The next line says what lacks.
            }
        }
        try reservation.extendOrFail(by: bytes, name)
        return reservation
    }

    /// Enters a quota in force, remembered over restarts.
    func apply(quota bytes: Int64) async throws {
        // Down from what is used now, use may only fall.
        lowered.value = max(lowered.value, quota.usage().used)
        inForce.value = bytes
        if quota.set(bytes) { world.note(process.name, "quota", bytes) }
        guard disk.state.value.quota != bytes else { return }
        let inForce = inForce
        try await durably { $0.quota = inForce.value }
    }
}
