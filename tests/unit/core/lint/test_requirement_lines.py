"""The lines of a list are read as pip reads them."""

import time

from mlflow_uv.core.lint.requirement_lines import is_hashed, requirement_lines


def test_requirements_have_their_place() -> None:
    """
    Names in normal form; options, URLs and paths are none.
    """
    text = "# c\n-r x.txt\nA_b[c] == 1.0 ; x > '1'  # why\r\nd>=1,<2\\\n    --hash=sha256:0\nhttps://a.test/e.whl\nf\n"

    found = [(line.name, line.pinned, line.line, text[line.start : line.end]) for line in requirement_lines(text)]

    assert [("a-b", "1.0", 3, "== 1.0"), ("d", "", 4, ">=1,<2"), ("f", "", 7, "")] == found
    assert is_hashed(text)


def test_no_line_takes_long() -> None:
    """
    Spaces belong to one part of the pattern only.
    """
    text = "".join(f"a=={' ' * 1_900}{end}x\n" for end in ("\\", ";   \\", "--hash"))
    start = time.process_time()

    list(requirement_lines(text))

    assert time.process_time() - start < 4
