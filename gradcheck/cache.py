"""What outlives a process: a folder of the user's, and what was worked out there before.

Only what can be made again is kept, under a digest of all that it hangs on. What is damaged, or
lies where others may write, is as if it were not there; where nothing can be written, nothing is.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

OFF = "GRADCHECK_NO_CACHE"
"""The environment variable that, set to anything, has nothing read and nothing kept."""
MOST_FILES = 1_024
"""Files; when there are more, the oldest go."""
_DIGEST = hashlib.sha256().digest_size


def cache_folder() -> Path:
    """Return the folder, which need not be there.

    Errors: RuntimeError where the user has no home.
    """
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(base) if base else Path.home() / ".cache") / "gradcheck"


def digest_of(*parts: str) -> str:
    """Return a name for what these parts determine, by this version of the code."""
    digest = hashlib.sha256(_code().encode())
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


@cache
def _code() -> str:
    """What changes whenever a file of the package does."""
    files = sorted(Path(__file__).parent.rglob("*.py"))
    stats = [(str(path), path.stat()) for path in files]
    return repr([(path, stat.st_mtime_ns, stat.st_size) for path, stat in stats])


def fetch(key: str) -> bytes | None:
    """Return what was kept under a key; None where nothing whole is."""
    folder = _folder()
    if folder is None:
        return None
    try:
        data = (folder / key).read_bytes()
    except OSError:
        return None
    digest, content = data[:_DIGEST], data[_DIGEST:]
    return content if hashlib.sha256(content).digest() == digest else None


def keep(key: str, content: bytes) -> None:
    """Keep it for other processes; all of it is there at once, or nothing."""
    folder = _folder()
    if folder is None:
        return
    with suppress(OSError):
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".", delete=False) as file:
            file.write(hashlib.sha256(content).digest() + content)
        Path(file.name).replace(folder / key)
        _tidy(folder)


def _folder() -> Path | None:
    """Where things are kept, made if it is not there; None where there is no such place."""
    if OFF in os.environ:
        return None
    try:
        folder = cache_folder() / "loaded"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        stat = folder.stat()
    except (OSError, RuntimeError):
        return None
    own = not hasattr(os, "getuid") or (stat.st_uid == os.getuid() and not stat.st_mode & 0o022)
    return folder if own else None


def _tidy(folder: Path) -> None:
    files = [(path.stat().st_mtime_ns, path) for path in folder.iterdir()]
    for _, path in sorted(files)[:-MOST_FILES]:
        path.unlink(missing_ok=True)
