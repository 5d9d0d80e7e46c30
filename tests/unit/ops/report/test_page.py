"""The page of a report shows every part of it, runs nothing, and stays small, whatever its values are."""

from dataclasses import replace
from html.parser import HTMLParser

from hypothesis import given, settings
from hypothesis import strategies as st

from mlflow_uv.command.report import ChainLink, Mark, Table, WebLink
from mlflow_uv.ops.report.page import LIMIT, PageFact, PageLink, ReportPage, bar_chart, histogram, render_page

CHANGED = Table(title="packages that differ", columns=("package", "candidate"), rows=(("numpy", "2.4.1"),))
PAGE = ReportPage(
    title="Release report: wine version 4",
    verdict="wine version 4 is what was released",
    mark=Mark.HOLDS,
    chain=(
        PageLink(link=ChainLink(name="lock", mark=Mark.HOLDS, identity="0dae706")),
        PageLink(link=ChainLink(name="image", mark=Mark.UNVERIFIED), reason="it was not pushed"),
        PageLink(link=ChainLink(name="alias", mark=Mark.BROKEN), reason="it moved", fix="mlflow-uv rollback"),
    ),
    champion="3",
    uncompared="",
    changes=(CHANGED,),
    histograms=(histogram("Latency", "3 requests", [("1", 1, "1 up to 1 ms"), ("1.25", 0, "0"), ("1.6", 2, "2")]),),
    charts=(bar_chart("Times of the release", [("export", 1.0, "1.0 s"), ("log-model", 4.0, "4.0 s")]),),
    tables=(Table(title="history", columns=("when", "who"), rows=(("2026-11-26", "ada"),)),),
    facts=(PageFact(name="run", value="r1"),),
    pages=(WebLink(title="Version 4", address="https://mlflow.test/#/models/wine/versions/4"),),
    commands=(PageFact(name="load it", value="mlflow.pyfunc.load_model('models:/wine/4')"),),
    written="2026-11-26 20:11 UTC",
)
ATTACKS = ("<script>alert(1)</script>", "</style><img src=x onerror=alert(1)>", "{{ 7 * 7 }}", "{% raw %}", "'\"><b>",
           "&lt;b&gt;", "\u202eabc", "\x1b[31m", "\0", "javascript:alert(1)")  # fmt: skip
TEXT = st.lists(st.sampled_from(ATTACKS) | st.text(max_size=6), max_size=4).map("".join)


