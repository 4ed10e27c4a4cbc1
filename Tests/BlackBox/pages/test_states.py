"""Every page that a buyer can meet, in both languages, light and dark: looked at by rules, and kept as a picture.

The pictures go to the folder that PAYONCE_PICTURES names, else to `payonce-pictures` among the temporary files.
"""

import os
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from support.browser import browser, choose, demo_order, find, press, state, until_page, until_state
from support.gate import running
from support.machine import PROGRAM, until

pytestmark = pytest.mark.browser
PICTURES = Path(os.environ.get("PAYONCE_PICTURES") or Path(tempfile.gettempdir()) / "payonce-pictures")

# The rules of Deque's axe-core. Its package is meant for another driver; what is used of it is the engine alone.
AXE = (Path(find_spec("axe_playwright_python").origin).parent / "axe.min.js").read_text()
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

# How far what was already shown moved by itself, by the Layout Instability API; below 0.1 is "good" in web vitals.
SHIFTS = """
window.shift = 0;
new PerformanceObserver((list) => { for (const it of list.getEntries()) window.shift += it.value; })
  .observe({ type: 'layout-shift', buffered: true });
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A page in each state, by name."""
    with running(tmp_path_factory.mktemp("states")) as gate, running(tmp_path_factory.mktemp("doubt")) as doubtful:
        set_mark(doubtful, tmp_path_factory.mktemp("mark") / "mark.png")
        _, expired = demo_order(gate, deadline="short")
        demo, _ = demo_order(gate)
        yield gate, {
            **settled(gate), **in_doubt(doubtful), "expired": expired, "missing": gate.url + "/checkout/ck_x",
            "demo-shop": gate.url + "/demo", "demo-order": gate.url + demo,
        }


def set_mark(gate, file):
    """A cup of tea, seen from above."""
    picture = Image.new("RGBA", (320, 96))
    drawing = ImageDraw.Draw(picture)
    for margin, colour in (0, "#7a4a2b"), (10, "#fffffb"), (18, "#b5651d"):
        drawing.ellipse((margin, margin, 95 - margin, 95 - margin), fill=colour)
    picture.save(file)
    set_it = ["merchants", "set", "--merchant", "shop", "--mark", str(file), "--store", gate.store]
    subprocess.run([str(PROGRAM), *set_it], check=True, timeout=60)


def order(gate, *methods, **fields):
    made = gate.order(description="Jasmine tea 茉莉花茶, 100 g", return_url="https://shop.example/", **fields)
    for method in methods:
        gate.pay(made, method=method)
    return made


def refund(gate, order, amounts, wait=20):
    payment = gate.now(order)["payment"]["id"]
    for amount in amounts:
        headers = {"Idempotency-Key": f"r-{amount}", "Prefer": f"wait={wait}"}
        answer = gate.call("POST", f"/v1/payments/{payment}/refunds", json={"amount": amount}, headers=headers)
        assert answer.json()["status"] in ("succeeded", "processing"), answer.text


def settled(gate):
    orders = {
        "ready": order(gate), "declined": order(gate, "declined"), "declined-again": order(gate, "declined", "declined"),
        "action": order(gate, "action"), "code": order(gate, "qr"), "paid": order(gate, "ok"),
        "yen": order(gate, currency="JPY"), "dinar": order(gate, currency="KWD"), "cancelled": order(gate),
        "wide": order(gate, currency="IDR", amount=999_999_999_999),
    }
    gate.call("POST", f"/v1/orders/{orders['cancelled']['id']}/close")
    for name, amounts in {"refunded": [1999], "partly-refunded": [100, 200, 300]}.items():
        orders[name] = order(gate, "ok")
        refund(gate, orders[name], amounts)
    gate.bank.faults(wrong_amount=1)
    orders["wrong-amount-returned"] = order(gate, "ok")
    gate.bank.faults()
    # Its money comes two seconds after the close; a machine that stands still for so long has it pay the order.
    for _ in range(4):
        late = orders["second-payment-returned"] = order(gate, "late")
        gate.call("POST", f"/v1/payments/{gate.now(late)['payment']['id']}/close")
        if gate.pay(late).json()["status"] == "succeeded":
            break
    until(lambda: gate.bank.returned(late) and gate.bank.returned(orders["wrong-amount-returned"]), 40, "the returns")
    urls = {name: made["checkout_url"] for name, made in orders.items()}
    return {**urls, "paid-elsewhere": urls["paid"] + "#elsewhere", "held": urls["ready"] + "#held",
            "started-elsewhere": urls["action"] + "#elsewhere",
            "return-paid": back(gate, orders["paid"]), "return-action": back(gate, orders["action"]),
            "return-declined": back(gate, orders["declined"])}


