import BrimModel

@testable import BrimPlacement

extension SwarmModel {
    /// One random thing happens.
    mutating func step() throws {
        clock += .seconds(1)
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<12: if files.count < mostFiles { try beginWrite() } else { removeFile() }
        case 12..<24: if let i = writes.indices.randomElement(using: &random) { try endWrite(i) }
        case 24..<28: removeFile()
        case 28..<46: _ = try decide(atMost: Int.random(in: 1...8, using: &random))
        case 46..<62: if let name = anyServer() { _ = try deliver(to: name) }
        case 62..<70: if let name = anyServer() { answer(from: name) }
        case 70..<82:
            if let i = pulls.indices.randomElement(using: &random) { try finish(i, fails: random.chance(10)) }
        case 82..<87: if let name = anyServer() { hear(name) }
        case 87..<89: hearAll()
        case 89..<91: changeQuota()
        case 91..<94: changeState()
        case 94..<97: changeN()
        case 97: if let name = anyServer() { servers[name]?.load = random.chance(50) ? 0.99 : 0 }
        case 98: expire()
        default: if random.chance(10) { changeRules() }
        }
    }

    private mutating func anyServer() -> ServerName? { names.randomElement(using: &random) }

    private mutating func anyFile() -> FileID? { files.keys.sorted().randomElement(using: &random) }

    private mutating func removeFile() {
        guard let id = anyFile(), let file = files.removeValue(forKey: id)
        else { return }
        for name in file.replicas where isReadable(name) { drop(file.blob, on: name) }
    }

    private mutating func drop(_ blob: BlobID, on name: ServerName) {
        servers[name]?.blobs[blob] = nil
        servers[name]?.count += 1
    }

    private mutating func changeN() {
        guard let id = anyFile() else { return }
        files[id]?.n = [1, 1, 2, 2, 3, 4][Int.random(in: 0..<6, using: &random)]
    }

    private mutating func changeQuota() {
        guard let name = anyServer() else { return }
        servers[name]?.quota = Int64.random(in: 1...60, using: &random)
        servers[name]?.disturbances += 1
        hearAll()
    }

    /// The floor, or the headroom.
    private mutating func changeRules() {
        if random.chance(50) {
            floor = [0, -1000, 1][Int.random(in: 0..<3, using: &random)]
            planner.floor = flaw == .floor ? floor - 1 : floor
        } else {
            headroom = [.share(0), .share(0.02), .bytes(5)][Int.random(in: 0..<3, using: &random)]
            hearAll()
        }
    }

    private mutating func expire() {
        clock += .seconds(30)
        for write in writes where write.until <= clock { stop(write) }
        writes.removeAll { $0.until <= clock }
        planner.expireGrants(at: clock)
    }

    /// up → suspect → up or down → up; up → draining → up or down.
    private mutating func changeState() {
        guard let name = anyServer(), var server = servers[name] else { return }
        switch server.state {
        case .up:
            server.state = random.chance(70) ? .suspect : .draining
            servers[name] = server
        case .suspect where random.chance(60), .draining where random.chance(60):
            server.state = .up
            servers[name] = server
        case .suspect, .draining:
            server.state = .down
            server.orders = []
            server.answers = []
            server.isAmbiguous = false
            servers[name] = server
            _ = planner.lost(name)
            pulls.removeAll { $0.target == name }
        case .down:
            // Its report is reconciled: what metadata does not place there goes, pulls are forgotten.
            server.state = .up
            server.boot += 1
            server.count = 0
            server.reserved = [:]
            server.writing = [:]
            let kept = Set(files.values.filter { $0.replicas.contains(name) }.map(\.blob))
            server.blobs = server.blobs.filter { kept.contains($0.key) }
            servers[name] = server
        }
        hearAll()
    }
}
