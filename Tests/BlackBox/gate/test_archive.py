"""Old orders leave the store for a file, and come back."""

import gzip
import hashlib
import json
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
from support.gate import running
from support.machine import PROGRAM, until


def run(gate, *arguments, code=0):
    said = subprocess.run([str(PROGRAM), *arguments, "--store", gate.store], capture_output=True, text=True, timeout=60)
    assert code is None or said.returncode == code, said
    return said.stdout + said.stderr


def archive(gate, path, *more, code=0):
    return run(gate, "archive", "--older-than", "0", "--even-recent", "--to", str(path), *more, code=code)


def paid(gate, **fields):
    order = gate.order(**fields)
    assert gate.pay(order).json()["status"] == "succeeded"
    return gate.call("GET", f"/v1/orders/{order['id']}").json()


def test_orders_leave_and_come_back(tmp_path):
    with running(tmp_path) as gate:
        old = [paid(gate, description=f'tea, "green", {number}') for number in range(3)]
        waiting = gate.order()
        gate.pay(waiting, method="action")
        path = tmp_path / "old.jsonl"
        assert "there is no order" in run(gate, "archive", "--older-than", "30", "--to", str(path))
        assert not path.exists() and run(gate, "archive", "list") == ""
        shown = [json.loads(run(gate, "show", order["id"])) for order in old]
        assert "moved 3 orders into archive 1" in archive(gate, path)

        # The file is the owner's alone, and each line is what `show` showed.
        assert path.stat().st_mode & 0o777 == 0o600
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert lines[0]["format"] == "payonce archive 1"
        assert [{name: line[name] for name in line if name != "stored"} for line in lines[1:]] == shown
        number, _, orders, size, digest, name = run(gate, "archive", "list").split()
        assert (number, orders, int(size), name) == ("1", "3", path.stat().st_size, str(path))
        assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
        assert "3 orders" in run(gate, "archive", "verify", str(path))

        # The shop is told what became of them, whatever it wants, and whoever else asks is told nothing.
        order, payment = old[0], old[0]["payment"]["id"]
        registered = {"reference": order["reference"], "amount": order["amount"], "currency": order["currency"]}
        key = {"Idempotency-Key": "another"}
        for method, target, more in [
            ("GET", f"/v1/orders/{order['id']}", {}), ("GET", f"/v1/orders?reference={order['reference']}", {}),
            ("GET", f"/v1/orders/{order['id']}/payments", {}), ("GET", f"/v1/orders/{order['id']}/events", {}),
            ("GET", f"/v1/payments/{payment}", {}), ("GET", f"/v1/payments/{payment}/refunds", {}),
            ("POST", "/v1/orders", {"json": registered}), ("POST", f"/v1/orders/{order['id']}/close", {}),
            ("POST", f"/v1/orders/{order['id']}/reopen", {}), ("POST", f"/v1/payments/{payment}/check", {}),
            ("POST", f"/v1/payments/{payment}/close", {}),
            ("POST", f"/v1/payments/{payment}/refunds", {"json": {"amount": 1}, "headers": key}),
            ("POST", f"/v1/orders/{order['id']}/payments", {"json": {"provider": "sandbox"}, "headers": key}),
            ("POST", f"/v1/orders/{order['id']}/payments", {"json": {"provider": 7}, "headers": key}),
        ]:
            answer = gate.call(method, target, **more)
            assert answer.status_code == 410, (method, target, answer.text)
            problem = answer.json()
            assert problem["code"] == "order_archived" and "archive 1" in problem["detail"]
            assert problem["order"]["id"] == order["id"] and problem["order"]["status"] == "paid"
        assert gate.call("GET", f"/checkout/{order['checkout_url'].rpartition('/')[2]}/status").status_code == 404
        assert "archive 1" in run(gate, "show", payment, code=2)
        assert [line["id"] for line in map(json.loads, run(gate, "export").splitlines())] == [waiting["id"]]
        assert [it["id"] for it in gate.call("GET", "/v1/orders").json()["data"]] == [waiting["id"]]

        # So is whoever reads the feed from before.
        problem = gate.call("GET", "/v1/events").json()
        assert (problem["status"], problem["code"]) == (410, "events_archived")
        feed = gate.call("GET", f"/v1/events?after={problem['next']}").json()
        assert {event["order"] for event in feed["data"]} == {waiting["id"]} and int(feed["next"]) > int(problem["next"])

        # One comes back, and can be refunded.
        assert "brought back 1" in run(gate, "archive", "restore", str(path), payment)
        assert json.loads(run(gate, "show", order["id"])) == shown[0]
        assert gate.call("GET", f"/v1/orders/{order['id']}").json() == order
        refund = gate.call("POST", f"/v1/payments/{payment}/refunds", json={"amount": 700}, headers=key).json()
        until(lambda: gate.call("GET", f"/v1/refunds/{refund['id']}").json()["status"] == "succeeded", 20, "a refund")
        assert "brought back 1" in run(
            gate, "archive", "restore", str(path), old[1]["reference"], "--merchant", "shop")
        again = run(gate, "archive", "restore", str(path), "--all")
        assert "brought back 1" in again and "2 are in the store already" in again
        assert gate.call("GET", f"/v1/orders/{order['id']}").json()["amount_refunded"] == 700
        for before in old[1:]:
            assert gate.call("GET", f"/v1/orders/{before['id']}").json() == before

        # The next archive is another file, and its lines are of what is so now.
        assert "is there already" in archive(gate, path, code=2)
        assert "no such order" in run(gate, "show", "A-0", "--merchant", "shop", code=2)
        assert "moved 3 orders into archive 2" in archive(gate, tmp_path / "new.jsonl")
        assert json.loads((tmp_path / "new.jsonl").read_text().splitlines()[1])["refunds"][0]["amount"] == 700
        assert "3 are in other archives" in run(gate, "archive", "restore", str(path), "--all")
        assert f"{order['id']} was moved into archive 2" in run(
            gate, "archive", "restore", str(path), order["id"], code=2)
        assert gate.call("GET", f"/v1/orders/{order['id']}").status_code == 410


