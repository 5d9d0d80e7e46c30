"""The rule `notebook-outputs`: notebooks are committed without outputs."""

import re
from collections.abc import Iterator

from ....command.lazy_pattern import lazy_pattern
from ..rule import Edit, LintProblem, LintRule, ProjectFiles, SourceFile, line_at_offset

# The quotes inside a cell are escaped, so that its text is not taken for a key.
_OUTPUTS = lazy_pattern(r'(?<!\\)"outputs"\s*:\s*\[\s*\{')
_TOKEN = lazy_pattern(r'"(?>(?:[^"\\]++|\\.)*)"?+|[\[\]]')


def _check(source: SourceFile, files: ProjectFiles) -> Iterator[LintProblem]:  # noqa: ARG001  # as all rules
    matches = list(_OUTPUTS.finditer(source.text))
    if matches:
        number = len(matches)
        yield LintProblem(
            line=line_at_offset(source.text, matches[0].start()),
            what=f"the notebook has outputs in {number} cell{'s' if number > 1 else ''}",
            why="outputs hold data and addresses, change with each run, and hide what changed in the code",
            fix="clear the outputs before each commit",
            edits=tuple(_edits(source.text, matches)),
        )


def _edits(text: str, matches: list[re.Match[str]]) -> Iterator[Edit]:
    """Empty each list of outputs; everything else of the file stays as it is."""
    end = 0
    for match in matches:
        start = text.index("[", match.start())
        if start < end:
            continue  # inside an output
        depth = 0
        for token in _TOKEN.finditer(text, start):
            depth += (token[0] == "[") - (token[0] == "]")
            if depth == 0:
                end = token.end()
                yield Edit(start, end, "[]")
                break
        else:
            return  # the text ends inside a list


RULE = LintRule(
    name="notebook-outputs",
    summary="A notebook is committed with the outputs of its cells.",
    files=r"\.ipynb$",
    check=_check,
    optional=True,
)
