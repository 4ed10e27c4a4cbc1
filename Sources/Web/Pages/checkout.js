// The checkout page with scripts. What is true is for payonce.js to find out, what is said about it for the server: the page as
// it renders it now replaces what is shown. Without this file the page works by its forms.

import { follow } from './payonce.js';

const root = document.getElementById('checkout');
const section = document.getElementById('state');
const check = document.getElementById('check');
/** What the server rendered, without the form's key, which is another one each time and has no use here. */
const rendered = (element) => element.innerHTML.replace(/<input type="hidden"[^>]*>/, '');
let markup = rendered(section);
let isElsewhere = new URLSearchParams(location.search).has('elsewhere');
let isReplacing = false;

const checkout = follow(root.dataset.base, () => {
  document.getElementById('offline').hidden = checkout.isReachable;
  lock();
  replace();
});

/** Whether a press would start something. Before the server said anything, it will be asked first. */
const isFree = () => !checkout.view || ['ready', 'failed'].includes(checkout.state);

/** Locks the form or opens it. It stays focusable: who presses by keyboard stays where they are. */
function lock() {
  const isSubmitting = checkout.state === 'submitting';
  const button = document.querySelector('#pay button');
  if (button) {
    button.dataset.ready ??= button.textContent;
    button.textContent = isSubmitting ? button.dataset.busy : button.dataset.ready;
    button.setAttribute('aria-disabled', String(!isFree()));
    document.querySelector('#pay fieldset').disabled = isSubmitting;
  }
  const joined = ['payment_in_progress', 'order_paid', 'order_closed', 'idempotency_key_reused'];
  document.getElementById('refused').hidden = !checkout.problem || !isFree() || joined.includes(checkout.problem.code);
}

const isOld = () => checkout.view?.version > Number(root.dataset.version) || checkout.isElsewhere && !isElsewhere;

/** Shows what the server says now, until it is no older than what is known. */
async function replace() {
  if (isReplacing) return;
  isReplacing = true;
  for (let wait = 500; isOld(); wait = Math.min(2 * wait, 15_000)) {
    try { await show(); } catch { document.getElementById('offline').hidden = false; }
    if (isOld()) await new Promise((done) => setTimeout(done, wait));
  }
  isReplacing = false;
}

async function show() {
  const query = new URLSearchParams(location.search);
  if (checkout.isElsewhere) query.set('elsewhere', '1'); else query.delete('elsewhere');
  const wasElsewhere = checkout.isElsewhere;
  const answer = await fetch(`${root.dataset.base}?${query}`, { signal: AbortSignal.timeout?.(10_000) });
  const next = new DOMParser().parseFromString(await answer.text(), 'text/html');
  const main = next.getElementById('checkout');
  if (!answer.ok || !main || Number(main.dataset.version) < Number(root.dataset.version)) throw answer;
  document.getElementById('offline').hidden = checkout.isReachable;
  isElsewhere = wasElsewhere;
  Object.assign(root.dataset, main.dataset);
  const nextCheck = main.querySelector('#check');
  Object.assign(check.dataset, nextCheck.dataset);
  check.hidden = nextCheck.hidden;
  tick();
  const then = main.querySelector('#state');
  if (rendered(then) === markup) return;
  markup = rendered(then);
  const chosen = root.querySelector('[name=method]:checked')?.value;
  const hadFocus = section.contains(document.activeElement);
  const said = section.querySelector('h1').textContent;
  document.title = next.title;
  section.className = then.className;
  section.innerHTML = then.innerHTML;
  for (const choice of section.querySelectorAll('[name=method]')) if (choice.value === chosen) choice.checked = true;
  const headline = section.querySelector('h1');
  if (headline.textContent !== said) {
    document.getElementById('live').textContent = `${headline.textContent}. ${headline.nextElementSibling.textContent}`;
    if (hadFocus) headline.focus({ preventScroll: true });
  }
  lock();
  tick();
}

root.addEventListener('submit', async (event) => {
  event.preventDefault();
  if (event.target.id === 'pay') {
    const [provider, method] = new FormData(event.target).get('method').split(':');
    if (isFree()) checkout.pay({ provider, method });
    return;
  }
  const button = event.target.querySelector('button');
  button.disabled = true;
  await checkout.giveUp();
  button.disabled = false;
});

const lang = document.documentElement.lang;

/** The deadline in the buyer's own time, in the last hour with the time left, and the next question to the bank. */
function tick() {
  if (!checkout.view) return;
  const deadline = document.getElementById('deadline');
  if (deadline) {
    const left = Math.max(0, checkout.secondsUntil(deadline.dateTime));
    const end = new Date(deadline.dateTime);
    const isSoon = left < 20 * 3600;
    const at = end.toLocaleString(lang, {
      ...isSoon ? {} : { year: 'numeric', month: 'long', day: 'numeric' }, hour: 'numeric', minute: '2-digit' });
    const minutes = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, '0')}`;
    say(deadline, left < 3600 ? deadline.dataset.left.replace('{left}', minutes).replace('{at}', at) : at);
  }
  if (!check.hidden) {
    const left = checkout.secondsUntil(check.dataset.at);
    const [count, unit] = left < 90 ? [left, 'second'] : [Math.round(left / 60), 'minute'];
    const when = left > 0 && new Intl.RelativeTimeFormat(lang).format(count, unit);
    say(check, when ? check.dataset.next.replace('{when}', when) : check.dataset.now);
  }
}

function say(element, text) { if (element.textContent !== text) element.textContent = text; }

setInterval(tick, 1000);
