import BrimModel
import BrimWire
import Foundation
import GRDB

/// What the catalog knows of one blob.
struct CatalogRow: Sendable, Equatable {
    enum State: Int64, Sendable {
        /// Durable here, not yet confirmed by a master.
        case pending = 0
        case confirmed = 1
    }
    var blob: BlobID
    var state: State
    var label: BlobLabel
    /// Bytes.
    var size: Int64
    var checksum: Checksum
    /// When it was entered, in milliseconds since 1970.
    var created: Int64

    var report: BlobReport {
        BlobReport(
            blob: blob, file: label.file, size: size, checksum: checksum, confirmed: state == .confirmed)
    }
}

extension CatalogRow {
    /// Every column but the sums of blocks, which may be large.
    static let columns = "blob, state, file, parent, name, rev, n, attributes, size, checksum, created"

    /// Throws `.corrupt` for a row that no version of this program can have written.
    init(row: Row) throws {
        guard let blob = BlobID(bytes: row["blob"] as Data), let state = State(rawValue: row["state"]),
            let sum = UInt32(exactly: row["checksum"] as Int64)
        else { throw BrimError(.corrupt, "the catalog holds a row that makes no sense") }
        self.blob = blob
        self.state = state
        label = BlobLabel(
            file: FileID(row["file"]), parent: FileID(row["parent"]), name: try EntryName(row["name"] as String),
            rev: row["rev"], n: row["n"],
            attributes: try BlobLabel.decodeAttributes(row["attributes"]))
        size = row["size"]
        checksum = Checksum(crc32c: sum)
        created = row["created"]
    }

    func insert(into database: Database, sums: [UInt32]) throws {
        let statement = try database.cachedStatement(
            sql: """
                INSERT OR REPLACE INTO blobs
                (blob, state, file, parent, name, rev, n, attributes, size, checksum, created, sums)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """)
        try statement.execute(
            arguments: [
                Data(blob.bytes), state.rawValue, label.file.rawValue, label.parent.rawValue, label.name.text,
                label.rev,
                label.n, try label.encodedAttributes(), size, Int64(checksum.crc32c), created, BlockSums.encode(sums),
            ])
    }
}

extension BlobLabel {
    /// For a blob of which nothing but its bytes is known.
    static func unknown(_ blob: BlobID) throws -> BlobLabel {
        BlobLabel(
            file: FileID(0), parent: FileID(0), name: try EntryName(blob.description), rev: 0, n: 0, attributes: [:])
    }

    /// What most files have.
    private static let noAttributes = Data("{}".utf8)

    static func decodeAttributes(_ bytes: Data) throws -> [String: AttributeValue] {
        if bytes == noAttributes { return [:] }
        return try JSONDecoder().decode([String: AttributeValue].self, from: bytes)
    }

    func encodedAttributes() throws -> Data {
        if attributes.isEmpty { return Self.noAttributes }
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        return try encoder.encode(attributes)
    }
}

/// The CRC-32C of each block of a blob, as stored: four bytes each, least significant first.
enum BlockSums {
    static func encode(_ sums: [UInt32]) -> Data {
        var bytes = Data(capacity: sums.count * 4)
        for sum in sums { withUnsafeBytes(of: sum.littleEndian) { bytes.append(contentsOf: $0) } }
        return bytes
    }

    static func decode(_ bytes: Data) -> [UInt32] {
        bytes.withUnsafeBytes { raw in
            (0..<raw.count / 4).map { UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: $0 * 4, as: UInt32.self)) }
        }
    }
}
