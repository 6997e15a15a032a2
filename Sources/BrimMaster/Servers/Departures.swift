import BrimModel

/// Which blobs have left a server, or were told to, in one leader's term, and from which order on a list of what it holds
/// can be believed to know of that.
struct Departures {
    /// Blobs remembered; when there are more, the older half is forgotten, and no list from before that is believed.
    private static let memory = 4096

    /// By blob: the sequence of the order that knows of it; `.max` while that has none.
    private var sequences: [BlobID: Int64] = [:]
    /// No list from before this order is believed of any blob.
    private var floor: Int64 = 0

    /// A list that was read when the order of this sequence had been carried out knows that these are gone.
    mutating func note(_ blobs: [BlobID], knownFrom sequence: Int64) {
        for blob in blobs { sequences[blob] = sequence }
        guard sequences.count > Self.memory else { return }
        let numbered = sequences.values.filter { $0 < .max }.sorted()
        guard let middle = numbered.isEmpty ? nil : numbered[numbered.count / 2] else { return }
        floor = max(floor, middle)
        sequences = sequences.filter { $0.value > middle }
    }

    /// These are to be given up, by an order that has no sequence yet.
    mutating func announce(_ blobs: [BlobID]) { note(blobs, knownFrom: .max) }

    /// Whether this one is to be given up by an order that has no sequence yet.
    func isAnnounced(_ blob: BlobID) -> Bool { sequences[blob] == .max }

    /// No order will be sent for those of these that were only announced.
    mutating func takeBack(_ blobs: [BlobID]) {
        for blob in blobs where sequences[blob] == .max { sequences[blob] = nil }
    }

    /// Whether a list that names this blob, read when the order of this sequence was the last one carried out, is right.
    func believes(_ blob: BlobID, at sequence: Int64) -> Bool {
        sequence >= max(floor, sequences[blob] ?? 0)
    }
}
