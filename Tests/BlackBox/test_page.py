"""The checkout page in a real browser: what impatient people and bad networks do to it."""

import http.server
import re
import signal
import threading
import time

import pytest
import zxingcpp
from PIL import Image
from selenium.webdriver import ActionChains, Keys

from browser import (
    COUNTS, browser, choose, click, demo_order, find, new_tab, payments, press, seen, state, until_page, until_state)
from conftest import running, until, web
from lossy_wire import BlackHole
from test_restore import copy_of, restore

pytestmark = pytest.mark.browser
NETWORK = {"latency": 0, "download_throughput": -1, "upload_throughput": -1}


def kept_once(gate, order, tries=1):
    assert len(payments(gate, order)) == tries
    assert len(gate.bank.taken(order)) == 1 and gate.bank.kept(order) == order["amount"]


# MARK: Impatience

def test_fifty_clicks_in_one_tick(gate):
    order = gate.order(description="Jasmine tea")
    with browser(before=COUNTS) as driver:
        driver.get(order["checkout_url"])
        choose(driver, "ok")
        driver.execute_script("const b = document.querySelector('#pay button'); for (let n = 0; n < 50; n++) b.click();")
        until_state(driver, "paid")
        # Locked at once: not even a request was sent twice.
        assert driver.execute_script("return window.posts") == 1
    kept_once(gate, order)


def test_a_double_click(gate):
    order = gate.order()
    with browser(before=COUNTS) as driver:
        driver.get(order["checkout_url"])
        choose(driver, "slow")
        ActionChains(driver).double_click(find(driver, "#pay button")).perform()
        until_state(driver, "paid")
        assert driver.execute_script("return window.posts") == 1
    kept_once(gate, order)


def test_by_keyboard_alone(gate):
    order = gate.order()
    with browser() as driver:
        driver.get(order["checkout_url"])

        def focused():
            return driver.switch_to.active_element
        for _ in range(20):
            ActionChains(driver).send_keys(Keys.TAB).perform()
            if focused().get_attribute("name") == "method":
                break
        ActionChains(driver).send_keys(Keys.ARROW_DOWN).perform()
        assert focused().get_attribute("value") == "sandbox:declined"
        ActionChains(driver).send_keys(Keys.TAB, Keys.ENTER).perform()
        until_state(driver, "failed")
        # Whoever pressed a button that is gone stands at the headline, which a screen reader was told, too.
        until_page(lambda: focused().tag_name == "h1", what="the focus on the headline")
        assert find(driver, "#live").get_attribute("textContent").startswith("The bank declined\nYou were not charged.")
        until_page(lambda: find(driver, "#pay button").get_attribute("aria-disabled") == "false", what="an open form")
        ActionChains(driver).send_keys(Keys.TAB, Keys.ARROW_UP, Keys.TAB, Keys.ENTER).perform()
        until_state(driver, "paid")
    kept_once(gate, order, tries=2)


def test_a_reload_in_the_middle(gate):
    order = gate.order()
    with browser() as driver:
        driver.get(order["checkout_url"])
        choose(driver, "ok")
        gate.bank.faults(lose_request=1)
        press(driver)
        until(lambda: gate.now(order)["payment"], what="the payment")
        driver.refresh()
        until_state(driver, "confirming")
        assert "not pay again" in find(driver, "#state").text.lower()
        assert driver.find_elements("css selector", "#pay") == []
        gate.bank.faults()
        until_state(driver, "paid", seconds=40)
    kept_once(gate, order)


def test_back_and_forward(gate):
    order = gate.order()
    with browser() as driver:
        driver.get(order["checkout_url"])
        choose(driver, "action")
        press(driver)
        until(lambda: driver.current_url.startswith(gate.bank.url), what="the bank's page")
        driver.back()
        until_state(driver, "action")
        assert driver.find_elements("css selector", "#pay") == []
        driver.forward()
        click(driver, "button[value=pay]")
        until(lambda: driver.current_url.startswith(gate.url), what="the way back")
        until_state(driver, "paid")
        # What a bank's page puts into the way back proves nothing, and nothing is read from it.
        driver.get(order["checkout_url"] + "?status=failed&paid=0")
        assert state(driver) == "paid"
        for _ in range(3):
            driver.back()
        driver.forward()
        driver.get(order["checkout_url"])
        assert state(driver) == "paid"
    kept_once(gate, order)


