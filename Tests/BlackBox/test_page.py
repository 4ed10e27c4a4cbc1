"""The checkout page in a real browser: what impatient people and bad networks do to it."""

import base64
import html
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
        until_page(lambda: check.text == "We ask the bank again in a few seconds.", 30, "the announcement")
        gate.bank.faults()
        until_state(driver, "paid", seconds=30)


CHECKS = """
window.checks = []; window.asks = 0;
new MutationObserver(() => {
  const check = document.getElementById('check');
  if (check && !check.hidden && window.checks.at(-1) !== check.textContent) window.checks.push(check.textContent);
}).observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
"""


def test_the_announcement_does_not_flicker(gate):
    """While the bank is asked every few seconds: words that change all the time are not read."""
    order = gate.order()
    gate.bank.faults(lose_response=1, lose_notice=1)
    with browser(before=CHECKS) as driver:
        driver.get(order["checkout_url"])
        choose(driver, "ok")
        press(driver)
        until_state(driver, "confirming")
        made = payments(gate, order)[0]["id"]
        until_page(lambda: find(driver, "#check").text == "We ask the bank again in a few seconds.", 30, "the announcement")
        looks = "return performance.getEntriesByType('resource').filter((it) => it.name.endsWith('/status')).length"
        count = driver.execute_script(looks)
        # As many looks as four questions take, of which each may have found the bank being asked or not.
        until(lambda: driver.execute_script(looks) >= count + 5, 60, "a page that looks")
        said = driver.execute_script("return window.checks")
        assert said[-1] == "We ask the bank again in a few seconds." and said.count(said[-1]) == 1, said
        assert gate.now(order)["payment"]["id"] == made
        gate.bank.faults()
        until_state(driver, "paid", seconds=40)
    kept_once(gate, order)


# The moment of the next question is what the test says, in seconds from now; nothing while somebody asks.
NEXT_CHECK = CHECKS + """
const read = JSON.parse; window.next = 40;
const change = (view) => {
  if (view && 'next_check_at' in view) {
    view.next_check_at = window.next === null ? null : new Date(Date.parse(view.now) + 1000 * window.next).toISOString();
  }
  return view;
};
JSON.parse = (...all) => change(read(...all));
const json = Response.prototype.json;
Response.prototype.json = async function () { return change(await json.call(this)); };
"""


def test_right_now_is_said_only_while_somebody_asks(gate):
    order = gate.order()
    gate.bank.faults(lose_request=1)
    with browser(before=NEXT_CHECK) as driver:
        driver.get(order["checkout_url"])
        choose(driver, "ok")
        press(driver)
        until_state(driver, "confirming")
        check = find(driver, "#check")
        until_page(lambda: re.fullmatch(r"We ask the bank again in [1-3]\d seconds\.", check.text), 30, "the countdown")
        # It is over, and nobody asks yet.
        driver.execute_script("window.next = -60")
        until_page(lambda: check.text == "We ask the bank again in a few seconds.", 60, "the end of the countdown")
        until_page(lambda: check.text == "", 60, "no word where nobody can say")
        driver.execute_script("window.next = 40")
        until_page(lambda: re.fullmatch(r"We ask the bank again in [1-3]\d seconds\.", check.text), 30, "the countdown")
        assert "We are asking the bank right now." not in driver.execute_script("return window.checks.slice(1)")
        driver.execute_script("window.next = null")
        until_page(lambda: check.text == "We are asking the bank right now.", 60, "a question under way")
        gate.bank.faults()
        until_state(driver, "paid", seconds=60)
    kept_once(gate, order)


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


def lies_over(driver, above, *others):
    """Which of the others an element covers, wherever the page is scrolled to."""
    return driver.execute_script("""
        const box = (selector) => document.querySelector(selector).getBoundingClientRect(), above = box(arguments[0]);
        return arguments[1].filter((it) => {
          const below = box(it);
          return above.height && above.bottom > below.top && below.bottom > above.top;
        });""", above, others)


