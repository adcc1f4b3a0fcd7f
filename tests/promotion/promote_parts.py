"""What the tests of evidence, policy and reviews share."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import workbench as wb
from workbench.promotion.evidence import Evidence, seal
from workbench.promotion.gathering import gather
from workbench.promotion.policy import load_policy
from workbench.records import canonical, sha256

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.langfuse.prompts import Remote
    from workbench.langfuse.server import Server
    from workbench.verdict import Verdict

NAME = "ticket-triage"
FIELDS = wb.scorers.json_fields("category", "priority")


async def confirm(
    candidate: str, baseline: str, *, scorers: Any = FIELDS, models: str = "openai:gpt-6-luna", **more: Any
) -> Verdict:
    """A confirmation of two versions over the shipped tickets."""
    refs = [f"{NAME}@{candidate}", f"{NAME}@{baseline}"]
    exp = wb.Experiment("p", refs, "tickets", models, scorers, providers=more.pop("providers", None))
    return await exp.confirm(*refs, **more)


def made(verdict: Verdict, production: Remote | None, server: Server, by: str = "Ann Author") -> Evidence:
    """Sealed evidence under the policy in force."""
    return seal(gather(verdict, production, server.identity, by, load_policy(NAME)))


def changed(evidence: Evidence, **parts: Any) -> Evidence:
    """The same evidence with other parts, hashed anew."""
    content = json.loads(canonical(evidence.content)) | parts
    return Evidence(content, sha256(canonical(content)))


def write_policy(home: Path, text: str) -> None:
    """The policy of the tickets prompt."""
    folder = home / "prompts" / NAME
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "promotion.toml").write_text(text)
