"""From text to tree, by Python's own grammar. Nothing is evaluated; the unknown is refused.

Below the reader: what Python's grammar cannot read, or reads and we refuse, and how to mend it.
"""

from __future__ import annotations

import ast
import re
import warnings
from fractions import Fraction
from functools import lru_cache
from typing import NoReturn

from gradcheck.errors import ExpressionError
from gradcheck.language.limits import (
    DEEPEST_NESTING,
    LONGEST_CHAIN,
    MOST_DIGITS,
    MOST_WRITTEN_DIGITS,
    limit,
    place_at,
    too_deep,
    too_long_a_chain,
    too_many_digits,
)
from gradcheck.language.nodes import (
    Attribute,
    Binary,
    Call,
    Comparison,
    Comprehension,
    Dictionary,
    Literal,
    Loop,
    Name,
    Node,
    Place,
    Pointed,
    Sequence,
    Slice,
    Subscript,
    Unary,
)

_BINARY: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
    ast.MatMult: "@",
}
_UNARY: dict[type[ast.unaryop], str] = {ast.USub: "-", ast.UAdd: "+", ast.Not: "not"}
_COMPARISON: dict[type[ast.cmpop], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}


@lru_cache(maxsize=2048)  # many cases say x**2, and most known answers are simple numbers
def parse(text: str, *, dictionaries: bool = False) -> Node:
    """The tree of ``text``, in which there may be dictionaries or not.

    Errors: ExpressionError, with the place inside ``text``, for what is no expression of the
            language, for more than 10,000 characters, nesting beyond 64, a chain of more than
            200 operators, and literals that would build numbers of more than 10,000 digits.
    """
    limit(text)
    flat = text.replace("\n", " ").replace("\r", " ").replace("\t", " ")
    start = len(flat) - len(flat.lstrip())
    try:
        with warnings.catch_warnings(action="error"):  # Python merely warns of '1or 2'
            tree = ast.parse(flat[start:], mode="eval")
    except SyntaxError as error:
        _refuse_syntax(text, error, start)
    except (ValueError, RecursionError, MemoryError):
        raise too_deep((1, 1)) from None
    if isinstance(tree.body, ast.Tuple):
        _refuse_bare_tuple(text, flat[start:], start)
    return _Reader(text, flat[start:], start, dictionaries=dictionaries).read(tree.body, 0)


