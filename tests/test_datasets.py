"""Laws of the datasets: read whole or not at all, every fault named with file and line, splits that never move."""

from __future__ import annotations

import csv
import json
import math
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench import settings
from workbench.datasets import Dataset, append_case, dataset_names, load_dataset
from workbench.errors import DatasetError, StorageError
from workbench.prompts import prompt_names
from workbench.records import Case

SHIPPED = {"invoices": 100, "policy-qa": 100, "tickets": 400}
BANKING = Path(__file__).parents[2] / "shared" / "data" / "banking77-test.csv"
GOOD = '{"id": "a", "inputs": {"q": "one"}, "expected": 1}\n'

ids = st.lists(st.text(min_size=1).filter(str.strip), min_size=1, max_size=30, unique=True)


def made(case_ids: list[str]) -> Dataset:
    """A dataset without declared splits, as a file would give it."""
    return load_dataset(pd.DataFrame({"id": case_ids, "q": ["x"] * len(case_ids)}))


def saved(home: Path, text: str | bytes, name: str = "d.jsonl") -> Path:
    path = home / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# Bad input

BAD_LINES = [
    ("not json", "line 3.*not valid JSON"),
    ('{"id": "b", "inputs": {"q": "x"}', "line 3.*not valid JSON"),
    ('{"id": "b", "inputs": {"q": NaN}}', "line 3.*NaN is not JSON"),
    ('{"id": "b", "inputs": {"q": 1e999}}', "line 3.*too large"),
    ('{"id": "b", "inputs": {"q": ' + "[" * 100_000 + "}}", "line 3.*not valid JSON"),
    ("5", "line 3.*must be an object"),
    ("null", "line 3.*must be an object"),
    ('["b"]', "line 3.*must be an object"),
    ('{"inputs": {"q": "x"}}', "line 3.*needs an `id`"),
    ('{"id": "", "q": "x"}', "line 3.*needs an `id`"),
    ('{"id": "  ", "q": "x"}', "line 3.*needs an `id`"),
    ('{"id": true, "q": "x"}', "line 3.*needs an `id`"),
    ('{"id": 1.5, "q": "x"}', "line 3.*needs an `id`"),
    ('{"id": "a", "q": "x"}', "line 3.*'a' is already used on line 1"),
    ('{"id": "b"}', "line 3.*no inputs"),
    ('{"id": "b", "inputs": {}}', "line 3.*no inputs"),
    ('{"id": "b", "inputs": "text"}', "line 3.*no inputs"),
    ('{"id": "b", "inputs": {"q": "x"}, "expectd": 1}', "line 3.*unknown column 'expectd'.*did you mean 'expected'"),
    ('{"id": "b", "q": "x", "tags": 5}', "line 3.*tags must be a list of words"),
    ('{"id": "b", "q": "x", "tags": [1]}', "line 3.*tags must be a list of words"),
    ('{"id": "b", "q": "x", "split": "train"}', "line 3.*must be dev or test"),
    ('{"id": "b", "q": "x", "split": ["dev"]}', "line 3.*must be dev or test"),
]


@pytest.mark.parametrize(("line", "fault"), BAD_LINES, ids=[line[:40] for line, _ in BAD_LINES])
def test_bad_lines_are_named(line: str, fault: str, home: Path) -> None:
    """A wrong line refuses the whole file, and the message names the file, the line and the fault."""
    path = saved(home, f"{GOOD}\n{line}\n{GOOD.replace('a', 'z')}")
    with pytest.raises(DatasetError, match=fault) as caught:
        load_dataset(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("d.jsonl", "", "no cases"),
        ("d.jsonl", "\n \n", "no cases"),
        ("d.jsonl", b"\xff\xfe\x00", "cannot be read.*line 1 is not UTF-8"),
        ("d.csv", "id,q\n1,München\n".encode("latin-1"), "line 2 is not UTF-8; save the file with the encoding UTF-8"),
        ("d.csv", "id,q\n", "no cases"),
        ("d.csv", "id,q\n1,a\n2\n", "line 3: 2 columns expected"),
        ("d.csv", "id,q\n1,a\n2,b,c\n", "line 3: 2 columns expected"),
        ("d.csv", "id,q,q\n1,a,b\n", "two columns are named 'q'"),
        ("d.csv", "id,key,q\n1,a,b\n,c,d\n", "line 3: needs an `id`.*columns are: id, key, q.*--column key=id"),
        ("d.csv", "id\n1\n", "line 2: case '1' has no inputs.*the columns are: id"),
        ("d.csv", "id,q\n1,a\n1,b\n", "line 3.*already used on line 2"),
        ("d.csv", 'id,q\n1,"never closed\n2,b\n3,c\n', "line 2: not valid CSV"),
        ("d.csv", "id,q\n1," + "x" * 200_000 + "\n", "line 2.*not valid CSV"),
        ("d.parquet", "no parquet", "Parquet"),
        ("d.txt", GOOD, "ends in .jsonl, .csv, .parquet"),
    ],
)
def test_bad_files_are_named(name: str, content: str | bytes, fault: str, home: Path) -> None:
    """An unreadable, empty or ragged file is refused with its name and the line."""
    path = saved(home, content, name)
    with pytest.raises(DatasetError, match=fault) as caught:
        load_dataset(path)
    assert str(path) in str(caught.value)