def test_nothing_stands_above_the_truth(gate):
    """All answers to what the buyer sends are lost, so that it is repeated while the page knows how it ended."""
    lost = """const send = window.fetch; window.lost = 0; window.offlineOverPaid = 0;
        window.fetch = async (url, options = {}) => {
          const answer = await send(url, options);
          if (options.method !== 'POST') return answer;
          window.lost++;
          throw new TypeError('the answer is lost');
        };
        setInterval(() => {
          const shown = document.getElementById('offline');
          if (shown && !shown.hidden && document.querySelector('.state.paid')) window.offlineOverPaid++;
        }, 50);"""
    order = gate.order()
    with browser(before=lost) as driver:
        driver.get(order["checkout_url"])
        choose(driver, "ok")
        until_state(driver, "ready")
        driver.execute_script("const b = document.querySelector('#pay button'); b.click(); b.click();")
        until_state(driver, "paid")
        repeats = driver.execute_script("return window.lost")
        until(lambda: driver.execute_script("return window.lost") >= repeats + 2, 40, "a request that is repeated")
        assert driver.execute_script("return window.offlineOverPaid") == 0
        driver.set_network_conditions(offline=True, **NETWORK)
        driver.execute_script("dispatchEvent(new Event('offline'))")
        failed = "return performance.getEntriesByType('resource').filter((it) => it.name.endsWith('/status?wait=0')).length"
        until(lambda: driver.execute_script(failed) >= 2, what="a question without an answer")
        assert not find(driver, "#offline").is_displayed()
        driver.set_network_conditions(offline=False, **NETWORK)
    kept_once(gate, order)


def test_a_word_of_the_network_pushes_the_page_down(gate):
    with browser(width=360, lag=None) as driver:
        driver.get(gate.order(description="Jasmine tea")["checkout_url"])
        until_state(driver, "ready")
        before = driver.execute_script("return document.querySelector('.amount').getBoundingClientRect().top")
        driver.set_network_conditions(offline=True, **NETWORK)
        until_page(lambda: find(driver, "#offline").is_displayed(), what="the word that the network is gone")
        assert lies_over(driver, "#offline", ".shop", ".amount", ".description", "h1", "#pay button") == []
        assert driver.execute_script("return document.querySelector('.amount').getBoundingClientRect().top") > before
        driver.set_network_conditions(offline=False, **NETWORK)


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


@pytest.mark.parametrize("has_scripts", [True, False])
def test_after_many_declined_tries_the_page_says_until_when(gate, has_scripts):
    """And then offers the ways to pay by itself."""
    order = gate.order()
    for _ in range(5):
        assert gate.pay(order, method="declined").status_code == 201
    with browser(scripts=has_scripts) as driver:
        driver.get(order["checkout_url"])
        text = find(driver, "#state").text
        assert "There is a pause before the next one." in text and "You can try again from" in text
        assert driver.find_elements("css selector", "#pay") == []
        until_page(lambda: find(driver, "#pay"), 30, "the ways to pay")
        choose(driver, "ok")
        press(driver)
        until_state(driver, "paid")
    kept_once(gate, order, tries=6)


def test_an_address_that_has_to_wait(gate):
    """A press that is refused because of others says so, with and without scripts, and starts nothing."""
    order = gate.order()
    refused = """const send = window.fetch;
        window.fetch = (url, options = {}) => options.method !== 'POST' ? send(url, options) : Promise.resolve(Response.json(
          { type: 'urn:payonce:problem:too_many_payments', code: 'too_many_payments', status: 429 }, { status: 429 }));"""
    with browser(before=refused) as driver:
        driver.get(order["checkout_url"])
        until_state(driver, "ready")
        assert not find(driver, "#braked").is_displayed()
        press(driver)
        until_page(lambda: find(driver, "#braked").is_displayed(), what="why nothing was started")
        assert find(driver, "#pay button").get_attribute("aria-disabled") == "false"
    said = web.get(order["checkout_url"], headers={"Cookie": "payonce_said=braked"}).text
    assert 'id="braked" role="status" >' in said
    assert payments(gate, order) == []


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


