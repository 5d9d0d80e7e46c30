"""Differently written lists of the same pins are rendered alike."""

import random
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mlflow_uv.core.export.requirements import canonical_marker, difference, parse_requirements

NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9]{0,6}([-_.]{1,2}[A-Za-z0-9]{1,4})?", fullmatch=True)
VERSIONS = st.from_regex(r"[0-9]{1,2}(\.[0-9]{1,2}){0,2}((a|b|rc)[0-9]|\.post[0-9]|\+cpu)?", fullmatch=True)
MARKERS = st.sampled_from(
    [
        "",
        "python_version < '3.12'",
        'sys_platform == "linux"',
        "python_version>='3.11' and sys_platform == 'win32'",
        "(platform_machine == 'aarch64' and sys_platform == 'linux') or sys_platform=='darwin'",
    ]
)
HASHES = st.lists(st.from_regex(r"sha256:[0-9a-f]{8}", fullmatch=True), max_size=3, unique=True)


@st.composite
def lines(draw: st.DrawFn) -> str:
    """One pin, as some tool may write it: with or without marker, hashes, extras, on one line or on several."""
    name, version, marker, hashes = draw(NAMES), draw(VERSIONS), draw(MARKERS), draw(HASHES)
    extras = draw(st.sampled_from(["", "[b,a]", "[A, B]"]))
    exact = draw(st.sampled_from([f"{name}{extras}=={version}", f"{name}{extras} @ https://x.test/{name}.whl#a"]))
    tail = draw(st.sampled_from([" \\\n    ", " "]))
    comment = draw(st.sampled_from(["", "  # via x", "\n    # via\n    #   y"]))
    return tail.join([f"{exact} ; {marker}" if marker else exact, *(f"--hash={one}" for one in hashes)]) + comment


FILES = st.lists(lines(), max_size=8)


@given(FILES)
def test_the_normal_form_of_a_normal_form_is_itself(file: list[str]) -> None:
    """
    Normalising twice changes nothing, so a file we wrote is never rewritten.
    """
    text = parse_requirements("\n".join(file)).text

    again = parse_requirements(text).text

    assert text == again


@given(FILES, st.randoms(use_true_random=False))
def test_the_order_of_lines_is_not_identity(file: list[str], chance: random.Random) -> None:
    """
    The same pins in any order are the same requirements.
    """
    shuffled = chance.sample(file, len(file))

    found = parse_requirements("\n".join(shuffled))

    assert parse_requirements("\n".join(file)).digest == found.digest


@given(FILES)
def test_hashes_comments_options_and_line_ends_are_not_identity(file: list[str]) -> None:
    """
    What an installer needs besides the pins does not change which packages are meant.
    """
    dressed = ["-i https://x.test/simple", "# made by a tool", *(f"{line}\n" for line in file), "--pre"]

    found = parse_requirements("\r\n".join(dressed).replace("\n", "\r\n").replace("\r\r", "\r"))

    assert parse_requirements("\n".join(file)).text == found.text


@given(FILES)
def test_the_list_with_hashes_says_the_same(file: list[str]) -> None:
    """
    What goes to an installer that insists on hashes is, without them, the normal form.
    """
    parsed = parse_requirements("\n".join(file))

    found = parse_requirements(parsed.hashed_text)

    assert (parsed.text, parsed.pins) == (found.text, found.pins)


@given(NAMES, VERSIONS, MARKERS, st.sampled_from(["", "[b,a]", "[A, B]"]))
def test_a_pin_is_read_as_packaging_reads_it(name: str, version: str, marker: str, extras: str) -> None:
    """
    What most lines look like is read without `packaging`, and comes out the same.
    """
    line = f"{name}{extras}=={version} ; {marker}" if marker else f"{name}{extras}=={version}"
    asked = Requirement(line)

    (found,) = parse_requirements(line).pins

    wanted = f"[{','.join(sorted(map(canonicalize_name, asked.extras)))}]" if asked.extras else ""
    assert f"{canonicalize_name(name)}{wanted}{asked.specifier}" == found.exact
    assert str(asked.marker or "") == found.marker


ATOMS = st.builds(
    "{} {} {}".format,
    st.sampled_from(["os_name", "sys_platform", "platform_machine", "implementation_name", "python_full_version"]),
    st.sampled_from(["==", "!=", "<", "<=", ">", ">="]),
    st.sampled_from(["'nt'", "'win32'", '"x86_64"', "'3.12'", '"cpython"']),
)


