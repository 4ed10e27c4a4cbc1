import GRDB

extension DatabaseMigrator {
  /// Every change of the schema, by name, in the order in which it was made. One that was released never changes.
  static var payOnce: DatabaseMigrator {
    var migrator = DatabaseMigrator()
    migrator.registerMigration("orders") { try $0.execute(sql: Schema.orders) }
    migrator.registerMigration("origins") { try $0.execute(sql: Schema.origins) }
    migrator.registerMigration("identity") { try $0.execute(sql: Schema.identity) }
    return migrator
  }
}

/// The rules of the domain, said again where they cannot be got round. Times are milliseconds since 1970, amounts minor
/// units. Rows are wide and found by their key alone, hence `WITHOUT ROWID`.
private enum Schema {
  static let calls = """
    next_at INTEGER,
    call_kind TEXT, call_number INTEGER, call_asked_at INTEGER, call_until INTEGER,
    calls_made INTEGER NOT NULL CHECK (calls_made >= 0),
    step INTEGER NOT NULL CHECK (step >= 0),
    first_sent_call INTEGER, first_sent_at INTEGER,
    last_call_kind TEXT, last_call_at INTEGER, last_call_finding TEXT,
    answered_ask_at INTEGER,
    moving_until INTEGER,
    CHECK ((call_kind IS NULL) = (call_until IS NULL)),
    CHECK ((first_sent_call IS NULL) = (first_sent_at IS NULL)),
    CHECK ((last_call_kind IS NULL) = (last_call_at IS NULL))
    """

  static let origins = """
    CREATE TABLE origins (
      merchant TEXT NOT NULL REFERENCES merchants (id),
      origin TEXT NOT NULL,
      PRIMARY KEY (merchant, origin)
    ) STRICT, WITHOUT ROWID;
    """

  static let identity = """
    PRAGMA application_id = \(SQLiteDatabase.applicationID);

    -- Which store this is.
    CREATE TABLE identity (id INTEGER PRIMARY KEY CHECK (id = 1), store TEXT NOT NULL) STRICT;
    INSERT INTO identity (id, store) VALUES (1, lower(hex(randomblob(8))));

    ALTER TABLE merchants ADD COLUMN display_name TEXT;
    ALTER TABLE merchants ADD COLUMN mark BLOB;

    -- What waits for somebody, among all that does not.
    CREATE INDEX payments_in_doubt ON payments (unknown_since) WHERE unknown_since IS NOT NULL;
    CREATE INDEX refunds_in_doubt ON refunds (unknown_since) WHERE unknown_since IS NOT NULL;
    CREATE INDEX orders_closing ON orders (id) WHERE status = 'closing';
    """

