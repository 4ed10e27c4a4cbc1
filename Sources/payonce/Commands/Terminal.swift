import Foundation

/// A line on standard output, at once. Whoever read it may have gone; that is no reason to stop.
func announce(_ line: String) { try? FileHandle.standardOutput.write(contentsOf: Data((line + "\n").utf8)) }

/// A line on standard error, beside what the command answers.
func explain(_ line: String) { try? FileHandle.standardError.write(contentsOf: Data(("payonce: " + line + "\n").utf8)) }
