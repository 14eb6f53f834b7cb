"""The example with Triton passes, and its guide's mistakes are found and named as it shows."""

import importlib.util
import re
import shutil
from pathlib import Path

import pytest
import torch

REPOSITORY = Path(__file__).parent.parent
GUIDE = (REPOSITORY / "docs" / "triton.md").read_text("utf-8")
MISTAKES = re.findall(
    r"^```diff\n-([^\n]*)\n\+([^\n]*)\n```\n\n```text\n(.*?)^```$", GUIDE, re.M | re.S
)
FEW = ("-p", "no:cacheprovider", "--gradcheck-points", "8")

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="triton is not installed: tox -e triton"
)


@pytest.fixture
def example(pytester):
    shutil.copytree(REPOSITORY / "examples" / "triton_softmax", pytester.path, dirs_exist_ok=True)
    return pytester


def test_the_fused_softmax_passes_in_the_interpreter(example):
    found = example.runpytest_subprocess(*FEW, "--gradcheck-device", "cpu").parseoutcomes()
    assert found.keys() == {"passed", "skipped"}
    assert found["passed"] >= 60


@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA is not there")
def test_the_fused_softmax_passes_compiled_for_cuda(example, monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "0")
    found = example.runpytest_subprocess(*FEW, "--gradcheck-device", "cuda").parseoutcomes()
    assert found.keys() == {"passed", "skipped"}
    assert found["passed"] >= 60


@pytest.mark.parametrize(("right", "wrong", "shown"), MISTAKES, ids=["lanes", "sign", "float32"])
def test_a_mistake_of_the_guide_is_found_and_named_as_it_shows(example, right, wrong, shown):
    kernels = example.path / "fused_softmax.py"
    text = kernels.read_text("utf-8")
    assert text.count(right) == 1
    kernels.write_text(text.replace(right, wrong), "utf-8")
    case = "cases/softmax.yaml::softmax_of_a_vector"
    only = ("--gradcheck-witness", "value,reverse", "--gradcheck-dtype", "float64")
    done = example.runpytest_subprocess(*FEW, *only, "--gradcheck-device", "cpu", case)
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    for line in shown.splitlines():
        assert line in done.outlines


def test_the_guide_shows_the_case_of_the_example():
    (shown,) = re.findall(r"^```yaml\n(.*?)^```$", GUIDE, re.M | re.S)
    assert shown in (REPOSITORY / "examples/triton_softmax/cases/softmax.yaml").read_text("utf-8")
