/// The rules of the domain, said again where they cannot be got round. Times are milliseconds since 1970, amounts minor
/// units. Only what engines that speak PostgreSQL's protocol share: no triggers, sequences, advisory locks; unique keys hold
/// the order's id, by which tables can be distributed, but for merchant and reference; and no foreign keys, whose locks on a merchant's row
/// all of its orders would share. Keys are sorted by their bytes: a standby with another C library sorts letters in another
/// way, and would not find them.
enum PostgresSchema {
  /// Every change of the schema, in the order in which it was made. One that was released never changes.
  static let migrations = [orders, origins, identity]

  private static let calls = """
    next_at BIGINT,
    call_kind TEXT, call_number BIGINT, call_asked_at BIGINT, call_until BIGINT,
    calls_made BIGINT NOT NULL CHECK (calls_made >= 0),
    step BIGINT NOT NULL CHECK (step >= 0),
    first_sent_call BIGINT, first_sent_at BIGINT,
    last_call_kind TEXT, last_call_at BIGINT, last_call_finding TEXT,
    answered_ask_at BIGINT,
    moving_until BIGINT,
    CHECK ((call_kind IS NULL) = (call_until IS NULL)),
    CHECK ((first_sent_call IS NULL) = (first_sent_at IS NULL)),
    CHECK ((last_call_kind IS NULL) = (last_call_at IS NULL))
    """

  private static let origins = [
    """
    CREATE TABLE origins (
      merchant TEXT COLLATE "C" NOT NULL,
      origin TEXT COLLATE "C" NOT NULL,
      PRIMARY KEY (merchant, origin)
    )
    """
  ]

  private static let identity = [
    // Which store this is.
    "CREATE TABLE identity (id BIGINT PRIMARY KEY CHECK (id = 1), store TEXT NOT NULL)",
    "INSERT INTO identity (id, store) VALUES (1, substr(md5(random()::text || clock_timestamp()::text), 1, 16))",
    "ALTER TABLE merchants ADD COLUMN display_name TEXT",
    "ALTER TABLE merchants ADD COLUMN mark BYTEA",
    // What waits for somebody, among all that does not.
    "CREATE INDEX payments_in_doubt ON payments (unknown_since) WHERE unknown_since IS NOT NULL",
    "CREATE INDEX refunds_in_doubt ON refunds (unknown_since) WHERE unknown_since IS NOT NULL",
    "CREATE INDEX orders_closing ON orders (id) WHERE status = 'closing'",
  ]

