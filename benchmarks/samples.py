"""PyTorch's own samples on trial: inputs that nobody here wrote, held against formulas.

Run by `tox -e samples`; it needs the extra `samples`. Each operator of PyTorch's operator database
brings samples, the tensors and options of its own tests. A formula holds one of them where the
call that it is stated for can be bound to the sample's arguments: what the call names becomes an
input where the sample asks for a gradient, and a constant otherwise, and what the call writes out
must be what the sample says. The formula is then written for the sample's shapes. Formulas are the
catalog's, and those of `samples.yaml` where a case states its formula for its own shapes alone.
Value, vjp and jvp are judged in float64, as in any check. `--write` writes docs/samples.md.
"""

from __future__ import annotations

import argparse
import inspect
import math
import multiprocessing
import os
import signal
import sys
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from linear_operators import LINEAR, WINDOWS, linear_map
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from gradcheck.answer import Ruling
from gradcheck.catalog.case import Case, Implementation, Input, Variant
from gradcheck.catalog.checks import Check
from gradcheck.catalog.domain import Domain, parse_domain
from gradcheck.catalog.inline import case_of
from gradcheck.catalog.variants import substitute
from gradcheck.cli.arguments import cases_of
from gradcheck.errors import ExpressionError
from gradcheck.graph.folding import MOST_WORK, TooLarge
from gradcheck.graph.graph import Graph
from gradcheck.graph.lower import lower
from gradcheck.implementations.overridable import function_of
from gradcheck.language import nodes
from gradcheck.language.nodes import Node
from gradcheck.language.parse import parse
from gradcheck.language.torch_names import children, dotted
from gradcheck.methods._torch.calling import warm_up
from gradcheck.reference.conditions import holds
from gradcheck.run.observation import observe
from gradcheck.run.ruling import calm_warnings
from gradcheck.run.session import session_of

ROOT = Path(__file__).parent.parent
WITNESSES = ("value", "reverse", "forward")
LARGEST = 400
"""Entries of a sample's inputs together, and of its results."""
LARGEST_MATRIX = 40_000
"""Entries of the matrices of a linear operator."""
SAMPLES = 24
"""At most so many of an operator's samples, evenly spread."""
SECONDS = 2
"""Of the processor's time; a sample that takes longer is given up."""
PAGE = ROOT / "docs" / "samples.md"


@dataclass(frozen=True, slots=True)
class Rule:
    """A formula, and the call that it is stated for.

    ``base`` and ``arguments`` are those of the call; ``part`` is what is taken of its result.
    ``where`` are the conditions and ``domains`` those of the inputs that the case declares;
    ``shapes`` are theirs where the formula is written for no others.
    """

    source: str
    arguments: tuple[Node, ...]
    keywords: tuple[tuple[str, Node], ...]
    part: int | str | None
    formula: Any
    lets: Mapping[str, Node]
    constants: Mapping[str, Any]
    where: tuple[Node, ...] = ()
    domains: Mapping[str, Domain] = field(default_factory=dict)
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


class NotHeld(Exception):
    """Why a rule cannot hold a sample; of several rules the reason of highest rank is told."""

    def __init__(self, rank: int, reason: str) -> None:
        super().__init__(rank, reason)
        self.rank, self.reason = rank, reason


# ---- what a call of the sample says, by the names of the function's parameters


def signatures(op: Any) -> list[inspect.Signature]:
    """The signatures of an operator, one for each overload; of what has none by its positions."""
    if inspect.isfunction(op.op):
        return [_without_types(inspect.signature(op.op))]
    name = getattr(op.op, "__name__", op.name).partition(".")[0]
    schemas = torch._C._jit_get_schemas_for_operator(f"aten::{name}")
    return [_signature(schema) for schema in schemas] or [_POSITIONS]


def _without_types(signature: inspect.Signature) -> inspect.Signature:
    """Of Python's functions only the names and defaults: their types are not those of schemas."""
    empty = inspect.Parameter.empty
    return signature.replace(
        parameters=[each.replace(annotation=empty) for each in signature.parameters.values()]
    )


_POSITIONS = inspect.signature(lambda *arguments, **keywords: None)
_TENSORS = {"Tensor": (Tensor,), "Optional[Tensor]": (Tensor, type(None)),
            "List[Tensor]": (list, tuple)}  # fmt: skip


