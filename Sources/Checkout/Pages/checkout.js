// The checkout page with scripts. payonce.js finds out how the order stands. The server says it in words: the page that
// it renders now replaces what is shown. Without this file the page works by its forms.

import { follow, limit } from './payonce.js';

const root = document.getElementById('checkout');
const section = document.getElementById('state');
const check = document.getElementById('check');
const offline = document.getElementById('offline');
/** What the server rendered, without the form's key: the key differs each time, and scripts do not use it. */
const rendered = (element) => element.innerHTML.replace(/<input type="hidden"[^>]*>/, '');
let markup = rendered(section);
let isElsewhere = false;
let isReplacing = false;
let { tries } = root.dataset;
const lang = document.documentElement.lang;
/** How often `tick` has run, about once a second, since the next question to the bank was due. */
let overdue = 0;
/** The time of the next question to the bank, as last heard, and whether it was at least ten seconds away then. */
let nextCheck, isFar = true;
/** The order's version, as last heard. */
let known = 0;
/**
 * For how many seconds the page has been wrong about whether the provider can be asked. The order's version does not
 * tell that. It may differ from answer to answer while servers are replaced one by one.
 */
let differs = 0;

const checkout = follow(root.dataset.base, () => {
  const version = checkout.view?.version ?? 0;
  // The store was restored from an older copy. What is shown may be newer, and is replaced all the same.
  if (version < known) root.dataset.version = 0;
  known = version;
  // The restored copy does not have the order. The server has a page for that.
  if (checkout.problem?.code === 'not_found') location.reload();
  root.dataset.live = checkout.state;
  reach(checkout.isReachable);
  lock();
  tick();
  replace();
});

/** Says that the server cannot be reached, unless the page shows the end: then nothing is left to wait for. */
function reach(is) {
  const wasHidden = offline.hidden;
  offline.hidden = is || root.dataset.final === 'true';
  // A buyer who has just pressed Pay may have scrolled down.
  if (wasHidden && checkout.state === 'submitting') offline.scrollIntoView({ block: 'nearest' });
}

/** Whether a press would start something. Before the first answer it may: `pay` asks the server first. */
const isFree = () => ['ready', 'failed'].includes(checkout.state) || !checkout.view && checkout.state !== 'submitting';

/** Locks the form or opens it. The button stays focusable, so that a keyboard's focus is not lost. */
function lock() {
  const isSubmitting = checkout.state === 'submitting';
  const button = document.querySelector('#pay button');
  if (button) {
    button.dataset.ready ??= button.textContent;
    button.textContent = isSubmitting ? button.dataset.busy : button.dataset.ready;
    button.setAttribute('aria-disabled', String(!isFree()));
  }
  // Other refusals are because of another payment, which the page shows.
  const code = isFree() && checkout.problem?.code;
  document.getElementById('refused').hidden =
    !['provider_not_enabled', 'amount_not_supported', 'invalid_request'].includes(code);
  // This is the brake of the address. With the order's own the server offers no methods.
  document.getElementById('braked').hidden = code !== 'too_many_payments' || !checkout.view?.methods.length;
  // Money came in for a payment that this database had forgotten.
  const held = document.getElementById('held');
  if (code || !isFree()) held.hidden = code !== 'payment_in_progress' || !!checkout.problem.payment;
}

/** Whether the pause after many declined tries is over. */
const isTime = () => {
  const retry = document.getElementById('retry');
  return retry && checkout.view && checkout.secondsUntil(retry.dateTime) <= 0;
};

const isOld = () => isTime() || checkout.view?.version > Number(root.dataset.version) || checkout.isElsewhere && !isElsewhere
  || differs >= 10;

/** Fetches the page until it is no older than what is known. */
async function replace() {
  if (isReplacing) return;
  isReplacing = true;
  for (let wait = 500; isOld(); wait = Math.min(2 * wait, 15_000)) {
    try { await show(); } catch { reach(false); }
    if (isOld()) await new Promise((done) => setTimeout(done, wait));
  }
  isReplacing = false;
}

