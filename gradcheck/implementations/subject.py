"""What is on trial, as one thing that is called with tensors, whatever spelled it.

An expression is compiled before; whether one call takes many points is found by trial.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import partial
from importlib import import_module
from operator import attrgetter
from typing import Any, cast

import torch
from torch import Tensor

from gradcheck.catalog.case import Case, Implementation, Variant
from gradcheck.errors import Misconduct
from gradcheck.graph.shapes import MOST_BETWEEN
from gradcheck.implementations.compiled import (
    Compiled,
    Evaluation,
    TooLargeError,
    record_graph,
    source,
)
from gradcheck.implementations.function import check_parameters, load_function, taking_inputs
from gradcheck.implementations.tensors import Home, constant_of, home_of, plain
from gradcheck.implementations.torch_language import evaluate_calling, evaluate_torch
from gradcheck.implementations.translation import translate
from gradcheck.language.nodes import Node
from gradcheck.language.torch_names import PYTHON_NUMBERS, names_in_calling

Subject = Callable[..., Any]
"""What gives a tensor, or where the formula has several outputs a tuple or list of them."""


class ChangedSettingError(Misconduct):
    """An implementation left a setting of torch changed, by which the next call would suffer."""


def subject_of(
    case: Case, variant: Variant, implementation: Implementation, dtype: str, device: str
) -> Subject:
    """The implementation, called with tensors in the order of the case's inputs.

    ``function`` is imported here: whether it may be is asked before, see ``trust``.

    Errors: CatalogError where ``function`` cannot be loaded. The subject itself raises
            ChangedSettingError, WrongArgumentsError, or whatever the implementation raises. What
            it returns is looked at by who calls it.
    """
    home = home_of(dtype, device)
    if implementation.is_own_code:
        return _contained(_own_code(case, variant, implementation, home))
    return _expression(case, variant, implementation, home)


def source_of(
    case: Case, variant: Variant, implementation: Implementation, dtype: str, device: str
) -> str | None:
    """Return Python text that defines the implementation as ``subject``, to be run without us.

    None for a callable that a program handed over, and where only numbers decide what is called.

    Errors: TooLargeError as the subject; whatever importing a ``function`` raises.
    """
    if implementation.given is not None:
        return None
    if implementation.function is not None:
        return _source_of_own(case, variant, implementation.function, home_of(dtype, device))
    compiled = _compiled(case, variant, implementation, home_of(dtype, device))
    return None if compiled is None else source(compiled)


def _own_code(
    case: Case, variant: Variant, implementation: Implementation, home: Home
) -> Callable[..., Any]:
    """A user's function, called as the case says, with the inputs in the order of its formula."""
    names = [port.name for port in variant.formula.ports]
    placed = {each.name: each.input for each in case.parameters}
    given = [name for name in names if name not in placed.values()]
    loaded = load_function(implementation, home)
    if case.parameters:
        shapes = {port.name: port.shape for port in variant.formula.ports}
        check_parameters(loaded, implementation, case.parameters, shapes)
    how = _how(case, len(given))
    plain_function = taking_inputs(loaded, how)
    outputs = list(case.formula) if isinstance(case.formula, Mapping) else []
    constants = {name: constant_of(value, home) for name, value in case.constants.items()}
    has_buffers = bool(_buffers(loaded))

    def call(*tensors: Tensor) -> Any:
        values: dict[str, Any] = dict(zip(names, tensors, strict=True))
        called = plain_function
        replaced = {name: values[one] for name, one in placed.items()}
        if has_buffers and _is_transformed(tensors):
            # what a module assigns to a buffer is gone with the transform
            replaced = {**_buffers(loaded), **replaced}
        if replaced:
            called = taking_inputs(partial(_with_parameters, loaded, replaced), how, loaded)
        if case.calling is None:
            return in_order(called(*(values[name] for name in given)), outputs)
        values = {**variant.values, **_fresh(constants), **values}
        tree, several = case.calling.tree, bool(outputs)
        return in_order(evaluate_calling(tree, called, values, home, several=several), outputs)

    return call


def _how(case: Case, count: int) -> str:
    if case.calling is not None:
        return f"as {case.calling.text}"
    inputs = "the one input" if count == 1 else f"the {count} inputs in their order"
    return f"with {inputs} and nothing else; `call: f(x, n)` says how it is called otherwise"


def _with_parameters(
    module: Any, parameters: dict[str, Tensor], *arguments: Any, **keywords: Any
) -> Any:
    return torch.func.functional_call(module, parameters, arguments, keywords)