  private static let orders = [
    """
    CREATE TABLE merchants (
      id TEXT COLLATE "C" PRIMARY KEY,
      name TEXT COLLATE "C" NOT NULL UNIQUE,
      created_at BIGINT NOT NULL
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
    """
    CREATE TABLE orders (
      id TEXT COLLATE "C" PRIMARY KEY CHECK (length(id) = 30),
      merchant TEXT COLLATE "C" NOT NULL,
      reference TEXT COLLATE "C" NOT NULL,
      amount BIGINT NOT NULL CHECK (amount > 0),
      currency TEXT NOT NULL CHECK (length(currency) = 3),
      description TEXT,
      expires_in BIGINT CHECK (expires_in > 0),
      late_payment TEXT NOT NULL CHECK (late_payment IN ('refund', 'accept')),
      return_url TEXT,
      cancel_url TEXT,
      metadata TEXT NOT NULL,
      checkout_secret BYTEA NOT NULL CHECK (length(checkout_secret) = 16),
      created_at BIGINT NOT NULL,
      expires_at BIGINT NOT NULL,
      status TEXT NOT NULL CHECK (status IN ('open', 'closing', 'paid', 'closed')),
      close_reason TEXT CHECK (close_reason IN ('expired', 'cancelled')),
      paid_at BIGINT,
      closed_at BIGINT,
      updated_at BIGINT NOT NULL,
      version BIGINT NOT NULL,
      sequence BIGINT NOT NULL,
      duplicates_prevented BIGINT NOT NULL CHECK (duplicates_prevented >= 0),
      refused_keys BYTEA,
      payment_count BIGINT NOT NULL,
      refund_count BIGINT NOT NULL,
      case_count BIGINT NOT NULL,
      wake_at BIGINT,
      UNIQUE (merchant, reference),
      CHECK ((status = 'paid') = (paid_at IS NOT NULL)),
      CHECK ((status = 'closed') = (closed_at IS NOT NULL)),
      CHECK ((status IN ('closing', 'closed')) = (close_reason IS NOT NULL))
    )
    """,
    "CREATE INDEX orders_of_merchant ON orders (merchant, id)",
    "CREATE INDEX orders_under_way ON orders (merchant, id) WHERE status IN ('open', 'closing')",
    "CREATE INDEX orders_to_wake ON orders (wake_at, id) WHERE wake_at IS NOT NULL",
    """
    CREATE TABLE payments (
      order_id TEXT COLLATE "C" NOT NULL,
      ordinal BIGINT NOT NULL CHECK (ordinal BETWEEN 1 AND 1023),
      key TEXT COLLATE "C" NOT NULL,
      provider TEXT NOT NULL,
      method TEXT NOT NULL,
      asked_method TEXT,
      amount BIGINT NOT NULL CHECK (amount > 0),
      currency TEXT NOT NULL CHECK (length(currency) = 3),
      created_at BIGINT NOT NULL,
      expires_at BIGINT NOT NULL,
      status TEXT NOT NULL CHECK (status IN ('processing', 'requires_action', 'succeeded', 'failed', 'closed')),
      surplus TEXT CHECK (surplus IN ('mismatch', 'duplicate', 'late')),
      amount_received BIGINT,
      currency_received TEXT,
      captured_at BIGINT,
      unknown_since BIGINT,
      action TEXT,
      action_value TEXT,
      failure_code TEXT,
      failure_message TEXT,
      provider_reference TEXT,
      close_requested_at BIGINT,
      watch_until BIGINT,
      updated_at BIGINT NOT NULL,
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
    )
    """,
    // Invariant 1: an order has at most one live payment. Invariant 2: it keeps at most one.
    """
    CREATE UNIQUE INDEX one_live_payment ON payments (order_id) WHERE status IN ('processing', 'requires_action')
    """,
    "CREATE UNIQUE INDEX one_kept_payment ON payments (order_id) WHERE status = 'succeeded' AND surplus IS NULL",
    """
    CREATE TABLE refunds (
      order_id TEXT COLLATE "C" NOT NULL,
      ordinal BIGINT NOT NULL CHECK (ordinal BETWEEN 1 AND 1023),
      payment BIGINT NOT NULL,
      key TEXT COLLATE "C",
      amount BIGINT NOT NULL CHECK (amount > 0),
      currency TEXT NOT NULL CHECK (length(currency) = 3),
      asked BIGINT CHECK (asked > 0),
      cause TEXT NOT NULL CHECK (cause IN ('requested', 'surplus')),
      reason TEXT,
      created_at BIGINT NOT NULL,
      status TEXT NOT NULL CHECK (status IN ('processing', 'succeeded', 'failed')),
      unknown_since BIGINT,
      failure_code TEXT,
      failure_message TEXT,
      provider_reference TEXT,
      updated_at BIGINT NOT NULL,
      \(calls),
      PRIMARY KEY (order_id, ordinal)
    )
    """,
    // Invariant 7: within a payment a key belongs to one refund. Invariant 6: surplus money goes back once.
    "CREATE UNIQUE INDEX one_refund_per_key ON refunds (order_id, payment, key) WHERE key IS NOT NULL",
    """
    CREATE UNIQUE INDEX one_surplus_refund ON refunds (order_id, payment) WHERE cause = 'surplus' AND status <> 'failed'
    """,
    """
    CREATE TABLE cases (
      order_id TEXT COLLATE "C" NOT NULL,
      ordinal BIGINT NOT NULL CHECK (ordinal BETWEEN 1 AND 1023),
      reason TEXT NOT NULL,
      payment BIGINT,
      refund BIGINT,
      provider TEXT NOT NULL,
      amount BIGINT NOT NULL,
      currency TEXT NOT NULL CHECK (length(currency) = 3),
      note TEXT NOT NULL,
      opened_at BIGINT NOT NULL,
      resolved_at BIGINT,
      choice TEXT,
      PRIMARY KEY (order_id, ordinal)
    )
    """,
    "CREATE INDEX open_cases ON cases (opened_at) WHERE resolved_at IS NULL",
    // Transactions commit in another order than that in which they began, so an event has no place in its merchant's
    // feed before it is committed: a reader of the feed gives places to those that have none yet.
    """
    CREATE TABLE events (
      order_id TEXT COLLATE "C" NOT NULL,
      sequence BIGINT NOT NULL CHECK (sequence > 0),
      merchant TEXT COLLATE "C" NOT NULL,
      type TEXT NOT NULL,
      at BIGINT NOT NULL,
      data TEXT NOT NULL,
      position BIGINT CHECK (position > 0),
      PRIMARY KEY (order_id, sequence)
    )
    """,
    "CREATE INDEX events_of_feed ON events (merchant, position) WHERE position IS NOT NULL",
    "CREATE INDEX events_to_place ON events (merchant, at, order_id, sequence) WHERE position IS NULL",
    #"CREATE TABLE feeds (merchant TEXT COLLATE "C" PRIMARY KEY, last BIGINT NOT NULL)"#,
    // One row for each connection that writes or reads: what it wrote last, and the barrier before its first answer.
    """
    CREATE TABLE sessions (
      id TEXT COLLATE "C" PRIMARY KEY,
      batch BIGINT NOT NULL,
      fence BIGINT NOT NULL,
      at BIGINT NOT NULL
    )
    """,
  ]
}