@given(st.lists(ATOMS, min_size=1, max_size=4), st.lists(st.sampled_from([" and ", " or "]), min_size=3, max_size=3))
def test_a_marker_is_read_as_packaging_reads_it(atoms: list[str], joints: list[str]) -> None:
    """
    Conditions in a row, joined in one way or in several: the same canonical form.
    """
    marker = "".join(f"{joint}{atom}" for joint, atom in zip(["", *joints], atoms, strict=False))

    found = canonical_marker(marker)

    assert str(Marker(marker)) == found


@pytest.mark.parametrize("version", ["1.0.DEV1", "v1", "1.0-1", "1.0+CPU", "2014b", "1!2", "1.0.0.0rc1.post2.dev3"])
def test_a_version_in_another_spelling_is_read_too(version: str) -> None:
    """
    `packaging` reads what tools rarely write, and the spelling stays.
    """
    (found,) = parse_requirements(f"a=={version}\n").pins

    assert f"a=={version}" == found.exact


# All that may differ between two lists that are the same one. What is not in this table makes another list: see OTHER.
SAME = {
    "case and separators of a name": ("Flask_SQLAlchemy==3.1", "flask-sqlalchemy==3.1\n"),
    "spaces": ("a == 1", "a==1\n"),
    "case, spaces and order of extras": ("Uvicorn[standard, ASGI]==0.30", "uvicorn[asgi,standard]==0.30\n"),
    "quotes and spaces of a marker": ("a==1 ; python_version<'3.12'", 'a==1 ; python_version < "3.12"\n'),
    "brackets of a marker": (
        "a==1 ; (os_name == 'nt') and (os_name == 'nt')", 'a==1 ; os_name == "nt" and os_name == "nt"\n',
    ),
    "name and extras of a direct URL": (
        "A.B[Z_x, a] @ git+https://x.test/a@v1#subdirectory=b", "a-b[a,z-x] @ git+https://x.test/a@v1#subdirectory=b\n",
    ),
    "order of lines": ("b==2\na==1", "a==1\nb==2\n"),
    "a line that is there twice": ("a==1\na==1", "a==1\n"),
    "hashes": ("a==1 --hash=sha256:aa\na==1 --hash=sha256:bb", "a==1\n"),
    "continued lines": ("a==1 \\\n    --hash=sha256:aa", "a==1\n"),
    "comments and empty lines": ("# x\n\na==1  # via b\n", "a==1\n"),
    "line ends": ("a==1\r\nb==2\r\n", "a==1\nb==2\n"),
    "options of the installer": ("--index-url https://x.test/simple\n--pre\na==1", "a==1\n"),
    "no line at all": ("", ""),
}  # fmt: skip


@pytest.mark.parametrize(("written", "normal"), SAME.values(), ids=SAME)
def test_one_normal_form(written: str, normal: str) -> None:
    """
    Names as in PEP 503, markers as `packaging` writes them, extras sorted, every pin once: no other difference passes.
    """
    found = parse_requirements(written).text

    assert normal == found


OTHER = {
    "another version": "a==2",
    "the same version in another spelling": "a==1.0",
    "a local version": "a==1+cpu",
    "an arbitrary version": "a===1",
    "another marker": "a==1 ; os_name == 'nt'",
    "an extra": "a[x]==1",
    "a direct URL": "a @ https://x.test/a-1-py3-none-any.whl",
    "another name": "a1==1",
    "another line": "a==1\nb==1",
    "a second version": "a==1\na==2",
    "no line": "",
}


@pytest.mark.parametrize("written", OTHER.values(), ids=OTHER)
def test_another_list_has_another_digest(written: str) -> None:
    """
    Whatever could install something else is told apart, also where it happens to install the same.
    """
    found = parse_requirements(written)

    assert parse_requirements("a==1").digest != found.digest


def read_by_packaging(file: list[str]) -> set[tuple[object, ...]]:
    """What `packaging` makes of the same lines: the parts that may differ by the table above are normalised there."""
    read = [Requirement(re.sub(r"\s+#[^\n]*|--hash=\S+|\\\n", "", line)) for line in file]
    return {
        (
            canonicalize_name(one.name), tuple(sorted(map(canonicalize_name, one.extras))), str(one.specifier), one.url,
            str(one.marker or ""),
        )
        for one in read
    }  # fmt: skip


