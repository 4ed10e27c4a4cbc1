"""The checkout page and bad networks: outages, proxies, streams that end or say nothing."""

import pytest

from support.browser import (
    NETWORK, browser, choose, click, find, kept_once, new_tab, payments, press, state, until_page, until_state)
from support.copies import copy_of, restore
from support.gate import running
from support.lossy_wire import BlackHole
from support.machine import until

pytestmark = pytest.mark.browser


NOTHING_IS_SENT = """
const send = window.fetch;
window.fetch = (url, options = {}) =>
  options.method === 'POST' ? new Promise(() => { window.key = options.headers['Idempotency-Key']; }) : send(url, options);
"""


def test_a_reload_repeats_the_same_request(gate):
    order = gate.order()
    with browser(before=NOTHING_IS_SENT) as driver:
        keys = []
        for turn in ("first", "reloaded", "restored"):
            if turn == "restored":
                driver.close()
                driver.switch_to.window(driver.window_handles[0])
                new_tab(driver)
            driver.get(order["checkout_url"])
            choose(driver, "ok")
            press(driver)
            keys.append(until_page(lambda: driver.execute_script("return window.key"), what=f"the request of the {turn} page"))
            assert "One moment" in find(driver, "#pay button").text
        assert len(keys) == 3 and len(set(keys)) == 1, "a try has one key"


def test_offline_at_the_moment_of_the_click(gate):
    order = gate.order()
    with browser(lag=None) as driver:
        driver.get(order["checkout_url"])
        choose(driver, "ok")
        driver.set_network_conditions(offline=True, **NETWORK)
        press(driver)
        until_page(lambda: find(driver, "#offline").is_displayed(), what="the word that the network is gone")
        assert payments(gate, order) == []
        assert find(driver, "#pay button").get_attribute("aria-disabled") == "true"
        driver.set_network_conditions(offline=False, **NETWORK)
        until_state(driver, "paid", seconds=40)
        until_page(lambda: not find(driver, "#offline").is_displayed(), what="the word that all is well")
    kept_once(gate, order)


def test_offline_while_it_is_being_paid(gate):
    order = gate.order()
    with browser(lag=None) as driver:
        driver.get(order["checkout_url"])
        payment = gate.pay(order, method="action").json()
        until_state(driver, "action")
        driver.set_network_conditions(offline=True, **NETWORK)
        until_page(lambda: find(driver, "#offline").is_displayed(), what="the word that the network is gone")
        gate.bank.cashier(payment, "pay")
        gate.until_status(order, "paid")
        assert state(driver) == "action", "nothing is said that is not known"
        driver.set_network_conditions(offline=False, **NETWORK)
        until_state(driver, "paid", seconds=30)
    kept_once(gate, order)


def test_the_server_goes_away_in_the_middle(tmp_path):
    with running(tmp_path) as gate, browser(lag=None) as driver:
        order = gate.order()
        driver.get(order["checkout_url"])
        choose(driver, "slow")
        press(driver)
        until(lambda: gate.now(order)["payment"], what="the payment")
        gate.process.kill()
        until_page(lambda: find(driver, "#offline").is_displayed(), 40, "the word that it cannot be reached")
        assert "do not pay again" in find(driver, "#checkout").text.lower()
        gate.start()
        until_state(driver, "paid", seconds=60)
        kept_once(gate, order)


def test_the_store_is_restored_under_an_open_page(tmp_path):
    """The server says less than it said before, and it is what counts now."""
    with running(tmp_path) as gate, browser(lag=None) as driver:
        order = gate.order()
        copy_of(gate, tmp_path)
        driver.get(order["checkout_url"])
        forgotten = gate.pay(order, method="action").json()
        until_state(driver, "action")
        gate.process.kill()
        restore(gate, tmp_path)
        gate.start()
        assert gate.now(order)["payment"] is None
        until_state(driver, "ready", seconds=90)
        choose(driver, "ok")
        press(driver)
        # The bank knows this try, and has not forgotten that it waits for its buyer.
        until(lambda: driver.current_url.startswith(gate.bank.url), 40, "the bank's page")
        assert payments(gate, order)[0]["id"] == forgotten["id"]
        click(driver, "button.pay")
        until_state(driver, "paid")
        kept_once(gate, order)


def test_what_a_proxy_says_is_not_the_servers_word(gate):
    """Not even when it is JSON with a status that tells who asks to stop, or with a code."""
    order = gate.order()
    gateway = """const real = window.fetch; window.strays = 0;
        const words = [{ message: 'no Route matched' }, { code: 403, msg: 'denied' }];
        window.fetch = (url, options = {}) => {
          if (options.method !== 'POST' || window.strays === 2) return real(url, options);
          return Promise.resolve(Response.json(words[window.strays++], { status: 403 }));
        };"""
    with browser(before=gateway) as driver:
        driver.get(order["checkout_url"])
        choose(driver, "ok")
        press(driver)
        until_state(driver, "paid", seconds=40)
        assert driver.execute_script("return window.strays") == 2
    kept_once(gate, order)


