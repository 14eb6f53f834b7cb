"""Trees drawn at random, and the text of a tree: the parser's inverse, written apart from it."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from fractions import Fraction

from hypothesis import strategies as st

from gradcheck.language.nodes import (
    Attribute,
    Binary,
    Call,
    Comparison,
    Comprehension,
    Literal,
    Loop,
    Name,
    Sequence,
    Slice,
    Subscript,
    Unary,
)


def written(tree, gap: str = " ") -> str:
    """The text of a tree; ``gap`` stands wherever white space may."""
    return _WRITERS[type(tree)](tree, gap)


def _number(value: Fraction) -> str:
    digits = next(k for k in range(400) if 10**k % value.denominator == 0)
    whole = value.numerator * (10**digits // value.denominator)
    return f"{whole}e-{digits}" if digits else str(whole)


def _literal(tree: Literal, _gap: str) -> str:
    plain = tree.value is None or isinstance(tree.value, bool | str)
    return repr(tree.value) if plain else _number(tree.value)


def _group(tree, gap: str) -> str:
    return f"({gap}{written(tree, gap)}{gap})"


def _listed(items, gap: str) -> str:
    return f",{gap}".join(written(item, gap) for item in items)


def _comparison(tree: Comparison, gap: str) -> str:
    rest = zip(tree.operators, tree.operands[1:], strict=True)
    more = "".join(f"{gap}{operator}{gap}{_group(each, gap)}" for operator, each in rest)
    return _group(tree.operands[0], gap) + more


def _call(tree: Call, gap: str) -> str:
    keywords = [f"{name}={written(value, gap)}" for name, value in tree.keywords]
    arguments = [written(each, gap) for each in tree.arguments]
    return f"{written(tree.function, gap)}({f',{gap}'.join([*arguments, *keywords])})"


def _slice(tree: Slice, gap: str) -> str:
    start, stop, step = (
        "" if part is None else _group(part, gap) for part in (tree.start, tree.stop, tree.step)
    )
    return f"{start}:{stop}" + (f":{step}" if step else "")


def _subscript(tree: Subscript, gap: str) -> str:
    return f"{_group(tree.base, gap)}[{_listed(tree.indices, gap) or '()'}]"


def _comprehension(tree: Comprehension, gap: str) -> str:
    loops = [f"for {loop.name} in range({_listed(loop.bounds, gap)})" for loop in tree.loops]
    return f"[{gap}{_group(tree.body, gap)}{gap}{gap.join(loops)}]"


_WRITERS = {
    Literal: _literal,
    Name: lambda tree, _gap: tree.name,
    Attribute: lambda tree, gap: f"{_group(tree.base, gap)}.{tree.name}",
    Unary: lambda tree, gap: f"{tree.operator}{gap}{_group(tree.operand, gap)}",
    Binary: lambda tree, gap: (
        f"{_group(tree.left, gap)}{gap}{tree.operator}{gap}{_group(tree.right, gap)}"
    ),
    Comparison: _comparison,
    Call: _call,
    Sequence: lambda tree, gap: f"[{gap}{_listed(tree.items, gap)}{gap}]",
    Slice: _slice,
    Subscript: _subscript,
    Comprehension: _comprehension,
    type(...): lambda _tree, _gap: "...",
}

# random trees

WORDS = st.sampled_from(["x", "y", "alpha", "w_1", "sin", "sum", "range", "T", "torch"])
LITERALS = st.one_of(
    st.builds(Literal, st.none() | st.booleans() | st.text("ab c_'", max_size=4)),
    st.builds(lambda n, d: Literal(Fraction(n, 10**d)), st.integers(0, 10**12), st.integers(0, 9)),
)
NAMES = st.builds(Name, WORDS)
OPERATORS = st.sampled_from(["+", "-", "*", "/", "**", "@", "and", "or"])
COMPARISONS = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])


def _few(trees, least: int = 0):
    return st.lists(trees, min_size=least, max_size=3).map(tuple)


def _deeper(trees):
    part = st.none() | trees
    chains = st.integers(1, 3).flatmap(
        lambda n: st.tuples(_exactly(COMPARISONS, n), _exactly(trees, n + 1))
    )
    keywords = st.dictionaries(WORDS, trees, max_size=2).map(lambda found: tuple(found.items()))
    loops = st.builds(Loop, WORDS, _few(trees, 1))
    return st.one_of(
        st.builds(Attribute, trees, WORDS),
        st.builds(Unary, st.sampled_from(["-", "+", "not"]), trees),
        st.builds(Binary, OPERATORS, trees, trees),
        chains.map(lambda chain: Comparison(*chain)),
        st.builds(Call, NAMES | st.builds(Attribute, NAMES, WORDS), _few(trees), keywords),
        st.builds(Sequence, _few(trees)),
        st.builds(Subscript, trees, _few(trees | st.builds(Slice, part, part, part) | _DOTS)),
        st.builds(Comprehension, trees, _few(loops, 1)),
    )


_DOTS = st.just(...)


def _exactly(items, n: int):
    return st.lists(items, min_size=n, max_size=n).map(tuple)


TREES = st.recursive(LITERALS | NAMES, _deeper, max_leaves=15)


def every_node(tree) -> list:
    """All nodes of a tree, itself included."""
    found = [tree]
    parts = [getattr(tree, field.name) for field in fields(tree)] if is_dataclass(tree) else tree
    for part in parts:
        if is_dataclass(part) or isinstance(part, tuple):
            found += every_node(part)
    return [each for each in found if is_dataclass(each)]
