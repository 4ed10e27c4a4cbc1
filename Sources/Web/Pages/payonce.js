// PayOnce for a page of your own: docs/own-page.md
/**
 * ready: it can be paid · submitting: this page's request is on its way · action: the buyer has to do something,
 * `payment.next_action` · confirming: nobody knows yet, do not pay again · paid · failed: the last try took no money, by
 * the provider's word; it can be paid · closed: it cannot be paid, `view.close_reason`
 * @typedef {'ready'|'submitting'|'action'|'confirming'|'paid'|'failed'|'closed'} State
 * @typedef {{provider: string, method: string}} Choice
 * @typedef {{id: string, status: string, failure: ?{code: string, message: string},
 *   next_action: ?{type: string, url?: string, content?: string}}} Payment
 * @typedef {{status: string, close_reason: ?string, expires_at: string, methods: Choice[], payment: ?Payment,
 *   last_payment: ?Payment}} View and more: /openapi.json
 */

/** In ms: how long a request is repeated; how quiet a stream can be (it beats every 15 s). */
const PATIENCE = 60_000, SILENCE = 40_000;

const on = addEventListener;
const pause = (ms) => new Promise((done) => setTimeout(done, ms * (0.5 + Math.random())));
const lastTry = (view) => view?.last_payment?.id ?? 'none';

const memory = {};
/** Where storage is blocked, it lasts as long as the page. */
function stored(area, name, text) {
  const kept = memory[area + name] = text ?? memory[area + name] ?? '';
  try {
    // What does not fit leaves none.
    if (text) window[area].removeItem(name), window[area].setItem(name, text);
    return window[area].getItem(name) ?? kept;
  } catch { return kept; }
}

/** Follows an order; `show` is called now and at every change.
 * @param {string} url the order's `checkout_url` @param {(checkout: Checkout) => void} show */
export const follow = (url, show) => new Checkout(url, show);

export class Checkout {
  /** What the server said last. @type {?View} */ view = null;
  /** Why it refused. @type {?{code: string, detail: string}} */ problem = null;
  /** Whether it answered. */ isReachable = true;
  /** Whether another page began the payment. */ isElsewhere = false;

  #paying; #stream; #isMute; #polling; #tabs; #shown;
  #heardAt = 0; #wait = 500;
  /** The server's time at `performance.now()` 0: the device's may be wrong. */ #origin = NaN;

