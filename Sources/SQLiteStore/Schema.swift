import GRDB

extension DatabaseMigrator {
  /// Every change of the schema, by name, in the order in which it was made. One that was released never changes.
  static var payOnce: DatabaseMigrator {
    var migrator = DatabaseMigrator()
    migrator.registerMigration("compact orders") { try $0.execute(sql: Schema.first) }
    migrator.registerMigration("archives") { try $0.execute(sql: Schema.archives) }
    return migrator
  }
}

/// Times are milliseconds since 1970, amounts minor units, ids 16 bytes. An order is one row, found by its key alone, hence
/// `WITHOUT ROWID`; what of the domain's rules its columns cannot say is held by `Order.encoded`.
private enum Schema {
  static let first = """
    PRAGMA application_id = \(SQLiteDatabase.applicationID);

    -- Which store this is.
    CREATE TABLE identity (id INTEGER PRIMARY KEY CHECK (id = 1), store TEXT NOT NULL) STRICT;
    INSERT INTO identity (id, store) VALUES (1, lower(hex(randomblob(8))));

    CREATE TABLE merchants (
      id TEXT PRIMARY KEY NOT NULL,
      name TEXT NOT NULL UNIQUE,
      created_at INTEGER NOT NULL,
      display_name TEXT,
      mark BLOB
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE origins (
      merchant TEXT NOT NULL REFERENCES merchants (id),
      origin TEXT NOT NULL,
      PRIMARY KEY (merchant, origin)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE keys (
      id TEXT PRIMARY KEY NOT NULL,
      hash BLOB NOT NULL CHECK (length(hash) = 32),
      merchant TEXT REFERENCES merchants (id),
      operator TEXT,
      created_at INTEGER NOT NULL,
      revoked_at INTEGER,
      CHECK ((merchant IS NULL) <> (operator IS NULL))
    ) STRICT, WITHOUT ROWID;

    -- Invariants 1 and 2 are the shape of this row: an order has room for one live payment, and for one that it keeps.
    CREATE TABLE orders (
      id BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
      number BLOB NOT NULL UNIQUE CHECK (length(number) = 16),
      merchant TEXT NOT NULL REFERENCES merchants (id),
      reference TEXT NOT NULL,
      amount INTEGER NOT NULL CHECK (amount > 0),
      currency TEXT NOT NULL CHECK (length(currency) = 3),
      status TEXT NOT NULL CHECK (status IN ('open', 'closing', 'paid', 'closed')),
      live_ordinal INTEGER CHECK (live_ordinal BETWEEN 1 AND 1023),
      kept_ordinal INTEGER CHECK (kept_ordinal BETWEEN 1 AND 1023),
      version INTEGER NOT NULL,
      state BLOB NOT NULL,
      CHECK ((status = 'paid') = (kept_ordinal IS NOT NULL)),
      CHECK (status <> 'closed' OR live_ordinal IS NULL)
    ) STRICT, WITHOUT ROWID;

    CREATE INDEX orders_of_merchant ON orders (merchant, id);

    CREATE TABLE wakes (at INTEGER NOT NULL, id BLOB NOT NULL, PRIMARY KEY (at, id)) STRICT, WITHOUT ROWID;

    CREATE TABLE under_way (merchant TEXT NOT NULL, id BLOB NOT NULL, PRIMARY KEY (merchant, id)) STRICT, WITHOUT ROWID;

    CREATE TABLE waiting (
      kind TEXT NOT NULL,
      since INTEGER NOT NULL,
      id BLOB NOT NULL,
      ordinal INTEGER NOT NULL,
      PRIMARY KEY (kind, since, id, ordinal)
    ) STRICT, WITHOUT ROWID;

    -- What one commit made of one order, found by the number of its first event.
    CREATE TABLE events (
      id BLOB NOT NULL,
      sequence INTEGER NOT NULL CHECK (sequence > 0),
      events BLOB NOT NULL,
      PRIMARY KEY (id, sequence)
    ) STRICT, WITHOUT ROWID;

    -- What one commit added to a merchant's feed, at the position of its last event. There is one writer, so that the order
    -- of the positions is also that of the commits, and nothing is ever inserted before a position that was read.
    CREATE TABLE feed (
      merchant TEXT NOT NULL,
      position INTEGER NOT NULL CHECK (position > 0),
      spans BLOB NOT NULL,
      PRIMARY KEY (merchant, position)
    ) STRICT, WITHOUT ROWID;

    -- Cases of money for orders that are not stored.
    CREATE TABLE strays (
      id BLOB NOT NULL CHECK (length(id) = 16),
      ordinal INTEGER NOT NULL CHECK (ordinal BETWEEN 1 AND 1023),
      opened_at INTEGER NOT NULL,
      is_open INTEGER NOT NULL CHECK (is_open IN (0, 1)),
      state BLOB NOT NULL,
      PRIMARY KEY (id, ordinal)
    ) STRICT, WITHOUT ROWID;

    CREATE INDEX open_strays ON strays (opened_at) WHERE is_open = 1;

    -- One row, written to see whether anything can be.
    CREATE TABLE probes (id INTEGER PRIMARY KEY CHECK (id = 1), at INTEGER NOT NULL) STRICT;
    """

  static let archives = """
    -- The files of orders that were moved out, and how far each of them is known to be on disk.
    CREATE TABLE archives (
      number INTEGER PRIMARY KEY NOT NULL CHECK (number > 0),
      id TEXT NOT NULL UNIQUE,
      name TEXT NOT NULL,
      begun_at INTEGER NOT NULL,
      orders INTEGER NOT NULL,
      bytes INTEGER NOT NULL,
      sha256 BLOB NOT NULL CHECK (length(sha256) = 32)
    ) STRICT;

    -- What is still known of an order in an archive. It is found as it was before, so that its reference stays its own. The
    -- amount is what was received.
    CREATE TABLE archived (
      id BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
      number BLOB NOT NULL UNIQUE CHECK (length(number) = 16),
      merchant TEXT NOT NULL REFERENCES merchants (id),
      status TEXT NOT NULL CHECK (status IN ('paid', 'closed')),
      kept_ordinal INTEGER CHECK (kept_ordinal BETWEEN 1 AND 1023),
      provider TEXT,
      amount INTEGER,
      currency TEXT,
      archived_at INTEGER NOT NULL,
      archive INTEGER NOT NULL REFERENCES archives (number),
      CHECK ((status = 'paid') = (kept_ordinal IS NOT NULL))
    ) STRICT, WITHOUT ROWID;
    """
}
