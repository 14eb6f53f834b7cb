"""Where the operator table is tested, and what mpmath calls each operator.

REGULAR are points at which every column must hold. HARD are extremes (tiny, huge, next to an edge)
at which the value must be enclosed. A parameter (the n of x**n) stands first. ``where`` takes a
number for its condition here, which holds where that number is negative.
"""

import math

import mpmath

BELOW_ONE, ABOVE_ONE = math.nextafter(1, 0), math.nextafter(1, 2)
TINY, HUGE = 5e-324, 1.7976931348623157e308

_ANY = ((0.3,), (-1.7,), (2.5,))
_POSITIVE = ((0.3,), (1.75,), (4.5,))
_INSIDE = ((0.25,), (-0.5,), (0.875,))
_PAIRS = ((0.3, 1.25), (-2.5, 0.75), (4.5, -3.5))
_EXTREME = ((0.0,), (TINY,), (-1e-300,), (1e-10,))

REGULAR: dict[str, tuple[tuple[float, ...], ...]] = {
    "add": _PAIRS,
    "sub": _PAIRS,
    "mul": _PAIRS,
    "div": _PAIRS,
    "neg": _ANY,
    "ipow": ((3, 0.3), (2, -1.7), (-3, 2.5), (5, -1.7), (-1, -0.3)),
    "pow": ((0.3, 1.25), (1.75, -0.5), (4.5, 3.5)),
    "powlog": ((1, 0.3, 1.25), (1, 1.75, -0.5), (2, 4.5, 3.5), (3, 0.3, 1.25)),
    "lt": ((1.0, 2.0), (2.0, 1.0)),
    "le": ((1.0, 2.0), (2.0, 1.0)),
    "eq": ((1.0, 2.0), (2.0, 1.0)),
    "not": ((True,), (False,)),
    "and": ((True, True), (True, False), (False, True), (False, False)),
    "or": ((True, True), (True, False), (False, True), (False, False)),
    "where": ((-1.0, 2.0, 3.0), (1.0, 2.0, 3.0)),
    "abs": _ANY,
    "sign": _ANY,
    "heaviside": ((0.3, 0.5), (-1.7, 0.5), (2.5, -1.0)),
    "floor": _ANY,
    "ceil": _ANY,
    "round": _ANY[:2],
    "min": _PAIRS,
    "max": _PAIRS,
    "sqrt": _POSITIVE,
    "cbrt": _ANY,
    "exp": _ANY,
    "exp2": _ANY,
    "expm1": _ANY,
    "log": _POSITIVE,
    "log2": _POSITIVE,
    "log10": _POSITIVE,
    "log1p": (*_POSITIVE, (-0.5,)),
    "sin": _ANY,
    "cos": _ANY,
    "tan": _ANY,
    "asin": _INSIDE,
    "acos": _INSIDE,
    "atan": _ANY,
    "atan2": (*_PAIRS, (-0.5, -0.75)),
    "sinh": _ANY,
    "cosh": _ANY,
    "tanh": _ANY,
    "sech": _ANY,
    "asinh": _ANY,
    "acosh": ((1.25,), (2.5,), (30.0,)),
    "atanh": _INSIDE,
    "erf": _ANY,
    "erfc": _ANY,
    "erfinv": _INSIDE,
    "gamma": _POSITIVE,
    "lgamma": _POSITIVE,
    "digamma": _POSITIVE,
    "polygamma": ((1, 30.0), (2, 1.75), (5, 4.5)),
    "zeta": ((1.5, 0.75), (2.5, 1.0), (6.0, 3.5)),
    "besselj": ((0, 0.3), (1, -1.75), (0, 1.5), (1, 100.0)),
    "besseli": ((0, 0.3), (1, -1.75), (0, 4.5), (1, 9.0)),
}

