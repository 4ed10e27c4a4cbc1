// PayOnce for a page of your own
/** States: docs/guides/own-page.md
 * @typedef {'ready'|'submitting'|'action'|'confirming'|'paid'|'failed'|'closed'} State
 * @typedef {{provider: string, method: string}} Choice
 * @typedef {{id: string, status: string, next_action: ?{type: string, url?: string}}} Payment
 * @typedef {{status: string, expires_at: string, methods: Choice[], payment: ?Payment,
 *   last_payment: ?Payment}} View and more: /openapi.json
 */

/** In ms: how long a request is repeated; how long a stream, which beats every 15 s, may be quiet. */
const PATIENCE = 60_000, SILENCE = 40_000;

const pause = (ms) => new Promise((done) => setTimeout(done, ms * (0.5 + Math.random())));
/** `AbortSignal.timeout` for all browsers. */
export function limit(ms) {
  const it = new AbortController();
  setTimeout(() => it.abort(), ms);
  return it.signal;
}
/** Counts the ms from now, by two clocks. */
function watch() {
  const date = Date.now(), time = performance.now();
  return () => Math.max(Date.now() - date, performance.now() - time);
}
const lastTry = (view) => view?.last_payment?.id ?? 'none';

const memory = {};
/** Without storage: for this page's life. */
function stored(area, name, text) {
  const kept = memory[area + name] = text ?? memory[area + name] ?? '';
  try {
    // If it does not fit, no old value stays.
    if (text) window[area].removeItem(name), window[area].setItem(name, text);
    return window[area].getItem(name) ?? kept;
  } catch { return kept; }
}

/** Calls `show` soon and at every change.
 * @param {string} url the order's `checkout_url` @param {(checkout: Checkout) => void} show */
export const follow = (url, show) => new Checkout(url, show);

export class Checkout {
  /** @type {?View} */ view = null;
  /** The refusal. @type {?{code: string, detail: string}} */ problem = null;
  isReachable = true;
  /** Another page began the payment. */ isElsewhere = false;

  #paying; #stream; #isMute; #polling; #tabs; #shown; #timer; #quiet;
  #wait = 500; #over = new AbortController();
  /** The server's time at `performance.now()` 0. */ #origin = NaN;

