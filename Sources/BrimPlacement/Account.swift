import BrimModel

/// One server in the ledger: its last word, and what has been promised since.
struct Account: Sendable {
    private(set) var server: ServerSnapshot
    /// Bytes of pulls ordered and not acknowledged.
    private(set) var promised: Int64 = 0
    /// The same, less what each pull's own victims free (never below 0 for one pull).
    private(set) var promisedNet: Int64 = 0
    /// Copies whose deletion is ordered and not acknowledged, with their bytes.
    var evicting: [BlobID: Int64] = [:]
    var evictingBytes: Int64 = 0
    /// Bytes that came with no usage to show them, until the server's next word.
    var settling: Int64 = 0
    /// Bytes of writes granted, but for what the server's word is known to show, and what was given back.
    var granted: Int64 = 0
    /// Bytes of writes that ended after the server's last word, and may or may not be in it.
    var ended: Int64 = 0
    /// Of `granted`: bytes that the server stored, by the count of the first word of its that is known to show them.
    private var storedUnheard: [(count: Int64, bytes: Int64)] = []
    /// Copies under way to this server, and their bytes.
    private(set) var receiving = Transfers()
    private(set) var receivingBytes: Int64 = 0
    /// Copies under way from this server.
    var serving = Transfers()

    init(_ server: ServerSnapshot) {
        self.server = server
    }

    /// Whether nothing is outstanding.
    var isIdle: Bool { receiving.isEmpty && serving.isEmpty && granted == 0 && evicting.isEmpty }

    // MARK: - Its word

    /// Takes in a word of the server; true when it shows more room than was known of.
    mutating func learn(_ word: (inout Account) -> Void) -> Bool {
        let before = roomToCome(below: server.quota)
        word(&self)
        return roomToCome(below: server.quota) > before
    }

    /// Takes over what is known of the server; its usage only if it is newer than what was heard.
    mutating func update(_ news: ServerSnapshot) {
        let known = server
        server = news
        if !news.usageBoot.isEmpty, news.usageBoot == known.usageBoot, news.usageCount <= known.usageCount {
            server.used = known.used
            server.writing = known.writing
            server.diskFree = known.diskFree
            server.usageCount = known.usageCount
        } else {
            settle(from: known)
        }
    }

    /// Takes over the server's word unless it is older than one heard before. The same word again is news too: nothing
    /// else has happened there.
    mutating func heard(_ usage: ServerUsage) {
        guard usage.boot != server.usageBoot || usage.count >= server.usageCount else { return }
        let known = server
        server.used = usage.used
        server.writing = usage.writing
        server.diskFree = usage.diskFree
        server.usageBoot = usage.boot
        server.usageCount = usage.count
        settle(from: known)
    }

    /// What waited for a newer word than `known` is over.
    private mutating func settle(from known: ServerSnapshot) {
        settling = 0
        ended = 0
        let shown = server.usageBoot == known.usageBoot ? server.usageCount : .max
        granted -= storedUnheard.reduce(0) { $1.count <= shown ? $0 + $1.bytes : $0 }
        storedUnheard.removeAll { $0.count <= shown }
    }

    /// Bytes of a granted write are stored, and in this word of the server, which another passed on; false when it may be
    /// of an earlier start. While orders are not answered the word is not taken over: it may or may not show what they do.
    mutating func stored(_ bytes: Int64, in usage: ServerUsage) -> Bool {
        guard server.usageBoot.isEmpty || usage.boot == server.usageBoot else { return false }
        if server.usageBoot.isEmpty || usage.count > server.usageCount {
            guard promised == 0, evicting.isEmpty else {
                storedUnheard.append((usage.count, bytes))
                return true
            }
            heard(usage)
        }
        granted -= bytes
        return true
    }

    /// Whether the server's next word may show more room than is known of: what is held for a write may be stored already.
    var isUnsettled: Bool { unseen > 0 || settling > 0 }

    /// Whether something that is over is held until the server's next word, which may show it already.
    var awaitsWord: Bool { ended > 0 || settling > 0 || !storedUnheard.isEmpty }

    /// Bytes of granted writes that the server's word does not show. It shows how many bytes are reserved for writes, not
    /// for which: those of writes that were never granted a size, or long ago, hide as many of others. The slave itself
    /// never goes beyond its quota, and asks for room then.
    private var unseen: Int64 { max(0, granted + ended - server.writing) }

    /// The server is no longer known: nothing goes there.
    mutating func close() {
        server.receives = false
        server.readable = false
        server.counted = false
    }

    // MARK: - Promises

    mutating func promise(_ plan: CopyPlan) {
        promised += plan.file.size
        promisedNet += plan.netBytes
        receiving.begin(plan.file)
        receivingBytes += plan.file.size
        for victim in plan.victims { evict(victim) }
    }

    /// The promise is kept (or, not settling, taken back).
    mutating func keep(_ plan: CopyPlan, settling settles: Bool) {
        promised -= plan.file.size
        promisedNet -= plan.netBytes
        for victim in plan.victims { evictionEnded(victim) }
        if settles { settling += plan.netBytes }
    }

    mutating func release(_ plan: CopyPlan) {
        receiving.end(plan.file)
        receivingBytes -= plan.file.size
    }

    mutating func evict(_ victim: Victim) {
        guard evicting.updateValue(victim.size, forKey: victim.blob) == nil else { return }
        evictingBytes += victim.size
    }

    mutating func evictionEnded(_ victim: Victim) {
        guard let size = evicting.removeValue(forKey: victim.blob) else { return }
        evictingBytes -= size
    }

    // MARK: - Room

    /// Bytes that can be promised below `limit` whatever becomes of the deletions under way; may be negative.
    func room(below limit: Int64) -> Int64 {
        min(limit - server.used, server.diskFree) - promisedNet - settling - unseen
    }

    /// Bytes that there will be once everything ordered is done; may be negative.
    func roomToCome(below limit: Int64) -> Int64 {
        min(limit - server.used, server.diskFree) - promised - settling - unseen + evictingBytes
    }

    /// Bytes to be freed so that `size` more fit below `limit`.
    func lacking(_ size: Int64, below limit: Int64) -> Int64 {
        max(0, size - roomToCome(below: limit))
    }

    /// Share of the quota in use or promised.
    var fill: Double {
        Double(server.used + promisedNet + settling + unseen) / Double(max(1, server.quota))
    }
}

/// Copies under way on one side of a server.
struct Transfers: Sendable {
    private var large = 0
    private var small = 0

    var isEmpty: Bool { large == 0 && small == 0 }

    /// How much they are, where a large one counts `unit` and a small one 1.
    func weight(_ unit: Int) -> Int { large * unit + small }

    mutating func begin(_ file: NeedyFile) { if file.isSmall { small += 1 } else { large += 1 } }
    mutating func end(_ file: NeedyFile) { if file.isSmall { small -= 1 } else { large -= 1 } }
}

extension NeedyFile {
    /// Whether it is copied together with others.
    var isSmall: Bool { size <= Limits.smallBlobBytes }
}

extension CopyPlan {
    /// Bytes by which the target's use rises at most.
    var netBytes: Int64 { max(0, file.size - victims.reduce(0) { $0 + $1.size }) }
}