def _signature(schema: Any) -> inspect.Signature:
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return inspect.Signature(
        [
            inspect.Parameter(
                each.name + "_" * (each.name in ("from", "lambda")),
                kinds[each.kwarg_only],
                default=each.default_value if each.has_default_value() else inspect.Parameter.empty,
                annotation=str(each.type),
            )
            for each in schema.arguments
        ],
        __validate_parameters__=False,
    )


def _bound(
    signature: inspect.Signature, arguments: Sequence[Any], keywords: Mapping[str, Any]
) -> dict[str, Any] | None:
    try:
        found = signature.bind(*arguments, **keywords)
    except TypeError:
        return None
    found.apply_defaults()
    return {
        name: _plain(value, signature.parameters[name].annotation)
        for name, value in found.arguments.items()
    }


def _plain(value: Any, annotation: Any) -> Any:
    """A value in one of its spellings: float64 is what the input is, and an int is a list."""
    if value is torch.float64:
        return None
    is_one = annotation == "List[int]" and isinstance(value, int | nodes.Literal)
    return [value] if is_one else value


def _has_types(signature: inspect.Signature, values: Mapping[str, Any]) -> bool:
    for name, parameter in signature.parameters.items():
        known, value = _TENSORS.get(parameter.annotation), values[name]
        if known and not isinstance(value, known):
            return False
        is_plain = known is None and parameter.annotation is not inspect.Parameter.empty
        if is_plain and isinstance(value, Tensor):
            return False
    return True


# ---- rules


def written_rules(table: Mapping[str, Any]) -> dict[str, list[Rule]]:
    """The rules of `samples.yaml`, by the operator's name."""
    found: dict[str, list[Rule]] = {}
    for name, entries in table["rules"].items():
        for k, entry in enumerate(entries):
            call, part = _taken(parse(entry["call"]))
            formula = entry["formula"]
            trees = (
                {out: None if text is None else parse(text) for out, text in formula.items()}
                if isinstance(formula, dict)
                else parse(str(formula))
            )
            lets = {let: parse(str(text)) for let, text in entry.get("let", {}).items()}
            rule = Rule(f"samples.yaml::{name}[{k}]", call.arguments, call.keywords, part, trees,
                        lets, {}, domains={})  # fmt: skip
            found.setdefault(name, []).append(rule)
    return found


def catalog_rules(cases: Iterable[Case], own_shapes: Collection[str]) -> dict[Any, list[Rule]]:
    """By PyTorch's function the rules of a catalog: what is one call of it.

    ``own_shapes`` are the cases of which nobody can see that they are about theirs alone.
    """
    found: dict[Any, list[Rule]] = defaultdict(list)
    for case in cases:
        if any(each.domain.complex for each in case.inputs):
            continue
        for implementation in case.implementations:
            for tree, formula in _stated(case, implementation.tree):
                taken = _taken(tree)
                function = None if taken is None else _function(taken[0], case)
                if function is not None:
                    rule = _rule(case, function[1], taken, formula)
                    if rule.source in own_shapes:
                        rule = replace(rule, shapes=_shapes(case))
                    found[function[0]].append(rule)
    return found


def _stated(case: Case, tree: Node | None) -> Iterator[tuple[Node, Any]]:
    """What the torch text calls, with the formula for it: one for each output."""
    if isinstance(case.formula, dict) and isinstance(tree, nodes.Sequence):
        yield from zip(tree.items, case.formula.values(), strict=True)
    elif isinstance(case.formula, nodes.Sequence) and isinstance(tree, nodes.Sequence):
        yield from zip(tree.items, case.formula.items, strict=False)
    elif tree is not None:
        yield tree, case.formula


def _taken(tree: Node) -> tuple[nodes.Call, int | str | None] | None:
    """The call, and what is taken of its result by index or by name."""
    match tree:
        case nodes.Call():
            return tree, None
        case nodes.Subscript(nodes.Call() as call, (nodes.Literal(Fraction() as index),)):
            return call, int(index)
        case nodes.Attribute(nodes.Call() as call, name):
            return call, name
    return None


def _function(call: nodes.Call, case: Case) -> tuple[Any, tuple[Node, ...]] | None:
    """PyTorch's function and its arguments, that of a method with the tensor before the others."""
    names = frozenset(each.name for each in case.inputs) | case.constants.keys()
    name = dotted(call.function, names)
    arguments = call.arguments
    if name is None:
        name = f"torch.Tensor.{call.function.name}"
        arguments = (call.function.base, *arguments)
    try:
        return function_of(name), arguments
    except AttributeError:
        return None