def back(gate, order):
    """What is shown to another browser than the one that went to the provider."""
    return f"{gate.url}/return/{gate.get('/v1/orders/' + order['id'] + '/payments')['data'][0]['number']}"


def in_doubt(gate):
    """At a bank that takes every request and from now on says nothing more."""
    orders = {"confirming": order(gate), "ending": order(gate, "action"), "closing": order(gate, "action"),
              "being-refunded": order(gate, "ok")}
    gate.bank.faults(lose_response=1, lose_notice=1)
    gate.pay(orders["confirming"], wait=0)
    refund(gate, orders["being-refunded"], [1999], wait=0)
    for asked in (f"payments/{gate.now(orders['ending'])['payment']['id']}", f"orders/{orders['closing']['id']}"):
        gate.call("POST", f"/v1/{asked}/close", headers={"Prefer": "wait=0"})
    until(lambda: gate.now(orders["confirming"])["payment"]["unknown_since"], 20, "the doubt")
    return {name: made["checkout_url"] for name, made in orders.items()}


EXPECTED = {
    "ready": "ready", "declined": "failed", "declined-again": "failed", "action": "action", "code": "action",
    "paid": "paid", "yen": "ready", "wide": "ready", "dinar": "ready", "second-payment-returned": "paid",
    "wrong-amount-returned": None, "refunded": "refunded", "partly-refunded": "refunded", "being-refunded": "refunded",
    "cancelled": "closed", "confirming": "confirming", "ending": "confirming", "closing": "confirming",
    "expired": "closed", "paid-elsewhere": "paid", "started-elsewhere": "action", "held": "ready",
}


@pytest.mark.parametrize("language,dark", [("en", False), ("en", True), ("zh-CN", False), ("zh-CN", True)])
def test_every_state(pages, language, dark):
    gate, urls = pages
    folder = PICTURES / f"{language[:2]}-{'dark' if dark else 'light'}"
    folder.mkdir(parents=True, exist_ok=True)
    # The rules say of every page once in each language and once in each scheme what is wrong with it.
    is_ruled = (language == "en") != dark
    wrong, heads = {}, {}
    with browser(language=language, dark=dark, before=SHIFTS, lag=None) as driver:
        for name, url in urls.items():
            width = 1280 if name.startswith("demo") else 420
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
                "width": width, "height": 860, "deviceScaleFactor": 1, "mobile": False})
            if "#" in url:  # As if a form had just been sent.
                driver.execute_cdp_cmd("Network.setCookie", {"name": "payonce_said", "url": url, "value": url.split("#")[1],
                                                             "path": "/" + "/".join(url.split("#")[0].split("/")[3:])})
            elif name.startswith("return"):  # Another browser than the one that saw the page.
                driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
            driver.get(url)
            if name == "expired":
                until_state(driver, "closed", seconds=30)
                driver.get(url)
            assert find(driver, "html").get_attribute("lang") == language
            if EXPECTED.get(name):
                assert state(driver) == EXPECTED[name], name
                heads.setdefault(find(driver, "h1").text + find(driver, "#state > p").text, []).append(name)
            # Time for the script to do what it does by itself.
            driver.execute_async_script("requestAnimationFrame(() => setTimeout(arguments[0], 150))")
            found = []
            if is_ruled:
                driver.execute_script(AXE)
                found = driver.execute_async_script(
                    "axe.run(document, { iframes: false, runOnly: arguments[0] }).then((it) => arguments[1](it.violations.map("
                    "(one) => one.id + ': ' + one.nodes.map((node) => node.html).join(' '))))", RULES)
            shift = driver.execute_script("return window.shift")
            if shift > 0.02:
                found.append(f"what is shown moved by {shift}")
            found += driver.execute_script(
                "return performance.getEntriesByType('resource').map((it) => it.name)"
                ".filter((name) => !name.startsWith(location.origin) && !name.startsWith('data:'))")
            found += driver.execute_script(
                "return [...document.images].filter((it) => !(it.complete && it.naturalWidth)).map((it) => `not shown: ${it.src}`)")
            shoot(driver, folder / f"{name}.png", width)
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
                "width": 320, "height": 640, "deviceScaleFactor": 2, "mobile": True})
            needed = driver.execute_script("return document.documentElement.scrollWidth")
            if needed > 320:
                found.append(f"needs {needed} px on a phone of 320")
            if found:
                wrong[name] = found
        passing(driver, gate, folder)
    assert wrong == {}
    # Each of them in words of its own, but for those that are the same state with a notice.
    assert sorted(names for names in heads.values() if len(names) > 1) == [["action", "started-elsewhere"], ["ready", "held"]]