def test_the_deadline_passes_while_the_server_cannot_be_reached(gate):
    """The page says why it offers nothing any more, and nothing that it cannot know."""
    with browser(lag=None) as driver:
        _, page = demo_order(gate, deadline="short")
        driver.get(page)
        until_page(lambda: re.search(r"\(0:\d\d left\)", find(driver, "#deadline").text), what="the countdown")
        driver.set_network_conditions(offline=True, **NETWORK)
        until_page(lambda: find(driver, "h1").text == "Time is up", 40, "the word that the time is over")
        text = find(driver, "#state").text
        assert "The time to pay this order is over." in text and "0:00" not in text and "Choose" not in text
        assert not find(driver, "#pay").is_displayed() and find(driver, "#offline").is_displayed()
        assert "closed" not in text.lower() and state(driver) == "ready"
        driver.set_network_conditions(offline=False, **NETWORK)
        until_state(driver, "closed", seconds=40)
        until_page(lambda: "You were not charged." in find(driver, "#state").text, what="how it ended")


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


def test_what_went_back_is_said_in_one_sum(gate):
    order = gate.order(amount=1000)
    gate.pay(order)
    payment = gate.now(order)["payment"]["id"]

    def refund(amount):
        answer = gate.call("POST", f"/v1/payments/{payment}/refunds", json={"amount": amount},
                           headers={"Idempotency-Key": f"r-{amount}", "Prefer": "wait=20"})
        assert answer.json()["status"] == "succeeded", answer.text

    with browser() as driver:
        driver.get(order["checkout_url"])
        until_state(driver, "paid")
        green = find(driver, ".slip").value_of_css_property("border-top-color")
        for amount in (100, 250, 50):
            refund(amount)
        until_page(lambda: "CN¥4.00 was returned" in find(driver, "#state").text, what="the sum")
        assert find(driver, "h1").text == "Partly refunded" and state(driver) == "refunded"
        assert driver.find_elements("css selector", ".notice:not([hidden]):not(#offline)") == []
        refund(600)
        until_page(lambda: find(driver, "h1").text == "Refunded", what="the whole sum")
        text = find(driver, "#state").text
        assert "CN¥10.00 was returned to you." in text and "nothing left" not in text
        assert "✓" not in driver.execute_script("return getComputedStyle(document.querySelector('h1'), '::before').content")
        assert find(driver, ".slip").value_of_css_property("border-top-color") != green
    assert gate.bank.kept(order) == 0


def test_the_shop_closes_the_order_under_the_page(gate):
    order = gate.order(return_url="https://shop.example/cart")
    with browser() as driver:
        driver.get(order["checkout_url"])
        gate.call("POST", f"/v1/orders/{order['id']}/close")
        until_state(driver, "closed")
        assert find(driver, "h1").text == "Closed by the shop"
        assert find(driver, "#return").get_attribute("href") == f"https://shop.example/cart?reference={order['reference']}"


# MARK: The way back


def leads_to(gate, order):
    """Where the page as it is now leads back to."""
    found = re.search(r'id="return" href="([^"]*)"', web.get(order["checkout_url"]).text)
    return found and html.unescape(found[1])


