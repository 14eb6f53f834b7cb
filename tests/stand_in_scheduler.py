"""A stand-in for a Dask client: its workers are done at once, with each unit and answer as JSON."""

import json
from itertools import count
from types import SimpleNamespace


class StandIn:
    """A scheduler whose workers are done at once, or die over a unit of which ``kills`` is true."""

    status = "running"

    def __init__(self, *, threads=2, gpus=0, kills=lambda unit: False, ends="finished"):
        offered = {"GPU": gpus} if gpus else {}
        worker = {"nthreads": threads, "resources": offered}
        self.scheduler_info = lambda n_workers: {"workers": {"tcp://one:1": worker}}
        self.kills, self.ends, self.keys = kills, ends, count()
        self.sent, self.out, self.most_out, self.cancelled = [], 0, 0, []

    def submit(self, work, *told, pure, resources):
        _, unit, _ = told
        self.sent.append((unit, resources))
        self.out += 1
        self.most_out = max(self.most_out, self.out)
        return self.ended(work, *told)

    def ended(self, work, name, unit, expected):
        future = SimpleNamespace(key=str(next(self.keys)), status=self.ends)
        future.add_done_callback = lambda call: call(future)
        if self.kills(unit):
            from distributed import KilledWorker  # who has not the extra skips what needs it

            future.status = "error"
            future.exception = lambda: KilledWorker("it", None, 3)
        future.result = lambda: self.answer(work, name, unit, expected)
        return future

    def answer(self, work, name, unit, expected):
        self.out -= 1
        return json.loads(json.dumps(work(name, json.loads(json.dumps(unit)), expected)))

    def cancel(self, futures):
        self.cancelled += futures

    def close(self, timeout):
        self.status = "closed"