def _rule(case: Case, arguments: tuple[Node, ...], taken: Any, formula: Any) -> Rule:
    call, part = taken
    texts = (formula, case.lets)
    return Rule(
        source=f"{Path(case.where.path).name}::{case.name}",
        arguments=arguments,
        keywords=call.keywords,
        part=part,
        formula=formula,
        lets=case.lets,
        constants=case.constants,
        where=case.conditions,
        domains={each.name: each.domain for each in case.inputs},
        shapes=_shapes(case) if _writes_out(texts) else {},
    )


def _shapes(case: Case) -> dict[str, tuple[int, ...]]:
    return {each.name: each.shape for each in case.inputs}


_WRITTEN_OUT = nodes.Subscript | nodes.Comprehension | nodes.Sequence


def _writes_out(tree: object) -> bool:
    """Whether a formula speaks of single entries, so that it says nothing of other shapes."""
    if isinstance(tree, _WRITTEN_OUT):
        return True
    if isinstance(tree, Mapping):
        return any(map(_writes_out, tree.values()))
    if isinstance(tree, tuple):
        return any(map(_writes_out, tree))
    return any(map(_writes_out, children(tree)))


# ---- one rule and one sample


@dataclass(frozen=True, slots=True)
class Sides:
    """What the names of a rule stand for: inputs are tensors, all else is data."""

    inputs: dict[str, Tensor]
    values: dict[str, Any]


def sides_of(rule: Rule, signature: inspect.Signature, given: Mapping[str, Any]) -> Sides:
    """Bind a rule's call to what a sample gives.

    Errors: NotHeld where the call cannot be bound.
    """
    written = _bound(signature, rule.arguments, dict(rule.keywords))
    if written is None:
        raise NotHeld(1, "no formula is stated for these arguments")
    sides = Sides({}, {})
    for name, node in written.items():
        _match(node, given[name], name, sides)
    return sides


def _match(node: Any, value: Any, name: str, sides: Sides) -> None:
    """One argument: a name takes the value, a list is matched item by item, all else is equal."""
    if isinstance(node, nodes.Name) and node.name != "inf":
        _take(node.name, value, sides)
    elif isinstance(node, nodes.Sequence | tuple) and isinstance(value, list | tuple):
        items = node.items if isinstance(node, nodes.Sequence) else node
        if len(items) != len(value):
            raise NotHeld(1, f"no formula is stated for so many {name}")
        for item, each in zip(items, value, strict=True):
            _match(item, each, name, sides)
    elif not _equals(_constant(node), value):
        raise NotHeld(1, f"no formula is stated for {name}={_shown(value)}")


def _take(name: str, value: Any, sides: Sides) -> None:
    known = sides.inputs.get(name, sides.values.get(name, value))
    if known is not value and not _equals(known, value):
        raise NotHeld(1, f"{name} stands for two values")
    if isinstance(value, Tensor) and value.is_floating_point() and value.requires_grad:
        sides.inputs[name] = value
    else:
        sides.values[name] = _data(value, name)


def _constant(node: Any) -> Any:
    match node:
        case nodes.Literal(value):
            return value
        case nodes.Name("inf"):
            return math.inf
        case nodes.Unary("-", nodes.Literal(Fraction()) | nodes.Name("inf") as operand):
            return -_constant(operand)
        case nodes.Sequence(items):
            return [_constant(item) for item in items]
    return node  # a default, or what is never equal to a value


def _equals(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) or isinstance(other, Tensor):
        return one is other
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_equals, one, other))
    return bool(one == other) and (isinstance(one, bool) == isinstance(other, bool))


def _data(value: Any, name: str) -> Any:
    """A value as constants hold it. Errors: NotHeld for what no constant is."""
    if isinstance(value, Tensor):
        if value.is_complex() or value.layout is not torch.strided:
            raise NotHeld(1, "a complex or sparse tensor")
        return _data(value.detach().tolist(), name)
    if isinstance(value, list | tuple):
        return [_data(item, name) for item in value]
    if value is None or isinstance(value, bool | str | int):
        return Fraction(value) if type(value) is int else value
    if isinstance(value, float) and np.isfinite(value):
        return Fraction(value)
    raise NotHeld(1, f"{name}={_shown(value)} is nothing that a formula can name")


