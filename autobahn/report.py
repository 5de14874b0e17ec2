"""Reads the reports of the Autobahn testsuite and compares them with the expected results.

The suite judges each case twice: `behavior` (what was received) and `behaviorClose` (how the connection ended). Both
have to be what `expected.json` says, and that file holds nothing but OK, and INFORMATIONAL where the suite gives no
other verdict. A case that is missing, or that nobody asked for, is a difference too.
"""

from __future__ import annotations

import fnmatch
import json
import textwrap
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterable, NamedTuple

ACCEPTED = ("OK", "INFORMATIONAL")
# A case counts in one column: by its behavior, or as WRONG CLOSE where only the end of the connection was not right.
COLUMNS = ("OK", "INFORMATIONAL", "NON-STRICT", "FAILED", "UNIMPLEMENTED", "WRONG CLOSE", "MISSING")


class ReportError(Exception):
    """What is wrong, in a sentence for the user."""


class Verdict(NamedTuple):
    behavior: str
    close: str

    def accepted(self) -> bool:
        return self.behavior in ACCEPTED and self.close in ACCEPTED

    def column(self) -> str:
        if self.behavior in ACCEPTED and self.close not in ACCEPTED:
            return "WRONG CLOSE"
        return self.behavior if self.behavior in COLUMNS else "FAILED"

    def __str__(self) -> str:
        return f"{self.behavior}, close {self.close}"


@dataclass
class Result:
    """One case as the suite reported it."""

    verdict: Verdict
    why: str
    path: Path


@dataclass
class Outcome:
    """One combination of role and adapter, judged."""

    name: str
    folder: Path
    counts: Counter = field(default_factory=Counter)
    differences: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def good(self) -> bool:
        return not (self.differences or self.missing or self.problems)


def natural(case: str) -> tuple[int, ...]:
    """The order of the suite: 2.9 before 2.10."""
    return tuple(int(part) for part in case.split("."))


def matches(case: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(case, pattern) for pattern in patterns)


def load_expected(path: Path) -> dict[str, Verdict]:
    expected = {}
    for case, entry in json.loads(path.read_text()).items():
        expected[case] = Verdict(entry["behavior"], entry["behaviorClose"])
        if not expected[case].accepted():
            raise ReportError(f"{path}: {case} expects {expected[case]}: only OK and INFORMATIONAL may be expected")
    return expected


def save_expected(path: Path, expected: dict[str, Verdict]) -> None:
    """One case per line, in the suite's order, so that a change to the file shows what changed."""
    lines = []
    for case in sorted(expected, key=natural):
        entry = {"behavior": expected[case].behavior, "behaviorClose": expected[case].close}
        lines.append(f"  {json.dumps(case)}: {json.dumps(entry)}")
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def select(expected: dict[str, Verdict], patterns: list[str]) -> dict[str, Verdict]:
    """The expected cases that match; a pattern that matches none is an error, not a case fewer to pass."""
    for pattern in patterns:
        if not any(matches(case, [pattern]) for case in expected):
            raise ReportError(f"no expected case matches {pattern!r}")
    return {case: verdict for case, verdict in expected.items() if matches(case, patterns)}


def read(folder: Path, agent: str) -> tuple[dict[str, Result], list[str]]:
    """The cases that have a readable report, and what is wrong with the others."""
    try:
        index = json.loads((folder / "index.json").read_text())[agent]
        entries = [(case, index[case], folder / index[case]["reportfile"]) for case in sorted(index, key=natural)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return {}, [f"no usable index of the reports, {folder / 'index.json'}: {error!r}"]
    results, problems = {}, []
    for case, entry, path in entries:
        try:
            report = json.loads(path.read_text())
            verdict = Verdict(report["behavior"], report["behaviorClose"])
            if (report["id"], verdict) != (case, Verdict(entry["behavior"], entry["behaviorClose"])):
                raise ValueError("it contradicts the index of the reports")
            why = f"{report['result']} {report['resultClose']}"
            if verdict.behavior in ACCEPTED:
                why = report["resultClose"]
            results[case] = Result(verdict, why, path.with_suffix(".html"))
        except (OSError, ValueError, KeyError, TypeError) as error:
            problems.append(f"{case} has no usable report, {path}: {error!r}")
    return results, problems


def compare(name: str, folder: Path, expected: dict[str, Verdict], results: dict[str, Result]) -> Outcome:
    outcome = Outcome(name, folder)
    for case in sorted(expected.keys() | results.keys(), key=natural):
        result = results.get(case)
        if result is None:
            outcome.counts["MISSING"] += 1
            outcome.missing.append(case)
            continue
        outcome.counts[result.verdict.column()] += 1
        if case not in expected:
            outcome.differences.append(f"{case}: {result.verdict}, but it is not expected to run\n    {result.path}")
        elif result.verdict != expected[case]:
            wanted = expected[case]
            outcome.differences.append(
                f"{case}: {result.verdict} (expected {wanted})\n    {result.why}\n    {result.path}"
            )
    return outcome


def describe(outcomes: list[Outcome]) -> str:
    """The table of counts, then each difference with the path of its report."""
    heads = ["", *COLUMNS, "cases", "seconds"]
    rows = []
    for outcome in outcomes:
        counts = [outcome.counts[column] for column in COLUMNS]
        rows.append([outcome.name, *map(str, counts), str(sum(counts)), f"{outcome.seconds:.1f}"])
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]
    text = []
    for row in [heads, *rows]:
        text.append("  ".join([row[0].ljust(widths[0])] + [cell.rjust(w) for cell, w in zip(row[1:], widths[1:])]))
    for outcome in outcomes:
        if outcome.good():
            continue
        text += ["", f"{outcome.name}:"]
        text += [f"  {line}" for item in outcome.problems + outcome.differences for line in item.splitlines()]
        if outcome.missing:
            cases = outcome.missing[:50] + (["..."] if len(outcome.missing) > 50 else [])
            text += [f"  {len(outcome.missing)} missing, see the logs in {outcome.folder}:"]
            text += textwrap.wrap(" ".join(cases), 116, initial_indent="    ", subsequent_indent="    ")
    return "\n".join(text)


def update_expected(
    expected: dict[str, Verdict], patterns: list[str], announced: int, runs: dict[str, dict[str, Result]]
) -> dict[str, Verdict]:
    """`expected` with the cases that match `patterns` replaced by the results of `runs`, which have to be above doubt:
    complete (the suite `announced` how many cases it would run), accepted, and the same in each run."""
    found: dict[str, Verdict] = {}
    for name, results in runs.items():
        if not results or len(results) != announced:
            raise ReportError(f"{name}: {len(results)} of {announced} cases have a result; nothing written")
        for case, result in results.items():
            if not result.verdict.accepted():
                raise ReportError(f"{name}: {case} is {result.verdict}; nothing written\n  {result.path}")
            if found.setdefault(case, result.verdict) != result.verdict:
                raise ReportError(f"{name}: {case} differs from the other runs; nothing written\n  {result.path}")
    kept = {case: verdict for case, verdict in expected.items() if not matches(case, patterns)}
    return {**kept, **found}
