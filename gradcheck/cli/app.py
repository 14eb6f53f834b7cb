"""The command `gradcheck`: gathers the commands, and turns errors into messages and exit codes."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import redirect_stdout, suppress
from io import StringIO
from typing import Annotated, Any

import typer

from gradcheck.cache import cache_folder
from gradcheck.cli import (
    bench,
    check,
    compare,
    coverage,
    explain,
    fuzz,
    listing,
    mutate,
    new,
    report,
    run,
    validate,
)
from gradcheck.cli.arguments import CommandLineError
from gradcheck.cli.output import MEANING, ExitCode, complain, emit, epilog
from gradcheck.cluster import ClusterLost
from gradcheck.errors import CatalogError, ExpressionError, UsageError

app = typer.Typer(
    help="Certified verdicts on PyTorch's gradients.",
    epilog=epilog(MEANING),
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_COMMANDS = (
    *(run, check, explain, listing, coverage, new),
    *(fuzz, mutate, bench, validate, report, compare),
)
for command in _COMMANDS:
    command.register(app)

_BadCommandLine: Any = typer.BadParameter.__mro__[2]
"""Click's ClickException, which typer keeps in another place in each of its releases."""

_HYPOTHESIS = "HYPOTHESIS_STORAGE_DIRECTORY"
_INTERRUPTED = (130, -2)  # what typer makes of Ctrl-C


@app.callback(invoke_without_command=True)
def _gradcheck(
    context: typer.Context,
    *,
    version: Annotated[bool, typer.Option("--version", "-V", help="Print the version.")] = False,
) -> None:
    if version:
        from gradcheck import __version__  # reads the package's metadata: only when asked for

        emit(f"gradcheck {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        emit(context.get_help())


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave the process with a documented exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without ∂ still gets its table
    _keep_current_folder_clean()
    if os.environ.get("_GRADCHECK_COMPLETE") == "complete_bash":
        sys.exit(_complete_in_bash())
    sys.exit(_run(list(sys.argv[1:] if arguments is None else arguments)))


def _complete_in_bash() -> int:
    """Offer what stands behind ``FILE.yaml::``: bash takes colons for a word of their own."""
    words, last = os.environ["COMP_WORDS"].split("\n"), int(os.environ["COMP_CWORD"])
    colons = next((k for k in (last - 1, last) if words[k : k + 1] == ["::"]), 0)
    if not colons:
        return _run([])
    target = "".join(words[colons - 1 : last + 1])
    os.environ["COMP_WORDS"] = "\n".join([*words[: colons - 1], target])
    os.environ["COMP_CWORD"] = str(colons - 1)
    with redirect_stdout(StringIO()) as offered, suppress(SystemExit):
        _run([])
    for line in offered.getvalue().splitlines():
        emit(line.rpartition("::")[2])
    return ExitCode.OK


def _keep_current_folder_clean() -> None:
    """Send Hypothesis, which else makes a folder here, to the user's cache; pytest inherits it."""
    if _HYPOTHESIS in os.environ:
        return
    try:
        os.environ[_HYPOTHESIS] = str(cache_folder() / "hypothesis")
    except RuntimeError:  # no home: Hypothesis decides, and does without a folder if it must
        return


def _run(arguments: list[str]) -> int:
    try:
        code = app(arguments, prog_name="gradcheck", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted()
    except _BadCommandLine as error:
        return _bad_command_line(error)
    except (UsageError, ExpressionError) as error:
        complain(str(error))
        return ExitCode.BAD_USE
    except ClusterLost as error:
        complain(f"{error}; what had ended is kept")
        return ExitCode.INTERRUPTED
    except CatalogError as error:
        complain(str(error))
        return ExitCode.BAD_USE if isinstance(error, CommandLineError) else ExitCode.BAD_FILE
    except Exception:  # the last resort, with its own exit code
        complain(traceback.format_exc() + "\nThis is a defect of gradcheck itself; please report.")
        return ExitCode.INTERNAL
    return _interrupted() if code in _INTERRUPTED else int(code or 0)


def _interrupted() -> int:
    complain("interrupted")
    return ExitCode.INTERRUPTED


def _bad_command_line(error: Any) -> int:
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "gradcheck"
    complain(f"{command}: {error.format_message()}\n  fix:      see `{command} --help`")
    return ExitCode.BAD_USE
