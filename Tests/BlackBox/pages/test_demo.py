"""The demo shop, as a visitor uses it."""

import re

import pytest
from selenium.webdriver.support.ui import Select

from support.browser import browser, choose, click, demo_order, find, press, texts, until_page
from support.gate import running, web
from support.machine import until

pytestmark = pytest.mark.browser


def order_tea(driver, gate):
    driver.get(gate.url + "/")
    find(driver, ".products button").click()
    until_page(lambda: "Nothing" in find(driver, "#kept").text, what="the bank's books")


def until_kept(driver, text, seconds=30):
    until_page(lambda: find(driver, "#kept").text == text, seconds, f"'{text}' in the bank's books")


def page_state(driver):
    driver.switch_to.frame("frame")
    try:
        return find(driver, "#checkout").get_attribute("data-state")
    finally:
        driver.switch_to.default_content()


def test_two_clicks_one_charge(gate):
    with browser(width=1280, height=1000) as driver:
        order_tea(driver, gate)
        find(driver, "#twice").click()
        until_kept(driver, "One charge: CN¥38.00")
        until_page(lambda: page_state(driver) == "paid", what="the page")
        # Counted where they happen.
        until_page(lambda: find(driver, "#outcome").text == "2 presses, 1 request, 1 charge", what="both presses")
        assert texts(driver, "#books li span") == ["Charge 1 · taken", "CN¥38.00"]
        # Two devices, two keys: the bank charged once all the same.
        find(driver, "#devices").click()
        until_page(lambda: "order_paid" in find(driver, "#outcome").text, what="the refusals")
        until_page(lambda: find(driver, "#prevented").text.endswith("refused: 2"), what="the count")
        until_kept(driver, "One charge: CN¥38.00")
        told = [it for it in texts(driver, "#timeline li span") if "obody knows" not in it]
        assert told[:4] == ["The shop registers the order", "Payment 1 is stored, then sent to the bank",
                            "The bank took the money", "The order is paid"]


def test_two_devices_at_once(gate):
    with browser(width=1280, height=1000) as driver:
        order_tea(driver, gate)
        find(driver, "#devices").click()
        outcome = until_page(lambda: find(driver, "#outcome").text, what="both answers")
        assert sorted(re.findall(r"20\d|409", outcome)) in (["201", "409"], ["202", "409"]), outcome
        until_kept(driver, "One charge: CN¥38.00")
        until_page(lambda: page_state(driver) == "paid", what="the page, which heard of it")


def test_a_bad_network_on_the_buyers_side(gate):
    with browser(width=1280, height=1000, lag=None) as driver:
        order_tea(driver, gate)
        network = Select(find(driver, "#buyer-network"))

        def offline():
            driver.switch_to.frame("frame")
            try:
                return find(driver, "#offline").is_displayed()
            finally:
                driver.switch_to.default_content()

        network.select_by_value("offline")
        until_page(offline, what="the word that the network is gone")
        find(driver, "#twice").click()
        network.select_by_value("loses-answers")
        # Back in touch, the click goes out; its answer is lost, and the page hears of the payment all the same.
        until_kept(driver, "One charge: CN¥38.00")
        until_page(lambda: page_state(driver) == "paid", what="the page")


def test_a_bad_network_on_the_banks_side(gate):
    with browser(width=1280, height=1000) as driver:
        order_tea(driver, gate)
        network = Select(find(driver, "#bank-network"))
        network.select_by_value("gone")
        until(lambda: web.get(f"{gate.bank.url}/faults").json()["lose_request"] == 1, what="the bad network")
        find(driver, "#twice").click()
        until_page(lambda: "nobody knows" in find(driver, "#timeline").text, 30, "the doubt")
        until_page(lambda: page_state(driver) == "confirming", what="the page")
        assert find(driver, "#kept").text == "Nothing"
        # What somebody sets by hand is not called by another name.
        driver.execute_script("document.activeElement.blur()")
        gate.bank.faults(lose_response=0.1)
        until_page(lambda: network.first_selected_option.text == "as somebody set it by hand", what="its name")
        network.select_by_value("good")
        until_kept(driver, "One charge: CN¥38.00", 40)