def _is_transformed(tensors: Sequence[Tensor]) -> bool:
    """Whether a transform is at work: a question that the compiler cannot see into."""
    if torch.compiler.is_compiling():
        return False
    return any(map(torch._C._functorch.is_functorch_wrapped_tensor, tensors))


def _buffers(function: Callable[..., Any]) -> dict[str, Tensor]:
    return dict(function.named_buffers()) if isinstance(function, torch.nn.Module) else {}


def in_order(result: Any, outputs: Sequence[str]) -> Any:
    """Return what a map, or a record with such fields, gives for each of the outputs.

    All else is returned as it is.

    Errors: Misconduct where a map has not all of them.
    """
    if not outputs:
        return result
    if is_dataclass(result) and not isinstance(result, type):
        result = {each.name: getattr(result, each.name) for each in fields(result)}
    elif set(outputs) <= set(getattr(result, "_fields", ())):  # a named tuple
        result = result._asdict()
    if not isinstance(result, Mapping):
        return result
    missing = [name for name in outputs if name not in result]
    if missing:
        keys = ", ".join(map(repr, result)) or "no keys"
        raise Misconduct(f"the implementation returned a map without {missing[0]!r}, one of the "
                         f"outputs that the formula names: it has {keys}")  # fmt: skip
    return tuple(result[name] for name in outputs)


def _source_of_own(case: Case, variant: Variant, text: str, home: Home) -> str:
    """Return Python text that imports a function, and calls it as the case says."""
    module, _, attribute = text.partition(":")
    found = attrgetter(attribute)(import_module(module))
    end = ".apply" if isinstance(found, type) else ""  # an autograd.Function: others are refused
    if isinstance(found, torch.nn.Module):
        end = f".to(device={str(home.device)!r}, dtype={home.dtype})"
    named = f"{module}.{attribute}{end}"
    if case.calling is None and not case.parameters:
        lines = [f"subject = {named}"]
    else:
        lines = list(_definition(case, variant, named, home))
    imports = [
        f"import {module}",
        *(["import torch"] if "torch." in "".join([end, *lines]) else []),
    ]
    return "\n".join([*imports, "", *lines, ""])


def _definition(case: Case, variant: Variant, named: str, home: Home) -> Iterator[str]:
    """Lines that define ``subject``, with all names that the case's `call` uses."""
    inputs = [port.name for port in variant.formula.ports]
    calling, placed = case.calling, {each.name: each.input for each in case.parameters}
    given = [name for name in inputs if name not in placed.values()]
    used = names_in_calling(calling.tree) if calling else frozenset()
    constants = {name: constant_of(value, home) for name, value in case.constants.items()}
    for name, value in {**PYTHON_NUMBERS, **variant.values, **constants}.items():
        if name in used and name not in inputs:
            yield f"{name} = {_written(plain(value))}"
    if "F" in used - {*inputs, *constants, *variant.values}:
        yield "F = torch.nn.functional"
    yield f"{'module' if placed else 'f'} = {named}"
    yield ""
    yield f"def subject({', '.join(inputs)}):"
    if placed:
        pairs = ", ".join(f"{name!r}: {one}" for name, one in placed.items())
        yield "    def f(*arguments, **keywords):"
        yield f"        replaced = {{{pairs}}}"
        yield "        return torch.func.functional_call(module, replaced, arguments, keywords)"
        yield ""
    text = calling.text if calling else f"f({', '.join(given)})"
    if calling is None or not isinstance(case.formula, Mapping):
        yield f"    return {' '.join(text.split())}"
        return
    names = list(case.formula)
    yield f"    found = {' '.join(text.split())}"
    yield f"    return [found[name] for name in {names}] if isinstance(found, dict) else found"


def _written(value: Any) -> str:
    """A number, a text or a tensor as Python code."""
    if isinstance(value, Tensor):
        return f"torch.tensor({value.tolist()}, dtype={value.dtype}, device={str(value.device)!r})"
    return f"float({str(value)!r})" if value in (math.inf, -math.inf) else repr(value)


def _fresh(constants: Mapping[str, Any]) -> dict[str, Any]:
    """Clones, as some functions write into their arguments (running statistics)."""
    return {
        name: value.clone() if isinstance(value, Tensor) else value
        for name, value in constants.items()
    }


def _expression(
    case: Case, variant: Variant, implementation: Implementation, home: Home
) -> Subject:
    """The recorded graph's own function, where there is one, so that a call costs a bare one."""
    try:
        compiled = _compiled(case, variant, implementation, home)
    except TooLargeError as error:
        return _refusing(str(error))
    interpreted = _contained(_interpreted(case, variant, implementation, home))
    if compiled is None:
        return interpreted
    forward: Subject = compiled.module.forward
    return forward if compiled.only_for is None else _guarded(forward, compiled, interpreted)


