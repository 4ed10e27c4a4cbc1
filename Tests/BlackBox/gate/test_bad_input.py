"""Everything that should not be sent: each gets its documented error, none a 500, and nothing is written."""

import json
import re
import socket
import subprocess
import time
import uuid

import httpx
import pytest

from support.gate import web
from support.machine import PROGRAM, ROOT, until

GOOD = {"reference": "x", "amount": 1, "currency": "CNY"}

BODIES = {
    "not JSON": b"{",
    "empty": b"",
    "an array": b"[]",
    "two values": b'{"reference":"x","amount":1,"currency":"CNY"} {}',
    "a member twice": b'{"reference":"x","amount":1,"amount":2,"currency":"CNY"}',
    "a float": b'{"reference":"x","amount":1.0,"currency":"CNY"}',
    "an exponent": b'{"reference":"x","amount":1e2,"currency":"CNY"}',
    "a leading zero": b'{"reference":"x","amount":01,"currency":"CNY"}',
    "a text amount": b'{"reference":"x","amount":"1","currency":"CNY"}',
    "no amount": b'{"reference":"x","currency":"CNY"}',
    "null amount": b'{"reference":"x","amount":null,"currency":"CNY"}',
    "zero": b'{"reference":"x","amount":0,"currency":"CNY"}',
    "negative": b'{"reference":"x","amount":-5,"currency":"CNY"}',
    "huge": b'{"reference":"x","amount":1000000000000,"currency":"CNY"}',
    "beyond 64 bits": b'{"reference":"x","amount":99999999999999999999999,"currency":"CNY"}',
    "minus the least": b'{"reference":"x","amount":-9223372036854775808,"currency":"CNY"}',
    "unknown currency": b'{"reference":"x","amount":1,"currency":"ZZZ"}',
    "small letters": b'{"reference":"x","amount":1,"currency":"cny"}',
    "emoji reference": '{"reference":"x😀","amount":1,"currency":"CNY"}'.encode(),
    "escaped emoji reference": b'{"reference":"\\ud83d\\ude00","amount":1,"currency":"CNY"}',
    "half a surrogate": b'{"reference":"\\ud83d","amount":1,"currency":"CNY"}',
    "not UTF-8": b'{"reference":"\xff","amount":1,"currency":"CNY"}',
    "a control character": b'{"reference":"a\\u0000b","amount":1,"currency":"CNY"}',
    "empty reference": b'{"reference":"","amount":1,"currency":"CNY"}',
    "long reference": json.dumps({**GOOD, "reference": "x" * 65}).encode(),
    "unknown field": json.dumps({**GOOD, "ammount": 5}).encode(),
    "a field of another case": json.dumps({**GOOD, "Amount": 5}).encode(),
    "expires too soon": json.dumps({**GOOD, "expires_in": 59}).encode(),
    "expires too late": json.dumps({**GOOD, "expires_in": 2592001}).encode(),
    "late payment": json.dumps({**GOOD, "late_payment": "keep"}).encode(),
    "javascript URL": json.dumps({**GOOD, "return_url": "javascript:alert(1)"}).encode(),
    "URL without host": json.dumps({**GOOD, "return_url": "https:///x"}).encode(),
    "URL with a user": json.dumps({**GOOD, "return_url": "https://bank.example@evil.example/"}).encode(),
    "another javascript URL": json.dumps({**GOOD, "cancel_url": "javascript:alert(1)"}).encode(),
    "another URL without host": json.dumps({**GOOD, "cancel_url": "https:///x"}).encode(),
    "metadata of numbers": json.dumps({**GOOD, "metadata": {"a": 1}}).encode(),
    "nested metadata": json.dumps({**GOOD, "metadata": {"a": {"b": "c"}}}).encode(),
    "much metadata": json.dumps({**GOOD, "metadata": {f"k{n}": "v" for n in range(21)}}).encode(),
    "deep": b'{"reference":"x","amount":1,"currency":"CNY","metadata":' + b'{"a":' * 40 + b"1" + b"}" * 41,
    "very deep": b"[" * 20000 + b"]" * 20000,
}


def is_problem(response, status, code):
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["x-request-id"]
    problem = response.json()
    assert problem["code"] == code and problem["status"] == status and problem["detail"] and problem["title"]
    if status == 400:
        assert "errors" in problem
    return problem


