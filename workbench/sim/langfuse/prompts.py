"""Prompts, version 2 of the API: versions that never change, labels that move, `latest` that the server sets."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from workbench.sim.langfuse.calls import Answer, Call, Refused
from workbench.sim.langfuse.fields import Fields
from workbench.sim.langfuse.pages import numbered
from workbench.sim.langfuse.prompt_graph import quotes, resolved
from workbench.sim.langfuse.prompt_rules import LATEST, Wanted, new_labels, wanted
from workbench.sim.langfuse.store import now, pack, unpack

if TYPE_CHECKING:
    import sqlite3

    from workbench.sim.langfuse.prompt_graph import Find

Prompt = dict[str, Any]


def create(call: Call) -> Answer:
    """POST /api/public/v2/prompts: a new version of a name, 201."""
    want = wanted(call.body)
    before = versions(call, want.name)
    last = before[-1] if before else None
    if last is not None and last["type"] != want.type:
        raise Refused.invalid(
            "Previous versions have different prompt type. Create a new prompt with a different name."
        )
    new = _new(call.project, want, last)
    resolved(new, _finder(call))  # What it quotes must be there.
    _take_labels(call, before, set(new["labels"]))
    tags = new["tags"]
    call.rows.execute(
        "UPDATE prompts SET tags = ? WHERE project = ? AND name = ?", (pack(tags), call.project, want.name)
    )
    _insert(call.rows, new)
    return Answer(201, new)


def get(call: Call) -> Answer:
    """GET /api/public/v2/prompts/{name}: by version, by label, or the one labelled production."""
    fields = Fields(dict(call.query))
    version, label, resolve = fields.integer("version"), fields.text("label"), fields.flag("resolve")
    fields.done()
    if version is not None and label:
        raise Refused.invalid("Cannot specify both version and label")
    name = call.path["name"]
    label = None if version is not None else label or "production"
    prompt = _finder(call)(name, version, label)
    if prompt is None:
        which = f"with version {version}" if version is not None else f"with label '{label}'"
        raise Refused.missing(f"Prompt not found: '{name}' {which}")
    if resolve is False:
        return Answer(200, {**prompt, "resolutionGraph": None})
    return Answer(200, resolved(prompt, _finder(call)))


def every(call: Call) -> Answer:
    """GET /api/public/v2/prompts: names with those of their versions that match, page by page."""
    fields = Fields(dict(call.query))
    name, version, label, tag = fields.text("name"), fields.integer("version"), fields.text("label"), fields.text("tag")
    since, until = fields.moment("fromUpdatedAt"), fields.moment("toUpdatedAt")
    if fields.text("filter"):
        raise Refused.invalid("The stand-in does not know `filter`")
    found = [
        prompt
        for prompt in versions(call, name or None)
        if (version is None or prompt["version"] == version)
        and (not label or label in prompt["labels"])
        and (not tag or tag in prompt["tags"])
        and (since is None or prompt["updatedAt"] >= since)
        and (until is None or prompt["updatedAt"] < until)
    ]
    return Answer(200, numbered(fields, [_meta(list(rows)) for _, rows in groupby(found, key=lambda p: p["name"])]))


def move_labels(call: Call) -> Answer:
    """PATCH /api/public/v2/prompts/{name}/versions/{version}: give labels to a version, taking them from the others.

    While the setting `race` is on, the others keep them, as when the real server answers two moves at once.
    """
    labels = new_labels(call.body)
    fields = Fields({"version": call.path["version"]})
    version = fields.integer("version")
    fields.done()
    rows = versions(call, call.path["name"])
    prompt = next((row for row in rows if row["version"] == version), None)
    if prompt is None:
        raise Refused.missing(f"Prompt not found: {call.path['name']}")
    if not call.settings.races():
        _take_labels(call, [row for row in rows if row is not prompt], set(labels))
    prompt["labels"] = list(dict.fromkeys([*labels, *prompt["labels"]]))
    _relabel(call.rows, prompt)
    return Answer(200, prompt)


def delete(call: Call) -> Answer:
    """DELETE /api/public/v2/prompts/{name}: one version, the holders of a label, or all; `latest` moves down, 204."""
    fields = Fields(dict(call.query))
    version, label = fields.integer("version"), fields.text("label")
    fields.done()
    if version is not None and label:
        raise Refused.invalid("Cannot specify both version and label")
    rows = versions(call, call.path["name"])
    gone = [r for r in rows if version in {None, r["version"]} and (not label or label in r["labels"])]
    left = [row for row in rows if row not in gone]
    if not gone:
        raise Refused.missing("Prompt not found")
    _check_nobody_quotes(call, gone, left)
    call.rows.executemany("DELETE FROM prompts WHERE id = ?", [(row["id"],) for row in gone])
    if left and not any(LATEST in row["labels"] for row in left):
        left[-1]["labels"].append(LATEST)
        _relabel(call.rows, left[-1])
    return Answer(204)


def versions(call: Call, name: str | None) -> list[Prompt]:
    """The versions of a name, or of all, as they are answered; by name and version."""
    every_name = "SELECT * FROM prompts WHERE project = ? ORDER BY name, version"
    one_name = "SELECT * FROM prompts WHERE project = ? AND name = ? ORDER BY version"
    rows = call.rows.execute(*((every_name, (call.project,)) if name is None else (one_name, (call.project, name))))
    return [_answered(row) for row in rows]


def _finder(call: Call) -> Find:
    def find(name: str, version: int | None, label: str | None) -> Prompt | None:
        found = call.rows.execute(
            "SELECT * FROM prompts WHERE project = ?1 AND name = ?2 AND (?3 IS NULL OR version = ?3) AND"
            " (?4 IS NULL OR EXISTS (SELECT 1 FROM json_each(labels) WHERE json_each.value = ?4)) ORDER BY change",
            (call.project, name, version, label),
        ).fetchall()
        # The real server takes any of two holders. Here it is the one that changed first, or last, as a test has set.
        return _answered(found[0 if call.settings.reads == "oldest" else -1]) if found else None

    return find


def _new(project: str, want: Wanted, last: Prompt | None) -> Prompt:
    moment = now()
    tags = want.tags if want.tags is not None else (last["tags"] if last else ())
    return {
        "id": str(uuid4()),
        "createdAt": moment,
        "updatedAt": moment,
        "projectId": project,
        "createdBy": "API",
        "prompt": want.prompt,
        "name": want.name,
        "version": last["version"] + 1 if last else 1,
        "type": want.type,
        "isActive": None,
        "config": want.config,
        "tags": list(dict.fromkeys(tags)),
        "labels": list(dict.fromkeys((*want.labels, LATEST))),
        "commitMessage": want.commit_message,
    }


def _take_labels(call: Call, rows: list[Prompt], labels: set[str]) -> None:
    """A label belongs to one version of a name."""
    for row in rows:
        if labels & set(row["labels"]):
            row["labels"] = [label for label in row["labels"] if label not in labels]
            _relabel(call.rows, row)


def _relabel(rows: sqlite3.Connection, prompt: Prompt) -> None:
    prompt["updatedAt"] = now()
    rows.execute(
        "UPDATE prompts SET labels = ?, updated_at = ?, change = (SELECT max(change) + 1 FROM prompts) WHERE id = ?",
        (pack(prompt["labels"]), prompt["updatedAt"], prompt["id"]),
    )


def _insert(rows: sqlite3.Connection, prompt: Prompt) -> None:
    plain = ("id", "projectId", "name", "version", "type")
    packed = ("prompt", "config", "labels", "tags")
    rows.execute(
        "INSERT INTO prompts SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,"
        " (SELECT ifnull(max(change), 0) + 1 FROM prompts)",
        (
            *(prompt[name] for name in plain),
            *(pack(prompt[name]) for name in packed),
            *(prompt[name] for name in ("commitMessage", "createdAt", "updatedAt")),
        ),
    )


def _answered(row: sqlite3.Row) -> Prompt:
    return {
        "id": row["id"],
        "createdAt": row["created_at"],
        "updatedAt": row["updated_at"],
        "projectId": row["project"],
        "createdBy": "API",
        "prompt": unpack(row["prompt"]),
        "name": row["name"],
        "version": row["version"],
        "type": row["type"],
        "isActive": None,
        "config": unpack(row["config"]),
        "tags": unpack(row["tags"]),
        "labels": unpack(row["labels"]),
        "commitMessage": row["commit_message"],
    }


def _meta(rows: list[Prompt]) -> dict[str, Any]:
    last = rows[-1]
    return {
        "name": last["name"],
        "type": last["type"],
        "versions": [row["version"] for row in rows],
        "labels": sorted({label for row in rows for label in row["labels"]}),
        "tags": last["tags"],
        "lastUpdatedAt": max(row["updatedAt"] for row in rows),
        "lastConfig": last["config"],
    }


def _check_nobody_quotes(call: Call, gone: list[Prompt], left: list[Prompt]) -> None:
    """A prompt that another one quotes cannot be deleted while the quote would lose it."""
    versions_gone = {row["version"] for row in gone}
    labels_left = {label for row in left for label in row["labels"]}
    name = gone[0]["name"]
    ids = {row["id"] for row in gone}
    parents = [
        f"{parent['name']} v{parent['version']} depends on {name} {label or f'v{version}'}"
        for parent in versions(call, None)
        if parent["id"] not in ids
        for quoted, version, label in quotes(parent["prompt"])
        if quoted == name and (version in versions_gone or (label is not None and label not in labels_left))
    ]
    if parents:
        raise Refused.invalid(
            "Other prompts are depending on prompt versions you are trying to delete:\n\n"
            + "\n".join(parents)
            + "\n\nPlease delete the dependent prompts first."
        )
