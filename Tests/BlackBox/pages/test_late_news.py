"""What comes late, or belongs to another try, or while the page is being left: it changes nothing."""

import pytest

from support.browser import browser, find, payments, state, until_page, until_state
from support.machine import until

pytestmark = pytest.mark.browser

# A server's words, as a slow network may deliver them: what a page is told once more, after it knew better.
REPLAYS = """
const send = window.fetch; window.replayed = 0; window.states = [];
window.fetch = async (url, options = {}) => {
  const isPage = !!options.headers?.['X-Requested-With'];
  if (isPage && window.oldPage) {
    const page = window.oldPage;
    window.oldPage = null;
    window.replayed++;
    return new Response(page);
  }
  if (window.oldView && /\\/status/.test(url)) {
    window.replayed++;
    return new Response(window.oldView);
  }
  return send(url, options);
};
addEventListener('DOMContentLoaded', () => new MutationObserver(() => {
  const { state, live } = document.getElementById('checkout').dataset;
  window.states.push(state, live);
}).observe(document.getElementById('checkout'), { attributes: true }));
"""
TEXT = "fetch(arguments[0]).then((it) => it.text()).then(arguments[1])"


def test_an_older_page_does_not_replace_a_newer_one(gate):
    order = gate.order()
    with browser(before=REPLAYS) as driver:
        driver.get(order["checkout_url"])
        until_state(driver, "ready")
        older = driver.execute_async_script(TEXT, order["checkout_url"])
        payment = gate.pay(order, method="action").json()
        until_state(driver, "action")
        driver.execute_script("window.states = []; window.oldPage = arguments[0]", older)
        gate.bank.cashier(payment, "pay")
        until_state(driver, "paid")
        assert driver.execute_script("return window.replayed") == 1, "the older page was what it was given first"
        assert "ready" not in driver.execute_script("return window.states")


def test_an_older_view_that_comes_late_changes_nothing(gate):
    order = gate.order()
    with browser(before="delete window.EventSource;" + REPLAYS) as driver:
        driver.get(order["checkout_url"])
        until_state(driver, "ready")
        older = driver.execute_async_script(TEXT, order["checkout_url"] + "/status")
        gate.pay(order)
        until_state(driver, "paid")
        driver.execute_script("window.states = []; window.oldView = arguments[0]", older)
        until(lambda: driver.execute_script("return window.replayed") >= 2, 40, "a page that asks")
        assert state(driver) == "paid" and find(driver, "#checkout").get_attribute("data-live") == "paid"
        assert set(driver.execute_script("return window.states")) <= {"paid"}


def test_the_page_of_another_try_is_not_gone_to(gate):
    """The press's own try was given up elsewhere, and another one begun, before the page heard of its answer."""
    order = gate.order()
    holds = """const send = window.fetch;
        window.fetch = async (url, options = {}) => {
          const answer = await send(url, options);
          if (options.method === 'POST') await new Promise((done) => { window.letGo = done; });
          return answer;
        };"""
    with browser(before=holds, lag=None) as driver:
        driver.get(gate.order()["checkout_url"])
        driver.execute_script("""
            const [url] = arguments;
            import('/payonce.js').then(({ follow }) => {
              window.follower = follow(url, () => {});
              window.follower.pay({ provider: 'sandbox', method: 'action' }).then(() => { window.isOver = true; });
            });""", order["checkout_url"])
        until(lambda: driver.execute_script("return !!window.letGo"), what="an answer to the press")
        [own] = payments(gate, order)
        close = gate.call("POST", f"/v1/payments/{own['id']}/close", headers={"Prefer": "wait=30"})
        assert close.json()["status"] == "closed"
        other = gate.pay(order, method="action").json()
        assert other["next_action"]["url"].startswith(gate.bank.url)
        driver.execute_script("window.letGo()")
        # Either the press ends where it is, or the browser leaves the page.
        until(lambda: driver.execute_script("return !!window.isOver || !window.follower"), what="the end of the press")
        gate.bank.cashier(other, "pay")
        until(lambda: driver.execute_script("return window.follower?.state") == "paid", what="news of the other try")
        assert driver.current_url.startswith(gate.url)


def test_the_page_of_its_own_try_is_gone_to(gate):
    order = gate.order()
    with browser(lag=None) as driver:
        driver.get(gate.order()["checkout_url"])
        driver.execute_script("""
            const [url] = arguments;
            import('/payonce.js').then(({ follow }) => {
              follow(url, () => {}).pay({ provider: 'sandbox', method: 'action' });
            });""", order["checkout_url"])
        until_page(lambda: driver.current_url.startswith(gate.bank.url), what="the bank")


def test_a_page_that_is_left_holds_no_connection(gate):
    """A browser keeps a page that is left for the way back, with all that it holds."""
    order = gate.order()
    streams = """const Stream = window.EventSource; window.streams = [];
        window.EventSource = class extends Stream {
          constructor(...all) { super(...all); window.streams.push(this); }
        };"""
    open_streams = "return window.streams.filter((it) => it.readyState !== 2).length"
    with browser(before=streams) as driver:
        driver.get(order["checkout_url"])
        until(lambda: driver.execute_script(open_streams) == 1, what="the stream")
        driver.execute_script("dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))")
        assert driver.execute_script(open_streams) == 0
        driver.execute_script("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
        until(lambda: driver.execute_script(open_streams) == 1, what="another stream")
        gate.pay(order)
        until_state(driver, "paid")
