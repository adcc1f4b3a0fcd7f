"""Reviews: what the pages say, and that hostile text stays text in them."""

from __future__ import annotations

import asyncio
import json
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from promote_parts import NAME, changed, confirm, made, write_policy

import workbench as wb
from workbench.errors import PromotionRefused, UsageError
from workbench.langfuse.prompts import move_label, pull, push
from workbench.promotion.approvals import CLAIM, approve
from workbench.promotion.comment import block, inline
from workbench.promotion.evidence import seal
from workbench.promotion.review import Review, prepare, review_of
from workbench.promotion.sections import FIRST, PROVES, SIMULATED, changes, visible
from workbench.promotion.status import read_status
from workbench.prompts import Prompt, diff_words
from workbench.report.rows import read_rows

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.langfuse.prompts import Remote
    from workbench.langfuse.server import Server
    from workbench.sim import StandIn
    from workbench.verdict import Verdict

HOSTILE = (
    "<script>alert(1)</script> </details> | ` ``` ~~~~ ![x](http://evil.example/x.png) [y](javascript:z) @team #12 "
    "www.evil.example http://evil.example/?q ~~no~~ **no** <!-- --> &lt; $x$ :tada: \\ \u202etxt.exe\u202c \x1b[31m "
    "a_b_c"
)
RENDER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
OURS = {"details", "summary", "br"}
"""The only HTML that a comment holds as HTML."""


def edit_outputs(verdict: Verdict, output: str, every: int = 1) -> None:
    """Every answer of the run, or each so-manieth, says `output`; its scores stay, so the verdict does."""
    path = wb.load_report(verdict.run_id).folder / "rows.jsonl"
    rows = [row | ({} if n % every else {"output": output}) for n, row in enumerate(read_rows(path))]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


