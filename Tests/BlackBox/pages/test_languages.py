"""The checkout page: languages, narrow screens, and how money is written."""

import re

import pytest

from support.browser import browser, choose, find, new_tab, press, until_page, until_state
from support.gate import web

pytestmark = pytest.mark.browser



def test_languages(gate):
    order = gate.order()
    with browser(language="zh-CN") as driver:
        driver.get(order["checkout_url"])
        assert find(driver, "html").get_attribute("lang") == "zh-CN"
        assert "支付" in find(driver, "#pay").text
        until_page(lambda: re.search(r"剩余 1[45]:\d\d", find(driver, "#deadline").text), what="the time left")
        find(driver, "footer a").click()
        until_page(lambda: find(driver, "html").get_attribute("lang") == "en", what="English")
        assert "Pay" in find(driver, "#pay button").text
        # The choice lasts, also on the way to the bank and back.
        driver.get(order["checkout_url"])
        assert find(driver, "html").get_attribute("lang") == "en"


def test_a_language_chosen_in_another_tab(gate):
    """A page that is open stays whole in its own language."""
    order = gate.order()
    with browser() as driver:
        driver.get(order["checkout_url"])
        until_state(driver, "ready")
        first = driver.current_window_handle
        new_tab(driver)
        driver.get(order["checkout_url"] + "?lang=zh")
        choose(driver, "declined")
        press(driver)
        until_state(driver, "failed")
        assert find(driver, "h1").text == "银行拒绝了付款"
        # It is left before the order is paid, so that the last script to ask for anything is that of the other tab.
        driver.get("about:blank")
        driver.switch_to.window(first)
        gate.pay(order)
        until_state(driver, "paid")
        assert find(driver, "h1").text.startswith("Paid") and find(driver, "html").get_attribute("lang") == "en"
        # What its script asked for has not undone the choice.
        driver.refresh()
        assert find(driver, "html").get_attribute("lang") == "zh-CN"


def lines(driver, selector):
    """On how many lines the text of an element stands."""
    return driver.execute_script("""
        const range = document.createRange();
        range.selectNodeContents(document.querySelector(arguments[0]));
        return new Set([...range.getClientRects()].map((it) => Math.round(it.top))).size;""", selector)


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_a_narrow_screen_and_a_shop_that_writes_from_right_to_left(gate, language):
    """Its name turns nothing around it, numbers do not break, and the other language's name stands on one line."""
    key = gate.new_key("متجر الشاي (2024)")
    orders = [
        gate.call("POST", "/v1/orders", key=key, json={
            "reference": f"rtl-{language}-{currency}", "amount": amount, "currency": currency,
            "description": "شاي 100 (abc"}).json()
        for currency, amount in (("IDR", 999_999_999_999), ("KWD", 999_999_999_999), ("JPY", 999_999_999_999), ("CNY", 3800))]
    with browser(language=language, lag=None) as driver:
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": 320, "height": 640, "deviceScaleFactor": 2, "mobile": True})
        for order in orders:
            driver.get(order["checkout_url"])
            until_state(driver, "ready")
            assert driver.execute_script("return document.documentElement.scrollWidth") == 320
            assert lines(driver, ".amount") == lines(driver, "footer a") == 1
            assert driver.execute_script("""
                const number = document.querySelector('.amount');
                return number.scrollWidth <= number.clientWidth;"""), order["currency"]
            lefts = driver.execute_script("""
                return ['.shop bdi', '.amount', '.description bdi', '.state h1'].map(
                  (it) => document.querySelector(it).getBoundingClientRect().left)""")
            assert max(lefts) - min(lefts) < 2, lefts
            for selector in (".shop bdi", ".description bdi"):
                assert find(driver, selector).value_of_css_property("unicode-bidi") == "isolate"
            assert driver.title.endswith("\u2068متجر الشاي (2024)\u2069")


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_amounts_are_written_as_the_browser_itself_writes_them(gate, language):
    """Chromium brings Unicode's own data on how people of a language write money."""
    digits = {"JPY": 0, "KRW": 0, "VND": 0, "CLP": 0, "KWD": 3, "BHD": 3}
    codes = ["CNY", "JPY", "KWD", "USD", "EUR", "GBP", "HKD", "TWD", "KRW", "INR", "AUD", "BRL", "CAD", "ILS", "MXN",
             "NZD", "VND", "CLP", "BHD", "CHF", "THB", "SGD"]
    with browser(language=language) as driver:
        for code in codes:
            page = web.get(gate.order(currency=code, amount=1234567)["checkout_url"], headers={"Accept-Language": language})
            shown = re.search(r'class="amount">([^<]+)<', page.text)[1]
            places = digits.get(code, 2)
            expected = driver.execute_script(
                "return new Intl.NumberFormat(arguments[0], { style: 'currency', currency: arguments[1],"
                " minimumFractionDigits: arguments[2], maximumFractionDigits: arguments[2] }).format(arguments[3])",
                language, code, places, 1234567 / 10 ** places)
            assert shown == expected
