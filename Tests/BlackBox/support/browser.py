"""Debian's Chromium, driven by its own driver, with a witness: what a buyer saw is compared with what was true then."""

import atexit
import json
import re
import time
from contextlib import contextmanager
from datetime import datetime

from selenium import webdriver
from selenium.common.exceptions import (
    NoSuchElementException, NoSuchFrameException, NoSuchWindowException, StaleElementReferenceException,
    WebDriverException)
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from support.gate import Gate, charges_of, number_of, web
from support.machine import until

# Notes down every change of what a page shows: PayOnce's own, and the one of docs/guides/own-page.md. The console is the one
# place that outlives a page.
WITNESS = """
(() => {
  const page = crypto.getRandomValues(new Uint32Array(1))[0], now = Date.now.bind(Date);
  // The tab or frame, which outlives its pages too.
  window.name ||= 'witness ' + page;
  console.log('seen ' + JSON.stringify({ page, began: window.name, at: now() }));
  const words = { 'Paid. Thank you!': 'paid', 'This order can no longer be paid.': 'closed' };
  let last = '';
  const look = () => {
    const root = document.getElementById('checkout'), own = document.getElementById('ways');
    if (!root && !own) return;
    const said = document.getElementById('say')?.textContent ?? '';
    const button = document.querySelector('#pay button');
    const held = document.getElementById('held');
    const seen = {
      page, order: 'ord_' + (root?.dataset.base ?? own.dataset.checkout).split('/').pop().slice(3, 29),
      states: root ? [root.dataset.state, root.dataset.live] : [said.includes('declined') ? 'failed' : words[said]],
      can_pay: !!button && button.getAttribute('aria-disabled') !== 'true',
      hidden: document.hidden, held: !!held && !held.hidden && location.hash !== '#held',
      text: document.getElementById('state')?.innerText ?? said };
    const text = JSON.stringify(seen);
    if (text !== last) console.log('seen ' + JSON.stringify({ ...seen, at: now() }));
    last = text;
  };
  new MutationObserver(look).observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
  addEventListener('DOMContentLoaded', look);
  addEventListener('visibilitychange', look);
  addEventListener('pagehide', () => console.log('seen ' + JSON.stringify({ page, at: now() })));
})();
"""

# For `before`: how many requests of a page are no questions.
COUNTS = """
const send = window.fetch; window.posts = 0;
window.fetch = (url, options = {}) => { window.posts += options.method === 'POST'; return send(url, options); };
"""

# For `set_network_conditions`: as fast as it is.
NETWORK = {"latency": 0, "download_throughput": -1, "upload_throughput": -1}


@contextmanager
def browser(scripts=True, language="en", dark=False, width=420, height=860, before=None, lag=12):
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
        # Where scripts run, something was seen, unless no page was opened.
        shown = judge(seen(said), lag)
        assert shown or not scripts or driver.current_url == "about:blank", "the witness saw nothing"
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
    """Compares what was shown with the orders' own events and with the bank's books.

    Returns how many orders were shown.
    """
    now = time.time() * 1000
    pages, tabs, tab_of = {}, {}, {}
    for sight in sights:
        if tab := sight.get("began"):
            tabs.setdefault(tab, []).append(sight["at"])
            tab_of[sight["page"]] = tab
        pages.setdefault(sight["page"], []).append(sight)
    orders = {sight["order"] for sight in sights if "order" in sight}
    truths = {order: Truth(order) for order in orders}
    for shown in pages.values():
        # Each sight lasts until the next one of its page, or until the page was left. A busy browser may lose a page's
        # last word, but not the first one of the page that came in its place.
        for sight, until_at in zip(shown, [it["at"] for it in shown[1:]] + [now]):
            if "order" in sight:
                successors = [at for at in tabs.get(tab_of.get(sight["page"]), []) if at > sight["at"]]
                truths[sight["order"]].judge(sight, min([until_at, *successors]), lag)
        paid = [index for index, it in enumerate(shown) if "paid" in it.get("states", [])]
        for sight in shown[paid[0]:] if paid else []:
            assert "order" not in sight or "paid" in sight["states"], f"not paid any more: {sight}"
    return len(orders)


