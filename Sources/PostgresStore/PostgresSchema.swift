/// Times are milliseconds since 1970, amounts minor units, ids 16 bytes. Only what engines that speak PostgreSQL's protocol
/// share: no triggers, sequences, advisory locks; unique keys hold the order's id, by which tables can be distributed, but for
/// the hash of merchant and reference; and no foreign keys, whose locks on a merchant's row all of its orders would share.
/// Keys are sorted by their bytes: a standby with another C library sorts letters in another way, and would not find them.
enum PostgresSchema {
  /// Every change of the schema, in the order in which it was made. One that was released never changes.
  static let migrations = [first, archives]

  private static let first = [
    // Which store this is.
    "CREATE TABLE identity (id BIGINT PRIMARY KEY CHECK (id = 1), store TEXT NOT NULL)",
    "INSERT INTO identity (id, store) VALUES (1, substr(md5(random()::text || clock_timestamp()::text), 1, 16))",
    """
    CREATE TABLE merchants (
      id TEXT COLLATE "C" PRIMARY KEY,
      name TEXT COLLATE "C" NOT NULL UNIQUE,
      created_at BIGINT NOT NULL,
      display_name TEXT,
      mark BYTEA
    )
    """,
    """
    CREATE TABLE origins (
      merchant TEXT COLLATE "C" NOT NULL,
      origin TEXT COLLATE "C" NOT NULL,
      PRIMARY KEY (merchant, origin)
    )
    """,
    """
    CREATE TABLE keys (
      id TEXT COLLATE "C" PRIMARY KEY,
      hash BYTEA NOT NULL CHECK (length(hash) = 32),
      merchant TEXT COLLATE "C",
      operator TEXT,
      created_at BIGINT NOT NULL,
      revoked_at BIGINT,
      CHECK ((merchant IS NULL) <> (operator IS NULL))
    )
    """,
    // Invariants 1 and 2 are the shape of this row: an order has room for one live payment, and for one that it keeps. What
    // changes is in no index, so that a change needs no new entry in one, if the page has room.
    """
    CREATE TABLE orders (
      id BYTEA PRIMARY KEY CHECK (length(id) = 16),
      number BYTEA NOT NULL UNIQUE CHECK (length(number) = 16),
      merchant TEXT COLLATE "C" NOT NULL,
      reference TEXT COLLATE "C" NOT NULL,
      amount BIGINT NOT NULL CHECK (amount > 0),
      currency TEXT NOT NULL CHECK (length(currency) = 3),
      status TEXT NOT NULL CHECK (status IN ('open', 'closing', 'paid', 'closed')),
      live_ordinal BIGINT CHECK (live_ordinal BETWEEN 1 AND 1023),
      kept_ordinal BIGINT CHECK (kept_ordinal BETWEEN 1 AND 1023),
      version BIGINT NOT NULL,
      state BYTEA NOT NULL,
      CHECK ((status = 'paid') = (kept_ordinal IS NOT NULL)),
      CHECK (status <> 'closed' OR live_ordinal IS NULL)
    ) WITH (fillfactor = 50)
    """,
    "CREATE INDEX orders_of_merchant ON orders (merchant, id)",
    "CREATE TABLE wakes (at BIGINT NOT NULL, id BYTEA NOT NULL, PRIMARY KEY (at, id))",
    #"CREATE TABLE under_way (merchant TEXT COLLATE "C" NOT NULL, id BYTEA NOT NULL, PRIMARY KEY (merchant, id))"#,
    """
    CREATE TABLE waiting (
      kind TEXT COLLATE "C" NOT NULL,
      since BIGINT NOT NULL,
      id BYTEA NOT NULL,
      ordinal BIGINT NOT NULL,
      PRIMARY KEY (kind, since, id, ordinal)
    )
    """,
    // What one commit made of one order, found by the number of its first event.
    """
    CREATE TABLE events (
      id BYTEA NOT NULL,
      sequence BIGINT NOT NULL CHECK (sequence > 0),
      events BYTEA NOT NULL,
      PRIMARY KEY (id, sequence)
    )
    """,
    // What one commit added to a merchant's feed, at the position of its last event; and what has no position yet.
    """
    CREATE TABLE feed (
      merchant TEXT COLLATE "C" NOT NULL,
      position BIGINT NOT NULL CHECK (position > 0),
      spans BYTEA NOT NULL,
      PRIMARY KEY (merchant, position)
    )
    """,
    #"CREATE TABLE feeds (merchant TEXT COLLATE "C" PRIMARY KEY, last BIGINT NOT NULL)"#,
    """
    CREATE TABLE feed_queue (
      at BIGINT NOT NULL,
      session TEXT COLLATE "C" NOT NULL,
      batch BIGINT NOT NULL,
      merchant TEXT COLLATE "C" NOT NULL,
      count BIGINT NOT NULL,
      spans BYTEA NOT NULL,
      PRIMARY KEY (at, session, batch, merchant)
    )
    """,
    // One row, held by whoever gives positions.
    "CREATE TABLE numbering (id BIGINT PRIMARY KEY CHECK (id = 1))",
    "INSERT INTO numbering (id) VALUES (1)",
    // Cases of money for orders that are not stored.
    """
    CREATE TABLE strays (
      id BYTEA NOT NULL CHECK (length(id) = 16),
      ordinal BIGINT NOT NULL CHECK (ordinal BETWEEN 1 AND 1023),
      opened_at BIGINT NOT NULL,
      is_open BIGINT NOT NULL CHECK (is_open IN (0, 1)),
      state BYTEA NOT NULL,
      PRIMARY KEY (id, ordinal)
    )
    """,
    "CREATE INDEX open_strays ON strays (opened_at) WHERE is_open = 1",
    // One row for each connection that writes or reads: what it wrote last, and the barrier before its first answer.
    """
    CREATE TABLE sessions (
      id TEXT COLLATE "C" PRIMARY KEY,
      batch BIGINT NOT NULL,
      fence BIGINT NOT NULL,
      at BIGINT NOT NULL
    ) WITH (fillfactor = 20)
    """,
  ]

  private static let archives = [
    // The files of orders that were moved out, and how far each of them is known to be on disk.
    """
    CREATE TABLE archives (
      number BIGINT PRIMARY KEY CHECK (number > 0),
      id TEXT COLLATE "C" NOT NULL,
      name TEXT NOT NULL,
      begun_at BIGINT NOT NULL,
      orders BIGINT NOT NULL,
      bytes BIGINT NOT NULL,
      sha256 BYTEA NOT NULL CHECK (length(sha256) = 32)
    )
    """,
    // What is still known of an order in an archive. It is found as it was before, so that its reference stays its own. The
    // amount is what was received.
    """
    CREATE TABLE archived (
      id BYTEA PRIMARY KEY CHECK (length(id) = 16),
      number BYTEA NOT NULL UNIQUE CHECK (length(number) = 16),
      merchant TEXT COLLATE "C" NOT NULL,
      status TEXT NOT NULL CHECK (status IN ('paid', 'closed')),
      kept_ordinal BIGINT CHECK (kept_ordinal BETWEEN 1 AND 1023),
      provider TEXT,
      amount BIGINT,
      currency TEXT,
      archived_at BIGINT NOT NULL,
      archive BIGINT NOT NULL,
      CHECK ((status = 'paid') = (kept_ordinal IS NOT NULL))
    )
    """,
  ]
}
