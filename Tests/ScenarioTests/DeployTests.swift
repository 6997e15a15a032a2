import BrimModel
import BrimTestKit
import Foundation
import Testing

extension ScenarioTests {
    /// The systemd units and the files of settings beside them say nothing that `brim` does not know.
    @Suite struct DeployTests {
        private static let directory = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../../deploy/systemd").standardizedFileURL
        private static let units = ["brim-mongod.service", "brim-master.service", "brim-slave@.service"]

        private static func text(_ name: String) throws -> String {
            try String(contentsOf: directory.appending(path: name), encoding: .utf8)
        }

        /// Values of a key, of all its lines.
        private static func values(_ key: String, in unit: String) -> [String] {
            unit.split(separator: "\n").filter { $0.hasPrefix("\(key)=") }.map { String($0.dropFirst(key.count + 1)) }
        }

        @Test(arguments: units) func aUnitStartsWhatThereIs(name: String) async throws {
            let unit = try Self.text(name)
            for section in ["[Unit]", "[Service]", "[Install]"] { #expect(unit.contains(section)) }
            for file in Self.values("EnvironmentFile", in: unit) { #expect(file.contains("/etc/brim/")) }
            let commands = Self.values("ExecStart", in: unit)
            #expect(commands.count == 1)
            let words = commands[0].split(separator: " ").map(String.init)
            #expect(words.first == "/usr/local/bin/brim")
            let command = Array(words.dropFirst().prefix { !$0.hasPrefix("-") })
            try await Swarm.run { swarm in
                let help = try await swarm.cli(command + ["--help"])
                #expect(help.status == 0 && !command.isEmpty, "\(help)")
                for flag in words where flag.hasPrefix("--") {
                    #expect(help.text.contains(flag), "'brim \(command.joined(separator: " "))' has no \(flag)")
                }
            }
        }

        /// With systemd's own tool where there is one. It wants a program to be where the unit says.
        @Test(arguments: units) func systemdUnderstandsAUnit(name: String) async throws {
            try await Swarm.run { swarm in
                let unit = try Self.text(name).replacing("/usr/local/bin/brim", with: swarm.run.brim.path)
                let file = try swarm.scratchFile(Data(unit.utf8), named: name)
                let result = try await swarm.shell(
                    "! command -v systemd-analyze >/dev/null || systemd-analyze verify --man=no '\(file.path)' 2>&1")
                #expect(result.status == 0 && result.text.isEmpty, "\(result)")
            }
        }

        /// Every variable in the files of settings, and every one that a unit names, is a flag of some command.
        @Test func variablesAreFlags() async throws {
            try await Swarm.run { swarm in
                var help = ""
                for command in [["master"], ["slave"], ["mongod", "run"]] {
                    help += try await swarm.cli(command + ["--help"]).text
                }
                for name in ["brim.env"] + Self.units {
                    let names = try Self.text(name).matches(of: /BRIM_[A-Z_]+/).map { String($0.output) }
                    #expect(!names.isEmpty)
                    for variable in Set(names) where variable != "BRIM_PASSWORD" {
                        let flag = "--" + variable.dropFirst("BRIM_".count).lowercased().replacing("_", with: "-")
                        #expect(help.contains(flag), "\(name) names \(variable), and there is no \(flag)")
                    }
                }
            }
        }
    }
}
