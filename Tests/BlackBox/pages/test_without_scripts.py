"""The checkout page in a browser without scripts."""

import pytest

from support.browser import browser, choose, click, find, kept_once, payments, press, state, until_state
from support.gate import web
from support.machine import until

pytestmark = pytest.mark.browser



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