def test_a_way_back_to_the_shop_wherever_it_is_safe_to_leave(gate):
    """With the order's own number, correctly written, beside whatever the address has already."""
    reference = "A 1/ä&b=c#?+%".replace("ä", "a")
    written = "A%201%2Fa%26b%3Dc%23%3F%2B%25"
    after, before = "https://shop.example/thanks?x=1&y=%20#part?z", "http://shop.example"
    both = gate.order(reference=f"{reference} {time.time()}", return_url=after, cancel_url=before)
    written += both["reference"].removeprefix(reference).replace(" ", "%20")
    assert (both["return_url"], both["cancel_url"]) == (after, before)
    cancelled = f"http://shop.example?reference={written}"
    assert leads_to(gate, both) == cancelled
    gate.pay(both, method="declined")
    assert leads_to(gate, both) == cancelled
    gate.pay(both, method="action")
    assert leads_to(gate, both) == cancelled
    # Nobody is led away while it is open how it ends.
    gate.bank.faults(lose_request=1)
    gate.call("POST", f"/v1/payments/{gate.now(both)['payment']['id']}/close", headers={"Prefer": "wait=0"})
    assert leads_to(gate, both) is None
    page = web.get(both["checkout_url"]).text
    assert "You can close this page: nothing is lost" in page and "Do not pay elsewhere" in page
    gate.bank.faults()
    until(lambda: gate.now(both)["payment"] is None, 30, "the end of that payment")
    payment = gate.pay(both).json()
    assert leads_to(gate, both) == f"https://shop.example/thanks?x=1&y=%20&reference={written}#part?z"
    headers = {"Idempotency-Key": "all", "Prefer": "wait=20"}
    assert gate.call("POST", f"/v1/payments/{payment['id']}/refunds", headers=headers, json={}).json()["status"] == "succeeded"
    assert "Refunded" in web.get(both["checkout_url"]).text
    assert leads_to(gate, both).startswith("https://shop.example/thanks?")
    # Either stands in for the other, and there may be none.
    for fields, start, end in (({"return_url": "https://a.example/?"}, "https://a.example/?", "https://a.example/?"),
                               ({"cancel_url": "https://b.example/c?d&"}, "https://b.example/c?d&", "https://b.example/c?d&"),
                               ({}, None, None)):
        order = gate.order(**fields)
        number = f"reference={order['reference']}"
        assert leads_to(gate, order) == (start and start + number)
        gate.call("POST", f"/v1/orders/{order['id']}/close")
        assert leads_to(gate, order) == (end and end + number)


def test_a_bank_that_comes_back_to_the_page_by_a_form(gate):
    order = gate.order()
    answer = web.post(order["checkout_url"], data={"status": "paid", "lang": "zh"})
    assert answer.status_code == 303 and gate.url + answer.headers["location"] == order["checkout_url"]
    assert web.post(gate.url + "/checkout/ck_x", data={}).status_code == 404


def test_what_is_said_once_is_not_in_the_address(gate):
    """Without scripts the page says why a press started nothing, and does not say it again when it is loaded again."""
    order = gate.order()
    with browser(scripts=False) as driver:
        driver.get(order["checkout_url"])
        form = driver.page_source
        driver.get(order["checkout_url"])
        gate.pay(order, method="action")
        press(driver)
        until_state(driver, "action")
        assert driver.current_url == order["checkout_url"]
        assert "No second one was started here" in find(driver, "#state").text
        driver.get(order["checkout_url"])
        assert "No second one was started here" not in find(driver, "#state").text
    key = re.search(r'name="idempotency_key" value="([^"]+)"', form)[1]
    other = gate.order()
    answer = web.post(other["checkout_url"] + "/payments", data={"idempotency_key": key, "method": "sandbox:nothing"})
    assert answer.status_code == 303 and gate.url + answer.headers["location"] == other["checkout_url"]
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("payonce_said=refused;") and "HttpOnly" in cookie and "SameSite=Lax" in cookie
    assert f"Path={answer.headers['location']};" in cookie + ";"
    said = web.get(other["checkout_url"], headers={"Cookie": "payonce_said=refused"})
    assert 'id="refused" role="status" >' in said.text and "payonce_said=;" in said.headers["set-cookie"]
    assert "Max-Age=0" in said.headers["set-cookie"]
    # What an address says about it is not believed.
    assert 'id="held" role="status" hidden>' in web.get(other["checkout_url"] + "?held=1&refused=1&elsewhere=1").text


