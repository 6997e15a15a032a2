import Foundation

/// A disk of its own, as a file system (ext4) in an image: it can be full and its power can go. Needs root, `mkfs.ext4` and
/// `xfs_io`.
///
/// The guard of ``TestRun`` unmounts it when this process dies.
public final class TestDisk: Sendable {
    /// Where it is mounted.
    public let place: URL
    private let image: URL
    private let options: String

    private init(place: URL, image: URL, options: String) {
        (self.place, self.image, self.options) = (place, image, options)
    }

    /// Makes one and mounts it.
    ///
    /// - Parameters:
    ///   - bytes: its size, what the file system itself needs included.
    ///   - inodes: how many files it can hold.
    ///   - writeback: seconds after which the file system writes its journal unasked.
    public static func make(
        at place: URL, bytes: Int64, inodes: Int, writeback: Int = 5, image: URL
    ) async throws -> TestDisk {
        let disk = TestDisk(place: place, image: image, options: "loop,commit=\(writeback)")
        try await mustSucceed(
            """
            set -e
            mkdir -p '\(place.path)'
            truncate -s \(bytes) '\(image.path)'
            mkfs.ext4 -q -m 0 -N \(inodes) '\(image.path)'
            """)
        try await disk.mount()
        return disk
    }

    private func mount() async throws {
        try await mustSucceed("mount -o \(options) '\(image.path)' '\(place.path)'")
    }

    /// Nothing may use it any more.
    public func remove() async {
        _ = try? await runShell("umount '\(place.path)' || umount -l '\(place.path)'; rm -f '\(image.path)'")
    }

    // MARK: - Breaking and mending

    /// What was not made durable is lost, and whoever asks for more gets an error. End those who use it, then ``restorePower()``.
    public func losePower() async throws { try await mustSucceed("xfs_io -x -c shutdown '\(place.path)'") }

    public func restorePower() async throws {
        // Whoever was killed may still be on his way out.
        try await mustSucceed(
            """
            n=0
            until umount '\(place.path)'; do n=$((n + 1)); [ $n -lt 100 ] || exit 1; sleep 0.1; done
            """)
        try await mount()
    }

    /// Somebody else takes all the room there is.
    public func fill() async throws {
        try await mustSucceed("! cat /dev/zero 2>/dev/null >'\(place.path)/ballast'")
    }

    /// Somebody else makes files until there can be no more.
    public func fillInodes() async throws {
        try await mustSucceed(
            """
            mkdir -p '\(place.path)/ballast.d' || exit 0
            cd '\(place.path)/ballast.d'
            n=0
            while true 2>/dev/null >"$n"; do n=$((n + 1)); done
            """)
    }

    /// That somebody takes it all away again.
    public func makeRoom() async throws {
        try await mustSucceed("rm -rf '\(place.path)/ballast' '\(place.path)/ballast.d'")
    }
}
