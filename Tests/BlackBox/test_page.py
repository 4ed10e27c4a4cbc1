"""The checkout page in a real browser, with scripts and without."""

import os
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from conftest import running, until

# Where the pictures go, to be looked at: `make pictures` names a folder.
PICTURES = os.environ.get("PAYONCE_PICTURES")


@contextmanager
def browser(scripts=True, language="en", dark=False, width=420):
    options = webdriver.ChromeOptions()
    for argument in ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu",
                     f"--lang={language}", f"--window-size={width},860"]:
        options.add_argument(argument)
    preferences = {"intl.accept_languages": language}
    if not scripts:
        preferences["profile.managed_default_content_settings.javascript"] = 2
    options.add_experimental_option("prefs", preferences)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    driver.set_page_load_timeout(30)
    if dark:
        feature = {"name": "prefers-color-scheme", "value": "dark"}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    try:
        yield driver
        # Nothing on the page broke, and nothing was loaded from elsewhere or against its policy. An answer that the
        # network or the server did not give is part of some tests.
        wrong = [e["message"] for e in driver.get_log("browser")
                 if e["level"] == "SEVERE" and "Failed to load resource" not in e["message"]]
        assert wrong == []
    finally:
        driver.quit()


def find(driver, selector):
    return driver.find_element(By.CSS_SELECTOR, selector)


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


def picture(driver, name):
    if PICTURES:
        Path(PICTURES).mkdir(parents=True, exist_ok=True)
        height = driver.execute_script("return document.documentElement.scrollHeight")
        driver.set_window_size(driver.get_window_size()["width"], max(height + 140, 600))
        driver.save_screenshot(f"{PICTURES}/{name}.png")


def test_fifty_clicks_in_one_tick(gate):
    order = gate.order(description="Jasmine tea")
    with browser() as driver:
        driver.get(order["checkout_url"])
        choose(driver, "ok")
        driver.execute_script("const b = document.querySelector('#pay button'); for (let n = 0; n < 50; n++) b.click();")
        until_state(driver, "paid")
    assert len(gate.get(f"/v1/orders/{order['id']}/payments")["data"]) == 1
    assert len(gate.bank.taken(order)) == 1
    # Locked at once: not even a request was sent twice.
    assert gate.now(order)["duplicates_prevented"] == 0


def test_a_reload_in_the_middle(gate):
    order = gate.order()
    with browser() as driver:
        driver.get(order["checkout_url"])
        choose(driver, "slow")
        press(driver)
        until(lambda: gate.now(order)["payment"], what="the payment")
        driver.refresh()
        until_state(driver, "confirming")
        assert "not pay again" in find(driver, "#state").text.lower()
        assert driver.find_elements(By.CSS_SELECTOR, "#pay") == []
        until_state(driver, "paid")
    assert len(gate.bank.taken(order)) == 1


def test_two_tabs_and_the_back_button(gate):
    order = gate.order()
    with browser() as driver:
        driver.get(order["checkout_url"])
        first = driver.current_window_handle
        driver.switch_to.new_window("tab")
        driver.get(order["checkout_url"])
        choose(driver, "ok")
        press(driver)
        until_state(driver, "paid")
        # The other tab hears of it by itself.
        driver.switch_to.window(first)
        until_state(driver, "paid")
        driver.get("about:blank")
        driver.back()
        until_state(driver, "paid")
    assert len(gate.bank.taken(order)) == 1


def test_two_devices_press_at_once(gate):
    order = gate.order()
    with browser() as one, browser() as other:
        for driver in (one, other):
            driver.get(order["checkout_url"])
            choose(driver, "ok")
        for driver in (one, other):
            driver.execute_script("document.querySelector('#pay button').click()")
        for driver in (one, other):
            until_state(driver, "paid")
    assert len(gate.bank.taken(order)) == 1


def test_the_lost_answer_is_never_called_a_failure(gate):
    order = gate.order()
    with browser() as driver:
        driver.get(order["checkout_url"])
        choose(driver, "lost")
        press(driver)
        seen = set()

        def paid():
            seen.add(state(driver))
            return "paid" in seen
        until_page(paid, 40, "the payment")
        assert seen <= {"ready", "confirming", "paid"}
    assert len(gate.bank.taken(order)) == 1


def test_at_the_bank_and_back(gate):
    order = gate.order()
    with browser() as driver:
        driver.get(order["checkout_url"])
        choose(driver, "action")
        press(driver)
        until(lambda: driver.current_url.startswith(gate.bank.url), what="the bank's page")
        find(driver, "button[value=pay]").click()
        until(lambda: gate.now(order)["status"] == "paid", what="the payment")
        driver.get(order["checkout_url"])
        until_state(driver, "paid")


