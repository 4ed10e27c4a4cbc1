"""A shop's own page with `payonce.js`, on an origin of its own."""

import functools
import http.server
import threading

import pytest

from support.browser import COUNTS, browser, choose, click, find, payments, press, until_page
from support.gate import origins, web
from support.machine import ROOT, until

pytestmark = pytest.mark.browser
PAGE = (ROOT / "Sources/Demo/Pages/own-page.mustache").read_text()


class Shop:
    """A shop's web server: its pages, as they are in a folder."""

    def __init__(self, folder):
        handler = functools.partial(Quiet, directory=str(folder))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.origin = f"http://127.0.0.1:{self.server.server_port}"
        self.folder = folder
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def page(self, gate, order, name="pay.html"):
        """The page of the documentation, filled in."""
        text = PAGE.replace("{{gate}}", gate.url).replace("{{checkout}}", order["checkout_url"])
        (self.folder / name).write_text(text.replace("{{title}}", "My shop"))
        return f"{self.origin}/{name}"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture
def shop(tmp_path):
    shop = Shop(tmp_path)
    yield shop
    shop.server.shutdown()
    shop.server.server_close()


@pytest.fixture
def allowed(gate, shop):
    assert origins(gate, "allow", "--merchant", "shop", shop.origin + "/").returncode == 0
    yield shop
    assert origins(gate, "remove", "--merchant", "shop", shop.origin).returncode == 0


def button(driver, text):
    return driver.find_element("xpath", f"//button[text()='{text}']")


def until_said(driver, text, seconds=30):
    until_page(lambda: text in find(driver, "#say").text, seconds, f"'{text}' on the page")


# Without the lock that tabs share, what keeps a second press out is the module's own.
ALONE = COUNTS + "Object.defineProperty(navigator, 'locks', { value: undefined });"


def test_it_pays_at_most_once(gate, allowed):
    order = gate.order()
    with browser(before=ALONE) as driver:
        driver.get(allowed.page(gate, order))
        until_said(driver, "How do you want to pay?")
        button(driver, "declined").click()
        until_said(driver, "Do you want to try again?")
        gate.bank.faults(lose_request=1)
        driver.execute_script("arguments[0].click(); arguments[0].click()", button(driver, "ok"))
        until_said(driver, "Please do not pay again")
        assert driver.find_elements("css selector", "button") == []
        assert driver.execute_script("return window.posts") == 2, "one for each try"
        driver.refresh()
        gate.bank.faults()
        until_said(driver, "Paid. Thank you!", 40)
    assert [p["status"] for p in payments(gate, order)] == ["failed", "succeeded"]
    assert len(gate.bank.taken(order)) == 1


def test_a_code_and_a_change_of_mind(gate, allowed):
    order = gate.order(return_url=allowed.origin + "/")
    with browser() as driver:
        driver.get(allowed.page(gate, order))
        until_page(lambda: button(driver, "qr"), what="the ways to pay").click()
        until_said(driver, "Please confirm your payment.")
        code = until_page(lambda: find(driver, "img"), what="the code")
        until_page(lambda: driver.execute_script("return arguments[0].naturalWidth", code), what="the picture")
        button(driver, "Pay in another way").click()
        until_page(lambda: button(driver, "action"), what="the ways to pay, again").click()
        # To the bank, and from there to PayOnce, which says how things stand and leads back to the shop.
        until(lambda: driver.current_url.startswith(gate.bank.url), what="the bank's page")
        click(driver, "button[value=pay]")
        until(lambda: driver.current_url.startswith(f"{gate.url}/return/p"), what="the way back")
        until_page(lambda: find(driver, "h1").text.endswith("Paid"), what="the payment")
        assert find(driver, "#back").get_attribute("href") == f"{allowed.origin}/?reference={order['reference']}"
        driver.get(allowed.page(gate, order))
        until_said(driver, "Paid. Thank you!")


def test_other_origins_read_and_start_nothing(gate, allowed, tmp_path_factory):
    order = gate.order()
    stranger = Shop(tmp_path_factory.mktemp("stranger"))
    with browser() as driver:
        try:
            driver.get(stranger.page(gate, order))
            until_said(driver, "We cannot be reached")
            refused = driver.execute_async_script("""
                fetch(arguments[0] + '/payments', {
                  method: 'POST', headers: { 'Content-Type': 'application/json', 'Idempotency-Key': 'x' },
                  body: JSON.stringify({ provider: 'sandbox', method: 'ok' }) })
                  .then((it) => arguments[1](it.status), (error) => arguments[1](String(error)))""", order["checkout_url"])
            assert "Failed to fetch" in refused
        finally:
            driver.said += driver.get_log("browser")
            assert any("CORS policy" in entry["message"] for entry in driver.said)
            driver.said = [entry for entry in driver.said if "CORS policy" not in entry["message"]]
    stranger.server.shutdown()
    assert payments(gate, order) == []


