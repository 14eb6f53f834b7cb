"""What the parser says of a text that it refuses, whole."""

import pytest

from gradcheck.errors import ExpressionError
from gradcheck.language.nodes import Binary, Unary
from gradcheck.language.parse import parse


def message(text: str) -> str:
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    return str(caught.value)


REFUSED = {
    "x^2": """1:1: '^'
  expected: '**' for a power
  fix:      write x**2 for x to the power of 2""",
    "1 +\n  (y^2)": """2:4: '^'
  expected: '**' for a power
  fix:      write x**2 for x to the power of 2""",
    "a & b": """1:1: '&'
  expected: 'and' between conditions
  fix:      write 'and'""",
    "a | b": """1:1: '|'
  expected: 'or' between conditions
  fix:      write 'or'""",
    "a << 2": """1:1: '<<'
  expected: arithmetic by + - * / **
  fix:      write a*2**n""",
    "a >> 2": """1:1: '>>'
  expected: arithmetic by + - * / **
  fix:      write floor(a / 2**n)""",
    "1 + ~x": """1:5: '~'
  expected: 'not' before a condition
  fix:      write 'not'""",
    "x if x > 0 else 0": """1:1: '... if ... else ...'
  expected: where(cond, a, b)
  fix:      write where(cond, a, b)""",
    "lambda x: x": """1:1: 'lambda'
  expected: an expression
  fix:      write the function out""",
    "(y := x)": """1:2: ':='
  expected: an expression
  fix:      give the intermediate result a name under 'let'""",
    "3 + 2j": """1:5: '2j'
  expected: a real number
  fix:      write the imaginary unit as I, as in 2*I""",
    "b'x'": """1:1: "b'x'"
  expected: a number
  fix:      leave it out""",
    "...": """1:1: '...'
  expected: a number
  fix:      leave it out""",
    "{x: 1}": """1:1: a mapping
  expected: numbers, lists and calls
  fix:      write a list""",
    "{i for i in range(3)}": """1:1: a set
  expected: numbers, lists and calls
  fix:      write a list with [ ]""",
    "f'{x}'": """1:1: an f-string
  expected: numbers, lists and calls
  fix:      write the text out""",
    "sum(*x)": """1:5: '*' before an argument
  expected: arguments one by one
  fix:      write the arguments out""",
    "sum(**x)": """1:1: '*' before an argument
  expected: arguments one by one
  fix:      write the arguments out""",
    "sum(x, dim=0, dim=1)": """1:15: the argument 'dim' again
  expected: each argument once
  fix:      leave one of them out""",
    "x in [1, 2]": """1:1: 'in' or 'is'
  expected: one of < <= > >= == !=
  fix:      write a comparison""",
    "[i for i in x]": """1:8: a comprehension that is not over range(...)
  expected: [... for i in range(...)] with one name for each loop and no 'if'
  fix:      loop over range(n) and index by the loop's name""",
    "[i for i in range(3) if i]": """1:8: a comprehension that is not over range(...)
  expected: [... for i in range(...)] with one name for each loop and no 'if'
  fix:      loop over range(n) and index by the loop's name""",
    "[i for i in range()]": """1:13: range(...)
  expected: range with one to three bounds
  fix:      write range(n)""",
    "x + é": """1:5: the character 'é'
  expected: ASCII letters, digits and operators
  fix:      write it with the names of the formula language (pi, sqrt, x**2, ...)""",
    "x +\n x²": """2:3: the character '²'
  expected: ASCII letters, digits and operators
  fix:      write **2""",
    "2·x": """1:2: the character '·'
  expected: ASCII letters, digits and operators
  fix:      write *""",
    "x − 1": """1:3: the character '−'
  expected: ASCII letters, digits and operators
  fix:      write -""",
    "2*π": """1:3: the character 'π'
  expected: ASCII letters, digits and operators
  fix:      write pi""",
    "3,5*x": """1:2: a comma outside brackets
  expected: a single expression
  fix:      write '.' in a decimal number, and [a, b] for a vector""",
    "(a),\n(b)": """1:4: a comma outside brackets
  expected: a single expression
  fix:      write '.' in a decimal number, and [a, b] for a vector""",
    "y = 3x^2": """1:3: 'y ='
  expected: an expression alone
  fix:      leave out 'y =', or write '==' to compare""",
    "f(x) = x**2": """1:6: 'f(x) ='
  expected: an expression alone
  fix:      leave out 'f(x) =', or write '==' to compare""",
    "x[i] for i in range(3)": """1:6: 'for i in range(3)', where the expression breaks off
  expected: an expression in Python's syntax (invalid syntax)
  fix:      write a list with brackets, and quote it in YAML: "[x[i] for i in range(3)]\"""",
    "x # a comment": """1:3: the character '#'
  expected: ASCII letters, digits and operators
  fix:      write it with the names of the formula language (pi, sqrt, x**2, ...)""",
    "": """1:1: an empty expression
  expected: an expression
  fix:      write one""",
    " \n\t ": """1:1: an empty expression
  expected: an expression
  fix:      write one""",
    "sin(x": """1:4: '(x', where the expression breaks off
  expected: an expression in Python's syntax ('(' was never closed)
  fix:      close the bracket""",
    "1 +\n [2, 3": """2:2: '[2, 3', where the expression breaks off
  expected: an expression in Python's syntax ('[' was never closed)
  fix:      close the bracket""",
    "(1]": """1:3: ']', where the expression breaks off
  expected: an expression in Python's syntax (closing parenthesis ']' \
does not match opening parenthesis '(')
  fix:      close every bracket with its own kind""",
    "x)": """1:2: ')', where the expression breaks off
  expected: an expression in Python's syntax (unmatched ')')
  fix:      remove it, or open a bracket before it""",
    "x +": """1:4: the end of the text
  expected: an expression in Python's syntax (invalid syntax)
  fix:      write what is missing after the last operator or word, or remove that""",
    "1or x": """1:1: '1or x', where the expression breaks off
  expected: an expression in Python's syntax (invalid decimal literal)
  fix:      write '*' between a number and a name, as in 2*x, and blanks around words""",
    "x = 1": """1:3: 'x ='
  expected: an expression alone
  fix:      leave out 'x =', or write '==' to compare""",
    "x + 1 = y": """1:7: '= y', where the expression breaks off
  expected: an expression in Python's syntax (invalid syntax)
  fix:      write '==' to compare; nothing is assigned in an expression""",
    "import os": """1:1: 'import os', where the expression breaks off
  expected: an expression in Python's syntax (invalid syntax)
  fix:      begin with a name, a number, a sign or a bracket, as in 3*x**2""",
    "sin x": """1:5: 'x', where the expression breaks off
  expected: an expression in Python's syntax (invalid syntax)
  fix:      write an operator, a comma or a bracket there""",
    "[a b]": """1:2: 'a b]', where the expression breaks off
  expected: an expression in Python's syntax (invalid syntax)
  fix:      perhaps you forgot a comma?""",
    "f(1=x)": """1:3: '1=x)', where the expression breaks off
  expected: an expression in Python's syntax (expression cannot contain assignment)
  fix:      perhaps you meant "=="?""",
    "x + 007": """1:5: '007', where the expression breaks off
  expected: an expression in Python's syntax (leading zeros \
in decimal integer literals are not permitted)
  fix:      write the number without them""",
    "f(a=1, 2)": """1:9: ')', where the expression breaks off
  expected: an expression in Python's syntax (positional argument follows keyword argument)
  fix:      correct that""",
}