@given(FILES, FILES)
def test_two_lists_are_the_same_where_packaging_reads_the_same(one: list[str], other: list[str]) -> None:
    """
    Two lists have one digest exactly where the sets of their lines, as `packaging` reads them, are equal.
    """
    same = read_by_packaging(one) == read_by_packaging(other)

    found = parse_requirements("\n".join(one)).digest == parse_requirements("\n".join(other)).digest

    assert same == found


@given(FILES.filter(bool), st.data())
def test_one_changed_line_makes_another_list(file: list[str], data: st.DataObject) -> None:
    """
    A line that is dropped, added or replaced by one that `packaging` reads otherwise changes the digest.
    """
    place = data.draw(st.integers(0, len(file) - 1))
    changed = [*file[:place], *data.draw(st.lists(lines(), max_size=2)), *file[place + 1 :]]
    assume(read_by_packaging(file) != read_by_packaging(changed))

    found = parse_requirements("\n".join(changed)).digest

    assert parse_requirements("\n".join(file)).digest != found


def test_hashes_of_one_pin_written_twice_belong_together() -> None:
    """
    A pin that is listed twice accepts the files of both lines.
    """
    found = parse_requirements("a==1 --hash=sha256:bb\na==1 --hash=sha256:aa").pins

    assert [("sha256:aa", "sha256:bb")] == [pin.hashes for pin in found]


@pytest.mark.parametrize(
    "line",
    ["a", "a>=1", "a==1.*", "a==1,!=2", "a~=1.0", "<<<<<<< HEAD", "-r more.txt", "-rmore.txt", "--requirement=m.txt"],
)
def test_a_line_that_is_not_exact_is_refused(line: str) -> None:
    """
    Anything that could install two different things is an error that quotes the line.
    """
    with pytest.raises(ValueError, match="not a") as caught:
        parse_requirements(f"b==1\n{line}\n")

    assert repr(line) in str(caught.value)


@pytest.mark.parametrize(
    "line", ["-e ./packages/core", "./packages/core", "../model", "--editable=.", "file:///a b", "."]
)
def test_a_path_of_the_checkout_is_set_apart(line: str) -> None:
    """
    A folder of the checkout is not a pin: it means nothing elsewhere.
    """
    found = parse_requirements(f"{line}\na==1\n")

    assert ("a==1\n", 1) == (found.text, len(found.local))


def test_a_local_package_keeps_its_marker() -> None:
    """
    A local package that is only needed somewhere says so.
    """
    found = parse_requirements("./x ; sys_platform == 'linux'").local

    assert [("./x", 'sys_platform == "linux"')] == [(local.path, local.marker) for local in found]


def test_a_wheel_of_the_checkout_keeps_its_hashes() -> None:
    """
    Beside a path the lock may know the bytes.
    """
    text = "./wheels/x-1.whl ; sys_platform == 'linux' \\\n    --hash=sha256:aa\n"

    (found,) = parse_requirements(text).local

    assert './wheels/x-1.whl ; sys_platform == "linux" \\\n    --hash=sha256:aa' == found.hashed_line


def test_one_environment_leaves_no_marker() -> None:
    """
    What holds there stays, once, with the hashes of all its lines; the rest is gone.
    """
    written = (
        "a==1 ; sys_platform == 'linux' --hash=sha256:aa\na==1 ; python_version == '3.11' --hash=sha256:bb\n"
        "b==1 ; sys_platform == 'win32'\nc==1\n./x ; sys_platform == 'linux'\n./y ; sys_platform == 'win32'\n"
    )

    found = parse_requirements(written).resolved_in(LINUX)

    assert ("a==1\nc==1\n", ("sha256:aa", "sha256:bb")) == (found.text, found.pins[0].hashes)
    assert [("./x", "")] == [(one.path, one.marker) for one in found.local]


LINUX = {"sys_platform": "linux", "python_version": "3.11"}


def test_a_difference_shows_only_what_differs() -> None:
    """
    People get the two names and the lines that differ, nothing else.
    """
    found = difference("a==1\nb==1\n", "a==1\nb==2\n", names=("requirements.txt", "uv.lock"))

    assert "--- requirements.txt\n+++ uv.lock\n-b==1\n+b==2" == found