class Tags(HTMLParser):
    """All tags of a page, and all addresses in them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def reviewed(verdict: Verdict | str, project: Server) -> Review:
    """The review on the latest evidence."""
    return prepare(verdict, "latest", project, "Ann Author")


def test_review_says_everything(verdict: Verdict, production: Remote, project: Server, home: Path) -> None:
    """Both pages hold the answer, the verdict, policy, versions by both numbers, costs, metrics, approvals, flips, and
    what the hash proves; the simulated source comes first."""
    write_policy(home, "approvals = 1\n[guards]\ncategory = 0.02\n")
    approve(reviewed(verdict, project).evidence, "Bob Builder")
    push(project, wb.load_prompt(f"{NAME}@v4"))
    review = reviewed(f"{NAME}@v4", project)
    assert review.met
    html, text = review.html(), unescaped(review.markdown())
    for said in (SIMULATED, verdict.sentence, CLAIM, PROVES, "v4, version 2 in Langfuse", "v3, version 1 in Langfuse",
                 "+44 %", "Bob Builder", "category", "guard", "Flipped cases: 70 better, 6 worse", review.evidence.sha,
                 "may become production", "0.05/(k(k+1)) = 0.025", "1 approval"):  # fmt: skip
        assert said in unescaped(html), said
        assert said in text, said
    assert html.index("SIMULATED") < html.index("<h2>Policy")
    assert "<del" in html
    assert "<ins" in html
    assert "✔ 1 approval: 1 of 1: Bob Builder" in str(review)
    assert repr(review) == "Review(ticket-triage@v4, Checked(5 of 5 points met), 0 faults)"
    assert "mathjax_ignore" in review._repr_html_()


def test_refusal_and_first_promotion_are_said(verdict: Verdict, project: Server, home: Path) -> None:
    """An unmet policy shows each point with its cure, and a first promotion says that it cannot be taken back."""
    write_policy(home, 'metric = "category"\napprovals = 1\n')
    review = reviewed(verdict, project)
    for page in (unescaped(review.html()), unescaped(review.markdown()), str(review)):
        assert "may not become production: 2 points to settle" in page
        assert "confirm with metric category" in page
        assert FIRST in page


def test_stale_review_says_so(verdict: Verdict, production: Remote, project: Server) -> None:
    """A page made after production moved names the move and both holders."""
    path = reviewed(verdict, project).evidence.path
    move_label(project, NAME, push(project, wb.load_prompt(f"{NAME}@v2")).number)
    review = prepare(f"{NAME}@v4", path, project, "Ann")
    assert not review.met
    assert "production now" in review.html()
    assert "is v2, version 2 in Langfuse" in str(review)


def test_evidence_of_another_version_is_a_fault(verdict: Verdict, production: Remote, project: Server) -> None:
    """Evidence for v4 given for v2 never reviews v4: the asked version is judged, and refused."""
    path = reviewed(verdict, project).evidence.path
    review = prepare(f"{NAME}@v2", path, project, "Ann")
    assert review.ref == f"{NAME}@v2"
    assert "the evidence is for ticket-triage@v4" in review.faults[0]


def test_evidence_from_another_machine(verdict: Verdict, production: Remote, project: Server) -> None:
    """Where the run is missing the sealed bundle is reviewed, without outputs, and the page says why; after production
    has become the candidate, the bundle that led there is shown and no new one made."""
    first = reviewed(verdict, project)
    folder = wb.load_report(verdict.run_id).folder
    rows = folder / "rows.jsonl"
    rows.write_text(rows.read_text() + rows.read_text().splitlines()[0] + "\n")
    again = review_of(first.evidence, first.now, project, first.prompt)
    assert "have changed since: no outputs are shown" in again.html()
    folder.rename(folder.with_name("elsewhere"))
    (folder.with_name("elsewhere") / "plan.json").unlink()
    for path in folder.with_name("elsewhere").glob("verdict-*"):
        path.unlink()
    review = reviewed(f"{NAME}@v4", project)
    assert review.evidence.sha == first.evidence.sha
    assert "not on this machine, or not whole: no outputs are shown" in unescaped(review.markdown())
    move_label(project, NAME, push(project, first.prompt).number)
    assert reviewed(f"{NAME}@v4", project).evidence.sha == first.evidence.sha


def test_nothing_to_review_is_named(server: StandIn, production: Remote, project: Server) -> None:
    """Without a verdict or bundle there is no review; a model is no prompt version."""
    with pytest.raises(PromotionRefused, match="no confirmed verdict on ticket-triage@v4"):
        reviewed(f"{NAME}@v4", project)
    for wrong in (NAME, f"{NAME}@v4 × openai:fast", "fast"):
        with pytest.raises(UsageError, match="no prompt version"):
            reviewed(wrong, project)


def test_pages_are_written(verdict: Verdict, production: Remote, project: Server, home: Path) -> None:
    """The two pages lie under a name of version and hash, without script or anything that a browser would fetch."""
    review = reviewed(verdict, project)
    html, markdown = review.write()
    assert html == home / ".workbench" / "reviews" / f"{NAME}-{review.evidence.stem}.html"
    assert markdown.suffix == ".md"
    page = Tags(html.read_text())
    assert not page.tags & {"script", "img", "link", "iframe", "object", "form", "a"}
    assert not page.attributes & {"src", "href", "onclick", "onload"}
    assert "default-src 'none'" in html.read_text()
    assert review.write(home / "x")[0].parent == home / "x"


def test_flips_show_both_outputs_masked(verdict: Verdict, production: Remote, project: Server) -> None:
    """Of the flipped cases at most 20 each way are shown, with the count of all, and without what must not leave."""
    key = "sk-ant-" + "api03-" + "a1B2" * 12
    edit_outputs(verdict, f"Write to jane.doe@example.org with {key}")
    review = reviewed(verdict, project)
    flips = review.flips
    assert (len(flips.better), len(flips.worse)) == (20, 6)
    assert (flips.n_better, flips.n_worse) == (70, 6)
    assert all(flip.scores[0] < flip.scores[1] for flip in flips.better)
    assert flips.better[0].candidate == "Write to [e-mail] with [key]"
    for page in (review.html(), review.markdown(), str(review), review.evidence.path.read_text()):
        assert "jane.doe" not in page
        assert key not in page
    assert "20 of 70 shown" in review.html()


def test_hostile_outputs_stay_text(verdict: Verdict, production: Remote, project: Server) -> None:
    """Whatever a model answers, both pages hold it as text: no tag, link, picture, mention or direction mark of its."""
    edit_outputs(verdict, HOSTILE + "\n</details>\n````\n<b>x</b>\n" + HOSTILE)
    harmless(reviewed(verdict, project))


def test_hostile_prompts_and_names_stay_text(server: StandIn, production: Remote, project: Server, home: Path) -> None:
    """The same holds for a prompt's text and for the names of people."""
    text = wb.load_prompt(f"{NAME}@v3").template[0].content
    draft = Prompt(NAME, f"{HOSTILE}\n\n{text}\n\n    {HOSTILE}\n- {HOSTILE}\n{{{{ticket}}}}", {"max_tokens": 99})
    saved = draft.save("hostile")
    verdict = asyncio.run(confirm(saved.version, "v3"))
    hostile = changed(made(verdict, production, project), by=HOSTILE, source=HOSTILE)
    approve(seal(hostile), "<script>|`@team` ![x](http://evil.example)")
    review = review_of(hostile, read_status(project, NAME), project, saved)
    harmless(review)
    assert "⟦U+202E⟧txt.exe" in unescaped(review.html())


def harmless(review: Review) -> None:
    """A review whose pages hold nothing but our own tags, and no text that a forge would link or turn round."""
    html, markdown = review.html(), review.markdown()
    assert "script" not in Tags(html).tags | Tags(review._repr_html_()).tags
    assert not Tags(html).tags & {"img", "a", "b onclick"}
    tokens = RENDER.parse(markdown)
    kinds = [token for token in tokens for token in (token, *(token.children or ()))]
    written = [token.content for token in kinds if token.type in ("html_block", "html_inline")]
    assert set(re.findall(r"</?(\w+)", "".join(written))) <= OURS
    assert not [token for token in kinds if token.type in ("image", "link_open")]
    assert "".join(written).count("<details>") == "".join(written).count("</details>")
    shown = "".join(token.content for token in kinds if token.type == "text")
    assert not re.search(r"@team|#12|http://evil|www\.evil|:tada:", shown)
    for page in (html, markdown, review._repr_html_()):
        assert not re.search("[\u202a-\u202e\u2066-\u2069\x1b]", page)


