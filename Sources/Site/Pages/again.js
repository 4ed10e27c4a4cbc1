// Looks every 5 s whether the page has changed. The same page is replaced in place; another one is navigated to.

const main = document.querySelector('main');
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

async function look() {
  const over = new AbortController();
  setTimeout(() => over.abort(), 10_000);
  const answer = await fetch(main.dataset.again, { signal: over.signal });
  if (!answer.ok) return;
  const next = new DOMParser().parseFromString(await answer.text(), 'text/html');
  const then = next.querySelector('main');
  if (!then || then.id !== main.id || answer.redirected) return location.replace(main.dataset.again);
  if (then.innerHTML !== main.innerHTML) {
    document.title = next.title;
    main.innerHTML = then.innerHTML;
  }
  main.dataset.again = then.dataset.again ?? '';
}

while (main.dataset.again) {
  await pause(5000);
  if (!document.hidden) await look().catch(() => {});
}
