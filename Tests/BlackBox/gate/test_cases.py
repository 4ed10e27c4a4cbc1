"""What a machine must not decide alone, as an operator sees and decides it: by commands, and by the API."""

import json
import subprocess

import httpx

from support.gate import running
from support.machine import PROGRAM, until


def cases(gate, *arguments, code=0):
    answer = subprocess.run(
        [str(PROGRAM), "cases", *arguments, "--store", gate.store], capture_output=True, text=True, timeout=60)
    assert code in (None, answer.returncode), answer
    return answer


def listed(gate, code):
    return json.loads(cases(gate, "list", "--json", code=code).stdout)["data"]


def test_a_case_from_its_beginning_to_its_end(tmp_path):
    with running(tmp_path) as gate:
        assert listed(gate, 0) == [] and cases(gate, "list").stdout == ""
        gate.bank.faults(wrong_amount=1)
        order = gate.order()
        gate.pay(order)
        gate.bank.faults()
        item, = until(lambda: listed(gate, None), what="a case")
        assert (item["reason"], item["order"], item["reference"]) == ("wrong_amount", order["id"], order["reference"])
        assert item["number"] == order["number"] + "01" and item["merchant"] == "shop"
        line = cases(gate, "list", code=1).stdout.rstrip("\n").split("\t")
        assert line[1:3] == [item["id"], "wrong_amount"] and line[-2] == "acknowledge"
        # A person has to look: the log says so at once.
        assert until(lambda: [it for it in gate.process.log.read_text().splitlines()
                              if "error" in it and f"case={item['id']}" in it], what="the log")

        shown = json.loads(cases(gate, "show", item["id"]).stdout)
        assert shown == item and shown["choices"][0]["meaning"] and "goes back by itself" in shown["advice"]
        wrong = cases(gate, "resolve", item["id"], "retry", code=2)
        assert "acknowledge" in wrong.stderr
        assert "There is no such choice" in cases(gate, "resolve", item["id"], "burn", code=2).stderr
        assert "no case's id" in cases(gate, "show", order["id"], code=2).stderr
        assert "no such case" in cases(gate, "resolve", item["id"][:-2] + "99", "acknowledge", code=2).stderr

        # Beside the server, which goes on.
        done = json.loads(
            cases(gate, "resolve", item["id"], "acknowledge", "--note", "the bank's mistake", "--operator", "ann").stdout)
        assert (done["status"], done["choice"], done["resolved_by"], done["resolved_note"]) == (
            "resolved", "acknowledge", "ann", "the bank's mistake")
        assert json.loads(cases(gate, "resolve", item["id"], "acknowledge").stdout)["resolved_by"] == "ann"
        assert listed(gate, 0) == []
        gate.pay(gate.order())
        types = [event["type"] for event in gate.get(f"/v1/orders/{order['id']}/events")["data"]]
        assert types.count("case.resolved") == 1


def test_by_the_api(tmp_path):
    with running(tmp_path) as gate:
        gate.bank.faults(wrong_amount=1)
        gate.pay(gate.order())
        login = subprocess.run(
            [str(PROGRAM), "keys", "create", "--operator", "ben", "--store", gate.store], capture_output=True, text=True,
            check=True).stdout.strip()
        client = httpx.Client(base_url=gate.url, headers={"Authorization": f"Bearer {login}"}, timeout=40)
        item, = until(lambda: client.get("/v1/operator/cases").json()["data"], what="a case")
        answer = client.post(f"/v1/operator/cases/{item['id']}/resolve", json={"choice": "acknowledge"})
        assert answer.json()["resolved_by"] == "ben" and client.get("/v1/operator/cases").json() == {"data": [], "next": None}
        assert gate.call("GET", "/v1/operator/cases").status_code == 401
