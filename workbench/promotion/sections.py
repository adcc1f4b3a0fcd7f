"""What a review says, as texts and tables: the same words in HTML, Markdown and on a terminal."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.promotion.approvals import CLAIM
from workbench.promotion.checking import mark, share
from workbench.promotion.evidence import called
from workbench.prompts import diff_words
from workbench.report.text import dollars, seconds
from workbench.verdict import WORDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from workbench.promotion.review import Review

SIMULATED = (
    "SIMULATED EVIDENCE: stand-in servers answered. The numbers are declared, not measured, and say nothing about real "
    "models. It moves labels on a local stand-in only."
)
FIRST = (
    "First promotion: nothing is production yet, so there is no previous holder and this cannot be taken back by a "
    "rollback."
)
PROVES = (
    "The hash detects accidents and later edits of the evidence. It is no signature: whoever may write the file may "
    "write all of it anew. The record of the promotion anchors it: there it stands in a chain, here and in Langfuse."
)
_JOINERS = "\u200c\u200d"


@dataclass(frozen=True, slots=True)
class Table:
    """One table of texts."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    names: int = 1
    """Columns, from the left, that are never wrapped."""


def visible(text: str) -> str:
    """Control and invisible characters written out: what a reader sees is what is there, in the order it is there."""
    text = text.replace("\r\n", "\n")
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    return "".join(one if _is_plain(one) else f"⟦U+{ord(one):04X}⟧" for one in text)


def _is_plain(one: str) -> bool:
    return one in "\n\t" or one in _JOINERS or unicodedata.category(one) not in ("Cc", "Cf", "Cs", "Zl", "Zp")


def headline(review: Review) -> str:
    """The answer: may it be promoted."""
    record = review.now.record
    if review.in_place and review.now.outside:
        return f"✘ {review.ref} holds production, but not by the record"
    if review.in_place and record is not None and record.evidence == review.evidence.sha:
        return f"✔ {review.ref} is production now; this is what it was promoted on"
    if review.in_place:
        return f"✔ {review.ref} is production now; it was not promoted on this"
    count = len(review.unmet) + len(review.faults)
    if review.met:
        return f"✔ {review.ref} may become production: the policy is met"
    return f"✘ {review.ref} may not become production: {count} point{'s' if count > 1 else ''} to settle"


def sentences(review: Review) -> list[str]:
    """The verdict, a sentence for each model."""
    verdict = review.evidence.verdict
    return [part.sentence(verdict.metric) for part in verdict.parts]


def warnings(review: Review) -> list[str]:
    """What must be read before anything else."""
    said = [SIMULATED] if review.evidence.source == "simulated" else []
    said += [FIRST] if review.evidence.is_first else []
    said += [f"Moved outside: {review.now.astray}"] if review.now.astray else []
    if review.in_place:
        return said
    said += [f"Not again without a reason: {review.taken_back}"] if review.taken_back else []
    return said + [f"The evidence does not hold: {fault}" for fault in review.faults]


def tables(review: Review) -> list[Table]:
    """Every table of a review, in reading order."""
    found = [_policy(review), _versions(review), _verdict(review), _costs(review), _metrics(review), _approvals(review)]
    return [one for one in found if one.rows]


def _policy(review: Review) -> Table:
    rows = [*review.checked.rows(), *_since(review)]
    if all(row[0] == mark(True) for row in rows):
        return Table("Policy", ("", "asked for", "found"), tuple(row[:3] for row in rows))
    return Table("Policy", ("", "asked for", "found", "cure"), tuple(rows))


def _since(review: Review) -> Iterator[tuple[str, ...]]:
    """What has happened since the evidence was made and stands against it as much as an unmet point does."""
    if review.in_place:
        return
    if review.taken_back:
        found, _, cure = review.taken_back.partition(": ")
        yield mark(False), "not taken back since its verdict was confirmed", found, cure
    if review.now.astray:
        yield mark(False), "production is where the record left it", "moved outside", review.now.astray


def _versions(review: Review) -> Table:
    evidence = review.evidence.content
    then = evidence["production"]
    was = called(then["number"], then["local_version"]) if then else "nothing"
    about = "the version reviewed" if review.in_place else "to be promoted"
    rows = [(about, called(review.number, review.prompt.version), review.prompt.sha[:12]),
            ("production when the evidence was made", was, then["sha"][:12] if then else "")]  # fmt: skip
    now = review.production
    if (now and now.number) != (then and then["number"]):
        held = called(now.number, now.local_version) if now else "nothing"
        rows.append(("production now", held, now.sha[:12] if now else ""))
    return Table("Versions", ("", "version", "content"), tuple(rows), f"on {review.server}")


def _verdict(review: Review) -> Table:
    verdict = review.evidence.verdict
    rows = [
        (
            _model(review, part.held),
            WORDS[part.outcome],
            f"{part.difference:+.3f}",
            f"{part.low:+.3f} to {part.high:+.3f}",
            str(part.n),
            f"{part.flips_better} / {part.flips_worse}",
            str(part.missing),
            f"{part.basis} at {part.alpha:g}",
        )
        for part in verdict.parts
    ]
    taken = review.evidence.content["verdict"]["share"]
    note = (
        f"{verdict.metric}, margin {verdict.margin:g}, confirmed on unseen test cases: confirmation {taken['k']} of "
        f"account {taken['account']} of {verdict.dataset}, which may spend 0.05/(k(k+1)) = {taken['alpha']:g}"
    )
    headings = ("model", "outcome", "difference", "interval", "cases", "better / worse", "unscored", "basis")
    title = f"{verdict.candidate} against {verdict.baseline}"
    return Table(title, headings, tuple(rows), note, names=len(headings))


