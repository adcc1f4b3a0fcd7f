"""`name@production` wherever a version stands."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

import workbench as wb
from workbench.cli import run_command
from workbench.client import current, use
from workbench.errors import LangfuseMissing
from workbench.langfuse.prompts import move_label, push
from workbench.sim.langfuse import PUBLIC_KEY, SECRET_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from workbench.sim import StandInLangfuse

NAME = "ticket-triage"


@pytest.fixture(autouse=True)
def offline(home: object) -> Iterator[None]:
    """Stand-ins, with v2 in production."""
    wb.offline(latency_s=0)
    yield
    use(None)


def experiment(*prompts: str) -> wb.Experiment:
    return wb.Experiment("p", list(prompts), "tickets", "openai:gpt-6-luna", wb.scorers.json_fields("category"))


def run(*prompts: str) -> wb.Report:
    return asyncio.run(experiment(*prompts).run(sample=30))


def test_production_is_the_version_that_it_is() -> None:
    """Production and the version that holds it are one arm of one run: asked for by either name, nothing is run twice,
    and the report knows both."""
    by_version = run(f"{NAME}@v2", f"{NAME}@v3")
    by_label = run(f"{NAME}@production,v3")
    assert by_label.run_id == by_version.run_id and by_label.totals()["done"] == 60
    assert by_label.plan["aliases"] == {f"{NAME}@production": f"{NAME}@v2"}
    assert by_label.compare(f"{NAME}@v3", f"{NAME}@production") == by_label.compare(f"{NAME}@v3", f"{NAME}@v2")
    assert len(by_label.wrong("category", prompt=f"{NAME}@production")) > 0


def test_both_names_of_one_version() -> None:
    """A version that is given beside production, and is production, is one arm, and the plan says so."""
    found = experiment(f"{NAME}@production", f"{NAME}@v2", f"{NAME}@v3")
    assert [prompt.version for prompt in found.prompts] == ["v2", "v3"]
    assert any("@production is ticket-triage@v2" in note for note in found.plan(sample=5).notes)


def test_a_report_keeps_what_production_was() -> None:
    """When production moves afterwards, a report still means what it was, and a new experiment what it is."""
    report = run(f"{NAME}@production,v3")
    server = current().langfuse()
    assert server is not None
    move_label(server, NAME, push(server, wb.load_prompt(f"{NAME}@v4")).number)
    assert report.compare(f"{NAME}@v3", f"{NAME}@production").baseline == f"{NAME}@v2"
    assert experiment(f"{NAME}@production").prompts[0].version == "v4"


def test_confirming_against_production() -> None:
    """A confirmation takes production as its baseline, also where the experiment does not name it."""
    verdict = asyncio.run(experiment(f"{NAME}@v4").confirm(f"{NAME}@v4", f"{NAME}@production"))
    assert (verdict.baseline, verdict.outcome, verdict.kind) == (f"{NAME}@v2", "better", "confirmed")


def test_production_is_where_the_settings_point(
    langfuse: StandInLangfuse, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a stand-in in the settings, an offline session and the commands mean that one: the confirmation is against
    what it has in production and names it, and the promotion accepts that. A server that is none is left alone."""
    own = current().langfuse()
    settings = {"BASE_URL": langfuse.url, "PUBLIC_KEY": PUBLIC_KEY, "SECRET_KEY": SECRET_KEY}
    for name, text in settings.items():
        monkeypatch.setenv(f"LANGFUSE_{name}", text)
    wb.offline(latency_s=0)
    server = current().langfuse()
    assert own is not None and server is not None and own.address.url != server.address.url == langfuse.url
    move_label(server, NAME, push(server, wb.load_prompt(f"{NAME}@v3")).number)
    verdict = asyncio.run(experiment(f"{NAME}@v4").confirm(f"{NAME}@v4", f"{NAME}@production"))
    assert verdict.baseline == f"{NAME}@v3" and f"was asked for at {langfuse.url} (stand-in)" in str(verdict)
    assert run_command(["promote", f"{NAME}@v4", "--dry-run", "--override", "a test"]) == 0
    assert f"Langfuse: {langfuse.url} (stand-in)" in capsys.readouterr().err
    for wrong in ("http://127.0.0.1:9", "http://[::1", "nothing"):
        monkeypatch.setenv("LANGFUSE_BASE_URL", wrong)
        wb.offline(latency_s=0)
        assert experiment(f"{NAME}@production").prompts[0].version == "v2"


def test_what_was_never_promoted_has_a_cure(home: Path) -> None:
    """Asking for the production of a prompt that has none names how to promote one, and the versions there are."""
    (home / "prompts" / "greet").mkdir(parents=True)
    (home / "prompts" / "greet" / "v1.yaml").write_text("name: greet\ntype: text\nprompt: Greet {{ticket}}\n")
    with pytest.raises(LangfuseMissing, match=r"in production: promote one \(`workbench promote greet@v1`\)"):
        experiment("greet@production")
