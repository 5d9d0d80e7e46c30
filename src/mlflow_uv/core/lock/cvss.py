"""Computes the base score of a vector of CVSS 3.0 and 3.1, as their specification defines it (FIRST, section 7.1)."""

from collections.abc import Mapping

_PREFIXES = ("CVSS:3.0/", "CVSS:3.1/")
_WEIGHTS: Mapping[str, Mapping[str, float]] = {
    "AV": {"N": 0.85, "A": 0.62, "L": 0.55, "P": 0.2},
    "AC": {"L": 0.77, "H": 0.44},
    "UI": {"N": 0.85, "R": 0.62},
    "C": {"H": 0.56, "L": 0.22, "N": 0.0},
    "I": {"H": 0.56, "L": 0.22, "N": 0.0},
    "A": {"H": 0.56, "L": 0.22, "N": 0.0},
}
_PRIVILEGES = {"U": {"N": 0.85, "L": 0.62, "H": 0.27}, "C": {"N": 0.85, "L": 0.68, "H": 0.5}}  # by the scope
_STEPS = 100_000  # of a score, so that floats of different processors round alike


def base_score(vector: str) -> float | None:
    """The score from 0 to 10; None for a vector of another version, or one that is not complete."""
    prefix = next((each for each in _PREFIXES if vector.startswith(each)), None)
    if prefix is None:
        return None
    metrics = dict(part.partition(":")[::2] for part in vector[len(prefix) :].split("/"))
    scope = metrics.get("S", "")
    try:
        weights = {name: values[metrics[name]] for name, values in _WEIGHTS.items()}
        privileges = _PRIVILEGES[scope][metrics["PR"]]
    except KeyError:
        return None
    lost = 1 - (1 - weights["C"]) * (1 - weights["I"]) * (1 - weights["A"])
    impact = 6.42 * lost if scope == "U" else 7.52 * (lost - 0.029) - 3.25 * (lost - 0.02) ** 15
    if impact <= 0:
        return 0.0
    exploitability = 8.22 * weights["AV"] * weights["AC"] * privileges * weights["UI"]
    whole = impact + exploitability if scope == "U" else 1.08 * (impact + exploitability)
    return _rounded_up(min(whole, 10.0))


def _rounded_up(score: float) -> float:
    tenths, rest = divmod(round(score * _STEPS), _STEPS // 10)
    return (tenths + bool(rest)) / 10
