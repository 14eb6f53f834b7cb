"""No text takes long or much memory, whatever it says: it is lowered or refused in time.

All texts run in one process of their own, whose memory is limited to what the case format promises.
"""

import json
import resource
import subprocess
import sys

import pytest

from gradcheck.graph.graph import MOST_NODES

SECONDS = 10  # the case format's promise; measured: at most 2 on an idle core
MEMORY = 1 << 30

HOSTILE = {
    "powers": "10**10**10",
    "powers of powers": "(((10**9)**9)**9)**9",
    "negative powers": "(1/3)**-10**10",
    "fractions to a power": "(2/3)**10**9",
    "towers": "**".join(["2"] * 60),
    "powers of one": "1**10**9000 + (-1)**10**9000",
    "powers of an input": "x**10**9000",
    "array": "zeros([64]*4)",
    "array of 2**24": "zeros([64, 64, 64, 64])",
    "array of no entries": "zeros([0, 10**9])",
    "array of many dimensions": "zeros([1 for i in range(100)])",
    "identity": "eye(10**9)",
    "outer product": "outer(ones(65536), ones(65536))",
    "broadcast": "ones([65536, 1]) + ones(65536)",
    "matrix product": "ones([256, 256]) @ ones([256, 256])",
    "list index": "ones([1, 65536])[[0 for i in range(65536)]]",
    "step limit": "sum([sum([i*j for j in range(256)]) for i in range(256)])",
    "steps without end": "sum([i for i in range(2000000000)])",
    "running products": "cumprod([i + 2 for i in range(60000)])",
    "huge fractions": "sum([10**9000/(7**9000 + i) for i in range(60000)])",
    "huge powers": "[10**9999 for i in range(65536)]",
    "arrays in a loop": "[sum(ones(65536)) for i in range(65536)]",
    "triangles of nothing": "[sum(tril(zeros([0, 256, 256]))) for i in range(65536)]",
    "determinants": "det(x + zeros([1000, 8, 8]))",
    "deep maxima": "max(" * 60 + "x" + ", max(x, 2))" * 60,
    "wide maxima": "max(" + ", ".join(["x"] * 3_000) + ")",
    "deep lists": "[" * 60 + "x" + "]" * 60,
    "squares": ["a14", "3**99", *(f"a{k}*a{k}" for k in range(14))],
    "sums of squares": ["a14", "1/3**99", *(f"a{k}*a{k} + 1/7" for k in range(14))],
    "doubled arrays": [
        "a14",
        "x*ones(9)",
        *(f"outer(reshape(a{k}, -1), ones(3))" for k in range(14)),
    ],
}

SCRIPT = """
import json, resource, sys, time
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]),) * 2)
from gradcheck.errors import ExpressionError
from gradcheck.language.parse import parse
from gradcheck.graph.lower import lower

def attempt(text):
    formula, *lets = [text] if isinstance(text, str) else text
    try:
        formula = lower(parse(formula), inputs={"x": ()}, names={}, conditions=(),
                         lets={f"a{k}": parse(tree) for k, tree in enumerate(lets)})
    except ExpressionError as error:
        return error.found
    return len(formula.graph.nodes)

for name, text in json.load(sys.stdin).items():
    start = time.process_time()
    answer = attempt(text)
    print(json.dumps([name, answer, time.process_time() - start]), flush=True)
"""


@pytest.fixture(scope="module")
def answers() -> dict[str, tuple[str | int, float]]:
    """What became of each text, and in how many seconds of CPU time."""
    command = [sys.executable, "-c", SCRIPT, str(MEMORY)]
    done = subprocess.run(
        command, input=json.dumps(HOSTILE), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return {
        name: (answer, took) for name, answer, took in map(json.loads, done.stdout.splitlines())
    }


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_is_lowered_or_refused_in_time(answers, name):
    answer, seconds = answers[name]
    assert seconds < SECONDS
    assert isinstance(answer, str) or answer <= MOST_NODES


REFUSALS = {
    "powers": "a number of more than 10,000 digits",
    "array of 2**24": "an array of shape [64, 64, 64, 64]",
    "array of no entries": "an array of shape [0, 1000000000]",
    "list index": "an array of shape [4294967296]",
    "steps without end": "more than 65,536 steps of comprehensions",
    "running products": "more than 800,000 steps of computation",
    "arrays in a loop": "more than 800,000 steps of computation",
    "squares": "a number of more than 10,000 digits",
    "doubled arrays": "an array of shape [1594323, 3]",
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_hostile_text_is_refused_for_what_it_is(answers, name):
    assert answers[name][0] == REFUSALS[name]


@pytest.mark.parametrize(
    "name", ["step limit", "powers of one", "powers of an input", "deep maxima"]
)
def test_what_is_large_and_within_the_limits_is_lowered(answers, name):
    assert isinstance(answers[name][0], int)


def test_the_limit_on_memory_is_real():
    script = (
        "import resource\nresource.setrlimit(resource.RLIMIT_AS, (1 << 30,) * 2)\nbytes(1 << 30)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert b"MemoryError" in done.stderr
    assert resource.getrlimit(resource.RLIMIT_AS)[0] != MEMORY  # and not this process's own