class Truth:
    """What was true of an order, and when."""

    def __init__(self, order):
        self.events = None
        for gate in Gate.all:
            answer = gate.call("GET", f"/v1/orders/{order}/events")
            number = number_of(gate, order)
            charges = charges_of({"number": number}, gate.bank.books()) if number else []
            if answer.status_code == 200:
                self.events = [(it["type"], it["data"].get("payment"), moment(it["created_at"]))
                               for it in answer.json()["data"]]
            if answer.status_code == 200 or charges:
                self.charges = charges
                break
        else:
            self.charges = []

    def at(self, kind, payment=None):
        """When it happened, of the order or of this payment; never, if it did not."""
        return min((at for what, which, at in self.events if what == kind and payment in (None, which)),
                   default=float("inf"))

    def judge(self, sight, until_at, lag):
        at = sight["at"] + 1
        captures = [moment(it["captured_at"]) for it in self.charges if it.get("captured_at")]
        if "paid" in sight["states"]:
            assert any(captured <= at for captured in captures), f"shown before the bank took anything: {sight}"
        if re.search("not (been )?charged", sight["text"]) and lag is not None:
            assert all(captured > until_at - lag * 1000 for captured in captures), f"said that nothing was charged: {sight}"
        if self.events is None:  # The demo's, which is another merchant's: the books alone speak.
            return
        assert "paid" not in sight["states"] or self.at("order.paid") <= at, f"shown before it was true: {sight}"
        assert "closed" not in sight["states"] or self.at("order.closed") <= at, f"shown before it was true: {sight}"
        assert not sight["held"], f"said that money is being looked into: {sight}"
        if "failed" in sight["states"]:
            assert self.at("payment.failed") <= at, f"shown without proof: {sight}"
            # Of the latest try, once the page could have heard of it.
            known = until_at - (lag or 60) * 1000
            started = [which for what, which, began in self.events if what == "payment.started" and began <= known]
            assert not started or self.at("payment.failed", started[-1]) <= until_at, f"shown without proof: {sight}"
        if sight["can_pay"] and not sight["hidden"] and lag is not None:
            for payment in {which for what, which, _ in self.events if what == "payment.started"}:
                ended = min(self.at(f"payment.{end}", payment) for end in ("succeeded", "failed", "closed"))
                overlap = min(until_at, ended) - max(sight["at"], self.at("payment.started", payment))
                assert overlap < lag * 1000, f"offered to pay for {overlap} ms while {payment} ran: {sight}"


def find(driver, selector):
    return driver.find_element(By.CSS_SELECTOR, selector)


def texts(driver, selector):
    """Of all that there are at one moment, however often the page replaces them."""
    return driver.execute_script("return [...document.querySelectorAll(arguments[0])].map((it) => it.innerText)", selector)


def click(driver, selector):
    """A click on a page that may be replaced under it."""
    until_page(lambda: find(driver, selector).click() or True, what=f"a click on {selector}")


def until_page(condition, seconds=20, what="the condition"):
    """Like `until`, over a page that may replace what was just found on it."""
    def isolated():
        try:
            return condition()
        except (NoSuchElementException, NoSuchFrameException, NoSuchWindowException, StaleElementReferenceException):
            return False
        except WebDriverException as error:
            # Also a stale element or a page that is being left, in the driver's own words.
            if not any(words in str(error) for words in ("does not belong to the document", "execution context")):
                raise
            return False
    return until(isolated, seconds, what)


def state(driver):
    return find(driver, "#checkout").get_attribute("data-state")


def until_state(driver, *expected, seconds=20):
    until_page(lambda: state(driver) in expected, seconds, f"state {expected} of the page")


def choose(driver, method):
    find(driver, f"input[value='sandbox:{method}']").click()


def press(driver):
    until_page(lambda: find(driver, "#pay button").get_attribute("aria-disabled") != "true", what="an open form")
    click(driver, "#pay button")


def payments(gate, order):
    return gate.get(f"/v1/orders/{order['id']}/payments")["data"]


def demo_order(gate, **fields):
    """The reference of a new order of the demo shop, and its checkout page."""
    answer = web.post(f"{gate.url}/demo/orders", data={"product": "tea", **fields})
    path = answer.headers["location"]
    page = web.get(gate.url + path).text
    return path, gate.url + re.search(r'data-checkout="([^"]+)"', page)[1]


def kept_once(gate, order, tries=1):
    assert len(payments(gate, order)) == tries
    assert len(gate.bank.taken(order)) == 1 and gate.bank.kept(order) == order["amount"]
