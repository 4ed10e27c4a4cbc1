// PayOnce for a page of your own: asks before it submits, locks at once, repeats only the same request, follows the payment
// in every tab and on every device, says only what the server said. See docs/own-page.md.
/**
 * ready: it can be paid · submitting: this page's request is on its way · action: the buyer has to do something,
 * `payment.next_action` · confirming: nobody knows yet, do not pay again · paid · failed: the last try took no money, by
 * the provider's word, and it can be paid · closed: it cannot be paid, `view.close_reason`
 * @typedef {'ready'|'submitting'|'action'|'confirming'|'paid'|'failed'|'closed'} State
 * @typedef {{provider: string, method: string}} Choice
 * @typedef {{id: string, status: string, failure: ?{code: string, message: string},
 *   next_action: ?{type: string, url?: string, content?: string}}} Payment
 * @typedef {{status: string, close_reason: ?string, amount: number, currency: string, shop: string, expires_at: string,
 *   methods: Choice[], payment: ?Payment, last_payment: ?Payment, version: number}} View the rest: /openapi.json
 */

/** How long the same request is repeated, in ms. */
const PATIENCE = 60_000;
/** How quiet a live stream can be, in ms: the server's heart beats every 15 s. */
const SILENCE = 40_000;

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** Reads or writes storage; where that is blocked, it lasts as long as the page. */
function stored(area, name, text) {
  if (text !== undefined) memory[area + name] = text;
  try {
    if (text !== undefined) window[area].setItem(name, text);
    return window[area].getItem(name) ?? '';
  } catch { return memory[area + name] ?? ''; }
}
const memory = {};

/** Follows an order while the page lives; `show` is called now and after every change.
 * @param {string} url the order's `checkout_url` @param {(checkout: Checkout) => void} show */
export const follow = (url, show) => new Checkout(url, show);

export class Checkout {
  /** What the server said last. @type {?View} */ view = null;
  /** Why it refused the last request. @type {?{code: string, detail: string}} */ problem = null;
  /** Whether the last request was answered. */ isReachable = true;
  /** Whether the payment was started elsewhere while this page could pay. */ isElsewhere = false;

  #paying; #stream; #tabs; #isPolling; #shown;
  #failures = 0;
  #heardAt = 0;
  /** The server's time when `performance.now()` was 0: the device's clock may be wrong. */ #origin = NaN;

