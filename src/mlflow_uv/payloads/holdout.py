"""Which data does a function of the project return?"""

import os
import sys
from typing import Any

from . import calling
from .problems import Problem, ProblemKind, last_line


def write(request: dict[str, Any]) -> dict[str, Any]:
    """
    Call a function of the project and write the table that it returns as Parquet, which keeps types.

    {function: package.module:function, folder: of the project, destination} -> {rows}. It is called in the project's
    folder, which is where imports are looked for first.
    """
    sys.path.insert(0, request["folder"])
    os.chdir(request["folder"])
    try:
        made = calling.function_of(request["function"])()
    except Problem as problem:
        raise Problem(ProblemKind.INVALID, problem.message) from problem
    except BaseException as error:  # a project's code may raise anything, KeyboardInterrupt too
        raise Problem(
            ProblemKind.INVALID, f"`{request['function']}` ended with {type(error).__name__}: {error}"
        ) from error
    if not hasattr(made, "to_parquet"):
        raise Problem(
            ProblemKind.INVALID, f"`{request['function']}` returned a {type(made).__name__} and no pandas DataFrame"
        )
    try:
        made.to_parquet(request["destination"], index=False)
    except Exception as error:  # a column of odd objects, or no pyarrow
        told = f"what `{request['function']}` returned cannot be written as Parquet: {last_line(error)}"
        raise Problem(ProblemKind.INVALID, told) from error
    return {"rows": len(made)}
