"""The list of names is held against the installed PyTorch."""

import pytest
import torch
from torch.overrides import TorchFunctionMode

from gradcheck.errors import ExpressionError
from gradcheck.implementations.overridable import (
    ADDED,
    allowed_names,
    function_of,
    overridable_names,
    reason_to_exclude,
)
from gradcheck.language.parse import parse
from gradcheck.language.torch_names import TORCH_DTYPES, allowed, check_tree, mistakes, names_used

LISTED_FOR = (2, 13)
INSTALLED = tuple(int(part) for part in torch.__version__.split(".")[:2])

DANGEROUS = [
    *("torch.load", "torch.save", "torch.hub.load", "torch.ops.load_library", "torch.compile"),
    *("torch.library.custom_op", "torch.from_file", "torch.from_numpy", "torch.set_num_threads"),
    *("torch.utils.data.DataLoader", "torch.jit.load", "torch.autograd.grad", "torch.manual_seed"),
    *("torch.classes.load_library", "torch.serialization.load", "torch._C._jit_pass_inline"),
    *("torch.os.system", "torch.sys.exit", "torch.builtins.eval", "torch.nn.functional.warnings"),
]
DANGEROUS_METHODS = [
    *(
        "numpy",
        "__reduce_ex__",
        "__reduce__",
        "__setstate__",
        "__class__",
        "__dlpack__",
        "__array__",
    ),
    *(
        "data_ptr",
        "const_data_ptr",
        "storage",
        "untyped_storage",
        "set_",
        "apply_",
        "map_",
        "map2_",
    ),
    *("register_hook", "register_post_accumulate_grad_hook", "share_memory_", "backward"),
    *("requires_grad_", "resize_", "module_load", "record_stream", "pin_memory", "retain_grad"),
]


class Listener(TorchFunctionMode):
    def __init__(self):
        super().__init__()
        self.heard = []

    def __torch_function__(self, function, types, arguments=(), keywords=None):
        self.heard.append(function)
        return function(*arguments, **(keywords or {}))


def refused(text: str, names: frozenset[str] = frozenset({"x"})) -> ExpressionError:
    with pytest.raises(ExpressionError) as caught:
        check_tree(parse(text), names)
    return caught.value


@pytest.mark.skipif(INSTALLED > LISTED_FOR, reason="a newer PyTorch may list more")
def test_every_name_that_the_installed_pytorch_allows_is_listed():
    assert not set(allowed_names()) - allowed()


@pytest.mark.skipif(INSTALLED < LISTED_FOR, reason="an older PyTorch lists less")
def test_every_listed_name_is_overridable_in_the_installed_pytorch():
    assert not allowed() - overridable_names() - ADDED


@pytest.mark.skipif(INSTALLED < LISTED_FOR, reason="an older PyTorch has less")
@pytest.mark.parametrize("name", sorted(ADDED))
def test_every_name_that_we_add_is_a_function_of_pytorch(name):
    assert callable(function_of(name))


def test_no_name_that_we_add_is_listed_by_pytorch():
    assert not ADDED & overridable_names()


def test_a_function_that_we_add_is_one_call_to_who_listens():
    numbers, mask = torch.ones(2), torch.tensor([True, False])
    with Listener() as listener:
        result = function_of("torch.masked.sum")(numbers, 0, mask=mask)
    assert listener.heard == [function_of("torch.masked.sum")]
    assert result == 1


def test_pytorchs_own_function_would_be_many_calls():
    numbers, mask = torch.ones(2), torch.tensor([True, False])
    with Listener() as listener:
        torch.masked.sum(numbers, 0, mask=mask)
    assert len(listener.heard) > 1


def test_no_listed_name_is_of_an_excluded_kind():
    assert not {
        name: reason_to_exclude(name) for name in allowed() - ADDED if reason_to_exclude(name)
    }


def test_the_file_is_sorted_so_that_it_can_be_reviewed():
    assert sorted(allowed()) == allowed_names()


@pytest.mark.parametrize("name", DANGEROUS)
def test_a_function_that_reaches_outside_is_refused(name):
    assert refused(f"{name}(x)").found.startswith(f"'{name}'")


@pytest.mark.parametrize("name", DANGEROUS_METHODS)
def test_a_method_that_reaches_outside_is_refused(name):
    assert refused(f"x.{name}()").found.startswith(f"the method '{name}'")


@pytest.mark.parametrize(
    "name",
    [
        *("torch.nn.functional.gelu", "torch.linalg.det", "torch.einsum", "torch.fft.rfft"),
        *("torch.special.zeta", "torch.conv1d", "torch.Tensor.exp_", "torch.Tensor.softmax"),
    ],
)
def test_what_takes_tensors_is_allowed(name):
    assert name in allowed()


