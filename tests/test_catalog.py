"""Laws of the catalog: prices equal to genai-prices', unknown is never free, worst cases that are none too small."""

from __future__ import annotations

import datetime
import itertools
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from genai_prices import Usage as GenaiUsage
from genai_prices import calc_price
from hypothesis import given
from hypothesis import strategies as st

from workbench.catalog import (
    PARAMETERS,
    TIERS,
    Model,
    find_model,
    is_priced,
    load_models,
    nearest,
    price,
    providers_of,
    rates_today,
    worst_case,
)
from workbench.catalog import facts as known_facts
from workbench.catalog.facts import facts
from workbench.catalog.prices import _as_rates, _rates
from workbench.errors import CatalogError
from workbench.records import Message, Request, Usage
from workbench.settings import workspace

if TYPE_CHECKING:
    from pathlib import Path

LISTED = [find_model(entry["provider"], entry["id"]) for entry in facts()["model"]]
PRICED = [model for model in LISTED if is_priced(model)]
LONG = [model for model in PRICED if rates_today(model).long_prompt]
UNKNOWN = find_model("openai", "no-such-model-at-all")


def asked(*texts: str, max_tokens: int = 100) -> Request:
    """A request of these texts."""
    return Request("p", "e", "m", tuple(Message("user", text) for text in texts), {"max_tokens": max_tokens})


counts = st.one_of(st.integers(0, 5000), st.integers(0, 2_000_000))


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    """Any consistent usage: the cached kinds are parts of the prompt."""
    read, short, long, fresh = (draw(counts) for _ in range(4))
    return Usage(read + short + long + fresh, short, long, read, draw(counts), draw(counts))


def by_genai(model: Model, usage: Usage) -> float:
    """The price that genai-prices itself calculates."""
    tokens = GenaiUsage(
        input_tokens=usage.input_tokens, output_tokens=usage.output_tokens, cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_5m_tokens + usage.cache_write_1h_tokens,
        cache_write_5m_tokens=usage.cache_write_5m_tokens, cache_write_1h_tokens=usage.cache_write_1h_tokens,
    )  # fmt: skip
    return float(calc_price(tokens, model.id, provider_id=model.provider).total_price)


