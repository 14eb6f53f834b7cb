"""The operator table: what each name means to each interpretation. To add one, add one entry.

Only facts about functions stand here. Tolerances, skips and known bugs never do. Torch is imported
when a column is first used: reading and listing a catalog must import neither torch nor sympy.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from importlib import import_module
from operator import attrgetter, methodcaller
from typing import Any

from flint import arb

from gradcheck.ops import balls


@dataclass(frozen=True, slots=True)
class Operator:
    """One function of real numbers.

    Arguments are called ``x`` (one), ``a, b`` (two) or ``a, b, c`` in ``sympy`` and
    ``derivatives``, the result ``y``, and a leading argument that must be a constant integer
    (``parameter``) ``n``; ``ball`` and ``torch`` take the parameter first.

    ``sympy`` is the name of a class (sympy's or, in ``gradcheck.reference.sympy_reader``, ours)
    or else what the function is, in the formula language. ``derivatives`` are the local derivatives
    of the chain rule, one for each argument, in the form that does not cancel; None where none is
    known. ``domain`` is where they exist, argument by argument. ``kinks`` are the arguments at
    which the function has a kink or a jump: numbers, ``integers`` or ``halves``, or ``tie``;
    ``jumps`` says that its value may jump.
    ``torch`` is the name of PyTorch's function, or what calls methods of tensors: torch is imported
    when it is first asked for (``on_tensors``). ``optional`` stands for a last argument left out.
    ``cancelling`` sets the scale of what PyTorch's rounding can do (docs/judge.md), never a truth.
    ``series`` expands it over FLINT's power series, where FLINT can. ``torch_orders`` are the
    values of the parameter that ``torch`` takes, where it does not take every one. One that is
    ``holomorphic`` means the same on complex numbers, with the same derivative.
    """

    name: str
    sympy: str
    torch: str | Callable[..., Any]
    ball: Callable[..., Any]
    derivatives: tuple[str | None, ...]
    domain: tuple[str, ...]
    source: str
    kinks: tuple[str, ...] = ()
    series: Callable[..., Any] | None = None
    parameter: bool = False
    torch_orders: tuple[int, ...] = ()
    cancelling: str = ""  # PyTorch's local derivative, where it cancels and ours does not
    jumps: bool = False
    optional: Fraction | None = None
    symbol: str = ""  # of arithmetic, which is written with it and not called by name
    holomorphic: bool = False

    @property
    def arity(self) -> int:
        return len(self.domain)


def _cbrt(x: Any) -> Any:
    return x.sign() * x.abs() ** (1 / 3)


def _gamma(x: Any) -> Any:
    negative = (x < 0) & (x.floor() % 2 != 0)  # between -1 and 0, -3 and -2, ...
    size = x.lgamma().exp()
    return (-size).where(negative, size)


_BESSEL_ORDERS = (0, 1)


def _bessel(*names: str) -> Callable[[int, Any], Any]:
    """PyTorch's functions of the orders 0, 1, ..."""

    def call(n: int, x: Any) -> Any:
        if n not in range(len(names)):
            raise NotImplementedError(f"PyTorch has no function like {names[0]} of order {n}")
        return _resolved(names[n])(x)

    return call


@cache
def _resolved(name: str) -> Callable[..., Any]:
    module, _, attributes = name.partition(".")
    found: Callable[..., Any] = attrgetter(attributes)(import_module(module))
    return found


def on_tensors(entry: Operator) -> Callable[..., Any]:
    """Return PyTorch's form of the operator, which takes a parameter first."""
    return _resolved(entry.torch) if isinstance(entry.torch, str) else entry.torch


def _exp_series(sign: int) -> Callable[[Any], Any]:
    return lambda s: (s.exp() + sign * (-s).exp()) / 2


REAL = ("real",)

_ENTRIES = (
    # arithmetic
    Operator("add", "a + b", operator.add, operator.add, ("1", "1"), REAL * 2,
             "field axioms", series=operator.add, symbol="+", holomorphic=True),
    Operator("sub", "a - b", operator.sub, operator.sub, ("1", "-1"), REAL * 2,
             "field axioms", series=operator.sub, symbol="-", holomorphic=True),
    Operator("mul", "a*b", operator.mul, operator.mul, ("b", "a"), REAL * 2,
             "field axioms", series=operator.mul, symbol="*", holomorphic=True),
    Operator("div", "a/b", operator.truediv, operator.truediv, ("1/b", "-(y/b)"),
             ("real", "nonzero"), "field axioms", series=operator.truediv, symbol="/",
             holomorphic=True),
    Operator("neg", "-x", operator.neg, operator.neg, ("-1",), REAL,
             "field axioms", series=operator.neg, symbol="-", holomorphic=True),
    Operator("ipow", "x**n", lambda n, x: x**n, lambda n, x: balls.integer_power(x, n)
             if n >= 0 else 1 / balls.integer_power(x, -n), ("n*x**(n - 1)",), REAL,
             "DLMF 4.2.26", series=lambda n, x: x**n if n >= 0 else 1 / x**-n, parameter=True,
             symbol="**", holomorphic=True),
    Operator("pow", "a**b", operator.pow, balls.real_power,
             ("b*a**(b - 1)", "powlog(1, a, b)"), ("positive", "real"), "DLMF 4.2.26", symbol="**",
             holomorphic=True),
    Operator("powlog", "a**b*log(a)**n", lambda n, a, b: a**b * a.log() ** n,
             balls.power_times_log,
             ("b*powlog(n, a, b - 1) + n*powlog(max(n - 1, 0), a, b - 1)", "powlog(n + 1, a, b)"),
             ("positive", "real"), "DLMF 4.2.26: the n-th derivative of a**b in b",
             parameter=True, holomorphic=True),
    # conditions
    Operator("lt", "a < b", operator.lt, balls.less, ("0", "0"), REAL * 2,
             "order of the reals", ("tie",), symbol="<"),
    Operator("le", "a <= b", operator.le, balls.less_or_equal, ("0", "0"), REAL * 2,
             "order of the reals", ("tie",), symbol="<="),
    Operator("eq", "a == b", operator.eq, balls.equal, ("0", "0"), REAL * 2,
             "order of the reals", ("tie",), symbol="=="),
    Operator("not", "not x", "torch.logical_not", balls.negation, ("0",), REAL,
             "propositional logic", symbol="not"),
    Operator("and", "a and b", "torch.logical_and", balls.both, ("0", "0"),
             REAL * 2, "propositional logic", symbol="and"),
    Operator("or", "a or b", "torch.logical_or", balls.either, ("0", "0"),
             REAL * 2, "propositional logic", symbol="or"),
    Operator("where", "where(a, b, c)", "torch.where", balls.where,
             ("0", "where(a, 1, 0)", "where(a, 0, 1)"), REAL * 3, "definition by cases",
             jumps=True, holomorphic=True),
    # kinks and jumps
    Operator("abs", "absolute", "torch.abs", abs, ("sign(x)",), ("nonzero",),
             "DLMF 1.9.7", ("0",)),
    Operator("sign", "signum", "torch.sign", balls.sign, ("0",), ("nonzero",),
             "DLMF 1.16.21", ("0",), jumps=True),
    Operator("heaviside", "step", "torch.heaviside", balls.heaviside,
             ("0", "where(a == 0, 1, 0)"), ("nonzero", "real"), "DLMF 1.16.13", ("0",),
             jumps=True, optional=Fraction(1, 2)),
    Operator("floor", "lower_integer", "torch.floor", balls.floor, ("0",), REAL,
             "DLMF front matter, common notations", ("integers",), jumps=True),
    Operator("ceil", "upper_integer", "torch.ceil", balls.ceiling, ("0",), REAL,
             "DLMF front matter, common notations", ("integers",), jumps=True),
    Operator("round", "nearest_integer", "torch.round", balls.round_half_even, ("0",),
             REAL, "IEEE 754-2019, 5.9: ties to even", ("halves",), jumps=True),
    Operator("min", "minimum", "torch.minimum", balls.smaller,
             ("where(a < b, 1, 0)", "where(a < b, 0, 1)"), REAL * 2, "order of the reals",
             ("tie",)),
    Operator("max", "maximum", "torch.maximum", balls.larger,
             ("where(a > b, 1, 0)", "where(a > b, 0, 1)"), REAL * 2, "order of the reals",
             ("tie",)),
    # roots, exponentials and logarithms
    Operator("sqrt", "sqrt", "torch.sqrt", arb.sqrt, ("1/(2*y)",),
             ("positive",), "DLMF 4.2.26", series=methodcaller("sqrt"), holomorphic=True),
    Operator("cbrt", "cube_root", _cbrt, balls.cbrt, ("1/(3*y**2)",), ("nonzero",),
             "DLMF 4.2.26"),
    Operator("exp", "exp", "torch.exp", arb.exp, ("y",), REAL,
             "DLMF 4.7.6", series=methodcaller("exp"), holomorphic=True),
    Operator("exp2", "2**x", "torch.exp2", lambda x: arb(2) ** x, ("log(2)*y",), REAL,
             "DLMF 4.7.6", series=lambda x: (x * arb(2).log()).exp(), holomorphic=True),
    Operator("expm1", "exp(x) - 1", "torch.expm1", arb.expm1, ("exp(x)",),
             REAL, "DLMF 4.7.6", series=lambda x: x.exp() - 1, cancelling="y + 1",
             holomorphic=True),
    Operator("log", "log", "torch.log", arb.log, ("1/x",), ("positive",),
             "DLMF 4.7.1", series=methodcaller("log"), holomorphic=True),
    Operator("log2", "log(x)/log(2)", "torch.log2", lambda x: x.log() / arb(2).log(),
             ("1/(x*log(2))",), ("positive",), "DLMF 4.7.1",
             series=lambda x: x.log() / arb(2).log(), holomorphic=True),
    Operator("log10", "log(x)/log(10)", "torch.log10",
             lambda x: x.log() / arb.const_log10(), ("1/(x*log(10))",), ("positive",),
             "DLMF 4.7.1", series=lambda x: x.log() / arb.const_log10(), holomorphic=True),
    Operator("log1p", "log(1 + x)", "torch.log1p", arb.log1p,
             ("1/(1 + x)",), ("(-1, inf)",), "DLMF 4.7.1", series=lambda x: (1 + x).log(),
             holomorphic=True),
    # circular functions
    Operator("sin", "sin", "torch.sin", arb.sin, ("cos(x)",), REAL,
             "DLMF 4.20.1", series=methodcaller("sin"), holomorphic=True),
    Operator("cos", "cos", "torch.cos", arb.cos, ("-sin(x)",), REAL,
             "DLMF 4.20.2", series=methodcaller("cos"), holomorphic=True),
    Operator("tan", "tan", "torch.tan", arb.tan, ("1 + y**2",), REAL,
             "DLMF 4.20.3", series=methodcaller("tan"), holomorphic=True),
    Operator("asin", "asin", "torch.asin", arb.asin,
             ("1/sqrt((1 - x)*(1 + x))",), ("(-1, 1)",), "DLMF 4.24.7",
             series=methodcaller("asin"), holomorphic=True),
    Operator("acos", "acos", "torch.acos", arb.acos,
             ("-1/sqrt((1 - x)*(1 + x))",), ("(-1, 1)",), "DLMF 4.24.8",
             series=methodcaller("acos"), holomorphic=True),
    Operator("atan", "atan", "torch.atan", arb.atan, ("1/(1 + x*x)",), REAL,
             "DLMF 4.24.9", series=methodcaller("atan"), holomorphic=True),
    Operator("atan2", "atan2", "torch.atan2", balls.atan2,
             ("b/(a*a + b*b)", "-a/(a*a + b*b)"), ("nonzero", "real"), "DLMF 4.23.36",
             jumps=True),
    # hyperbolic functions
    Operator("sinh", "sinh", "torch.sinh", arb.sinh, ("cosh(x)",), REAL,
             "DLMF 4.34.1", series=_exp_series(-1), holomorphic=True),
    Operator("cosh", "cosh", "torch.cosh", arb.cosh, ("sinh(x)",), REAL,
             "DLMF 4.34.2", series=_exp_series(1), holomorphic=True),
    Operator("tanh", "tanh", "torch.tanh", arb.tanh, ("sech(x)**2",), REAL,
             "DLMF 4.34.3", series=lambda x: _exp_series(-1)(x) / _exp_series(1)(x),
             cancelling="1 - y**2", holomorphic=True),
    Operator("sech", "sech", lambda x: 1 / x.cosh(), arb.sech,
             ("-y*tanh(x)",), REAL, "DLMF 4.34.5", series=lambda x: 1 / _exp_series(1)(x),
             holomorphic=True),
    Operator("asinh", "asinh", "torch.asinh", arb.asinh,
             ("1/sqrt(1 + x*x)",), REAL, "DLMF 4.38.9",
             series=lambda x: (x + (1 + x * x).sqrt()).log(), holomorphic=True),
    Operator("acosh", "acosh", "torch.acosh", arb.acosh,
             ("1/(sqrt(x - 1)*sqrt(x + 1))",), ("(1, inf)",), "DLMF 4.38.10", holomorphic=True),
    Operator("atanh", "atanh", "torch.atanh", arb.atanh,
             ("1/((1 - x)*(1 + x))",), ("(-1, 1)",), "DLMF 4.38.11", holomorphic=True),
    # error functions
    Operator("erf", "erf", "torch.erf", arb.erf,
             ("2/sqrt(pi)*exp(-x**2)",), REAL, "DLMF 7.2.1", series=methodcaller("erf")),
    Operator("erfc", "complementary_error", "torch.erfc", balls.erfc,
             ("-2/sqrt(pi)*exp(-x**2)",), REAL, "DLMF 7.2.2", series=methodcaller("erfc")),
    Operator("erfinv", "erfinv", "torch.erfinv", arb.erfinv,
             ("sqrt(pi)/2*exp(y**2)",), ("(-1, 1)",), "DLMF 7.17.1"),
    # gamma, zeta and Bessel functions
    Operator("gamma", "gamma", _gamma, arb.gamma,
             ("y*digamma(x)",), ("positive",), "DLMF 5.2.1", series=methodcaller("gamma")),
    Operator("lgamma", "log_gamma", "torch.lgamma", balls.lgamma, ("digamma(x)",),
             ("positive",), "DLMF 5.2.2", series=methodcaller("lgamma")),
    Operator("digamma", "digamma", "torch.digamma", lambda x: balls.polygamma(0, x),
             ("polygamma(1, x)",), ("positive",), "DLMF 5.2.2",
             series=lambda x: balls.polygamma_series(0, x)),
    Operator("polygamma", "polygamma", "torch.special.polygamma",
             balls.polygamma, ("polygamma(n + 1, x)",), ("positive",), "DLMF 5.15.1",
             series=balls.polygamma_series, parameter=True),
    Operator("zeta", "zeta", "torch.special.zeta", balls.zeta,
             (None, "-a*zeta(a + 1, b)"), ("(1, inf)", "positive"), "DLMF 25.11.17",
             optional=Fraction(1)),
    Operator("besselj", "besselj", _bessel("torch.special.bessel_j0", "torch.special.bessel_j1"),
             balls.bessel_j,
             ("(besselj(n - 1, x) - besselj(n + 1, x))/2",), REAL, "DLMF 10.6.1",
             parameter=True, torch_orders=_BESSEL_ORDERS),
    Operator("besseli", "besseli", _bessel("torch.special.i0", "torch.special.i1"), balls.bessel_i,
             ("(besseli(n - 1, x) + besseli(n + 1, x))/2",), REAL, "DLMF 10.29.1",
             parameter=True, torch_orders=_BESSEL_ORDERS),
)  # fmt: skip

OPERATORS = {entry.name: entry for entry in _ENTRIES}
if len(OPERATORS) < len(_ENTRIES):
    raise ValueError("two operators share a name")

PRIVATE = frozenset({"powlog", "sech"})
"""What only local derivatives name: to a case these are names like any other."""

CALLABLE = frozenset(name for name, entry in OPERATORS.items() if not entry.symbol) - PRIVATE
"""The elementwise functions that a formula may call by name."""
