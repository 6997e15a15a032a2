import BrimModel
import MongoDriver
import Synchronization

/// What a position says: a token of the stream, and which change was the last up to there, where that is known.
struct Place {
    /// How a change is found again: by its time in MongoDB's log, and known by its token.
    struct Mark: Sendable, Equatable {
        let time: BSONTimestamp
        let token: String
    }

    /// A change as the stream tells it.
    struct Change {
        let mark: Mark
        let document: BSONDocument

        /// nil for what has no token or time.
        init?(_ event: BSONDocument) {
            guard let token = event["_id"]?.documentValue?["_data"]?.stringValue,
                let time = event["clusterTime"]?.timestampValue
            else { return nil }
            mark = Mark(time: time, token: token)
            document = event
        }
    }

    private static let timeDigits = 16

    let epoch: String
    let token: String
    let last: Mark?

    init(epoch: String, token: String, last: Mark?) {
        self.epoch = epoch
        self.token = token
        self.last = last
    }

    /// nil for what was never a position of this collection.
    init?(_ position: ChangePosition, epoch: String) {
        let parts = position.rawValue.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.allSatisfy({ $0.utf8.allSatisfy(Self.isHex) }), let place = parts.first,
            place.hasPrefix(epoch), place.utf8.count > epoch.utf8.count
        else { return nil }
        self.epoch = epoch
        token = String(place.dropFirst(epoch.count))
        guard parts.count == 2 else {
            last = nil
            return
        }
        guard parts[1].utf8.count > Self.timeDigits, let time = UInt64(parts[1].prefix(Self.timeDigits), radix: 16)
        else { return nil }
        last = Mark(
            time: BSONTimestamp(seconds: UInt32(time >> 32), increment: UInt32(truncatingIfNeeded: time)),
            token: String(parts[1].dropFirst(Self.timeDigits)))
    }

    private static func isHex(_ byte: UInt8) -> Bool {
        (48...57).contains(byte) || (65...70).contains(byte) || (97...102).contains(byte)
    }

    var position: ChangePosition {
        guard let last else { return ChangePosition(rawValue: epoch + token) }
        let time = String(UInt64(last.time.seconds) << 32 | UInt64(last.time.increment), radix: 16)
        let digits = String(repeating: "0", count: Self.timeDigits - time.count) + time
        return ChangePosition(rawValue: "\(epoch)\(token).\(digits)\(last.token)")
    }

    var document: BSONDocument { ["_data": .string(token)] }
}

extension MongoMetadataStore {
    /// Hex digits that name the collection of files, `ChangePosition.epochLength` of them.
    func feedEpoch() async throws -> String {
        let found = try await database.listCollections(filter: ["name": .string(collections.files.name)])
        guard let uuid = found.first?["info"]?.documentValue?["uuid"]?.binaryValue else {
            throw BrimError(.unavailable, "the collection of files has no UUID", advice: "Is a master starting?")
        }
        return uuid.bytes.prefix(ChangePosition.epochLength / 2).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
            .joined()
    }

    /// How long a log that is not as far as a change is waited for.
    private static let changePatience = Duration.seconds(10)

    /// Throws `PositionLost` when this database never made the change that a position names as the last before it.
    ///
    /// MongoDB itself takes a token for good until an event comes after it. So the log is read from where the change must be:
    /// what comes there first is it, or it is not there. Of one that is older than the log nothing can be said: then that is
    /// said of the position too, or the database was not set back, since a log that was has a gap and no new beginning.
    func requireLastChange(of place: Place) async throws {
        guard let last = place.last else { return }
        let isThere = Box(false)
        let end = ContinuousClock.now + Self.changePatience
        do {
            try await streamed.watch(
                Self.changesOfTheNamespace,
                WatchOptions(startAt: last.time, maxAwait: .milliseconds(20), batchSize: 10)
            ) { step in
                switch step {
                case .event(let event):
                    // In a transaction several have one time.
                    guard let change = Place.Change(event), change.mark.time <= last.time else { return false }
                    guard change.mark == last else { return true }
                    isThere.value.withLock { $0 = true }
                    return false
                case .quiet(let token):
                    let isBeyond = token?["_data"]?.stringValue.map { $0 > last.token } ?? false
                    return !isBeyond && .now < end
                }
            }
        } catch let error as MongoError where error.code.map(Self.forgottenCodes.contains) == true {
            return
        }
        if !isThere.value.withLock({ $0 }) { throw PositionLost() }
    }
}