  constructor(url, show) {
    const [address, id] = url.match(/^[^?#]*\/ck_(\w{26})\w+/) ?? [];
    if (!id) throw Error('not a checkout_url');
    this.url = address;
    this.show = show;
    this.name = `payonce:${id}`;
    const on = (type, work) => addEventListener(type, work, { signal: this.#over.signal });
    try {
      this.#tabs = new BroadcastChannel(this.name);
      this.#tabs.onmessage = ({ data }) => this.#hear(data);
    } catch { on('storage', ({ key }) => key === this.name && this.refresh()); }
    const wake = () => this.#wake();
    on('online', wake);
    on('offline', wake);
    on('visibilitychange', wake);
    on('pageshow', ({ persisted }) => persisted && wake());
    on('pagehide', () => this.#unfollow());
    // Notices that the device slept.
    let beat = watch();
    this.#timer = setInterval(() => {
      if (beat() > 10_000) wake();
      beat = watch();
      if (this.#stream && this.#quiet() > SILENCE) this.#poll(this.#isMute ??= true);
      this.#changed();
    }, 1000);
    this.#changed();
    wake();
  }

  /** @returns {State} */
  get state() {
    const { view, payment } = this;
    if (/paid|closed/.test(view?.status)) return view.status;
    if (payment) return payment.next_action && !payment.unknown_since ? 'action' : 'confirming';
    if (this.#paying && view?.status !== 'closing') return 'submitting';
    // After the deadline the server says how it ended.
    if (view?.status !== 'open' || this.secondsUntil(view.expires_at) <= 0) return 'confirming';
    return view.last_payment?.status === 'failed' ? 'failed' : 'ready';
  }

  get payment() { return this.view?.payment ?? null; }

  get codeURL() { return `${this.url}/payments/${this.payment?.id}/code.svg`; }

  /** By the server's clock. @param {string} time */
  secondsUntil(time) { return Math.ceil((Date.parse(time) - this.#origin - performance.now()) / 1000); }

  /** Pays, or joins a running `pay`; goes to the provider's page. @param {Choice} choice */
  pay(choice) {
    const { view } = this, age = watch();
    this.#paying ??= this.#alone(() => this.#submit(choice, view, age)).finally(() => {
      this.#paying = undefined;
      this.#changed();
    });
    this.#changed();
    return this.#paying;
  }

  /** The view says when it is closed. */
  async giveUp(id = this.payment?.id) {
    if (id) await this.#send(`/payments/${id}/close`, { Prefer: 'wait=5' });
    await this.refresh();
  }

  /** Whether the view was read. */
  async refresh(wait) {
    try {
      const answer = await this.#ask(wait === 0 ? '/status?wait=0' : '/status', 10);
      if (answer.ok) this.#hear(await answer.json(), true);
      else this.#reach(true);
      return answer.ok;
    } catch { return this.#reach(false); }
  }

  /** Ends `show`; what was pressed is still sent. */
  stop() {
    this.show = this.#tabs = this.#tabs?.close();
    this.#over.abort();
    clearInterval(this.#timer);
    this.#unfollow();
  }

  async #submit({ provider, method }, seen, age) {
    this.problem = null;
    while (!await this.refresh() && !this.isReachable && age() < PATIENCE) await pause(1000);
    const { view } = this, last = lastTry(view);
    // A press from before another try, or an old one, starts nothing.
    if (view?.status !== 'open' || view.payment || lastTry(seen ?? view) !== last || age() > PATIENCE) return;
    // Reloads and tabs repeat the same key.
    const [known, kept] = stored('localStorage', this.name).split(' ');
    const key = (known === last && kept) || [...crypto.getRandomValues(new Uint32Array(4))].join('-');
    stored('localStorage', this.name, `${last} ${key}`);
    stored('sessionStorage', this.name, last);
    const headers = { 'Content-Type': 'application/json', 'Idempotency-Key': key, Prefer: 'wait=8' };
    const answer = await this.#send('/payments', headers, JSON.stringify({ provider, method }), age);
    const own = answer?.ok && await answer.json().catch(() => null);
    stored('localStorage', this.name, `${last} ${key} sent`);
    // Unlocks with a new view.
    while (!await this.refresh() && !this.isReachable && this.show) await pause(2000);
    const { payment } = this;
    if (answer?.status === 409) this.isElsewhere = payment?.id > last;
    const url = payment?.id === own?.id && payment?.next_action?.url;
    // Banks refuse frames; leaving one needs a press.
    if (url && this.show && self === top) location.assign(url);
  }

  /** One tab at a time, for 20 s. */
  async #alone(work) {
    let begun;
    const begin = () => begun ??= work();
    await navigator.locks?.request(this.name, { signal: limit(PATIENCE / 3) }, begin).catch(() => {});
    await begin();
  }

  /** Repeats a request; null after PATIENCE. */
  async #send(path, headers, body, age = watch()) {
    for (let wait = 500; ; wait = Math.min(2 * wait, 8000)) {
      try {
        return await this.#ask(path, 20, { method: 'POST', headers, body });
      } catch { /* It may have arrived. */ }
      this.#reach(false);
      if (age() + wait > PATIENCE) return null;
      await pause(wait);
    }
  }

  async #ask(path, seconds, options) {
    const answer = await fetch(this.url + path, { ...options, signal: limit(seconds * 1000) });
    if (answer.ok) return answer;
    const problem = await answer.json();
    if (answer.status > 499 || !/payonce/.test(problem.type)) throw problem; // 5xx, or a proxy's
    this.problem = problem;
    return answer;
  }

  #hear(view, isFromServer) {
    const before = this.view;
    if (isFromServer) {
      this.#quiet = watch();
      this.#origin = Date.parse(view.now) - performance.now();
    }
    // Older: late, or a restored store.
    const isNew = !before || view.version > before.version
      || isFromServer && Date.parse(view.now) - Date.parse(before.now) > SILENCE;
    if (isNew || isFromServer && view.version === before.version) this.view = view;
    if (this.payment || this.view.status !== 'open' || this.problem?.code === 'not_found') this.problem = null;
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
    if (is && !this.isReachable) this.#wait = Math.min(this.#wait, 3000);
    this.isReachable = is;
    this.#changed();
    return is;
  }

  #changed() {
    const now = [this.state, this.view?.version, this.view?.provider_available, this.isReachable, this.isElsewhere,
      this.problem?.code].join();
    if (now !== this.#shown) queueMicrotask(() => this.show?.(this));
    this.#shown = now;
  }

  #wake() {
    this.#unfollow();
    // Hidden tabs free connections.
    if (document.hidden) return;
    this.refresh(0);
    this.#follow();
  }

  #follow() {
    if (!window.EventSource || this.#isMute) return this.#poll(true);
    this.#quiet = watch();
    this.#stream = new EventSource(`${this.url}/stream`);
    this.#stream.onmessage = ({ data }) => {
      this.#wait = 500;
      this.#isMute = false;
      this.#hear(JSON.parse(data), true);
    };
    this.#stream.onerror = () => this.#poll();
  }

  #unfollow() {
    this.#stream?.close();
    this.#stream = this.#polling = null;
  }

  /** Asks until answered, or for ever. */
  async #poll(isForEver) {
    this.#unfollow();
    const own = this.#polling = {};
    let isAnswered;
    do {
      isAnswered = await this.refresh();
      if (isAnswered && isForEver) this.#wait = 3000;
      await pause(this.#wait);
      this.#wait = Math.min(2 * this.#wait, 15_000);
    } while (this.#polling === own && (isForEver || !isAnswered));
    if (this.#polling === own) this.#follow();
  }
}