HARD: dict[str, tuple[tuple[float, ...], ...]] = {
    "add": ((1.0, TINY), (HUGE, HUGE)),
    "sub": ((1.0, BELOW_ONE), (HUGE, TINY)),
    "mul": ((TINY, TINY), (HUGE, HUGE)),
    "div": ((TINY, HUGE), (1.0, TINY)),
    "neg": ((TINY,),),
    "ipow": ((200, TINY), (7, -HUGE), (1, 0.0), (2, 0.0), (-2, TINY)),
    "pow": ((TINY, 0.5), (BELOW_ONE, 1e20), (0.0, 0.5), (-2.0, 3.0), (HUGE, -0.5)),
    "powlog": ((1, TINY, 0.5), (1, 0.0, 0.5), (2, 0.0, 0.5), (1, ABOVE_ONE, 0.5), (1, HUGE, 1.0)),
    "lt": ((1.0, 1.0), (1.0, ABOVE_ONE), (0.0, -0.0), (TINY, 0.0)),
    "le": ((1.0, 1.0), (ABOVE_ONE, 1.0), (0.0, -0.0), (TINY, 0.0)),
    "eq": ((1.0, 1.0), (1.0, ABOVE_ONE), (0.0, -0.0), (TINY, 0.0)),
    "not": ((True,),),
    "and": ((True, False),),
    "or": ((True, False),),
    "where": ((-TINY, 1e-300, HUGE), (0.0, 1e-300, HUGE)),
    "abs": ((0.0,), (-TINY,), (-HUGE,)),
    "sign": ((0.0,), (-TINY,), (HUGE,)),
    "heaviside": ((0.0, 0.25), (TINY, 0.25), (-TINY, 0.25)),
    "floor": ((2.0,), (BELOW_ONE,), (-TINY,), (HUGE,), (-3.0,)),
    "ceil": ((2.0,), (ABOVE_ONE,), (TINY,), (-HUGE,), (-3.0,)),
    "round": ((0.5,), (1.5,), (-2.5,), (0.49999999999999994,), (4503599627370497.5,), (HUGE,)),
    "min": ((1.0, 1.0), (TINY, -TINY), (HUGE, -HUGE)),
    "max": ((1.0, 1.0), (TINY, -TINY), (HUGE, -HUGE)),
    "sqrt": ((0.0,), (TINY,), (HUGE,), (BELOW_ONE,)),
    "cbrt": ((0.0,), (-TINY,), (HUGE,), (-27.0,)),
    "exp": (*_EXTREME, (-745.2,), (709.8,), (-1e4,)),
    "exp2": (*_EXTREME, (-1074.5,), (1023.9,)),
    "expm1": (*_EXTREME, (-745.2,), (709.8,)),
    "log": ((TINY,), (HUGE,), (BELOW_ONE,), (ABOVE_ONE,)),
    "log2": ((TINY,), (HUGE,), (BELOW_ONE,), (8.0,)),
    "log10": ((TINY,), (HUGE,), (ABOVE_ONE,), (1000.0,)),
    "log1p": (*_EXTREME, (-BELOW_ONE,), (HUGE,)),
    "sin": (*_EXTREME, (math.pi,), (1e22,), (HUGE,)),
    "cos": (*_EXTREME, (math.pi / 2,), (1e22,), (HUGE,)),
    "tan": (*_EXTREME, (math.pi / 2,), (math.pi,), (1e22,)),
    "asin": (*_EXTREME, (BELOW_ONE,), (-1.0,)),
    "acos": (*_EXTREME, (BELOW_ONE,), (1.0,), (-1.0,)),
    "atan": (*_EXTREME, (HUGE,), (-1e16,)),
    "atan2": ((TINY, -1.0), (-TINY, -HUGE), (0.0, 1.0), (1.0, 0.0), (HUGE, TINY)),
    "sinh": (*_EXTREME, (711.0,)),
    "cosh": (*_EXTREME, (-711.0,)),
    "tanh": (*_EXTREME, (19.5,), (-400.0,)),
    "sech": (*_EXTREME, (745.0,), (-20.0,)),
    "asinh": (*_EXTREME, (-HUGE,)),
    "acosh": ((1.0,), (ABOVE_ONE,), (HUGE,)),
    "atanh": (*_EXTREME, (BELOW_ONE,), (-BELOW_ONE,)),
    "erf": (*_EXTREME, (5.9,), (-30.0,)),
    "erfc": (*_EXTREME, (5.9,), (26.5,), (-30.0,)),
    "erfinv": (*_EXTREME, (BELOW_ONE,), (-BELOW_ONE,)),
    "gamma": ((TINY,), (1e-300,), (171.6,), (-0.5,), (-170.5,), (BELOW_ONE,)),
    "lgamma": ((TINY,), (ABOVE_ONE,), (2.0,), (1e15,), (-0.5,), (-2.4570247382208006,)),
    "digamma": ((1e-300,), (1.4616321449683623,), (1e15,), (-0.5,)),
    "polygamma": ((1, 0.3), (1, 1e-200), (2, 1e10), (20, 0.5), (3, -0.5), (0, 0.25)),
    "zeta": ((ABOVE_ONE, 1.0), (1.0 + 2.0**-20, 1e-5), (40.0, 0.01), (2.0, 1e10)),
    "besselj": ((0, 0.0), (0, 5.1), (-1, 0.5), (3, 1e-100), (2, 1e4), (40, 1.0)),
    "besseli": ((0, 0.0), (1, 0.0), (-1, 0.5), (3, 1e-100), (2, 600.0), (40, 1.0)),
}


