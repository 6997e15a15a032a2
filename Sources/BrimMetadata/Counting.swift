import BrimModel

extension ServerView {
    /// k of a blob on these servers.
    package func counted(of replicas: [ServerName]) -> Int { replicas.count { counted.contains($0) } }
    /// Those that may become holders. Holders of before stay what they are: whoever forgets a server takes it off the files,
    /// and finds out where it alone has a copy.
    package func remembered(_ servers: [ServerName]) -> [ServerName] {
        forgotten.isEmpty ? servers : servers.filter { !forgotten.contains($0) }
    }
    package func canRead(_ replicas: [ServerName]) -> Bool { replicas.contains { readable.contains($0) } }
}

extension FileContent {
    /// Other holders or another n, and k, readable and thereby surplus as they follow.
    package func with(replicas: [ServerName]? = nil, n: Int? = nil, view: ServerView) -> FileContent {
        var content = self
        content.replicas = replicas ?? self.replicas
        content.n = n ?? self.n
        content.k = view.counted(of: content.replicas)
        content.readable = view.canRead(content.replicas)
        return content
    }
}