def newest(gate):
    """The newest order; what becomes of earlier tests' orders meanwhile is no matter."""
    return [order["id"] for order in gate.get("/v1/orders")["data"][:1]]


@pytest.mark.parametrize("name", BODIES)
def test_orders(gate, name):
    before = newest(gate)
    is_problem(gate.call("POST", "/v1/orders", content=BODIES[name]), 400, "invalid_request")
    assert newest(gate) == before


def test_all_errors_come_at_once(gate):
    body = {"reference": "", "amount": -1, "currency": "??", "extra": 1, "expires_in": "soon"}
    problem = is_problem(gate.call("POST", "/v1/orders", json=body), 400, "invalid_request")
    assert {e["field"] for e in problem["errors"]} == {"reference", "amount", "currency", "extra", "expires_in"}


def test_keys(gate):
    order = gate.order()
    path = f"/v1/orders/{order['id']}/payments"
    body = {"provider": "sandbox"}
    is_problem(gate.call("POST", path, json=body), 400, "idempotency_key_missing")
    for key in ["", "x" * 256, '"open', 'a"b', '""', b"caf\xc3\xa9"]:
        response = gate.call("POST", path, json=body, headers={"Idempotency-Key": key})
        is_problem(response, 400, "idempotency_key_invalid")
    # What no client library sends, by hand: blanks are trimmed by HTTP itself, and control characters are no HTTP.
    for key in [b" ", b"\ttab", b"\x7f", b"a\x00b"]:
        head = (f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {gate.key}\r\nContent-Length: 22\r\n"
                "Connection: close\r\nIdempotency-Key: ").encode()
        with socket.create_connection(("127.0.0.1", gate.port), timeout=15) as connection:
            connection.sendall(head + key + b"\r\n\r\n" + b'{"provider":"sandboxy"}'[:22])
            answer = connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 400 "), (key, answer)
    assert gate.get(path)["data"] == []
    assert gate.pay(order, key="x" * 255).status_code == 201


def test_payments(gate):
    order = gate.order()
    path = f"/v1/orders/{order['id']}/payments"

    def post(body, **headers):
        return gate.call("POST", path, json=body, headers={"Idempotency-Key": "k", **headers})

    is_problem(post({}), 400, "invalid_request")
    is_problem(post({"provider": "sandbox", "method": "nonsense"}), 400, "invalid_request")
    is_problem(post({"provider": "sandbox", "amount": 5}), 400, "invalid_request")
    is_problem(post({"provider": "stripe"}), 422, "provider_not_enabled")
    is_problem(post({"provider": "sandbox"}, Prefer="wait=61"), 400, "invalid_request")
    is_problem(post({"provider": "sandbox"}, Prefer="wait=soon"), 400, "invalid_request")
    assert gate.get(path)["data"] == [] and gate.now(order)["duplicates_prevented"] == 0


def test_refunds(gate):
    order = gate.order()
    payment = gate.pay(order, method="action").json()
    path = f"/v1/payments/{payment['id']}/refunds"
    is_problem(gate.call("POST", path, json={}), 400, "idempotency_key_missing")
    headers = {"Idempotency-Key": "k"}
    is_problem(gate.call("POST", path, json={"amount": 0}, headers=headers), 400, "invalid_request")
    is_problem(gate.call("POST", path, json={"amount": 1.5}, headers=headers), 400, "invalid_request")
    is_problem(gate.call("POST", path, json={}, headers=headers), 409, "payment_not_refundable")


def test_ids_that_are_none(gate):
    for path in ["/v1/orders/1", "/v1/orders/ord_00000000000000000000000000", "/v1/payments/x?wait=5", "/v1/refunds/..",
                 "/v1/orders/%00", "/v1/orders/ord_" + "z" * 26, "/checkout/ck_x/status", "/nothing", "/v1", "/v1/orders/a/b"]:
        is_problem(gate.call("GET", path), 404, "not_found")
    is_problem(gate.pay({"id": "ord_00000000000000000000000000"}), 404, "not_found")
    for query in ["limit=0", "limit=101", "limit=x", "status=lost", "after=5", "reference="]:
        is_problem(gate.call("GET", f"/v1/orders?{query}"), 400, "invalid_request")