class _Reader:
    """Carries the text, so that a node knows its place and a number its exact digits."""

    def __init__(self, text: str, flat: str, start: int, *, dictionaries: bool) -> None:
        self.text, self.flat, self.start, self.dictionaries = text, flat, start, dictionaries
        self.one_line = "\n" not in text

    def place(self, node: ast.AST) -> Place:
        offset = self.start + getattr(node, "col_offset", 0)
        return (1, offset + 1) if self.one_line else place_at(self.text, offset)

    def refuse(self, node: ast.AST, near: ast.AST | None = None) -> NoReturn:
        self.refuse_kind(type(node), near or node)

    def refuse_kind(self, kind: type[ast.AST], near: ast.AST) -> NoReturn:
        found, expected, fix = _REFUSED.get(
            kind,
            (f"{kind.__name__.lower()!r}", "an expression of the language", "rewrite it"),
        )
        raise ExpressionError(self.place(near), found, expected, fix)

    def read(self, node: ast.expr, depth: int) -> Node:
        if depth > DEEPEST_NESTING:
            raise too_deep(self.place(node))
        reader = getattr(self, f"_read_{type(node).__name__.lower()}", None)
        if reader is None:
            self.refuse(node)
        result: Node = reader(node, depth)
        return result

    def _read_constant(self, node: ast.Constant, _depth: int) -> Node:
        if node.value is None or isinstance(node.value, bool | str):
            return Literal(node.value, self.place(node))
        if not isinstance(node.value, int | float | complex):
            raise ExpressionError(
                self.place(node), f"{ast.unparse(node)!r}", "a number", "leave it out"
            )
        if isinstance(node.value, complex):
            raise ExpressionError(
                self.place(node),
                f"{ast.unparse(node)!r}",
                "a real number",
                "write the imaginary unit as I, as in 2*I",
            )
        return Literal(self.exact(node), self.place(node))

    def exact(self, node: ast.Constant) -> Fraction:
        digits = self.flat[node.col_offset : node.end_col_offset].replace("_", "").lower()
        if digits.startswith(("0x", "0o", "0b")):
            whole = int(digits, 0)
            if whole >= 10**MOST_WRITTEN_DIGITS:
                raise too_many_digits(self.place(node), MOST_WRITTEN_DIGITS)
            return Fraction(whole)
        mantissa, _, exponent = digits.partition("e")
        if len(mantissa) > MOST_WRITTEN_DIGITS:
            raise too_many_digits(self.place(node), MOST_WRITTEN_DIGITS)
        if len(exponent) > len("-10000") or len(mantissa) + abs(int(exponent or 0)) > MOST_DIGITS:
            raise too_many_digits(self.place(node), MOST_DIGITS)
        return Fraction(int(digits)) if digits.isdigit() else Pointed(digits)

    def _read_name(self, node: ast.Name, _depth: int) -> Node:
        return Name(node.id, self.place(node))

    def _read_attribute(self, node: ast.Attribute, depth: int) -> Node:
        return Attribute(self.read(node.value, depth + 1), node.attr, self.place(node))

    def _read_unaryop(self, node: ast.UnaryOp, depth: int) -> Node:
        if type(node.op) not in _UNARY:
            self.refuse(node.op, node)
        operand = self.read(node.operand, depth + 1)
        return Unary(_UNARY[type(node.op)], operand, self.place(node))

    def _read_binop(self, node: ast.BinOp, depth: int) -> Node:
        spine, left = [node], node.left  # a + b + c + ... nests to the left: not a depth
        while isinstance(left, ast.BinOp):
            spine.append(left)
            left = left.left
        self.limit_chain(node, len(spine))
        result = self.read(left, depth + 1)
        for step in reversed(spine):
            if type(step.op) not in _BINARY:
                self.refuse(step.op, step)
            right = self.read(step.right, depth + 1)
            result = Binary(_BINARY[type(step.op)], result, right, self.place(step))
        return result

    def limit_chain(self, node: ast.expr, operators: int) -> None:
        if operators > LONGEST_CHAIN:
            raise too_long_a_chain(self.place(node), operators)

    def _read_boolop(self, node: ast.BoolOp, depth: int) -> Node:
        operator = "and" if isinstance(node.op, ast.And) else "or"
        self.limit_chain(node, len(node.values) - 1)
        result = self.read(node.values[0], depth + 1)
        for value in node.values[1:]:
            result = Binary(operator, result, self.read(value, depth + 1), self.place(node))
        return result

    def _read_compare(self, node: ast.Compare, depth: int) -> Node:
        self.limit_chain(node, len(node.ops))
        for operator in node.ops:
            if type(operator) not in _COMPARISON:
                raise ExpressionError(
                    self.place(node), "'in' or 'is'", "one of < <= > >= == !=", "write a comparison"
                )
        operands = [self.read(operand, depth + 1) for operand in (node.left, *node.comparators)]
        operators = tuple(_COMPARISON[type(operator)] for operator in node.ops)
        return Comparison(operators, tuple(operands), self.place(node))

    def _read_call(self, node: ast.Call, depth: int) -> Node:
        keywords: list[tuple[str, Node]] = []
        for keyword in node.keywords:
            if keyword.arg is None:
                self.refuse_kind(ast.Starred, node)
            if any(keyword.arg == known for known, _ in keywords):
                raise ExpressionError(
                    self.place(keyword),
                    f"the argument {keyword.arg!r} again",
                    "each argument once",
                    "leave one of them out",
                )
            keywords.append((keyword.arg, self.read(keyword.value, depth + 1)))
        arguments = tuple(self.read(argument, depth + 1) for argument in node.args)
        function = self.read(node.func, depth + 1)
        return Call(function, arguments, tuple(keywords), self.place(node))

    def _read_list(self, node: ast.List | ast.Tuple, depth: int) -> Node:
        items = tuple(self.read(item, depth + 1) for item in node.elts)
        return Sequence(items, self.place(node), isinstance(node, ast.Tuple))

    _read_tuple = _read_list

    def _read_dict(self, node: ast.Dict, depth: int) -> Node:
        if not self.dictionaries:
            self.refuse(node)
        items: dict[str, Node] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
                found = ast.unparse(key) if key else "**"
                place = self.place(key or value)
                fix = 'write it like {"a": x}'
                raise ExpressionError(place, f"the key {found}", "a text as a key", fix)
            if key.value in items:
                found, fix = f"the key {key.value!r} again", "leave one of them out"
                raise ExpressionError(self.place(key), found, "each key once", fix)
            items[key.value] = self.read(value, depth + 1)
        return Dictionary(tuple(items), tuple(items.values()), self.place(node))

    def _read_subscript(self, node: ast.Subscript, depth: int) -> Node:
        items = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        indices = tuple(self._index(item, depth + 1) for item in items)
        return Subscript(self.read(node.value, depth + 1), indices, self.place(node))

    def _index(self, node: ast.expr, depth: int) -> Node | Slice | ellipsis:  # noqa: F821
        if isinstance(node, ast.Constant) and node.value is ...:
            return ...
        if not isinstance(node, ast.Slice):
            return self.read(node, depth)
        parts = (node.lower, node.upper, node.step)
        start, stop, step = (None if part is None else self.read(part, depth) for part in parts)
        return Slice(start, stop, step, self.place(node))

    def _read_listcomp(self, node: ast.ListComp | ast.GeneratorExp, depth: int) -> Node:
        loops = tuple(self._loop(generator, depth + 1) for generator in node.generators)
        return Comprehension(self.read(node.elt, depth + 1), loops, self.place(node))

    _read_generatorexp = _read_listcomp

    def _loop(self, loop: ast.comprehension, depth: int) -> Loop:
        over = loop.iter
        plain = isinstance(loop.target, ast.Name) and not loop.ifs and not loop.is_async
        ranged = isinstance(over, ast.Call) and isinstance(over.func, ast.Name)
        if not (plain and ranged and over.func.id == "range" and not over.keywords):  # type: ignore[attr-defined]
            raise ExpressionError(
                self.place(loop.target),
                "a comprehension that is not over range(...)",
                "[... for i in range(...)] with one name for each loop and no 'if'",
                "loop over range(n) and index by the loop's name",
            )
        bounds = tuple(self.read(bound, depth) for bound in over.args)  # type: ignore[attr-defined]
        if not 1 <= len(bounds) <= 3:
            raise ExpressionError(
                self.place(over), "range(...)", "range with one to three bounds", "write range(n)"
            )
        return Loop(loop.target.id, bounds)  # type: ignore[attr-defined]