  constructor(url, show) {
    this.url = url.replace(/[?#].*$/, '');
    this.show = show;
    // The order, without the secret that opens it.
    this.name = `payonce:${this.url.split('/').pop().slice(3, 29)}`;
    try {
      this.#tabs = new BroadcastChannel(this.name);
      this.#tabs.onmessage = (event) => this.#hear(event.data);
    } catch { addEventListener('storage', (event) => event.key === this.name && this.refresh()); }
    addEventListener('online', () => this.#wake());
    addEventListener('offline', () => { this.#unfollow(); this.#poll(); });
    addEventListener('pagehide', () => this.#unfollow());
    addEventListener('pageshow', (event) => event.persisted && this.#wake());
    // A hidden tab follows nothing: all tabs share six connections.
    addEventListener('visibilitychange', () => document.hidden ? this.#unfollow() : this.#wake());
    // Deadlines pass, devices sleep, connections die in silence.
    let ticked = Date.now();
    setInterval(() => {
      if (Date.now() - ticked > 10_000 || this.#stream && performance.now() - this.#heardAt > SILENCE) this.#wake();
      ticked = Date.now();
      this.#changed();
    }, 1000);
    this.#changed();
    this.#follow();
  }

  /** @returns {State} */
  get state() {
    const { view, payment } = this;
    if (view?.status === 'paid' || view?.status === 'closed') return view.status;
    if (payment) return payment.next_action && !payment.unknown_since ? 'action' : 'confirming';
    if (this.#paying && view?.status !== 'closing') return 'submitting';
    // When its time is over, what became of it is for the server to say.
    if (view?.status !== 'open' || this.secondsUntil(view.expires_at) <= 0) return 'confirming';
    return view.last_payment?.status === 'failed' ? 'failed' : 'ready';
  }

  get payment() { return this.view?.payment ?? null; }

  /** `payment.next_action` as a QR code, an SVG image. */
  get codeURL() { return `${this.url}/payments/${this.payment?.id}/code.svg`; }

  /** By the server's clock. @param {string} time */
  secondsUntil(time) { return Math.ceil((Date.parse(time) - this.#origin - performance.now()) / 1000); }

  /** Pays, or joins what pays already, however often it is called; goes on to the provider's page. @param {Choice} choice */
  pay(choice) {
    this.#paying ??= this.#alone(() => this.#submit(choice)).finally(() => {
      this.#paying = undefined;
      this.#changed();
    });
    this.#changed();
    return this.#paying;
  }

  /** Gives the payment under way up; it is over when the server says so. */
  async giveUp() {
    await this.#send(`/payments/${this.payment?.id}/close`, { Prefer: 'wait=5' });
    await this.refresh();
  }

  /** Asks how things stand; false without an answer. @param {number} [wait] for a change, in s */
  async refresh(wait = 0) {
    try {
      const answer = await this.#ask(`/status?wait=${wait}&version=${this.view?.version ?? 0}`, wait + 10);
      if (answer.ok) this.#hear(await answer.json(), true);
      return answer.ok || this.#reach(false);
    } catch { return this.#reach(false); }
  }

  async #submit({ provider, method }) {
    const end = performance.now() + PATIENCE;
    this.problem = null;
    while (!await this.refresh()) {
      if (this.problem || performance.now() > end) return;
      await pause(1000);
    }
    if (this.view.status !== 'open' || this.payment) return;
    // One key for each try: a reload, a crash or another tab repeats the same request.
    const last = this.view.last_payment?.id ?? 'none';
    const [known, kept] = stored('localStorage', this.name).split(' ');
    const key = (known === last && kept) || [...crypto.getRandomValues(new Uint32Array(4))].join('-');
    stored('localStorage', this.name, `${last} ${key}`);
    stored('sessionStorage', this.name, last);
    const headers = { 'Content-Type': 'application/json', 'Idempotency-Key': key, Prefer: 'wait=8' };
    const answer = await this.#send('/payments', headers, JSON.stringify({ provider, method }), end);
    if (answer && !answer.ok) {
      stored('sessionStorage', this.name, '');
      this.isElsewhere = !!this.payment;
    }
    const own = answer?.ok && await answer.json().catch(() => null);
    // The lock opens with what the server says after this, and not before.
    for (let wait = 1000; !await this.refresh(); wait = Math.min(2 * wait, 15_000)) await pause(wait);
    const url = own?.id === this.payment?.id && this.payment?.next_action?.url;
    if (url) location.assign(url);
  }

  /** One tab of a browser at a time; the server needs no lock. */
  async #alone(work) {
    let begun;
    const begin = () => begun ??= work();
    await navigator.locks?.request(this.name, { signal: AbortSignal.timeout?.(PATIENCE) }, begin).catch(() => {});
    await begin();
  }

  /** The same request until it is answered or time is over. */
  async #send(path, headers, body, end = performance.now() + PATIENCE) {
    for (let wait = 500; ; wait = Math.min(2 * wait, 8000)) {
      try {
        const answer = await this.#ask(path, 20, { method: 'POST', headers, body });
        if (answer.status < 500) return answer;
      } catch { /* It may have arrived. */ }
      this.#reach(false);
      if (performance.now() + wait > end) return null;
      await pause(wait * (0.5 + Math.random()));
    }
  }

  async #ask(path, seconds, options) {
    const answer = await fetch(this.url + path, { ...options, signal: AbortSignal.timeout?.(seconds * 1000) });
    if ((answer.status / 100 | 0) === 4) this.problem = await answer.json();
    return answer;
  }

  #hear(view, isFromServer) {
    const before = this.view;
    if (isFromServer) {
      this.#failures = 0;
      this.#heardAt = performance.now();
      this.#origin = Date.parse(view.now) - this.#heardAt;
    }
    if (!before || view.version > before.version) {
      if (!view.payment) this.isElsewhere = false;
      else if (before?.status === 'open' && !before.payment) {
        this.isElsewhere = stored('sessionStorage', this.name) !== (before.last_payment?.id ?? 'none');
      }
      this.view = view;
      if (isFromServer) this.#tabs?.postMessage(view);
    }
    this.#reach(true);
  }

  #reach(is) {
    this.isReachable = is;
    this.#changed();
    return is;
  }

  #changed() {
    const now = [this.state, this.view?.version, this.isReachable, this.problem?.code].join();
    if (now !== this.#shown) queueMicrotask(() => this.show(this));
    this.#shown = now;
  }

  #wake() {
    this.#unfollow();
    this.refresh();
    this.#follow();
  }

  #follow() {
    if (document.hidden || this.#isPolling) return;
    if (!window.EventSource || this.#failures > 5) return this.#poll();
    this.#heardAt = performance.now();
    const stream = this.#stream = new EventSource(`${this.url}/stream`);
    stream.onmessage = (event) => this.#hear(JSON.parse(event.data), true);
    stream.addEventListener('alive', () => { this.#heardAt = performance.now(); });
    stream.onerror = () => {
      if (++this.#failures > 1) this.#reach(false);
      if (stream.readyState < 2 && this.#failures < 6) return;
      this.#unfollow();
      this.#poll();
    };
  }

  #unfollow() {
    this.#stream?.close();
    this.#stream = undefined;
  }

  async #poll() {
    if (this.#isPolling) return;
    this.#isPolling = true;
    for (let wait = 250; !document.hidden; await pause(wait)) {
      wait = await this.refresh(25) ? 250 : Math.min(2 * wait, 15_000);
    }
    this.#isPolling = false;
  }
}
