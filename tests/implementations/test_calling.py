"""How a user's own code is called: by `call`, and as a module with inputs for parameters."""

import textwrap
from dataclasses import dataclass, replace
from typing import NamedTuple

import pytest
import torch

from gradcheck.catalog.case import Implementation
from gradcheck.catalog.load import load_text
from gradcheck.errors import CatalogError, Misconduct
from gradcheck.implementations.function import WrongArgumentsError
from gradcheck.implementations.subject import source_of, subject_of

X, Y = torch.tensor([2.0, 3.0]), torch.tensor([5.0, 7.0])
XY = "inputs: {x: {shape: [2]}, y: {shape: [2]}}"


def case_of(declaration, function):
    (case,) = load_text(f"c: {{{declaration}, function: 'm:f'}}", "f.yaml")
    return replace(case, implementations=(Implementation("m:f", case.where, given=function),))


def called(declaration, function, *tensors, variant=0):
    case = case_of(declaration, function)
    where = case, case.variants[variant], case.implementations[0]
    return subject_of(*where, "float32", "cpu")(*tensors)


def heard(call, rest="", variant=0):
    """The arguments that a function is given."""
    found = []

    def function(*arguments, **keywords):
        found.append((arguments, keywords))
        return X

    called(f"formula: x + y, {XY}, call: '{call}'{rest}", function, X, Y, variant=variant)
    return found


def test_arguments_by_position_and_by_name_reach_the_function_as_they_are_written():
    ((arguments, keywords),) = heard(
        'f(x, [y, [x, 2]], (1, 2.0), {"a": x, "b": "text"}, None, True, -0.5, other=torch.float16)'
    )
    assert arguments[0] is X
    assert arguments[1:] == ([Y, [X, 2]], (1, 2.0), {"a": X, "b": "text"}, None, True, -0.5)
    assert [type(each) for each in arguments[2]] == [int, float]
    assert keywords == {"other": torch.float16}


def test_what_the_torch_language_computes_of_the_inputs_is_an_argument():
    (((both, last), _),) = heard("f(torch.stack([x, 2*y]), y[1])")
    assert both.tolist() == [[2.0, 3.0], [10.0, 14.0]]
    assert last.item() == 7.0


def test_constants_and_sweep_values_reach_the_function():
    rest = (
        ", constants: {n: 3, a: 3.0, index: [1, 0], mask: [true, false], c: [1.5, 2.0]}"
        ", sweep: {mode: [mean, null]}"
    )
    call = "f(x, y, n, a, index, mask, c, mode=mode)"
    (((_, _, n, a, index, mask, c), keywords),) = heard(call, rest)
    assert (n, a, type(n), type(a)) == (3, 3.0, int, float)
    assert (index.tolist(), index.dtype) == ([1, 0], torch.int64)
    assert (mask.tolist(), mask.dtype) == ([True, False], torch.bool)
    assert (c.tolist(), c.dtype) == ([1.5, 2.0], torch.float32)
    assert keywords == {"mode": "mean"}
    assert heard(call, rest, variant=1)[0][1] == {"mode": None}


def test_an_input_may_have_the_name_of_the_function():
    case = "formula: f*g, inputs: {f: real, g: real}, call: 'f(g, f)'"
    assert called(case, torch.sub, X, Y).tolist() == [3.0, 4.0]


def test_the_same_call_written_twice_is_made_once_and_another_again():
    assert len(heard("f(x, y) + f(x, y)")) == 1
    assert len(heard("f(x, y) + f(y, x)")) == 2
    assert len(heard("[f(x[i], y)[0] for i in range(2)]")) == 2


def pair(x, y):
    return x + y, {"nested": (x * y, None)}


