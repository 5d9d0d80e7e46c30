"""Calls a function of the project and writes the table that it returns as Parquet."""

import os
import sys

from ..messages.evaluation import WriteData, WrittenData
from ..models import model_function
from ..problems import Problem, ProblemKind, last_line


def write(request: WriteData) -> WrittenData:
    """
    Call a function of the project and write its DataFrame as Parquet, which preserves types.

    The working directory is the project's folder, which is also first on `sys.path`.
    """
    sys.path.insert(0, request.folder)
    os.chdir(request.folder)
    try:
        table = model_function.function_of(request.function)()
    except Problem as problem:
        raise Problem(ProblemKind.INVALID, problem.message) from problem
    except BaseException as error:  # a project's code may raise anything, KeyboardInterrupt too
        raise Problem(
            ProblemKind.INVALID, f"`{request.function}` ended with {type(error).__name__}: {error}"
        ) from error
    if not hasattr(table, "to_parquet"):
        raise Problem(
            ProblemKind.INVALID, f"`{request.function}` returned a {type(table).__name__}, not a pandas DataFrame"
        )
    try:
        table.to_parquet(request.destination, index=False)
    except Exception as error:  # unsupported objects in a column, or no pyarrow
        reason = f"what `{request.function}` returned cannot be written as Parquet: {last_line(error)}"
        raise Problem(ProblemKind.INVALID, reason) from error
    return WrittenData(rows=len(table))
