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
    /// With the n that it has after a write: what the writer asked for; else what somebody set before; else what policies
    /// say.
    package func wanted(_ write: BlobCommit, _ former: FileContent?) -> FileContent {
        var content = self
        if let n = write.explicitN {
            (content.n, content.policy) = (n, PolicyName.explicit)
        } else if let former, former.policy == PolicyName.explicit {
            (content.n, content.policy) = (former.n, former.policy)
        } else {
            (content.n, content.policy) = (write.policy.n, write.policy.rule)
        }
        return content
    }

    /// Other holders or another n, and k, readable and thereby surplus as they follow.
    package func with(
        replicas: [ServerName]? = nil, n: Int? = nil, policy: String? = nil, view: ServerView
    ) -> FileContent {
        var content = self
        content.replicas = replicas ?? self.replicas
        content.n = n ?? self.n
        content.policy = policy ?? self.policy
        content.k = view.counted(of: content.replicas)
        content.readable = view.canRead(content.replicas)
        return content
    }
}
