import Foundation

/// Locks a file for this process, until it ends. A second server on the same store would not hear of the changes of the
/// first.
/// - Throws: `SetupError` when another process has it, or the lock file cannot be made.
func holdAlone(_ path: String) throws {
  let lock = path + ".lock"
  let file = Glibc.open(lock, O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
  guard file >= 0 else { throw SetupError("The file \(lock) cannot be made: \(lastError).") }
  guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
    close(file)
    throw SetupError("\(path) is in use by another PayOnce server. Stop that one, or choose another file.")
  }
}

/// Makes the folder of a file, and those above it, where they are missing.
/// - Throws: `SetupError` when one cannot be made.
func makeFolder(of path: String) throws {
  let folder = folder(of: path)
  var made = folder.hasPrefix("/") ? "/" : ""
  for part in folder.split(separator: "/") {
    made += part + "/"
    guard mkdir(made, 0o777) == 0 || errno == EEXIST else {
      throw SetupError("The folder \(folder) cannot be made: \(lastError).")
    }
  }
}

/// The folder that a file is in, `.` where its path names none. Foundation's own function ends the program when it is given
/// a path of one character.
func folder(of path: String) -> String {
  guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
  return slash == path.startIndex ? "/" : String(path[..<slash])
}

/// The system's message about the last call that failed.
var lastError: String { String(cString: strerror(errno)) }