def _guarded(forward: Subject, compiled: Compiled, interpreted: Subject) -> Subject:
    """The graph for the shapes that it holds for."""
    only_for = compiled.only_for

    def call(*tensors: Tensor) -> Any:
        if tuple([each.shape for each in tensors]) == only_for:
            return forward(*tensors)
        return interpreted(*tensors)

    return call


def _refusing(text: str) -> Subject:
    def call(*_tensors: Tensor) -> Tensor:
        raise TooLargeError(text)

    return call


def _compiled(
    case: Case, variant: Variant, implementation: Implementation, home: Home
) -> Compiled | None:
    evaluation = _evaluation(case, variant, implementation)
    constants = _constants(case, implementation, home)
    most = None if implementation.tree is None else MOST_BETWEEN  # the formula's is its program's
    return record_graph(evaluation, variant.formula.ports, constants, home, most=most)


def _evaluation(case: Case, variant: Variant, implementation: Implementation) -> Evaluation:
    tree = implementation.tree
    if tree is not None:
        several = isinstance(case.formula, Mapping)
        return lambda values, home: evaluate_torch(
            tree, {**variant.values, **values}, home, several=several
        )
    return lambda values, home: translate(
        cast(Node, case.formula), case.lets, {**variant.values, **values}, home
    )


def _constants(case: Case, implementation: Implementation, home: Home) -> dict[str, Any]:
    if implementation.tree is None:
        return case.constants
    return {name: constant_of(value, home) for name, value in case.constants.items()}


def _interpreted(
    case: Case, variant: Variant, implementation: Implementation, home: Home
) -> Callable[..., Any]:
    evaluation = _evaluation(case, variant, implementation)
    constants = _constants(case, implementation, home)
    names = [port.name for port in variant.formula.ports]

    def call(*tensors: Tensor) -> Any:
        return evaluation({**_fresh(constants), **dict(zip(names, tensors, strict=True))}, home)

    return call


def _contained(function: Callable[..., Any]) -> Subject:
    """The function; a setting that it leaves changed is set back, and is misconduct."""

    def call(*tensors: Tensor) -> Any:
        grad, dtype = torch.is_grad_enabled(), torch.get_default_dtype()
        try:
            result = function(*tensors)
        finally:
            left = (torch.is_grad_enabled(), torch.get_default_dtype())
            if left != (grad, dtype):
                torch.set_grad_enabled(grad)
                torch.set_default_dtype(dtype)
        if left[0] is not grad:
            raise ChangedSettingError(f"the implementation left torch.set_grad_enabled({left[0]})")
        if left[1] is not dtype:
            raise ChangedSettingError(f"the implementation left torch.set_default_dtype({left[1]})")
        return result

    return call


_RTOL, _MOST_ULPS = 1e-3, 8
"""Wide enough for kernels that differ by rounding; a function that mixes points is off by far."""


def acts_on_each_point(function: Callable[..., Any], points: Sequence[Tensor]) -> bool:
    """Whether a call on all points at once gives what calls on single points give.

    Shapes: ``points`` holds one tensor [count] for each input. The function must give [count]
            for them, and a tensor [] for single numbers; of several outputs each.
    Errors: none; an implementation that raises does not act on each point.
    """
    copies = [point.detach().clone() for point in points]
    try:
        with torch.no_grad():
            together = function(*copies)
            singly = [
                function(*(entry.clone() for entry in point)) for point in zip(*points, strict=True)
            ]
            if not isinstance(together, list | tuple):
                return isinstance(together, Tensor) and _same(together, singly)
            each = zip(together, zip(*singly, strict=True), strict=True)
            return all(_same(output, outputs) for output, outputs in each)
    except (Exception, SystemExit):
        return False


def _same(together: Any, singly: Sequence[Any]) -> bool:
    if not isinstance(together, Tensor):  # no output that is judged
        return not any(isinstance(value, Tensor) for value in singly)
    if together.shape != (len(singly),):
        return False
    if any(not isinstance(value, Tensor) or value.shape != () for value in singly):
        return False
    rtol = _RTOL
    if together.is_floating_point() or together.is_complex():
        rtol = max(rtol, _MOST_ULPS * torch.finfo(together.dtype).eps)
    return torch.allclose(together, torch.stack(list(singly)), rtol=rtol, atol=0.0, equal_nan=True)
