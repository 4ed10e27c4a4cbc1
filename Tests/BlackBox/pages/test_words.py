"""What the checkout page says while nobody knows how a payment stands, and when it is rare."""

import re
import signal

import pytest

from support.browser import (
    NETWORK, browser, choose, find, kept_once, new_tab, payments, press, state, until_page, until_state)
from support.gate import running, web
from support.machine import until

pytestmark = pytest.mark.browser



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
