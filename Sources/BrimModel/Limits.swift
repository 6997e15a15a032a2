/// Every bound that more than one part of BrimFS relies on, with its unit.
public enum Limits {
    /// Bytes of one name.
    public static let nameBytes = 255
    /// Components of one path.
    public static let pathComponents = 255
    /// Bytes of the name of a zone.
    public static let zoneBytes = 255
    /// Bytes of one path.
    public static let pathBytes = 4096
    /// Bytes covered by one checksum of a blob.
    public static let blockBytes = 64 * 1024
    /// The largest blob in bytes (16 TiB).
    public static let blobBytes: Int64 = 16 << 40
    /// The largest n a file may ask for.
    public static let maxCopies = 1000
    /// Attributes of one file.
    public static let attributeCount = 64
    /// Bytes of an attribute's name, and of a text value.
    public static let attributeBytes = 1024
    /// Bytes of the id of a request that changes names.
    public static let requestBytes = 128
    /// Bytes of a JSON request body.
    public static let jsonBodyBytes = 8 << 20
    /// Bytes of a JSON body from a slave to a master; pages of reports are the largest.
    public static let nodeBodyBytes = 16 << 20
    /// Entries in one page of a listing.
    public static let pageEntries = 1000
    /// Bytes of the attributes in one page of entries, were they as long as they may be.
    public static let pageAttributeBytes = 16 << 20
    /// Files that one request may ask to read or to write.
    public static let requestFiles = 256
    /// Blobs in one page of a server's report.
    public static let reportPageBlobs = 5000
    /// Overwritten versions that wait in a file's document to become documents of their own; one that comes on top of
    /// these is not kept.
    public static let formerVersions = 200
    /// Items in one batch of orders to a slave.
    public static let orderBatch = 256
    /// Bytes of the largest blob that is copied together with others.
    public static let smallBlobBytes: Int64 = 64 * 1024
    /// Blobs that one server asks another for at once, and their bytes together.
    public static let copyBatchBlobs = 128
    public static let copyBatchBytes: Int64 = 4 << 20
    /// Evictions that one copy may cost; a file that would need more waits.
    public static let victims = 10_000
    /// Bytes granted at a time to an upload of unknown length.
    public static let reservationStepBytes: Int64 = 4 << 20
    /// Bytes of the target of a symbolic link.
    public static let symlinkBytes = 4096
    /// Tolerated difference of clocks when a token's expiry is checked, in seconds.
    public static let clockSkewSeconds = 60
}