def test_streams_that_a_full_server_refuses(gate):
    """The page finds out by asking, and asks less and less."""
    order = gate.order()
    refused = """window.streams = [];
        window.EventSource = class {
          constructor() { window.streams.push(performance.now()); setTimeout(() => this.onerror?.()); }
          close() {}
        };"""
    with browser(before=refused, lag=40) as driver:
        driver.get(order["checkout_url"])
        until(lambda: driver.execute_script("return window.streams.length") >= 6, 60, "a page that tries again")
        times = driver.execute_script("return window.streams")
        # Pauses of 0.5 s, 1 s, 2 s, 4 s, each with a jitter of a half; a tab that comes to the front begins at once.
        assert times[5] - times[4] > 1_900, times
        gate.pay(order)
        until_state(driver, "paid", seconds=60)


def test_a_stream_after_an_outage(gate):
    """It opens when the server answers again, however long the pauses had become."""
    outage = """const send = window.fetch, Stream = window.EventSource; window.misses = 0; window.opened = 0;
        window.fetch = async (url, options) => {
          if (!window.isOut) {
            const isBack = window.misses;
            const answer = await send(url, options);
            if (isBack) window.answered ??= performance.now();
            return answer;
          }
          window.misses++;
          throw new TypeError('out');
        };
        window.EventSource = class extends Stream {
          constructor(url) {
            super(url);
            window.last = this;
            window.opened = performance.now();
          }
        };"""
    with browser(before=outage, lag=None) as driver:
        driver.get(gate.order()["checkout_url"])
        until_state(driver, "ready")
        until(lambda: driver.execute_script("return window.opened"), what="the event stream")
        driver.execute_script("window.isOut = true; window.last.onerror()")
        until(lambda: driver.execute_script("return window.misses") >= 5, 60, "a page that tries again")
        driver.execute_script("window.isOut = false")
        opened = "return window.answered && window.opened - window.answered"
        late = until(lambda: (ms := driver.execute_script(opened)) and ms > 0 and ms, 60, "another stream")
        # The pause would have been of 7 s or more.
        assert late < 5_000, late


# Four times as fast, but for what the browser itself measures.
FAST = "const now = performance.now.bind(performance); performance.now = () => 4 * now();"


def test_a_stream_that_says_nothing(gate):
    """As behind a proxy that keeps what it is given until it is whole."""
    order = gate.order()
    mute = """window.streams = 0;
        window.EventSource = class { constructor() { window.streams++; } close() {} };"""
    with browser(before=FAST + mute, lag=None) as driver:
        driver.get(order["checkout_url"])
        until_state(driver, "ready")
        gate.pay(order)
        until_state(driver, "paid", seconds=60)
        streams = driver.execute_script("return window.streams")
        asked = "return performance.getEntriesByName(location.href + '/status').length"
        count = driver.execute_script(asked)
        until(lambda: driver.execute_script(asked) >= count + 3, 60, "a page that asks")
        assert driver.execute_script("return window.streams") == streams, "it would say nothing again"


def test_a_page_without_a_stream_has_the_bank_asked_when_it_is_looked_at(gate):
    """And not whenever it finds out how things stand."""
    count = "return performance.getEntriesByType('resource').filter((it) => it.name.endsWith(arguments[0])).length"
    with browser(before="delete window.EventSource;", lag=None) as driver:
        driver.get(gate.order()["checkout_url"])
        until_state(driver, "ready")
        until(lambda: driver.execute_script(count, "/status") >= 3, 40, "a page that looks")
        assert driver.execute_script(count, "/status?wait=0") == 1
        first = driver.current_window_handle
        new_tab(driver)
        driver.switch_to.window(first)
        until(lambda: driver.execute_script(count, "/status?wait=0") == 2, what="a question of who came back")


def test_a_connection_that_died_in_silence(gate):
    with BlackHole(gate.port) as hole, browser(lag=None) as driver:
        order = gate.order()
        driver.get(order["checkout_url"].replace(gate.url, hole.url))
        until_state(driver, "ready")
        until(lambda: hole.streams, what="the event stream")
        hole.swallow()
        streams = hole.streams
        gate.pay(order)
        until_state(driver, "paid", seconds=120)
        # One that spoke may speak again.
        until(lambda: hole.streams > streams, what="another event stream")


def test_a_request_that_is_never_answered(gate):
    """Every question has an end, also in browsers of before 2022."""
    silence = """delete AbortSignal.timeout; delete window.EventSource; window.asked = 0;
        window.fetch = (url, { signal }) => {
          window.asked++;
          return new Promise((_, fail) => signal?.addEventListener('abort', () => fail(signal.reason)));
        };"""
    with browser(before=silence, lag=None) as driver:
        driver.get(gate.order()["checkout_url"])
        until_page(lambda: find(driver, "#offline").is_displayed(), 40, "the word that it cannot be reached")
        until(lambda: driver.execute_script("return window.asked") > 1, 40, "another question")


def test_an_order_that_is_not_there(gate):
    order = gate.order()
    with browser() as driver:
        driver.get(order["checkout_url"])
        # A press ends at once, with the reason.
        took, code = driver.execute_async_script("""
          const [url, done] = arguments, began = performance.now();
          import('/payonce.js').then(async ({ follow }) => {
            const checkout = follow(url, () => {});
            await checkout.pay({ provider: 'sandbox', method: 'ok' });
            done([performance.now() - began, checkout.problem.code]);
          });""", gate.url + "/checkout/ck_" + "0" * 52)
        assert code == "not_found" and took < 20_000
