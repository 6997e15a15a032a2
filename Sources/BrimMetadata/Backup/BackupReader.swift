import BrimModel
import MongoDriver

/// Reads a backup from its beginning to its end, and finds out whether it is whole. To be used by one task.
///
/// Whatever it gives before its end may be of a file that was edited: only when `next` has given nil, all of it is as it
/// was written.
final class BackupReader {
    private static let chunk = 256 * 1024

    private let decompressor: Decompressor
    private let source: (Int) throws -> [UInt8]
    private let name: String
    private var seal: BackupSeal
    /// Decompressed, from `position` on not taken yet.
    private var bytes: [UInt8] = []
    private var position = 0
    private var isAtEnd = false
    private var collection: String?
    private var counts: [String: Int64] = [:]

    let header: BackupHeader

    /// Reads the header. `source` gives up to so many bytes, none at the end; `key` is derived from the swarm's password,
    /// and `passwordProof` tells whether that is the right one. Throws `.corrupt`, `.unsupported` for another format, and
    /// `.denied` for the backup of a swarm with another password.
    init(
        _ name: String, key: [UInt8], passwordProof: String, source: @escaping (Int) throws -> [UInt8]
    ) throws {
        let decompressor = try Decompressor()
        var first = FirstRecord(decompressor: decompressor, source: source)
        do {
            let (record, used) = try first.read()
            guard BackupRecord(rawValue: record.letter) == .header else {
                throw BrimError(.corrupt, "it is no backup of a swarm's metadata")
            }
            header = try BackupHeader(record.document)
            position = used
        } catch let error as BrimError {
            throw Self.named(error, name)
        }
        self.decompressor = decompressor
        self.source = source
        self.name = name
        bytes = first.bytes
        seal = BackupSeal(key: key)
        guard header.passwordProof == passwordProof else {
            throw BrimError(
                .denied, "the backup \(name) is of a swarm with another password",
                advice: "Give the password that the swarm had when it was made")
        }
        seal.add(bytes[..<position])
    }

    /// The next document, and the collection it belongs to; nil at the end of a backup that is whole. Throws `.corrupt`.
    func next() throws -> (collection: String, document: BSONDocument)? {
        do {
            while !isAtEnd {
                let (letter, document) = try record()
                switch BackupRecord(rawValue: letter) {
                case .collection:
                    let next = try document.string("collection")
                    guard header.counts.contains(where: { $0.collection == next }), counts[next] == nil else {
                        throw BrimError(.corrupt, "the collection '\(next)' is not in its header, or comes twice")
                    }
                    counts[next] = 0
                    collection = next
                case .document:
                    guard let collection else { throw BrimError(.corrupt, "a document belongs to no collection") }
                    counts[collection, default: 0] += 1
                    return (collection, document)
                case .end: try finish(document)
                case .header, nil: throw BrimError(.corrupt, "a record of it makes no sense")
                }
            }
            return nil
        } catch let error as BrimError {
            throw Self.named(error, name)
        } catch let error as MongoError {
            throw Self.named(BrimError(.corrupt, "a document of it makes no sense (\(error))"), name)
        }
    }

    private static func named(_ error: BrimError, _ name: String) -> BrimError {
        guard error.code == .corrupt || error.code == .unsupported else { return error }
        return BrimError(
            error.code, "the backup \(name) cannot be used: \(error.message)",
            advice: error.advice ?? "Nothing was changed. Use another backup")
    }

    private func finish(_ document: BSONDocument) throws {
        guard document["seal"]?.binaryValue?.bytes == seal.bytes else {
            throw BrimError(.corrupt, "it was changed since it was made: its checksum does not fit")
        }
        for (collection, documents) in header.counts where counts[collection] ?? 0 != documents {
            throw BrimError(
                .corrupt, "of '\(collection)' it has \(counts[collection] ?? 0) documents, not \(documents)")
        }
        guard position == bytes.count else { throw BrimError(.corrupt, "something follows its end") }
        while true {
            let more = try source(Self.chunk)
            if more.isEmpty { break }
            guard try decompressor.add(more).isEmpty else { throw BrimError(.corrupt, "something follows its end") }
        }
        guard decompressor.isAtEnd else { throw Self.truncated }
        isAtEnd = true
    }

    private static var truncated: BrimError { BrimError(.corrupt, "its end is missing: it was cut short") }

    /// One record; the seal covers all but the last.
    private func record() throws -> (letter: UInt8, document: BSONDocument) {
        let head = try peek(5)
        let size = Self.size(head)
        guard BackupRecord.sizes.contains(size) else { throw BrimError(.corrupt, "a record of it makes no sense") }
        let whole = try peek(1 + size)
        if BackupRecord(rawValue: head[head.startIndex]) != .end { seal.add(whole) }
        position += 1 + size
        return (head[head.startIndex], try BSONDocument(bytes: whole.dropFirst()))
    }

    /// Of a BSON document behind a letter.
    fileprivate static func size(_ head: ArraySlice<UInt8>) -> Int {
        head.dropFirst().prefix(4).reversed().reduce(0) { $0 << 8 | Int($1) }
    }

    /// The next bytes, which are not taken. Throws `.corrupt` when there are fewer.
    private func peek(_ count: Int) throws -> ArraySlice<UInt8> {
        while bytes.count - position < count {
            if position > 0 {
                bytes.removeFirst(position)
                position = 0
            }
            let more = try source(Self.chunk)
            guard !more.isEmpty else { throw Self.truncated }
            bytes += try decompressor.add(more)
        }
        return bytes[position..<position + count]
    }

    /// The header, before anything else is known.
    private struct FirstRecord {
        let decompressor: Decompressor
        let source: (Int) throws -> [UInt8]
        var bytes: [UInt8] = []

        init(decompressor: Decompressor, source: @escaping (Int) throws -> [UInt8]) {
            self.decompressor = decompressor
            self.source = source
        }

        /// The record, and how many bytes it takes.
        mutating func read() throws -> (record: (letter: UInt8, document: BSONDocument), used: Int) {
            try fill(5)
            let size = BackupReader.size(bytes[..<5])
            guard BackupRecord.sizes.contains(size) else {
                throw BrimError(.corrupt, "it is no backup of a swarm's metadata")
            }
            try fill(1 + size)
            do {
                return ((bytes[0], try BSONDocument(bytes: bytes[1...size])), 1 + size)
            } catch {
                throw BrimError(.corrupt, "it is no backup of a swarm's metadata (\(error))")
            }
        }

        private mutating func fill(_ count: Int) throws {
            while bytes.count < count {
                let more = try source(BackupReader.chunk)
                guard !more.isEmpty else { throw BackupReader.truncated }
                bytes += try decompressor.add(more)
            }
        }
    }
}