@pytest.mark.parametrize("text", REFUSED)
def test_a_text_is_refused_with_place_expectation_and_fix(text):
    assert message(text) == REFUSED[text]


# limits: each just met, and just passed


@pytest.mark.parametrize(
    "text",
    [
        "x" * 10_000,
        "(" * 64 + "x" + ")" * 64,
        "-" * 64 + "x",
        "+".join(["x"] * 201),
        " and ".join(["x"] * 201),
        "<".join(["x"] * 201),
        "1" * 4_300,
        "1e9999",
        "1e-9999",
    ],
    ids=len,
)
def test_what_meets_a_limit_is_read(text):
    assert parse(text) is not None


DEEP = """: nesting deeper than 64
  expected: at most 64 levels
  fix:      split it into intermediate results under 'let'"""
CHAIN = """1:1: a chain of 201 operators
  expected: at most 200
  fix:      write sum([...]) or split it into intermediate results under 'let'"""
LONG = """: a number of more than 4,300 digits
  expected: at most 4,300 digits
  fix:      write a shorter number"""
HUGE = """1:1: a number of more than 10,000 digits
  expected: at most 10,000 digits
  fix:      write a shorter number"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x" * 10_001, "1:1: an expression of 10,001 characters\n  expected: at most 10,000\n"
         "  fix:      split it into intermediate results under 'let'"),
        ("(" * 65 + "x" + ")" * 65, "1:65" + DEEP),
        ("\n(" * 65 + "x" + ")" * 65, "66:1" + DEEP),
        ("[" * 5_000, "1:65" + DEEP),
        ("-" * 65 + "x", "1:66" + DEEP),
        ("not " * 65 + "x", "1:261" + DEEP),
        ("x" + ".T" * 65, "1:1" + DEEP),
        ("x" + "()" * 65, "1:1" + DEEP),
        ("-" * 9_999 + "x", "1:1" + DEEP),
        ("x**" * 65 + "x", "1:193" + DEEP),
        ("+".join(["x"] * 202), CHAIN),
        (" or ".join(["x"] * 202), CHAIN),
        ("<".join(["x"] * 202), CHAIN),
        ("1" * 4_301, "1:1" + LONG),
        ("x + \n  " + "7_" * 4_301 + "7", "2:3" + LONG),
        ("1" * 4_300 + ".5", "1:1" + LONG),
        ("1e10000", HUGE),
        ("1e-10000", HUGE),
        ("1e" + "9" * 4_000, HUGE),
        ("1e" + "9" * 9_000, "1:3" + LONG),
        ("0." + "0" * 4_200 + "1e5900", HUGE),
    ],
    ids=lambda value: f"{value[:12]!r}",
)  # fmt: skip
def test_what_passes_a_limit_is_refused(text, said):
    assert message(text) == said


@pytest.mark.parametrize(("text", "kind"), [("a + b", Binary), ("-a", Unary)])
def test_what_is_not_refused_is_read(text, kind):
    assert type(parse(text)) is kind