  static let orders = """
    CREATE TABLE merchants (
      id TEXT PRIMARY KEY NOT NULL,
      name TEXT NOT NULL UNIQUE,
      created_at INTEGER NOT NULL
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

    CREATE TABLE orders (
      id TEXT PRIMARY KEY NOT NULL CHECK (length(id) = 30),
      merchant TEXT NOT NULL REFERENCES merchants (id),
      reference TEXT NOT NULL,
      amount INTEGER NOT NULL CHECK (amount > 0),
      currency TEXT NOT NULL CHECK (length(currency) = 3),
      description TEXT,
      expires_in INTEGER CHECK (expires_in > 0),
      late_payment TEXT NOT NULL CHECK (late_payment IN ('refund', 'accept')),
      return_url TEXT,
      cancel_url TEXT,
      metadata TEXT NOT NULL,
      checkout_secret BLOB NOT NULL CHECK (length(checkout_secret) = 16),
      created_at INTEGER NOT NULL,
      expires_at INTEGER NOT NULL,
      status TEXT NOT NULL CHECK (status IN ('open', 'closing', 'paid', 'closed')),
      close_reason TEXT CHECK (close_reason IN ('expired', 'cancelled')),
      paid_at INTEGER,
      closed_at INTEGER,
      updated_at INTEGER NOT NULL,
      version INTEGER NOT NULL,
      sequence INTEGER NOT NULL,
      duplicates_prevented INTEGER NOT NULL CHECK (duplicates_prevented >= 0),
      refused_keys BLOB,
      payment_count INTEGER NOT NULL,
      refund_count INTEGER NOT NULL,
      case_count INTEGER NOT NULL,
      wake_at INTEGER,
      UNIQUE (merchant, reference),
      CHECK ((status = 'paid') = (paid_at IS NOT NULL)),
      CHECK ((status = 'closed') = (closed_at IS NOT NULL)),
      CHECK ((status IN ('closing', 'closed')) = (close_reason IS NOT NULL))
    ) STRICT, WITHOUT ROWID;

    -- A merchant's list, and the few of it that are not at rest among many that are.
    CREATE INDEX orders_of_merchant ON orders (merchant, id);
    CREATE INDEX orders_under_way ON orders (merchant, id) WHERE status IN ('open', 'closing');
    CREATE INDEX orders_to_wake ON orders (wake_at, id) WHERE wake_at IS NOT NULL;

    CREATE TABLE payments (
      order_id TEXT NOT NULL REFERENCES orders (id),
      ordinal INTEGER NOT NULL CHECK (ordinal BETWEEN 1 AND 1023),
      key TEXT NOT NULL,
      provider TEXT NOT NULL,
      method TEXT NOT NULL,
      asked_method TEXT,
      amount INTEGER NOT NULL CHECK (amount > 0),
      currency TEXT NOT NULL CHECK (length(currency) = 3),
      created_at INTEGER NOT NULL,
      expires_at INTEGER NOT NULL,
      status TEXT NOT NULL CHECK (status IN ('processing', 'requires_action', 'succeeded', 'failed', 'closed')),
      surplus TEXT CHECK (surplus IN ('mismatch', 'duplicate', 'late')),
      amount_received INTEGER,
      currency_received TEXT,
      captured_at INTEGER,
      unknown_since INTEGER,
      action TEXT,
      action_value TEXT,
      failure_code TEXT,
      failure_message TEXT,
      provider_reference TEXT,
      close_requested_at INTEGER,
      watch_until INTEGER,
      updated_at INTEGER NOT NULL,
      \(calls),
      PRIMARY KEY (order_id, ordinal),
      UNIQUE (order_id, key),
      CHECK ((status = 'succeeded') = (amount_received IS NOT NULL)),
      CHECK ((amount_received IS NULL) = (currency_received IS NULL)),
      CHECK (surplus IS NULL OR status = 'succeeded'),
      CHECK (captured_at IS NULL OR status = 'succeeded'),
      CHECK (status <> 'failed' OR failure_code IS NOT NULL),
      CHECK (unknown_since IS NULL OR status IN ('processing', 'requires_action')),
      CHECK (watch_until IS NULL OR status IN ('failed', 'closed'))
    ) STRICT, WITHOUT ROWID;

    -- Invariant 1: an order has at most one live payment.
    CREATE UNIQUE INDEX one_live_payment ON payments (order_id) WHERE status IN ('processing', 'requires_action');
    -- Invariant 2: an order keeps at most one payment.
    CREATE UNIQUE INDEX one_kept_payment ON payments (order_id) WHERE status = 'succeeded' AND surplus IS NULL;

    CREATE TABLE refunds (
      order_id TEXT NOT NULL REFERENCES orders (id),
      ordinal INTEGER NOT NULL CHECK (ordinal BETWEEN 1 AND 1023),
      payment INTEGER NOT NULL,
      key TEXT,
      amount INTEGER NOT NULL CHECK (amount > 0),
      currency TEXT NOT NULL CHECK (length(currency) = 3),
      asked INTEGER CHECK (asked > 0),
      cause TEXT NOT NULL CHECK (cause IN ('requested', 'surplus')),
      reason TEXT,
      created_at INTEGER NOT NULL,
      status TEXT NOT NULL CHECK (status IN ('processing', 'succeeded', 'failed')),
      unknown_since INTEGER,
      failure_code TEXT,
      failure_message TEXT,
      provider_reference TEXT,
      updated_at INTEGER NOT NULL,
      \(calls),
      PRIMARY KEY (order_id, ordinal),
      FOREIGN KEY (order_id, payment) REFERENCES payments (order_id, ordinal)
    ) STRICT, WITHOUT ROWID;

    -- Invariant 7: within a payment a key belongs to one refund.
    CREATE UNIQUE INDEX one_refund_per_key ON refunds (order_id, payment, key) WHERE key IS NOT NULL;
    -- Invariant 6: surplus money goes back once.
    CREATE UNIQUE INDEX one_surplus_refund ON refunds (order_id, payment)
      WHERE cause = 'surplus' AND status <> 'failed';

    -- No foreign key: a case can be about money of an order that is not stored.
    CREATE TABLE cases (
      order_id TEXT NOT NULL,
      ordinal INTEGER NOT NULL CHECK (ordinal BETWEEN 1 AND 1023),
      reason TEXT NOT NULL,
      payment INTEGER,
      refund INTEGER,
      provider TEXT NOT NULL,
      amount INTEGER NOT NULL,
      currency TEXT NOT NULL CHECK (length(currency) = 3),
      note TEXT NOT NULL,
      opened_at INTEGER NOT NULL,
      resolved_at INTEGER,
      choice TEXT,
      PRIMARY KEY (order_id, ordinal)
    ) STRICT, WITHOUT ROWID;

    CREATE INDEX open_cases ON cases (opened_at) WHERE resolved_at IS NULL;

    -- A merchant's feed lies together, in the order of its positions. There is one writer, so that is also the order
    -- of the commits, and nothing is ever inserted before a position that was read.
    CREATE TABLE events (
      merchant TEXT NOT NULL,
      position INTEGER NOT NULL CHECK (position > 0),
      order_id TEXT NOT NULL REFERENCES orders (id),
      sequence INTEGER NOT NULL CHECK (sequence > 0),
      type TEXT NOT NULL,
      at INTEGER NOT NULL,
      data TEXT NOT NULL,
      PRIMARY KEY (merchant, position),
      UNIQUE (order_id, sequence)
    ) STRICT, WITHOUT ROWID;

    -- One row, written to see whether anything can be.
    CREATE TABLE probes (id INTEGER PRIMARY KEY CHECK (id = 1), at INTEGER NOT NULL) STRICT;
    """
}