def test_the_bank_does_not_see_the_buyers_secret(gate):
    """Neither in what it is told nor in the way back, by which the buyer's own browser finds its page again."""
    order = gate.order(return_url="https://shop.example/thanks")
    with browser() as driver:
        driver.get(order["checkout_url"])
        choose(driver, "action")
        press(driver)
        until(lambda: driver.current_url.startswith(gate.bank.url), what="the bank's page")
        payment = payments(gate, order)[0]["id"]
        secret = order["checkout_url"].rsplit("/", 1)[1][29:]
        assert secret not in driver.current_url + driver.page_source
        assert f"back={gate.url}/return/{payment}" in driver.current_url
        click(driver, "button[value=pay]")
        until(lambda: driver.current_url == order["checkout_url"], what="the page")
        until_state(driver, "paid")
    kept_once(gate, order)


class FormBank(http.server.BaseHTTPRequestHandler):
    """Its page sends the buyer back by a form, as some banks do."""

    def do_GET(self):
        if self.path != "/":
            return self.send_error(404)
        page = f"<form method=post action='{self.server.back}'><input name=status value=paid><button>Back</button></form>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(page.encode())

    def log_message(self, *arguments):
        pass


@pytest.mark.parametrize("has_scripts", [True, False])
def test_the_way_back_from_another_site_by_a_form(gate, has_scripts):
    """Browsers send no cookies with it. The form without scripts remembers the way, too."""
    order = gate.order()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), FormBank) as bank, browser(scripts=has_scripts) as driver:
        threading.Thread(target=bank.serve_forever, daemon=True).start()
        driver.get(order["checkout_url"])
        choose(driver, "action")
        press(driver)
        until(lambda: driver.current_url.startswith(gate.bank.url), what="the bank's page")
        payment = payments(gate, order)[0]
        bank.back = f"{gate.url}/return/{payment['id']}"
        gate.bank.cashier(payment, "pay")
        # By this name it is another site.
        driver.get(f"http://localhost:{bank.server_port}/")
        click(driver, "button")
        until(lambda: driver.current_url == order["checkout_url"], what="the page")
        until_state(driver, "paid")
        bank.shutdown()
    kept_once(gate, order)


def test_the_way_back_in_another_browser(gate):
    """It is told how the order stands, and nothing by which it could pay or look further."""
    order = gate.order(description="Something private", return_url="https://shop.example/thanks", metadata={"a": "b c"})
    payment = gate.pay(order, method="action").json()
    secret = order["checkout_url"].rsplit("/", 1)[1][29:]
    with browser(lag=None) as driver:
        driver.get(f"{gate.url}/return/{payment['id']}?status=paid&lang=en")
        assert find(driver, "h1").text == "Not confirmed yet" and "paid" not in find(driver, "#state").text.lower()
        gate.bank.cashier(payment, "pay")
        # By itself.
        until_page(lambda: "Paid" in find(driver, "h1").text, what="the payment")
        source = driver.page_source
        assert secret not in source and "/checkout/" not in source and "private" not in source
        link = find(driver, "#back").get_attribute("href")
        assert link == f"https://shop.example/thanks?reference={order['reference']}"
        assert driver.find_elements("css selector", "form, button") == []
        assert driver.get_cookies() == [] or all(secret not in it["value"] for it in driver.get_cookies())
        driver.get("about:blank")
    # A cookie of another order, or one that was made up, opens nothing.
    other = gate.order()["checkout_url"].rsplit("/", 1)[1]
    made_up = order["checkout_url"].rsplit("/", 1)[1][:29] + "0" * 26
    for token in (other, made_up, "x"):
        answer = web.get(f"{gate.url}/return/{payment['id']}", headers={"Cookie": f"payonce_back={token}"})
        assert answer.status_code == 200 and "Paid" in answer.text and secret not in answer.text
    for unknown in (payment["id"][:-2] + "99", "pay_x"):
        assert web.get(f"{gate.url}/return/{unknown}").status_code == 404
    assert web.post(f"{gate.url}/return/pay_x").status_code == 404

    declined = gate.order(cancel_url="https://shop.example/cart")
    number = gate.pay(declined, method="declined").json()["id"]
    page = web.get(f"{gate.url}/return/{number}").text
    assert "The bank declined" in page and "go back to the page on which you began" in page
    assert "https://shop.example/cart?reference=" in page
    doubtful = gate.order(return_url="https://shop.example/thanks")
    gate.bank.faults(lose_request=1)
    number = gate.pay(doubtful, wait=0).json()["id"]
    page = web.get(f"{gate.url}/return/{number}").text
    assert "Do not pay again" in page and "shop.example" not in page