def test_what_the_page_says_is_true(gate):
    """Texts of states that are rare: each is said as it is, in words of its own."""
    def text(order, **arguments):
        return httpx.get(order["checkout_url"], **arguments).text

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


def test_the_tab_that_did_not_start_it_says_so(gate):
    order = gate.order()
    with browser() as driver:
        driver.get(order["checkout_url"])
        gate.pay(order)
        until_state(driver, "paid")
        assert "another tab or on another device" in find(driver, "#elsewhere").text
    own = gate.order()
    with browser() as driver:
        driver.get(own["checkout_url"])
        press(driver)
        until_state(driver, "paid")
        assert not find(driver, "#elsewhere").is_displayed()


def test_many_tabs_do_not_keep_each_other_out(gate):
    """A browser opens six connections to a host; tabs that nobody looks at must not hold them."""
    order = gate.order()
    with browser() as driver:
        driver.get(order["checkout_url"])
        for _ in range(8):
            driver.switch_to.new_window("tab")
            driver.get(order["checkout_url"])
            until_state(driver, "ready")
        press(driver)
        until_state(driver, "paid")
        driver.switch_to.window(driver.window_handles[0])
        until_state(driver, "paid")
    assert len(gate.bank.taken(order)) == 1


def test_without_event_streams(gate):
    order = gate.order()
    with browser() as driver:
        source = "delete window.EventSource"
        driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": source})
        driver.get(order["checkout_url"])
        payment = gate.pay(order, method="action").json()
        until_state(driver, "action")
        gate.bank.cashier(payment, "pay")
        until_state(driver, "paid")


def test_the_server_goes_away_in_the_middle(tmp_path):
    with running(tmp_path) as gate, browser() as driver:
        order = gate.order()
        driver.get(order["checkout_url"])
        choose(driver, "slow")
        press(driver)
        until(lambda: gate.now(order)["payment"], what="the payment")
        gate.process.kill()
        until_page(lambda: find(driver, "#offline").is_displayed(), 40, "the word that it cannot be reached")
        assert "do not pay again" in find(driver, "#state").text.lower()
        gate.start()
        until_state(driver, "paid", seconds=60)
        assert len(gate.bank.taken(order)) == 1


def test_another_method_after_a_decline_and_after_a_change_of_mind(gate):
    order = gate.order()
    with browser() as driver:
        driver.get(order["checkout_url"])
        choose(driver, "declined")
        press(driver)
        until_page(lambda: "declined" in find(driver, "#state").text.lower(), what="the decline")
        # The next try is another request, also after a reload.
        driver.refresh()
        choose(driver, "action")
        press(driver)
        until(lambda: driver.current_url.startswith(gate.bank.url), what="the bank's page")
        driver.get(order["checkout_url"])
        until_state(driver, "action")
        find(driver, "#close button").click()
        until_state(driver, "ready")
        choose(driver, "ok")
        press(driver)
        until_state(driver, "paid")
    assert [p["status"] for p in gate.get(f"/v1/orders/{order['id']}/payments")["data"]] == [
        "failed", "closed", "succeeded"]
    assert len(gate.bank.taken(order)) == 1


def test_offline_at_the_moment_of_the_click(gate):
    order = gate.order()
    with browser() as driver:
        driver.get(order["checkout_url"])
        choose(driver, "ok")
        network = {"latency": 0, "download_throughput": -1, "upload_throughput": -1}
        driver.set_network_conditions(offline=True, **network)
        press(driver)
        until_page(lambda: find(driver, "#offline").is_displayed(), what="the word that the network is gone")
        assert gate.get(f"/v1/orders/{order['id']}/payments")["data"] == []
        driver.set_network_conditions(offline=False, **network)
        until_state(driver, "paid", seconds=40)
    assert len(gate.bank.taken(order)) == 1


def test_storage_blocked(gate):
    order = gate.order()
    with browser() as driver:
        source = "Object.defineProperty(window, 'sessionStorage', { get() { throw new DOMException('no') } })"
        driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": source})
        driver.get(order["checkout_url"])
        choose(driver, "ok")
        press(driver)
        until_state(driver, "paid")
    assert len(gate.bank.taken(order)) == 1


def test_without_scripts(gate):
    order = gate.order()
    with browser(scripts=False) as driver:
        driver.get(order["checkout_url"])
        choose(driver, "ok")
        press(driver)
        until_state(driver, "paid")
        driver.back()
        driver.get(order["checkout_url"])
        assert state(driver) == "paid"
    assert len(gate.bank.taken(order)) == 1


