"""A device of PyTorch's that has no float64, as Apple's have none, in the CPU's memory.

Importing it makes the device ``standin`` known to PyTorch in this process, and for good: tests
import it in processes of their own. It refuses what is 64 bits wide, as such a device does, and
``PUT`` holds each dtype that a tensor on it has had.
"""

import os

import torch
from torch.utils import backend_registration
from torch.utils._pytree import tree_leaves, tree_map

NAME = "standin"
FLUSHES = os.environ.get("STAND_IN_FLUSHES") == "1"
"""Whether its subnormal numbers count as 0, as those of XLA's do."""
NOISY = os.environ.get("STAND_IN_IS_NOISY") == "1"
"""Whether its sums differ from call to call in the last place, as those of atomics do."""

PUT, REFUSED = set(), []


class Held(torch.Tensor):
    """A tensor of the device; ``numbers`` are a tensor of the CPU."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, numbers):
        if numbers.dtype in (torch.float64, torch.complex128):
            REFUSED.append(numbers.dtype)
            raise TypeError(f"Cannot convert a {NAME} tensor to {numbers.dtype}: no such type")
        PUT.add(numbers.dtype)
        return torch.Tensor._make_wrapper_subclass(
            cls,
            numbers.shape,
            strides=numbers.stride(),
            storage_offset=numbers.storage_offset(),
            dtype=numbers.dtype,
            device=torch.device(NAME, 0),
        )

    def __init__(self, numbers):
        self.numbers = numbers

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        return run(function, *args, **(kwargs or {}))


def run(function, *args, **kwargs):
    """Call an operator on the numbers, and hold what it gives."""
    if function is torch.ops.aten._to_copy.default:
        return copied(*args, **kwargs)
    if function is torch.ops.aten._efficientzerotensor.default:
        function = torch.ops.aten.zeros.default  # what has no memory cannot be read
    if function is torch.ops.aten._neg_view.default:
        function = torch.ops.aten.neg.default  # nothing resolves such a view below this handler
    given = {id(x.numbers): x for x in tree_leaves((args, kwargs)) if isinstance(x, Held)}
    found = function(*tree_map(without_device, args), **tree_map(without_device, kwargs))
    if NOISY and "sum" in str(function):
        found = torch.nextafter(found, found + torch.randint(-1, 2, found.shape))

    def held(each):
        if id(each) in given or not isinstance(each, torch.Tensor):
            return given.get(id(each), each)
        return Held(flushed(each) if FLUSHES and each.is_floating_point() else each)

    return tree_map(held, found)


def flushed(numbers):
    return torch.where(numbers.abs() < torch.finfo(numbers.dtype).tiny, 0, numbers)


def copied(source, *, device=None, **kwargs):
    stays = isinstance(source, Held) if device is None else torch.device(device).type == NAME
    found = torch.ops.aten._to_copy(without_device(source), device="cpu", **kwargs)
    return Held(found) if stays else found


def without_device(each):
    if isinstance(each, Held):
        return each.numbers
    return torch.device("cpu") if isinstance(each, torch.device) else each


class Module(backend_registration._DummyBackendModule):
    """What stands for ``torch.cuda``."""

    def get_device_name(self, device=None):
        return "a stand-in"

    def get_rng_state(self, device=None):
        return torch.get_rng_state()

    def set_rng_state(self, state, device=None):
        torch.set_rng_state(state)


def _empty(size, **kwargs):
    return Held(torch.empty(size, **{**kwargs, "device": "cpu"}))


def _copy_from(source, target, non_blocking=False):  # noqa: FBT002 - PyTorch calls it so
    target.numbers.copy_(without_device(source))
    return target


def _empty_strided(size, stride, **kwargs):
    return Held(torch.empty_strided(size, stride, **{**kwargs, "device": "cpu"}))


backend_registration._setup_privateuseone_for_python_backend(NAME, Module())
LIBRARIES = torch.library.Library("_", "IMPL"), torch.library.Library("aten", "IMPL")
LIBRARIES[0].fallback(run, "PrivateUse1")
LIBRARIES[1].impl("empty.memory_format", _empty, "PrivateUse1")
LIBRARIES[1].impl("empty_strided", _empty_strided, "PrivateUse1")
LIBRARIES[1].impl("_copy_from", _copy_from, "PrivateUse1")
