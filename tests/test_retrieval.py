"""Search in both databases, one behaviour: SQLite beside the settings, PostgreSQL where servers share an index."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

import askfit.corpus
import askfit.corpus.index
import askfit.corpus.postgres
from askfit.ask.extract import reply
from askfit.ask.passages import own_sections, passages
from askfit.ask.prompt import Shared
from askfit.ask.question import Turn, understand
from askfit.config import Settings, load_settings
from askfit.corpus import Corpus, load_corpus
from askfit.corpus.sources import Source
from askfit.types import Passage

MakeSite = Callable[..., Settings]
PAGES: dict[str, str | bytes] = {
    "content/about.md": "# About\n\nAnn Ode keeps bridges standing.\n\n## Where?\n\nIn Porto, since 2020.",
    "content/harbour.md": (
        "# Harbour bridge\n\n## Closing\n\nThe harbour bridge was closed for 40 days.\n\n"
        "## Bearings\n\nIts bearings had rusted; the bridge could not move.\n\n"
        "## Cost\n\nThe repair cost 1.4 million.\n"
    ),
    "content/mill.md": "# Mill\n\nThe mill's wheel was turned by café owners and Łukasz for C++ fans.",
}


@pytest.fixture
def site(make_site: MakeSite, either_store: str) -> MakeSite:
    """Make a site on either database."""
    return lambda files: make_site(files, either_store)


@pytest.fixture
def load() -> Iterator[Callable[[Settings], Corpus]]:
    """Load a corpus that is closed at the end of the test."""
    opened: list[Corpus] = []

    def loading(settings: Settings) -> Corpus:
        opened.append(load_corpus(settings))
        return opened[-1]

    yield loading
    for corpus in opened:
        corpus.close()


Load = Callable[[Settings], Corpus]


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every corpus counts as too large for memory, and every search as one of a large corpus."""
    monkeypatch.setattr(askfit.corpus, "MOST_HELD_TOKENS", 0)
    for module in (askfit.corpus.index, askfit.corpus.postgres):
        monkeypatch.setattr(module, "EXACT", 0)
        monkeypatch.setattr(module, "MOST_SCORED", 4)


def ids(found: Sequence[Passage]) -> list[str]:
    return [one.section.id for one in found]


def test_a_question_in_other_forms_finds_the_section(site: MakeSite, load: Load) -> None:
    """Stems meet, accents and capitals do not matter, and a heading tells more than the text."""
    corpus = load(site(PAGES))
    assert ids(corpus.search("Why was it CLOSING?"))[0] == "harbour#closing"
    assert ids(corpus.search("rust on a bearing"))[0] == "harbour#bearings"
    assert ids(corpus.search("cafe")) == ["mill"]
    assert corpus.search("zebra") == []


@pytest.mark.parametrize(
    "query", ["", "?!", "'", "a' | b & !c <-> (d", '"x" AND NEAR(', "c++", "don't", "x\x00y", "\ud800"]
)
def test_no_query_is_an_error(site: MakeSite, load: Load, query: str) -> None:
    """What means something to the database's own search language is only words."""
    corpus = load(site(PAGES))
    assert isinstance(corpus.search(query), list)
    assert isinstance(corpus.frequency(query), int)


def test_a_word_is_counted_in_all_its_forms(site: MakeSite, load: Load) -> None:
    """How telling a word is rests on the number of sections that hold it, title and heading included."""
    corpus = load(site(PAGES))
    assert corpus.frequency("bridges") == 4  # the three sections titled so, and the one that says it
    assert corpus.frequency("zebra") == 0


def test_changed_added_and_withdrawn_pages_are_followed(site: MakeSite, load: Load) -> None:
    """After each load the search knows what the pages say now, and nothing else."""
    settings = site(PAGES)
    load(settings)
    (settings.root / "content/mill.md").write_text("# Mill\n\nIt grinds barley now.")
    (settings.root / "content/new.md").write_text("Orchards are new.")
    (settings.root / "content/harbour.md").write_text("---\nai: false\n---\nThe harbour bridge was closed.")
    corpus = load(settings)
    assert ids(corpus.search("barley")) == ["mill"]
    assert ids(corpus.search("orchard")) == ["new"]
    assert corpus.search("wheel harbour rusted") == []
    assert [document.id for document in corpus.documents] == ["about", "mill", "new"]


