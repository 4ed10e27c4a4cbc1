"""What operators and other programs see of the orders in a store."""

import csv
import json
import sqlite3
import subprocess

from support.database import POSTGRES
from support.gate import running
from support.machine import PROGRAM, ROOT, until


def run(gate, *arguments, code=0):
    said = subprocess.run([str(PROGRAM), *arguments, "--store", gate.store], capture_output=True, text=True, timeout=60)
    assert said.returncode == code, said.stderr
    return said.stdout


def states(gate):
    """What stands in the store, read by SQL."""
    if POSTGRES:
        said = subprocess.run(
            ["psql", "-XAtq", "--dbname", gate.store, "--command",
             "SELECT reference || ' ' || encode(state, 'hex') FROM orders"], capture_output=True, text=True, check=True)
        return {reference: bytes.fromhex(state) for reference, state in map(str.split, said.stdout.splitlines())}
    with sqlite3.connect(gate.store.removeprefix("sqlite:"), timeout=20) as database:
        rows = dict(database.execute("SELECT reference, state FROM orders"))
    database.close()
    return rows


def decoded(state):
    """As the stock tool of Protocol Buffers reads it, by the document."""
    return subprocess.run(
        ["protoc", "--proto_path", ROOT / "docs/reference", "--decode", "payonce.rows.Order", "order-row.proto"],
        input=state, capture_output=True, check=True).stdout.decode()


def test_what_is_stored_can_be_read(tmp_path):
    with running(tmp_path) as gate:
        paid = gate.order(metadata={"colour": "green"}, description='tea, "green", and black')
        payment = gate.pay(paid).json()
        refund = gate.call(
            "POST", f"/v1/payments/{payment['id']}/refunds", json={"amount": 500, "reason": "a chipped cup"},
            headers={"Idempotency-Key": "r-1"}).json()
        until(lambda: gate.call("GET", f"/v1/refunds/{refund['id']}").json()["status"] == "succeeded", 20, "a refund")
        waiting = gate.order()
        gate.pay(waiting, method="action")

        for name in (paid["id"], payment["id"], refund["id"]):
            shown = json.loads(run(gate, "show", name))
            assert shown["id"] == paid["id"]
        assert json.loads(run(gate, "show", paid["reference"], "--merchant", "shop")) == shown
        assert (shown["reference"], shown["status"], shown["kept_ordinal"]) == (paid["reference"], "paid", 1)
        assert shown["metadata"] == {"colour": "green"} and shown["description"] == 'tea, "green", and black'
        assert shown["payments"][0]["id"] == payment["id"] and shown["payments"][0]["currency"] == "CNY"
        assert shown["payments"][0]["calls"]["last_finding"] == "found"
        assert shown["refunds"][0]["reason"] == "a chipped cup" and shown["refunds"][0]["amount"] == 500
        events = gate.call("GET", f"/v1/orders/{paid['id']}/events").json()["data"]
        assert [(it["id"], it["type"], it["data"]) for it in shown["events"]] == [
            (it["id"], it["type"], it["data"]) for it in events]
        # Whoever has it may pay the order.
        token = paid["checkout_url"].rpartition("/")[2]
        assert "checkout_secret" not in shown
        assert json.loads(run(gate, "show", paid["id"], "--secrets"))["checkout_secret"] and token not in str(shown)

        lines = [json.loads(line) for line in run(gate, "export").splitlines()]
        assert lines[0] == shown and [line["id"] for line in lines] == [paid["id"], waiting["id"]]
        tables = {name: list(csv.DictReader(run(gate, "export", "--csv", name).splitlines(keepends=True)))
                  for name in ("orders", "payments", "refunds", "cases", "events")}
        assert tables["orders"][0]["description"] == 'tea, "green", and black'
        assert [row["id"] for row in tables["payments"]] == [payment["id"], f"pay_{waiting['id'][4:]}01"]
        assert tables["payments"][0]["calls_first_sent_call"] == "1" and tables["refunds"][0]["order"] == paid["id"]
        assert tables["cases"] == [] and len(tables["events"]) == len(shown["events"]) + len(lines[1]["events"])
        assert json.loads(tables["events"][0]["data"])["reference"] == paid["reference"]

        # Plain SQL sees the columns, and anybody's protoc the rest.
        text = decoded(states(gate)[paid["reference"]])
        for expected in ('key: "r-1"', "status: PAYMENT_STATUS_SUCCEEDED", "amount_received: 1999",
                         'reason: "a chipped cup"', "last_finding: CALL_STATE_FINDING_FOUND"):
            assert expected in text, text


def test_what_cannot_be_read_is_shown_all_the_same(tmp_path):
    with running(tmp_path) as gate:
        order = gate.order()
        gate.call("POST", f"/v1/orders/{order['id']}/close")
        later = states(gate)[order["reference"]] + bytes([0xC0, 0x3E, 7])
        if POSTGRES:
            subprocess.run(["psql", "-Xq", "--dbname", gate.store, "--command",
                            f"UPDATE orders SET state = '\\x{later.hex()}'"], check=True)
        else:
            with sqlite3.connect(gate.store.removeprefix("sqlite:"), timeout=20) as database:
                database.execute("UPDATE orders SET state = ?", [later])
            database.close()
        assert gate.call("GET", f"/v1/orders/{order['id']}").status_code == 503
        shown = json.loads(run(gate, "show", order["id"]))
        assert (shown["field_1000"], shown["close_reason"], shown["status"]) == (7, "cancelled", "closed")
        assert json.loads(run(gate, "export", code=1)) == shown, "and it says that something is missing"


def test_what_is_not_there(tmp_path):
    with running(tmp_path) as gate:
        for arguments, said in [
            (["show", "ord_" + "0" * 26], "There is no such order"), (["show", "A-1001"], "--merchant"),
            (["show", "A-1001", "--merchant", "shop"], "There is no such order"),
            (["show", "A-1001", "--merchant", "nobody"], "There is no merchant"), (["export", "--csv", "all"], "csv"),
        ]:
            answer = subprocess.run(
                [str(PROGRAM), *arguments, "--store", gate.store], capture_output=True, text=True, timeout=60)
            assert answer.returncode != 0 and said in answer.stderr, answer.stderr