def test_unknown_names_and_paths(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that no dataset has is refused with the nearest and with all that exist; a path with itself."""
    with pytest.raises(DatasetError, match=r"did you mean 'tickets'\? there are: invoices, policy-qa, tickets"):
        load_dataset("ticket")
    with pytest.raises(DatasetError, match=r"nowhere/d\.jsonl: no such file"):
        load_dataset("nowhere/d.jsonl")
    with pytest.raises(DatasetError, match=f"{home}: is a folder; name one of its files: mine.csv"):
        load_dataset(saved(home, "id,q\n1,a\n", "mine.csv").parent)
    (home / "empty").mkdir()
    with pytest.raises(DatasetError, match="empty: is a folder that holds no dataset"):
        load_dataset("empty")
    with pytest.raises(DatasetError, match="no dataset named ''"):
        load_dataset("")
    monkeypatch.setenv("WORKBENCH_HOME", str(home / "nowhere"))
    with pytest.raises(DatasetError, match=f"the workspace {home}/nowhere is no folder"):
        load_dataset("mine")
    with pytest.raises(DatasetError, match="a list is no dataset"):
        load_dataset([{"id": "a"}])  # type: ignore[arg-type]


def test_two_files_of_one_name_are_refused(home: Path) -> None:
    """A name that two files of a folder have is refused with both; a path says which is meant, other names work, and a
    workspace's own still goes before a shipped one of another kind."""
    (home / "datasets").mkdir()
    for name in ("dup.csv", "dup.jsonl", "tickets.csv"):
        saved(home / "datasets", "id,q\n1,a\n" if name.endswith("csv") else GOOD, name)
    with pytest.raises(DatasetError, match=r"datasets: dup\.csv and dup\.jsonl are both the dataset 'dup'"):
        load_dataset("dup")
    assert load_dataset("datasets/dup.csv").cases[0].id == "1"
    assert len(load_dataset("tickets")) == 1 and "dup" in dataset_names()


def test_column_mapping(home: Path) -> None:
    """Columns are renamed before reading; one that a row lacks, or two that meet, are refused with the line."""
    path = saved(home, "id,text,label,expected\n1,hello,greeting,x\n2,bye,parting,y\n", "d.csv")
    read = load_dataset(path, columns={"text": "question"})
    assert read["1"] == Case("1", {"question": "hello", "label": "greeting"}, "x", (), read["1"].split)
    with pytest.raises(DatasetError, match=r"line 2: no column 'txt'.*did you mean 'text'"):
        load_dataset(path, columns={"txt": "question"})
    with pytest.raises(DatasetError, match="line 2: two columns would be named 'expected'"):
        load_dataset(path, columns={"label": "expected"})
    swapped = load_dataset(path, columns={"label": "expected", "expected": "label"})
    assert (swapped["2"].expected, swapped["2"].inputs["label"]) == ("parting", "y")
    ragged = saved(home, '{"id": "1", "text": "a"}\n{"id": "2", "txt": "b"}\n')
    with pytest.raises(DatasetError, match="line 2: no column 'text'"):
        load_dataset(ragged, columns={"text": "question"})
    with pytest.raises(DatasetError, match="line 1: a row must be an object"):
        load_dataset(saved(home, "5\n"), columns={"text": "question"})


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("id,q,Expected\n1,a,x\n", "d.csv"),
        ("ID|q|expected\n1|a|x\n", "d.csv"),
        ('{"id": "1", "q": "a", "Expected ": "x"}\n', "d.jsonl"),
        ('{"id": "1", "Inputs": {"q": "a"}, "expected": "x"}\n', "d.jsonl"),
    ],
)
def test_almost_reserved_columns_are_refused(text: str, name: str, home: Path) -> None:
    """A column that differs from a reserved one by case or blanks is refused with the cure, which works; nothing is
    paid for as an input that was meant to be compared with."""
    path = saved(home, text, name)
    with pytest.raises(DatasetError, match=r"column '(\w+ ?)': did you mean `(\w+)`\?.*--column \1=\2") as caught:
        load_dataset(path)
    found = str(caught.value).split("columns=")[1].split(", or")[0]
    assert load_dataset(path, columns=json.loads(found)).cases[0] == Case("1", {"q": "a"}, "x", (), "dev")


