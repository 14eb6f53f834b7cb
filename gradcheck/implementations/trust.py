"""Which modules may be imported. Importing runs code, so the answer is no until someone says yes.

Knows no torch, so that collecting and validating can ask.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from gradcheck.errors import UsageError

if TYPE_CHECKING:
    from gradcheck.catalog.case import Implementation


def refusal(function: str, trusted: Collection[str]) -> str | None:
    """Why ``module:attribute`` may not be imported, and how to allow it; None where it may.

    A trusted name allows that module and everything below it.
    """
    module = function.partition(":")[0]
    parts = module.split(".")
    if any(".".join(parts[: n + 1]) in trusted for n in range(len(parts))):
        return None
    top = parts[0]
    return (
        f"importing {module!r} runs its code, and the module is not trusted: allow it by "
        f"--trust {top} (in a project of your own --gradcheck-trust {top}), or by "
        f'trust = ["{top}"] under [tool.gradcheck] in the pyproject.toml of pytest\'s rootdir'
    )


def refuse_untrusted(implementations: Sequence[Implementation], trusted: Collection[str]) -> None:
    """Errors: UsageError for code that would be imported, and may not be."""
    for each in implementations:
        reason = refusal(each.function, trusted) if each.function else None
        if reason:
            raise UsageError(
                f"the function {each.function} is not trusted", "a module that you trust", reason
            )


class ProjectModules(MetaPathFinder):
    """Finds modules in a project's root, behind all other finders, and only while it is in use.

    Outside of it these modules are as unknown as before: the project's own tests must not find
    what is not installed. Its state are the modules that it found: each is loaded once.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._tops: set[str] = set()
        self._modules: dict[str, ModuleType] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a top module in the root; submodules are found by the path of their package."""
        if path is not None:
            return None
        spec = PathFinder.find_spec(fullname, [str(self.root)], target)
        if spec is not None:
            self._tops.add(fullname)
        return spec

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """While code is imported and called: it may import more when it is called."""
        self._tops -= sys.modules.keys()  # the project has found it by itself: that one counts
        sys.modules.update(self._ours(self._modules))
        sys.meta_path.append(self)
        try:
            yield
        finally:
            sys.meta_path.remove(self)
            self._modules = self._ours(sys.modules)
            for name in self._modules:
                del sys.modules[name]

    def _ours(self, modules: Mapping[str, ModuleType]) -> dict[str, ModuleType]:
        return {
            name: module for name, module in modules.items() if name.partition(".")[0] in self._tops
        }