def _shown(value: Any) -> str:
    text = "a tensor" if isinstance(value, Tensor) else repr(value)
    return text if len(text) <= 24 else type(value).__name__


def variant_of(rule: Rule, sides: Sides) -> Variant:
    """The rule's formula for a sample. Errors: NotHeld where it cannot be written for it."""
    names = {**rule.constants, **sides.values}
    words = {name: value for name, value in names.items() if value is None or type(value) is str}
    try:
        lowered = lower(
            substitute(rule.formula, words),
            inputs={name: tuple(tensor.shape) for name, tensor in sides.inputs.items()},
            names={name: value for name, value in names.items() if name not in words},
            lets={name: substitute(tree, words) for name, tree in rule.lets.items()},
            conditions=substitute(rule.where, words),
            graph=Graph(MOST_WORK),
        )
    except (ExpressionError, TooLarge):
        raise NotHeld(2, "the formula is stated for other shapes") from None
    real = parse_domain("real")
    inputs = tuple(Input(name, real, tuple(tensor.shape)) for name, tensor in sides.inputs.items())
    return Variant("", {}, inputs, lowered)


def code_of(op: Any, sample: Any, part: int | str | None, sides: Sides) -> Callable[..., Any]:
    """The operator as the sample calls it, of new tensors in the place of the inputs."""
    places = {id(tensor): k for k, tensor in enumerate(sides.inputs.values())}

    def call(*tensors: Tensor) -> Any:
        def put(value: Any) -> Any:
            return tensors[places[id(value)]] if id(value) in places else value

        result = op.op(put(sample.input) if isinstance(sample.input, Tensor) else
                       tree_map(put, sample.input), *tree_map(put, tuple(sample.args)),
                       **tree_map(put, dict(sample.kwargs)))  # fmt: skip
        if part is None:
            return result
        return result[part] if isinstance(part, int) else getattr(result, part)

    return call


@cache
def _template() -> Case:
    return case_of({"formula": "x", "inputs": {"x": "real"}}, shown="sample", labels={})


def judged(rule: Rule, op: Any, sample: Any, given: Mapping[str, Any], signature: Any) -> Held:
    """What a rule says of a sample. Errors: NotHeld."""
    return _judged_sides(rule, op, sample, sides_of(rule, signature, given))


def judged_as_linear(op: Any, sample: Any) -> Held:  # noqa: C901, PLR0915
    """What the matrix of a linear operator says of a sample. Errors: NotHeld."""
    given = (sample.input, tuple(sample.args), dict(sample.kwargs))
    tensors = [each for each in tree_leaves(given) if isinstance(each, Tensor)]
    inputs = {id(each): each for each in tensors if each.requires_grad}
    sides = Sides({f"x{k}": each for k, each in enumerate(inputs.values())}, {})
    rule = Rule(f"linear_operators.py::{op.name}", (), (), None, None, {}, {})
    _check_inputs(rule, sides)
    if not all(each.numel() for each in inputs.values()):
        raise NotHeld(4, "without entries")
    function = {**LINEAR, **WINDOWS}[op.name]

    def by_numpy(arrays: list[np.ndarray[Any, Any]]) -> Any:
        places = dict(zip(inputs, arrays, strict=True))
        first, arguments, keywords = tree_map(
            lambda each: (places.get(id(each), each.detach().numpy())
                          if isinstance(each, Tensor) else each), given)  # fmt: skip
        return function(first, *arguments, **keywords)

    try:
        found = linear_map(by_numpy, [tuple(each.shape) for each in inputs.values()])
    except (TypeError, ValueError, IndexError, KeyError):
        raise NotHeld(1, "no formula is stated for these arguments") from None
    if sum(each.size for each in found.matrices) > LARGEST_MATRIX:
        raise NotHeld(4, f"a matrix of more than {LARGEST_MATRIX:,} entries")
    if sum(map(math.prod, found.shapes)) > LARGEST:
        raise NotHeld(4, f"more than {LARGEST:,} entries")
    formulas: dict[str, Node] = {}
    for k, (shape, rows) in enumerate(zip(found.shapes, _rows_of(found.shapes), strict=True)):
        parts = [f"c{k}", *(f"M{k}x{j} @ reshape(x{j}, [{tensor.numel()}])"
                            for j, tensor in enumerate(inputs.values()))]  # fmt: skip
        text = f"reshape({' + '.join(parts)}, {list(shape)})"
        formulas[f"y{k}"] = parse(f"amax({text}, dim=-1)" if op.name in WINDOWS else text)
        sides.values[f"c{k}"] = _exact(found.offset[rows])
        for j, matrix in enumerate(found.matrices):
            sides.values[f"M{k}x{j}"] = _exact(matrix[rows])
    formula: Any = formulas if found.several else formulas["y0"]
    if sample.kwargs.get("return_indices"):
        formula = {"values": formula, "indices": None}
    return _judged_sides(replace(rule, formula=formula), op, sample, sides)


