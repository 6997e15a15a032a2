import BrimModel
import MongoDriver

/// Removed files and old versions as documents.
///
/// Both have `discarded: {at, path, n, policy}`: when, from where (removed files only), and the n and policy that they had.
/// These fields were not in the first documents of schema version 1; a master that does not know them reads all the same,
/// as it only looks for live files, so the version stays.
extension Documents {
    static let discardedStates: BSONDocument = ["$in": ["trash", "old"]]
    /// Before anything that was ever discarded: a range that an index of `discarded.at` answers.
    static let beginning = BSONValue.date(milliseconds: 0)

    private static func discarded(at: Timestamp, path: String?) -> BSONValue {
        var fields: BSONDocument = ["at": .date(at), "atNanos": .int64(Int64(at.nanoseconds))]
        if let path { fields.append("path", .literal(.string(path))) }
        fields.append("n", "$n")
        fields.append("policy", "$policy")
        return .document(fields)
    }

    /// For a pipeline that makes a live file trash.
    static func trashing(path: String, at: Timestamp) -> BSONDocument {
        var fields: BSONDocument = [
            "state": "trash", "rev": ["$add": ["$rev", 1]], "n": .int(Trash.n(at: at)), "policy": "trash",
            "discarded": discarded(at: at, path: path),
        ]
        fields.append(time: at, as: "changed")
        return fields
    }

    /// For a pipeline that overwrites a file: its present version joins the former ones.
    static func keepingVersion(at: Timestamp) -> BSONDocument {
        let version: BSONValue = [
            "version": "$version", "blob": "$blob", "size": "$size", "checksum": "$checksum",
            "modified": "$modified", "modifiedNanos": "$modifiedNanos", "replicas": "$replicas",
            "n": .int(Trash.n(at: at)), "discarded": discarded(at: at, path: nil),
        ]
        return ["former": ["$concatArrays": [["$ifNull": ["$former", []]], [version]]]]
    }

    /// A document of its own for a former version of `file`.
    static func old(
        _ version: BSONDocument, of file: BSONDocument, id: FileID, view: ServerView, now: Timestamp
    ) throws(BrimError) -> BSONDocument {
        let content = try former(version).content.with(view: view)
        var document: BSONDocument = ["_id": .id(id), "state": "old", "of": file["_id"] ?? .null]
        for name in ["parent", "name", "type", "mode", "uid", "gid", "nlink", "created", "createdNanos"] {
            if let value = file[name] { document.append(name, value) }
        }
        document.merge(version)
        document.append(time: now, as: "changed")
        document.append("rev", file["rev"] ?? 1)
        document.append("former", [])
        document.append("k", .int(content.k))
        document.append("surplus", .int(content.surplus))
        document.append("readable", .bool(content.readable))
        document.append("policy", "trash")
        return document
    }

    // MARK: Reading

    /// The versions that wait in a file's document.
    static func formers(_ file: BSONDocument) -> [BSONDocument] {
        file["former"]?.arrayValue?.compactMap(\.documentValue) ?? []
    }

    /// An element of `former`, or an old version's document. The former are not counted: all their holders are taken to be
    /// there.
    static func former(_ version: BSONDocument) throws(BrimError) -> FormerVersion {
        let replicas = try version.servers("replicas")
        return FormerVersion(
            content: FileContent(
                version: try version.int64("version"), blob: try version.blob("blob"),
                size: try version.int64("size"),
                checksum: try version.read("checksum") { $0.stringValue.flatMap(Checksum.init) },
                n: try version.int("n"), k: version["k"]?.intValue ?? replicas.count,
                readable: version["readable"]?.boolValue ?? true, replicas: replicas, policy: PolicyName.trash),
            modified: try version.time("modified"),
            discarded: try version.read("discarded") { $0.documentValue }.time("at"))
    }

    static func removed(_ document: BSONDocument) throws(BrimError) -> RemovedFile {
        let discarded = try document.read("discarded") { $0.documentValue }
        return RemovedFile(
            entry: try entry(document), path: try discarded.string("path"), removed: try discarded.time("at"),
            formerN: try discarded.int("n"))
    }

    /// What has which blobs in a document.
    static func owners(_ document: BSONDocument) throws(BrimError) -> [BlobOwner] {
        let file = FileID(try document.int64("_id"))
        var owners: [BlobOwner] = []
        let kind: BlobOwner.Kind? =
            switch document["state"]?.stringValue {
            case "live": .live
            case "old": .old
            // Without it, it is a blob that was abandoned.
            case "trash" where document["discarded"] != nil: .trash
            default: nil
            }
        if let kind { owners.append(BlobOwner(kind: kind, file: file, content: try content(document))) }
        for version in formers(document) {
            owners.append(BlobOwner(kind: .former, file: file, content: try former(version).content))
        }
        return owners
    }
}
