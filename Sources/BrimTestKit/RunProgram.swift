import ChildProcesses
import Foundation

/// Runs a program to its end and returns its status and its output. Throws when a signal killed it.
///
/// - Parameter error: where its standard error goes; nil: to the output.
public func runProgram(
    _ program: URL, _ arguments: [String], error: ChildProcess.Output? = nil
) async throws -> (status: Int32, output: String) {
    let file = FileManager.default.temporaryDirectory.appending(path: "brim-output-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: file) }
    let child = try ChildProcess(program, arguments, output: .appended(to: file), error: error ?? .appended(to: file))
    let exit = await child.wait()
    let output = String(decoding: try Data(contentsOf: file), as: UTF8.self)
    guard case .status(let status) = exit else {
        throw SwarmFailure("\(program.lastPathComponent) was killed: \(exit)\n\(output)")
    }
    return (status, output)
}

/// Runs a shell script and returns its status and its output.
func runShell(_ script: String) async throws -> (status: Int32, output: String) {
    try await runProgram(URL(filePath: "/bin/sh"), ["-c", script])
}

/// Runs a shell script, and throws with its output unless it ends with status 0.
func mustSucceed(_ script: String) async throws {
    let (status, output) = try await runShell(script)
    guard status == 0 else { throw SwarmFailure("status \(status) of:\n\(script)\n\(output)") }
}