def test_queries_that_are_misspelt(gate):
    """What was to narrow a list down must not be passed over: everything would be the answer."""
    order = gate.order()
    payment = gate.pay(order, method="action").json()
    token = order["checkout_url"].removeprefix(gate.url)
    for method, path, names in [
        ("GET", "/v1/orders", "reference, status, after, limit"), ("GET", "/v1/events", "after, limit"),
        ("GET", f"/v1/orders/{order['id']}", None), ("GET", f"/v1/payments/{payment['id']}", "wait"),
        ("POST", f"/v1/payments/{payment['id']}/check", None), ("GET", f"{token}/status", "wait, version"),
        ("GET", f"{token}/stream", None), ("POST", f"{token}/payments", None),
    ]:
        problem = is_problem(gate.call(method, path + "?stauts=paid&utm_source=x"), 400, "invalid_request")
        assert [error["field"] for error in problem["errors"]] == ["stauts", "utm_source"]
        assert problem["errors"][0]["message"].endswith(f"there are: {names}" if names else "which has none")
    # A link to a page is appended to by whoever passes it on.
    for path in (token, "/demo", "/healthz", "/payonce.js"):
        assert gate.call("GET", path + "?utm_source=x&fbclid=y").status_code == 200


def test_a_reference_finds_a_list(gate):
    order = gate.order()
    found = gate.get(f"/v1/orders?reference={order['reference']}")
    assert found == {"data": [order], "next": None}
    assert gate.get("/v1/orders?reference=nobodys") == {"data": [], "next": None}
    assert gate.get(f"/v1/orders?reference={order['reference']}&status=paid")["data"] == []


def test_where_to_look_instead(gate):
    order = gate.order(reference=f"A-{uuid.uuid4()}")
    payment = gate.pay(order).json()
    for path, says in [
        (f"/v1/orders/{order['reference']}", f"/v1/orders?reference={order['reference']}"),
        (f"/v1/payments/{order['id']}", f"/v1/orders/{order['id']}/payments"),
        (f"/v1/orders/{payment['id']}", f"/v1/payments/{payment['id']}"),
        (f"/v1/refunds/{payment['id']}", f"/v1/payments/{payment['id']}"),
    ]:
        problem = is_problem(gate.call("GET", path), 404, "not_found")
        assert says in problem["detail"]
        assert gate.call("GET", says).status_code == 200, "what is said is there"


def test_every_problem_is_what_its_page_says(gate):
    """Each row of docs/reference/problems.md that a shop can bring about, brought about."""
    order, other = gate.order(), gate.order()
    paid = gate.pay(other).json()
    gate.pay(order, key="first", method="action")
    closed = gate.order()
    gate.call("POST", f"/v1/orders/{closed['id']}/close")
    fresh = gate.order()

    def post(path, body=None, key="k", **headers):
        return gate.call("POST", path, json=body or {}, headers={**({"Idempotency-Key": key} if key else {}), **headers})

    pay, refund = f"/v1/orders/{fresh['id']}/payments", f"/v1/payments/{paid['id']}/refunds"
    sandbox = {"provider": "sandbox"}
    brought = {
        "unauthorized": web.get(f"{gate.url}/v1/orders"),
        "not_found": gate.call("GET", "/v1/orders/ord_00000000000000000000000000"),
        "idempotency_key_missing": post(pay, sandbox, key=None),
        "idempotency_key_invalid": post(pay, sandbox, key='"'),
        "invalid_request": post(pay, {**sandbox, "method": "no such method"}),
        "idempotency_key_reused": post(f"/v1/orders/{order['id']}/payments", sandbox, key="first"),
        "reference_reused": post("/v1/orders", {"reference": order["reference"], "amount": 1, "currency": "CNY"}),
        "order_paid": post(f"/v1/orders/{other['id']}/payments", sandbox),
        "order_closed": post(f"/v1/orders/{closed['id']}/payments", sandbox),
        "payment_in_progress": post(f"/v1/orders/{order['id']}/payments", sandbox, key="second"),
        "payment_not_refundable": post(f"/v1/payments/{gate.now(order)['payment']['id']}/refunds"),
        "refund_state_changed": post(refund, {"amount": 1, "expected_refunded": 5}),
        "refund_exceeds_payment": post(refund, {"amount": 2000}),
        "provider_not_enabled": post(pay, {"provider": "no such provider"}),
        "method_not_allowed": gate.call("DELETE", "/v1/orders"),
        "content_too_large": gate.call("POST", "/v1/orders", content=b"x" * 70_000),
    }
    page = (ROOT / "docs/reference/problems.md").read_text()
    rows = {code: int(status) for code, status in re.findall(r"^\| `(\w+)` \| (\d+) \|", page, re.M)}
    for code, response in brought.items():
        is_problem(response, rows[code], code)
    # A provider that takes another amount, card testing, a wrong clock, a request that stalls, an archive, and a house on
    # fire have tests of their own.
    assert set(rows) - set(brought) <= {
        "order_archived", "events_archived", "amount_not_supported", "too_many_payments", "clock_wrong", "bad_request", "request_timeout", "internal_error",
        "overloaded", "unavailable"}