@pytest.mark.parametrize(
    ("call", "first"),
    [
        ("f(x, y)[0]", [7.0, 10.0]),
        ("f(x, y)[-1][\"nested\"][0]", [10.0, 21.0]),
        ("f(x, y)[0].flip(0) * 2", [20.0, 14.0]),
        ("[f(x, y)[0][1], 1]", [10.0, 1.0]),
    ],
)  # fmt: skip
def test_what_the_function_gives_is_indexed(call, first):
    assert called(f"formula: x + y, {XY}, call: '{call}'", pair, X, Y).tolist() == first


TWO = f"formula: {{sum: x + y, product: x*y}}, {XY}"


@pytest.mark.parametrize(
    "call",
    [
        '[f(x, y)[0], f(x, y)[1]["nested"][0]]',
        '{"product": f(x, y)[1]["nested"][0], "sum": f(x, y)[0]}',
    ],
)
def test_outputs_come_from_a_list_in_order_and_from_a_map_by_their_names(call):
    found = called(f"{TWO}, call: '{call}'", pair, X, Y)
    assert [each.tolist() for each in found] == [[7.0, 10.0], [10.0, 21.0]]


def by_name(x, y):
    return {"product": x * y, "sum": x + y, "rest": None}


def test_a_map_that_the_function_returns_is_read_by_the_names_of_the_outputs():
    found = called(TWO, by_name, X, Y)
    assert [each.tolist() for each in found] == [[7.0, 10.0], [10.0, 21.0]]


@dataclass
class Record:
    product: torch.Tensor
    sum: torch.Tensor
    rest: None = None


class Named(NamedTuple):
    product: torch.Tensor
    sum: torch.Tensor


@pytest.mark.parametrize("kind", [Record, Named])
def test_a_record_that_the_function_returns_is_read_by_the_names_of_the_outputs(kind):
    found = called(TWO, lambda x, y: kind(product=x * y, sum=x + y), X, Y)
    assert [each.tolist() for each in found] == [[7.0, 10.0], [10.0, 21.0]]


def test_a_tuple_with_other_names_is_read_in_order():
    found = called(TWO.replace("sum:", "total:"), lambda x, y: Named(x + y, x * y), X, Y)
    assert [each.tolist() for each in found] == [[7.0, 10.0], [10.0, 21.0]]


@pytest.mark.parametrize(
    ("call", "first"),
    [
        ("f(x, y).sum", [7.0, 10.0]),
        ("f(x, y).product.flip(0)", [21.0, 10.0]),
        ("f(x, y).rest[0].product + x", [12.0, 24.0]),
    ],
)
def test_what_the_function_gives_is_taken_by_attribute(call, first):
    def function(x, y):
        return Record(x * y, x + y, rest=[Record(x * y, x)])

    assert called(f"formula: x + y, {XY}, call: '{call}'", function, X, Y).tolist() == first


def test_results_of_pytorch_are_taken_by_attribute():
    found = called(f"formula: x + y, {XY}, call: 'f(x).values + y'", torch.sort, X, Y)
    assert found.tolist() == [7.0, 10.0]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("f(x, y).total", "a Record, which has no attribute 'total'"),
        ("f(x, y).sum.total", "a Tensor, which has no attribute 'total'"),
    ],
)
def test_an_attribute_that_is_not_there_is_told(call, said):
    with pytest.raises(Misconduct) as caught:
        called(f"formula: x + y, {XY}, call: '{call}'",
               lambda x, y: Record(x * y, x + y), X, Y)  # fmt: skip
    assert str(caught.value) == f"the code on trial gave {said}"


@pytest.mark.parametrize("call", ["f(x).__class__", "x.values + f(x)", "f(x._values)"])
def test_attributes_of_what_is_no_result_and_private_ones_are_refused(call):
    with pytest.raises(CatalogError, match="the attribute '"):
        case_of(f"formula: x + y, {XY}, call: '{call}'", pair)


