"""Several nodes of PayOnce on one PostgreSQL, and a round-robin client before them."""

import itertools
import signal
from contextlib import contextmanager

from support.gate import Bank, Gate


class Nodes:
    """Looks like one `Gate` whose every client goes to the next node."""

    def __init__(self, folder, bank, store, count=3, **options):
        first = Gate(folder, bank, name="node1", store=store, **options)
        rest = [
            Gate(folder, bank, name=f"node{number}", store=store, key=first.key, public_url=first.url, **options)
            for number in range(2, count + 1)]
        self.all = [first, *rest]
        self.bank, self.key, self.url = bank, first.key, first.url
        self._turn = itertools.cycle(self.all)

    def start(self):
        for node in self.all:
            node.start()
        return self

    def next(self):
        return next(self._turn)

    def client(self, **options):
        return self.next().client(**options)

    def stop(self):
        for node in self.all:
            if node.process.process and node.process.process.poll() is None:
                node.process.process.send_signal(signal.SIGCONT)
            node.process.kill(signal.SIGTERM)


@contextmanager
def running_nodes(folder, store, **options):
    bank = Bank(folder).start()
    nodes = None
    try:
        nodes = Nodes(folder, bank, store, **options)
        yield nodes.start()
    finally:
        if nodes:
            nodes.stop()
        bank.process.kill(signal.SIGTERM)