def test_an_unchanged_file_is_not_even_opened(site: MakeSite, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """One changed document costs one file, however many others there are."""
    settings = site(PAGES)
    monkeypatch.setattr("askfit.corpus.sources.UNSETTLED_S", -1e9)
    load(settings)
    opened: list[str] = []
    real = Source.load
    monkeypatch.setattr(Source, "load", lambda source: opened.append(source.name) or real(source))
    (settings.root / "content/mill.md").write_text("# Mill\n\nIt grinds barley now.")
    corpus = load(settings)
    assert opened == ["content/mill.md"]
    assert set(ids(corpus.search("barley bearings"))) == {"mill", "harbour#bearings"}


def test_a_file_that_changed_a_moment_ago_is_read_again(site: MakeSite, load: Load) -> None:
    """Two changes within one tick of the file system's clock look alike: then the bytes are compared."""
    settings = site({"content/a.md": "first word"})
    load(settings)
    (settings.root / "content/a.md").write_text("other word")
    assert ids(load(settings).search("other")) == ["a"]


def test_a_large_corpus_is_the_same_without_standing_in_memory(
    site: MakeSite, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sections, numbers, documents and hash do not depend on where the text is kept."""
    settings = site(PAGES)
    held = load(settings)
    monkeypatch.setattr(askfit.corpus, "MOST_HELD_TOKENS", 0)
    fetched = load(settings)
    assert (held.held, fetched.held) == (True, False)
    assert not isinstance(fetched.sections, tuple)
    assert tuple(fetched.sections) == held.sections
    assert [fetched.sections[at] for at in range(-1, len(held.sections))][1:] == list(held.sections)
    assert fetched.sections[-2:] == list(held.sections[-2:])
    assert dict(fetched.numbers) == held.numbers
    assert (fetched.sha, fetched.tokens, fetched.questions) == (held.sha, held.tokens, held.questions)
    assert [one.id for one in fetched.documents] == [one.id for one in held.documents]
    assert fetched.documents[1].title == held.documents[1].title
    assert list(fetched.of("harbour")) == list(held.of("harbour"))
    assert fetched.section("mill") == held.section("mill")
    assert fetched.section("nowhere") is None
    with pytest.raises(IndexError):
        fetched.sections[len(held.sections)]
    with pytest.raises(KeyError):
        fetched.numbers["nowhere"]


def test_what_another_server_withdrew(site: MakeSite, load: Load, large: None) -> None:
    """On one machine a server answers from what it read until it reads anew, whatever `check` or another server reads.

    Where several share one database, one that was started before finds and quotes nothing of the page; numbers stay.
    """
    settings = site(PAGES)
    before = load(settings)
    place = before.numbers["harbour#cost"] - 1
    mill = before.numbers["mill"]
    (settings.root / "content/harbour.md").unlink()
    assert load(settings).search("rusted bearings") == []
    if settings.file.store.url.startswith("sqlite"):
        assert before.search("rusted bearings")
        assert before.sections[place].text
    else:
        assert before.search("rusted bearings") == []
        assert before.sections[place].text == ""
    assert before.numbers["mill"] == mill
    assert before.sections[mill - 1].id == "mill"


def test_another_reading_of_the_folder_takes_nothing_from_a_server(make_site: MakeSite) -> None:
    """`askfit check` with other sources, in the same folder, leaves a running server's search as it was."""
    settings = make_site({"content/a.md": "# A\n\nThe harbour froze.", "content/b.md": "# B\n\nThe mill burned."})
    serving = load_corpus(settings)
    (settings.root / "other.toml").write_text('[site]\nname = "X"\n[corpus]\nsources = ["content/b.md"]\n')
    other = load_corpus(load_settings(settings.root / "other.toml", {}))
    assert other.search("harbour") == []
    assert [passage.section.document for passage in serving.search("harbour froze")] == ["a"]
    assert [passage.section.document for passage in load_corpus(settings).search("harbour froze")] == ["a"]


def test_two_servers_that_start_at_once_share_one_index(site: MakeSite) -> None:
    """Both are served whole, and the index holds each section once."""
    settings = site({f"content/{n}.md": f"Page number {n} on bridges." for n in range(30)})
    counts: list[tuple[int, int, int]] = []

    def start() -> None:
        corpus = load_corpus(settings)
        counts.append((len(corpus.sections), corpus.frequency("bridges"), len(corpus.search("bridges", 99))))
        corpus.close()

    threads = [threading.Thread(target=start) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [(30, 30, 30)] * 3


def test_past_a_bound_rare_words_find_and_common_words_order(site: MakeSite, load: Load, large: None) -> None:
    """Of the pages that hold the rare word the one that holds the common words too comes first."""
    pages: dict[str, str | bytes] = {f"content/p{n}.md": f"The bridge crew met in town {n}." for n in range(20)}
    pages |= {f"content/q{n}.md": f"Gravel was weighed, sieved and sold {n} times." for n in range(30)}
    pages["content/a.md"] = "Caissons were sunk long before anybody thought of it."
    pages["content/b.md"] = "Caissons of the bridge were sunk by the crew before anybody in town thought of it."
    corpus = load(site(pages))
    assert ids(corpus.search("caissons bridge crew town"))[:2] == ["b", "a"]
    assert corpus.search("bridge crew town"), "common words alone find something too"
    assert corpus.search("bridge")
    assert set(ids(corpus.search("caissons zebra"))) == {"a", "b"}


def test_neighbours_that_both_bear_on_the_question_are_joined(site: MakeSite, load: Load) -> None:
    """A passage is followed by the next section of its page where that hits too; another page's is no neighbour."""
    corpus = load(site({**PAGES, "content/zoo.md": "# Zoo\n\nA bridge for monkeys."}))
    assert ids(corpus.passages("rusted bearings", 2)) == ["harbour#bearings"]
    found = ids(corpus.passages("harbour bridge closed, bearings rusted, repair cost", 2))
    assert sorted(found) == ["harbour#bearings", "harbour#closing", "harbour#cost"]
    assert len(ids(corpus.search("harbour bridge closed, bearings rusted, repair cost", 2))) == 2


def test_a_question_that_points_back_is_searched_with_its_turn(site: MakeSite, load: Load, large: None) -> None:
    """ "Why was that?" finds the page of the turn before, without a call that rewrites it."""
    corpus = load(site(PAGES))
    earlier = Turn("How long was the harbour bridge closed?", "The harbour bridge was closed for 40 days.")
    follow = understand("And why was that?", [earlier])
    assert passages(corpus, follow)[0].id == "harbour#closing"
    assert passages(corpus, understand("And why was that?"))[0].id != "harbour#closing"


def test_who_is_this_is_answered_from_the_about_page(site: MakeSite, load: Load, large: None) -> None:
    """An introduction repeats no word of the page; a large corpus finds the page by its name too."""
    corpus = load(site(PAGES))
    asked = understand("Who are you?", owner="Ann Ode")
    assert [section.document for section in passages(corpus, asked)] == ["about"]


def test_times_are_compared_on_the_owners_pages_of_a_large_corpus(site: MakeSite, load: Load, large: None) -> None:
    """ "Where does she work now?" reads the pages about the owner, not a hundred thousand others."""
    job = "---\ntitle: {}\nemployer: {}\nstart_date: {}\nend_date: {}\n---\nBody.\n"
    pages = {
        "content/jobs/a.md": job.format("Clerk", "Quay", "2010-01-01", "2012-01-01"),
        "content/jobs/b.md": job.format("Surveyor", "Steelspan", "2012-02-01", "present"),
        "content/essays/c.md": "Gravel is weighed and sieved.",
    }
    corpus = load(site(pages))
    assert {section.document for section in own_sections(Shared(corpus))} == {"jobs/a", "jobs/b"}
    said = "".join(reply(corpus, understand("Where does she work now?", owner="Ann Ode")))
    assert "Surveyor, Steelspan" in said


def test_questions_of_the_site_are_its_headings(site: MakeSite, load: Load) -> None:
    """The last part of each heading that ends in a question mark."""
    assert load(site(PAGES)).questions == ("Where?",)


def test_text_that_no_database_takes_is_mended(site: MakeSite, load: Load) -> None:
    """NUL and half of a surrogate pair cost a character, not the page."""
    pages = {
        "content/a.txt": b"Caissons\x00 were sunk.",
        "content/b.json": b'{"basics": {"summary": "It \\ud800 rose."}}',
    }
    corpus = load(site(pages))
    assert [section.document for section in corpus.sections] == ["a", "b"]
    assert ids(corpus.search("rose")) == ["b"]
    assert ids(corpus.search("sunk")) == ["a"]


def test_where_postgresql_is_away_the_index_lies_beside_the_settings(
    make_site: MakeSite, load: Load, free_port: int
) -> None:
    """Reading and searching go on, and the owner is told."""
    settings = make_site(PAGES, f'[store]\nurl = "postgresql://ann:hush@127.0.0.1:{free_port}/site"\n')
    corpus = load(settings)
    assert [(fault.code, fault.severity) for fault in corpus.faults] == [("index_unreachable", "warning")]
    assert "hush" not in repr(corpus.faults)
    assert corpus.search("bearings")
    assert Path(settings.root / "askfit.index.db").exists()
