"""Debian's Chromium, driven by its own driver, with a witness: what a buyer saw is compared with what was true then."""

import atexit
import json
import re
from contextlib import contextmanager
from datetime import datetime

import httpx
from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from conftest import Gate, until

# Notes down every change of what the checkout page shows. The console is the one place that outlives a page.
WITNESS = """
(() => {
  let last = '';
  const page = crypto.getRandomValues(new Uint32Array(1))[0];
  const look = () => {
    const root = document.getElementById('checkout');
    if (!root) return;
    const button = document.querySelector('#pay button');
    const seen = {
      page, hidden: document.hidden, order: 'ord_' + root.dataset.base.split('/').pop().slice(3, 29), origin: location.origin,
      state: root.dataset.state, can_pay: !!button && button.getAttribute('aria-disabled') !== 'true',
      text: document.getElementById('state')?.innerText ?? '' };
    const text = JSON.stringify(seen);
    if (text !== last) console.log('seen ' + JSON.stringify({ ...seen, at: Math.round(performance.timeOrigin + performance.now()) }));
    last = text;
  };
  new MutationObserver(look).observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
  addEventListener('DOMContentLoaded', look);
})();
"""


@contextmanager
def browser(scripts=True, language="en", dark=False, width=420, height=860, before=None, lag=5):
    """A browser of its own. At its end everything that its buyer saw must have been true.

    before: a script that runs in every page before the page's own.
    lag: for how long, in seconds, a button may still offer to pay while a payment is under way; None where the page
    is cut off and cannot know.
    """
    # One that an earlier test is done with: starting one takes as long as most tests.
    idle = IDLE.setdefault((scripts, language), [])
    driver = idle.pop() if idle else launch(scripts, language)
    try:
        driver.set_window_size(width, height)
        # What is told to a tab goes with it.
        first = driver.current_window_handle
        driver.before = "\n".join([WITNESS, before or ""])
        driver.said = []
        new_tab(driver)
        if dark:
            feature = {"name": "prefers-color-scheme", "value": "dark"}
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        yield driver
        said = driver.said + driver.get_log("browser")
        # Nothing on the page broke, and nothing was loaded from elsewhere or against its policy. An answer that the
        # network or the server did not give is part of some tests.
        wrong = [e["message"] for e in said
                 if e["level"] == "SEVERE" and "Failed to load resource" not in e["message"]]
        assert not wrong, wrong
        judge(seen(said), lag)
        driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
        for tab in driver.window_handles:
            if tab != first:
                driver.switch_to.window(tab)
                driver.close()
        driver.switch_to.window(first)
        driver.get_log("browser")
        idle.append(driver)
    except BaseException:
        driver.quit()
        raise


# By whether scripts run in them and by their language.
IDLE = {}


@atexit.register
def quit_all():
    for driver in (driver for idle in IDLE.values() for driver in idle):
        driver.quit()


def launch(scripts, language):
    options = webdriver.ChromeOptions()
    for argument in ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", f"--lang={language}"]:
        options.add_argument(argument)
    preferences = {"intl.accept_languages": language}
    if not scripts:
        preferences["profile.managed_default_content_settings.javascript"] = 2
    options.add_experimental_option("prefs", preferences)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    driver.set_page_load_timeout(30)
    driver.set_script_timeout(30)
    return driver


def prepare(driver):
    """For a tab that was just opened."""
    driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": driver.before})


def new_tab(driver):
    driver.switch_to.new_window("tab")
    prepare(driver)


def seen(said):
    found = []
    for entry in said:
        match = re.search(r'"seen (.*)"$', entry["message"])
        if match:
            found.append(json.loads(json.loads(f'"{match[1]}"')))
    return sorted(found, key=lambda it: it["at"])


def moment(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000


def judge(sights, lag):
    """Compares what was shown with the order's own events and with the bank's books."""
    for gate in Gate.all:
        mine = [it for it in sights if it["origin"] == gate.url]
        for order in {it["order"] for it in mine}:
            answer = gate.call("GET", f"/v1/orders/{order}/events")
            if answer.status_code == 404:  # the demo's, which is another merchant's
                continue
            events = [(e["type"], moment(e["created_at"])) for e in answer.raise_for_status().json()["data"]]
            charges = [c for c in gate.bank.books()["charges"] if c["id"][4:30] == order[4:]]
            of_order = [it for it in mine if it["order"] == order]
            for page in {it["page"] for it in of_order}:
                judge_page([it for it in of_order if it["page"] == page], events, charges, lag)


def judge_page(sights, events, charges, lag):
    def happened(kind, by):
        return any(what == kind and at <= by + 1 for what, at in events)

    starts = [at for what, at in events if what == "payment.started"]
    ends = [at for what, at in events if what in ("payment.succeeded", "payment.failed", "payment.closed")]
    paid = False
    for sight in sights:
        state, at = sight["state"], sight["at"]
        for shown, kind in (("paid", "order.paid"), ("failed", "payment.failed"), ("closed", "order.closed")):
            assert state != shown or happened(kind, at), f"shown before it was true: {sight}"
        paid = paid or state == "paid"
        assert not paid or state == "paid", f"not paid any more: {sight}"
        if "not charged" in sight["text"]:
            taken = [c for c in charges if c.get("captured_at") and moment(c["captured_at"]) <= at - 1000]
            assert taken == [], f"said that nothing was charged: {sight}"
        if lag is not None and sight["can_pay"]:
            until_next = next((it["at"] for it in sights if it["at"] > at and not it["can_pay"]), at)
            for number, start in enumerate(sorted(starts)):
                end = sorted(ends)[number] if number < len(ends) else float("inf")
                overlap = min(until_next, end) - max(at, start)
                assert overlap < lag * 1000, f"offered to pay for {overlap} ms while payment {number + 1} ran: {sight}"


def find(driver, selector):
    return driver.find_element(By.CSS_SELECTOR, selector)


def click(driver, selector):
    """A click on a page that may be replaced under it."""
    until_page(lambda: find(driver, selector).click() or True, what=f"a click on {selector}")


def until_page(condition, seconds=20, what="the condition"):
    """Like `until`, over a page that may replace what was just found on it."""
    def isolated():
        try:
            return condition()
        except (NoSuchElementException, StaleElementReferenceException):
            return False
    return until(isolated, seconds, what)


def state(driver):
    return find(driver, "#checkout").get_attribute("data-state")


def until_state(driver, *expected, seconds=20):
    until_page(lambda: state(driver) in expected, seconds, f"state {expected} of the page")


def choose(driver, method):
    find(driver, f"input[value='sandbox:{method}']").click()


def press(driver):
    find(driver, "#pay button").click()


def payments(gate, order):
    return gate.get(f"/v1/orders/{order['id']}/payments")["data"]


def demo_order(gate, **fields):
    """The reference of a new order of the demo shop, and its checkout page."""
    answer = httpx.post(f"{gate.url}/demo/orders", data={"product": "tea", **fields})
    path = answer.headers["location"]
    page = httpx.get(gate.url + path).text
    return path, gate.url + re.search(r'data-checkout="([^"]+)"', page)[1]
