"""The rule `committed-model`: no model file is committed."""

import re
import shlex
from collections.abc import Iterator

from ....command.lazy_pattern import lazy_pattern
from ..rule import LintProblem, LintRule, ProjectFiles, is_test

_FILES = (
    r"\.(pkl|pickle|joblib|skops|h5|hdf5|keras|pt|pth|ckpt|onnx|safetensors|tflite|cbm|ubj|mlmodel|xgb|lgb)"
    r"(\.(gz|zip|bz2))?$"
)
_MODEL = lazy_pattern(_FILES, re.IGNORECASE)
_NAMED = 5
_SPECIAL = lazy_pattern(r"[*?\[\\]")  # in a pathspec of git, as is a colon at its beginning
_STORE = lazy_pattern(r"(^|/)(mlruns|mlartifacts)/")
# The first bytes of files that Git LFS and git-crypt store in the repository.
_STORED_ELSEWHERE = (b"version https://git-lfs.github.com/", b"\0GITCRYPT\0")


def _check(paths: tuple[str, ...], files: ProjectFiles) -> Iterator[LintProblem]:
    models: dict[str, list[str]] = {}
    for path in paths:
        if _MODEL.search(path) and not is_test(path) and not _STORE.search(path):
            head = files.head(path)
            if head and not head.startswith(_STORED_ELSEWHERE):
                models.setdefault(path.rpartition("/")[0], []).append(path)
    for folder, names in models.items():
        more = len(names) - 1
        yield LintProblem(
            line=1,
            what=f"the model `{names[0]}`{f' and {more} more in its folder are' if more else ' is'} committed",
            why="nothing ties it to the lock, the data and the run that made it",
            fix=f"log it with MLflow, then git rm --cached -- {_pathspecs(folder, names)}, and ignore it in .gitignore",
            path=names[0],
            in_folder=True,
        )


def _pathspecs(folder: str, names: list[str]) -> str:
    """The files for git in a shell: a few by their names, many by their endings in the folder alone."""
    if len(names) > _NAMED:
        endings = sorted({match[0] for name in names if (match := _MODEL.search(name))})
        below = _SPECIAL.sub(r"\\\g<0>", f"{folder}/") if folder else ""
        specs = [f":(glob){below}*{ending}" for ending in endings]
    else:
        specs = [f":(literal){name}" if name.startswith(":") or _SPECIAL.search(name) else name for name in names]
    return " ".join(map(shlex.quote, specs))


RULE = LintRule(
    name="committed-model",
    summary="A file with a trained model is committed.",
    files=_FILES,
    check_names=_check,
)