def test_long_outputs_make_small_pages(verdict: Verdict, production: Remote, project: Server) -> None:
    """Answers of a megabyte make pages that open, with how long they were; the comment fits a forge's 65,536
    characters."""
    edit_outputs(verdict, "x`" * 500_000, every=9)
    review = reviewed(verdict, project)
    assert len(review.html()) < 600_000
    assert "1,000,000 characters in all" in review.html()
    assert len(review.markdown()) < 60_000


def test_long_prompts_make_small_comments(server: StandIn, production: Remote, project: Server) -> None:
    """A change of many lines is cut in the comment, and said to be."""
    lines = "\n".join(f"Line {i} says something else, at length, about number {i}." for i in range(500))
    saved = Prompt(NAME, f"{lines}\n{{{{ticket}}}}").save("long")
    review = reviewed(asyncio.run(confirm(saved.version, "v3")), project)
    assert len(review.markdown()) < 60_000
    assert "the rest is left out here" in review.markdown()
    assert "Line 499" in review.html()


def test_change_reads_without_colour(verdict: Verdict, production: Remote, project: Server) -> None:
    """In the comment removed words are struck through and added ones bold, in HTML struck through and underlined."""
    review = reviewed(verdict, project)
    rendered = RENDER.render(review.markdown())
    assert re.search(r"max_tokens&quot;: <s>1024</s> <strong>2048</strong>", rendered)
    assert "<strong>- billing: charges, invoices, VAT, payment methods</strong>" in rendered
    assert re.search(r"<del [^>]*>1024</del><ins [^>]*underline[^>]*>2048</ins>", review.html())
    marks = re.sub(r"<(s|strong|code)>.*?</\1>", "", rendered[rendered.index("Change of the prompt") :])
    assert "**" not in marks
    assert "~~" not in marks


@given(st.text())
def test_any_text_in_a_line_is_that_text(text: str) -> None:
    """Whatever stands in a sentence renders as itself, in one paragraph of plain text."""
    tokens = RENDER.parse(f"x {inline(text)} x")
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    children = tokens[1].children
    assert {child.type for child in children} <= {"text", "text_special", "code_inline"}
    shown = "".join(child.content for child in children).replace("\u200b", "")
    assert " ".join(shown.split()) == " ".join(f"x {visible(text)} x".replace("\u200b", "").split())


@given(st.text(alphabet=st.sampled_from("`~ \nab<>"), max_size=40) | st.text())
def test_any_text_in_a_block_is_that_text(text: str) -> None:
    """Whatever stands in a block renders as one block of code with that text."""
    tokens = RENDER.parse(f"before\n\n{block(text)}\n\nafter")
    assert [token.type for token in tokens][3] == "fence"
    assert len(tokens) == 7
    assert tokens[3].content.rstrip("\n") == visible(text).rstrip("\n")


@given(st.text())
def test_visible_text_has_no_hidden_marks(text: str) -> None:
    """No control, direction or invisible character is left as it is."""
    shown = visible(text)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]", shown)
    shown.encode()  # no half of a character is left either


def unescaped(page: str) -> str:
    """A page's text without the escapes of either language."""
    from html import unescape

    return unescape(re.sub(r"\\([^A-Za-z0-9\s])|`(?=[\w/.-]+@)|(?<=[0-9n])`", r"\1", page)).replace("\u200b", "")


@pytest.mark.parametrize(("old", "new"), [("the cat " * 10_000, "the dog " * 10_000), ("a " * 20_000, "a " * 20_001)])
def test_repeated_words_do_not_take_for_ever(old: str, new: str) -> None:
    """A change of texts that repeat a few words ten thousand times is told at once, and holds both texts."""
    pieces = diff_words(old, new)
    assert "".join(text for sign, text in pieces if sign != "+") == old
    assert "".join(text for sign, text in pieces if sign != "-") == new


@given(st.text(), st.text())
def test_wording_is_both_texts(old: str, new: str) -> None:
    """Any change, one kind of piece left out, is the old text or the new one but for white space."""
    pieces = diff_words(old, new)
    assert "".join(text for sign, text in pieces if sign != "-") == new
    assert "".join(text for sign, text in pieces if sign != "+").split() == old.split()


def test_changes_are_lines_of_pieces(verdict: Verdict, production: Remote, project: Server) -> None:
    """The change, its removed words left out, is the new prompt."""
    review = reviewed(verdict, project)
    words = " ".join("".join(text for sign, text in line if sign != "-") for line in changes(review)).split()
    new = wb.load_prompt(f"{NAME}@v4").text.split()
    assert words[: len(new)] == new
    assert pull(project, NAME).sha == production.sha
