"""The function and its derivatives as sympy writes them, under the names of our own language."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice, product
from typing import Any

import sympy
from sympy.printing.str import StrPrinter

from gradcheck.catalog.case import Variant
from gradcheck.explanation.statements import Derivative, coordinate_names, derivatives_by
from gradcheck.ops.table import OPERATORS
from gradcheck.query import complex_entries
from gradcheck.reference import symbolic
from gradcheck.reference.derivative_graphs import GraphFunction
from gradcheck.reference.reference import scalar_operations
from gradcheck.reference.sympy_reader import Untranslatable
from gradcheck.run.entry_text import input_names, output_names

Formula = tuple[Derivative, Any]
Formulas = tuple[Formula, ...]

_MOST_OPERATIONS = 2_000
_MOST_FORMULAS = 64  # of one order
_BUDGET = 8_000  # operations of all formulas of an order: about a second

_NAMES = {each.sympy: name for name, each in OPERATORS.items() if each.sympy.isidentifier()}
_NAMES |= {"Abs": "abs", "loggamma": "lgamma", "arg": "arg"}
_DRAWN_OTHERWISE = {"gamma", "zeta", "digamma", "polygamma"}  # by sympy, with other names


def formulas_of(variant: Variant, orders: Sequence[int]) -> Formulas:
    """Sympy's expression for each derivative, of many the first; none where they are too long.

    Of complex numbers those by the numbers themselves where the function is holomorphic in each,
    else those of real and imaginary parts: the symbols are named ``re(z)`` and ``im(z)``.
    """
    function = GraphFunction.of(variant.formula)
    operations = scalar_operations(function)
    if operations > _MOST_OPERATIONS:
        return ()
    most = min(_MOST_FORMULAS, _BUDGET // max(1, operations))
    try:
        names, symbols, level = _values(variant, function)
    except Untranslatable:
        return ()
    found: list[tuple[Derivative, Any]] = []
    for order in orders:
        if any(each.has(*_UNWRITTEN) for each in level):
            break
        level = level[:most]
        found += zip(islice(derivatives_by(*names, order), most), level, strict=False)
        level = [sympy.diff(each, symbol)
                 for each, symbol in islice(product(level, symbols), most)]  # fmt: skip
    return tuple(found)


_Names = tuple[list[str], list[str]]
"""What outputs and inputs are called."""

_PARTS = (sympy.re, sympy.im, sympy.conjugate, sympy.Abs, sympy.arg, sympy.sign)
_UNWRITTEN = (sympy.Derivative, sympy.re, sympy.im, sympy.conjugate)


def _values(variant: Variant, function: GraphFunction) -> tuple[_Names, list[Any], list[Any]]:
    """The names, the input's symbols, and the values as expressions of these.

    Errors: Untranslatable for what sympy has no word for.
    """
    formula = variant.formula
    names = output_names(variant), input_names(variant)
    kinds = complex_entries(formula.ports)
    symbols = [
        sympy.Symbol(name) if kind else sympy.Symbol(name, real=True)
        for name, kind in zip(names[1], kinds, strict=True)
    ]
    judged = complex_entries(formula.judged)
    if not kinds.any() and not judged.any():
        return names, symbols, symbolic.expressions(function, symbols)
    level = symbolic.expressions(function, symbols, takes_complex=True)
    if judged.all() and not any(each.has(*_PARTS) for each in level):
        return names, symbols, level
    parts = [
        [sympy.Symbol(f"{part}({name})", real=True) for part in ("re", "im")]
        if kind
        else [sympy.Symbol(name, real=True)]
        for name, kind in zip(names[1], kinds, strict=True)
    ]
    entries = [each[0] + sympy.I * each[1] if each[1:] else each[0] for each in parts]
    level = symbolic.expressions(function, entries, takes_complex=True)
    both = [_in_parts(each) for each in level]
    level = [part for pair, kind in zip(both, judged, strict=True) for part in pair[: 1 + kind]]
    return coordinate_names(variant), [symbol for each in parts for symbol in each], level


def _in_parts(expression: Any) -> tuple[Any, Any]:
    """The real and the imaginary part, branch by branch, and an argument by both parts too."""
    if isinstance(expression, sympy.Piecewise):
        pairs = [(_in_parts(value), condition) for value, condition in expression.args]
        real, imaginary = (
            sympy.Piecewise(*((value[k], condition) for value, condition in pairs), evaluate=False)
            for k in (0, 1)
        )
        return real, imaginary
    real, imaginary = (
        part.replace(sympy.arg, lambda z: sympy.atan2(*reversed(z.as_real_imag())))
        for part in expression.as_real_imag()
    )
    return real, imaginary


def formula_text(expression: Any) -> str:
    """The expression in the formula language, on one line."""
    return str(_Language().doprint(expression))


def drawn_equation(name: str, expression: Any) -> list[str]:
    """Return the lines of ``name = expression`` as sympy draws it in two dimensions.

    Empty where it would use other names than the formula language has.
    """
    if not _is_plain(expression):
        return []
    equation = sympy.Eq(sympy.Symbol(name), expression, evaluate=False)
    drawn = sympy.pretty(equation, use_unicode=True, wrap_line=False)
    return [line.rstrip() for line in drawn.splitlines()]


def short_equation(name: str, expression: Any) -> str:
    """``dy/dx = 6x``: one line for a legend, as it is written by hand."""
    text = re.sub(r"\*\*(\d+)(?![\w.])", lambda power: power[1].translate(_RAISED),
                  formula_text(expression))  # fmt: skip
    text = re.sub(r"(?<![\w.])(\d+)\*(?=[A-Za-z(])", r"\1", text).replace("*", "⋅")
    return f"{name} = {text.replace('⋅⋅', '**')}"


def written_name(name: str, *, alone: bool) -> str:
    """``∂²y/∂u²`` for ``∂²y/∂u∂u``; where there is one input ``alone``, ``d²y/du²``."""
    top, slash, below = name.partition("/")
    factors = below.split("∂")[1:]
    if slash and len(factors) > 1 and len(set(factors)) == 1:
        name = f"{top}/∂{factors[0]}{str(len(factors)).translate(_RAISED)}"
    return name.replace("∂", "d") if alone else name


_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def latex_equation(name: str, expression: Any) -> str:
    """``name = expression`` in LaTeX, aligned at its sign."""
    symbols = {each: latex_name(each.name) for each in expression.free_symbols}
    return f"{latex_name(name)} &= {sympy.latex(expression, symbol_names=symbols)}"


def latex_block(lines: Sequence[str]) -> str:
    """Equations, aligned, for a notebook or a paper."""
    return "$$\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}$$"


def latex_name(name: str) -> str:
    """An entry or a derivative, as ``x[0, 1]``, ``re(z)`` or ``∂y/∂im z``, in LaTeX."""
    top, slash, below = (_ENTRY.sub(_latex_entry, part) for part in name.partition("/"))
    return rf"\frac{{{top}}}{{{below}}}" if slash else top


_ENTRY = re.compile(r"(∂[²³]?)?(?:(re|im)[ (])?([A-Za-z_]\w*)(?:\[([^\]]*)\])?(\))?", re.ASCII)


def _latex_entry(match: re.Match[str]) -> str:
    sign, part, word, index, closed = match.groups()
    before = {None: "", "∂": r"\partial ", "∂²": r"\partial^2 ", "∂³": r"\partial^3 "}[sign]
    letter = sympy.latex(sympy.Symbol(word))
    entry = f"{{{letter}}}_{{{index}}}" if index else letter
    inner = f"({entry})" if closed else f" {entry}"
    return before + (rf"\operatorname{{{part}}}{inner}" if part else entry)


def _is_plain(expression: Any) -> bool:
    """Whether sympy draws it with the names of the formula language alone."""
    logic = (sympy.core.relational.Relational, sympy.logic.boolalg.BooleanFunction)
    if expression.has(sympy.Piecewise, *logic):
        return False
    names = {each.func.__name__ for each in expression.atoms(sympy.Function)}
    return all(_NAMES.get(name) == name for name in names) and not names & _DRAWN_OTHERWISE


class _Language(StrPrinter):  # type: ignore[misc]
    """Sympy's printer of text, with the words of the formula language."""

    def _print_Function(self, expr: Any) -> str:  # noqa: N802 - sympy's names
        name = expr.func.__name__
        arguments = list(expr.args)
        if name == "polygamma" and arguments[0] == 0:
            name, arguments = "digamma", arguments[1:]
        return f"{_NAMES.get(name, name)}({self.stringify(arguments, ', ')})"

    def _print_Piecewise(self, expr: Any) -> str:  # noqa: N802
        *others, (last, _) = expr.args
        text = self._print(last)
        for value, condition in reversed(others):
            text = f"where({self._print(condition)}, {self._print(value)}, {text})"
        return str(text)

    def _print_Relational(self, expr: Any) -> str:  # noqa: N802
        return f"{self._print(expr.lhs)} {expr.rel_op} {self._print(expr.rhs)}"

    def _print_And(self, expr: Any) -> str:  # noqa: N802
        return " and ".join(f"({self._print(each)})" for each in expr.args)

    def _print_Or(self, expr: Any) -> str:  # noqa: N802
        return " or ".join(f"({self._print(each)})" for each in expr.args)

    def _print_Not(self, expr: Any) -> str:  # noqa: N802
        return f"not ({self._print(expr.args[0])})"

    def _print_Exp1(self, _expr: Any) -> str:  # noqa: N802
        return "e"

    def _print_Infinity(self, _expr: Any) -> str:  # noqa: N802
        return "inf"

    def _print_EulerGamma(self, _expr: Any) -> str:  # noqa: N802
        return "(-digamma(1))"