def test_blanks_around_csv_names_mean_nothing(home: Path) -> None:
    """The names in the first line of a CSV are read without the blanks around them, and two that become one are
    refused."""
    read = load_dataset(saved(home, "id, q , expected\n1,a,x\n", "d.csv")).cases[0]
    assert (read.inputs, read.expected) == ({"q": "a"}, "x")
    with pytest.raises(DatasetError, match="two columns are named 'q'"):
        load_dataset(saved(home, "id,q, q\n1,a,b\n", "d.csv"))


# Rows without ids


def test_ids_are_made_of_inputs(home: Path) -> None:
    """Rows without any id get one from their inputs: the same in every order and format, with another label or a new
    row beside them; and the dataset says so."""
    read = load_dataset(saved(home, "q,expected\na,1\nb,2\n", "d.csv"))
    again = load_dataset(saved(home, "expected,q,tags\n3,c,\n5,b,new\n1,a,\n", "e.csv"))
    lines = load_dataset(saved(home, '{"inputs": {"q": "a"}}\n{"q": "b"}\n'))
    ids = {case.inputs["q"]: case.id for case in again}
    assert [case.id for case in read] == [case.id for case in lines] == [ids["a"], ids["b"]]
    assert ids["a"] == load_dataset(pd.DataFrame({"q": ["a"]})).cases[0].id == "c-29a9829b"
    assert {case.id: case.split for case in read}.items() <= {case.id: case.split for case in again}.items()
    assert read.made_ids and "ids were made" in repr(read) and "ids were made" in read._repr_html_()
    assert not load_dataset("tickets").made_ids


def test_doubled_rows_are_numbered_and_stay_together(home: Path) -> None:
    """Rows with the same inputs get numbered ids and one split: a case that was tuned on is not an unseen one too."""
    texts = [f"{i // 3}" for i in range(60)]
    data = load_dataset(pd.DataFrame({"q": texts, "expected": range(60)}))
    of = {text: sorted((case for case in data if case.inputs["q"] == text), key=lambda case: case.id) for text in texts}
    assert len({case.id for case in data}) == 60
    for first, second, third in of.values():
        assert (second.id, third.id) == (f"{first.id}-2", f"{first.id}-3")
        assert first.split == second.split == third.split
    assert {case.split for case in data} == {"dev", "test"}


@given(st.permutations([(text, wanted, tag) for text in "ab" for wanted in "12" for tag in "tu"]))
def test_made_ids_mean_the_same_case_in_any_order(rows: list[tuple[str, str, str]]) -> None:
    """Rows with the same inputs keep their ids whatever order they stand in, and the cases keep that order."""
    data = load_dataset(pd.DataFrame(rows, columns=["q", "expected", "tags"]))
    assert [(case.inputs["q"], case.expected, *case.tags) for case in data] == rows
    again = load_dataset(pd.DataFrame(sorted(rows), columns=["q", "expected", "tags"]))
    assert {case.id: case for case in data} == {case.id: case for case in again}


def test_another_column_may_be_the_id(home: Path) -> None:
    """A column that is renamed to id is the id, and one that is renamed away is none."""
    path = saved(home, "key,id,q\nk1,7,a\nk2,8,b\n", "d.csv")
    assert [case.id for case in load_dataset(path, columns={"key": "id", "id": "number"})] == ["k1", "k2"]
    assert load_dataset(path, columns={"id": "number"}).made_ids