def own_prices(home: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> Path:
    path = home / "prices.toml"
    path.write_text(text)
    monkeypatch.setenv("WORKBENCH_PRICES", "prices.toml")
    return path


# Prices


def test_every_tier_model_is_priced() -> None:
    """Every listed model has a known price, so the laws below are about all of them, some with long prompt tiers."""
    assert PRICED == LISTED
    assert len(LONG) >= 3


@given(st.sampled_from(PRICED), usages())
def test_price_equals_genai_prices(model: Model, usage: Usage) -> None:
    """The fast price of a call equals genai-prices' own calculation, for every model and any usage."""
    assert price(model, usage) == pytest.approx(by_genai(model, usage), rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("model", LONG, ids=lambda model: model.id)
def test_long_prompts_cost_more(model: Model) -> None:
    """One token past a vendor's long prompt border the dearer price holds for the whole call, exactly as published."""
    rates = _rates(model.provider, model.id, datetime.date.today(), None)
    assert rates
    assert rates.long_prompt
    at, past = (Usage(rates.long_prompt + extra, output_tokens=1000) for extra in (0, 1))
    assert price(model, at) == pytest.approx(by_genai(model, at), rel=1e-12)
    assert price(model, past) == pytest.approx(by_genai(model, past), rel=1e-12)
    assert price(model, past) > price(model, at) * 1.2


@given(st.sampled_from(PRICED), counts, counts, counts, counts, counts)
def test_contradicting_counts_have_a_price(
    model: Model, whole: int, short: int, long: int, read: int, out: int
) -> None:
    """Counts that contradict each other, as a compatible server may send them, are priced and never an error: the reply
    is paid for and must be stored. The cached parts count at least."""
    found = price(model, Usage(whole, short, long, read, out))
    assert found >= price(model, Usage(0, 0, 0, 0, out))
    assert found == pytest.approx(
        price(model, Usage(max(whole, short + long + read), short, long, read, out)), rel=1e-9
    )


def test_unknown_is_none() -> None:
    """An unknown model or an unknown number of tokens has the price None, never zero."""
    assert price(UNKNOWN, Usage(1000, output_tokens=10)) is None
    assert worst_case(UNKNOWN, asked("x")) is None
    assert not is_priced(UNKNOWN)
    for usage in (Usage(), Usage(5), Usage(output_tokens=5)):
        assert price(PRICED[0], usage) is None
    assert price(PRICED[0], Usage(0, output_tokens=0)) == 0.0


def test_ollama_is_free() -> None:
    """A local model costs nothing because the catalog says so, even when the server counts no tokens."""
    model = find_model("ollama", "any-model:7b")
    assert (price(model, Usage()), worst_case(model, asked("x")), is_priced(model)) == (0.0, 0.0, True)


def test_an_answer_without_a_limit_has_no_worst_case() -> None:
    """What nothing limits may cost anything, so its worst case is None; embeddings have no answer to limit, and a
    model's own limit counts where a request names none."""
    model = find_model("anthropic", "claude-sonnet-5-5")
    free = replace(asked("x"), params={"effort": "low"})
    assert worst_case(model, free) is None
    assert worst_case(model, replace(free, params={"max_tokens": None})) is None
    assert worst_case(model, replace(free, endpoint="embeddings")) == worst_case(model, asked("x", max_tokens=0))
    limited = replace(free, params=model.limited(free.params))
    assert limited.params == {"effort": "low", "max_tokens": 4096}
    assert worst_case(model, limited) == worst_case(model, asked("x", max_tokens=4096))
    assert model.limited({"max_tokens": 7}) == {"max_tokens": 7}


any_text = st.text(st.characters(exclude_categories=()), max_size=40)


@given(st.sampled_from(PRICED), st.lists(any_text, min_size=1, max_size=3),
       st.integers(0, 10_000), st.data())  # fmt: skip
def test_worst_case_covers_any_usage(model: Model, texts: list[str], max_tokens: int, data: st.DataObject) -> None:
    """No usage that fits the request costs more than its worst case: a token per byte and some per message, any part of
    it written to any cache or read from one, and an answer as long as allowed."""
    whole = sum(len(text.encode("utf-8", "surrogatepass")) + 8 for text in texts)
    cuts = sorted(data.draw(st.integers(0, whole)) for _ in range(3))
    usage = Usage(whole, cuts[0], cuts[1] - cuts[0], cuts[2] - cuts[1], data.draw(st.integers(0, max_tokens)))
    worst = worst_case(model, asked(*texts, max_tokens=max_tokens))
    assert worst is not None
    assert price(model, usage) <= worst


@pytest.mark.parametrize("model", LONG, ids=lambda model: model.id)
def test_worst_case_knows_long_prompts(model: Model) -> None:
    """The worst case of a prompt that may pass the border is at the dearer price."""
    tokens = 300_000
    worst = worst_case(model, asked("x" * tokens, max_tokens=1000))
    assert worst >= by_genai(model, Usage(tokens, tokens, output_tokens=1000))


# The user's own prices


def test_user_prices(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's price file prices what nobody knows and overrides the rest, in dollars per million tokens."""
    own_prices(home, monkeypatch, '["openai:no-such-model-at-all"]\ninput = 2.0\noutput = 8.0\ncache_read = 0.5\n'
               '["anthropic:claude-sonnet-5-5"]\ninput = 0\noutput = 1\n')  # fmt: skip
    assert price(UNKNOWN, Usage(1_000_000, output_tokens=500_000)) == pytest.approx(6.0)
    assert price(UNKNOWN, Usage(1_000_000, 0, 0, 1_000_000, 0)) == pytest.approx(0.5)
    assert price(UNKNOWN, Usage(1_000_000, 500_000, 500_000, 0, 0)) == pytest.approx(2.0)
    assert price(find_model("anthropic", "claude-sonnet-5-5"), Usage(9, output_tokens=1_000_000)) == pytest.approx(1.0)


def test_price_file_counts_at_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A price file that is named or edited in a running notebook counts from the next call on."""
    assert not is_priced(UNKNOWN)
    text = '["openai:no-such-model-at-all"]\ninput = 2.0\noutput = 8.0\n'
    path = own_prices(home, monkeypatch, text)
    assert price(UNKNOWN, Usage(1_000_000, output_tokens=0)) == pytest.approx(2.0)
    path.write_text(text.replace("2.0", "3.0"))
    os.utime(path, ns=(1, 1))
    assert price(UNKNOWN, Usage(1_000_000, output_tokens=0)) == pytest.approx(3.0)
    monkeypatch.delenv("WORKBENCH_PRICES")
    assert price(UNKNOWN, Usage(1_000_000, output_tokens=0)) is None


@given(st.tuples(*[st.floats(0, 100) for _ in range(5)]), st.data())
def test_worst_case_under_user_prices(prices: tuple[float, ...], data: st.DataObject) -> None:
    """The worst case holds under any prices that a user may write, dear cache reads included."""
    rates = _as_rates(one / 1e6 for one in prices)
    names = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output")
    text = '["openai:mine"]\n' + "\n".join(f"{name} = {one!r}" for name, one in zip(names, prices, strict=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_PRICES", "prices.toml")
        path = workspace() / "prices.toml"
        path.write_text(text)
        os.utime(path, ns=(0, next(stamps)))
        model = find_model("openai", "mine")
        whole = data.draw(st.integers(0, 30))
        cuts = sorted(data.draw(st.integers(0, whole)) for _ in range(3))
        usage = Usage(whole, cuts[0], cuts[1] - cuts[0], cuts[2] - cuts[1], data.draw(st.integers(0, 50)))
        assert price(model, usage) == pytest.approx(rates.price(usage))
        assert price(model, usage) <= worst_case(model, asked("x" * 30, max_tokens=50))


stamps = itertools.count(1)

BAD_PRICES = [
    ("no toml at all [", "not a price file"),
    ("[openai.mine]\ninput = 1\noutput = 2\n", "'openai' is no provider:id"),
    ('["opnai:mine"]\ninput = 1\noutput = 2\n', "'opnai:mine' is no provider:id"),
    ('["openai:"]\ninput = 1\noutput = 2\n', "is no provider:id"),
    ('["openai:mine"]\ninput = 1\n', "input and output are needed"),
    ('"openai:mine" = 5\n', "input and output are needed"),
    ('["openai:mine"]\ninput = 1\noutput = -2\n', "zero or more"),
    ('["openai:mine"]\ninput = nan\noutput = 2\n', "zero or more"),
    ('["openai:mine"]\ninput = inf\noutput = 2\n', "zero or more"),
    ('["openai:mine"]\ninput = [1]\noutput = 2\n', "not a price file"),
    ('["openai:mine"]\ninput = "cheap"\noutput = 2\n', "not a price file"),
    ('["openai:mine"]\ninput = 1\noutput = 2\ncache_write = 9\n', "unknown price 'cache_write'.*did you mean"),
]


@pytest.mark.parametrize(("text", "fault"), BAD_PRICES, ids=[text[:40] for text, _ in BAD_PRICES])
def test_bad_price_files(text: str, fault: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong price file is refused as a whole, with its path, the fault and what to write."""
    path = own_prices(home, monkeypatch, text)
    with pytest.raises(CatalogError, match=fault) as caught:
        price(PRICED[0], Usage(1, output_tokens=1))
    assert str(path) in str(caught.value)
    assert "input = 1.0" in str(caught.value)


def test_missing_price_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """A price file that is named and not there is an error, not a price that nobody knows."""
    monkeypatch.setenv("WORKBENCH_PRICES", "nowhere.toml")
    with pytest.raises(CatalogError, match=r"nowhere\.toml"):
        is_priced(UNKNOWN)


# Models


def test_each_tier_of_each_provider() -> None:
    """Every tier has a model of every provider on stand-ins; Ollama's come from the user when they are real."""
    for tier in TIERS:
        assert providers_of(tier, stand_in=True) == ["anthropic", "openai", "ollama"]
        assert providers_of(tier) == ["anthropic", "openai"]
    assert [m.tier for m in load_models("fast,balanced", providers="openai")] == ["fast", "balanced"]


def test_ollama_tiers_are_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ollama has a tier as soon as a setting names its model; asking for one that is not named says which setting."""
    with pytest.raises(CatalogError, match="OLLAMA_FAST"):
        load_models("fast", providers="ollama")
    monkeypatch.setenv("OLLAMA_FAST", "mine:3b")
    assert [m.ref for m in load_models("fast")][-1] == "ollama:mine:3b"


@pytest.mark.parametrize("stand_in", [False, True])
def test_ollama_tiers_of_a_workspace(stand_in: bool, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A workspace's catalog fills Ollama's tiers too, live and offline, and a setting goes over it."""
    entry = '[[model]]\nprovider = "ollama"\nid = "{}"\ntier = "fast"\n'
    (home / "catalog.toml").write_text(entry.format("llama4:8b") + entry.format("qwen4:4b"))
    assert [m.ref for m in load_models("ollama:fast", stand_in=stand_in)] == ["ollama:llama4:8b", "ollama:qwen4:4b"]
    assert "ollama" in providers_of("fast", stand_in=stand_in)
    assert ("ollama" in providers_of("balanced", stand_in=stand_in)) is stand_in
    monkeypatch.setenv("OLLAMA_FAST", "mine:3b")
    assert [m.ref for m in load_models("ollama:fast", stand_in=stand_in)] == ["ollama:mine:3b"]


def test_tiers_have_no_letter_case() -> None:
    """A tier is a tier however it is written, and never an unlisted model of that name."""
    assert load_models("openai:FAST") == load_models("openai:fast")
    assert load_models("Fast,balanced") == load_models("fast,balanced")
    assert providers_of("FAST") == providers_of("fast")


@pytest.mark.parametrize(
    ("model_id", "near"),
    [("balancd", "openai:balanced"), ("gpt-6-lunna", "openai:gpt-6-luna"), ("gpt-6-luna", None), ("my-own", None)],
)
def test_misspelt_ids_are_guessed(model_id: str, near: str | None) -> None:
    """An unlisted id that is close to a tier or a listed model says what may have been meant; others say nothing."""
    assert nearest(find_model("openai", model_id)) == near


def test_models_are_listed_once() -> None:
    """A model that a tier and an explicit id both name appears once, in the order of the first."""
    refs = [m.ref for m in load_models(["openai:gpt-6-luna", "fast", find_model("anthropic", "claude-haiku-5-5")])]
    assert refs == ["openai:gpt-6-luna", "anthropic:claude-haiku-5-5"]


def test_unknown_ids_are_allowed_and_marked() -> None:
    """A model that the catalog does not list may be asked for; it is marked and nothing is checked for it."""
    assert not UNKNOWN.known
    assert UNKNOWN.refuses({"temperature": 1, "effort": "utmost", "seed": 5}) == []
    assert find_model("openai", "gpt-6-luna").known


@pytest.mark.parametrize(
    ("spec", "providers", "fault"),
    [
        ("fats", None, "did you mean 'fast'"),
        ("", None, "no tier named ''"),
        ([], None, "no models"),
        ("antropic:x", None, "did you mean 'anthropic'"),
        ("openai:", None, "needs a model id"),
        ("openai: ", None, "needs a model id"),
        ("fast", "opnai", "did you mean 'openai'"),
        ("fast", [], "no providers given"),
    ],
)
def test_wrong_models_name_the_choices(spec: Any, providers: Any, fault: str) -> None:
    """An unknown tier or provider is refused with the choices that exist."""
    with pytest.raises(CatalogError, match=fault):
        load_models(spec, providers)


def test_stand_ins_have_their_own_names() -> None:
    """A model that a stand-in answers for is labelled as simulated, whatever the wire calls it."""
    real, simulated = (load_models("fast", providers="anthropic", stand_in=on)[0] for on in (False, True))
    assert (real.id, real.label) == (simulated.id, "claude-haiku-5-5")
    assert simulated.label == "sim-anthropic-fast"
    assert load_models("openai:mine", stand_in=True)[0].label == "sim-openai-mine"


PARAMETER_TABLE = [
    ("anthropic:claude-sonnet-5-5", {"max_tokens": 5, "effort": "low", "stop": ["x"]}, []),
    ("anthropic:claude-sonnet-5-5", {"temperature": 0.5}, ["takes no temperature; use effort"]),
    ("anthropic:claude-sonnet-5-5", {"top_k": 1, "seed": 1}, ["takes no seed", "takes no top_k"]),
    ("anthropic:claude-sonnet-5-5", {"effort": "none"}, ["knows no effort 'none'"]),
    ("openai:gpt-6-luna", {"temperature": 0.5, "effort": "none"}, []),
    ("openai:gpt-6-luna", {"temperature": 0.5}, ["set effort to none"]),
    ("openai:gpt-6-luna", {"temperature": 0.5, "effort": "low"}, ["set effort to none"]),
    ("openai:gpt-6-luna", {"top_k": 5, "effort": "none"}, ["takes no top_k"]),
    ("openai:gpt-6.1-sol", {"temperature": 0.5, "effort": "none"}, ["takes no temperature", "knows no effort 'none'"]),
    ("ollama:any", dict.fromkeys(PARAMETERS - {"effort"}, 1), []),
]


@pytest.mark.parametrize(("ref", "params", "faults"), PARAMETER_TABLE)
def test_refused_parameters(ref: str, params: dict[str, Any], faults: list[str]) -> None:
    """A model refuses exactly the parameters that its vendor refuses, a sentence with the cure for each."""
    found = sorted(load_models(ref)[0].refuses(params))
    assert len(found) == len(faults)
    assert all(fault in sentence for fault, sentence in zip(sorted(faults), sorted(found, key=_what), strict=True))


def _what(sentence: str) -> str:
    return sentence.partition(" ")[2]


def test_compatible_servers_take_more() -> None:
    """An OpenAI-compatible server is asked by Chat Completions and may take seed, stop and sampling."""
    model = load_models("openai:gpt-6-luna", chat_completions=True)[0]
    assert model.endpoint == "chat_completions"
    assert model.refuses({"seed": 1, "stop": ["x"], "temperature": 1.0}) == []
    assert load_models("anthropic:claude-haiku-5-5", chat_completions=True)[0].endpoint == "messages"


def test_catalog_facts_are_dated() -> None:
    """Every block of facts names its source and the day it was checked, and ends and lifecycle agree."""
    known = facts()
    for block in [*known["provider"].values(), *known["model"]]:
        assert block["source"]
        assert isinstance(block["checked"], datetime.date)
    for block in known["model"]:
        assert (block["lifecycle"] == "active") == ("ends" not in block)


def test_the_model_that_judges_is_listed() -> None:
    """The model that judges unless another one is named is in the catalog, priced, and not about to end."""
    from workbench.scorers.asking import MODEL

    found = find_model(*MODEL.split(":"))
    assert found.known and found.lifecycle == "active" and is_priced(found)


# The workspace's own catalog

OWN = """[[model]]
provider = "openai"
id = "gpt-7-luna"
tier = "fast"
sampling = "never"
efforts = ["low", "high"]

[[model]]
provider = "anthropic"
id = "claude-opus-5-5"
default_max_tokens = 900
"""


def test_a_workspace_adds_models(home: Path) -> None:
    """A workspace's catalog adds models, changes what is known of others, and fills a tier in place of the shipped
    model; an edit counts at once, and without the file all is as shipped."""
    shipped = [model.ref for model in load_models("fast")]
    path = home / "catalog.toml"
    path.write_text(OWN)
    new, opus = find_model("openai", "gpt-7-luna"), find_model("anthropic", "claude-opus-5-5")
    assert new.known and new.refuses({"temperature": 1.0}) and new.refuses({"effort": "none"})
    assert (opus.default_max_tokens, opus.tier, opus.lifecycle) == (900, "powerful", "active")
    assert [model.ref for model in load_models("fast")] == ["anthropic:claude-haiku-5-5", "openai:gpt-7-luna"]
    assert find_model("openai", "gpt-6-luna").known and find_model("openai", "gpt-6-luna").tier is None
    path.write_text(OWN.replace('tier = "fast"', 'tier = "balanced"'))
    os.utime(path, ns=(1, 1))
    assert [model.ref for model in load_models("fast")] == shipped
    path.unlink()
    assert not find_model("openai", "gpt-7-luna").known


ENTRY = '[[model]]\nprovider = "openai"\nid = "x"\n'
BAD_CATALOGS = [
    ("[[model]\n", "not valid TOML.*line 1"),
    ("m\xfc".encode("latin-1"), "not UTF-8"),
    ('[[model]]\nid = "x"\n', "model 1: needs provider"),
    ('[[model]]\nprovider = "openai"\n', "model 1: needs id"),
    ('[[model]]\nprovider = "openai"\nid = " "\n', "model 1: needs id"),
    ('[model]\nprovider = "openai"\n', r"a model is written \[\[model\]\]"),
    ("model = [5]\n", r"a model is written \[\[model\]\]"),
    ('[provider.openai]\nendpoint = "chat"\n', r"holds \[\[model\]\] entries and nothing else"),
    ('[[model]]\nprovider = "mistral"\nid = "x"\n', "model mistral:x: no provider named 'mistral'.*anthropic, ollama"),
    (ENTRY + 'tier = "fats"', "model openai:x: tier 'fats': did you mean 'fast'"),
    (ENTRY + "tier = 5", "tier 5"),
    (ENTRY + "tire = 5", "unknown key 'tire': did you mean 'tier'"),
    (ENTRY + 'lifecycle = "dead"', "lifecycle 'dead'.*active, deprecated, retired"),
    (ENTRY + 'ends = "soon"', "ends 'soon' must be a date"),
    (ENTRY + "default_max_tokens = true", "default_max_tokens True must be a whole number"),
    (ENTRY + "default_max_tokens = 0", "default_max_tokens 0 must be a whole number"),
    (ENTRY + 'free = "no"', "free 'no' must be true or false"),
    (ENTRY + 'efforts = "low"', "efforts 'low' must be a list"),
    (ENTRY + "efforts = [1]", "must be a list of words"),
    (ENTRY + 'params = ["max_token"]', "params 'max_token': did you mean 'max_tokens'"),
    (ENTRY + ENTRY, "model openai:x: is there twice"),
]


@pytest.mark.parametrize(("text", "fault"), BAD_CATALOGS, ids=[fault for _, fault in BAD_CATALOGS])
def test_bad_catalogs(text: str | bytes, fault: str, home: Path) -> None:
    """A wrong catalog is refused with file, entry and what would be right: nothing in it is ignored without a word."""
    path = home / "catalog.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(CatalogError, match=fault) as caught:
        load_models("fast")
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('tier = "fast"', 'tier = "fats"', "model anthropic:claude-haiku-5-5: tier 'fats'"),
        ('provider = "openai"', 'provider = "mistral"', "no provider named 'mistral'"),
        ('endpoint = "chat"', 'endpiont = "chat"', "provider ollama: unknown key 'endpiont'"),
        ("[[model]]", "[[model]", "not valid TOML"),
    ],
)
def test_an_edited_shipped_catalog_is_checked(
    old: str, new: str, fault: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shipped catalog is data too: an edit that is wrong is refused in the same words."""
    path = home / "shipped.toml"
    path.write_text(known_facts.SHIPPED.read_text("utf-8").replace(old, new, 1), "utf-8")
    monkeypatch.setattr(known_facts, "SHIPPED", path)
    known_facts._shipped.cache_clear()
    try:
        with pytest.raises(CatalogError, match=f"{path}.*{fault}"):
            load_models("fast")
    finally:
        known_facts._shipped.cache_clear()