def test_what_is_wrong_is_said(tmp_path):
    with running(tmp_path) as gate:
        orders = [paid(gate) for _ in range(2)]
        path = tmp_path / "old.jsonl"
        for arguments, said in [
            (["--older-than", "7", "--to", path], "--even-recent"), (["--older-than", "40000", "--to", path], "0 to 36500"),
            (["verify", tmp_path / "none"], "cannot be read"), (["verify", PROGRAM], "is no archive"),
            (["restore", path], "--all"),
            (["restore", path, "--merchant", "shop"], "--all"),
            # Also before there is anything to move.
            (["--older-than", "400", "--to", tmp_path / "none" / "old.jsonl"], "a folder that is there"),
            (["--older-than", "400", "--to", tmp_path], "is there already"),
        ]:
            assert said in run(gate, "archive", *map(str, arguments), code=2)
        assert sorted(tmp_path.glob("*.jsonl")) == []
        archive(gate, path)
        written = path.read_bytes()
        assert "is not in this archive" in run(gate, "archive", "restore", str(path), "ord_" + "0" * 26, code=2)
        assert "There never was an order" in run(
            gate, "archive", "restore", str(path), "A-0", "--merchant", "shop", code=2)
        for spoilt, said in [
            (written[:-40], "cut off"), (written.replace(b'"amount":1999', b'"amount":1998'), "changed"),
            (written.replace(b'"state":"', b'"state":"AAAA'), "is spoilt"), (written[:-40] + b"\n", "is spoilt"),
            (written.replace(b'"id":"', b'"id":"0', 1), "knows of no such archive"), (b"", "is empty"),
            (gzip.compress(written), "is compressed"),
        ]:
            path.write_bytes(spoilt)
            for command in (["verify", str(path)], ["restore", str(path), "--all"]):
                assert said in run(gate, "archive", *command, code=2), said
        assert gate.call("GET", f"/v1/orders/{orders[0]['id']}").status_code == 410, "nothing was brought back"
        # Behind what was moved there may be anything: a run that was interrupted leaves it.
        path.write_bytes(written + written.splitlines()[1][:50])
        verified = run(gate, "archive", "verify", str(path))
        assert "2 orders" in verified and "the 50 bytes behind them do not count" in verified