def test_the_dtypes_are_dtypes():
    assert all(
        isinstance(getattr(torch, name.removeprefix("torch.")), torch.dtype)
        for name in TORCH_DTYPES
    )


@pytest.mark.parametrize(
    "text",
    [
        "torch.softmax(x, dim=0)",
        "F.gelu(x, approximate='tanh')",
        "x.softmax(0).exp_()[0]",
        "torch.linalg.slogdet(x)[1]",
        "torch.einsum('ij,jk->ik', x, x)",
        "x.to(torch.float64) + x.sum(dim=0, dtype=torch.float64)",
        "[x[i, :] for i in range(x.shape[0])]",
        "x[None, ..., 0:2]",
        "F.pad(x, [1, 1], value=None)",
        "-x.T @ x.mH < 3",
    ],
)
def test_the_torch_language_is_accepted(text):
    check_tree(parse(text), frozenset({"x"}))


@pytest.mark.parametrize(
    ("text", "place", "found", "fix"),
    [
        ("torch.sofmax(x)", (1, 1), "'torch.sofmax'", "write torch.softmax"),
        ("x.sofmax(0)", (1, 1), "the method 'sofmax'", "write softmax"),
        ("1 + exp(x)", (1, 5), "a call of 'exp'", "write torch.exp"),
        ("2*gelu(x)", (1, 3), "a call of 'gelu'", "write torch.nn.functional.gelu"),
        ("torch.exp(y)", (1, 11), "the name 'y', which is not defined", "declare it"),
        ("x.grad", (1, 1), "the attribute 'grad'", ""),
        ("x.__class__", (1, 1), "the attribute '__class__'", "leave it out"),
        ("x.exp", (1, 1), "the attribute 'exp'", "write .exp() to call the method"),
        ("torch.exp", (1, 1), "'torch.exp' as a value", "write torch.exp(...)"),
        ("torch.float64 + x", (1, 1), "'torch.float64' as a value", "leave it out"),
        ("torch + x", (1, 1), "the name 'torch', which is not defined", "add .NAME"),
        ("x + 'a'", (1, 5), "'a' as a value", "leave it out"),
        ("None", (1, 1), "None as a value", "leave it out"),
        ("torch.Tensor.exp_(x)", (1, 1), "'torch.Tensor.exp_'", "write x.exp_(...)"),
        ("F.sigmoid(x)", (1, 1), "'torch.nn.functional.sigmoid'", "write torch.sigmoid"),
        ("F.tanh(x)", (1, 1), "'torch.nn.functional.tanh'", "write torch.tanh"),
        ("torch.gelu(x)", (1, 1), "'torch.gelu'", "write torch.nn.functional.gelu"),
        ("torch.ln(x)", (1, 1), "'torch.ln'", "write torch.log"),
        ("ln(x)", (1, 1), "a call of 'ln'", "write torch.log"),
        ("np.exp(x)", (1, 1), "'np.exp', a function of another library", "write torch.exp"),
        ("math.sqrt(x)", (1, 1), "'math.sqrt', a function of", "write torch.sqrt"),
        ("tf.nn.relu(x)", (1, 1), "'tf.nn.relu', a function of", "write torch.relu"),
        ("jnp.linalg.det(x)", (1, 1), "'jnp.linalg.det', a function of", "write torch.det"),
        ("x*math.pi", (1, 3), "'math.pi', a name of another library", "write pi"),
        ("x*torch.pi", (1, 3), "'torch.pi' as a value", "write pi"),
        ("x[0](1)", (1, 1), "a call of something without a name", "write it with"),
        ("[y for i in range(2)]", (1, 2), "the name 'y'", ""),
        ("torch.exp(torch.save)", (1, 11), "'torch.save' as a value", "leave it out"),
    ],
)
def test_a_mistake_names_its_place_and_the_fix(text, place, found, fix):
    error = refused(text)
    assert error.place == place
    assert error.found.startswith(found)
    assert error.fix.startswith(fix)


def test_everything_that_is_wrong_is_found_at_once():
    found = mistakes(parse("np.exp(x) + F.sigmoid(y) + x.sofmax(0)"), frozenset({"x"}))
    assert [(error.place, error.fix[:17]) for error in found] == [
        ((1, 1), "write torch.exp"),
        ((1, 13), "write torch.sigmo"),
        ((1, 23), "declare it under "),
        ((1, 28), "write softmax"),
    ]


def test_an_input_called_f_is_that_input():
    check_tree(parse("F.exp() + torch.exp(F)"), frozenset({"F"}))


def test_the_names_used_are_those_from_outside():
    tree = parse("[torch.exp(x[i]) + F.gelu(a) for i in range(n)] + i")
    assert names_used(tree) == {"x", "a", "n", "i", "F", "torch"}
