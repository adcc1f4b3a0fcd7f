"""Bundles that somebody wrote by hand, with the right hash over a wrong content."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from promote_parts import NAME, changed, made

import workbench as wb
from workbench.cli import run_command
from workbench.errors import PromotionRefused, UsageError
from workbench.langfuse.server import Address, Server
from workbench.promotion.evidence import LARGEST, faults, load_evidence
from workbench.promotion.review import review_of
from workbench.promotion.status import read_status
from workbench.records import canonical, sha256
from workbench.sim.langfuse import PUBLIC_KEY, SECRET_KEY

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.langfuse.prompts import Remote
    from workbench.sim import StandInLangfuse
    from workbench.verdict import Verdict

WRONG: list[Any] = [None, True, -1, 1e308, "x", [], {}, [1], {"a": 1}, 10**400, "\ud800"]


def nodes(node: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where every value of JSON data is, of a list the first."""
    inner = node.items() if isinstance(node, dict) else enumerate(node[:1]) if isinstance(node, list) else ()
    return ([place] if place else []) + [found for name, one in inner for found in nodes(one, (*place, name))]


def sealed(path: Path, content: Any) -> Path:
    """A bundle with the hash of its content."""
    path.write_text(json.dumps({"evidence": content, "sha256": sha256(canonical(content))}))
    return path


def test_any_part_may_be_anything(project: Server, production: Remote, verdict: Verdict, home: Path) -> None:
    """Whatever value of a bundle is replaced or missing, it is refused or reviewed, never a crash."""
    good = dict(made(verdict, production, project).content)
    prompt, now = wb.load_prompt(f"{NAME}@v4"), read_status(project, NAME)
    for turn, place in enumerate(nodes(good)):
        content = json.loads(canonical(good))
        node = content
        for name in place[:-1]:
            node = node[name]
        if turn % 4 == 0 and isinstance(node, dict):
            del node[place[-1]]
        else:
            node[place[-1]] = WRONG[turn % len(WRONG)]
        try:
            review = review_of(load_evidence(sealed(home / "e.json", content)), now, project, prompt)
        except (UsageError, PromotionRefused):
            continue
        assert str(review) and review.html() and review.markdown()


def test_a_version_is_never_a_path(project: Server, production: Remote, verdict: Verdict, home: Path) -> None:
    """A bundle whose version would lead out of its folder is refused."""
    good = json.loads(canonical(dict(made(verdict, production, project).content)))
    good["candidate"]["version"] = "../../../evil"
    with pytest.raises(UsageError, match="layout"):
        load_evidence(sealed(home / "e.json", good))


def test_the_text_shown_is_the_text_promoted(project: Server, production: Remote, verdict: Verdict, home: Path) -> None:
    """A bundle that shows its reviewer another text than it promotes is refused."""
    good = json.loads(canonical(dict(made(verdict, production, project).content)))
    good["candidate"]["text"] = "harmless"
    with pytest.raises(PromotionRefused, match="text it claims"):
        load_evidence(sealed(home / "e.json", good))


def test_a_field_twice(project: Server, production: Remote, verdict: Verdict, home: Path) -> None:
    """A field that is there twice, which people and programs read differently, is refused; so is a file of any size."""
    path = made(verdict, production, project).path
    assert path is not None
    twice = home / "e.json"
    twice.write_text(path.read_text().replace('"source": "simulated"', '"source": "live", "source": "simulated"', 1))
    with pytest.raises(UsageError, match="twice"):
        load_evidence(twice)
    twice.write_text(" " * (LARGEST + 1))
    with pytest.raises(UsageError, match="more than"):
        load_evidence(twice)


@pytest.mark.parametrize("source", ["recorded", "simulated", "Live", ""])
def test_only_live_evidence_on_a_real_server(
    project: Server, production: Remote, verdict: Verdict, home: Path, source: str
) -> None:
    """Only live evidence moves a real label: recordings are played back by stand-in servers, too, and it does not help
    to change the word in one of the two places."""
    evidence = made(verdict, production, project)
    prompt, server = wb.load_prompt(f"{NAME}@v4"), project.identity
    for told in (source, "live"):
        for one in (changed(evidence, source=told), evidence):
            said = " ".join(faults(one, prompt, production, server, stand_in=False))
            assert "never allowed" in said
            assert "never allowed" not in " ".join(faults(one, prompt, production, server, stand_in=True))


def test_no_proxy_for_this_machine(project: Server, langfuse: StandInLangfuse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys for a server on this machine never go to a proxy that the environment names."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with Server(Address(langfuse.url, PUBLIC_KEY, SECRET_KEY, stand_in=True)) as server:
        assert server.project == project.project


def test_a_stand_in_without_a_disk(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the stand-in cannot keep its store, that is said in a sentence, by exit code 1."""
    (home / ".workbench").write_text("in the way")
    assert run_command(["status", NAME]) == 1
    said = capsys.readouterr().err
    assert "cannot keep its store" in said and "Traceback" not in said


def test_a_watch_on_a_wrong_name(home: Path, project: Server, production: Remote) -> None:
    """Status of a name that is not there is bad input, not a label that is where it belongs."""
    from workbench.errors import LangfuseMissing
    from workbench.promotion.status import status

    with pytest.raises(LangfuseMissing, match=f"did you mean '{NAME}'"):
        status("ticket-triaeg", server=project)