def test_at_the_bank_inside_the_buyers_screen(gate):
    with browser(width=1280, height=1000) as driver:
        order_tea(driver, gate)
        driver.switch_to.frame("frame")
        choose(driver, "action")
        press(driver)
        click(driver, "#continue")
        click(driver, "button[value=pay]")
        until_page(lambda: find(driver, "#checkout").get_attribute("data-state") == "paid", what="the payment")
        # The way back to the shop leads to the shop, which the buyer's screen shows.
        click(driver, "#return")
        driver.switch_to.default_content()
        until_page(lambda: in_frame(driver, "h1") == "Thank you!", what="the shop")
        assert re.fullmatch(r"Order demo-\w+ is paid\.", in_frame(driver, "#back > p"))
        until_kept(driver, "One charge: CN¥38.00")
        find(driver, "#twice").click()
        assert "nothing to press" in find(driver, "#outcome").text
        driver.switch_to.frame("frame")
        click(driver, "#again")
        until_page(lambda: find(driver, "#checkout").get_attribute("data-state") == "paid", what="the page")


def in_frame(driver, selector):
    driver.switch_to.frame("frame")
    try:
        return find(driver, selector).text
    finally:
        driver.switch_to.default_content()


def test_back_to_the_shop_without_a_payment(gate):
    with browser(width=1280, height=1000) as driver:
        order_tea(driver, gate)
        driver.switch_to.frame("frame")
        click(driver, "#return")
        driver.switch_to.default_content()
        until_page(lambda: in_frame(driver, "h1") == "It waits for you", what="the shop")
        driver.switch_to.frame("frame")
        click(driver, "#again")
        press(driver)
        driver.switch_to.default_content()
        until_kept(driver, "One charge: CN¥38.00")


@pytest.mark.parametrize("language", ["en", "zh-CN"])
@pytest.mark.parametrize("width,height", [(1280, 800), (390, 844)])
def test_the_button_is_seen_without_scrolling(gate, language, width, height):
    """Also where the browser's own bars take a part of a phone's screen."""
    with browser(language=language) as driver:
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height - 100 * (width < 400), "deviceScaleFactor": 1, "mobile": width < 400})
        path, _ = demo_order(gate)
        driver.get(gate.url + path)
        until_page(lambda: page_state(driver) == "ready", what="the page in the frame")
        frame, seen = driver.execute_script("""
            const frame = document.getElementById('frame');
            return [frame.getBoundingClientRect().top + frame.clientTop, Math.min(innerHeight, frame.getBoundingClientRect().bottom)]""")
        driver.switch_to.frame("frame")
        button = driver.execute_script("return document.querySelector('#pay button').getBoundingClientRect().bottom")
        assert button + frame <= seen, (button, frame, seen)
        shown = [it for it in driver.find_elements("css selector", ".choice") if it.is_displayed()]
        assert len(shown) == 4
        find(driver, "summary").click()
        # A way that was chosen among the others is still seen when it is offered again.
        choose(driver, "slow")
        driver.execute_script("document.querySelector('.choice:has(:checked)').scrollIntoView()")
        until_page(lambda: len([it for it in driver.find_elements("css selector", ".choice") if it.is_displayed()]) == 7,
                   what="all ways")


def test_a_request_that_is_sent_again_is_one_request(gate):
    with browser(width=1280, height=1000, lag=None) as driver:
        order_tea(driver, gate)
        Select(find(driver, "#buyer-network")).select_by_value("loses-answers")
        find(driver, "#twice").click()
        until_page(lambda: re.fullmatch(r"2 presses, 1 request \(sent \d+ times\), 1 charge", find(driver, "#outcome").text),
                   30, "the count")


