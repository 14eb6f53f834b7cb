"""The operator table: what each name means to each interpretation. To add one, add one entry.

Only facts about functions stand here. Tolerances, skips and known bugs never do. Torch is imported
when a column is first used: reading and listing a catalog must import neither torch nor sympy.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from flint import arb

from gradcheck.ops import balls


class LazyModule:
    """Stands for a module, and imports it at the first attribute that is asked of it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(import_module(self._name), attribute)


torch: Any = LazyModule("torch")


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
    ``cancelling`` sets the scale of what PyTorch's rounding can do (docs/judge.md), never a truth.
    ``series`` expands it over FLINT's power series, where FLINT can. ``torch_orders`` are the
    values of the parameter that ``torch`` takes, where it does not take every one.
    """

    name: str
    sympy: str
    torch: Callable[..., Any]
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
    symbol: str = ""  # of arithmetic, which is written with it and not called by name

    @property
    def arity(self) -> int:
        return len(self.domain)


def _cbrt(x: Any) -> Any:
    return torch.sign(x) * torch.abs(x) ** (1 / 3)


def _gamma(x: Any) -> Any:
    negative = (x < 0) & (torch.floor(x) % 2 != 0)  # between -1 and 0, -3 and -2, ...
    size = torch.exp(torch.lgamma(x))
    return torch.where(negative, -size, size)


_BESSEL_ORDERS = (0, 1)


def _bessel(kind: str) -> Callable[[int, Any], Any]:
    def call(n: int, x: Any) -> Any:
        if n not in _BESSEL_ORDERS:
            raise NotImplementedError(f"PyTorch has no Bessel function {kind} of order {n}")
        names = {"j": ("bessel_j0", "bessel_j1"), "i": ("i0", "i1")}[kind]
        return getattr(torch.special, names[n])(x)

    return call


def _exp_series(sign: int) -> Callable[[Any], Any]:
    return lambda s: (s.exp() + sign * (-s).exp()) / 2


REAL = ("real",)

_ENTRIES = (
    # arithmetic
    Operator("add", "a + b", operator.add, operator.add, ("1", "1"), REAL * 2,
             "field axioms", series=operator.add, symbol="+"),
    Operator("sub", "a - b", operator.sub, operator.sub, ("1", "-1"), REAL * 2,
             "field axioms", series=operator.sub, symbol="-"),
    Operator("mul", "a*b", operator.mul, operator.mul, ("b", "a"), REAL * 2,
             "field axioms", series=operator.mul, symbol="*"),
    Operator("div", "a/b", operator.truediv, operator.truediv, ("1/b", "-(y/b)"),
             ("real", "nonzero"), "field axioms", series=operator.truediv, symbol="/"),
    Operator("neg", "-x", operator.neg, operator.neg, ("-1",), REAL,
             "field axioms", series=operator.neg, symbol="-"),
    Operator("ipow", "x**n", lambda n, x: x**n, lambda n, x: balls.integer_power(x, n)
             if n >= 0 else 1 / balls.integer_power(x, -n), ("n*x**(n - 1)",), REAL,
             "DLMF 4.2.26", series=lambda n, x: x**n if n >= 0 else 1 / x**-n, parameter=True,
             symbol="**"),
    Operator("pow", "a**b", lambda a, b: a**b, balls.real_power,
             ("b*a**(b - 1)", "powlog(1, a, b)"), ("positive", "real"), "DLMF 4.2.26", symbol="**"),
    Operator("powlog", "a**b*log(a)**n", lambda n, a, b: a**b * torch.log(a) ** n,
             balls.power_times_log,
             ("b*powlog(n, a, b - 1) + n*powlog(max(n - 1, 0), a, b - 1)", "powlog(n + 1, a, b)"),
             ("positive", "real"), "DLMF 4.2.26: the n-th derivative of a**b in b",
             parameter=True),
    # conditions
    Operator("lt", "a < b", lambda a, b: a < b, balls.less, ("0", "0"), REAL * 2,
             "order of the reals", ("tie",), symbol="<"),
    Operator("le", "a <= b", lambda a, b: a <= b, balls.less_or_equal, ("0", "0"), REAL * 2,
             "order of the reals", ("tie",), symbol="<="),
    Operator("eq", "a == b", lambda a, b: a == b, balls.equal, ("0", "0"), REAL * 2,
             "order of the reals", ("tie",), symbol="=="),
    Operator("not", "not x", lambda x: torch.logical_not(x), balls.negation, ("0",), REAL,
             "propositional logic", symbol="not"),
    Operator("and", "a and b", lambda a, b: torch.logical_and(a, b), balls.both, ("0", "0"),
             REAL * 2, "propositional logic", symbol="and"),
    Operator("or", "a or b", lambda a, b: torch.logical_or(a, b), balls.either, ("0", "0"),
             REAL * 2, "propositional logic", symbol="or"),
    Operator("where", "where(a, b, c)", lambda a, b, c: torch.where(a, b, c), balls.where,
             ("0", "where(a, 1, 0)", "where(a, 0, 1)"), REAL * 3, "definition by cases",
             jumps=True),
    # kinks and jumps
    Operator("abs", "absolute", lambda x: torch.abs(x), abs, ("sign(x)",), ("nonzero",),
             "DLMF 1.9.7", ("0",)),
    Operator("sign", "signum", lambda x: torch.sign(x), balls.sign, ("0",), ("nonzero",),
             "DLMF 1.16.21", ("0",), jumps=True),
    Operator("heaviside", "step", lambda a, b: torch.heaviside(a, b), balls.heaviside,
             ("0", "where(a == 0, 1, 0)"), ("nonzero", "real"), "DLMF 1.16.13", ("0",),
             jumps=True),
    Operator("floor", "lower_integer", lambda x: torch.floor(x), balls.floor, ("0",), REAL,
             "DLMF front matter, common notations", ("integers",), jumps=True),
    Operator("ceil", "upper_integer", lambda x: torch.ceil(x), balls.ceiling, ("0",), REAL,
             "DLMF front matter, common notations", ("integers",), jumps=True),
    Operator("round", "nearest_integer", lambda x: torch.round(x), balls.round_half_even, ("0",),
             REAL, "IEEE 754-2019, 5.9: ties to even", ("halves",), jumps=True),
    Operator("min", "minimum", lambda a, b: torch.minimum(a, b), arb.min,
             ("where(a < b, 1, 0)", "where(a < b, 0, 1)"), REAL * 2, "order of the reals",
             ("tie",)),
    Operator("max", "maximum", lambda a, b: torch.maximum(a, b), arb.max,
             ("where(a > b, 1, 0)", "where(a > b, 0, 1)"), REAL * 2, "order of the reals",
             ("tie",)),
    # roots, exponentials and logarithms
    Operator("sqrt", "sqrt", lambda x: torch.sqrt(x), arb.sqrt, ("1/(2*y)",),
             ("positive",), "DLMF 4.2.26", series=lambda x: x.sqrt()),
    Operator("cbrt", "cube_root", _cbrt, balls.cube_root, ("1/(3*y**2)",), ("nonzero",),
             "DLMF 4.2.26"),
    Operator("exp", "exp", lambda x: torch.exp(x), arb.exp, ("y",), REAL,
             "DLMF 4.7.6", series=lambda x: x.exp()),
    Operator("exp2", "2**x", lambda x: torch.exp2(x), lambda x: arb(2) ** x, ("log(2)*y",), REAL,
             "DLMF 4.7.6", series=lambda x: (x * arb(2).log()).exp()),
    Operator("expm1", "exp(x) - 1", lambda x: torch.expm1(x), arb.expm1, ("exp(x)",),
             REAL, "DLMF 4.7.6", series=lambda x: x.exp() - 1, cancelling="y + 1"),
    Operator("log", "log", lambda x: torch.log(x), arb.log, ("1/x",), ("positive",),
             "DLMF 4.7.1", series=lambda x: x.log()),
    Operator("log2", "log(x)/log(2)", lambda x: torch.log2(x), lambda x: x.log() / arb(2).log(),
             ("1/(x*log(2))",), ("positive",), "DLMF 4.7.1",
             series=lambda x: x.log() / arb(2).log()),
    Operator("log10", "log(x)/log(10)", lambda x: torch.log10(x),
             lambda x: x.log() / arb.const_log10(), ("1/(x*log(10))",), ("positive",),
             "DLMF 4.7.1", series=lambda x: x.log() / arb.const_log10()),
    Operator("log1p", "log(1 + x)", lambda x: torch.log1p(x), arb.log1p,
             ("1/(1 + x)",), ("(-1, inf)",), "DLMF 4.7.1", series=lambda x: (1 + x).log()),
    # circular functions
    Operator("sin", "sin", lambda x: torch.sin(x), arb.sin, ("cos(x)",), REAL,
             "DLMF 4.20.1", series=lambda x: x.sin()),
    Operator("cos", "cos", lambda x: torch.cos(x), arb.cos, ("-sin(x)",), REAL,
             "DLMF 4.20.2", series=lambda x: x.cos()),
    Operator("tan", "tan", lambda x: torch.tan(x), arb.tan, ("1 + y**2",), REAL,
             "DLMF 4.20.3", series=lambda x: x.tan()),
    Operator("asin", "asin", lambda x: torch.asin(x), arb.asin,
             ("1/sqrt((1 - x)*(1 + x))",), ("(-1, 1)",), "DLMF 4.24.7",
             series=lambda x: x.asin()),
    Operator("acos", "acos", lambda x: torch.acos(x), arb.acos,
             ("-1/sqrt((1 - x)*(1 + x))",), ("(-1, 1)",), "DLMF 4.24.8",
             series=lambda x: x.acos()),
    Operator("atan", "atan", lambda x: torch.atan(x), arb.atan, ("1/(1 + x*x)",), REAL,
             "DLMF 4.24.9", series=lambda x: x.atan()),
    Operator("atan2", "atan2", lambda a, b: torch.atan2(a, b), balls.atan2,
             ("b/(a*a + b*b)", "-a/(a*a + b*b)"), ("nonzero", "real"), "DLMF 4.23.36",
             jumps=True),
    # hyperbolic functions
    Operator("sinh", "sinh", lambda x: torch.sinh(x), arb.sinh, ("cosh(x)",), REAL,
             "DLMF 4.34.1", series=_exp_series(-1)),
    Operator("cosh", "cosh", lambda x: torch.cosh(x), arb.cosh, ("sinh(x)",), REAL,
             "DLMF 4.34.2", series=_exp_series(1)),
    Operator("tanh", "tanh", lambda x: torch.tanh(x), arb.tanh, ("sech(x)**2",), REAL,
             "DLMF 4.34.3", series=lambda x: _exp_series(-1)(x) / _exp_series(1)(x),
             cancelling="1 - y**2"),
    Operator("sech", "sech", lambda x: 1 / torch.cosh(x), arb.sech,
             ("-y*tanh(x)",), REAL, "DLMF 4.34.5", series=lambda x: 1 / _exp_series(1)(x)),
    Operator("asinh", "asinh", lambda x: torch.asinh(x), arb.asinh,
             ("1/sqrt(1 + x*x)",), REAL, "DLMF 4.38.9"),
    Operator("acosh", "acosh", lambda x: torch.acosh(x), arb.acosh,
             ("1/(sqrt(x - 1)*sqrt(x + 1))",), ("(1, inf)",), "DLMF 4.38.10"),
    Operator("atanh", "atanh", lambda x: torch.atanh(x), arb.atanh,
             ("1/((1 - x)*(1 + x))",), ("(-1, 1)",), "DLMF 4.38.11"),
    # error functions
    Operator("erf", "erf", lambda x: torch.erf(x), arb.erf,
             ("2/sqrt(pi)*exp(-x**2)",), REAL, "DLMF 7.2.1", series=lambda x: x.erf()),
    Operator("erfc", "complementary_error", lambda x: torch.erfc(x),
             balls.complementary_error,
             ("-2/sqrt(pi)*exp(-x**2)",), REAL, "DLMF 7.2.2", series=lambda x: x.erfc()),
    Operator("erfinv", "erfinv", lambda x: torch.erfinv(x), arb.erfinv,
             ("sqrt(pi)/2*exp(y**2)",), ("(-1, 1)",), "DLMF 7.17.1"),
    # gamma, zeta and Bessel functions
    Operator("gamma", "gamma", _gamma, arb.gamma,
             ("y*digamma(x)",), ("positive",), "DLMF 5.2.1", series=lambda x: x.gamma()),
    Operator("lgamma", "log_gamma", lambda x: torch.lgamma(x), balls.log_gamma, ("digamma(x)",),
             ("positive",), "DLMF 5.2.2", series=lambda x: x.lgamma()),
    Operator("digamma", "digamma", lambda x: torch.digamma(x), lambda x: balls.polygamma(0, x),
             ("polygamma(1, x)",), ("positive",), "DLMF 5.2.2"),
    Operator("polygamma", "polygamma", lambda n, x: torch.special.polygamma(n, x),
             balls.polygamma, ("polygamma(n + 1, x)",), ("positive",), "DLMF 5.15.1",
             parameter=True),
    Operator("zeta", "zeta", lambda a, b: torch.special.zeta(a, b), balls.zeta,
             (None, "-a*zeta(a + 1, b)"), ("(1, inf)", "positive"), "DLMF 25.11.17"),
    Operator("besselj", "besselj", _bessel("j"), balls.bessel_j,
             ("(besselj(n - 1, x) - besselj(n + 1, x))/2",), REAL, "DLMF 10.6.1",
             parameter=True, torch_orders=_BESSEL_ORDERS),
    Operator("besseli", "besseli", _bessel("i"), balls.bessel_i,
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
