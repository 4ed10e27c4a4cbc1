"""The checkout page on devices that sleep, whose clocks are wrong, that store nothing, or whose tabs stand still."""

import re

import pytest

from support.browser import (
    browser, choose, find, kept_once, new_tab, payments, press, seen, state, until_page, until_state)
from support.lossy_wire import BlackHole
from support.machine import until

pytestmark = pytest.mark.browser
# The device's clock can be made to jump, as it does while a device sleeps.
JUMPS = """
const Real = Date; let ahead = 0;
window.Date = class extends Real { static now() { return Real.now() + ahead; } };
window.skip = (ms) => { ahead += ms; };
"""


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


MISSING = {
    "storage": """for (const area of ['localStorage', 'sessionStorage'])
        Object.defineProperty(window, area, { get() { throw new DOMException('no') } });""",
    "event streams": "delete window.EventSource;",
    "time limits": "delete AbortSignal.timeout;",
    "locks and channels": "Object.defineProperty(navigator, 'locks', { value: undefined }); delete window.BroadcastChannel;",
}


GIVES_UP = """
const send = window.fetch; window.keys = []; window.isBroken = true;
window.fetch = (url, options = {}) => {
  if (options.method !== 'POST') return send(url, options);
  window.keys.push(options.headers['Idempotency-Key']);
  return window.isBroken ? Promise.reject(new TypeError('lost')) : send(url, options);
};
"""


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
