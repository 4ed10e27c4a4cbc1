"""The way back from a bank to the checkout page, and from there to the shop."""

import base64
import html
import http.server
import re
import threading
import time

import pytest

from support.browser import browser, choose, click, find, kept_once, payments, press, until_page, until_state
from support.gate import running, web
from support.machine import until

pytestmark = pytest.mark.browser



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
        payment = payments(gate, order)[0]["number"]
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
        bank.back = f"{gate.url}/return/{payment['number']}"
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
        driver.get(f"{gate.url}/return/{payment['number']}?status=paid&lang=en")
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
        answer = web.get(f"{gate.url}/return/{payment['number']}", headers={"Cookie": f"payonce_back={token}"})
        assert answer.status_code == 200 and "Paid" in answer.text and secret not in answer.text
    for unknown, words in ((payment["number"][:-2] + "99", "do not pay again"), ("p_x", "no such order")):
        answer = web.get(f"{gate.url}/return/{unknown}")
        assert answer.status_code == 404 and words in answer.text
    assert web.post(f"{gate.url}/return/p_x").status_code == 404

    declined = gate.order(cancel_url="https://shop.example/cart")
    number = gate.pay(declined, method="declined").json()["number"]
    page = web.get(f"{gate.url}/return/{number}").text
    assert "The bank declined" in page and "go back to the page on which you began" in page
    assert "https://shop.example/cart?reference=" in page
    doubtful = gate.order(return_url="https://shop.example/thanks")
    gate.bank.faults(lose_request=1)
    number = gate.pay(doubtful, wait=0).json()["number"]
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
        payment = payments(gate, order)[0]["number"]
        assert answer.status_code == 303 and answer.headers["location"].endswith(f"?back=https://pay.example/return/{payment}")
        cookie = answer.headers["set-cookie"].split("; ")
        assert cookie[0] == f"payonce_back={order['checkout_url'].rsplit('/', 1)[1]}"
        assert {"Secure", "HttpOnly", "SameSite=Lax", f"Path=/return/{payment}"} <= set(cookie)