class Seen(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append(data.strip())

    @property
    def shape(self) -> list[tuple[str, frozenset[str]]]:
        """The tags, with the names of their attributes."""
        return [(tag, frozenset(attributes)) for tag, attributes in self.tags]


def page_of(text: str) -> ReportPage:
    """The same page with this text everywhere, but for addresses."""
    table = Table(title=text, columns=(text, text), rows=((text, text),))
    return ReportPage(
        title=text,
        verdict=text,
        mark=Mark.HOLDS,
        chain=tuple(
            replace(
                shown,
                link=replace(shown.link, name=text, identity=shown.link.identity and f"i{text}"),
                reason=shown.reason and f"r{text}",
                fix=shown.fix and f"f{text}",
            )
            for shown in PAGE.chain
        ),
        champion=f"3{text}",
        uncompared="",
        changes=(table,),
        histograms=(histogram(text, text, [(text, 1, text), (text, 0, text), (text, 2, text)]),),
        charts=(bar_chart(text, [(text, 1.0, text), (text, 4.0, text)]),),
        tables=(table,),
        facts=(PageFact(name=text, value=text),),
        pages=(WebLink(title=text, address=PAGE.pages[0].address),),
        commands=(PageFact(name=text, value=text),),
        written=text,
    )  # fmt: skip


def test_the_page_has_everything_in_its_order() -> None:
    """
    The verdict, the pages, what is broken and its fix, the chain, the changes, pictures, results, lineage and commands.
    """
    seen = Seen(render_page(PAGE, secrets=()))

    texts = seen.texts[2:]  # after the title and the styles
    assert [
        "✓ wine version 4 is what was released", "Release report: wine version 4", "Version 4",
        "alias", ": it moved", "Fix: mlflow-uv rollback",
        "✓", "lock", "0dae706", "?", "image", "it was not pushed", "✗", "alias",
        "Changed since the champion, version 3", "packages that differ", "package", "candidate", "numpy", "2.4.1",
        "Latency", "3 requests", "1", "1.25", "1.6",
        "Times of the release", "export", "1.0 s", "log-model", "4.0 s",
        "Results", "history", "when", "who", "2026-11-26", "ada",
        "Lineage", "run", "r1", "Commands", "load it", "mlflow.pyfunc.load_model('models:/wine/4')",
    ] == texts[:-1]  # fmt: skip
    rectangles = [attributes for tag, attributes in seen.tags if tag == "rect"]
    assert [("50.0", "50.0"), ("100.0", "0.0"), ("0.0", "100.0")] == [
        (column["y"], column["height"]) for column in rectangles[:3]
    ]
    assert ["25.0", "100.0"] == [bar["width"] for bar in rectangles[3:]]
    assert ["holds", "unverified", "broken"] == [attributes["class"] for tag, attributes in seen.tags if tag == "li"]


@given(TEXT)
@settings(max_examples=60)
def test_no_text_changes_the_page(text: str) -> None:
    """
    The same elements with the same attributes as with harmless text, and no script, request or handler among them.
    """
    seen = Seen(render_page(page_of(text), secrets=()))
    first, harmless = (
        Seen(render_page(replace(page_of(words), champion="", uncompared=f"No {words}"), secrets=()))
        for words in (text, "x")
    )

    assert harmless.shape == first.shape
    assert Seen(render_page(page_of("x"), secrets=())).shape == seen.shape
    assert {"script", "img", "iframe", "object", "form", "link", "base"}.isdisjoint(tag for tag, _ in seen.tags)
    assert [PAGE.pages[0].address] == [attributes["href"] for tag, attributes in seen.tags if tag == "a"]
    assert not any(name.startswith("on") for _, names in seen.shape for name in names)
    assert {"\u202e", "\x1b", "\0"}.isdisjoint("".join(seen.texts))


def test_a_broken_version_is_marked_and_a_first_version_is_compared_with_none() -> None:
    """
    The colour of the verdict, and a sentence in place of the tables.
    """
    reason = "No version of wine is the champion."
    seen = Seen(render_page(replace(PAGE, mark=Mark.BROKEN, champion="", uncompared=reason, changes=()), secrets=()))

    assert [{"class": "broken"}] == [attributes for tag, attributes in seen.tags if tag == "header"]
    assert "✗ wine version 4 is what was released" in seen.texts
    assert ["Changed since the champion", reason] == [text for text in seen.texts[2:] if "champion" in text]


def test_a_table_with_long_cells_is_stacked_on_a_phone() -> None:
    """
    As one with many columns: the last of three columns would have a word on each line.
    """
    names = Table(
        title="licences", columns=("licence", "packages", "names"), rows=(("MIT", "40", "numpy 2.4.1, " * 40),)
    )

    seen = Seen(render_page(replace(PAGE, tables=(names,)), secrets=()))

    assert ["few", "many"] == [attributes["class"] for tag, attributes in seen.tags if tag == "table"]


def test_a_table_with_a_sentence_beside_three_numbers_is_stacked_on_a_phone() -> None:
    """
    Four columns with a sentence are wider than a phone; four short ones are not.
    """
    short = ("linux-x86_64-py3.11", "86", "271.0 MB", "✓ from wheels")
    long = ("windows-x86_64-py3.11", "88", "259.1 MB", "✗ scikit-learn 1.9: built from source")
    tables = tuple(Table(title="t", columns=("a", "b", "c", "d"), rows=rows) for rows in ((short,), (short, long)))

    seen = Seen(render_page(replace(PAGE, changes=(), tables=tables), secrets=()))

    assert ["few", "many"] == [attributes["class"] for tag, attributes in seen.tags if tag == "table"]


def test_a_page_stays_small() -> None:
    """
    Rows of long tables are left out, and counted.
    """
    row = ("<&>" * 1000, "y" * 10_000)
    tables = tuple(Table(title=f"t{number}", columns=("a", "b"), rows=(row,) * 5000) for number in range(6))

    document = render_page(replace(PAGE, tables=tables), secrets=())

    assert len(document) <= LIMIT
    assert "of 5000 rows)" in document.decode()


def test_each_result_of_a_cell_has_a_line_and_other_text_has_one() -> None:
    """
    The gates of a promotion are several; a semicolon and a line end in a name are text.
    """
    rows = (("✓ a; b holds; ✗ c: 1 < 2; ? d", "x; y\n✓ z"),)

    document = render_page(replace(PAGE, tables=(Table(title="t", columns=("g", "n"), rows=rows),)), secrets=())

    text = document.decode()
    assert "✓ a; b holds<br>✗ c: 1 &lt; 2<br>? d</td>" in text
    assert "x; y\\n✓ z</td>" in text


def test_a_secret_is_not_in_the_page() -> None:
    """
    It is masked before it is escaped.
    """
    document = render_page(page_of("a geheim<1> b"), secrets=("geheim<1>",))

    assert b"geheim" not in document
    assert b"a *** b" in document
