"""Names in a formula that nothing defines: all of them at once, each with what to write instead."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from gradcheck.errors import ExpressionError
from gradcheck.graph.functions import CONSTANTS, FORMULA_FUNCTIONS
from gradcheck.language.nodes import Attribute, Call, Comprehension, Name, Node, Place, library_of
from gradcheck.language.torch_names import children
from gradcheck.spelling import meant

_SAME = {
    "abs": "Abs fabs absolute",
    "sign": "sgn signum Sign",
    "asin": "arcsin",
    "acos": "arccos",
    "atan": "arctan arctg atg",
    "atan2": "arctan2",
    "asinh": "arcsinh arsinh",
    "acosh": "arccosh arcosh",
    "atanh": "arctanh artanh",
    "sinh": "sh",
    "cosh": "ch",
    "tan": "tg",
    "tanh": "th",
    "log": "ln loge Ln",
    "log2": "lb",
    "log10": "lg",
    "max": "Max maximum fmax",
    "min": "Min minimum fmin",
    "where": "Piecewise select",
    "ceil": "ceiling",
    "round": "rint nearbyint around",
    "lgamma": "gammaln loggamma log_gamma LogGamma",
    "gamma": "Gamma tgamma",
    "digamma": "psi",
    "besselj": "jv",
    "besseli": "iv",
    "prod": "product Product",
    "sum": "Sum reduce_sum",
    "mean": "average avg reduce_mean",
    "amax": "reduce_max",
    "amin": "reduce_min",
    "inv": "inverse",
    "concat": "cat concatenate",
    "eye": "identity",
    "transpose": "swapaxes",
}
_SPELLED_OUT = {
    "1/tan(x)": "cot ctg cotan",
    "1/cos(x)": "sec",
    "1/sin(x)": "csc cosec",
    "1/cosh(x)": "sech",
    "1/sinh(x)": "csch",
    "1/tanh(x)": "coth cth",
    "where(x == 0, 1, sin(pi*x)/(pi*x))": "sinc",
    "1/(1 + exp(-x))": "sigmoid logistic expit",
    "-log1p(exp(-x))": "logsigmoid log_sigmoid",
    "log(x/(1 - x))": "logit",
    "max(x, 0)": "relu ReLU",
    "min(max(x, 0), 6)": "relu6",
    "max(x, 0) + 0.01*min(x, 0)": "leaky_relu",
    "max(x, expm1(min(x, 0)))": "elu",
    "log1p(exp(x))": "softplus",
    "x/(1 + abs(x))": "softsign",
    "x/(1 + exp(-x))": "silu swish SiLU",
    "x*(1 + erf(x/sqrt(2)))/2": "gelu GELU",
    "x*tanh(log1p(exp(x)))": "mish",
    "min(max(x, low), high)": "clip clamp hardtanh",
    "exp(x)/sum(exp(x), dim=-1, keepdim=True)": "softmax",
    "x - log(sum(exp(x), dim=-1, keepdim=True))": "log_softmax",
    "log(sum(exp(x), dim=-1))": "logsumexp reduce_logsumexp",
    "log(exp(x) + exp(y))": "logaddexp",
    "sqrt(sum(x**2))": "norm vector_norm",
    "sum((x - mean(x))**2)/(n - 1)": "var variance",
    "sqrt(sum((x - mean(x))**2)/(n - 1))": "std",
    "x**y": "pow power Pow float_power",
    "x**2": "square sq sqr",
    "sqrt(x**2 + y**2)": "hypot",
    "1/sqrt(x)": "rsqrt",
    "1/x": "reciprocal",
    "-x": "neg negative",
    "x + y": "add Add",
    "x - y": "sub subtract",
    "x*y": "mul multiply Mul",
    "x/y": "div divide true_divide",
    "x @ y": "matmul mm bmm mv",
    "x - y*floor(x/y)": "mod Mod remainder",
    "x - y*sign(x/y)*floor(abs(x/y))": "fmod",
    "sign(x)*floor(abs(x))": "trunc fix",
    "x - sign(x)*floor(abs(x))": "frac",
    "gamma(x + 1)": "factorial",
    "gamma(x)*gamma(y)/gamma(x + y)": "beta",
    "lgamma(x) + lgamma(y) - lgamma(x + y)": "betaln lbeta",
    "(1 + erf(x/sqrt(2)))/2": "ndtr",
    "besselj(0, x)": "j0 bessel_j0",
    "besselj(1, x)": "j1 bessel_j1",
    "besseli(0, x)": "i0 bessel_i0",
    "besseli(1, x)": "i1 bessel_i1",
    "x*pi/180": "deg2rad radians",
    "x*180/pi": "rad2deg degrees",
    "reshape(x, -1)": "flatten ravel",
    "reshape(x, shape)": "view",
    "x.shape[0]": "len size",
    "x.T": "t",
    "dot(x, y)": "inner vdot",
    "sum([x[i]*y[i] for i in range(n)])": "einsum",
}
_TWO_ARGUMENTS = {
    **{name: f"{name}(x, y)" for name in ("min", "max", "atan2", "heaviside", "dot", "outer")},
    **{name: f"{name}(n, x)" for name in ("polygamma", "besselj", "besseli")},
    **{name: f"{name}([x, y])" for name in ("concat", "stack")},
    "where": "where(cond, x, y)",
    "eye": "eye(n)",
    "zeros": "zeros(shape)",
    "ones": "ones(shape)",
    "reshape": "reshape(x, shape)",
}


def call_of(name: str) -> str:
    """How a function of the language is called: ``sin(x)``, ``max(x, y)``."""
    return _TWO_ARGUMENTS.get(name, f"{name}(x)")


SYNONYMS = {
    **{other: call_of(name) for name, others in _SAME.items() for other in others.split()},
    **{other: form for form, others in _SPELLED_OUT.items() for other in others.split()},
}
"""What to write for a function that has another name, or none, in the formula language."""

OTHER_CONSTANTS = {"Pi": "pi", "PI": "pi", "E": "e", "oo": "inf", "Inf": "inf", "infinity": "inf"}
"""The same for constants."""


def form_of(name: str) -> str | None:
    """What to write for a function of some library; None where nothing is meant for sure."""
    for each in (name, name.lower()):
        if each in FORMULA_FUNCTIONS:
            return call_of(each)
        if each in SYNONYMS:
            return SYNONYMS[each]
    return None


def fix_of_function(name: str) -> str:
    """The fix for a function that the formula language does not have."""
    form = form_of(name)
    near = form or meant(name, FORMULA_FUNCTIONS, likeness=0.76)
    return f"write {form or call_of(near)}" if near else WRITE_OUT


WRITE_OUT = f"write it out with what the language has: {', '.join(sorted(FORMULA_FUNCTIONS))}"


def fix_of_name(name: str, known: Collection[str]) -> str:
    """The fix for a name that nothing defines."""
    near = OTHER_CONSTANTS.get(name) or meant(name, known)
    return f"write {near!r}" if near else f"define {name!r} or correct it"


EXPECTED_FUNCTION = "a function of the formula language"


class UnknownName(ExpressionError):
    """A name, ``name``, that nothing defines."""

    def __init__(self, place: Place, name: str, known: Collection[str]) -> None:
        expected = f"one of {', '.join(sorted(known))}"
        super().__init__(place, f"unknown name {name!r}", expected, fix_of_name(name, known))
        self.name = name


def unknown_names(node: object, known: frozenset[str]) -> Iterator[ExpressionError]:
    """An error for each name, function and method that is not of the formula language.

    ``known`` are the names that the case defines.
    """
    if isinstance(node, Name) and node.name not in known | FORMULA_FUNCTIONS | CONSTANTS:
        yield UnknownName(node.place, node.name, known | {"pi", "e", "inf"})
    elif isinstance(node, Attribute) and foreign_name(node, known):
        yield foreign_constant(node)
    elif isinstance(node, Comprehension):
        yield from _in_comprehension(node, known)
    else:
        inside = children(node)
        if isinstance(node, Call):
            yield from _unknown_function(node.function, known)
            inside = inside[1:]
        for child in inside:
            yield from unknown_names(child, known)


def _in_comprehension(node: Comprehension, known: frozenset[str]) -> Iterator[ExpressionError]:
    for loop in node.loops:
        for bound in loop.bounds:
            yield from unknown_names(bound, known)
        known |= {loop.name}
    yield from unknown_names(node.body, known)


def _unknown_function(function: Node, known: frozenset[str]) -> Iterator[ExpressionError]:
    if isinstance(function, Name):
        if function.name not in FORMULA_FUNCTIONS:
            yield unknown_function(function.place, function.name)
        return
    yield foreign_call(function, known)
    if isinstance(function, Attribute) and not foreign_name(function, known):
        yield from unknown_names(function.base, known)


def foreign_name(node: Node, known: Collection[str]) -> str | None:
    """The whole of ``np.linalg.det``, where ``np`` is no name of the case's or the language's."""
    return library_of(node, {*known, *FORMULA_FUNCTIONS, *CONSTANTS})


def unknown_function(place: Place, name: str) -> ExpressionError:
    return ExpressionError(
        place, f"unknown function {name!r}", EXPECTED_FUNCTION, fix_of_function(name)
    )


def foreign_call(function: Node, known: Collection[str]) -> ExpressionError:
    """The error for ``np.exp(x)``, ``x.exp()`` and calls of what is no name at all."""
    if not isinstance(function, Attribute):
        place = getattr(function, "place", (1, 1))
        expected = "a function's name there, or an operator between two factors"
        fix = "write '*' for a product, as in 2*(x + 1)"
        return ExpressionError(place, "a bracket behind what is no name", expected, fix)
    whole = foreign_name(function, known)
    found = f"{whole!r}, a function of a library" if whole else f"the method '.{function.name}'"
    return ExpressionError(function.place, found, EXPECTED_FUNCTION, fix_of_function(function.name))


def foreign_constant(node: Attribute) -> ExpressionError:
    """The error for ``np.pi``, or for a function of a library that is not called."""
    constant = node.name if node.name in CONSTANTS else OTHER_CONSTANTS.get(node.name)
    form = constant or form_of(node.name)
    return ExpressionError(
        node.place,
        f"{foreign_name(node, ())!r}, a name of a library",
        "a name of the formula language",
        f"write {form}" if form else "leave it out",
    )