def test_a_case_with_an_id_does_not_join_those_without(home: Path) -> None:
    """Nothing is added to a file without ids: beside one that has an id, its own lines could not be loaded again."""
    path = saved(home, '{"q": "a"}\n')
    with pytest.raises(DatasetError, match="its lines have no `id`"):
        append_case(path, Case("b", {"q": "x"}))
    assert load_dataset(path).made_ids


# Formats


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separators_are_recognised(separator: str, home: Path) -> None:
    """What spreadsheets and databases write between cells, comma, semicolon, tab or bar, is seen in the first line."""
    text = separator.join(["id", "q", "expected"]) + "\n" + separator.join(["1", '"a;b,c\td"', "x"]) + "\n"
    assert load_dataset(saved(home, text, "d.csv")).cases[0].inputs == {"q": "a;b,c\td"}


def test_a_comma_separates_when_in_doubt(home: Path) -> None:
    """A first line that reads the same either way is separated by commas."""
    assert load_dataset(saved(home, "id,a;b\n1,x;y\n", "d.csv")).cases[0].inputs == {"a;b": "x;y"}


def test_flat_and_nested_rows_are_the_same(home: Path) -> None:
    """A flat row and one with `inputs` give the same case, and numbers as ids become text."""
    nested = {"id": 7, "inputs": {"q": "x", "n": [1]}, "expected": {"a": None}, "tags": ["t"], "split": "test"}
    flat = {"id": 7, "q": "x", "n": [1], "expected": {"a": None}, "tags": ["t"], "split": "test"}
    one, other = (
        load_dataset(saved(home, json.dumps(row), f"{i}.jsonl")).cases[0] for i, row in enumerate([nested, flat])
    )
    assert one == other == Case("7", {"q": "x", "n": [1]}, {"a": None}, ("t",), "test")


def test_jsonl_survives_other_editors(home: Path) -> None:
    """A byte order mark, Windows line ends, blank lines and line breaks that only Unicode knows change nothing."""
    text = '\ufeff{"id": "a", "q": "one\u2028two\x85three\x0cfour"}\r\n\r\n{"id": "b", "q": "x"}'.replace("\x0c", "\\f")
    assert load_dataset(saved(home, text))["a"].inputs["q"] == "one\u2028two\x85three\x0cfour"


@given(st.lists(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00")), min_size=1, max_size=6))
def test_csv_cells_are_kept(tmp_path_factory: pytest.TempPathFactory, cells: list[str]) -> None:
    """Whatever text the csv module writes into a cell is the input that is read, all kinds of line breaks included."""
    path = tmp_path_factory.mktemp("csv") / "d.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows(
            [("id", "q"), *((str(i), cell) for i, cell in enumerate(cells))]
        )
    assert [case.inputs["q"] for case in load_dataset(path)] == cells


def test_unquoted_csv_cells_are_kept(home: Path) -> None:
    """A line separator that only Unicode knows does not end a row."""
    assert load_dataset(saved(home, "id,q\n1,a\u2028b\x0cc\n2,d\n", "d.csv"))["1"].inputs["q"] == "a\u2028b\x0cc"


def test_csv_tags_and_split(home: Path) -> None:
    """In CSV, tags are separated by commas or semicolons, and an empty split is none."""
    cases = load_dataset(saved(home, 'id,q,tags,split\n1,a,"x, y;z",test\n2,b,,\n', "d.csv")).cases
    assert (cases[0].tags, cases[0].split, cases[1].tags) == (("x", "y", "z"), "test", ())


def test_parquet_frame_and_jsonl_agree(home: Path) -> None:
    """The same table as Parquet, DataFrame and JSONL gives the same cases, missing cells as None, numbers in full."""
    rows = [
        {"id": "a", "q": "ä\n", "n": math.pi, "k": [1, 2], "expected": None},
        {"id": "b", "q": "x", "n": None, "k": [], "expected": "yes"},
    ]
    frame = pd.DataFrame(rows)
    frame.to_parquet(home / "d.parquet")
    saved(home, "\n".join(json.dumps(row) for row in rows))
    tables = [load_dataset(home / "d.parquet"), load_dataset(frame), load_dataset(home / "d.jsonl")]
    assert tables[0].cases == tables[1].cases
    assert [replace(case, inputs={}) for case in tables[1]] == [replace(case, inputs={}) for case in tables[2]]
    assert tables[0]["b"].inputs == {"q": "x", "n": None, "k": []}
    assert tables[0]["a"].inputs["n"] == pytest.approx(math.pi, abs=1e-14)


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame([["a", 1, 2]], columns=["id", "q", "q"]),
        pd.DataFrame({"id": ["a"], "q": [b"\xff\xfe"]}),
        pd.DataFrame({"id": ["a", None], "q": [1, 2]}),
        pd.DataFrame({"id": [], "q": []}),
    ],
    ids=["doubled column", "bytes", "missing id", "empty"],
)
def test_bad_frames(frame: pd.DataFrame) -> None:
    """A DataFrame that is no table of cases is a DatasetError too."""
    with pytest.raises(DatasetError, match="DataFrame"):
        load_dataset(frame)


