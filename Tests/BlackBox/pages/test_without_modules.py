"""The checkout page whose modules do not arrive, or come late."""

import http.server
import threading
import time

import pytest

from support.browser import (
    NETWORK, browser, choose, click, find, kept_once, payments, press, state, until_page, until_state)
from support.machine import until

pytestmark = pytest.mark.browser


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


# How each page of a tab was come to.
LOADS = """
try {
  sessionStorage.loads = (sessionStorage.loads ?? '') + performance.navigation.type + ' ';
} catch { /* There is no page yet. */ }
"""


def test_a_form_under_way_is_not_called_off(gate):
    """To load the page again, since there is news, would take back the press whose answer is on its way."""
    order = gate.order()
    gate.pay(order, method="action")
    with browser(before=HURRY + LOADS, lag=None) as driver:
        cut_off(driver)
        driver.get(order["checkout_url"])
        # The form waits for the bank, for longer than the page waits to look.
        gate.bank.faults(lose_request=1)
        loads = "return sessionStorage.loads.trim().split(' ').map((it) => ['opened', 'reloaded'][it])"
        assert driver.execute_script(loads) == ["opened"]
        click(driver, "#close button")
        until_page(lambda: len(driver.execute_script(loads)) > 1, 60, "what the form is answered with")
        assert driver.execute_script(loads)[1] == "opened", "it was loaded again while the form was under way"
        gate.bank.faults()
        until(lambda: payments(gate, order)[0]["status"] == "closed", 60, "the end of the close")


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
