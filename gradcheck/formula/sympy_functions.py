"""Our own sympy functions, for those that sympy would rewrite or differentiate by distributions.

Their derivatives are written here, not taken from the operator table: sympy's route shares the
parser and the balls with the other one, nothing more.
"""

from __future__ import annotations

from typing import Any

import sympy

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
    for each in (signum, absolute, step, lower_integer, upper_integer, nearest_integer, minimum,
                 maximum, cube_root, complementary_error, log_gamma)
}  # fmt: skip
"""By the name that the operator table gives in its column for sympy."""