# Tabs that do not hear of each other.
DEAF = "delete window.BroadcastChannel; addEventListener('storage', (event) => event.stopImmediatePropagation(), true);"


def test_two_tabs_both_press(gate):
    order = gate.order()
    with browser(before=COUNTS + DEAF) as driver:
        driver.get(order["checkout_url"])
        first = driver.current_window_handle
        # It is pressed while the other one is looked at and its payment runs, and while it still offers to pay.
        driver.execute_script("""
            const look = setInterval(() => {
              if (!localStorage.pressed) return;
              clearInterval(look);
              const button = document.querySelector('#pay button');
              localStorage.wasFree = button.getAttribute('aria-disabled') !== 'true';
              button.click();
            }, 300);""")
        new_tab(driver)
        second = driver.current_window_handle
        driver.get(order["checkout_url"])
        gate.bank.faults(lose_request=1)
        press(driver)
        until(lambda: gate.now(order)["payment"], what="the payment")
        driver.execute_script("localStorage.pressed = 1")
        until(lambda: driver.execute_script("return localStorage.wasFree") == "true", what="a press on a page that offers it")
        driver.execute_script("localStorage.removeItem('pressed')")
        driver.switch_to.window(first)
        # It asked before it submitted, and joined.
        until_state(driver, "confirming")
        gate.bank.faults()
        until_state(driver, "paid", seconds=40)
        assert driver.execute_script("return window.posts") == 0
        assert "another tab" in find(driver, "#state").text
        driver.switch_to.window(second)
        until_state(driver, "paid")
        assert "another tab" not in find(driver, "#state").text
    kept_once(gate, order)


def test_two_devices_press_at_once(gate):
    order = gate.order()
    with browser() as one, browser() as other:
        for driver in (one, other):
            driver.get(order["checkout_url"])
            choose(driver, "slow")
        for driver in (one, other):
            driver.execute_script("document.querySelector('#pay button')?.click()")
        for driver in (one, other):
            until_state(driver, "paid")
        told = [driver for driver in (one, other) if "another tab or on another device" in find(driver, "#state").text]
        assert len(told) == 1, "the one that did not start it says so"
    kept_once(gate, order)


def test_many_tabs_do_not_keep_each_other_out(gate):
    """A browser opens six connections to a host; tabs that nobody looks at must not hold them."""
    order = gate.order()
    with browser() as driver:
        driver.get(order["checkout_url"])
        for _ in range(8):
            new_tab(driver)
            driver.get(order["checkout_url"])
            until_state(driver, "ready")
        press(driver)
        until_state(driver, "paid")

        # The others follow nothing, and know it all the same: this one told them.
        def told():
            driver.said += driver.get_log("browser")
            return {it["page"] for it in seen(driver.said) if it.get("hidden") and "paid" in it["states"]}
        until(lambda: len(told()) == 8, what="what the hidden tabs show")
        driver.switch_to.window(driver.window_handles[3])
        until_state(driver, "paid")
    kept_once(gate, order)


# MARK: Bad networks


def test_the_lost_answer_is_never_called_a_failure(gate):
    order = gate.order()
    with browser() as driver:
        driver.get(order["checkout_url"])
        choose(driver, "lost")
        press(driver)
        shown = set()

        def paid():
            shown.add(state(driver))
            return "paid" in shown
        until_page(paid, 40, "the payment")
        assert shown <= {"ready", "confirming", "paid"}
    kept_once(gate, order)


def test_the_next_question_to_the_bank_is_announced(gate):
    order = gate.order()
    gate.bank.faults(lose_request=1)
    with browser() as driver:
        driver.get(order["checkout_url"])
        choose(driver, "ok")
        press(driver)
        until_state(driver, "confirming")
        check = find(driver, "#check")
        until_page(lambda: re.fullmatch(r"We ask the bank again in \d+ seconds?\.", check.text), 30, "the announcement")
        gate.bank.faults()
        until_state(driver, "paid", seconds=30)


LOSE_THE_FIRST_ANSWER = """
const send = window.fetch; let lost = 0;
window.fetch = async (url, options = {}) => {
  const answer = await send(url, options);
  if (options.method === 'POST' && lost++ === 0) throw new TypeError('the answer is lost');
  return answer;
};
"""


