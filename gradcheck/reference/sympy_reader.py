"""From sympy back to a graph: its expressions as operators of our table, and our functions."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import sympy

from gradcheck.graph.graph import Graph, NodeId
from gradcheck.ops.table import OPERATORS
from gradcheck.query import Port

Expression = Any
"""A sympy expression or condition; sympy ships no types."""


class _Own(sympy.Function):  # type: ignore[misc]
    """A function that sympy leaves as it is."""

    is_real = True

    @classmethod
    def eval(cls, *_arguments: Expression) -> None:
        return None


class signum(_Own):  # noqa: N801 - sympy's functions are written in lower case
    def fdiff(self, argindex: int = 1) -> Expression:
        return sympy.Integer(0)


class absolute(_Own):  # noqa: N801
    def fdiff(self, argindex: int = 1) -> Expression:
        return signum(self.args[0])


class step(_Own):  # noqa: N801
    """Heaviside's function, with its value at 0 as second argument."""

    def fdiff(self, argindex: int = 1) -> Expression:
        if argindex == 2:
            return sympy.Piecewise((1, sympy.Eq(self.args[0], 0)), (0, True), evaluate=False)
        return sympy.Integer(0)


class _Stairs(_Own):
    def fdiff(self, argindex: int = 1) -> Expression:
        return sympy.Integer(0)


class stop(_Own):  # noqa: N801
    """The same number, whose derivative is 0."""

    def fdiff(self, argindex: int = 1) -> Expression:
        return sympy.Integer(0)


class lower_integer(_Stairs):  # noqa: N801
    pass


class upper_integer(_Stairs):  # noqa: N801
    pass


class nearest_integer(_Stairs):  # noqa: N801
    pass


class minimum(_Own):  # noqa: N801
    def fdiff(self, argindex: int = 1) -> Expression:
        a, b = self.args
        return step(b - a if argindex == 1 else a - b, sympy.Rational(1, 2))


class maximum(_Own):  # noqa: N801
    def fdiff(self, argindex: int = 1) -> Expression:
        a, b = self.args
        return step(a - b if argindex == 1 else b - a, sympy.Rational(1, 2))


class cube_root(_Own):  # noqa: N801
    """Real for negative arguments too, where sympy's cbrt is complex."""

    def fdiff(self, argindex: int = 1) -> Expression:
        return 1 / (3 * cube_root(self.args[0]) ** 2)


class complementary_error(_Own):  # noqa: N801
    """Sympy rewrites erfc(-x) to 2 - erfc(x)."""

    def fdiff(self, argindex: int = 1) -> Expression:
        return -2 * sympy.exp(-(self.args[0] ** 2)) / sympy.sqrt(sympy.pi)


class log_gamma(_Own):  # noqa: N801
    """log |gamma(x)|; sympy's loggamma is complex below 0."""

    def fdiff(self, argindex: int = 1) -> Expression:
        return sympy.digamma(self.args[0])


OWN = {
    each.__name__: each
    for each in (signum, absolute, step, stop, lower_integer, upper_integer, nearest_integer,
                 minimum, maximum, cube_root, complementary_error, log_gamma)
}  # fmt: skip
"""By the name that the operator table gives in its column for sympy."""

_BY_CLASS = {entry.sympy: entry.name for entry in OPERATORS.values() if entry.sympy.isidentifier()}
_CONSTANTS: dict[Expression, str] = {sympy.pi: "pi", sympy.E: "e", sympy.oo: "inf"}


class Untranslatable(Exception):
    """Sympy states a derivative that the operator table has no operator for."""


