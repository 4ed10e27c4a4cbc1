"""The checkout page and impatient people: clicks, keys, reloads, tabs, devices."""

import pytest
from selenium.webdriver import ActionChains, Keys

from support.browser import (
    COUNTS, browser, choose, click, find, kept_once, new_tab, press, seen, state, until_page, until_state)
from support.machine import until

pytestmark = pytest.mark.browser


def test_fifty_clicks_in_one_tick(gate):
    order = gate.order(description="Jasmine tea")
    with browser(before=COUNTS) as driver:
        driver.get(order["checkout_url"])
        choose(driver, "ok")
        driver.execute_script("const b = document.querySelector('#pay button'); for (let n = 0; n < 50; n++) b.click();")
        until_state(driver, "paid")
        # Locked at once: not even a request was sent twice.
        assert driver.execute_script("return window.posts") == 1
    kept_once(gate, order)


def test_a_double_click(gate):
    order = gate.order()
    with browser(before=COUNTS) as driver:
        driver.get(order["checkout_url"])
        choose(driver, "slow")
        ActionChains(driver).double_click(find(driver, "#pay button")).perform()
        until_state(driver, "paid")
        assert driver.execute_script("return window.posts") == 1
    kept_once(gate, order)


def test_by_keyboard_alone(gate):
    order = gate.order()
    with browser() as driver:
        driver.get(order["checkout_url"])

        def focused():
            return driver.switch_to.active_element
        for _ in range(20):
            ActionChains(driver).send_keys(Keys.TAB).perform()
            if focused().get_attribute("name") == "method":
                break
        ActionChains(driver).send_keys(Keys.ARROW_DOWN).perform()
        assert focused().get_attribute("value") == "sandbox:declined"
        ActionChains(driver).send_keys(Keys.TAB, Keys.ENTER).perform()
        until_state(driver, "failed")
        # Whoever pressed a button that is gone stands at the headline, which a screen reader was told, too.
        until_page(lambda: focused().tag_name == "h1", what="the focus on the headline")
        assert find(driver, "#live").get_attribute("textContent").startswith("The bank declined\nYou were not charged.")
        until_page(lambda: find(driver, "#pay button").get_attribute("aria-disabled") == "false", what="an open form")
        ActionChains(driver).send_keys(Keys.TAB, Keys.ARROW_UP, Keys.TAB, Keys.ENTER).perform()
        until_state(driver, "paid")
    kept_once(gate, order, tries=2)


def test_a_reload_in_the_middle(gate):
    order = gate.order()
    with browser() as driver:
        driver.get(order["checkout_url"])
        choose(driver, "ok")
        gate.bank.faults(lose_request=1)
        press(driver)
        until(lambda: gate.now(order)["payment"], what="the payment")
        driver.refresh()
        until_state(driver, "confirming")
        assert "not pay again" in find(driver, "#state").text.lower()
        assert driver.find_elements("css selector", "#pay") == []
        gate.bank.faults()
        until_state(driver, "paid", seconds=40)
    kept_once(gate, order)


def test_back_and_forward(gate):
    order = gate.order()
    with browser() as driver:
        driver.get(order["checkout_url"])
        choose(driver, "action")
        press(driver)
        until(lambda: driver.current_url.startswith(gate.bank.url), what="the bank's page")
        driver.back()
        until_state(driver, "action")
        assert driver.find_elements("css selector", "#pay") == []
        driver.forward()
        click(driver, "button[value=pay]")
        until(lambda: driver.current_url.startswith(gate.url), what="the way back")
        until_state(driver, "paid")
        # What a bank's page puts into the way back proves nothing, and nothing is read from it.
        driver.get(order["checkout_url"] + "?status=failed&paid=0")
        assert state(driver) == "paid"
        for _ in range(3):
            driver.back()
        driver.forward()
        driver.get(order["checkout_url"])
        assert state(driver) == "paid"
    kept_once(gate, order)


# Tabs that do not hear of each other.
DEAF = "delete window.BroadcastChannel; addEventListener('storage', (event) => event.stopImmediatePropagation(), true);"


def test_two_tabs_both_press(gate):
    order = gate.order()
    with browser(before=COUNTS + DEAF) as driver:
        driver.get(order["checkout_url"])
        first = driver.current_window_handle
        # It is pressed while the other one is looked at and its payment runs, and while it still offers to pay.
        driver.execute_script("""
            const look = setInterval(() => {
              if (!localStorage.pressed) return;
              clearInterval(look);
              const button = document.querySelector('#pay button');
              localStorage.wasFree = button.getAttribute('aria-disabled') !== 'true';
              button.click();
            }, 300);""")
        new_tab(driver)
        second = driver.current_window_handle
        driver.get(order["checkout_url"])
        gate.bank.faults(lose_request=1)
        press(driver)
        until(lambda: gate.now(order)["payment"], what="the payment")
        driver.execute_script("localStorage.pressed = 1")
        until(lambda: driver.execute_script("return localStorage.wasFree") == "true", what="a press on a page that offers it")
        driver.execute_script("localStorage.removeItem('pressed')")
        driver.switch_to.window(first)
        # It asked before it submitted, and joined.
        until_state(driver, "confirming")
        gate.bank.faults()
        until_state(driver, "paid", seconds=40)
        assert driver.execute_script("return window.posts") == 0
        assert "another tab" in find(driver, "#state").text
        driver.switch_to.window(second)
        until_state(driver, "paid")
        assert "another tab" not in find(driver, "#state").text
    kept_once(gate, order)


def test_two_devices_press_at_once(gate):
    order = gate.order()
    with browser() as one, browser() as other:
        for driver in (one, other):
            driver.get(order["checkout_url"])
            choose(driver, "slow")
        for driver in (one, other):
            driver.execute_script("document.querySelector('#pay button')?.click()")
        for driver in (one, other):
            until_state(driver, "paid")
        told = [driver for driver in (one, other) if "another tab or on another device" in find(driver, "#state").text]
        assert len(told) == 1, "the one that did not start it says so"
    kept_once(gate, order)


def test_many_tabs_do_not_keep_each_other_out(gate):
    """A browser opens six connections to a host; tabs that nobody looks at must not hold them."""
    order = gate.order()
    with browser() as driver:
        driver.get(order["checkout_url"])
        for _ in range(8):
            new_tab(driver)
            driver.get(order["checkout_url"])
            until_state(driver, "ready")
        press(driver)
        until_state(driver, "paid")

        # The others follow nothing, and know it all the same: this one told them.
        def told():
            driver.said += driver.get_log("browser")
            return {it["page"] for it in seen(driver.said) if it.get("hidden") and "paid" in it["states"]}
        until(lambda: len(told()) == 8, what="what the hidden tabs show")
        driver.switch_to.window(driver.window_handles[3])
        until_state(driver, "paid")
    kept_once(gate, order)
