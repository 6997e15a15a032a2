extension String {
    /// Bytes as text for messages: each byte that is not part of UTF-8 becomes `\xHH`, so that it can be told which
    /// name is meant. All others stay as they are, backslashes too.
    init(escapingInvalidUTF8 bytes: [UInt8]) {
        self.init()
        var parser = Unicode.UTF8.ForwardParser()
        var input = bytes.makeIterator()
        var position = 0
        while true {
            switch parser.parseScalar(from: &input) {
            case .valid(let encoded):
                unicodeScalars.append(Unicode.UTF8.decode(encoded))
                position += encoded.count
            case .error(let length):
                for byte in bytes[position..<position + length] {
                    append("\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16))
                }
                position += length
            case .emptyInput: return
            }
        }
    }
}
