"""Each variant of a start is compared with MLflow's server and with this one."""

from collections.abc import Mapping
from typing import Any

from benchmarks import first_answers_results as results

ABOUT = {"mlflow": "3.1", "python": "3.11.7", "processors": 2, "load": 0.5, "rounds": 5}
PHASES = {"server": 100.0, "libraries": 1100.0, "mlflow": 1600.0, "model": 1800.0}
CLOCKS = {"finding": 100.0, "reading": 200.0, "objects": 300.0, "libraries": 400.0}


def text_of(about: Mapping[str, Any] = ABOUT) -> str:
    """The section about starts of which one variant needs a tenth more than the others."""
    plain = results.Start(2.0, 2.0, 280e6, PHASES, CLOCKS, 2900)
    taken = {results.STOCK: results.Start(4.0, 3.5, 350e6), **dict.fromkeys(results.VARIANTS, plain)}
    taken["… `malloc_trim` after loading"] = results.Start(2.5, 2.2, 279e6, PHASES, CLOCKS, 2900)
    return results.section(taken, about)


def test_a_variant_is_compared_with_both_servers() -> None:
    """
    Its time with that of MLflow's server, its processor time with that of this one, more or less.
    """
    text = text_of()

    assert "| MLflow's server | 4.00 | 1.00 | 3.50 s |  | 350 MB | 1.00 |" in text
    assert "| this server | 2.00 | 2.00 | 2.00 s |  | 280 MB | 0.80 |" in text
    assert "| … `malloc_trim` after loading | 2.50 | 1.60 | 2.20 s | +10% | 279 MB | 0.80 |" in text


def test_the_shares_are_those_of_the_phases() -> None:
    """
    Each phase begins where the one before it ended, and the last one ends with the first answer.
    """
    words = " ".join(text_of().split())

    assert "5% went into Python and the server's modules, 50% went into skops" in words
    assert "25% went into MLflow after them, 10% went into loading the model, 10% went into the first request" in words
    assert "Of 1.8 s of processor time until the model is loaded, finding modules took 0.10 s" in words


def test_a_loaded_machine_is_stated() -> None:
    """
    Its seconds compare nothing.
    """
    warning = "compare processor time, not seconds"

    assert (False, True) == (warning in text_of(), warning in " ".join(text_of({**ABOUT, "load": 2.5}).split()))


def test_each_number_has_its_own_median() -> None:
    """
    Also those of the phases.
    """
    starts = [results.Start(seconds, 1.0, 1e6, {"model": seconds * 10}) for seconds in (3.0, 1.0, 2.0)]

    assert results.Start(2.0, 1.0, 1e6, {"model": 20.0}) == results.medians(starts)
