"""The published description against the running program: every answer of a tour is checked against its schema."""

import json
import re

import httpx
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from support.gate import web


@pytest.fixture(scope="module")
def document(shared_gate):
    return web.get(f"{shared_gate.url}/openapi.json").json()


def test_the_document_is_valid(document):
    validate(document)


class Checked:
    """Calls the server and checks each answer against the document."""

    def __init__(self, gate, document):
        self.gate, self.document, self.seen = gate, document, set()

    def __call__(self, method, template, status, ids=(), **arguments):
        path = template
        for value in ids:
            path = re.sub(r"\{\w+\}", value, path, count=1)
        response = self.gate.call(method, path, **arguments)
        assert response.status_code == status, response.text
        operation = self.document["paths"][template.split("?")[0]][method.lower()]
        assert str(status) in operation["responses"], f"{method} {template} does not name {status}"
        described = operation["responses"][str(status)]
        if "$ref" in described:
            described = self.document["components"]["responses"][described["$ref"].rsplit("/", 1)[1]]
        kind = response.headers.get("content-type", "").split(";")[0]
        if described.get("content"):
            schema = described["content"][kind]["schema"]
            if "json" in kind:
                root = {**schema, "components": self.document["components"]}
                Draft202012Validator(root).validate(response.json())
        self.seen.add((method.lower(), template.split("?")[0]))
        return response


def test_a_tour(gate, document):
    call = Checked(gate, document)
    body = {"reference": "tour " + gate.key[-8:], "amount": 1999, "currency": "CNY", "description": "茉莉花茶",
            "metadata": {"cart": "7"}, "return_url": "https://shop.example/thanks?order=7", "cancel_url": "https://shop.example/cart",
            "late_payment": "accept"}
    order = call("POST", "/v1/orders", 201, json=body).json()
    assert call("POST", "/v1/orders", 200, json=body).json() == order
    call("POST", "/v1/orders", 409, json={**body, "amount": 5})
    refused = call("POST", "/v1/orders", 409, json={**body, "cancel_url": None}).json()
    assert refused["detail"] == "This reference is registered with another cancel_url. Use a new reference."
    call("POST", "/v1/orders", 400, json={**body, "amount": 0})
    assert order["metadata"] == {"cart": "7"} and order["description"] == "茉莉花茶"
    call("GET", "/v1/orders", 200)
    call("GET", f"/v1/orders?reference={body['reference']}", 200)
    call("GET", "/v1/orders/{id}", 200, [order["id"]])
    call("GET", "/v1/orders/{id}", 404, ["ord_00000000000000000000000000"])
    call("POST", "/v1/orders/{id}/reopen", 200, [order["id"]], json={"expires_in": 900})
    key = {"Idempotency-Key": "1"}
    payments = "/v1/orders/{id}/payments"
    payment = call("POST", payments, 201, [order["id"]], headers=key, json={"provider": "sandbox", "method": "action"}).json()
    call("POST", payments, 409, [order["id"]], headers={"Idempotency-Key": "2"}, json={"provider": "sandbox"})
    call("POST", payments, 422, [order["id"]], headers=key, json={"provider": "sandbox", "method": "ok"})
    call("POST", payments, 400, [order["id"]], json={"provider": "sandbox"})
    call("GET", payments, 200, [order["id"]])
    token = order["checkout_url"].rsplit("/", 1)[1]
    call("GET", "/checkout/{token}/status", 200, [token])
    call("GET", "/checkout/{token}/status?wait=1&version=2", 200, [token])
    call("GET", "/checkout/{token}", 200, [token])
    call("GET", "/checkout/{token}", 404, ["ck_x"])
    call("POST", "/checkout/{token}", 303, [token])
    call("GET", "/return/{id}", 200, [payment["id"]])
    call("POST", "/return/{id}", 303, [payment["id"]])
    call("POST", "/v1/payments/{id}/check", 200, [payment["id"]])
    call("POST", "/checkout/{token}/payments/{id}/close", 200, [token, payment["id"]])
    assert call("POST", "/v1/payments/{id}/close", 200, [payment["id"]]).json()["status"] == "closed"
    paid = call("POST", "/checkout/{token}/payments", 201, [token], headers={"Idempotency-Key": "3"},
                json={"provider": "sandbox", "method": "ok"}).json()
    call("GET", "/v1/payments/{id}?wait=5", 200, [paid["id"]])
    refunds = "/v1/payments/{id}/refunds"
    refund = call("POST", refunds, 201, [paid["id"]], headers=key, json={"amount": 99, "reason": "chipped"}).json()
    call("POST", refunds, 422, [paid["id"]], headers={"Idempotency-Key": "2"}, json={"amount": 1901})
    call("GET", refunds, 200, [paid["id"]])
    call("GET", "/v1/refunds/{id}", 200, [refund["id"]])
    call("POST", "/v1/orders/{id}/close", 409, [order["id"]])
    call("GET", "/v1/orders/{id}/events", 200, [order["id"]])
    call("GET", "/v1/events", 200)
    call("GET", "/healthz", 200)
    call("GET", "/readyz", 200)
    call("GET", "/openapi.json", 200)
    missing = {
        (method, path) for path, item in document["paths"].items() for method in item
        if item[method]["tags"] != ["Demo"] and not path.endswith((".css", ".js"))
    } - call.seen
    assert missing == {
        ("get", "/checkout/{token}/stream"), ("post", "/providers/{name}/notices"),
        ("get", "/checkout/{token}/payments/{id}/code.svg"), ("get", "/checkout/{token}/mark"),
    }, "these have tests of their own"


