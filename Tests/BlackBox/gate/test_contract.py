"""The published description against the running program: every answer of a tour is checked against its schema."""

import json
import re
from datetime import datetime, timedelta, timezone

import httpx
import pytest
from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import validate

from support.gate import number_of, web
from support.machine import until


@pytest.fixture(scope="module")
def document(shared_gate):
    return web.get(f"{shared_gate.url}/openapi.json").json()


def test_the_document_is_valid(document):
    validate(document)


FORMATS = FormatChecker(())


@FORMATS.checks("date-time", ValueError)
def is_a_moment(value):
    return not isinstance(value, str) or value.endswith("Z") and datetime.fromisoformat(value)


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
                Draft202012Validator(root, format_checker=FORMATS).validate(response.json())
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
    call("GET", "/return/{id}", 200, [payment["number"]])
    call("POST", "/return/{id}", 303, [payment["number"]])
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
        ("get", "/v1/operator/cases"), ("get", "/v1/operator/cases/{id}"), ("post", "/v1/operator/cases/{id}/resolve"),
    }, "these have tests of their own"


def plain(document, began):
    """The document with `...` for each moment since `began` and for a deadline of a quarter of an hour."""
    def passes(name, value):
        if not name.endswith(("_at", "_since")) or value is None:
            return value
        at, now = datetime.fromisoformat(value), datetime.now(timezone.utc)
        quarter = timedelta(minutes=15) * (name == "expires_at")
        return ... if began <= at - quarter <= now else value
    return {name: plain(value, began) if isinstance(value, dict) else passes(name, value) for name, value in document.items()}


def test_every_field_says_what_is_so(gate):
    """Where the document allows null, both null and what stands there otherwise are looked at."""
    # Moments are in whole milliseconds.
    began = datetime.now(timezone.utc) - timedelta(milliseconds=1)
    body = {"reference": "fields " + gate.key[-8:], "amount": 1999, "currency": "CNY", "description": "茶", "metadata": {"a": "7"},
            "return_url": "https://shop.example/thanks", "cancel_url": "https://shop.example/cart", "late_payment": "accept"}
    order = gate.call("POST", "/v1/orders", json=body).json()

    def said(document):
        return plain(document, began)

    opened = {
        **body, "id": order["id"], "number": number_of(gate, order["id"]), "status": "open", "close_reason": None, "amount_refunded": 0, "duplicates_prevented": 0,
        "checkout_url": order["checkout_url"], "payment": None, "expires_at": ..., "created_at": ..., "paid_at": None,
        "closed_at": None}
    assert said(order) == opened
    acting = gate.pay(order, method="action").json()
    back = f"{gate.url}/return/{acting['number']}"
    waiting = {
        "id": f"pay_{order['id'][4:]}01", "order": order["id"], "number": order["number"] + "01", "provider": "sandbox", "method": "action", "amount": 1999,
        "currency": "CNY", "amount_received": None, "currency_received": None, "amount_refunded": 0, "amount_refundable": 0,
        "status": "requires_action", "surplus": None, "captured_at": None, "unknown_since": None,
        "next_action": {"type": "redirect", "url": f"{gate.bank.url}/pay/{acting['number']}?back={back}"}, "failure": None,
        "provider_reference": None, "close_requested_at": None, "expires_at": ..., "created_at": ..., "updated_at": ...}
    assert said(acting) == waiting
    assert said(gate.now(order)) == {**opened, "payment": waiting}
    assert gate.call("POST", f"/v1/orders/{order['id']}/payments", headers={"Idempotency-Key": "another"},
                     json={"provider": "sandbox"}).status_code == 409
    closed = gate.call("POST", f"/v1/payments/{acting['id']}/close").json()
    assert said(closed) == {**waiting, "status": "closed", "next_action": None, "close_requested_at": ...}
    assert said(gate.now(order)) == {**opened, "duplicates_prevented": 1}

    taken = gate.pay(order).json()
    paid = {
        **waiting, "id": f"pay_{order['id'][4:]}02", "number": order["number"] + "02", "method": "ok", "amount_received": 1999, "currency_received": "CNY",
        "amount_refundable": 1999, "status": "succeeded", "captured_at": ..., "next_action": None}
    assert said(taken) == paid
    refunds = f"/v1/payments/{taken['id']}/refunds"
    refund = gate.call("POST", refunds, json={"amount": 99, "reason": "chipped"}, headers={"Idempotency-Key": "1"}).json()
    assert said(refund) == {
        "id": f"ref_{order['id'][4:]}01", "payment": taken["id"], "order": order["id"], "amount": 99, "currency": "CNY",
        "number": gate.bank.returned(order)[0]["id"], "cause": "requested", "reason": "chipped", "status": "succeeded", "failure": None, "unknown_since": None,
        "created_at": ..., "updated_at": ...}
    assert said(gate.now(order)) == {
        **opened, "status": "paid", "amount_refunded": 99, "duplicates_prevented": 1, "paid_at": ...,
        "payment": {**paid, "amount_refunded": 99, "amount_refundable": 1900}}
    assert said(gate.call("POST", f"/v1/orders/{gate.order()['id']}/close").json()).items() >= {
        "status": "closed", "close_reason": "cancelled", "payment": None, "paid_at": None, "closed_at": ...,
        "description": None, "return_url": None, "cancel_url": None, "late_payment": "refund"}.items()

    doubtful = gate.order()
    gate.bank.faults(lose_request=1)
    number = gate.pay(doubtful, method="declined", wait=0).json()["id"]
    doubt = until(lambda: (it := gate.get(f"/v1/payments/{number}"))["unknown_since"] and it, what="the doubt")
    tried = {**waiting, "id": f"pay_{doubtful['id'][4:]}01", "order": doubtful["id"],
             "number": doubtful["number"] + "01", "method": "declined", "next_action": None}
    assert said(doubt) == {**tried, "status": "processing", "unknown_since": ...}
    gate.bank.faults()
    declined = until(lambda: (it := gate.get(f"/v1/payments/{number}"))["failure"] and it, 60, "the refusal")
    failure = {"code": "declined", "message": "The bank declined the payment."}
    assert said(declined) == {**tried, "status": "failed", "failure": failure}

    other = gate.order(amount=700)
    gate.bank.faults(wrong_amount=1)
    odd = gate.pay(other).json()
    gate.bank.faults()
    odd = until(lambda: (it := gate.get(f"/v1/payments/{odd['id']}"))["surplus"] and it, what="what is too much")
    assert (odd["surplus"], odd["amount"], odd["amount_refundable"]) == ("mismatch", 700, 0)
    assert odd["amount_received"] != 700 and odd["currency_received"] == "CNY" and said(odd)["captured_at"] is ...


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
