"""Recorded answers, by key and by input."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import openai
import pytest
from sim_parts import ROOT, ask_claude, claude, gpt, run, turns

from workbench.sim import Recordings, StandIn
from workbench.sim.asked import Asked
from workbench.sim.matching import KnownTexts
from workbench.sim.recordings import RecordingsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GSM8K = ROOT.parent / "shared" / "data" / "gsm8k-recorded.jsonl"
QUESTION = "How many eggs do three hens lay in a week?"
LINES: list[dict[str, Any]] = [
    {"model": "m", "input": QUESTION, "output": "keyed, first", "key": "k1", "repeat": 0},
    {
        "model": "m",
        "input": QUESTION,
        "output": "keyed, second",
        "key": "k1",
        "repeat": 1,
        "usage": {"input_tokens": 70, "output_tokens": 7},
    },
    {"model": "m", "input": QUESTION, "output": "loose"},
    {"model": "m", "input": QUESTION, "output": "loose again"},
    {"model": "m", "input": f"{QUESTION} And in a month?", "output": "longer"},
    {"model": "m", "input": QUESTION, "output": "for children", "system": "Speak simply."},
    {"model": "other", "input": QUESTION, "output": "of another model"},
]


def asked(text: str = QUESTION, **more: Any) -> Asked:
    """A question to the recorded model."""
    return replace(Asked("openai", "chat", "m", "", f"Please: {text} Thanks.", "unknown"), **more)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file: Path = tmp_path_factory.mktemp("recordings") / "some.jsonl"
    file.write_text("\n".join(json.dumps(line) for line in LINES) + "\n\n")
    return file


@pytest.fixture(scope="module")
def playing(path: Path) -> Iterator[StandIn]:
    with StandIn(recordings=path) as server:
        yield server


def test_by_key_and_repeat(path: Path) -> None:
    """A reply recorded with a key answers exactly that question and repeat, and no other."""
    recordings = Recordings.load(path)
    assert recordings.loose
    said = [recordings.reply(asked(key="k1", repeat=repeat)) for repeat in (0, 1)]
    assert [draft.text for draft in said] == ["keyed, first", "keyed, second"]
    assert [draft.source for draft in said] == ["recorded", "recorded"]
    assert recordings.find(asked(key="k1", repeat=2)) is None


def test_by_input(path: Path) -> None:
    """Without a key the longest recorded input inside the request answers, for its model, system text and repeat."""
    recordings = Recordings.load(path)
    said = recordings.reply(asked())
    assert (said.text, said.source) == ("loose", "recorded-loose")
    assert recordings.reply(asked(repeat=1)).text == "loose again"
    assert recordings.reply(asked(f"{QUESTION} And in a month?")).text == "longer"
    assert recordings.reply(asked(model="other")).text == "of another model"
    assert recordings.find(asked(repeat=2)) is None
    assert recordings.find(asked("How many?")) is None
    assert recordings.find(asked(model="nobody")) is None


def test_system_text_must_fit(tmp_path: Path) -> None:
    """A reply recorded under a system text answers only requests whose system text has it."""
    file = tmp_path / "system.jsonl"
    file.write_text(json.dumps(LINES[5]))
    recordings = Recordings.load(file)
    assert recordings.find(asked()) is None
    assert recordings.reply(asked(system="Speak simply. Be kind.")).text == "for children"


def test_over_the_wire(playing: StandIn) -> None:
    """A recorded answer says so in its headers and has its recorded usage; a request without one gets a 404."""
    assert playing.control("identity") == {"origin": playing.origin, "source": "recorded", "loose": True}

    async def work() -> None:
        async with gpt(playing.url) as client:
            keys = {"x-workbench-key": "k1", "x-workbench-repeat": "1"}
            raw = await client.chat.completions.with_raw_response.create(
                model="m", messages=turns(QUESTION, None), extra_headers=keys
            )
            assert raw.headers["x-workbench-source"] == "recorded"
            usage = raw.parse().usage
            assert (usage.prompt_tokens, usage.completion_tokens) == (70, 7)
            raw = await client.chat.completions.with_raw_response.create(model="m", messages=turns(QUESTION, None))
            assert raw.headers["x-workbench-source"] == "recorded-loose"
            assert raw.parse().choices[0].message.content == "loose"
            with pytest.raises(openai.NotFoundError, match="model 'm': no recording matches"):
                await client.chat.completions.create(model="m", messages=turns("Something else?"))
        async with claude(playing.url) as client:
            reply = await client.messages.create(**ask_claude(QUESTION, model="other"))
            assert reply.content[0].text == "of another model"

    run(work())


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("nonsense", "not a JSON object"),
        ("[1]", "not a JSON object"),
        ('{"model": "m", "input": "i"}', "'output' must be a text"),
        ('{"model": "m", "input": " ", "output": ""}', "needs a key"),
        ('{"model": "m", "input": "i", "output": "", "repeat": "1"}', "'repeat' must be int"),
        ('{"model": "m", "input": "i", "output": "", "usage": {"input_tokens": 1.5}}', "whole number"),
        ('{"model": "m", "input": "ok", "output": "", "repeat": 0}', "recorded twice"),
        (b"\xff", "not UTF-8"),
    ],
)
def test_wrong_files(tmp_path: Path, line: str | bytes, words: str) -> None:
    """A wrong line is refused with the file, the line's number and what is wrong."""
    file = tmp_path / "wrong.jsonl"
    good = b'{"model": "m", "input": "ok", "output": "fine"}\n'
    file.write_bytes(good + (line if isinstance(line, bytes) else line.encode()))
    with pytest.raises(RecordingsError, match=f"wrong.jsonl:2: .*{words}"):
        Recordings.load(file)


def test_known_texts_agree_with_search() -> None:
    """The index finds exactly the texts that a plain search finds, at any place and of any length."""
    words = [
        "a",
        "hen",
        "ten hens",
        "twenty hens",
        "x" * 11,
        "x" * 12,
        "x" * 31,
        "the hen lays ten eggs in the barn",
        "é" * 40,
    ]
    index = KnownTexts((word, word) for word in words)
    for shift in range(40):
        for word in words:
            text = "-" * shift + word + "." * (39 - shift)
            found = [known for known, _ in index.find(text)]
            assert found == sorted((w for w in words if w in text), key=lambda w: (-len(w), w))


def test_gsm8k_lookups() -> None:
    """Thousands of published answers are each found by model and question, at least as fast as 0.2 ms a lookup."""
    if not GSM8K.exists():
        pytest.skip("the published GSM8K answers are not beside this repository")
    rows = [json.loads(line) for line in GSM8K.read_text().splitlines()]
    recordings = Recordings.load(GSM8K)
    intro = "Solve the problem step by step and finish with the number alone.\n\nQuestion: "
    questions = [asked(model=row["model"], user=f"{intro}{row['input']}\nAnswer:") for row in rows]
    begun = time.perf_counter()
    found = [recordings.reply(question).text for question in questions]
    each_ms = (time.perf_counter() - begun) / len(rows) * 1000
    assert found == [row["output"] for row in rows]
    assert each_ms < 0.2
