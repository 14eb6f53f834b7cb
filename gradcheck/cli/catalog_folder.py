"""Where the packaged catalog lies: inside the wheel, or in the checkout it was installed from."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from gradcheck.errors import UsageError


def shown_folder() -> str:
    """The packaged catalog, as short as it can be said from the current folder."""
    folder, here = catalog_folder(), Path.cwd()
    return str(folder.relative_to(here) if folder.is_relative_to(here) else folder)


def catalog_folder() -> Path:
    """The folder `cases` that belongs to this installation.

    Errors: UsageError if the installation has lost its catalog.
    """
    package = Path(str(files("gradcheck")))
    for folder in (package / "cases", package.parent / "cases"):
        if any(folder.glob("*.yaml")):
            return folder
    raise UsageError(
        f"this installation has no catalog: looked in {package / 'cases'}",
        "the folder `cases` that is shipped with gradcheck",
        "install gradcheck again, or name your own files",
    )