def test_the_answer_to_the_buyer_is_lost(gate):
    order = gate.order()
    with browser(before=LOSE_THE_FIRST_ANSWER) as driver:
        driver.get(order["checkout_url"])
        choose(driver, "declined")
        press(driver)
        until_state(driver, "failed")
    # It was asked for again under the same key, which is no second try, and not a duplicate either.
    assert [p["status"] for p in payments(gate, order)] == ["failed"]
    assert gate.now(order)["duplicates_prevented"] == 0


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


def test_another_tab_holds_the_lock_and_stands_still(gate):
    """A dialog, a debugger, a browser that suspends: the server needs no lock."""
    order = gate.order()
    with browser() as driver:
        driver.get(order["checkout_url"])
        new_tab(driver)
        driver.get(order["checkout_url"])
        driver.execute_script(
            "navigator.locks.request(arguments[0], () => new Promise(() => {}))", "payonce:" + order["id"][4:])
        driver.switch_to.window(driver.window_handles[1])
        choose(driver, "ok")
        press(driver)
        until_state(driver, "paid", seconds=50)
        kept_once(gate, order)


KEYS = """
const send = window.fetch; window.keys = [];
window.fetch = (url, options = {}) => {
  if (options.method === 'POST') window.keys.push(options.headers['Idempotency-Key']);
  return send(url, options);
};
"""


def test_a_full_storage(gate):
    """One try keeps its one key as long as the page lives."""
    order = gate.order()
    with browser(before=KEYS) as driver:
        driver.get(order["checkout_url"])
        choose(driver, "declined")
        press(driver)
        until_state(driver, "failed")
        driver.execute_script("""
          for (let size = 2 ** 23, n = 0; size >= 1; n++)
            try { localStorage.setItem('x' + n, 'x'.repeat(size)); } catch { size /= 2; }""")
        # Refused each time, so that it stays the same try.
        for count in (2, 3, 4):
            driver.execute_script("document.querySelector('[name=method]:checked').value = 'sandbox:nothing'")
            press(driver)
            until(lambda: len(driver.execute_script("return window.keys")) == count, what="the request")
        first, *others = driver.execute_script("return window.keys")
        assert len(set(others)) == 1 and first not in others
        driver.execute_script("localStorage.clear()")


def test_a_press_is_old_by_either_clock(gate):
    """The network comes back after more than a minute, and the device's clock is set back at that moment."""
    order = gate.order()
    hours = "const passed = performance.now.bind(performance); performance.now = () => passed() + window.passes;"
    cut = "const real = fetch; window.fetch = (...all) => window.isCut ? Promise.reject(TypeError('cut')) : real(...all);"
    with browser(before=JUMPS + "window.passes = 0;" + hours + cut, lag=None) as driver:
        driver.get(order["checkout_url"])
        until_state(driver, "ready")
        choose(driver, "ok")
        driver.execute_script("window.isCut = true")
        press(driver)
        until_page(lambda: find(driver, "#offline").is_displayed(), what="the word that the network is gone")
        driver.execute_script("window.skip(-1_800_000); window.passes = 61_000")
        driver.execute_script("window.isCut = false")
        until_page(lambda: find(driver, "#pay button").get_attribute("aria-disabled") == "false", 30, "an open form")
        assert payments(gate, order) == []
        press(driver)
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


def cut_off(driver):
    """From the module, and from nothing else."""
    driver.execute_cdp_cmd("Network.enable", {})
    driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["*payonce.js"]})


def open_without_modules(gate, driver):
    """The page of a payment that waits for its buyer."""
    order = gate.order()
    gate.pay(order, method="action")
    cut_off(driver)
    driver.get(order["checkout_url"])


# The pauses of a page that works without its modules are a fifth as long.
HURRY = "const wait = window.setTimeout; window.setTimeout = (work, ms) => wait(work, ms / 5); "


def test_a_page_whose_modules_do_not_arrive(gate):
    """Its forms work, and it finds out how they ended, also after an outage."""
    order = gate.order()
    with browser(lag=None) as driver:
        cut_off(driver)
        driver.get(order["checkout_url"])
        choose(driver, "qr")
        press(driver)
        until_state(driver, "action")
        driver.set_network_conditions(offline=True, **NETWORK)
        until_page(lambda: find(driver, "#offline").is_displayed(), 60, "the word that it cannot be reached")
        gate.bank.cashier(payments(gate, order)[0], "pay")
        gate.until_status(order, "paid")
        assert state(driver) == "action" and "do not pay again" in find(driver, "#offline").text
        driver.set_network_conditions(offline=False, **NETWORK)
        until_state(driver, "paid", seconds=60)
    kept_once(gate, order)


