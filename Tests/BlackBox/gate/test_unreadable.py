"""An order that a newer program or a person wrote: nothing is done about it, and everything else goes on."""

import subprocess

from support.database import change
from support.gate import running
from support.machine import PROGRAM, until


def doctor(gate):
    # An address where nothing listens: the server is not what is asked about.
    return subprocess.run(
        [str(PROGRAM), "doctor", "--store", gate.store, "--listen", "127.0.0.1:1"], capture_output=True, text=True,
        timeout=60)


def test_an_order_that_cannot_be_read(tmp_path):
    with running(tmp_path) as gate:
        spoilt = gate.order(metadata={"colour": "green"})
        payment = gate.pay(spoilt, method="action").json()
        change(gate, f"UPDATE orders SET currency = 'zzz' WHERE reference = '{spoilt['reference']}'")
        # Its next question to the bank comes, and it is not read.
        until(lambda: "cannot be read" in gate.process.log.read_text(), 60, "the complaint")

        # Another one's answer is lost, and found out by the same sweeps.
        gate.bank.faults(lose_response=1, lose_notice=1)
        other = gate.order()
        assert gate.pay(other, wait=0).status_code == 202
        until(lambda: gate.now(other)["payment"]["unknown_since"], 20, "doubt")
        gate.bank.faults()
        gate.until_status(other, "paid", 60)

        for method, path in [
            ("GET", f"/v1/orders/{spoilt['id']}"), ("GET", "/v1/orders"), ("POST", f"/v1/orders/{spoilt['id']}/close"),
        ]:
            answer = gate.call(method, path)
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable"), path
        assert gate.pay(spoilt).status_code == 503 and len(gate.bank.books()["charges"]) == 2
        # Said of each order once, and whenever somebody asks for it.
        log = gate.process.log.read_text()
        assert log.count("is passed over") == 1 and spoilt["id"] in log
        said = doctor(gate)
        assert said.returncode == 1
        assert f"orders: {spoilt['id']} cannot be read (orders)" in said.stdout, said.stdout

        # Money that came meanwhile is known of once it can be read again.
        gate.bank.cashier(payment, "pay")
        change(gate, f"UPDATE orders SET currency = 'CNY' WHERE reference = '{spoilt['reference']}'")
        paid = gate.until_status(spoilt, "paid", 90)
        assert paid["metadata"] == {"colour": "green"} and gate.bank.kept(spoilt) == 1999
        until(lambda: "all that are due can be read" in doctor(gate).stdout, 60, "a doctor who finds nothing")