@pytest.mark.parametrize(
    ("declaration", "said"),
    [
        (
            f"formula: {{sum: x + y, prod: x*y}}, {XY}",
            "the implementation returned a map without 'prod', one of the outputs that the "
            "formula names: it has 'product', 'sum', 'rest'",
        ),
        (
            f"formula: x + y, {XY}, call: 'f(x, y)[\"some\"]'",
            "the code on trial gave a map without the key 'some': it has 'product', 'sum', 'rest'",
        ),
        (
            f'formula: x + y, {XY}, call: \'f(x, y)["sum"]["a"]\'',
            "the code on trial gave a Tensor, expected a map with the key 'a'",
        ),
    ],
)
def test_what_the_function_does_not_give_is_told(declaration, said):
    with pytest.raises(Misconduct) as caught:
        called(declaration, by_name, X, Y)
    assert str(caught.value) == said


def scaled(x, *, alpha):
    return alpha * x


def test_a_call_that_does_not_fit_is_told_as_it_is_written():
    with pytest.raises(WrongArgumentsError) as caught:
        called("formula: x, inputs: {x: real}, call: 'f(x, beta=2)'", scaled, X)
    assert str(caught.value) == (
        "scaled() got an unexpected keyword argument 'beta' - the function is called as "
        "f(x, beta=2) (its signature: (x, *, alpha))"
    )


# parameters


