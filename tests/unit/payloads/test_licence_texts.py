"""The digests of licences are those of their published texts, and of no other."""

import pytest
from identify.vendor.licenses import LICENSES
from packaging.licenses._spdx import LICENSES as SPDX

from mlflow_uv.core.model.licences import LICENCE_BY_TEXT
from mlflow_uv.payloads.licence_texts import licence_text_digest

TEXTS = dict(LICENSES)
TITLES = {
    "MIT": ("", "MIT License", "The MIT License", "The MIT License (MIT)", "MIT License (MIT)"),
    "BSD-3-Clause": ("", "BSD 3-Clause License"),
    "BSD-2-Clause": ("", "BSD 2-Clause License"),
    "ISC": ("", "ISC License"),
}
ENDING = "END OF TERMS AND CONDITIONS"


def variants(name: str) -> tuple[str, ...]:
    """The texts of a licence that packages have."""
    text = TEXTS[name]
    if name in TITLES:
        return tuple(f"{title}\n{text.partition(chr(10))[2]}" for title in TITLES[name])
    if name == "Apache-2.0":
        start, _, _ = text.partition(ENDING)
        return text, text.replace("http://", "https://"), start + ENDING, start
    return (text,)


def licence(text: str) -> str:
    """The licence that a text is, empty for none."""
    return LICENCE_BY_TEXT.get(licence_text_digest(text), "")


def test_the_digests_are_those_of_the_published_texts() -> None:
    """
    None is missing, and none is of something else.
    """
    names = ("MIT", "BSD-3-Clause", "BSD-2-Clause", "ISC", "Apache-2.0", "MPL-2.0", "BSL-1.0", "Unlicense")

    expected = {licence_text_digest(text): name for name in names for text in variants(name)}

    assert expected == LICENCE_BY_TEXT


@pytest.mark.parametrize("name", sorted(set(TEXTS) - set(LICENCE_BY_TEXT.values())))
def test_another_licence_has_no_name(name: str) -> None:
    """
    Those of GPL, which resemble each other, and those that are a clause longer.
    """
    assert "" == licence(TEXTS[name])


@pytest.mark.parametrize(
    "notice",
    [
        "Copyright (c) 2017 Charles Leifer",
        "Copyright © 2021-2024, Jos\u00e9 & Sons <jose@wine.example>. All rights reserved.",
        "(c) 2020 The Grape Authors\nCopyright 2010 Pallets\nAll rights reserved",
        "copyright by the wine team",
        "Copyright (c) 2007-2024 The scikit-learn developers.",
        "Copyright (c) 2008-2011, AQR Capital Management, LLC, Lambda Foundry, Inc. and PyData Development Team",
        "Copyright 2019 - present, J. A. van der Berg and individual contributors. All rights reserved.",
        "Copyright (c) 2010, 2012-2014 encode",
    ],
)
def test_the_holder_of_the_rights_does_not_matter(notice: str) -> None:
    """
    Nor do years, bullets, line ends and quotation marks.
    """
    text = TEXTS["BSD-3-Clause"].replace("Copyright (c) [year], [fullname]\nAll rights reserved.", notice)

    changed = text.replace("\n", "\r\n    ").replace("1. ", "* ").replace('"AS IS"', "``AS IS''")
    changed = changed.replace("the name of the copyright holder", "the name of Grape, Inc")

    assert ["BSD-3-Clause"] * 2 == [licence(text), licence(changed)]


@pytest.mark.parametrize("name", ["MIT", "BSD-3-Clause", "Apache-2.0"])
@pytest.mark.parametrize(
    "added",
    [
        "Commercial use is not permitted.",
        "Copyright (c) 2020 Grape. For internal use only.",
        "Copyright 2020 Grape, non-commercial",
        "Copyright (c) 2020 Grape; ask before you distribute it",
        "The Software shall be used for Good, not Evil.",
        "THIS FILE IS DUAL LICENSED",
        "Copyright (c) 2024 Acme. Governed by the GNU GPL, version 3",
        "Copyright (c) 2024 Acme. GPL-3.0-or-later",
        "Copyright (c) 2024 Acme; evaluation purposes, fee payable to Acme after 30 days",
        "Copyright 2024 Acme. Academic and educational institutions exclusively",
        "Copyright (c) 2024 Acme, revocable at any time; void in the EU",
        "Copyright (c) 2024 Acme, AGPL",
        "Copyright (c) 2024 Acme, QPL",
        "Copyright (c) 2024 Acme (AGPLv3)",
        "(c) 2020 military users excluded, governments banned",
        "(c) 2020 soldiers go away",
        "Copyright by Acme Corp. You owe Acme 5% of revenue",
        "Copyright 2024 Acme. Commons Clause applies",
        "Copyright 2024 Acme. Good, never Evil.",
        "Copyright 2024 MIT OR ISC",
        "Copyright 2024 Acme Fair Source",
        "Copyright 2024 Acme. Wine",
        "Copyright 2024 Acme Inc. Wine",
        "Copyright 2024 Acme, wine",
        "Copyright 2024 Acme - Wine",
        "Copyright 2024 Acme https://acme.example/wine",
        "Copyright 2024 Acme\x0bCopyright 2020 GPL3",
        "Copyright 2024 The Company Whose Wines Everybody Drinks",
        "Copyright 2024 " + "Acme, " * 20 + "Wine",
        "Copyright 2024-All Wine Belongs Here",
    ],
)
def test_one_more_sentence_makes_another_text(name: str, added: str) -> None:
    """
    Wherever it is, also in the line of a copyright notice.
    """
    text = TEXTS[name]
    head, line, tail = text.partition("\n\n")

    assert ["", "", ""] == [
        licence(f"{added}\n{text}"),
        licence(f"{text}\n{added}"),
        licence(f"{head}\n{added}{line}{tail}"),
    ]


def test_no_abbreviation_of_a_licence_after_a_name_is_part_of_a_notice() -> None:
    """
    All of SPDX's, alone or as the first part of an id, as in HPND-doc.
    """
    ids = sorted(str(licence["id"]) for licence in SPDX.values())
    abbreviated = [name for name in ids if len(name.split("-")[0]) > 1 and name.split("-")[0].isupper()]
    text = TEXTS["MIT"]

    wrong = [
        name
        for name in (*abbreviated, "Unlicense", "Zlib")
        if licence_text_digest(f"Copyright (c) 2020 Jane Doe {name}\n{text}") == licence_text_digest(text)
    ]

    assert ([], True) == (wrong, len(abbreviated) > 200)


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("MIT", "free of charge, ", ""),
        ("MIT", "without restriction", "with restriction"),
        ("MIT", "and/or sell\ncopies", "copies"),
        ("MIT", "MIT License", "Apache License"),
        ("BSD-3-Clause", "without\nmodification", "with\nmodification"),
        ("BSD-3-Clause", "the copyright holder nor", "Grape. Nobody may sell it, nor"),
        ("ISC", "with or without fee", "without fee"),
    ],
)
def test_one_other_word_makes_another_text(name: str, before: str, after: str) -> None:
    """
    A text that is nearly that of a licence is none.
    """
    assert 1 == TEXTS[name].count(before)

    assert "" == licence(TEXTS[name].replace(before, after))
