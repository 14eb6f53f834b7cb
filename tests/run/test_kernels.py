"""The shapes of real kernels convict a kernel with one slip, and acquit its twin, in each dtype."""

from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import pytest
import tiled_kernels
from culprits import check_of

from gradcheck.answer import Ruling, RunOptions
from gradcheck.catalog.case import Implementation
from gradcheck.catalog.load import load
from gradcheck.run.ruling import Examination

FOLDER = Path(__file__).parents[2] / "cases/kernels"
ON_TRIAL = {  # case: a variant whose tiles do not fill the axis, and the kernel
    "softmax_of_long_rows": ("n=1000", tiled_kernels.softmax),
    "attention_causal": ("n=40", partial(tiled_kernels.attention, "causal")),
    "attention_masked": ("n=40", partial(tiled_kernels.attention, "masked")),
    "attention_of_grouped_heads": ("n=40", partial(tiled_kernels.attention, "grouped")),
    "layer_norm_of_many_rows": ("m=300,n=33", tiled_kernels.layer_norm),
    "rms_norm_of_many_rows": ("m=150,n=33", tiled_kernels.rms_norm),
    "group_norm_of_images": ("n=16", tiled_kernels.group_norm),
    "batch_norm_of_many_images": ("m=70,n=16", tiled_kernels.batch_norm),
    "cross_entropy_of_many_classes": ("n=1000", tiled_kernels.cross_entropy),
    "conv2d_of_images": ("n=15,s=2", partial(tiled_kernels.conv2d, 2)),
    "linear_of_many_rows": ("m=70,n=64", tiled_kernels.linear),
    "embedding_of_repeated_rows": ("n=64", tiled_kernels.embedding),
    "swiglu_of_long_rows": ("n=1000", tiled_kernels.swiglu),
    "rotary_embedding_of_many_positions": ("n=32", tiled_kernels.rotary_embedding),
    "selective_scan_of_many_steps": ("n=20", tiled_kernels.selective_scan),
}
# Its cotangent of ones shows a sum that stops at 256; sums of mixed signs may be kept in the dtype.
WITNESS = {"layer_norm_of_many_rows": "contract"}
DTYPES = ("float32", "float16", "bfloat16")


@cache
def large_cases():
    """The cases of the folder that are there for kernels, by name."""
    files = [path for path in sorted(FOLDER.glob("*.yaml")) if path.name != "known_failures.yaml"]
    cases = [case for path in files for case in load(path, shown=path.name)]
    return {case.name: case for case in cases if "large" in case.tags}


def verdict(name, code, dtype):
    """How a kernel in the place of PyTorch's is ruled, by its gradients at two points."""
    case, (variant, _) = large_cases()[name], ON_TRIAL[name]
    chosen = [each for each in case.variants if each.name == variant]
    own = Implementation("the kernel on trial", case.where, given=code)
    case = replace(case, variants=tuple(chosen), implementations=(own,))
    check = check_of(case, WITNESS.get(name, "reverse"), dtype)
    examination = Examination(check, RunOptions(points=2))
    examination.run()
    return examination.outcome().verdict


def test_every_kernel_of_the_folder_has_its_culprit():
    assert set(ON_TRIAL) == set(large_cases())


@pytest.mark.parametrize("name", ON_TRIAL)
def test_the_three_dtypes_of_kernels_are_declared(name):
    assert large_cases()[name].dtypes == DTYPES


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ON_TRIAL)
def test_a_kernel_with_one_slip_is_convicted(name, dtype):
    code = ON_TRIAL[name][1](slips=True)
    assert verdict(name, code, dtype) is Ruling.DISAGREE


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ON_TRIAL)
def test_its_twin_is_acquitted(name, dtype):
    code = ON_TRIAL[name][1](slips=False)
    assert verdict(name, code, dtype) is Ruling.AGREE