class Affine(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(2, 2)
        self.scale = torch.nn.Parameter(torch.tensor(3.0))
        self.register_buffer("calls", torch.tensor(0))

    def forward(self, x, *, negate=False):
        self.calls += 1
        y = self.scale * self.linear(x)
        return -y if negate else y


W = torch.tensor([[1.0, 2.0], [0.0, -1.0]], requires_grad=True)
XW = "inputs: {x: {shape: [2]}, w: {shape: [2, 2]}}"
PLACED = f"formula: w @ x, {XW}, parameters: {{linear.weight: w}}"


def test_a_module_is_called_with_an_input_in_the_place_of_its_parameter():
    module = Affine()
    found = called(PLACED, module, X, W)
    expected = 3.0 * (W @ X + module.linear.bias.detach())
    torch.testing.assert_close(found, expected)
    assert torch.autograd.grad(found.sum(), W)[0].tolist() == [[6.0, 9.0], [6.0, 9.0]]
    assert not torch.equal(module.linear.weight, W)
    assert module.calls.item() == 0


def test_a_call_says_how_the_module_with_its_parameters_is_called():
    found = called(PLACED + ", call: 'f(x, negate=True)[0]'", Affine(), X, W)
    plain = called(PLACED, Affine(), X, W)
    assert found.shape == ()
    assert plain.shape == (2,)


def test_a_module_in_training_stays_so_and_keeps_the_buffers_of_its_copy():
    norm = torch.nn.BatchNorm1d(2)
    batch = torch.tensor([[1.0, 2.0], [3.0, 6.0]])
    case = "formula: x*w, inputs: {x: {shape: [2, 2]}, w: {shape: [2]}}, parameters: {weight: w}"
    found = called(case, norm, batch, torch.ones(2))
    torch.testing.assert_close(found, torch.tensor([[-1.0, -1.0], [1.0, 1.0]]), rtol=1e-4, atol=0)
    assert norm.num_batches_tracked.item() == 0


@pytest.mark.parametrize(("case", "function"), [
    ("formula: w @ x, " + XW, lambda x, w: w @ x),
    ("formula: w @ x, " + XW + ", call: 'f(x, w)'", lambda x, w: w @ x),
    (PLACED, Affine()),
])  # fmt: skip
def test_the_compiler_takes_what_a_user_wrote_as_one_graph(case, function):
    declared = case_of(case, function)
    subject = subject_of(
        declared, declared.variants[0], declared.implementations[0], "float32", "cpu"
    )
    torch._dynamo.reset()
    compiled = torch.compile(subject, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(X, W), subject(X, W))


def tied():
    module = torch.nn.Sequential(torch.nn.Linear(2, 2, bias=False), torch.nn.Linear(2, 2))
    module[1].weight = module[0].weight
    return module


def test_one_of_the_names_of_a_tied_parameter_stands_for_all():
    found = called(
        f"formula: w @ (w @ x), {XW}, parameters: {{1.weight: w}}, call: f(x)", tied(), X, W
    )
    assert torch.autograd.grad(found.sum(), W)[0].tolist() == [[10.0, 0.0], [10.0, 0.0]]


MODULE_FAULTS = [
    (
        Affine(),
        "{linear.wieght: w}",
        "f.yaml:1:81: 'm:f' has no parameter 'linear.wieght'\n"
        "  expected: one of scale, linear.weight, linear.bias\n"
        "  fix:      write linear.weight",
    ),
    (
        torch.nn.Tanh(),
        "{weight: w}",
        "f.yaml:1:81: 'm:f' has no parameter 'weight'\n"
        "  expected: nothing: it has no parameters\n"
        "  fix:      correct the name",
    ),
    (
        Affine(),
        "{linear.bias: w}",
        "f.yaml:1:81: the input 'w' of shape [2, 2] for the parameter 'linear.bias'\n"
        "  expected: the parameter's shape, [2]\n"
        "  fix:      write shape: [2]",
    ),
    (
        tied(),
        "{0.weight: w, 1.weight: w}",
        "f.yaml:1:94: '1.weight' and '0.weight', which are one parameter of 'm:f'\n"
        "  expected: each parameter once: an input takes the place of all its names\n"
        "  fix:      remove one of the two",
    ),
    (
        torch.sin,
        "{weight: w}",
        "f.yaml:1:81: 'm:f' is no module\n"
        "  expected: an instance of nn.Module, whose parameters these are\n"
        "  fix:      name one, or leave it out",
    ),
]


@pytest.mark.parametrize(("module", "parameters", "message"), MODULE_FAULTS)
def test_a_parameter_that_is_none_is_told_where_it_is_written(module, parameters, message):
    with pytest.raises(CatalogError) as caught:
        called(f"formula: w @ x, {XW}, parameters: {parameters}", module, X, W)
    assert str(caught.value) == message


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning", "ignore:The .grad:UserWarning")
def test_a_scripted_module_has_no_parameters_that_can_be_put_in_place():
    with pytest.raises(CatalogError) as caught:
        called(PLACED, torch.jit.script(torch.nn.Linear(2, 2)), X, W)
    assert "'m:f' is a scripted module, whose parameters" in str(caught.value)


# as Python text


CODE = """
    import torch

    def pair(x, n, *, alpha, index):
        return x**n * alpha, {"index": x[index]}

    layer = torch.nn.Linear(2, 2)
"""
WRITTEN = [
    (
        "formula: x, inputs: {x: {shape: [2]}}, constants: {a: 2.5, index: [1, 0]}, "
        "sweep: {n: [3]}, function: 'my_written_ops:pair', "
        "call: 'pi * F.relu(f(x, n, alpha=a, index=index)[1][\"index\"])'",
        (X.double(),),
    ),
    (
        f"formula: w @ x, {XW}, function: 'my_written_ops:layer', parameters: {{weight: w}}",
        (X.double(), W.detach().double()),
    ),
]


@pytest.mark.parametrize(("declaration", "tensors"), WRITTEN)
def test_the_source_calls_the_code_as_it_is_called_on_trial(
    declaration, tensors, tmp_path, monkeypatch
):
    (tmp_path / "my_written_ops.py").write_text(textwrap.dedent(CODE))
    monkeypatch.syspath_prepend(tmp_path)
    (case,) = load_text(f"c: {{{declaration}}}", "f.yaml")
    where = case, case.variants[0], case.implementations[0], "float64", "cpu"
    names = {}
    exec(source_of(*where), names)
    assert torch.equal(names["subject"](*tensors), subject_of(*where)(*tensors))
