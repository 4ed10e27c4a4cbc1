// The checkout page with scripts: it asks before it submits, locks at once, repeats only the same request, follows the
// payment, and shows nothing that the server did not say. Without this file the page works by its forms.

const root = document.getElementById('checkout');
const base = root.dataset.base;
const clockOffset = Date.parse(root.dataset.now) - Date.now();
/** While a request of this tab is on its way, and until the server said how things stand after it. */
let isPaying = false;
let isLocked = false;
/** The try that this tab submitted itself; what else happens was started elsewhere. */
let ownTry = null;
let isElsewhere = false;

/** Storage that may be blocked: then the key lives as long as the page. */
const memory = new Map();
const store = {
  get(name) { try { return sessionStorage.getItem(name) ?? memory.get(name); } catch { return memory.get(name); } },
  set(name, value) { memory.set(name, value); try { sessionStorage.setItem(name, value); } catch { /* blocked */ } },
};
/** One key for each try, so that a reload repeats the same request, and the try after a decline is another one. */
const keyName = () => `payonce:${base}:${root.dataset.tries}`;

const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const setOffline = (is) => { const e = document.getElementById('offline'); if (e) e.hidden = !is; };

/** A request that ends: a network that swallows everything must not keep the page waiting for ever. */
async function ask(url, seconds, options = {}) {
  const control = new AbortController();
  const timer = setTimeout(() => control.abort(), seconds * 1000);
  try { return await fetch(url, { ...options, signal: control.signal }); } finally { clearTimeout(timer); }
}

async function status(wait) {
  const answer = await ask(`${base}/status?wait=${wait}&version=${root.dataset.version}`, wait + 10);
  if (!answer.ok) throw new Error(String(answer.status));
  return answer.json();
}

/** The page as the server renders it now replaces what is shown; there is no second way to say how things stand. */
async function show() {
  try {
    const answer = await ask(location.href, 10, { headers: { Accept: 'text/html' } });
    if (!answer.ok) throw new Error(String(answer.status));
    const next = new DOMParser().parseFromString(await answer.text(), 'text/html');
    const main = next.getElementById('checkout');
    if (!main) return;
    setOffline(false);
    // A form that was sent and not answered stays as it is: a fresh one would invite a second click.
    if (isPaying && main.dataset.state === 'ready') return;
    if (!isPaying) setLocked(false);
    if (Number(main.dataset.version) <= Number(root.dataset.version)) return;
    if (root.dataset.state === 'ready' && main.dataset.state !== 'ready') isElsewhere = ownTry !== root.dataset.tries;
    if (main.dataset.state === 'ready') isElsewhere = false;
    const chosen = root.querySelector('[name=method]:checked')?.value;
    document.title = next.title;
    Object.assign(root.dataset, main.dataset);
    const now = document.getElementById('state');
    const then = main.querySelector('#state');
    now.className = then.className;
    now.innerHTML = then.innerHTML;
    for (const choice of now.querySelectorAll('[name=method]')) if (choice.value === chosen) choice.checked = true;
    const elsewhere = document.getElementById('elsewhere');
    if (elsewhere && isElsewhere) elsewhere.hidden = false;
    attach();
  } catch {
    setOffline(true);
  }
}

/** Shows what the server says no earlier than now: an answer that was already on its way may be older than the call. */
let refreshing = null;
let isStale = false;
function refresh() {
  isStale = true;
  refreshing ??= (async () => {
    while (isStale) {
      isStale = false;
      await show();
    }
    refreshing = null;
  })();
  return refreshing;
}

