"""The methods that testify: one file, one witness, and all that is known of it stands there.

A file declares its ``METHOD`` and a function ``answer``. The declarations are read without running
the files, since running one imports torch, and a catalog is read without it. What the methods
share stands in the package ``_torch``, which is no file and so no witness.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from gradcheck.answer import Invocation, Said


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """What must be known of a witness before it is asked. Literals alone stand in a declaration.

    ``order`` is that of the derivatives that its answers are held against: a case of a lower order
    has no check by it. ``differences``: it takes finite differences, so it is asked point by
    point, since its cost grows with the square, and with settings that the enclosures give.
    ``subject`` is what a sentence says is wrong where the witness disagrees. ``usual_call`` is
    the label of one of its calls where those of the others say, after "wrong", what differs there.
    ``eager`` says that it calls the code as PyTorch runs it by itself; where it does not, all its
    labels say what differs, and eager mode is the usual call. Where it ``compiles`` the code, that
    is asked as it was written for what its own rounding does. Where it is ``mapped``,
    ``torch.vmap`` takes the points of PyTorch's own code that takes one at a time; a user's code
    may know nothing of ``torch.vmap``. One that ``reshapes`` also has a user's code asked at shapes
    that the case does not declare. What is not ``by_default`` is asked where a run names it.

    Units: ``share`` and ``share_alone`` are of a run's drawn points, by what an answer costs:
           where one call takes many points, and where each point is a call of its own.
    """

    name: str
    order: int
    share: float
    share_alone: float
    subject: str
    differences: bool = False
    usual_call: str = ""
    eager: bool = True
    compiles: bool = False
    mapped: bool = False
    reshapes: bool = False
    by_default: bool = True

    def answer(self, invocation: Invocation) -> Iterator[Said]:
        """Return all that the witness says: numbers to judge, or remarks. Imports torch."""
        return cast(_Answering, import_module(f"{__name__}.{self.name}")).answer(invocation)

    @property
    def _place(self) -> tuple[bool, int, float, str]:
        return self.differences, self.order, -self.share_alone, self.name


class _Answering(Protocol):
    """What every file of this folder offers."""

    def answer(self, invocation: Invocation) -> Iterator[Said]: ...


def declared(path: Path) -> Method:
    """Return the method that a file declares, without running the file.

    Errors: ValueError where it declares none, or one that is not of literals.
    """
    for node in ast.parse(path.read_text("utf-8")).body:
        match node:
            case ast.Assign(targets=[ast.Name(id="METHOD")], value=ast.Call(keywords=keywords)):
                return Method(**{str(each.arg): ast.literal_eval(each.value) for each in keywords})
    raise ValueError(f"{path} declares no method: expected a line `METHOD = Method(name=..., ...)`")


def _found() -> dict[str, Method]:
    """Return every method by name: cheap and low orders first, finite differences last."""
    files = [path for path in Path(__file__).parent.glob("*.py") if path.stem != "__init__"]
    methods = sorted(map(declared, files), key=lambda method: method._place)
    return {method.name: method for method in methods}


METHODS = _found()
WITNESSES = tuple(METHODS)
"""Those that testify in this version, in the order in which their checks are planned."""

DEFAULT_WITNESSES = tuple(name for name, method in METHODS.items() if method.by_default)
"""Those that are asked where a run names none."""