_REFUSED: dict[type[ast.AST], tuple[str, str, str]] = {
    ast.BitXor: ("'^'", "'**' for a power", "write x**2 for x to the power of 2"),
    ast.BitAnd: ("'&'", "'and' between conditions", "write 'and'"),
    ast.BitOr: ("'|'", "'or' between conditions", "write 'or'"),
    ast.Invert: ("'~'", "'not' before a condition", "write 'not'"),
    ast.LShift: ("'<<'", "arithmetic by + - * / **", "write a*2**n"),
    ast.RShift: ("'>>'", "arithmetic by + - * / **", "write floor(a / 2**n)"),
    ast.IfExp: ("'... if ... else ...'", "where(cond, a, b)", "write where(cond, a, b)"),
    ast.Lambda: ("'lambda'", "an expression", "write the function out"),
    ast.NamedExpr: ("':='", "an expression", "give the intermediate result a name under 'let'"),
    ast.Dict: ("a mapping", "numbers, lists and calls", "write a list"),
    ast.Set: ("a set", "numbers, lists and calls", "write a list with [ ]"),
    ast.SetComp: ("a set", "numbers, lists and calls", "write a list with [ ]"),
    ast.DictComp: ("a mapping", "numbers, lists and calls", "write a list"),
    ast.JoinedStr: ("an f-string", "numbers, lists and calls", "write the text out"),
    ast.Starred: ("'*' before an argument", "arguments one by one", "write the arguments out"),
    ast.Await: ("'await'", "an expression", "leave it out"),
    ast.Yield: ("'yield'", "an expression", "leave it out"),
}
"""By what Python's grammar reads and the language has not: found, expected, fix."""