class SympyReader:
    """From sympy back to a graph of scalars; equal expressions are read once."""

    def __init__(self, graph: Graph, inputs: Sequence[Expression]) -> None:
        self.graph = graph
        self.known: dict[Expression, NodeId] = {
            symbol: graph.input(Port(str(symbol), ())) for symbol in inputs
        }

    def node(self, expression: Expression) -> NodeId:
        """The node of an expression.

        Errors: Untranslatable for what has no form in our operators.
        """
        try:
            return self.read(expression)
        except ZeroDivisionError:
            raise Untranslatable("a division by zero") from None

    def read(self, expression: Expression) -> NodeId:
        if expression not in self.known:
            self.known[expression] = self.translate(expression)
        return self.known[expression]

    def put(self, operator: str, *values: NodeId, parameter: int | None = None) -> NodeId:
        return self.graph.elementwise(operator, *values, parameter=parameter)

    def number(self, value: int | Fraction) -> NodeId:
        return self.graph.constant(value)

    def translate(self, expression: Expression) -> NodeId:
        if expression.is_Rational and expression.is_finite:
            return self.number(Fraction(int(expression.p), int(expression.q)))
        constant = _CONSTANTS.get(expression)
        if constant is not None:
            return self.graph.named(constant)
        if isinstance(expression, sympy.logic.boolalg.BooleanAtom):
            return self.graph.constant(bool(expression))
        name = type(expression).__name__
        reader = getattr(self, f"_{name.lower()}", None)
        if reader is not None:
            result: NodeId = reader(*expression.args)
            return result
        return self.function(name, expression.args)

    def function(self, name: str, arguments: tuple[Expression, ...]) -> NodeId:
        if name not in _BY_CLASS:
            raise Untranslatable(f"sympy's {name}")
        entry = OPERATORS[_BY_CLASS[name]]
        if not entry.parameter:
            return self.put(entry.name, *(self.read(each) for each in arguments))
        order, *rest = arguments
        if not order.is_Integer:
            raise Untranslatable(f"sympy's {name} of a variable order")
        values = [self.read(each) for each in rest]
        return self.put(entry.name, *values, parameter=int(order))

    def _add(self, *terms: Expression) -> NodeId:
        total = self.read(terms[0])
        for term in terms[1:]:
            total = self.put("add", total, self.read(term))
        return total

    def _mul(self, *factors: Expression) -> NodeId:
        above: list[Expression] = []
        below: list[Expression] = []
        for factor in factors:
            inverse = factor.is_Pow and factor.exp.is_Rational and factor.exp < 0
            (below if inverse else above).append(1 / factor if inverse else factor)
        total = self._product(above)
        return self.put("div", total, self._product(below)) if below else total

    def _product(self, factors: list[Expression]) -> NodeId:
        total = self.number(1)
        for factor in factors:
            total = self.put("mul", total, self.read(factor))
        return total

    def _pow(self, base: Expression, exponent: Expression) -> NodeId:
        if exponent.is_Integer:
            if exponent < 0:
                return self.put("div", self.number(1), self.read(base**-exponent))
            return self.put("ipow", self.read(base), parameter=int(exponent))
        if exponent.is_Rational and exponent.q == 2:
            root = self.put("sqrt", self.read(base))
            power = self.put("ipow", root, parameter=abs(int(exponent.p)))
            return power if exponent > 0 else self.put("div", self.number(1), power)
        if base is sympy.E:
            return self.put("exp", self.read(exponent))
        return self.put("pow", self.read(base), self.read(exponent))

    def _piecewise(self, *branches: Expression) -> NodeId:
        *others, (last, _) = branches
        total = self.read(last)
        for value, condition in reversed(others):
            total = self.put("where", self.read(condition), self.read(value), total)
        return total

    def _stop(self, x: Expression) -> NodeId:
        return self.read(x)

    def _abs(self, x: Expression) -> NodeId:
        return self.put("abs", self.read(x))

    def _sign(self, x: Expression) -> NodeId:
        return self.put("sign", self.read(x))

    def _polygamma(self, order: Expression, x: Expression) -> NodeId:
        if order == 0:
            return self.put("digamma", self.read(x))
        return self.function("polygamma", (order, x))

    def _zeta(self, s: Expression, a: Expression = sympy.S.One) -> NodeId:
        return self.put("zeta", self.read(s), self.read(a))

    def _eulergamma(self) -> NodeId:
        return self.put("neg", self.put("digamma", self.number(1)))

    def _strictlessthan(self, a: Expression, b: Expression) -> NodeId:
        return self.put("lt", self.read(a), self.read(b))

    def _lessthan(self, a: Expression, b: Expression) -> NodeId:
        return self.put("le", self.read(a), self.read(b))

    def _strictgreaterthan(self, a: Expression, b: Expression) -> NodeId:
        return self._strictlessthan(b, a)

    def _greaterthan(self, a: Expression, b: Expression) -> NodeId:
        return self._lessthan(b, a)

    def _equality(self, a: Expression, b: Expression) -> NodeId:
        return self.put("eq", self.read(a), self.read(b))

    def _unequality(self, a: Expression, b: Expression) -> NodeId:
        return self.put("not", self._equality(a, b))

    def _not(self, a: Expression) -> NodeId:
        return self.put("not", self.read(a))

    def _and(self, *conditions: Expression) -> NodeId:
        return self._joined("and", conditions)

    def _or(self, *conditions: Expression) -> NodeId:
        return self._joined("or", conditions)

    def _joined(self, operator: str, conditions: tuple[Expression, ...]) -> NodeId:
        total = self.read(conditions[0])
        for condition in conditions[1:]:
            total = self.put(operator, total, self.read(condition))
        return total