def test_without_scripts_at_the_bank_and_back(gate):
    """The page that the bank sends the buyer back to finds out by itself."""
    gate.bank.faults(lose_notice=1)
    order = gate.order()
    with browser(scripts=False) as driver:
        driver.get(order["checkout_url"])
        choose(driver, "action")
        press(driver)
        until(lambda: driver.current_url.startswith(gate.bank.url), what="the bank's page")
        find(driver, "button[value=pay]").click()
        until(lambda: driver.current_url.startswith(gate.url), what="the way back")
        until_state(driver, "paid", seconds=30)


def test_without_scripts_the_same_form_twice(gate):
    order = gate.order()
    with browser(scripts=False) as driver:
        driver.get(order["checkout_url"])
        form = {"idempotency_key": find(driver, "[name=idempotency_key]").get_attribute("value")}
        for _ in range(2):
            answer = gate.call("POST", order["checkout_url"].removeprefix(gate.url) + "/payments",
                               data={**form, "method": "sandbox:ok"})
            assert answer.status_code == 303
        driver.refresh()
        assert state(driver) == "paid"
    assert len(gate.get(f"/v1/orders/{order['id']}/payments")["data"]) == 1


def test_languages(gate):
    order = gate.order()
    with browser(language="zh-CN") as driver:
        driver.get(order["checkout_url"])
        assert find(driver, "html").get_attribute("lang") == "zh-CN"
        assert "支付" in find(driver, "#pay").text
        find(driver, "footer a").click()
        until_page(lambda: find(driver, "html").get_attribute("lang") == "en", what="English")
        assert "Pay" in find(driver, "#pay button").text
        # The choice lasts, also on the way to the bank and back.
        driver.get(order["checkout_url"])
        assert find(driver, "html").get_attribute("lang") == "en"


def test_a_narrow_phone_needs_no_sideways_scrolling(gate):
    order = gate.order(description="A very long description of a very long product name, " * 3)
    with browser() as driver:
        metrics = {"width": 320, "height": 640, "deviceScaleFactor": 2, "mobile": True}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        driver.get(order["checkout_url"])
        assert driver.execute_script("return document.documentElement.scrollWidth") <= 320


@pytest.mark.skipif(not PICTURES, reason="PAYONCE_PICTURES names no folder")
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_pictures(gate, language, dark):
    name = f"{language[:2]}-{'dark' if dark else 'light'}"
    with browser(language=language, dark=dark) as driver:
        order = gate.order(description="Jasmine tea, 100 g" if language == "en" else "茉莉花茶 100 克")
        driver.get(order["checkout_url"])
        picture(driver, f"{name}-ready")
        gate.pay(order, method="slow", wait=0)
        until_state(driver, "confirming")
        picture(driver, f"{name}-confirming")
        until_state(driver, "paid")
        picture(driver, f"{name}-paid")
        order = gate.order()
        gate.pay(order, method="declined")
        driver.get(order["checkout_url"])
        picture(driver, f"{name}-declined")
        gate.pay(order, method="action")
        driver.get(order["checkout_url"])
        picture(driver, f"{name}-action")
        gate.call("POST", f"/v1/orders/{order['id']}/close")
        until_state(driver, "closed")
        picture(driver, f"{name}-closed")
        driver.get(gate.url + "/checkout/ck_x")
        picture(driver, f"{name}-missing")
        driver.set_window_size(900, 800)
        driver.get(gate.url + "/demo")
        picture(driver, f"{name}-demo")


@pytest.mark.skipif(not PICTURES, reason="PAYONCE_PICTURES names no folder")
def test_the_picture_of_the_readme(gate):
    """Three moments of the page, side by side."""
    order = gate.order(description="Jasmine tea, 100 g")
    with browser(width=440) as driver:
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": 440, "height": 880, "deviceScaleFactor": 1, "mobile": True})
        driver.get(order["checkout_url"])
        driver.save_screenshot(f"{PICTURES}/1.png")
        gate.bank.faults(seed=1, lose_response=1, lose_notice=1)
        gate.pay(order, method="ok", wait=0)
        until(lambda: gate.now(order)["payment"]["unknown_since"], what="the doubt")
        driver.get(order["checkout_url"])
        until_state(driver, "confirming")
        driver.save_screenshot(f"{PICTURES}/2.png")
        gate.bank.faults()
        until_state(driver, "paid")
        driver.save_screenshot(f"{PICTURES}/3.png")
        page = Path(PICTURES) / "checkout.html"
        images = "".join(f"<img src='{n}.png'>" for n in (1, 2, 3))
        page.write_text(f"<body style='margin:0;display:flex'>{images}</body>")
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": 1320, "height": 880, "deviceScaleFactor": 1, "mobile": False})
        driver.get(page.as_uri())
        driver.save_screenshot(f"{PICTURES}/checkout.png")