def _cube_root(x):
    return mpmath.sign(x) * mpmath.cbrt(abs(x))


def _log_gamma(x):
    return mpmath.loggamma(x) if x > 0 else mpmath.log(abs(mpmath.gamma(x)))


def _round(x):
    below = mpmath.floor(x)
    up = x - below > mpmath.mpf("0.5") or (x - below == mpmath.mpf("0.5") and below % 2)
    return below + 1 if up else below


def _power_times_log(n, a, b):
    return a**b * mpmath.log(a) ** int(n) if a else mpmath.mpf(0)


MPMATH = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "neg": lambda x: -x,
    "ipow": lambda n, x: x ** int(n),
    "pow": mpmath.power,
    "powlog": _power_times_log,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "eq": lambda a, b: a == b,
    "not": lambda a: not a,
    "and": lambda a, b: bool(a and b),
    "or": lambda a, b: bool(a or b),
    "where": lambda a, b, c: b if a < 0 else c,
    "abs": abs,
    "sign": mpmath.sign,
    "heaviside": lambda a, b: b if a == 0 else mpmath.mpf(a > 0),
    "floor": mpmath.floor,
    "ceil": mpmath.ceil,
    "round": _round,
    "min": min,
    "max": max,
    "sqrt": mpmath.sqrt,
    "cbrt": _cube_root,
    "exp": mpmath.exp,
    "exp2": lambda x: mpmath.mpf(2) ** x,
    "expm1": mpmath.expm1,
    "log": mpmath.log,
    "log2": lambda x: mpmath.log(x, 2),
    "log10": mpmath.log10,
    "log1p": mpmath.log1p,
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "tan": mpmath.tan,
    "asin": mpmath.asin,
    "acos": mpmath.acos,
    "atan": mpmath.atan,
    "atan2": mpmath.atan2,
    "sinh": mpmath.sinh,
    "cosh": mpmath.cosh,
    "tanh": mpmath.tanh,
    "sech": mpmath.sech,
    "asinh": mpmath.asinh,
    "acosh": mpmath.acosh,
    "atanh": mpmath.atanh,
    "erf": mpmath.erf,
    "erfc": mpmath.erfc,
    "erfinv": mpmath.erfinv,
    "gamma": mpmath.gamma,
    "lgamma": _log_gamma,
    "digamma": mpmath.digamma,
    "polygamma": lambda n, x: mpmath.polygamma(int(n), x),
    "zeta": mpmath.zeta,
    "besselj": lambda n, x: mpmath.besselj(int(n), x),
    "besseli": lambda n, x: mpmath.besseli(int(n), x),
}
