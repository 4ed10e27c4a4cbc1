// The demo's panel. It does to the checkout page what impatient people and bad networks do, and shows the outcome.

const root = document.getElementById('demo');
const frame = document.getElementById('frame');
const outcome = document.getElementById('outcome');
const buyerNetwork = document.getElementById('buyer-network');
const bankNetwork = document.getElementById('bank-network');
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// The bank sends the buyer back to the public address. On localhost the frame would then be of another origin.
if (location.hostname === 'localhost' && !root.dataset.public.includes('localhost')) {
  location.replace(root.dataset.public + location.pathname + location.search);
}

/** The window of the checkout page; nothing while the frame shows another page, such as the bank's. */
function buyer() {
  try { return frame.contentDocument?.getElementById('checkout') && frame.contentWindow; } catch { return null; }
}

// MARK: Between the buyer and PayOnce

/** Makes the network of the buyer's page bad. The page itself does not know. */
function spoil() {
  const page = buyer();
  if (!page || page.isSpoilt) return;
  page.isSpoilt = true;
  page.document.addEventListener('click', ({ target }) => {
    if (target.closest('#pay button')) tell(() => { pressed.presses++; });
  }, true);
  const send = page.fetch.bind(page);
  const fail = () => { throw new TypeError('The network is gone.'); };
  page.fetch = async (url, options = {}) => {
    const isPost = options.method === 'POST';
    if (isPost && url.endsWith('/payments')) tell(() => pressed.keys.push(options.headers['Idempotency-Key']));
    switch (buyerNetwork.value) {
      case 'slow': await pause(2000); break;
      case 'loses-requests': if (isPost) return pause(1000).then(fail); break;
      case 'loses-answers': if (isPost) return send(url, options).then(fail); break;
      case 'offline': return fail();
      default:
    }
    return send(url, options);
  };
  const Stream = page.EventSource;
  // An offline stream stays silent.
  page.EventSource = function (url) { return buyerNetwork.value === 'offline' ? { close() {} } : new Stream(url); };
  if (buyerNetwork.value === 'offline') page.dispatchEvent(new Event('offline'));
}

frame.addEventListener('load', spoil);
if (frame.contentDocument?.readyState === 'complete') spoil();
let wasOffline = false;
buyerNetwork.addEventListener('change', () => {
  const isOffline = buyerNetwork.value === 'offline';
  if (isOffline !== wasOffline) buyer()?.dispatchEvent(new Event(isOffline ? 'offline' : 'online'));
  wasOffline = isOffline;
});

// MARK: Impatience

// On a phone the panel is far below the buyer's screen.
for (const id of ['twice', 'devices', 'reload']) {
  document.getElementById(id).addEventListener('click', () => frame.scrollIntoView({ block: 'nearest', behavior: 'smooth' }));
}

const twice = document.getElementById('twice');
/** The presses since *twice* was pressed, and the keys of their requests, as the buyer's page sent them. */
let pressed = null;
let charges = null;

function tell(count) {
  if (!pressed) return;
  count?.();
  const say = (words, number) => words.split('|').at(number === 1 ? 0 : -1).replace('{n}', number);
  const { press, request, sent, charge, comma } = twice.dataset;
  const requests = new Set(pressed.keys).size;
  const repeats = pressed.keys.length > requests ? say(sent, pressed.keys.length) : '';
  const parts = [say(press, pressed.presses), say(request, requests) + repeats];
  if (charges !== null) parts.push(say(charge, charges));
  set('outcome', parts.join(comma));
}

twice.addEventListener('click', () => {
  const button = buyer()?.document.querySelector('#pay button');
  pressed = button ? { presses: 0, keys: [] } : null;
  if (!button) outcome.textContent = twice.dataset.notReady;
  button?.click();
  button?.click();
});

document.getElementById('devices').addEventListener('click', async ({ target }) => {
  const chosen = buyer()?.document.querySelector('[name=method]:checked')?.value ?? 'sandbox:ok';
  const [provider, method] = chosen.split(':');
  target.disabled = true;
  pressed = null;
  const answers = await Promise.all(['A', 'B'].map(async (device) => {
    const headers = { 'Content-Type': 'application/json', 'Idempotency-Key': `device-${device}-${Date.now()}` };
    const body = JSON.stringify({ provider, method });
    const answer = await fetch(`${root.dataset.checkout}/payments`, { method: 'POST', headers, body }).catch(() => null);
    const said = await answer?.json().catch(() => null);
    const word = said?.code ? `${target.dataset.refused} (${said.code})` : said?.status ?? '–';
    return `${target.dataset.device} ${device}: ${answer?.status ?? ''} ${word}`;
  }));
  outcome.textContent = answers.join(' · ');
  target.disabled = false;
});

document.getElementById('reload').addEventListener('click', () => frame.contentWindow.location.replace(root.dataset.checkout));

// MARK: Between PayOnce and the bank

bankNetwork.addEventListener('change', async () => {
  await fetch('/demo/network', { method: 'POST', body: new URLSearchParams({ network: bankNetwork.value }) }).catch(() => {});
  look();
});

function showNetwork(network) {
  if (!network || document.activeElement === bankNetwork) return;
  bankNetwork.querySelector('[value=hand]')?.remove();
  if (network === 'hand') bankNetwork.append(new Option(root.dataset.hand, network));
  bankNetwork.value = network;
}

// MARK: The outcome

const clock = new Intl.DateTimeFormat(document.documentElement.lang, { timeStyle: 'medium' });

/** A list item with these texts, each in an element of its own. */
function line(parts) {
  const item = document.createElement('li');
  item.append(...parts.map(([tag, text]) => Object.assign(document.createElement(tag), { textContent: text })));
  return item;
}

function set(id, text) {
  const element = document.getElementById(id);
  if (element.textContent !== text) element.textContent = text;
}

let shown = '';
async function look() {
  const answer = await fetch(`${root.dataset.base}/live`, { signal: AbortSignal.timeout(5000) });
  const text = await answer.text();
  if (!answer.ok || text === shown) return;
  shown = text;
  const live = JSON.parse(text);
  set('status', live.status);
  set('prevented', live.prevented);
  charges = live.charges ?? null;
  tell();
  if (live.books) {
    set('kept', live.kept);
    document.getElementById('books').replaceChildren(...live.books.map((it) => line([['span', it.text], ['span', it.amount]])));
  }
  const timeline = document.getElementById('timeline');
  const isNew = timeline.children.length < live.events.length;
  timeline.replaceChildren(...live.events.map((it) => line([['time', clock.format(new Date(it.at))], ['span', it.text]])));
  if (isNew) timeline.scrollTop = timeline.scrollHeight;
  showNetwork(live.network);
}

for (;;) {
  if (!document.hidden) await look().catch(() => {});
  await pause(1000);
}