  constructor(url, show) {
    this.url = url.replace(/[?#].*$/, '');
    this.show = show;
    // The order, without its secret.
    this.name = `payonce:${this.url.split('/').pop().slice(3, 29)}`;
    try {
      this.#tabs = new BroadcastChannel(this.name);
      this.#tabs.onmessage = ({ data }) => this.#hear(data);
    } catch { on('storage', ({ key }) => key === this.name && this.refresh()); }
    on('online', () => this.#wake());
    on('offline', () => this.#poll());
    on('pagehide', () => this.#unfollow());
    on('pageshow', ({ persisted }) => persisted && this.#wake());
    // A hidden tab follows nothing: tabs share connections.
    on('visibilitychange', () => document.hidden ? this.#unfollow() : this.#wake());
    // Devices sleep, connections die.
    let ticked = Date.now();
    setInterval(() => {
      if (Date.now() - ticked > 10_000 && !document.hidden) this.#wake();
      ticked = Date.now();
      if (this.#stream && performance.now() - this.#heardAt > SILENCE) this.#poll(this.#isMute = true);
      this.#changed();
    }, 1000);
    this.#changed();
    this.#wake();
  }

  /** @returns {State} */
  get state() {
    const { view, payment } = this;
    if (view?.status === 'paid' || view?.status === 'closed') return view.status;
    if (payment) return payment.next_action && !payment.unknown_since ? 'action' : 'confirming';
    if (this.#paying && view?.status !== 'closing') return 'submitting';
    // When its time is over, the server says what became of it.
    if (view?.status !== 'open' || this.secondsUntil(view.expires_at) <= 0) return 'confirming';
    return view.last_payment?.status === 'failed' ? 'failed' : 'ready';
  }

  get payment() { return this.view?.payment ?? null; }

  /** `next_action` as a QR code, in SVG. */
  get codeURL() { return `${this.url}/payments/${this.payment?.id}/code.svg`; }

  /** By the server's clock. @param {string} time */
  secondsUntil(time) { return Math.ceil((Date.parse(time) - this.#origin - performance.now()) / 1000); }

  /** Pays, or joins what pays; goes on to the provider's page. @param {Choice} choice */
  pay(choice) {
    const { view } = this, end = Date.now() + PATIENCE;
    this.#paying ??= this.#alone(() => this.#submit(choice, view, end)).finally(() => {
      this.#paying = undefined;
      this.#changed();
    });
    this.#changed();
    return this.#paying;
  }

  /** It is over when the server says so. */
  async giveUp(id = this.payment?.id) {
    if (id) await this.#send(`/payments/${id}/close`, { Prefer: 'wait=5' });
    await this.refresh();
  }

  /** False without an answer. @param {number} [wait] for a change, in s */
  async refresh(wait = 0) {
    try {
      const answer = await this.#ask(`/status?wait=${wait}&version=${this.view?.version ?? 0}`, wait + 10);
      if (answer.ok) this.#hear(await answer.json(), true);
      else this.#reach(answer.status < 500);
      return answer.ok;
    } catch { return this.#reach(false); }
  }

  async #submit({ provider, method }, seen, end) {
    this.problem = null;
    while (!await this.refresh() && !this.isReachable && Date.now() < end) await pause(1000);
    const { view } = this, last = lastTry(view);
    // A press before another try or long ago starts nothing.
    if (view?.status !== 'open' || view.payment || lastTry(seen ?? view) !== last || Date.now() > end) return;
    // A reload or another tab repeats the same request.
    const [known, kept] = stored('localStorage', this.name).split(' ');
    const key = (known === last && kept) || [...crypto.getRandomValues(new Uint32Array(4))].join('-');
    stored('localStorage', this.name, `${last} ${key}`);
    stored('sessionStorage', this.name, last);
    const headers = { 'Content-Type': 'application/json', 'Idempotency-Key': key, Prefer: 'wait=8' };
    const answer = await this.#send('/payments', headers, JSON.stringify({ provider, method }), end);
    const own = answer?.ok && await answer.json().catch(() => null);
    stored('localStorage', this.name, `${last} ${key} sent`);
    // The lock opens with what the server says now.
    while (!await this.refresh() && !this.isReachable) await pause(2000);
    const { payment } = this;
    if (answer?.status === 409) this.isElsewhere = payment?.id > last;
    const url = payment?.id === own?.id && payment?.next_action?.url;
    // Banks refuse frames; only a press leaves one.
    if (url && self === top) location.assign(url);
  }

  /** One tab at a time; the server needs no lock. */
  async #alone(work) {
    let begun;
    const begin = () => begun ??= work();
    await navigator.locks?.request(this.name, { signal: AbortSignal.timeout?.(PATIENCE / 3) }, begin).catch(() => {});
    await begin();
  }

  /** The same request until it is answered. */
  async #send(path, headers, body, end = Date.now() + PATIENCE) {
    for (let wait = 500; ; wait = Math.min(2 * wait, 8000)) {
      try {
        const answer = await this.#ask(path, 20, { method: 'POST', headers, body });
        if (answer.status < 500) return answer;
      } catch { /* It may have arrived. */ }
      this.#reach(false);
      if (Date.now() + wait > end) return null;
      await pause(wait);
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
      this.#heardAt = performance.now();
      this.#origin = Date.parse(view.now) - this.#heardAt;
    }
    // An older one is late, or comes from a restored store.
    const isNew = !before || view.version > before.version
      || isFromServer && Date.parse(view.now) - Date.parse(before.now) > SILENCE;
    if (isNew || isFromServer && view.version === before.version) this.view = view;
    if (isNew) {
      const { payment } = view;
      if (!payment) this.isElsewhere = false;
      else if (before?.status === 'open' && !before.payment) {
        const last = lastTry(before);
        this.isElsewhere = payment.id > last && stored('sessionStorage', this.name) !== last;
      }
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
    const now = [this.state, this.view?.version, this.isReachable, this.isElsewhere, this.problem?.code].join();
    if (now !== this.#shown) queueMicrotask(() => this.show(this));
    this.#shown = now;
  }

  #wake() {
    this.#unfollow();
    this.refresh();
    this.#follow();
  }

  #follow() {
    if (document.hidden) return;
    if (!window.EventSource || this.#isMute) return this.#poll(true);
    this.#heardAt = performance.now();
    this.#stream = new EventSource(`${this.url}/stream`);
    this.#stream.onmessage = ({ data }) => {
      this.#wait = 500;
      this.#hear(JSON.parse(data), true);
    };
    this.#stream.onerror = () => this.#poll();
  }

  #unfollow() {
    this.#stream?.close();
    this.#stream = this.#polling = null;
  }

  /** Until there is an answer, or for ever: without a stream. */
  async #poll(isForEver) {
    this.#unfollow();
    const own = this.#polling = {};
    for (; this.#polling === own; this.#wait = Math.min(2 * this.#wait, 15_000)) {
      const wait = this.isReachable ? 25 : 0, isAnswered = await this.refresh(wait);
      if (isAnswered && !isForEver) break;
      // A full server answers who does not wait.
      if (isAnswered && wait) this.#wait = 250;
      await pause(this.#wait);
    }
    if (this.#polling === own) this.#follow();
  }
}
