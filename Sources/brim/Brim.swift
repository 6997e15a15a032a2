import ArgumentParser
import Configuration
@main struct Brim: AsyncParsableCommand { mutating func run() async throws {} }