def test_the_way_back_is_remembered_securely(tmp_path):
    # Its notices are not asked for here.
    secret = {"PAYONCE_BANK_SECRET": "whsec_" + base64.b64encode(bytes(24)).decode()}
    with running(
            tmp_path, public_url="https://pay.example", arguments=["--sandbox", "on"], environment=secret) as gate:
        order = gate.order()
        answer = web.post(f"{gate.url}/checkout/{order['checkout_url'].rsplit('/', 1)[1]}/payments",
                          data={"idempotency_key": "k", "method": "sandbox:action"})
        payment = payments(gate, order)[0]["id"]
        assert answer.status_code == 303 and answer.headers["location"].endswith(f"?back=https://pay.example/return/{payment}")
        cookie = answer.headers["set-cookie"].split("; ")
        assert cookie[0] == f"payonce_back={order['checkout_url'].rsplit('/', 1)[1]}"
        assert {"Secure", "HttpOnly", "SameSite=Lax", f"Path=/return/{payment}"} <= set(cookie)


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


def lines(driver, selector):
    """On how many lines the text of an element stands."""
    return driver.execute_script("""
        const range = document.createRange();
        range.selectNodeContents(document.querySelector(arguments[0]));
        return new Set([...range.getClientRects()].map((it) => Math.round(it.top))).size;""", selector)


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_a_narrow_screen_and_a_shop_that_writes_from_right_to_left(gate, language):
    """Its name turns nothing around it, numbers do not break, and the other language's name stands on one line."""
    key = gate.new_key("متجر الشاي (2024)")
    orders = [
        gate.call("POST", "/v1/orders", key=key, json={
            "reference": f"rtl-{language}-{currency}", "amount": amount, "currency": currency,
            "description": "شاي 100 (abc"}).json()
        for currency, amount in (("IDR", 999_999_999_999), ("KWD", 999_999_999_999), ("JPY", 999_999_999_999), ("CNY", 3800))]
    with browser(language=language, lag=None) as driver:
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": 320, "height": 640, "deviceScaleFactor": 2, "mobile": True})
        for order in orders:
            driver.get(order["checkout_url"])
            until_state(driver, "ready")
            assert driver.execute_script("return document.documentElement.scrollWidth") == 320
            assert lines(driver, ".amount") == lines(driver, "footer a") == 1
            assert driver.execute_script("""
                const number = document.querySelector('.amount');
                return number.scrollWidth <= number.clientWidth;"""), order["currency"]
            lefts = driver.execute_script("""
                return ['.shop bdi', '.amount', '.description bdi', '.state h1'].map(
                  (it) => document.querySelector(it).getBoundingClientRect().left)""")
            assert max(lefts) - min(lefts) < 2, lefts
            for selector in (".shop bdi", ".description bdi"):
                assert find(driver, selector).value_of_css_property("unicode-bidi") == "isolate"
            assert driver.title.endswith("\u2068متجر الشاي (2024)\u2069")


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
