"""What HTTP says, what every answer has, and what the log says of them."""

import http.client
import json
import socket
import time

import pytest

from support.gate import running, web
from support.machine import together, until
from support.raw import connect, heads, said


# What HTTP says

def test_one_connection_answers_many(gate):
    with connect(gate) as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /readyz HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
        assert [lines[0] for lines in heads(sock, 40)] == ["http/1.1 200 ok"] * 40


@pytest.mark.parametrize("value", ["close", "Close", "CLOSE", "TE, Close"])
def test_a_client_that_wants_to_close_is_closed(gate, value):
    began = time.monotonic()
    answer = said(gate, f"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: {value}\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200") and b"connection: close" in answer.lower()
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("head", [
    "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n",
    "CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_who_wants_another_protocol_is_answered_in_ours(gate, head):
    """As curl --http2 asks. What comes behind it nobody would read."""
    with connect(gate) as sock:
        before = gate.process.memory()
        sock.sendall(head.encode())
        sock.settimeout(0.2)
        answer = b""
        begun = time.monotonic()
        # It is ended while somebody still sends as fast as the server takes it, and nothing of that is kept.
        while time.monotonic() - begun < 8:
            try:
                sock.sendall(b"x" * 65536)
            except TimeoutError:
                pass
            except OSError:
                break
            try:
                answer += sock.recv(65536, socket.MSG_DONTWAIT)
            except OSError:
                pass
        else:
            raise AssertionError("it still takes what is sent")
        assert b"connection: close" in answer.lower() or not answer, answer
        assert gate.process.memory() - before < 30
    # And without anything behind it, the answer is whole.
    answer = said(gate, head)
    assert answer.startswith(b"HTTP/1.1 200" if head.startswith("GET") else b"HTTP/1.1 4")
    assert b"connection: close" in answer.lower()


def test_a_form_that_never_comes_whole_is_no_error_of_ours(gate):
    order = gate.order()
    token = order["checkout_url"].rsplit("/", 1)[1]
    form = "Content-Type: application/x-www-form-urlencoded\r\n"
    answer = said(gate, f"POST /checkout/{token}/payments HTTP/1.1\r\nHost: x\r\n{form}Transfer-Encoding: chunked\r\n\r\nzz\r\n")
    assert answer.startswith(b"HTTP/1.1 400"), answer
    assert "a request failed" not in gate.process.log.read_text()


def test_an_old_client(gate):
    began = time.monotonic()
    answer = said(gate, "GET /healthz HTTP/1.0\r\n\r\n")
    assert b" 200 " in answer.split(b"\r\n")[0] and answer.endswith(b"}")
    assert time.monotonic() - began < 5
    with connect(gate) as sock:
        for _ in range(2):
            sock.sendall(b"GET /healthz HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
            assert "connection: keep-alive" in heads(sock, 1)[0]


@pytest.mark.parametrize("hosts", ["", "Host: a\r\nHost: b\r\n", "Host: a\r\nHost: a\r\n", "Host: a/b\r\n"])
def test_a_request_has_one_host(gate, hosts):
    answer = said(gate, f"GET /healthz HTTP/1.1\r\n{hosts}\r\n")
    assert answer.startswith(b"HTTP/1.1 400")


BEHIND = "0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("fields", [
    "Content-Length: 5\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 5",
    "Content-Length: 5\r\nContent-Length: 6", "Content-Length: 5, 5", "Content-Length: +5", "Content-Length: 0x5",
    "Transfer-Encoding: chunked, identity", "Transfer-Encoding: xchunked", "Transfer-Encoding : chunked",
    "X: a\r\n Transfer-Encoding: chunked"])
def test_where_a_request_ends_is_not_guessed(gate, fields):
    """A proxy before us may take another end for the right one, and hand on a stranger's request as part of this one."""
    head = "POST /v1/orders HTTP/1.1\r\nHost: x\r\n"
    assert said(gate, f"{head}Transfer-Encoding: chunked\r\n\r\n{BEHIND}", 25).count(b"HTTP/1.1 ") == 2
    answer = said(gate, f"{head}{fields}\r\n\r\n{BEHIND}", 25)
    assert answer.count(b"HTTP/1.1 ") == 1 and answer.startswith(b"HTTP/1.1 4"), answer


def test_a_body_is_asked_for_when_it_is_wanted(gate):
    body = json.dumps({"reference": f"expect {time.time_ns()}", "amount": 1, "currency": "EUR"}).encode()
    head = "POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nExpect: 100-Continue\r\n" % len(body)
    with connect(gate) as sock:
        sock.sendall(f"{head}Authorization: Bearer {gate.key}\r\n\r\n".encode())
        assert sock.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(body)
        assert heads(sock, 1)[0][0] == "http/1.1 201 created"
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert heads(sock, 1)[0][0] == "http/1.1 200 ok"
    for refused, status in [(head, b"401"), (head.replace("/v1/orders", "/nothing"), b"404"),
                            (head.replace(f"Length: {len(body)}", "Length: 70000") + f"Authorization: Bearer {gate.key}\r\n",
                             b"413")]:
        answer = said(gate, refused + "\r\n")
        assert answer.startswith(b"HTTP/1.1 " + status) and b"100 Continue" not in answer


# What every answer has

def test_no_answer_is_sniffed(gate):
    order = gate.order()
    page = order["checkout_url"].removeprefix(gate.url)
    tag = gate.call("GET", "/checkout.js").headers["etag"]
    for method, path, headers, status in [
        ("GET", "/healthz", {}, 200), ("GET", "/readyz", {}, 200), ("GET", "/openapi.json", {}, 200),
        ("GET", "/nothing", {}, 404), ("PUT", "/healthz", {}, 405), ("GET", "/v1/orders", {}, 200),
        ("GET", page, {}, 200), ("GET", page + "x", {}, 404), ("GET", page + "/status", {}, 200),
        ("OPTIONS", page + "/status", {"Origin": "https://shop.example"}, 204), ("GET", "/checkout.js", {}, 200),
        ("GET", "/checkout.js", {"If-None-Match": tag}, 304), ("HEAD", "/healthz", {}, 200), ("GET", "/demo", {}, 200),
    ]:
        answer = gate.call(method, path, headers=headers)
        assert answer.status_code == status, (method, path, answer.status_code)
        assert answer.headers["x-content-type-options"] == "nosniff", (method, path)
        assert answer.headers["x-request-id"], (method, path)


def test_assets_and_the_description_are_whole(gate):
    """They are shared by all who read them at once."""
    for path in ("/openapi.json", "/checkout.js", "/checkout.css"):
        first = web.get(gate.url + path).content
        assert len(first) > 1000
        assert all(answer.content == first for answer in together(20, lambda _: web.get(gate.url + path)))


# The log

def test_the_log_says_why_and_is_no_noise(tmp_path):
    with running(tmp_path, log_level="info") as gate:
        order = gate.order()
        page = order["checkout_url"].removeprefix(gate.url)
        token = page.rsplit("/", 1)[1]

        def ask(method, path, **headers):
            gate.call(method, path, headers={"X-Request-Id": f"r{len(asked)}", **headers})
            asked.append(path)

        def line():
            name = f"request=r{len(asked) - 1} "
            return next((it for it in gate.process.log.read_text().splitlines() if name in it + " "), None)

        asked = []
        for method, path, headers, words in [
            ("GET", "/v1/orders/ord_0", {}, ["GET /v1/orders/{id} ", "code=not_found", "status=404"]),
            ("GET", "/v1/orders?limit=0", {}, ["GET /v1/orders ", "code=invalid_request", "status=400"]),
            ("GET", "/v1/orders", {"Authorization": "Bearer x"}, ["code=unauthorized", "status=401"]),
            ("DELETE", "/v1/orders", {}, ["DELETE /v1/orders ", "code=method_not_allowed", "status=405"]),
            ("GET", page[:-1], {}, ["GET /checkout/{token} ", "code=not_found", "status=404"]),
            ("GET", "/wp-login.php?secret=1", {}, ["GET /wp-login.php ", "code=not_found"]),
            ("GET", f"/a/{token}/b/c/d/e", {}, ["GET /a/…/b/c/… ", "code=not_found"]),
            ("GET", f"/{gate.key}", {}, ["GET /… ", "code=not_found"]),
            ("OPTIONS", page + "/payments", {"Origin": "https://shop.example"},
             ["OPTIONS /checkout/…/payments ", "status=204"]),
            ("GET", "/healthz", {}, ["GET /healthz ", "status=200"]),
        ]:
            ask(method, path, **headers)
            found = until(line, 10, f"a line about {method} {path}")
            assert all(word in found for word in words), (found, words)
            assert ("code=" in found) == any("code=" in word for word in words), found
        for path, headers in [("/checkout.js", {}), ("/demo/tea.svg", {}),
                              ("/payonce.js", {"If-None-Match": gate.call("GET", "/payonce.js").headers["etag"]})]:
            ask("GET", path, **headers)
            assert line() is None
        log = gate.process.log.read_text()
        assert gate.key not in log and token not in log and "secret=1" not in log


def test_a_form_that_is_refused_is_logged_with_its_code(tmp_path):
    """It is answered by a redirect to a page, which says it in words."""
    with running(tmp_path, log_level="info") as gate:
        order = gate.order()
        gate.pay(order)
        connection = http.client.HTTPConnection("127.0.0.1", gate.port, timeout=40)
        connection.request(
            "POST", order["checkout_url"].removeprefix(gate.url) + "/payments", b"method=sandbox%3Aok&idempotency_key=other",
            {"Content-Type": "application/x-www-form-urlencoded", "X-Request-Id": "form"})
        assert connection.getresponse().status == 303
        connection.close()
        log = gate.process.log
        found = until(lambda: next((it for it in log.read_text().splitlines() if "request=form" in it), None))
        assert "code=order_paid" in found and "status=303" in found