def _rows_of(shapes: Sequence[tuple[int, ...]]) -> Iterator[slice]:
    start = 0
    for shape in shapes:
        yield slice(start, start := start + math.prod(shape))


def _exact(numbers: np.ndarray[Any, Any]) -> Any:
    return [
        _exact(each) if isinstance(each, np.ndarray)
        else Fraction(int(each.numerator), int(each.denominator))
        for each in numbers
    ]  # fmt: skip


def _judged_sides(rule: Rule, op: Any, sample: Any, sides: Sides) -> Held:
    if not sides.inputs:
        raise NotHeld(1, "nothing in it asks for a gradient")
    _check_inputs(rule, sides)
    variant = variant_of(rule, sides)
    code = code_of(op, sample, rule.part, sides)
    points = {name: tensor.detach().numpy().copy()[None] for name, tensor in sides.inputs.items()}
    _check_shapes(variant, code, sides)
    _check_domain(rule, variant, points)
    own = Implementation(text=op.name, where=_template().where, given=code)
    case = replace(_template(), name=op.name, inputs=variant.inputs, variants=(variant,),
                   implementations=(own,), order=1)  # fmt: skip
    rulings = {
        witness: _ruling(Check(case, variant, own, witness, "cpu", "float64", op.name), points)
        for witness in WITNESSES
    }
    return Held(rule.source, rulings)


def _check_inputs(rule: Rule, sides: Sides) -> None:
    if any(tensor.dtype is not torch.float64 for tensor in sides.inputs.values()):
        raise NotHeld(1, "of another dtype than float64")
    if not all(tensor.isfinite().all() for tensor in sides.inputs.values()):
        raise NotHeld(4, "with NaN or infinity")
    if sum(tensor.numel() for tensor in sides.inputs.values()) > LARGEST:
        raise NotHeld(4, f"more than {LARGEST:,} entries")
    shapes = {name: tuple(tensor.shape) for name, tensor in sides.inputs.items()}
    if rule.shapes and any(shapes[name] != rule.shapes.get(name) for name in shapes):
        raise NotHeld(2, "the formula is stated for other shapes")


def _check_shapes(variant: Variant, code: Callable[..., Any], sides: Sides) -> None:
    results = code(*(tensor.detach() for tensor in sides.inputs.values()))
    results = results if isinstance(results, list | tuple) else [results]
    ports = variant.formula.ports_on_trial
    if len(results) != len(ports):
        raise NotHeld(2, "no formula is stated for all of its results")
    for result, port in zip(results, ports, strict=True):
        if port is not None and tuple(result.shape) != port.shape:
            raise NotHeld(3, "the formula is stated for other shapes")
    if sum(result.numel() for result in results if isinstance(result, Tensor)) > LARGEST:
        raise NotHeld(4, f"more than {LARGEST:,} entries")
    if not sum(result.numel() for result in results if isinstance(result, Tensor)):
        raise NotHeld(4, "without entries")


def _check_domain(rule: Rule, variant: Variant, points: Mapping[str, Any]) -> None:
    inside = all(
        rule.domains[name].contains(entry)
        for name, numbers in points.items()
        if name in rule.domains
        for entry in numbers.ravel().tolist()
    )
    row = np.concatenate([numbers.reshape(1, -1) for numbers in points.values()], axis=1)
    if not inside or holds(variant.formula, row)[0] is False:
        raise NotHeld(4, "outside of the case's domain")


