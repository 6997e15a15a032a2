import BrimMetadata
import BrimModel
import BrimPlacement

extension InMemoryMetadataStore {
    public func fragileFiles(view: ServerView, limit: Int) -> [FailureBudget.Group] {
        let readable = files.map(\.1).filter(\.readable)
        let least = readable.filter { $0.k > 2 }.map(\.surplus).min() ?? 0
        let poor = readable.filter { $0.k > 2 && $0.surplus <= least + 1 }.sorted { $0.surplus < $1.surplus }
        return (readable.filter { $0.k <= 2 } + poor.prefix(limit)).map { content in
            FailureBudget.Group(
                counted: view.counted.intersection(content.replicas),
                readable: view.readable.intersection(content.replicas), surplus: content.surplus, files: 1,
                bytes: content.size)
        }
    }

    public func foresee(_ event: ForeseenEvent, view: ServerView) -> [ForeseenChange] {
        files.compactMap { entry, content in
            let n = event.n(of: entry.id, in: entry.parent, now: content.n)
            guard n != content.n || !event.lost.isDisjoint(with: content.replicas) else { return nil }
            let left = Set(content.replicas).subtracting(event.lost)
            return ForeseenChange(
                before: content.readable ? content.surplus : nil,
                after: left.isDisjoint(with: view.readable) ? nil : left.intersection(view.counted).count - n,
                files: 1, bytes: content.size)
        }
    }

    public func sampleFiles(_ count: Int?) -> [SampledFile] {
        let readable = files.filter { $1.readable }.sorted { $0.0.id < $1.0.id }
        return readable.prefix(count ?? readable.count).map { entry, content in
            SampledFile(
                id: entry.id, parent: entry.parent, size: content.size, n: content.n, replicas: content.replicas)
        }
    }

    public func noteGrowth(_ sample: Growth.Sample) {
        if let last = growthSamples.last, last.at.seconds / 3600 == sample.at.seconds / 3600 { return }
        var sample = sample
        sample.at = sample.at.wholeMilliseconds
        growthSamples = (growthSamples + [sample]).suffix(growthMemory)
    }

    public func growth() -> [Growth.Sample] { growthSamples }
}
