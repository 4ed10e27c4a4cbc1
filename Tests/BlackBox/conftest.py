"""What every test of the built program shares: one PayOnce and its bank for each worker, and a bank that is well."""

import pytest

from support.gate import running


def pytest_configure(config):
    config.addinivalue_line("markers", "browser: needs a browser, and no store in particular")


@pytest.fixture(scope="session")
def shared_gate(tmp_path_factory):
    with running(tmp_path_factory.mktemp("payonce")) as gate:
        yield gate


@pytest.fixture
def gate(shared_gate):
    shared_gate.bank.faults()
    yield shared_gate
    shared_gate.bank.faults()