def test_what_is_said_to_which_origin(gate, allowed):
    order = gate.order()
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "idempotency-key"}

    def asked(method, path, origin, **headers):
        return web.request(method, order["checkout_url"] + path, headers={"Origin": origin, **headers})

    yes = asked("OPTIONS", "/payments", allowed.origin, **preflight)
    assert yes.status_code == 204 and yes.headers["access-control-allow-origin"] == allowed.origin
    assert "Idempotency-Key" in yes.headers["access-control-allow-headers"]
    # Refusals can be read, too.
    refused = asked("POST", "/payments", allowed.origin)
    assert refused.status_code == 400 and refused.headers["access-control-allow-origin"] == allowed.origin
    for origin in (allowed.origin + "0", allowed.origin.replace("http:", "https:"), "null", "https://shop.example"):
        for answer in (asked("OPTIONS", "/payments", origin, **preflight), asked("GET", "/status", origin)):
            assert "access-control-allow-origin" not in answer.headers
            assert answer.headers["vary"] == "Origin"
    # Another merchant's order is another matter, and so is a token with a wrong secret.
    other = gate.call("POST", "/v1/orders", key=gate.new_key("other shop"),
                      json={"reference": "o", "amount": 1, "currency": "CNY"}).json()
    wrong = order["checkout_url"][:-2] + ("00" if order["checkout_url"][-2:] != "00" else "11")
    for url in (other["checkout_url"], wrong):
        answer = web.get(url + "/status", headers={"Origin": allowed.origin})
        assert "access-control-allow-origin" not in answer.headers
    module = web.get(gate.url + "/payonce.js")
    assert module.headers["access-control-allow-origin"] == "*"
    again = web.get(gate.url + "/payonce.js", headers={"If-None-Match": module.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_only_the_shop_may_frame_the_page(gate, allowed, tmp_path_factory):
    order = gate.order()
    # No policy can name it, and a browser would make nothing of the whole list.
    six = ("--merchant", "shop", "http://[::1]:9")
    assert "IPv6" in origins(gate, "allow", *six).stdout
    policy = web.get(order["checkout_url"]).headers["content-security-policy"]
    assert f"frame-ancestors {allowed.origin}" in policy and "unsafe" not in policy and "[" not in policy
    assert origins(gate, "remove", *six).returncode == 0
    stranger = Shop(tmp_path_factory.mktemp("stranger"))
    with browser(lag=None) as driver:
        for shop in (allowed, stranger):
            (shop.folder / "frame.html").write_text(f"<iframe src='{order['checkout_url']}' width=400 height=700></iframe>")
            driver.get(f"{shop.origin}/frame.html")
            driver.switch_to.frame(find(driver, "iframe"))
            if shop is allowed:
                until_page(lambda: find(driver, "#pay button"), what="the framed page").click()
                until_page(lambda: find(driver, "#checkout").get_attribute("data-state") == "paid", what="the payment")
            else:
                assert driver.find_elements("css selector", "#checkout") == []
            driver.switch_to.default_content()
        said = driver.get_log("browser")
        assert any("frame-ancestors" in it["message"] for it in said), "the stranger's frame was refused"
        driver.said = [it for it in said if "frame-ancestors" not in it["message"]]
    stranger.server.shutdown()


LOSE_THE_FIRST_ANSWER = """
const send = window.fetch; window.lost = 0;
window.fetch = async (url, options = {}) => {
  const answer = await send(url, options);
  if (options.method === 'POST' && window.lost++ === 0) throw new TypeError('the answer is lost');
  return answer;
};
"""


FOLLOW = """
const [module, urls, done] = arguments;
import(module).then(({ follow }) => { window.followers = urls.map((url) => follow(url, () => {})); done(); });
"""


def test_a_page_that_goes_from_one_order_to_the_next(gate, allowed):
    """It is not loaded again, and a browser has six connections."""
    orders = [gate.order() for _ in range(8)]
    with browser(lag=None) as driver:
        driver.get(allowed.page(gate, gate.order()))
        for order in orders:
            driver.execute_script("window.followers?.forEach((it) => it.stop())")
            driver.execute_async_script(FOLLOW, f"{gate.url}/payonce.js", [order["checkout_url"]])
            until(lambda: driver.execute_script("return window.followers[0].state") == "ready", what="an answer")
        driver.execute_script("window.followers[0].pay({ provider: 'sandbox', method: 'ok' })")
        until(lambda: driver.execute_script("return window.followers[0].state") == "paid", what="the payment")
        assert gate.bank.kept(orders[-1]) == orders[-1]["amount"]


def test_a_follower_that_stops_in_the_middle_of_a_press(gate, allowed):
    """What was pressed is still sent, once, until it is answered; nothing of it is shown, and the page is not left."""
    order = gate.order()
    with browser(lag=None, before=LOSE_THE_FIRST_ANSWER) as driver:
        driver.get(allowed.page(gate, gate.order()))
        driver.execute_async_script("""
            const [module, url, done] = arguments; window.shown = 0;
            import(module).then(({ follow }) => {
              const checkout = window.follower = follow(url, () => window.shown++);
              const pressed = checkout.pay({ provider: 'sandbox', method: 'action' });
              setTimeout(() => {
                window.before = window.shown;
                checkout.stop();
                pressed.then(() => { window.isOver = true; });
                done();
              });
            });""", f"{gate.url}/payonce.js", order["checkout_url"])
        until(lambda: driver.execute_script("return window.isOver"), 60, "the end of the press")
        assert driver.execute_script("return window.shown - window.before") == 0
        assert driver.current_url.startswith(allowed.origin)
        assert driver.execute_script("return window.lost") >= 2, "it is sent again"
        # Another follower finds it.
        driver.execute_async_script(FOLLOW, f"{gate.url}/payonce.js", [order["checkout_url"]])
        until(lambda: driver.execute_script("return window.followers[0].state") == "action", what="the payment")
    assert [it["status"] for it in payments(gate, order)] == ["requires_action"]


def test_a_refusal_that_is_over(gate, allowed):
    """An order that was not there for a while, as after a restore, is not said to be missing for ever."""
    missing = """const send = window.fetch; window.isGone = true;
        const problem = { type: 'urn:payonce:problem:not_found', code: 'not_found' };
        window.fetch = (url, options) => window.isGone && url.endsWith('/status')
          ? Promise.resolve(Response.json(problem, { status: 404 })) : send(url, options);
        window.EventSource = undefined;"""
    with browser(lag=None, before=missing) as driver:
        driver.get(allowed.page(gate, gate.order()))
        driver.execute_async_script(FOLLOW, f"{gate.url}/payonce.js", [gate.order()["checkout_url"]])
        code = "return window.followers[0].problem?.code"
        until(lambda: driver.execute_script(code) == "not_found", what="the refusal")
        driver.execute_script("window.isGone = false; window.followers[0].refresh()")
        until(lambda: driver.execute_script("return window.followers[0].state") == "ready", what="the order")
        assert driver.execute_script(code) is None


def test_an_address_with_something_behind_it(gate, allowed):
    """It is the same order, and no other."""
    orders = [gate.order(), gate.order()]
    with browser(lag=None) as driver:
        driver.get(allowed.page(gate, gate.order()))
        driver.execute_async_script(
            FOLLOW, f"{gate.url}/payonce.js", [orders[0]["checkout_url"] + "/", orders[1]["checkout_url"] + "/?lang=en#top"])
        states = "return window.followers.map((it) => it.state)"
        assert len(set(driver.execute_script("return window.followers.map((it) => it.name)"))) == 2
        until(lambda: driver.execute_script(states) == ["ready", "ready"], what="both orders")
        gate.pay(orders[1])
        until(lambda: driver.execute_script(states) == ["ready", "paid"], what="the payment of one of them")
        said = driver.execute_async_script("""
            const [module, done] = arguments;
            import(module).then(({ follow }) => { try { follow('https://shop.example/'); } catch (it) { done(it.message); } });
            """, f"{gate.url}/payonce.js")
        assert said == "not a checkout_url"


def test_a_bank_is_met_outside_of_the_frame(gate, allowed):
    """With and without scripts: most banks refuse to be framed."""
    for has_scripts in (True, False):
        order = gate.order(return_url=f"{allowed.origin}/pay.html")
        (allowed.folder / "frame.html").write_text(f"<iframe src='{order['checkout_url']}' width=400 height=700></iframe>")
        with browser(lag=None, scripts=has_scripts) as driver:
            driver.get(f"{allowed.origin}/frame.html")
            driver.switch_to.frame(find(driver, "iframe"))
            choose(driver, "action")
            press(driver)
            if has_scripts:
                # A page leaves its frame only when it is told to.
                click(driver, "#continue")
            driver.switch_to.default_content()
            until_page(lambda: driver.current_url.startswith(gate.bank.url), what="the bank")
            click(driver, "button[value=pay]")
            until_page(lambda: driver.current_url.startswith(order["checkout_url"]), what="the page without a frame")
            until_page(lambda: find(driver, "#checkout").get_attribute("data-state") == "paid", what="the payment")
            assert gate.bank.kept(order) == order["amount"]


def test_the_recipe_is_the_page(gate):
    """docs/guides/own-page.md shows the very page that is tried here, and it is under thirty lines."""
    assert PAGE.count("\n") < 30
    recipe = (ROOT / "docs/guides/own-page.md").read_text()
    shown = PAGE.replace("{{gate}}", "https://pay.example").replace("{{title}}", "Jasmine tea")
    assert shown.replace("{{checkout}}", "THE ORDER'S checkout_url") in recipe
    assert len((ROOT / "Sources/Checkout/Pages/payonce.js").read_bytes()) < 10_000