/** Sends the one request of this try until it is answered, always under the same key. */
async function pay(form) {
  const data = new FormData(form);
  const [provider, method] = String(data.get('method')).split(':');
  const key = store.get(keyName()) ?? String(data.get('idempotency_key'));
  store.set(keyName(), key);
  for (let attempt = 0; attempt < 6; attempt += 1) {
    try {
      const before = await status(0);
      if (before.status !== 'open' || before.payment) return null;
      ownTry = root.dataset.tries;
      const answer = await ask(`${base}/payments`, 20, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', 'Idempotency-Key': key, Prefer: 'wait=8' },
        body: JSON.stringify({ provider, method }),
      });
      setOffline(false);
      if (answer.status < 500) {
        if (answer.ok) return await answer.json();
        ownTry = null;
        return null;
      }
    } catch {
      setOffline(true);
    }
    await pause(500 * 2 ** attempt);
  }
  return null;
}

function setLocked(is) {
  isLocked = is;
  const button = document.querySelector('#pay button');
  if (!button) return;
  button.dataset.ready ??= button.textContent;
  button.disabled = is;
  button.textContent = is ? button.dataset.busy : button.dataset.ready;
}

function attach() {
  const form = document.getElementById('pay');
  form?.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (isLocked) return;
    isPaying = true;
    setLocked(true);
    const payment = await pay(form);
    isPaying = false;
    if (payment?.status === 'requires_action' && payment.next_action?.type === 'redirect') {
      location.assign(payment.next_action.url);
      return;
    }
    // The lock opens with what the server says after this, and not before.
    await refresh();
  });
  const close = document.getElementById('close');
  close?.addEventListener('submit', async (event) => {
    event.preventDefault();
    const button = close.querySelector('button');
    button.disabled = true;
    try { await ask(close.action, 15, { method: 'POST', headers: { Prefer: 'wait=5' } }); } catch { setOffline(true); }
    await refresh();
    button.disabled = false;
  });
  tick();
}

/** The deadline in the buyer's own time, and in the last hour the time left, by the server's clock. */
function tick() {
  const time = document.getElementById('deadline');
  if (!time) return;
  const end = Date.parse(root.dataset.expires) - clockOffset;
  const seconds = Math.max(0, Math.round((end - Date.now()) / 1000));
  const isToday = new Date(end).toDateString() === new Date().toDateString();
  const date = isToday ? {} : { year: 'numeric', month: 'long', day: 'numeric' };
  const at = new Date(end).toLocaleString(
    document.documentElement.lang, { ...date, hour: 'numeric', minute: '2-digit' });
  const left = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
  const text = seconds < 3600 ? time.dataset.left.replace('{left}', left).replace('{at}', at) : at;
  if (time.textContent !== text) time.textContent = text;
}
setInterval(tick, 1000);

/** Follows the order while somebody looks: by an event stream, and by asking where there is none. A hidden tab follows
 * nothing, since a browser has only a few connections for all of them. */
let stream = null;
let isPolling = false;
let failures = 0;

function heard(view) {
  failures = 0;
  setOffline(false);
  if (view.version > Number(root.dataset.version) || (isLocked && !isPaying)) refresh();
}

async function poll() {
  if (isPolling) return;
  isPolling = true;
  while (!document.hidden) {
    try { heard(await status(25)); } catch { failures += 1; setOffline(true); }
    await pause(failures ? Math.min(1000 * 2 ** failures, 15000) : 250);
  }
  isPolling = false;
}

function follow() {
  if (document.hidden || stream || isPolling) return;
  if (!('EventSource' in window)) { poll(); return; }
  stream = new EventSource(`${base}/stream`);
  stream.onmessage = (event) => heard(JSON.parse(event.data));
  stream.onerror = () => {
    failures += 1;
    if (failures > 1) setOffline(true);
    if (stream?.readyState === EventSource.CLOSED || failures > 5) { unfollow(); poll(); }
  };
}

function unfollow() {
  stream?.close();
  stream = null;
}

document.addEventListener('visibilitychange', () => {
  if (document.hidden) { unfollow(); return; }
  refresh();
  follow();
});
addEventListener('pagehide', unfollow);
addEventListener('pageshow', (event) => { if (event.persisted) { refresh(); follow(); } });
addEventListener('online', refresh);
attach();
follow();