class SlowBank(http.server.BaseHTTPRequestHandler):
    """Its page comes after 6 s."""

    def do_GET(self):
        if self.path != "/":
            return self.send_error(404)
        self.server.visits += 1
        self.server.meanwhile()
        time.sleep(6)
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<h1>bank</h1>")

    def log_message(self, *arguments):
        pass


def test_a_bank_that_takes_longer_than_a_page_without_its_modules(gate):
    """To load the page again would call off what the buyer just pressed, also when there is news."""
    order = gate.order()
    payment = gate.pay(order, method="action").json()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), SlowBank) as bank, browser(before=HURRY, lag=None) as driver:
        bank.visits, bank.meanwhile = 0, lambda: gate.bank.cashier(payment, "pay")
        threading.Thread(target=bank.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{bank.server_port}/"
        cut_off(driver)
        driver.get(order["checkout_url"])
        driver.execute_script("""
            const link = document.getElementById('continue'); link.href = arguments[0]; setTimeout(() => link.click());""", url)
        until(lambda: driver.current_url.startswith(url), 40, "the bank")
        assert bank.visits == 1
        bank.shutdown()
    kept_once(gate, order)


def test_a_module_that_arrives_late(gate):
    """The page that it works on is not loaded again, and nothing is said of an outage that was none."""
    slow = HURRY + """const Request = window.XMLHttpRequest; window.looks = 0;
        window.XMLHttpRequest = class extends Request {
          open(method) { super.open(method, '/nothing'); }
          send() {
            super.send();
            window.looks++;
            document.getElementById('checkout').dataset.live = 'action';
            this.addEventListener('loadend', () => { window.isOver = true; });
          }
        };"""
    with browser(before=slow, lag=None) as driver:
        open_without_modules(gate, driver)
        # The answer comes after the module, and says something else than the page.
        until(lambda: driver.execute_script("return window.isOver"), what="a look")
        assert not find(driver, "#offline").is_displayed() and driver.execute_script("return window.looks") == 1


def test_a_proxys_error_does_not_take_the_place_of_a_page_without_its_modules(gate):
    limited = HURRY + """
        window.XMLHttpRequest = class extends window.XMLHttpRequest {
          get status() { return 429; }
          get responseText() { return '{"message": "API rate limit exceeded"}'; }
        };"""
    with browser(before=limited, lag=None) as driver:
        open_without_modules(gate, driver)
        driver.execute_script("window.isSame = true")
        until_page(lambda: find(driver, "#offline").is_displayed(), what="the word that it cannot be reached")
        assert driver.execute_script("return window.isSame") and state(driver) == "action"


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


# The device's clock can be made to jump, as it does while a device sleeps.
JUMPS = """
const Real = Date; let ahead = 0;
window.Date = class extends Real { static now() { return Real.now() + ahead; } };
window.skip = (ms) => { ahead += ms; };
"""


def test_a_device_that_slept(gate):
    """Meanwhile its connection died, and nobody said so: what was sent over it is swallowed. New ones are good."""
    with BlackHole(gate.port) as hole, browser(before=JUMPS, lag=None) as driver:
        order = gate.order()
        driver.get(order["checkout_url"].replace(gate.url, hole.url))
        until_state(driver, "ready")
        until(lambda: hole.streams, what="the event stream")
        hole.swallow()
        gate.pay(order)
        assert state(driver) == "ready", "it cannot know"
        driver.execute_script("window.skip(11000)")
        until_state(driver, "paid", seconds=25)


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


GIVES_UP = """
const send = window.fetch; window.keys = []; window.isBroken = true;
window.fetch = (url, options = {}) => {
  if (options.method !== 'POST') return send(url, options);
  window.keys.push(options.headers['Idempotency-Key']);
  return window.isBroken ? Promise.reject(new TypeError('lost')) : send(url, options);
};
"""


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


def test_a_request_is_repeated_for_a_minute_and_no_longer(gate):
    """Also where nothing can be stored."""
    order = gate.order()
    with browser(before=JUMPS + GIVES_UP + MISSING["storage"]) as driver:
        driver.get(order["checkout_url"])
        choose(driver, "ok")
        press(driver)
        until_page(lambda: driver.execute_script("return window.keys.length") >= 3, what="the repeats")
        is_locked = "return document.querySelector('#pay button').getAttribute('aria-disabled')"
        assert driver.execute_script(is_locked) == "true"
        driver.execute_script("window.skip(61000)")
        until_page(lambda: driver.execute_script(is_locked) == "false", what="the end of the repeats")
        assert payments(gate, order) == []
        # The buyer may press again, and it is the same request.
        driver.execute_script("window.isBroken = false")
        press(driver)
        until_state(driver, "paid")
        assert len(set(driver.execute_script("return window.keys"))) == 1
    kept_once(gate, order)


def test_a_press_before_another_tabs_try_ended_starts_nothing(gate):
    """It was pressed to join what ran. That it was declined meanwhile is news to whoever pressed."""
    order = gate.order()
    with browser() as driver:
        driver.get(order["checkout_url"])
        until_state(driver, "ready")
        # As another tab does that is about to submit.
        driver.execute_script(
            "navigator.locks.request(arguments[0], () => new Promise((done) => { window.release = done; }))",
            "payonce:" + order["id"][4:])
        press(driver)
        until_page(lambda: find(driver, "#pay button").get_attribute("aria-disabled") == "true", what="the lock")
        gate.pay(order, method="declined")
        driver.execute_script("window.release()")
        until_state(driver, "failed")
        until_page(lambda: find(driver, "#pay button").get_attribute("aria-disabled") == "false", what="the open lock")
    assert len(payments(gate, order)) == 1


MISSING = {
    "storage": """for (const area of ['localStorage', 'sessionStorage'])
        Object.defineProperty(window, area, { get() { throw new DOMException('no') } });""",
    "event streams": "delete window.EventSource;",
    "time limits": "delete AbortSignal.timeout;",
    "locks and channels": "Object.defineProperty(navigator, 'locks', { value: undefined }); delete window.BroadcastChannel;",
}


def test_tabs_without_channels(gate):
    """What one tab stores for its try tells the others to look."""
    order = gate.order()
    with browser(before="delete window.BroadcastChannel;") as driver:
        driver.get(order["checkout_url"])
        until_state(driver, "ready")
        new_tab(driver)
        driver.get(order["checkout_url"])
        press(driver)
        until_state(driver, "paid")

        def told():
            driver.said += driver.get_log("browser")
            return [it for it in seen(driver.said) if it.get("hidden") and "paid" in it["states"]]
        until(told, what="what the hidden tab shows")
    kept_once(gate, order)


@pytest.mark.parametrize("missing", MISSING)
def test_without(gate, missing):
    order = gate.order()
    with browser(before=MISSING[missing]) as driver:
        driver.get(order["checkout_url"])
        choose(driver, "declined")
        press(driver)
        until_state(driver, "failed")
        choose(driver, "slow")
        press(driver)
        until(lambda: len(payments(gate, order)) == 2, what="the second try")
        driver.refresh()
        until_state(driver, "paid")
    kept_once(gate, order, tries=2)


def test_a_device_whose_clock_is_wrong_by_hours(gate):
    order = gate.order()
    wrong = """const Real = Date;
        window.Date = class extends Real {
          constructor(...given) { given.length ? super(...given) : super(Real.now() + 7 * 3_600_000); }
          static now() { return Real.now() + 7 * 3_600_000; }
        };"""
    with browser(before=wrong) as driver:
        driver.get(order["checkout_url"])
        deadline = until_page(lambda: re.search(r"\((\d+):\d\d left\)", find(driver, "#deadline").text), what="the time")
        assert deadline[1] in ("14", "15")
        press(driver)
        until_state(driver, "paid")
    kept_once(gate, order)


# MARK: Other methods, deadlines, scans


def test_another_method_after_a_decline_and_after_a_change_of_mind(gate):
    order = gate.order()
    with browser() as driver:
        driver.get(order["checkout_url"])
        choose(driver, "declined")
        press(driver)
        until_state(driver, "failed")
        # The next try is another request, also after a reload.
        driver.refresh()
        choose(driver, "action")
        press(driver)
        until(lambda: driver.current_url.startswith(gate.bank.url), what="the bank's page")
        driver.get(order["checkout_url"])
        until_state(driver, "action")
        assert "nothing else is charged" in find(driver, "#close-note").text
        # The close is not confirmed while the bank is gone, and until then nothing else can be paid.
        gate.bank.faults(lose_request=1)
        click(driver, "#close button")
        until_page(lambda: "Ending your earlier try" in find(driver, "h1").text, what="the close")
        assert driver.find_elements("css selector", "#pay, #continue") == []
        gate.bank.faults()
        until_state(driver, "ready", seconds=40)
        choose(driver, "ok")
        press(driver)
        until_state(driver, "paid")
    assert [p["status"] for p in payments(gate, order)] == ["failed", "closed", "succeeded"]
    kept_once(gate, order, tries=3)


def test_the_deadline_passes_on_an_open_page(gate):
    with browser() as driver:
        path, page = demo_order(gate, deadline="short")
        driver.get(page)
        assert state(driver) == "ready"
        until_page(lambda: re.search(r"\(0:\d\d left\)", find(driver, "#deadline").text), what="the countdown")
        until_state(driver, "closed", seconds=30)
        assert "Time is up" in find(driver, "h1").text and "You were not charged." in find(driver, "#state").text
    # Without an answer from the bank it says nothing.
    assert until(lambda: web.get(f"{gate.url}{path}/live").json()["kept"]) == "Nothing"


def test_a_code_is_scanned(gate, tmp_path):
    order = gate.order()
    with browser(dark=True) as driver:
        driver.get(order["checkout_url"])
        choose(driver, "qr")
        press(driver)
        until_state(driver, "action")
        code = until_page(lambda: find(driver, "#code"), what="the code")
        until_page(lambda: driver.execute_script("return arguments[0].naturalWidth", code), what="the picture")
        code.screenshot(str(tmp_path / "code.png"))
        read = zxingcpp.read_barcodes(Image.open(tmp_path / "code.png"))
        cashier = gate.now(order)["payment"]["next_action"]["content"]
        assert [it.text for it in read] == [cashier] and cashier.startswith(gate.bank.url)
        # The phone pays; this page finds out by itself.
        assert web.post(cashier, data={"action": "pay"}).status_code == 200
        until_state(driver, "paid")
        picture = code_url(order, payments(gate, order)[0])
        assert web.get(picture).status_code == 404, "a code that is no longer of any use is not shown"
    kept_once(gate, order)


def code_url(order, payment):
    return f"{order['checkout_url']}/payments/{payment['id']}/code.svg"


def test_the_second_payment_comes_back(gate):
    with browser() as driver:
        # This method takes the money although it was closed, two seconds later. Where the machine stands still for so
        # long, the order is paid by it, and is tried anew.
        for _ in range(4):
            order = gate.order()
            driver.get(order["checkout_url"])
            gate.pay(order, method="late")
            until_state(driver, "action")
            click(driver, "#close button")
            until_state(driver, "ready", "paid")
            if gate.pay(order).json()["status"] == "succeeded":
                break
        until_state(driver, "paid")
        until(lambda: any(it["surplus"] == "duplicate" for it in payments(gate, order)), 40, "the second payment")
        until_page(lambda: "was returned to you" in find(driver, "#state").text, 40, "the word that it went back")
        assert find(driver, "h1").text.endswith("Paid once")
        assert "Your second payment of CN¥19.99 was returned" in find(driver, "#state").text
    assert len(gate.bank.taken(order)) == 2 and gate.bank.kept(order) == 1999


def test_the_shop_closes_the_order_under_the_page(gate):
    order = gate.order(return_url="https://shop.example/cart")
    with browser() as driver:
        driver.get(order["checkout_url"])
        gate.call("POST", f"/v1/orders/{order['id']}/close")
        until_state(driver, "closed")
        assert find(driver, "h1").text == "Closed by the shop"
        assert find(driver, "#return").get_attribute("href") == "https://shop.example/cart"


def test_the_provider_is_turned_off_under_the_page(tmp_path):
    """Nobody can ask it then, which the page says, whatever it said before, until it is turned on again."""
    off = ["--sandbox", "off"]

    def text(driver):
        return find(driver, "#state").text

    with running(tmp_path) as gate, browser(lag=None) as driver:
        acting, closing = gate.order(), gate.order(expires_in=60)
        payment = gate.pay(acting, method="action").json()
        gate.bank.faults(lose_request=1)
        gate.pay(closing, wait=0)
        until(lambda: gate.now(closing)["payment"]["unknown_since"], what="a payment in doubt")
        assert gate.call("POST", f"/v1/orders/{closing['id']}/close").json()["status"] == "closing"
        driver.get(closing["checkout_url"])
        until_page(lambda: "We are asking the bank" in text(driver), what="an order that is being closed")
        new_tab(driver)
        driver.get(acting["checkout_url"])
        until_page(lambda: find(driver, "#continue"), what="the way to the bank")
        gate.process.kill(signal.SIGTERM)
        gate.process.arguments += off
        gate.start()
        for order in (acting, closing):
            if order is closing:
                driver.switch_to.window(driver.window_handles[1])
            until_page(lambda: "cannot be asked" in text(driver), 60, "the word that nobody can ask")
            until_page(lambda: find(driver, "#checkout").get_attribute("data-live") == "confirming", what="its state")
            assert state(driver) == "confirming" and "asking" not in text(driver)
            assert driver.find_elements("css selector", "#continue, #close, #pay") == []
            assert not find(driver, "#check").is_displayed()
            view = web.get(order["checkout_url"] + "/status").json()
            assert view["provider_available"] is False
            assert view["next_check_at"] is None and view["payment"]["next_action"] is None
        assert "The shop is closing this order." in text(driver)
        until(lambda: "a provider is turned off" in gate.process.log.read_text(), what="the word to the operator")
        gate.process.kill(signal.SIGTERM)
        gate.process.arguments = gate.process.arguments[:-len(off)]
        gate.bank.faults()
        gate.start()
        until_state(driver, "paid", "closed", seconds=60)
        driver.switch_to.window(driver.window_handles[2])
        until_state(driver, "action", seconds=60)
        gate.bank.cashier(payment, "pay")
        until_state(driver, "paid", seconds=60)
        kept_once(gate, acting)


def test_what_the_page_says_is_true(gate):
    """Texts of states that are rare: each is said as it is, in words of its own."""
    def text(order, **arguments):
        return web.get(order["checkout_url"], **arguments).text

    wrong = gate.order()
    gate.bank.faults(wrong_amount=1)
    gate.pay(wrong)
    gate.bank.faults()
    until(lambda: "was returned" in text(wrong), what="the return of a wrong amount")
    assert "not charged" not in text(wrong) and "not the right amount" in text(wrong)
    assert "second payment" not in text(wrong)

    closing = gate.order()
    gate.pay(closing, method="action")
    gate.bank.faults(lose_request=1)
    gate.call("POST", f"/v1/orders/{closing['id']}/close", headers={"Prefer": "wait=0"})
    assert "The shop is closing this order" in text(closing) and "time for this order" not in text(closing)

    # The bank has not said whether the buyer paid there.
    doubtful = gate.order()
    gate.bank.faults()
    gate.pay(doubtful, method="action")
    gate.bank.faults(lose_response=1, lose_notice=1)
    until(lambda: text(doubtful) and gate.now(doubtful)["payment"]["unknown_since"], 30, "the doubt")
    assert "do not pay again" in text(doubtful) and "Being confirmed" in text(doubtful)
    gate.bank.faults()

    closed = gate.order()
    gate.call("POST", f"/v1/orders/{closed['id']}/close")
    assert "Closed by the shop" in text(closed) and "You were not charged." in text(closed)
    assert "商家已关闭订单" in text(closed, headers={"Accept-Language": "zh-CN"})


# MARK: Without scripts


def test_without_scripts(gate):
    order = gate.order()
    with browser(scripts=False) as driver:
        driver.get(order["checkout_url"])
        form = {"idempotency_key": find(driver, "[name=idempotency_key]").get_attribute("value")}
        choose(driver, "declined")
        press(driver)
        until_state(driver, "failed")
        choose(driver, "ok")
        press(driver)
        until_state(driver, "paid")
        # Back, on the form of the first try, and once more.
        driver.back()
        for _ in range(2):
            answer = web.post(order["checkout_url"] + "/payments", data={**form, "method": "sandbox:declined"})
            assert answer.status_code == 303
        driver.get(order["checkout_url"])
        assert state(driver) == "paid"
    kept_once(gate, order, tries=2)


def test_without_scripts_at_the_bank_and_back(gate):
    """The page that the bank sends the buyer back to finds out by itself."""
    gate.bank.faults(lose_notice=1)
    order = gate.order()
    with browser(scripts=False) as driver:
        driver.get(order["checkout_url"])
        choose(driver, "action")
        press(driver)
        until(lambda: driver.current_url.startswith(gate.bank.url), what="the bank's page")
        click(driver, "button[value=pay]")
        until(lambda: driver.current_url.startswith(gate.url), what="the way back")
        until_state(driver, "paid", seconds=30)


def test_without_scripts_a_close_that_is_refused_shows_the_order(gate):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    order = gate.order()
    gate.pay(order)
    for payment in (gate.now(order)["payment"]["id"], f"pay_{order['id'][4:]}33"):
        answer = web.post(f"{order['checkout_url']}/payments/{payment}/close", headers=form)
        assert answer.status_code == 303 and answer.headers["location"] in order["checkout_url"], answer.text
    other = f"pay_{gate.order()['id'][4:]}01"
    assert web.post(f"{order['checkout_url']}/payments/{other}/close", headers=form).status_code == 404


def test_without_scripts_in_two_tabs(gate):
    order = gate.order()
    with browser(scripts=False) as driver:
        driver.get(order["checkout_url"])
        gate.pay(order, method="action")
        press(driver)
        until_state(driver, "action")
        assert "No second one was started here" in find(driver, "#state").text
    assert len(payments(gate, order)) == 1


# MARK: Languages and money


def test_languages(gate):
    order = gate.order()
    with browser(language="zh-CN") as driver:
        driver.get(order["checkout_url"])
        assert find(driver, "html").get_attribute("lang") == "zh-CN"
        assert "支付" in find(driver, "#pay").text
        until_page(lambda: re.search(r"剩余 1[45]:\d\d", find(driver, "#deadline").text), what="the time left")
        find(driver, "footer a").click()
        until_page(lambda: find(driver, "html").get_attribute("lang") == "en", what="English")
        assert "Pay" in find(driver, "#pay button").text
        # The choice lasts, also on the way to the bank and back.
        driver.get(order["checkout_url"])
        assert find(driver, "html").get_attribute("lang") == "en"


def test_a_language_chosen_in_another_tab(gate):
    """A page that is open stays whole in its own language."""
    order = gate.order()
    with browser() as driver:
        driver.get(order["checkout_url"])
        until_state(driver, "ready")
        first = driver.current_window_handle
        new_tab(driver)
        driver.get(order["checkout_url"] + "?lang=zh")
        press(driver)
        until_state(driver, "paid")
        assert find(driver, "h1").text == "支付成功"
        driver.switch_to.window(first)
        until_state(driver, "paid")
        assert find(driver, "h1").text.startswith("Paid") and find(driver, "html").get_attribute("lang") == "en"
        # What its script asked for has not undone the choice.
        driver.refresh()
        assert find(driver, "html").get_attribute("lang") == "zh-CN"


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_amounts_are_written_as_the_browser_itself_writes_them(gate, language):
    """Chromium brings Unicode's own data on how people of a language write money."""
    digits = {"JPY": 0, "KRW": 0, "VND": 0, "CLP": 0, "KWD": 3, "BHD": 3}
    codes = ["CNY", "JPY", "KWD", "USD", "EUR", "GBP", "HKD", "TWD", "KRW", "INR", "AUD", "BRL", "CAD", "ILS", "MXN",
             "NZD", "VND", "CLP", "BHD", "CHF", "THB", "SGD"]
    with browser(language=language) as driver:
        for code in codes:
            page = web.get(gate.order(currency=code, amount=1234567)["checkout_url"], headers={"Accept-Language": language})
            shown = re.search(r'class="amount">([^<]+)<', page.text)[1]
            places = digits.get(code, 2)
            expected = driver.execute_script(
                "return new Intl.NumberFormat(arguments[0], { style: 'currency', currency: arguments[1],"
                " minimumFractionDigits: arguments[2], maximumFractionDigits: arguments[2] }).format(arguments[3])",
                language, code, places, 1234567 / 10 ** places)
            assert shown == expected
