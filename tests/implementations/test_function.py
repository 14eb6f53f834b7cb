"""The user's own code: what is trusted, and what is called."""

import functools
import sys
import textwrap

import pytest
import torch

from gradcheck.catalog.case import Implementation
from gradcheck.errors import CatalogError, Where
from gradcheck.implementations.function import WrongArgumentsError, load_function, taking_inputs
from gradcheck.implementations.tensors import home_of
from gradcheck.implementations.trust import refusal

HOME = home_of("float64", "cpu")
CODE = """
    import torch

    def swish(x):
        return x * torch.sigmoid(x)

    class Cube(torch.autograd.Function):
        @staticmethod
        def forward(context, x):
            context.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(context, slope):
            return slope * 3 * context.saved_tensors[0] ** 2

    layer = torch.nn.Linear(2, 1)
    turn = torch.nn.Linear(2, 1, dtype=torch.complex64)
    turn.register_buffer("steps", torch.tensor([3]))
    number = 3

    class Holder:
        inner = staticmethod(swish)
"""


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    (tmp_path / "my_gradcheck_ops.py").write_text(textwrap.dedent(CODE))
    (tmp_path / "my_broken_ops.py").write_text("raise RuntimeError('no luck')\n")
    (tmp_path / "my_exiting_ops.py").write_text("raise SystemExit(2)\n")
    (tmp_path / "my_frozen_ops.py").write_text(
        "import torch\ntorch.set_grad_enabled(False)\nf = torch.sin\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield "my_gradcheck_ops"
    sys.modules.pop("my_gradcheck_ops", None)


def loaded(function):
    where = Where("cases/a.yaml", 3, 5)
    return load_function(Implementation(function, where, function=function), HOME)


def test_a_module_that_nobody_allowed_is_refused_with_both_ways_to_allow_it():
    assert refusal("my_package.ops:swish", ()) == (
        "importing 'my_package.ops' runs its code, and the module is not trusted: allow it by "
        "--trust my_package (in a project of your own --gradcheck-trust my_package), or by "
        'trust = ["my_package"] under [tool.gradcheck] in the pyproject.toml of pytest\'s rootdir'
    )


@pytest.mark.parametrize("trusted", ["my_package", "my_package.ops"])
def test_trust_holds_for_a_module_and_what_is_below(trusted):
    assert refusal("my_package.ops:swish", {trusted}) is None


@pytest.mark.parametrize("trusted", ["my_pack", "my_package.op", "my_package.ops.deep", "ops"])
def test_trust_does_not_reach_beside_or_above(trusted):
    assert refusal("my_package.ops:swish", {trusted}) is not None


def test_a_function_is_called(own_module):
    assert loaded(f"{own_module}:swish")(torch.zeros(())).item() == 0.0


def test_an_attribute_may_be_dotted(own_module):
    assert loaded(f"{own_module}:Holder.inner")(torch.zeros(())).item() == 0.0


def test_of_an_autograd_function_apply_is_called(own_module):
    x = torch.tensor(2.0, requires_grad=True)
    (gradient,) = torch.autograd.grad(loaded(f"{own_module}:Cube")(x), x)
    assert gradient.item() == 12.0


def test_a_module_is_copied_to_the_dtype_with_constant_parameters(own_module):
    layer = loaded(f"{own_module}:layer")
    assert {(each.dtype, each.requires_grad) for each in layer.parameters()} == {
        (torch.float64, False)
    }
    original = sys.modules[own_module].layer
    assert all(each.requires_grad and each.dtype == torch.float32 for each in original.parameters())


@pytest.mark.parametrize("dtype", ["float64", "bfloat16", "complex128"])
def test_the_parameters_of_a_module_stay_real_or_complex_and_its_integers_integers(
    own_module, dtype
):
    where, home = Where("cases/a.yaml", 3, 5), home_of(dtype, "cpu")
    real, turned = (
        load_function(Implementation(name, where, function=f"{own_module}:{name}"), home)
        for name in ("layer", "turn")
    )
    assert real.weight.dtype == getattr(torch, dtype).to_real()
    assert turned.weight.dtype == real.weight.dtype.to_complex()
    assert turned.steps.dtype == torch.int64


@pytest.mark.usefixtures("own_module")
def test_a_module_that_switches_gradients_off_does_so_for_itself():
    loaded("my_frozen_ops:f")
    assert torch.is_grad_enabled()


@pytest.mark.parametrize(
    ("function", "found"),
    [
        ("no_such_module_here:f", "importing 'no_such_module_here' raised ModuleNotFoundError"),
        ("my_broken_ops:f", "importing 'my_broken_ops' raised RuntimeError: no luck"),
        ("my_exiting_ops:f", "importing 'my_exiting_ops' raised SystemExit: 2"),
        ("my_gradcheck_ops:swosh", "'my_gradcheck_ops:swosh': there is no 'swosh'"),
        ("my_gradcheck_ops:number", "'my_gradcheck_ops:number' is a int"),
        ("my_gradcheck_ops:Holder", "'my_gradcheck_ops:Holder' is the class Holder"),
    ],
)
@pytest.mark.usefixtures("own_module")
def test_a_mistake_is_reported_at_the_place_in_the_case(function, found):
    with pytest.raises(CatalogError) as caught:
        loaded(function)
    (problem,) = caught.value.problems
    assert str(problem.where) == "cases/a.yaml:3:5"
    assert problem.found.startswith(found)


@pytest.mark.parametrize(
    ("function", "fix"),
    [
        ("my_gradcheck_ops:swishh", "write swish"),
        ("my_gradcheck_ops:Holder.iner", "write inner"),
        ("my_gradcheck_ops:nothing_like_it", "correct the name after the colon"),
    ],
)
@pytest.mark.usefixtures("own_module")
def test_a_misspelt_name_is_answered_by_the_nearest(function, fix):
    with pytest.raises(CatalogError) as caught:
        loaded(function)
    assert caught.value.problems[0].fix == fix


X = torch.ones(2)
HOW = "with the one input and nothing else"
CALLED = f"the function is called {HOW}"


def scaled(x, alpha):
    return alpha * x


@functools.wraps(scaled)
def wrapped(*args):
    return scaled(*args)


def nullary():
    return X


class Power(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, n):
        return x**n


class Layer(torch.nn.Module):
    def forward(self, x, y):
        return x + y


@torch.library.custom_op("gradcheck_tests::power", mutates_args=())
def power(x: torch.Tensor, n: int) -> torch.Tensor:
    return x**n


@pytest.mark.parametrize(
    ("function", "said", "signature"),
    [
        (scaled, "scaled() missing 1 required positional argument: 'alpha'", "(x, alpha)"),
        (wrapped, "scaled() missing 1 required positional argument: 'alpha'", "(x, alpha)"),
        (nullary, "nullary() takes 0 positional arguments but 1 was given", "()"),
        (Power.apply, "Power.forward() missing 1 required positional argument: 'n'", "(ctx, x, n)"),
        (Layer(), "Layer.forward() missing 1 required positional argument: 'y'", "(x, y)"),
    ],
)
def test_what_is_missing_and_what_is_given_are_told(function, said, signature):
    with pytest.raises(WrongArgumentsError) as caught:
        taking_inputs(function, HOW)(X)
    assert str(caught.value) == f"{said} - {CALLED} (its signature: {signature})"


@pytest.mark.parametrize("function", [power, torch.ops.gradcheck_tests.power, torch.atan2])
def test_what_is_not_written_in_python_is_told_so_too(function):
    with pytest.raises(WrongArgumentsError) as caught:
        taking_inputs(function, HOW)(X)
    assert str(caught.value).endswith(f" - {CALLED}")


def calls_another_wrongly(x):
    return scaled(x)


def test_a_mistake_inside_of_the_function_is_its_own():
    with pytest.raises(TypeError, match="missing 1 required") as caught:
        taking_inputs(calls_another_wrongly, HOW)(X)
    assert type(caught.value) is TypeError


def test_a_function_that_fits_is_called():
    assert taking_inputs(scaled, HOW)(X, 2 * X).tolist() == [2.0, 2.0]
