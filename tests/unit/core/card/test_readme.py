"""The model card shows every value as text, in Markdown and in YAML."""

from dataclasses import replace
from typing import Any

import yaml
from markdown_it import MarkdownIt

from mlflow_uv.core.card.description import DescribedMetric, cleaned
from mlflow_uv.core.card.readme import is_readme_of_version, render_readme

from .described import DESCRIBED, HOSTILE


def parts(card: str) -> tuple[dict[str, Any], str]:
    """The front matter, and the page as HTML."""
    _, metadata, body = card.split("---\n", 2)
    return yaml.safe_load(metadata), MarkdownIt("gfm-like", {"linkify": False}).render(body)


def test_the_front_matter_is_that_of_hugging_face() -> None:
    """
    Licence, library, task and the metrics of the evaluation, with the digest of its data; not those of the server.
    """
    metadata, _ = parts(render_readme(DESCRIBED))

    result = {
        "task": {"type": "tabular-classification"},
        "dataset": {"name": "file hold_out.csv", "type": "file hold_out.csv", "revision": f"sha256:{'e' * 64}"},
        "metrics": [{"type": "accuracy", "value": 0.9375, "name": "accuracy"}],
    }
    assert {
        "license": "apache-2.0",
        "library_name": "sklearn",
        "pipeline_tag": "tabular-classification",
        "tags": ["mlflow", "mlflow-uv"],
        "model-index": [{"name": "wine", "results": [result]}],
    } == metadata


def test_a_licence_of_several_parts_and_a_metric_without_a_number_are_shown() -> None:
    """
    Hugging Face takes neither: the licence is its `other`, and the metric is in the table alone.
    """
    nothing = (DescribedMetric(name="r2", value=float("nan"), origin="evaluation"),)
    metadata, page = parts(render_readme(replace(DESCRIBED, license="MIT OR Apache-2.0", metrics=nothing)))

    assert ("other", "MIT OR Apache-2.0", False) == (
        metadata["license"],
        metadata["license_name"],
        "model-index" in metadata,
    )
    assert "<td>nan</td>" in page


def test_hostile_texts_are_text() -> None:
    """
    Markdown, HTML, YAML and control characters of names and values change neither the page nor the metadata.
    """
    hostile = cleaned(
        replace(
            DESCRIBED,
            name=HOSTILE,
            description=HOSTILE,
            license=HOSTILE,
            license_is_spdx=False,
            parameters=((HOSTILE, HOSTILE),),
            inputs=(HOSTILE,),
            flavors=((HOSTILE, ""),),
            producers=(HOSTILE,),
        ),
        (),
    )

    card = render_readme(hostile)
    metadata, page = parts(card)

    assert all(sign not in card for sign in ("\x1b", "\u202e", "\ud800"))
    assert (hostile.license, hostile.name) == (metadata["license_name"], metadata["model-index"][0]["name"])
    assert ("<script" in page, 'href="javascript' in page, page.count("<h1>")) == (False, False, 1)
    assert 6 == page.count("<table>")


def test_a_card_is_recognised_and_no_other_text() -> None:
    """
    Not the README of a project, nor the card of another program with the same tags.
    """
    card = render_readme(DESCRIBED)
    others = ("", "# wine\n", "---\n", f"# wine\n\n{card}", "---\ntags:\n- mlflow\n- mlflow-uv\n---\n\n# wine\n")

    assert [True, True, *([False] * len(others))] == [
        is_readme_of_version(text) for text in (card, render_readme(replace(DESCRIBED, name=HOSTILE)), *others)
    ]