_HINT = re.compile(r"(?i)(?P<words>.*?)[.,;] +(?P<hint>(?:perhaps|maybe|did you|use) .*)")
_FIXES = {
    "never closed": "close the bracket",
    "unmatched": "remove it, or open a bracket before it",
    "does not match": "close every bracket with its own kind",
    "unterminated": "close the quote",
    "leading zeros": "write the number without them",
    "decimal literal": "write '*' between a number and a name, as in 2*x, and blanks around words",
    "'else'": "write where(cond, a, b)",
}
"""By what Python's words contain; the first that fits."""


_ASSIGNED = re.compile(r"\s*([A-Za-z_]\w*(?:\s*\([\w, ]*\))?)\s*=(?!=)")
_BRACKETS = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}


def _refuse_bare_tuple(text: str, flat: str, start: int) -> None:
    """Refuse a comma outside brackets, as in ``3,5*x``; ``flat`` is ``text`` from ``start`` on."""
    depth = 0
    for offset, character in enumerate(flat):
        depth += _BRACKETS.get(character, 0)
        if character == "," and depth == 0:
            raise ExpressionError(
                place_at(text, start + offset),
                "a comma outside brackets",
                "a single expression",
                "write '.' in a decimal number, and [a, b] for a vector",
            )


def _refuse_syntax(text: str, error: SyntaxError, start: int) -> NoReturn:
    """Say where Python broke off; it read ``text`` from ``start`` on."""
    assigned = _ASSIGNED.match(text)
    if assigned:
        raise ExpressionError(
            place_at(text, assigned.end() - 1),
            f"'{assigned[1]} ='",
            "an expression alone",
            f"leave out '{assigned[1]} =', or write '==' to compare",
        ) from None
    offset = start + error.offset - 1 if error.offset else len(text.rstrip())
    offset = min(offset, len(text))
    if "nested" in error.msg:
        raise too_deep(place_at(text, offset)) from None
    rest = text[offset:].split("\n")[0].strip()[:20]
    found = f"{rest!r}, where the expression breaks off" if rest else "the end of the text"
    words, fix = _words_and_fix(error.msg, text[:offset], rest)
    expected = f"an expression in Python's syntax ({words})"
    raise ExpressionError(place_at(text, offset), found, expected, fix) from None


def _words_and_fix(message: str, before: str, rest: str) -> tuple[str, str]:
    """Python's words without its hint, and a fix: the hint, or ours where Python has none.

    ``before`` and ``rest`` are the text up to where it breaks off, and from there on.
    """
    hinted = _HINT.fullmatch(message)
    words = hinted["words"] if hinted else message.rstrip(".")
    known = next((fix for part, fix in _FIXES.items() if part in words), None)
    if known is None and hinted:
        known = hinted["hint"][0].lower() + hinted["hint"][1:]
    return words, known or _fix(words, before.strip(), rest.strip())


def _fix(words: str, before: str, rest: str) -> str:
    if words != "invalid syntax":
        return "correct that"
    if not rest:
        return "write what is missing after the last operator or word, or remove that"
    if not before:
        return "begin with a name, a number, a sign or a bracket, as in 3*x**2"
    if rest.startswith("for "):
        return 'write a list with brackets, and quote it in YAML: "[x[i] for i in range(3)]"'
    if rest.startswith("="):
        return "write '==' to compare; nothing is assigned in an expression"
    return "write an operator, a comma or a bracket there"
