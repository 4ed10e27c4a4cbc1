/// A table with all that is to be kept of it, for whoever copies a whole store into another one.
package struct WholeTable: Sendable {
  package let name: String
  package let columns: [Columns.Name]

  private init(_ name: String, _ columns: [Columns.Name]) {
    self.name = name
    self.columns = columns
  }

  /// Every table, in an order in which what is referred to comes first.
  package static let all =
    [
      WholeTable("merchants", Columns.Name.list("id, name, created_at#, display_name, mark%")),
      WholeTable("origins", Columns.Name.list("merchant, origin")),
      WholeTable("keys", Columns.Name.list("id, hash%, merchant, operator, created_at#, revoked_at#")),
    ]
    + [WholeTable("archives", Archive.names)]
    + OrderTable.allCases.map { WholeTable($0.name, Columns.of($0).all) }
    // The places of events in their merchants' feeds stay, so that the cursors of shops do.
    + [WholeTable("feed", Columns.Name.list("merchant, position#, spans%"))]

  package var list: String { columns.map(\.text).joined(separator: ", ") }

  /// A row of `list`.
  package func cells(_ row: some ResultRow) -> [Cell?] { columns.cells(row) }
}

extension [Columns.Name] {
  /// What stands in a row of these columns. What has another form than its column is `nil`.
  func cells(_ row: some ResultRow) -> [Cell?] {
    enumerated().map { index, column in
      switch column.form {
      case .text: row.text(at: index).map(Cell.text)
      case .integer: row.integer(at: index).map(Cell.integer)
      case .bytes: row.bytes(at: index).map(Cell.bytes)
      }
    }
  }
}