def test_methods(gate):
    for method, path, allowed in [("DELETE", "/v1/orders", "GET, HEAD, POST"), ("PUT", "/healthz", "GET, HEAD"),
                                  ("GET", "/v1/payments/x/check", "POST")]:
        response = gate.call(method, path)
        is_problem(response, 405, "method_not_allowed")
        assert response.headers["allow"] == allowed


def test_strangers(gate):
    order = gate.order()
    login = subprocess.run(
        [str(PROGRAM), "keys", "create", "--operator", "ann", "--store", gate.store], check=True, capture_output=True,
        text=True).stdout.strip()
    for header, says in [
        ({}, "Send an API key"), ({"Authorization": "Bearer"}, "scheme"), ({"Authorization": "Basic abc"}, "scheme must be Bearer"),
        ({"Authorization": "Bearer sk_nope"}, "is no key"), ({"Authorization": f"Bearer {login}"}, "an operator's login"),
        ({"Authorization": "Bearer " + gate.key[:-1] + ("0" if gate.key[-1] != "0" else "1")}, "not known here"),
    ]:
        response = web.get(f"{gate.url}/v1/orders/{order['id']}", headers=header)
        assert says in is_problem(response, 401, "unauthorized")["detail"]
        assert response.headers["www-authenticate"].startswith("Bearer")


def test_another_merchants_ids(gate):
    other = gate.new_key("another shop")
    order = gate.order()
    payment = gate.pay(order).json()
    refund = gate.call("POST", f"/v1/payments/{payment['id']}/refunds", headers={"Idempotency-Key": "k"},
                       json={"amount": 5}).json()
    before = gate.now(order)
    assert gate.call("GET", f"/v1/orders?reference={order['reference']}", key=other).json()["data"] == []
    calls = [("GET", f"/v1/orders/{order['id']}"), ("GET", f"/v1/orders/{order['id']}/payments"), ("GET", f"/v1/orders/{order['id']}/events"),
             ("GET", f"/v1/payments/{payment['id']}"), ("GET", f"/v1/payments/{payment['id']}?wait=5"),
             ("GET", f"/v1/payments/{payment['id']}/refunds"), ("GET", f"/v1/refunds/{refund['id']}"),
             ("POST", f"/v1/orders/{order['id']}/close"), ("POST", f"/v1/payments/{payment['id']}/close"),
             ("POST", f"/v1/payments/{payment['id']}/check")]
    for method, path in calls:
        is_problem(gate.call(method, path, key=other), 404, "not_found")
    headers = {"Idempotency-Key": "theirs"}
    is_problem(gate.call("POST", f"/v1/orders/{order['id']}/payments", key=other, headers=headers,
                         json={"provider": "sandbox"}), 404, "not_found")
    is_problem(gate.call("POST", f"/v1/payments/{payment['id']}/refunds", key=other, headers=headers, json={}),
               404, "not_found")
    assert gate.call("GET", "/v1/orders", key=other).json()["data"] == []
    assert gate.call("GET", "/v1/events", key=other).json()["data"] == []
    assert gate.now(order) == before
    # The same reference is another shop's own.
    mine = gate.call("POST", "/v1/orders", key=other, json={
        "reference": order["reference"], "amount": 7, "currency": "USD"})
    assert mine.status_code == 201 and mine.json()["id"] != order["id"]


def test_a_token_opens_one_order(gate):
    one, two = gate.order(), gate.order()
    payment = gate.pay(two, method="action").json()
    answer = web.post(f"{one['checkout_url']}/payments/{payment['id']}/close")
    is_problem(answer, 404, "not_found")
    token = one["checkout_url"].rsplit("/", 1)[1]
    forged = token[:29] + two["checkout_url"].rsplit("/", 1)[1][29:]
    is_problem(web.get(f"{gate.url}/checkout/{forged}/status"), 404, "not_found")
    assert web.get(f"{gate.url}/checkout/{forged}").status_code == 404
    view = web.get(one["checkout_url"] + "/status").json()
    assert set(view) == {"status", "close_reason", "amount", "currency", "description", "shop", "expires_at", "methods",
                         "payment", "returned", "version", "now", "next_check_at", "last_payment", "provider_available", "retry_at"}