@pytest.mark.skipif(not BANKING.exists(), reason="the banking77 test set is not here")
def test_real_csv_with_mapping() -> None:
    """A real CSV file of questions without ids loads whole, with its columns mapped."""
    with BANKING.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    read = load_dataset(BANKING, columns={"text": "question", "category": "expected"})
    assert len(read) == len(rows) == 3080
    assert [(c.inputs["question"], c.expected) for c in read] == [(r["text"], r["category"]) for r in rows]
    assert 0.55 < len(read.dev) / len(read) < 0.65


# Names


def test_shipped_datasets() -> None:
    """The shipped datasets load, are as large as promised, split near 60 : 40, and are runs of dev cases by default."""
    assert list(dataset_names()) == list(SHIPPED)
    for name, least in SHIPPED.items():
        data = load_dataset(name)
        assert len(data) >= least
        assert data.from_workspace
        assert len(data.dev) + len(data.test) == len(data)
        assert 0.5 < len(data.dev) / len(data) < 0.7


def test_workspace_before_shipped(home: Path) -> None:
    """A file of the workspace hides the shipped dataset of that name; a path is never taken for a name."""
    (home / "datasets").mkdir()
    saved(home, GOOD, "datasets/tickets.jsonl")
    assert load_dataset("tickets").cases[0].id == "a"
    assert load_dataset("tickets").from_workspace
    assert not load_dataset("datasets/tickets.jsonl").from_workspace


# Order, splits, subsets


@given(ids, ids)
def test_split_is_stable(first: list[str], added: list[str]) -> None:
    """Adding cases never moves one from dev to test or back."""
    before = {case.id: case.split for case in made(first)}
    after = {case.id: case.split for case in made(list(dict.fromkeys(first + added)))}
    assert before.items() <= after.items()


@given(ids, st.integers(0, 5), st.integers(1, 40))
def test_sample_is_a_prefix(case_ids: list[str], seed: int, n: int) -> None:
    """A sample is the beginning of the seeded order of the whole, whatever order the file has."""
    data = made(case_ids)
    assert list(data.sample(n, seed)) == data.shuffled(seed)[:n]
    assert sorted(c.id for c in data.shuffled(seed)) == sorted(case_ids)
    assert [c.id for c in made(case_ids[::-1]).sample(n, seed)] == [c.id for c in data.sample(n, seed)]


@given(ids, ids)
def test_order_is_stable(first: list[str], added: list[str]) -> None:
    """Cases added later do not reorder those that were there."""
    both = made(list(dict.fromkeys(first + added))).shuffled()
    assert [c.id for c in both if c.id in set(first)] == [c.id for c in made(first).shuffled()]


def test_seeds_and_splits_are_independent() -> None:
    """Another seed is another order, and the order says nothing about the split."""
    data = made([str(i) for i in range(2000)])
    assert data.shuffled(0) != data.shuffled(1)
    assert abs(sum(c.split == "dev" for c in data.sample(1000)) - 600) < 80


def test_empty_subsets_are_refused() -> None:
    """A sample of nothing, an empty split, an unknown split or tag, and an unknown id are refused with the choices."""
    data = Dataset("d", (Case("a", {"q": "x"}, tags=("red", "big")), Case("b", {"q": "y"}, tags=("red",))))
    assert [c.id for c in data.filter(["red", "big"])] == ["a"]
    assert data.split("all") is data
    for attempt, fault in [
        (lambda: data.sample(0), "at least 1"),
        (lambda: data.test, "no test cases among its 2"),
        (lambda: data.split("train"), "there are: all, dev, test"),
        (lambda: data.filter("rad"), "did you mean 'red'"),
        (lambda: data["c"], "no case 'c'"),
        (lambda: Dataset("d", ()), "no cases"),
        (lambda: Dataset("d", (data["a"], data["b"], Case("a", {"q": "z"}))), "two cases with id 'a'"),
    ]:
        with pytest.raises(DatasetError, match=fault):
            attempt()