def test_a_deadline_and_a_page_of_its_own(gate):
    with browser(width=1280, height=1000) as driver:
        order_tea(driver, gate)
        first = driver.current_url
        find(driver, "#short").click()
        until_page(lambda: driver.current_url != first and page_state(driver) == "ready", what="the new order")
        until_page(lambda: page_state(driver) == "closed", 40, "the end of its time")
        until_page(lambda: "The order is closed" in find(driver, "#timeline").text, what="the timeline")
        path, _ = demo_order(gate)
        driver.get(f"{gate.url}{path}/own")
        until_page(lambda: find(driver, "#ways button"), what="the ways to pay").click()
        until_page(lambda: find(driver, "#say").text == "Paid. Thank you!", what="the payment")
        # Without an answer from the bank it says nothing.
        assert until(lambda: web.get(f"{gate.url}{path}/live").json()["kept"]) == "One charge: CN¥38.00"
        source = web.get(f"{gate.url}{path}/own/source").text
        assert "payonce.js" in source and source.count("\n") < 30


def test_the_demo_refuses_what_it_does_not_know(gate):
    own, stranger = {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "cross-site"}
    for path, form in (("/demo/orders", {"product": "car"}), ("/demo/network", {"network": "bad"})):
        problem = web.post(gate.url + path, data=form, headers=own).json()
        assert problem["code"] == "invalid_request" and "There is no such" in problem["detail"]
    assert web.post(f"{gate.url}/demo/orders", data={"product": "tea"}, headers=stranger).status_code == 400
    assert web.get(f"{gate.url}/demo/orders/nothing").status_code == 404


def test_the_network_is_broken_from_the_demos_own_pages_alone(gate):
    def answer(**headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.post(f"{gate.url}/demo/network", data={"network": "good"}, headers=headers).status_code

    assert answer(Sec_Fetch_Site="same-origin") == 204
    # Where a browser does not say it, as on an address without TLS, it names the origin.
    assert answer(Origin=gate.url) == 204 and answer(Origin="http://localhost", Host=f"localhost:{gate.port}") == 204
    for headers in ({}, {"Sec_Fetch_Site": "none"}, {"Sec_Fetch_Site": "same-site"}, {"Origin": "null"},
                    {"Origin": "http://evil.example"}, {"Sec_Fetch_Site": "cross-site", "Origin": gate.url}):
        assert answer(**headers) == 400, headers


def test_the_demo_is_under_its_own_name_alone(gate):
    """Another site's name that leads to this machine (DNS rebinding) finds no demo; the gate itself has many names."""
    for host, status in [(f"127.0.0.1:{gate.port}", 200), ("localhost", 200), (f"[::1]:{gate.port}", 200), ("10.1.2.3", 200),
                         (f"evil.example:{gate.port}", 404), ("127.0.0.1.evil.example", 404), ("localhost.evil.example", 404),
                         ("1.2.3", 404), ("127.0.0.1@evil.example", 400), ("evil.example:x", 404)]:
        assert web.get(f"{gate.url}/demo", headers={"Host": host}).status_code == status, host
    # Slashes too many are none to the router.
    for method, path in [("GET", "/"), ("GET", "/demo/demo.js"), ("POST", "/demo/orders"), ("POST", "/demo/network"),
                         ("GET", "//demo"), ("POST", "//demo//orders/"), ("POST", "/demo/network/")]:
        answer = web.request(method, gate.url + path, headers={"Host": "evil.example"})
        assert answer.status_code == 404 and gate.url in answer.json()["detail"]
    assert web.get(f"{gate.url}/healthz", headers={"Host": "evil.example"}).status_code == 200


def test_the_demo_does_not_fill_the_disk(tmp_path):
    with running(tmp_path) as house:
        answers = [web.post(f"{house.url}/demo/orders", data={"product": "tea"}) for _ in range(100)]
    taken = [answer for answer in answers if answer.status_code == 303]
    refused = [answer for answer in answers if answer.status_code == 429]
    # One or two more where this machine takes its time.
    assert 60 <= len(taken) <= 65 and len(taken) + len(refused) == 100
    assert "The demo is busy" in refused[0].text and 1 <= int(refused[0].headers["retry-after"]) <= 11
