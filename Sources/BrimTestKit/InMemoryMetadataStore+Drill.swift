import BrimMetadata
import BrimModel

extension InMemoryMetadataStore {
    public func sample(at chance: Double, limit: Int) -> NamespaceSample {
        let numbers = records.keys.sorted()
        let last = FileID(lastID)
        let start = FileID(Int64(Double(lastID) * chance))
        let behind = numbers.filter { $0 > start }.prefix(limit)
        let before = behind.count < limit ? numbers.filter { $0 <= start }.suffix(limit - behind.count) : []
        let first = before.first ?? behind.first ?? last
        let through = behind.count == limit ? behind.last ?? last : last
        return sample(NumberRange(after: FileID(first.rawValue - 1), through: through))
    }

    public func sample(_ range: NumberRange) -> NamespaceSample {
        var sample = NamespaceSample(
            range: range, entries: records.values.map(\.entry).filter { range.contains($0.id) })
        while case let found = sample.wantedDirectories.compactMap({ records[$0]?.entry }), !found.isEmpty {
            for directory in found { sample.directories[directory.id] = directory }
        }
        return sample
    }

    public func drill() -> DrillReport? { lastDrill }

    public func keep(_ drill: DrillReport) { lastDrill = drill }
}
