"""From sympy back to the tape: its expressions as operations of our table, and our functions."""

from __future__ import annotations

from fractions import Fraction

import sympy

from gradcheck.graph.tape import Number, Operation, Scalar, Tape, apply, node_of
from gradcheck.ops.table import OPERATORS
from gradcheck.reference.sympy_reader import Expression, Untranslatable

_BY_CLASS = {entry.sympy: entry.name for entry in OPERATORS.values() if entry.sympy.isidentifier()}
_CONSTANTS: dict[Expression, str] = {sympy.pi: "pi", sympy.E: "e", sympy.oo: "inf"}


class ScalarReader:
    """From sympy back to the tape; equal expressions are read once."""

    def __init__(self, tape: Tape, inputs: list[Expression]) -> None:
        self.tape = tape
        self.known: dict[Expression, Number] = {
            symbol: Scalar(tape, tape.put(Operation("input", (), k)))
            for k, symbol in enumerate(inputs)
        }

    def node(self, expression: Expression) -> int:
        return node_of(self.tape, self.read(expression))

    def read(self, expression: Expression) -> Number:
        if expression not in self.known:
            self.known[expression] = self.translate(expression)
        return self.known[expression]

    def put(self, operator: str, *values: Number, parameter: int | None = None) -> Number:
        return apply(self.tape, operator, *values, parameter=parameter)

    def translate(self, expression: Expression) -> Number:
        if expression.is_Rational and expression.is_finite:
            return Fraction(int(expression.p), int(expression.q))
        constant = _CONSTANTS.get(expression)
        if constant is not None:
            return Scalar(self.tape, self.tape.put(Operation("constant", (), constant)))
        if isinstance(expression, sympy.logic.boolalg.BooleanAtom):
            return bool(expression)
        name = type(expression).__name__
        reader = getattr(self, f"_{name.lower()}", None)
        if reader is not None:
            result: Number = reader(*expression.args)
            return result
        return self.function(name, expression.args)

    def function(self, name: str, arguments: tuple[Expression, ...]) -> Number:
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

    def _add(self, *terms: Expression) -> Number:
        total = self.read(terms[0])
        for term in terms[1:]:
            total = self.put("add", total, self.read(term))
        return total

    def _mul(self, *factors: Expression) -> Number:
        above: list[Expression] = []
        below: list[Expression] = []
        for factor in factors:
            inverse = factor.is_Pow and factor.exp.is_Rational and factor.exp < 0
            (below if inverse else above).append(1 / factor if inverse else factor)
        total: Number = self._product(above)
        return self.put("div", total, self._product(below)) if below else total

    def _product(self, factors: list[Expression]) -> Number:
        total: Number = Fraction(1)
        for factor in factors:
            total = self.put("mul", total, self.read(factor))
        return total

    def _pow(self, base: Expression, exponent: Expression) -> Number:
        if exponent.is_Integer:
            if exponent < 0:
                return self.put("div", Fraction(1), self.read(base**-exponent))
            return self.put("ipow", self.read(base), parameter=int(exponent))
        if exponent.is_Rational and exponent.q == 2:
            root = self.put("sqrt", self.read(base))
            power = self.put("ipow", root, parameter=abs(int(exponent.p)))
            return power if exponent > 0 else self.put("div", Fraction(1), power)
        if base is sympy.E:
            return self.put("exp", self.read(exponent))
        return self.put("pow", self.read(base), self.read(exponent))

    def _piecewise(self, *branches: Expression) -> Number:
        *others, (last, _) = branches
        total = self.read(last)
        for value, condition in reversed(others):
            total = self.put("where", self.read(condition), self.read(value), total)
        return total

    def _abs(self, x: Expression) -> Number:
        return self.put("abs", self.read(x))

    def _sign(self, x: Expression) -> Number:
        return self.put("sign", self.read(x))

    def _polygamma(self, order: Expression, x: Expression) -> Number:
        if order == 0:
            return self.put("digamma", self.read(x))
        return self.function("polygamma", (order, x))

    def _zeta(self, s: Expression, a: Expression = sympy.S.One) -> Number:
        return self.put("zeta", self.read(s), self.read(a))

    def _eulergamma(self) -> Number:
        return self.put("neg", self.put("digamma", Fraction(1)))

    def _strictlessthan(self, a: Expression, b: Expression) -> Number:
        return self.put("lt", self.read(a), self.read(b))

    def _lessthan(self, a: Expression, b: Expression) -> Number:
        return self.put("le", self.read(a), self.read(b))

    def _strictgreaterthan(self, a: Expression, b: Expression) -> Number:
        return self._strictlessthan(b, a)

    def _greaterthan(self, a: Expression, b: Expression) -> Number:
        return self._lessthan(b, a)

    def _equality(self, a: Expression, b: Expression) -> Number:
        return self.put("eq", self.read(a), self.read(b))

    def _unequality(self, a: Expression, b: Expression) -> Number:
        return self.put("not", self._equality(a, b))

    def _not(self, a: Expression) -> Number:
        return self.put("not", self.read(a))

    def _and(self, *conditions: Expression) -> Number:
        return self._joined("and", conditions)

    def _or(self, *conditions: Expression) -> Number:
        return self._joined("or", conditions)

    def _joined(self, operator: str, conditions: tuple[Expression, ...]) -> Number:
        total = self.read(conditions[0])
        for condition in conditions[1:]:
            total = self.put(operator, total, self.read(condition))
        return total