def test_a_notice_without_a_signature(gate):
    order = gate.order()
    payment = gate.pay(order, method="action").json()
    charge = {"id": payment["id"], "amount": 1999, "currency": "CNY", "method": "action", "status": "succeeded",
              "amount_captured": 1999}
    for headers in [{}, {"webhook-id": "m", "webhook-timestamp": str(int(time.time())), "webhook-signature": "v1,AAAA"}]:
        answer = web.post(f"{gate.url}/providers/sandbox/notices", json=charge, headers=headers)
        is_problem(answer, 401, "unauthorized")
    is_problem(web.post(f"{gate.url}/providers/nobody/notices", json=charge), 404, "not_found")
    assert gate.now(order)["payment"]["status"] == "requires_action"


def test_a_body_of_ten_megabytes(gate):
    is_problem(gate.call("POST", "/v1/orders", content=b"x" * 10_000_000), 413, "content_too_large")

    def chunks():
        for _ in range(200):
            yield b"x" * 50_000

    try:
        response = gate.call("POST", "/v1/orders", content=chunks())
        is_problem(response, 413, "content_too_large")
    except httpx.HTTPError:
        pass  # the connection may be cut while the rest is still being sent
    assert gate.call("GET", "/healthz").status_code == 200


def raw(gate, data, seconds):
    with socket.create_connection(("127.0.0.1", gate.port), timeout=seconds) as sock:
        sock.sendall(data)
        answer = b""
        try:
            while chunk := sock.recv(65536):
                answer += chunk
        except TimeoutError:
            pytest.fail(f"the connection is still open after {seconds} s: {answer!r}")
        return answer


def test_a_body_that_stalls(gate):
    head = f"POST /v1/orders HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {gate.key}\r\nContent-Length: 50\r\n\r\n{{"
    begun = time.monotonic()
    answer = raw(gate, head.encode(), 25)
    assert time.monotonic() - begun < 20
    assert b" 20" not in answer.split(b"\r\n")[0] and b" 500" not in answer.split(b"\r\n")[0]


def test_what_is_no_http(gate):
    assert raw(gate, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 50, 15).startswith(b"HTTP/1.1 400")
    assert raw(gate, b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 40_000 + b"\r\n\r\n", 15).startswith(b"HTTP/1.1 400")


def test_request_ids(gate):
    assert gate.call("GET", "/healthz", headers={"X-Request-Id": "mine-1"}).headers["x-request-id"] == "mine-1"
    assert gate.call("GET", "/healthz", headers={"X-Request-Id": "no good"}).headers["x-request-id"] != "no good"


@pytest.mark.parametrize("weight", ["9223372036854775807", "-9223372036854775808", "1e999", "0.9999999999999999999", "", "ü"])
def test_a_language_with_any_weight(gate, weight):
    order = gate.order()
    for path in ("/demo", "/checkout/nothing", order["checkout_url"].removeprefix(gate.url)):
        answer = gate.call("GET", path, headers={"Accept-Language": f"zh;q={weight}, en;q=0.5".encode()})
        assert answer.status_code in (200, 404) and "<html" in answer.text


def test_revoked_keys_stop_and_new_ones_work_at_once(gate):
    key = gate.new_key(f"merchant {uuid.uuid4()}")
    assert gate.call("GET", "/v1/orders", key=key).status_code == 200
    subprocess.run([str(PROGRAM), "keys", "revoke", key[:19], "--store", gate.store], check=True)
    until(lambda: gate.call("GET", "/v1/orders", key=key).status_code == 401, 20, "the end of the revoked key")


def test_streams_of_requests_that_never_end(gate):
    """A body that was announced and never comes must not bring the server down, whoever hangs up first."""
    order = gate.order()
    path = order["checkout_url"].removeprefix(gate.url)
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", gate.port)) as sock:
            sock.sendall(f"GET {path}/stream HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n".encode())
            assert sock.recv(10).startswith(b"HTTP/1.1")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    gate.pay(order)
    assert gate.now(order)["status"] == "paid" and gate.process.process.poll() is None
