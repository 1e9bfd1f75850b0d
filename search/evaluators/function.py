"""A Python function as an evaluator: found by name, and told where in it an error was raised."""

import sys
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from traceback import extract_tb
from typing import Any

from cim_sim.config import UsageError


class Raised(Exception):
    """The user's function raised an error; says which, and in which line."""


def function_of(name: str) -> Callable[[Mapping[str, Any]], Any]:
    """Return what asks the function `package.module:function`.

    Raises:
        UsageError: there is no such module, or no such function in it.
    """
    module_name, _, function_name = name.partition(":")
    if not {"", str(Path.cwd())} & set(sys.path):  # a console script does not look there
        sys.path.append(str(Path.cwd()))
    try:
        module = import_module(module_name)
    except Exception as error:
        raise UsageError(
            f"evaluator {name}: {module_name} cannot be imported: {type(error).__name__}: {error}; "
            f"looked for in the current directory, {Path.cwd()}, and among installed packages"
        ) from None
    function = getattr(module, function_name, None)
    if not callable(function):
        close = get_close_matches(function_name, dir(module), n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise UsageError(f"evaluator {name}: no function {function_name} in {module_name}{hint}")
    return lambda question: _called(function, question)


def _called(function: Callable[..., Any], question: Mapping[str, Any]) -> Any:
    """Call with design, facts and seed.

    Raises:
        TimeoutError: as the function.
        Raised: for anything else that it raises.
    """
    try:
        return function(question["design"], question["facts"], question["seed"])
    except TimeoutError:
        raise
    except (Exception, SystemExit) as error:  # a simulator that gives up ends no search
        last = extract_tb(error.__traceback__)[-1]
        place = f"{Path(last.filename).name}:{last.lineno}"
        raise Raised(f"{type(error).__name__}: {error} ({place})") from error