@dataclass(frozen=True, slots=True)
class Held:
    """A sample that was held against a formula: by witness the ruling, and the reason."""

    source: str
    rulings: Mapping[str, tuple[Ruling, str]]

    @property
    def ruling(self) -> Ruling:
        """The worst of all; an abstention counts only where nothing was judged."""
        judged = [each for each, _ in self.rulings.values() if each is not Ruling.ABSTAIN]
        return max(judged, key=lambda each: each.severity, default=Ruling.ABSTAIN)


def _ruling(check: Check, points: Mapping[str, Any]) -> tuple[Ruling, str]:
    with calm_warnings(check):
        observation = observe(session_of(check), dict(points), seed=0)
    worst = observation.worst()
    if worst is None:
        return Ruling.ABSTAIN, observation.silence()
    return worst.ruling, worst.judgement.reason


@contextmanager
def limited(seconds: int, error: Exception) -> Iterator[None]:
    """Raise the error in what takes more of the processor's time, however busy it is."""

    def late(*_: object) -> None:
        raise error

    before = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


_OURS = 9  # the rank of what is a defect of this program


def hold(op: Any, sample: Any, rules: Sequence[Rule]) -> Held | NotHeld:
    """What the first rule that can hold a sample says of it, or why none can."""
    best = NotHeld(0, "no formula is stated for a call of it")
    for judge in _judges(op, sample, rules):
        try:
            with limited(SECONDS, NotHeld(4, f"takes longer than {SECONDS} s")):
                return judge()
        except NotHeld as found:
            best = found if found.rank > best.rank else best
        except Exception as error:
            return NotHeld(_OURS, f"{type(error).__name__} in gradcheck: {error}")
    return best


def _judges(op: Any, sample: Any, rules: Sequence[Rule]) -> Iterator[Callable[[], Held]]:
    """What could hold a sample, one after the other."""
    if op.name in LINEAR or op.name in WINDOWS:
        yield partial(judged_as_linear, op, sample)
    arguments = (sample.input, *sample.args)
    for signature in signatures(op):
        given = _bound(signature, arguments, sample.kwargs)
        if given is not None and _has_types(signature, given):
            for rule in rules:
                yield partial(judged, rule, op, sample, given, signature)


# ---- all operators, and the page


@dataclass(frozen=True, slots=True)
class Row:
    """An operator: how many samples it has and were looked at, and what became of these."""

    name: str
    samples: int
    found: tuple[Held | NotHeld, ...]
    known: str = ""

    @property
    def rulings(self) -> Counter[Ruling]:
        return Counter(each.ruling for each in self.found if isinstance(each, Held))

    @property
    def why_not(self) -> Counter[str]:
        return Counter(each.reason for each in self.found if isinstance(each, NotHeld))

    @property
    def disagrees(self) -> bool:
        return self.rulings[Ruling.DISAGREE] > 0


def rows(names: Collection[str] = ()) -> Iterator[Row]:
    """Every operator of the database that has a derivative, or those named; as many processes."""
    from torch.testing._internal.common_methods_invocations import op_db

    table = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text("utf-8"))
    cases = cases_of([str(ROOT / "cases")])
    by_function = catalog_rules(cases, set(table["own_shapes"]))
    by_name = written_rules(table)
    _JOBS.clear()
    for op in op_db:
        if op.supports_autograd and (not names or op.name in names):
            rules = [rule for each in _spellings(op) for rule in by_function.get(each, ())]
            _JOBS.append((op, [*rules, *by_name.get(op.name, ())], table["known"].get(op.name, "")))
    with multiprocessing.get_context("fork").Pool(os.cpu_count()) as pool:
        yield from pool.imap(_row_of_job, range(len(_JOBS)))


_JOBS: list[tuple[Any, list[Rule], str]] = []
"""What the processes are forked with: operators are no data that could be sent."""


def _row_of_job(place: int) -> Row:
    from torch.testing._internal.common_utils import set_rng_seed

    set_rng_seed(0)
    return _row(*_JOBS[place])


def _spellings(op: Any) -> list[Any]:
    named = [op, *op.aliases]
    found = (each for one in named for each in (one.op, one.method_variant, one.inplace_variant))
    return [each for each in dict.fromkeys(found) if each is not None]


