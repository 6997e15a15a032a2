import BrimModel
import MongoDriver

/// What becomes of documents that are put back some time later, while slaves have gone on.
///
/// No copy counts until its server has told what it has: a file's k is 0 and every server is down. So nothing is given up
/// because of a copy that is not there any more. Numbers that slaves may have seen since are not given again.
struct RestoredDocuments {
    /// More numbers than any swarm gives out between a backup and its restoration: entries, and terms of leadership.
    static let margin: Int64 = 1 << 32

    /// When the database is filled, and the moment whose state that is.
    let now: Timestamp
    let asOf: Timestamp

    /// nil for what is not put back.
    func document(_ document: BSONDocument, of collection: String) throws(BrimError) -> BSONDocument? {
        switch collection {
        case "files": try file(document)
        case "servers": server(document)
        case "counters": try counter(document)
        case "settings": setting(document)
        // The lease comes last: until then nobody can lead.
        case "leases": nil
        default: document
        }
    }

    private func file(_ document: BSONDocument) throws(BrimError) -> BSONDocument {
        guard document["type"] == "file", document["n"] != nil else { return document }
        var file = document
        file["k"] = 0
        file["surplus"] = .int64(-(try document.int64("n")))
        file["readable"] = false
        return file
    }

    private func server(_ document: BSONDocument) -> BSONDocument {
        var server = document
        server["state"] = "down"
        for name in ["report", "reportNanos", "recount", "term"] { server[name] = nil }
        return server
    }

    private func counter(_ document: BSONDocument) throws(BrimError) -> BSONDocument {
        guard document["_id"] == "files" else { return document }
        var counter = document
        counter["value"] = .int64(try document.int64("value") + Self.margin)
        return counter
    }

    private func setting(_ document: BSONDocument) -> BSONDocument? {
        switch document["_id"] {
        case "unfinished", "restored": nil
        default: document
        }
    }

    static let markID: BSONDocument = ["_id": "restored"]

    /// Says until when blobs may have come to slaves of which this database knows nothing.
    var mark: BSONDocument { Self.markID.merging(["at": .date(now), "asOf": .date(asOf)]) }

    /// The lease of leadership, which nobody has; `former` is the one in the backup.
    func lease(_ former: BSONDocument?) -> BSONDocument {
        let view = former?["view"]?.documentValue
        let forgotten = view?["forgotten"]?.arrayValue ?? []
        return [
            "_id": "leader", "term": .int64((former?["term"]?.int64Value ?? 0) + Self.margin),
            "view": [
                "epoch": .int64((view?["epoch"]?.int64Value ?? 0) + 1), "counted": [], "readable": [], "up": [],
                "forgotten": .array(forgotten),
            ],
        ]
    }
}
