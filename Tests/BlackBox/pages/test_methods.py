"""The checkout page: other methods, deadlines, scans, and money that goes back."""

import re

import pytest
import zxingcpp
from PIL import Image

from support.browser import (
    NETWORK, browser, choose, click, demo_order, find, kept_once, payments, press, state, until_page, until_state)
from support.gate import web
from support.machine import until

pytestmark = pytest.mark.browser



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


def test_a_choice_outlives_a_decline(gate):
    """The form is gone while a payment runs. Who wants to try once more does not choose once more."""
    order = gate.order()
    chosen = "return document.querySelector('[name=method]:checked')?.value"
    with browser() as driver:
        driver.get(order["checkout_url"])
        first = driver.execute_script(chosen)
        choose(driver, "declined")
        press(driver)
        until_state(driver, "failed")
        until_page(lambda: driver.execute_script(chosen) == "sandbox:declined", what="what was chosen before")
        assert first != "sandbox:declined", "the server would have chosen it by itself"
    assert len(payments(gate, order)) == 1


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