def passing(driver, gate, folder):
    """States that pass: a request on its way, and a network that is gone."""
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": 420, "height": 860, "deviceScaleFactor": 1, "mobile": False})
    driver.get(gate.order()["checkout_url"])
    choose(driver, "ok")
    until_state(driver, "ready")
    driver.execute_script("window.fetch = () => new Promise(() => {}); document.querySelector('#pay button').click()")
    until_page(lambda: find(driver, "#pay button").get_attribute("aria-disabled") == "true", what="the lock")
    shoot(driver, folder / "submitting.png", 420)
    driver.get(gate.order()["checkout_url"])
    driver.set_network_conditions(offline=True, latency=0, download_throughput=-1, upload_throughput=-1)
    until_page(lambda: find(driver, "#offline").is_displayed(), what="the word that the network is gone")
    shoot(driver, folder / "unreachable.png", 420)
    driver.set_network_conditions(offline=False, latency=0, download_throughput=-1, upload_throughput=-1)
    until_page(lambda: not find(driver, "#offline").is_displayed(), what="the word that all is well")


def shoot(driver, path, width):
    height = driver.execute_script("return document.documentElement.scrollHeight")
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": width, "height": max(height, 400), "deviceScaleFactor": 1, "mobile": False})
    driver.save_screenshot(str(path))


@pytest.mark.skipif("PAYONCE_README" not in os.environ, reason="PAYONCE_README names no folder for the README's pictures")
def test_the_pictures_of_the_readme(gate):
    folder = Path(os.environ["PAYONCE_README"])
    with browser(width=1240, height=900) as driver:
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": 1180, "height": 1000, "deviceScaleFactor": 1, "mobile": False})
        path, _ = demo_order(gate)
        driver.get(gate.url + path)
        until_page(lambda: "Nothing" in find(driver, "#kept").text, what="the bank's books")
        find(driver, "#twice").click()
        until_page(lambda: "One charge" in find(driver, "#kept").text, what="the charge")
        find(driver, "#devices").click()
        until_page(lambda: find(driver, "#prevented").text.endswith("refused: 2"), what="the count")
        driver.save_screenshot(str(folder / "demo.png"))
    order = gate.order(description="Jasmine tea, 100 g")
    with browser(width=440) as driver:
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": 440, "height": 880, "deviceScaleFactor": 1, "mobile": True})
        driver.get(order["checkout_url"])
        driver.save_screenshot(f"{PICTURES}/1.png")
        gate.bank.faults(seed=1, lose_response=1, lose_notice=1)
        press(driver)
        until(lambda: (gate.now(order)["payment"] or {}).get("unknown_since"), what="the doubt")
        until_state(driver, "confirming")
        driver.save_screenshot(f"{PICTURES}/2.png")
        gate.bank.faults()
        until_state(driver, "paid")
        driver.save_screenshot(f"{PICTURES}/3.png")
        page = PICTURES / "checkout.html"
        images = "".join(f"<img src='{n}.png'>" for n in (1, 2, 3))
        page.write_text(f"<body style='margin:0;display:flex'>{images}</body>")
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": 1320, "height": 880, "deviceScaleFactor": 1, "mobile": False})
        driver.get(page.as_uri())
        driver.save_screenshot(str(folder / "checkout.png"))