def test_the_feed_and_the_lists(gate):
    orders = [gate.order() for _ in range(5)]
    listed, after = [], ""
    while True:
        page = gate.get(f"/v1/orders?limit=2{after}")
        listed += [order["id"] for order in page["data"]]
        if page["next"] is None or len(listed) > 6:
            break
        after = f"&after={page['next']}"
    assert listed[:5] == [order["id"] for order in reversed(orders)]

    def drain(cursor):
        events = []
        while True:
            page = gate.get(f"/v1/events?limit=50&after={cursor}")
            if not page["data"]:
                assert page["next"] == str(cursor)
                return events, cursor
            events += page["data"]
            cursor = page["next"]

    before, cursor = drain(0)
    assert len({event["id"] for event in before}) == len(before)
    gate.pay(orders[0])
    news, _ = drain(cursor)
    # Payments of earlier tests may still be asked about, and be in doubt.
    types = [event["type"] for event in news if event["order"] == orders[0]["id"] and event["type"] != "payment.unknown"]
    assert types == ["payment.started", "payment.succeeded", "order.paid"]
    text = json.dumps(before + news)
    assert "checkout_url" not in text and "next_action" not in text and "ck_" not in text


def test_the_stream_tells_what_happens(gate):
    order = gate.order()
    views = []
    with httpx.stream("GET", order["checkout_url"] + "/stream", timeout=20) as stream:
        assert stream.headers["content-type"] == "text/event-stream"
        for line in stream.iter_lines():
            if not line.startswith("data: "):
                continue
            views.append(json.loads(line[6:]))
            if len(views) == 1:
                gate.pay(order, method="ok")
            if views[-1]["status"] == "paid":
                break
    assert views[0]["status"] == "open" and views[0]["payment"] is None
    versions = [view["version"] for view in views]
    assert versions == sorted(set(versions))


def test_status_waits_for_a_change(gate):
    order = gate.order()
    payment = gate.pay(order, method="slow", wait=0)
    assert payment.status_code == 202
    view = web.get(order["checkout_url"] + "/status?wait=20", timeout=30).json()
    assert view["status"] == "paid"


def test_the_form_needs_no_script(gate):
    order = gate.order()
    page = web.get(order["checkout_url"], headers={"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.5"})
    assert 'lang="zh-CN"' in page.text and "支付" in page.text
    assert "unsafe" not in page.headers["content-security-policy"]
    key = re.search(r'name="idempotency_key" value="([^"]+)"', page.text).group(1)
    form = {"idempotency_key": key, "method": "sandbox:ok"}
    for _ in range(3):
        answer = web.post(order["checkout_url"] + "/payments", data=form)
        assert answer.status_code == 303
    page = web.get(gate.url + answer.headers["location"], headers={"Accept-Language": "zh-CN"})
    assert "支付成功" in page.text
    assert len(gate.bank.taken(order)) == 1 and gate.now(order)["duplicates_prevented"] == 0

    other = gate.order()
    answer = web.post(other["checkout_url"] + "/payments", data={"idempotency_key": "f", "method": "sandbox:action"})
    assert answer.headers["location"].startswith(gate.bank.url + "/pay/")
    page = web.get(other["checkout_url"])
    assert "Continue at the bank" in page.text
    close = re.search(r'action="([^"]+/close)"', page.text).group(1)
    assert web.post(gate.url + close, headers={"Content-Type": "application/x-www-form-urlencoded"}).status_code == 303
    assert 'id="pay"' in web.get(other["checkout_url"]).text


def test_pages_escape_what_the_shop_says(gate):
    order = gate.order(description='<script>alert("1")</script>')
    page = web.get(order["checkout_url"]).text
    assert "<script>alert" not in page and "&lt;script&gt;" in page