def _costs(review: Review) -> Table:
    rows = []
    for part in review.evidence.content["costs"]:
        cost, latency, increase = part["usd_per_1000"], part["latency_s"], part["increase"]
        rows.append(
            (
                _model(review, part["held"]),
                f"{dollars(cost['baseline'])} → {dollars(cost['candidate'])}" if cost else "unknown",
                "unknown" if increase is None else share(float(increase)),
                f"{seconds(latency['baseline'])} → {seconds(latency['candidate'])}" if latency else "unknown",
            )
        )
    simulated = review.evidence.source == "simulated"
    return Table("Cost and latency", ("model", "US dollars per 1,000 cases", "change", "mean latency"), tuple(rows),
                 "list prices, judges left out" + (", paid to nobody" if simulated else ""))  # fmt: skip


def _metrics(review: Review) -> Table:
    content = review.evidence.content
    kinds: list[tuple[str, Mapping[str, Any]]] = [("guard", content["guards"]), ("informs", content["other_metrics"])]
    rows = []
    for kind, metrics in kinds:
        for metric, said in metrics.items():
            for part in said["verdicts"] if said else ():
                limits = f"{float(part['low']):+.3f} to {float(part['high']):+.3f}"
                margin = f"{float(said['margin']):g}" if kind == "guard" else ""
                counted = (str(part["n"]), f"{part['flips_better']} / {part['flips_worse']}")
                rows.append(
                    (metric, kind, margin, _model(review, part["held"]), WORDS[part["outcome"]], limits, *counted)
                )
    headings = ("metric", "", "margin", "model", "outcome", "interval", "cases", "better / worse")
    note = "every guard must be not worse beyond its margin; all must hold, hence uncorrected; the others only inform"
    return Table("Guards and other metrics", headings, tuple(rows), note)


def _approvals(review: Review) -> Table:
    rows = [(one.by, one.at, "counts") for one in review.approvals]
    rows += [(one.by, one.at, "does not count: made the evidence") for one in review.uncounted]
    return Table("Approvals", ("name", "at", ""), tuple(rows) or (("nobody yet", "", ""),), CLAIM)


def facts(review: Review) -> Table:
    """Where it all comes from."""
    found = review.evidence.content
    dataset, run = found["dataset"], found["run"]
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    judges = "; ".join(_judge(one) for one in found["judges"]) or "none"
    rows = (
        ("evidence", f"{review.evidence.sha}, made by {found['by']} (a claim) at {found['at']}"),
        ("what the hash proves", PROVES),
        ("source", found["source"]),
        ("dataset", f"{dataset['name']}, {dataset['cases']} {dataset['split']} cases, {dataset['sha'][:12]}"),
        ("run", f"{run['id']}, rows {run['rows_sha256'][:12]}, plan {run['plan_sha256'][:12]}"),
        ("models", ", ".join(_model(review, one["model"]) for one in found["models"])),
        ("judges", judges),
        ("variants and looks", f"at least {found['variants']} and {found['looks']} on this dataset"),
        ("policy", "; ".join(f"{name} {value} ({origin})" for name, value, origin in review.policy.facts())),
        ("packages", versions),
    )
    return Table("Evidence", ("", ""), rows)


def _judge(judge: Mapping[str, Any]) -> str:
    made = judge["calibration"]
    name = f"{judge['name']} {judge['identity'][:12]}"
    if made is None:
        return f"{name}: never calibrated here, so it informs and does not decide"
    agreement = made["agreement"]["value"]
    agrees = "unknown" if agreement is None else f"{float(agreement):.3f}"
    return (f"{name}: {made['model']}, calibrated {made['date']} on {made['n']} labels ({made['source']}), "
            f"agreement {agrees}")  # fmt: skip


def _model(review: Review, held: str) -> str:
    tier = {one["model"]: one["tier"] for one in review.evidence.content["models"]}.get(held)
    return (f"{held} ({tier})" if tier and tier not in held else held) or "–"


def changes(review: Review) -> list[list[tuple[str, str]]]:
    """The change of the prompt by words, a list of ("=" | "-" | "+", text) for each line; parameters come last."""
    then, new = review.evidence.content["production"], review.evidence.content["candidate"]
    old_text, old_config = (then["text"], then["config"]) if then else ("", {})
    pieces = diff_words(visible(old_text), visible(new["text"]))
    if old_config != new["config"]:
        pieces += [("=", "\n\n[parameters]\n"), *diff_words(_json(old_config), _json(new["config"]))]
    return list(_lines(pieces))


def _lines(pieces: list[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    line: list[tuple[str, str]] = []
    for sign, text in pieces:
        first, *rest = text.split("\n")
        line.append((sign, first))
        for one in rest:
            yield [piece for piece in line if piece[1]]
            line = [(sign, one)]
    yield [piece for piece in line if piece[1]]


def _json(config: Mapping[str, Any]) -> str:
    return visible(json.dumps(config, indent=1, sort_keys=True))


def plain(review: Review, lines: Sequence[str] = ()) -> str:
    """The review for a terminal: the answer, what came of it in `lines`, the verdict, every point, who approved."""
    said = [headline(review), *lines, *(f"! {one}" for one in warnings(review))]
    said += ["", *sentences(review), ""]
    said += [str(review.checked), ""]
    versions = _versions(review)
    said += [f"{name}: {version}" for name, version, _ in versions.rows]
    said += [f"{mark(True)} approved by {visible(one.by)} (a claim)" for one in review.approvals]
    flips = review.flips
    said += [f"{flips.title}. {flips.note}".rstrip()]
    return "\n".join([*said, f"evidence {review.evidence.sha[:12]}, made by {visible(review.evidence.by)}"])