def test_hash_covers_every_field() -> None:
    """The dataset's hash changes with any field of any case and with their order, and with nothing else."""
    case = Case("a", {"q": "x", "n": 1}, "yes", ("t",), "dev")
    data = Dataset("d", (case, Case("b", {"q": "y"})))
    changes: list[dict[str, Any]] = [
        {"id": "c"},
        {"inputs": {"q": "z"}},
        {"expected": "no"},
        {"tags": ()},
        {"split": "test"},
    ]
    others = [Dataset("d", (replace(case, **change), data["b"])) for change in changes]
    assert len({data.sha, Dataset("d", data.cases[::-1]).sha, *(other.sha for other in others)}) == len(changes) + 2
    assert Dataset("other", (replace(case, inputs={"n": 1, "q": "x"}), data["b"]), True).sha == data.sha


def test_frame_and_repr_are_escaped() -> None:
    """A dataset shows its size, and text of its cases never becomes markup."""
    data = Dataset("d", tuple(Case(f"<b>{i}", {"q": "<script>alert(1)</script>"}) for i in range(12)))
    assert "12 cases" in repr(data)
    html = data._repr_html_()
    assert "<script" not in html
    assert "<b>0" not in html
    assert "2 more" in html


def test_test_cases_are_not_shown() -> None:
    """A dataset shows dev cases alone and says how many test cases it holds back; asked for, test cases are shown."""
    tickets = load_dataset("tickets")
    shown, asked = tickets._repr_html_(), tickets.test._repr_html_()
    assert not [case.id for case in tickets.test if case.id in shown]
    assert [case.id for case in tickets.dev.cases[:10] if case.id not in shown] == []
    assert f"{len(tickets.dev) - 10} more dev cases; {len(tickets.test)} test cases held back" in shown
    assert "held back" not in asked and tickets.test.cases[0].id in asked


def test_expected_is_json_and_lines_stay_lines() -> None:
    """Expected values are shown as JSON, and a text's line breaks as they are."""
    html = Dataset("d", (Case("a", {"q": "one\ntwo", "n": [None]}, {"ok": True}),))._repr_html_()
    assert "{&quot;ok&quot;: true}" in html and "one\ntwo" in html and "[null]" in html


@pytest.mark.parametrize(
    "case",
    [
        Case("a", {"q": "'" * 5_000_000}, {"deep": ["ä" * 1000] * 1000}, ("t" * 9000,)),
        Case("b" * 90_000, {f"{i}{'&' * 900}": "<" * 900 for i in range(300)}),
    ],
    ids=["long", "wide"],
)
def test_huge_cases_are_shown_short(case: Case) -> None:
    """Whatever its cases hold, a dataset's HTML stays within 100 kB and a case's repr within a few lines."""
    data = Dataset("d" * 50_000, tuple(replace(case, id=f"{i}{case.id}") for i in range(30)))
    assert len(data._repr_html_().encode()) <= 100_000
    assert len(repr(case)) <= 5 * 260
    assert "more characters" in repr(case)


def test_a_long_value_leaves_room_for_its_neighbours() -> None:
    """JSON that is longer than a line has a line for each field, so that its column is no wider than its longest."""
    html = load_dataset("invoices")._repr_html_()
    assert ",\n &quot;invoice_number&quot;: &quot;HOJ-2291&quot;,\n" in html


def test_a_case_shows_itself() -> None:
    """A case is a table of its inputs and what is expected, all of it text, however large."""
    case = Case("<b>7", {"q": "one\n<i>two", "expected": 5}, {"ok": True}, ("t", "u"), "test")
    html = case._repr_html_()
    assert all(text in html for text in ("case &lt;b&gt;7, test, tagged t, u", "one\n&lt;i&gt;two", ">5<", "mathjax"))
    assert "{&quot;ok&quot;: true}" in html and "<i>" not in html
    assert len(Case("b" * 90_000, {f"{i}": "<" * 900 for i in range(300)})._repr_html_()) < 100_000


