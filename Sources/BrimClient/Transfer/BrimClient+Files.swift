import BrimModel
import BrimWire

extension BrimClient {
    /// Writes a local file into the swarm under exactly this path, with its permission bits.
    ///
    /// What is not a regular file (a pipe, a device) is read to its end. Throws `.isDirectory` for a directory.
    ///
    /// - Parameter keepsTime: whether the file in the swarm gets the local file's modification time.
    @discardableResult
    public func putFile(
        _ local: String, to path: BrimPath, options: PutOptions = PutOptions(), keepsTime: Bool = false,
        progress: TransferProgress? = nil
    ) async throws -> WriteReply {
        let (file, status) = try await blocking {
            let file = try LocalFile(reading: local)
            return (file, try file.status())
        }
        guard !status.isDirectory else {
            throw BrimError(.isDirectory, "'\(local)' is a directory", advice: "Use -r to copy directories")
        }
        let reply: WriteReply
        if status.isRegular {
            let source = try FileSource(file: file)
            var options = options
            options.mode = options.mode ?? source.mode
            if keepsTime { options.modified = source.modified }
            progress?.expect(files: 1, bytes: source.size)
            reply = try await put(try await source.inMemoryIfSmall(), to: path, options: options, progress: progress)
        } else {
            progress?.expect(files: 1, bytes: nil)
            reply = try await put(StreamSource(file: file), to: path, options: options, progress: progress)
        }
        progress?.addFile()
        return reply
    }

    /// Reads a file of the swarm into exactly this local path, which is replaced at once when all bytes are there.
    /// Missing parents are made; a pipe or device is written as the bytes come.
    ///
    /// - Parameter keepsModeAndTime: else the mode is that of a file which is replaced, or the swarm's less the umask.
    @discardableResult
    public func getFile(
        _ path: BrimPath, version: Int64? = nil, to local: String, keepsModeAndTime: Bool = false,
        progress: TransferProgress? = nil
    ) async throws -> FileStat {
        let plan = try await plan(path, version: version)
        progress?.expect(files: 1, bytes: plan.file.size)
        return try await getFile(
            plan, path, version: version, to: local, keepsModeAndTime: keepsModeAndTime, progress: progress)
    }

    func getFile(
        _ plan: ReadPlan, _ path: BrimPath, version: Int64? = nil, to local: String, keepsModeAndTime: Bool,
        progress: TransferProgress?
    ) async throws -> FileStat {
        if let stream = try await blocking({ try Self.existingSpecialFile(local) }) {
            var download = FileDownload(
                client: self, path: path, version: version, plan: plan, sink: StreamSink(file: stream),
                progress: progress)
            let file = try await download.run()
            progress?.addFile()
            return file
        }
        try await blocking { try LocalPath.makeDirectories(LocalPath.parent(of: local)) }
        let target = try await NewFile(at: local)
        defer { target.discard() }
        var download = FileDownload(
            client: self, path: path, version: version, plan: plan, sink: target, progress: progress)
        let file = try await download.run()
        try await target.commit(
            mode: keepsModeAndTime ? file.mode : nil, fallbackMode: file.mode,
            modified: keepsModeAndTime ? file.modified : nil)
        progress?.addFile()
        return file
    }

    /// An existing pipe or device, opened; nil when there is none. Renaming over one would destroy it.
    private static func existingSpecialFile(_ path: String) throws -> LocalFile? {
        guard let status = Posix.status(of: path), !status.isRegular else { return nil }
        guard !status.isDirectory else {
            throw BrimError(.isDirectory, "'\(path)' is a directory", advice: "End it with '/' to put the file inside")
        }
        return try LocalFile(writing: path)
    }
}
