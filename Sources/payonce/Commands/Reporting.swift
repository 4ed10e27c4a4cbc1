import ArgumentParser
import Foundation
import NIOCore
import PaymentEngine

extension IOError {
  /// The system's message, without the name of the function that failed.
  var inWords: String { String(cString: strerror(errnoCode)) }
}

extension AsyncParsableCommand {
  /// Runs a command. An error of the setup, the store or the network is reported in one line, with exit code 2.
  func reporting(_ work: () async throws -> Void) async throws {
    let complaint: String
    do { return try await work() } catch let error as SetupError {
      complaint = error.description
    } catch let fault as Fault {
      complaint = "The store does not work at the moment (\(fault.reason)). Is its disk full, or is it busy? Try again."
    } catch let error as IOError {
      complaint = "It cannot go on: \(error.inWords)."
    }
    explain(complaint)
    throw ExitCode(2)
  }
}