def test_small_cases_are_shown_in_full() -> None:
    """A small case's repr is the line that makes it again."""
    case = Case("a", {"q": "x"}, {"ok": True}, ("t",), "test")
    assert eval(repr(case)) == case


def test_keys_are_ids() -> None:
    """A dataset offers its ids between brackets, and a position there is refused with what to write."""
    data = Dataset("d", (Case("a", {"q": "x"}), Case("b", {"q": "y"})))
    assert data._ipython_key_completions_() == ["a", "b"]
    with pytest.raises(DatasetError, match=r"by its id, such as \['a'\], not by int"):
        data[0]  # type: ignore[index]


# What is shipped


def test_what_is_saved_in_the_source_tree_is_not_shipped(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dataset or prompt version that somebody puts in the source tree is found from there, and by no other
    workspace."""
    tree = home / "tree"
    (tree / "workbench").mkdir(parents=True)
    (tree / "workbench" / "shipped.txt").write_text(Path(settings.__file__).with_name("shipped.txt").read_text())
    for name in ("datasets/tickets.jsonl", "datasets/mine.jsonl"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(GOOD)
    for version in ("v1", "v9"):
        (tree / "prompts" / "ticket-triage").mkdir(parents=True, exist_ok=True)
        text = json.dumps({"name": "ticket-triage", "type": "text", "prompt": version})
        (tree / "prompts" / "ticket-triage" / f"{version}.yaml").write_text(text)
    monkeypatch.setattr(settings, "__file__", str(tree / "workbench" / "settings.py"))
    assert (list(dataset_names()), prompt_names()) == (["tickets"], {"ticket-triage": ["v1"]})
    monkeypatch.setenv("WORKBENCH_HOME", str(tree))
    assert (list(dataset_names()), prompt_names()) == (["mine", "tickets"], {"ticket-triage": ["v1", "v9"]})


def test_shipped_files_are_those_under_version_control() -> None:
    """`shipped.txt` names every prompt and dataset of the repository: who adds one there adds its line."""
    root = Path(settings.__file__).parents[1]
    listed = (root / "workbench" / "shipped.txt").read_text().split()
    assert [name for name in listed if not (root / name).is_file()] == []
    tracked = subprocess.run(["git", "ls-files", "prompts/**/v*.yaml", "datasets/*"], cwd=root, capture_output=True,
                             text=True, check=False).stdout.split()  # fmt: skip
    assert not tracked or listed == tracked


# Adding a case

texts = st.text(st.characters(exclude_categories=()))


@given(case_id=texts.filter(str.strip), text=texts, split=st.sampled_from(["dev", "test"]))
def test_appended_case_is_loaded_equal(
    tmp_path_factory: pytest.TempPathFactory, case_id: str, text: str, split: str
) -> None:
    """A case that was added is read back the same, its split included, whatever text it holds."""
    path = tmp_path_factory.mktemp("append") / "d.jsonl"
    path.write_text('{"id": "first case of all", "q": "no line end"}')
    case = Case(case_id, {"q": text}, {"label": text}, (text,), split)
    append_case(path, case)
    assert [c.id for c in load_dataset(path)] == ["first case of all", case_id]
    assert load_dataset(path)[case_id] == case


def test_append_refuses_what_would_break_the_file(home: Path) -> None:
    """A case that could not be loaded again, or is there already, is refused and the file stays as it was."""
    path = saved(home, GOOD)
    bad: list[tuple[Any, str]] = [
        (Case("a", {"q": "x"}), "exists already"), (Case("", {"q": "x"}), "needs an `id`"),
        (Case("b", {}), "no inputs"),
        (Case("b", {"q": np.nan}), "plain JSON"), (Case("b", {"q": object()}), "plain JSON"),
    ]  # fmt: skip
    for case, fault in bad:
        with pytest.raises(DatasetError, match=fault):
            append_case(path, case)
    assert path.read_text() == GOOD
    with pytest.raises(DatasetError, match=r"\.jsonl files only"):
        append_case(saved(home, "id,q\n1,a\n", "d.csv"), Case("b", {"q": "x"}))
    with pytest.raises(StorageError, match="Free space or rights"):
        append_case(home / "no folder" / "d.jsonl", Case("b", {"q": "x"}))