def test_one_that_is_killed_loses_nothing(tmp_path):
    with running(tmp_path) as gate:
        def closed():
            order = gate.order()
            gate.call("POST", f"/v1/orders/{order['id']}/close").raise_for_status()
            return order["id"]

        with ThreadPoolExecutor(4) as pool:
            ids = set(pool.map(lambda _: closed(), range(400)))
        files = [tmp_path / f"{number}.jsonl" for number in range(4)]
        for number, path in enumerate(files):
            process = subprocess.Popen(
                [str(PROGRAM), "archive", "--older-than", "0", "--even-recent", "--to", str(path), "--store", gate.store])
            # The later ones are let come a little further.
            until(lambda: process.poll() is not None or path.exists() and path.stat().st_size > number * 60_000, 30,
                  "an archive that grows")
            process.kill()
            process.wait()
        stored = {json.loads(line)["id"] for line in run(gate, "export").splitlines()}
        archives = [line.split("\t") for line in run(gate, "archive", "list").splitlines()]
        assert len(stored) + sum(int(archive[2]) for archive in archives) == len(ids)
        assert any(0 < int(archive[2]) for archive in archives) or stored == ids
        for path, archive in zip(files, archives):
            if int(archive[2]) > 0:
                run(gate, "archive", "verify", str(path))
                run(gate, "archive", "restore", str(path), "--all")
        assert {json.loads(line)["id"] for line in run(gate, "export").splitlines()} == ids


def test_money_of_an_archived_order_is_not_lost(tmp_path):
    with running(tmp_path) as gate:
        order = paid(gate)
        path = tmp_path / "old.jsonl"
        archive(gate, path)
        charge = {"amount": 1999, "currency": "CNY", "method": "ok",
                  "notify_url": f"{gate.url}/providers/sandbox/notices"}

        def take(ordinal):
            number = order["number"] + ordinal
            httpx.post(f"{gate.bank.url}/charges", json={"id": number, **charge}, timeout=40).raise_for_status()
            return number

        def waiting(code):
            return json.loads(run(gate, "stuck", "--json", code=code))["data"]

        # What the bank repeats of the money that the order keeps is no news.
        take("01")
        assert waiting(0) == []
        second = take("02")
        until(lambda: run(gate, "stuck", "--json", code=None) and waiting(1), 20, "a case")
        case, = waiting(1)
        assert (case["reason"], case["order"]) == ("archived_order", order["id"]) and "restore" in case["to_do"]
        # The order comes back, the bank is asked, and the money goes back.
        run(gate, "archive", "restore", str(path), order["id"])
        gate.process.kill(signal.SIGTERM)
        run(gate, "find-forgotten", "--since", order["created_at"], "--bank", gate.bank.url)
        gate.start()
        until(lambda: gate.bank.kept(order) == 1999, 40, "the surplus to go back")


def test_beside_a_server_at_work(tmp_path):
    """Orders are registered, paid and repeated while others, and then they, are moved out."""
    with running(tmp_path) as gate:
        made, stop = [], threading.Event()

        def shop():
            while not stop.is_set():
                order = gate.order()
                payment = gate.pay(order).json()
                again = gate.call("POST", "/v1/orders", json={
                    name: order[name] for name in ("reference", "amount", "currency")})
                made.append((order, payment["status"], again))

        threads = [threading.Thread(target=shop) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            files = []
            until(lambda: len(made) > 20, 30, "orders")
            while len(files) < 8 or len(made) < 100:
                files.append(tmp_path / f"{len(files)}.jsonl")
                archive(gate, files[-1])
                assert len(files) < 200
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        archive(gate, tmp_path / "last.jsonl")
        files = [file for file in [*files, tmp_path / "last.jsonl"] if file.exists()]
        for order, status, again in made:
            assert status == "succeeded"
            # It is the same order, or it is said to be away.
            assert again.status_code == 200 and again.json()["id"] == order["id"] or (
                again.status_code == 410 and again.json()["order"]["id"] == order["id"]), again.text
        for file in files:
            run(gate, "archive", "verify", str(file))
        lines = [line for file in files for line in file.read_text().splitlines()[1:]]
        ids = [json.loads(line)["id"] for line in lines]
        assert set(ids) == {order["id"] for order, _, _ in made}
        charges = gate.bank.books()["charges"]
        assert len(charges) == len(made) and {charge["status"] for charge in charges} == {"succeeded"}
        for file in files:
            run(gate, "archive", "restore", str(file), "--all")
        for order, _, _ in made:
            assert gate.call("GET", f"/v1/orders/{order['id']}").json()["status"] == "paid"