async function show() {
  const query = new URLSearchParams({ lang: lang.slice(0, 2), ...checkout.isElsewhere && { elsewhere: '1' } });
  const wasElsewhere = checkout.isElsewhere;
  // The header marks a script's request. Its language is no new choice: another tab may have made one meanwhile.
  const headers = { 'X-Requested-With': 'checkout.js' };
  const answer = await fetch(`${root.dataset.base}?${query}`, { headers, signal: limit(10_000) });
  const next = new DOMParser().parseFromString(await answer.text(), 'text/html');
  const main = next.getElementById('checkout');
  if (!answer.ok || !main || Number(main.dataset.version) < Number(root.dataset.version)) throw answer;
  isElsewhere = wasElsewhere;
  Object.assign(root.dataset, main.dataset);
  reach(checkout.isReachable);
  differs = 0;
  check.hidden = main.querySelector('#check').hidden;
  tick();
  const then = main.querySelector('#state');
  const isNews = main.dataset.tries !== tries;
  tries = main.dataset.tries;
  if (rendered(then) === markup && !isNews) return;
  markup = rendered(then);
  const hadFocus = section.contains(document.activeElement);
  document.title = next.title;
  section.className = then.className;
  section.innerHTML = then.innerHTML;
  for (const choice of section.querySelectorAll('[name=method]')) if (choice.value === chosen) {
    choice.checked = true;
    choice.closest('details')?.setAttribute('open', '');
  }
  const headline = section.querySelector('h1');
  const news = [...section.querySelectorAll('h1, h1 + p, .notice')].map((it) => it.textContent).join('\n');
  // A second try that ends like the first one is read out again.
  const live = document.getElementById('live');
  if (isNews) live.textContent = '';
  say(live, news);
  if (hadFocus) headline.focus({ preventScroll: true });
  lock();
  tick();
}

/** The buyer's choice. The form goes while a payment runs, and comes back after a decline. */
let chosen;
root.addEventListener('change', ({ target }) => { if (target.name === 'method') chosen = target.value; });

root.addEventListener('submit', async (event) => {
  event.preventDefault();
  if (event.target.id === 'pay') {
    if (!isFree()) return;
    const [provider, method] = new FormData(event.target).get('method').split(':');
    checkout.pay({ provider, method });
    return;
  }
  const button = event.target.querySelector('button');
  if (button.getAttribute('aria-disabled') === 'true') return;
  button.setAttribute('aria-disabled', 'true');
  await checkout.giveUp(event.target.getAttribute('action').match(/pay_\w+/)[0]);
  button.setAttribute('aria-disabled', 'false');
});

/** Shows times in the buyer's own zone, with the time left in the last hour, and the next question to the bank. */
function tick() {
  if (!checkout.view) return;
  if (!check.hidden && checkout.view.provider_available !== false) tickCheck();
  for (const time of section.querySelectorAll('time')) {
    const left = Math.max(0, checkout.secondsUntil(time.dateTime));
    if (left === 0 && time.id === 'deadline') return timeIsUp(time.parentElement);
    const end = new Date(time.dateTime);
    const isSoon = left < 20 * 3600;
    const at = end.toLocaleString(lang, {
      ...isSoon ? {} : { year: 'numeric', month: 'long', day: 'numeric' },
      hour: 'numeric', minute: '2-digit', ...left < 60 && { second: '2-digit' } });
    const minutes = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, '0')}`;
    say(time, left < 3600 ? time.dataset.left.replace('{left}', minutes).replace('{at}', at) : at);
  }
}

/**
 * Shows the next question to the bank: *right now* only while it is asked, and nothing when nobody can say. Waits of
 * less than ten seconds are not counted down, and the questions between them are not shown: words that change all the
 * time are not read.
 */
function tickCheck() {
  // The server does not announce an answer that changes nothing. When this time is past, the page asks for the next.
  const next = checkout.view.next_check_at;
  const left = next ? checkout.secondsUntil(next) : 0;
  if (next && next !== nextCheck) isFar = left >= 10;
  nextCheck = next ?? nextCheck;
  overdue = left > 0 ? 0 : overdue + 1;
  if (overdue % 3 === 2 && !document.hidden) checkout.refresh();
  const [count, unit] = left < 90 ? [left, 'second'] : [Math.round(left / 60), 'minute'];
  const when = left >= 10 && new Intl.RelativeTimeFormat(lang).format(count, unit);
  if (when) say(check, check.dataset.next.replace('{when}', when));
  else if (!next && isFar) say(check, check.dataset.now);
  else say(check, next && overdue > 10 ? '' : check.dataset.soon);
}

/** Closes the form when the deadline passes. The server's own words follow, once it can be reached. */
function timeIsUp(line) {
  say(line, section.dataset.over);
  const form = document.getElementById('pay');
  if (!form || checkout.state === 'submitting') return;
  form.hidden = true;
  say(section.querySelector('h1'), section.dataset.overHeadline);
  say(section.querySelector('h1 + p'), '');
  say(document.getElementById('live'), section.dataset.over);
}

function say(element, text) { if (element.textContent !== text) element.textContent = text; }

setInterval(() => {
  tick();
  const isSame = !checkout.view || String(checkout.view.provider_available ?? true) === root.dataset.available;
  differs = isSame || document.hidden ? 0 : differs + 1;
  replace();
}, 1000);