def _row(op: Any, rules: Sequence[Rule], known: str) -> Row:
    if torch.float64 not in op.supported_dtypes("cpu"):
        return Row(_full_name(op), 0, (), known)
    samples = list(op.sample_inputs("cpu", torch.float64, requires_grad=True))
    step = max(1, math.ceil(len(samples) / SAMPLES))
    found = tuple(hold(op, sample, rules) for sample in samples[::step])
    return Row(_full_name(op), len(samples), found, known)


def _full_name(op: Any) -> str:
    return f"{op.name} ({op.variant_test_name})" if op.variant_test_name else str(op.name)


def page(found: Sequence[Row]) -> str:
    """The document docs/samples.md."""
    asked = sum(len(row.found) for row in found)
    held = sum(row.rulings.total() for row in found)
    some = [row for row in found if row.rulings]
    rulings = sum((row.rulings for row in found), Counter())
    counts = ", ".join(f"{rulings[each]:,} {each.value}" for each in Ruling if rulings[each])
    head = _HEAD.format(
        torch=torch.__version__.partition("+")[0],
        operators=len(found), some=len(some), samples=sum(row.samples for row in found),
        asked=asked, held=held, counts=counts,
    )  # fmt: skip
    lines = [head, _table(some), "## Not held\n", _table([row for row in found if not row.rulings])]
    return "\n".join(lines)


def _table(found: Sequence[Row]) -> str:
    lines = ["| operator | asked | held | agree | other | why others are not held |",
             "| --- | --: | --: | --: | --- | --- |"]  # fmt: skip
    for row in found:
        other = ", ".join(
            f"{count} {each.value}"
            for each, count in sorted(row.rulings.items(), key=lambda item: item[0].value)
            if each is not Ruling.AGREE
        )
        if row.disagrees and row.known:
            other += f": {row.known}"
        lines.append(f"| `{row.name}` | {len(row.found)} | {row.rulings.total()} | "
                     f"{row.rulings[Ruling.AGREE]} | {other} | {_why(row)} |")  # fmt: skip
    return "\n".join(lines) + "\n"


def _why(row: Row) -> str:
    return ", ".join(f"{text} ({count})" for text, count in row.why_not.most_common(3))


_HEAD = """\
# PyTorch's own samples

Written by `python benchmarks/samples.py --write`. PyTorch {torch}.

The inputs of PyTorch's own tests, which nobody here chose, are held against certified truth: value,
vjp and jvp in float64. A sample can be held where a call that a formula is stated for can be bound
to its arguments, and the formula be written for its shapes. Most formulas are the catalog's; for
those that a case states for its own shapes alone, `benchmarks/samples.yaml` has one for all shapes.
Of operators that pick, move, add up or average entries, or take the largest of some, NumPy gives
the matrix (`benchmarks/linear_operators.py`).

Of {samples:,} samples of {operators:,} entries of PyTorch's operator database {asked:,} were asked,
at most 24 of an entry, and {held:,} of {some:,} entries could be held: {counts}.
"""


def main() -> int:
    """Print each operator that disagrees; 1 if one is not known, or one that is known agrees."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("operators", nargs="*", help="names of the operator database; else all")
    parser.add_argument("--write", action="store_true", help="write docs/samples.md")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    warm_up()
    found = []
    for row in rows(options.operators):
        found.append(row)
        print(f"{row.name:44} {row.rulings.total():4} of {len(row.found):4}  "
              f"{row.rulings[Ruling.AGREE]:4} agree  {_why(row)}", flush=True)  # fmt: skip
    wrong = [text for row in found for text in complaints(row)]
    known = {row.name.partition(" ")[0] for row in found if row.known}
    failing = {row.name.partition(" ")[0] for row in found if row.disagrees}
    wrong += [f"{name}: known to disagree, and agrees" for name in sorted(known - failing)]
    print(*wrong, sep="\n")
    if options.write:
        PAGE.write_text(page(found), "utf-8")
    return int(bool(wrong))


def complaints(row: Row) -> Iterator[str]:
    """What disagrees and is not known, in words."""
    for each in row.found:
        if isinstance(each, NotHeld) and each.rank == _OURS:
            yield f"{row.name}: {each.reason}"
    for each in row.found if not row.known else ():
        for witness, (ruling, reason) in each.rulings.items() if isinstance(each, Held) else ():
            if ruling is Ruling.DISAGREE:
                yield f"{row.name}: {witness} disagrees with {each.source}: {reason}"


if __name__ == "__main__":
    sys.exit(main())
