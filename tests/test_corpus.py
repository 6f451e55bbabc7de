"""Files of every form become documents and sections; what must stay out stays out; one bad file is one fault."""

from __future__ import annotations

import io
import json
import re
import sqlite3
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from askfit.config import Settings, load_settings
from askfit.corpus import Corpus, html_text, load_corpus
from askfit.corpus import readers as readers_module

MakeSite = Callable[..., Settings]
PAGE = """---
title: Progression at Harbor Lane
date: 2021-03-04
employer: Harbor Lane
start_date: 2019-02-01
degrees:
  - name: BSc
    field: Physics
layout: post
tags: [a, b]
---
Intro text.

## What I did

I led the **progression** team of [nine people](https://x.example).

- Shipped the season pass.
- Cut churn by 12%.

### Numbers

| Metric | Value |
|---|---|
| Retention | 41% |
"""


def text_of(corpus: Corpus) -> str:
    return "\n".join(section.text for section in corpus.sections)


def codes(corpus: Corpus) -> list[str]:
    return [fault.code for fault in corpus.faults]


def test_a_markdown_page_becomes_sections_with_anchors_and_addresses(make_site: MakeSite) -> None:
    """Each heading is a section whose address opens that place on the owner's page."""
    corpus = load_corpus(make_site({"content/work/harbor-lane.md": PAGE}))
    (document,) = corpus.documents
    assert (document.id, document.title, document.date) == (
        "work/harbor-lane",
        "Progression at Harbor Lane",
        "2021-03-04",
    )
    assert [section.id for section in document.sections] == [
        "work/harbor-lane",
        "work/harbor-lane#what-i-did",
        "work/harbor-lane#numbers",
    ]
    assert document.sections[1].url == "https://ann.example.com/work/harbor-lane/#what-i-did"
    assert document.sections[1].text.splitlines() == [
        "I led the progression team of nine people.",
        "Shipped the season pass.",
        "Cut churn by 12%.",
    ]
    assert document.sections[2].heading == "What I did › Numbers"
    assert "Retention | 41%" in document.sections[2].text


def test_front_matter_facts_are_content_and_its_controls_are_not(make_site: MakeSite) -> None:
    """An employer, a date, a degree in front matter can be found and quoted; layout and tags cannot."""
    text = text_of(load_corpus(make_site({"content/a.md": PAGE})))
    assert "Employer: Harbor Lane." in text
    assert "Progression at Harbor Lane, since 2019-02-01." in text
    assert "Physics" in text
    assert "post" not in text
    assert "[" not in text


def test_footnote_marks_are_no_content_and_notes_are(make_site: MakeSite) -> None:
    """A quote carries no [^1]; what the note says can be found."""
    text = text_of(load_corpus(make_site({"content/a.md": "It held.[^1] Twice.\n\n[^1]: By a thread.\n"})))
    assert "It held. Twice." in text
    assert "By a thread." in text
    assert "[^" not in text


@pytest.mark.parametrize(
    ("front", "told"),
    [
        (
            "title: Clerk\nemployer: Quay\nstart_date: '2021-07-01'\nend_date: 2023-02-21",
            "Clerk, Quay, from 2021-07-01 to 2023-02-21.",
        ),
        ("title: Clerk\ncompany: Quay\nstart: 2021\nend: present", "Clerk, Quay, since 2021."),
        ("title: Clerk at Quay\nemployer: Quay\nstartDate: 2021-07", "Clerk at Quay, since 2021-07."),
    ],
)
def test_a_job_in_front_matter_is_one_sentence_with_its_time(make_site: MakeSite, front: str, told: str) -> None:
    """Role, employer and dates that stand in separate keys are told as a person would say them, and can be quoted."""
    assert told in text_of(load_corpus(make_site({"content/a.md": f"---\n{front}\n---\nBody."})))


@pytest.mark.parametrize("front", ["ai: false", "draft: true", "published: false"])
def test_a_page_that_its_owner_keeps_out_never_enters(make_site: MakeSite, front: str) -> None:
    """Neither the corpus nor its index holds a word of it, and check can say why."""
    corpus = load_corpus(make_site({"content/a.md": f"---\n{front}\n---\nwombatword", "content/b.md": "hello there"}))
    assert "wombatword" not in text_of(corpus)
    assert corpus.search("wombatword") == []
    assert [(skipped.path, skipped.reason) for skipped in corpus.skipped] == [("content/a.md", front)]


@pytest.mark.parametrize(
    "name",
    [
        "content/CLAUDE.md",
        "content/sub/AGENTS.md",
        "content/GEMINI.md",
        "content/.hidden.md",
        "content/.obsidian/note.md",
        "content/drafts/x.md",
        "content/node_modules/p/x.md",
    ],
)
def test_agent_files_dotfiles_drafts_and_dependencies_never_enter(make_site: MakeSite, name: str) -> None:
    """Instructions for agents and files that no reader of the site sees are not the owner's words."""
    corpus = load_corpus(make_site({name: "wombatword", "content/b.md": "hello there"}))
    assert "wombatword" not in text_of(corpus)
    assert len(corpus.documents) == 1


def test_a_page_that_is_withdrawn_later_leaves_the_index(make_site: MakeSite) -> None:
    """`ai: false` added today means gone today, from an index that held the page yesterday too."""
    load_corpus(make_site({"content/a.md": "wombatword", "content/b.md": "hello"})).close()
    settings = make_site({"content/a.md": "---\nai: false\n---\nwombatword", "content/b.md": "hello"})
    corpus = load_corpus(settings)
    assert corpus.search("wombatword") == []
    corpus.close()
    raw = (settings.root / "askfit.index.db").read_bytes()
    assert b"wombatword" not in raw, "not even in the file's free pages"


def test_an_unchanged_file_is_not_read_again_and_a_changed_one_is(
    make_site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Re-reading is by content hash: one new page costs one page."""
    load_corpus(make_site({"content/a.md": "first page", "content/b.md": "second page"})).close()
    read: list[str] = []
    real = readers_module.read_file

    def counting(path: Path, name: str, data: bytes) -> readers_module.Page:
        read.append(name)
        return real(path, name, data)

    monkeypatch.setattr("askfit.corpus.read_file", counting)
    corpus = load_corpus(make_site({"content/b.md": "second page, changed", "content/c.md": "third page"}))
    assert read == ["content/b.md", "content/c.md"]
    assert len(corpus.search("page")) == 3
    assert [passage.section.document for passage in corpus.search("changed")] == ["b"]


def test_the_same_files_give_the_same_bytes_and_hash(make_site: MakeSite) -> None:
    """The cached prompt prefix rests on it: order and text do not depend on how or when files were read."""
    files = {"content/b.md": PAGE, "content/a.md": "# A\n\ntext", "content/c.txt": "plain"}
    first = load_corpus(make_site(files))
    again = load_corpus(make_site(files))
    assert (first.sha, first.sections) == (again.sha, again.sections)
    changed = load_corpus(make_site({**files, "content/c.txt": "other"}))
    assert changed.sha != first.sha


def test_html_gives_its_main_part_with_its_own_anchors(make_site: MakeSite) -> None:
    """Navigation, footers, scripts and hidden parts are not content; ids on headings are the anchors."""
    page = (
        "<html><head><title>T</title><style>x{}</style></head><body><nav>wombatnav</nav>"
        '<main><h1>About</h1><p>Ann led a team.</p><h2 id="jobs">Jobs</h2><ul><li>Harbor Lane, 2019</li></ul>'
        '<div hidden>wombathidden</div><p aria-hidden="true">wombataria</p><script>wombatscript</script></main>'
        "<footer>wombatfooter</footer></body></html>"
    )
    corpus = load_corpus(make_site({"content/about.html": page}))
    assert "wombat" not in text_of(corpus)
    assert corpus.section("about#jobs") is not None
    assert "Harbor Lane, 2019" in text_of(corpus)
    assert html_text(page).splitlines()[0] == "About"


def test_mdx_loses_its_code_and_keeps_its_words(make_site: MakeSite) -> None:
    """Imports, components and directives are the page's machinery; the words inside them are its content."""
    page = (
        "import X from './x'\nexport const y = 1\n\n# Hi\n\n<Callout type='a'>Kept words.</Callout>\n\n"
        "A :quote[directive text]{#id} here. {/* gone */}\n"
    )
    text = text_of(load_corpus(make_site({"content/a.mdx": page})))
    assert "Kept words." in text
    assert "directive text here" in text
    assert not any(word in text for word in ("import", "export", "Callout", "gone", "{"))


def test_hidden_text_and_comments_are_dropped_and_typography_stays(make_site: MakeSite) -> None:
    """What no reader sees is not said; what a reader sees can be quoted letter for letter."""
    text = text_of(load_corpus(make_site({"content/a.md": "Ann\u200b’s “first” job…<!-- wombat --> here"})))
    assert text == "Ann’s “first” job… here"


def test_json_resume_reads_as_sentences(make_site: MakeSite) -> None:
    """Every job and school of a JSON Resume is a section that says who, where and when."""
    resume = {
        "basics": {"name": "Ann Ode", "label": "Product manager", "summary": "Builds games."},
        "work": [
            {
                "name": "Harbor Lane",
                "position": "Lead PM",
                "startDate": "2019-02",
                "endDate": "2023-05",
                "highlights": ["Cut churn by 12%."],
            }
        ],
        "education": [{"institution": "Uni X", "studyType": "BSc", "area": "Physics", "endDate": "2012"}],
    }
    corpus = load_corpus(make_site({"content/resume.json": json.dumps(resume)}))
    text = text_of(corpus)
    assert "Lead PM, Harbor Lane, from 2019-02 to 2023-05." in text
    assert "Cut churn by 12%." in text
    assert "BSc in Physics, Uni X" in text


def test_a_docx_and_a_text_pdf_are_read(make_site: MakeSite) -> None:
    """A CV as the owner keeps it is content."""
    corpus = load_corpus(
        make_site({"content/cv.docx": _docx("Career", "Led the onboarding team."), "content/cv.pdf": _pdf()})
    )
    assert "Led the onboarding team." in text_of(corpus)
    assert "Harbor Lane since 2019" in text_of(corpus)
    assert {document.id for document in corpus.documents} == {"cv.docx", "cv.pdf"}
    assert corpus.faults == ()


def _docx(heading: str, text: str) -> bytes:
    word = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    body = (
        f'<w:document xmlns:w="{word}"><w:body><w:p><w:pPr><w:pStyle w:val="Heading1"/></w:pPr>'
        f"<w:r><w:t>{heading}</w:t></w:r></w:p><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:body></w:document>"
    )
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    types = (
        '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/word/document.xml" ContentType="{kind}"/></Types>'
    )
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
    links = (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        f'<Relationship Id="r1" Type="{office}" Target="word/document.xml"/></Relationships>'
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("[Content_Types].xml", types)
        archive.writestr("_rels/.rels", links)
        archive.writestr("word/document.xml", body)
    return out.getvalue()


def _pdf(text: str = "Product lead at Harbor Lane since 2019.") -> bytes:
    """The smallest PDF with a line of text: pypdf finds its objects without a cross-reference table."""
    stream = f"BT /F1 12 Tf 20 100 Td ({text}) Tj ET".encode()
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 200]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(stream), stream),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    out = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj%s endobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 6\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return bytes(out + b"trailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % start)


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("a.md", b"---\ntitle: [open\n---\ntext", "front_matter_invalid"),
        ("a.md", b"ok\n\xff\xfe\xe9", "wrong_encoding"),
        ("a.pdf", b"%PDF-1.4\nnot much", "pdf_broken"),
        ("a.docx", b"PK\x03\x04 broken", "docx_broken"),
        ("a.json", b'{"basics": {', "json_invalid"),
        ("a.json", b'{"name": "package"}', "json_not_resume"),
    ],
)
def test_one_unreadable_file_is_one_fault_and_the_rest_is_served(
    make_site: MakeSite, name: str, data: bytes, code: str
) -> None:
    """The fault names the file and the next step; the other page is there."""
    corpus = load_corpus(make_site({f"content/{name}": data, "content/good.md": "good page"}))
    assert codes(corpus) == [code]
    assert corpus.faults[0].file == f"content/{name}"
    assert corpus.faults[0].next_step
    assert [document.id for document in corpus.documents] == ["good"]


def test_a_broken_front_matter_names_its_line(make_site: MakeSite) -> None:
    """The line is the file's own, so that an editor can jump to it."""
    page = "---\ntitle: ok\nemployer: 'open\n---\ntext\n"
    (fault,) = load_corpus(make_site({"content/a.md": page, "content/b.md": "x"})).faults
    assert fault.where.startswith("line ")


def test_a_link_out_of_the_folder_is_not_followed(
    make_site: MakeSite, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A symbolic link cannot bring a file from elsewhere onto the site."""
    secret = tmp_path_factory.mktemp("elsewhere") / "secret.md"
    secret.write_text("wombatword")
    settings = make_site({"content/b.md": "hello"})
    (settings.root / "content" / "link.md").symlink_to(secret)
    corpus = load_corpus(settings)
    assert "wombatword" not in text_of(corpus)
    assert codes(corpus) == ["source_outside"]


def test_an_address_as_source_is_told_as_not_read_yet(make_site: MakeSite) -> None:
    """The contract's sitemap form is a warning with the way round it, and the files are served."""
    toml = '[site]\nname = "A"\n[corpus]\nsources = ["content/*.md", "https://a.example/sitemap.xml"]\n'
    corpus = load_corpus(make_site({"askfit.toml": toml, "content/a.md": "hello"}))
    assert codes(corpus) == ["source_not_supported_yet"]
    assert corpus.faults[0].severity == "warning"


@pytest.mark.parametrize(
    ("name", "front", "url"),
    [
        ("content/about.md", "", "https://ann.example.com/about/"),
        ("content/index.md", "", "https://ann.example.com/"),
        ("content/work/index.md", "", "https://ann.example.com/work/"),
        ("content/2015-05-11-on-x.md", "", "https://ann.example.com/2015/05/11/on-x/"),
        ("content/about.md", "permalink: /me/", "https://ann.example.com/me/"),
        ("content/about.md", "url: https://other.example/me", "https://other.example/me"),
        ("content/blog/about.md", "slug: hello", "https://ann.example.com/blog/hello/"),
        ("content/posts/x.md", "date: 2020-02-03", "https://ann.example.com/2020/02/03/x/"),
    ],
)
def test_a_page_is_addressed_as_its_generator_would(make_site: MakeSite, name: str, front: str, url: str) -> None:
    """A citation opens the page: its own permalink, the owner's pattern, or its place."""
    more = '[corpus.urls]\n"content/posts/*.md" = "/{year}/{month}/{day}/{slug}/"\n'
    corpus = load_corpus(make_site({name: f"---\n{front}\n---\ntext" if front else "text"}, more))
    assert corpus.documents[0].url == url


def test_long_sections_are_parted_with_stable_ids(make_site: MakeSite) -> None:
    """A passage stays a passage; every part keeps its page's anchor."""
    page = "## Long\n\n" + "\n\n".join(f"Paragraph {n} " + "word " * 99 for n in range(10))
    sections = load_corpus(make_site({"content/a.md": page})).sections
    assert [section.id for section in sections] == ["a#long", "a#long~2", "a#long~3", "a#long~4"]
    assert {section.url for section in sections} == {"https://ann.example.com/a/#long"}


def test_repeated_headings_get_the_anchors_that_generators_give(make_site: MakeSite) -> None:
    """Two sections of one name are told apart as on the page."""
    sections = load_corpus(make_site({"content/a.md": "## Same\n\none\n\n## Same\n\ntwo"})).sections
    assert [section.id for section in sections] == ["a#same", "a#same-1"]


def test_search_finds_by_stems_and_prefers_headings(make_site: MakeSite) -> None:
    """A question in other word forms finds the section whose heading names the matter first."""
    files = {
        "content/a.md": "## Experiments\n\nWe ran many of them each week.",
        "content/b.md": "Once there was an experimenting mood, and much else about lunch and travel and rent.",
    }
    found = load_corpus(make_site(files)).search("How do you experiment?")
    assert found[0].section.id == "a#experiments"


@given(query=st.text(max_size=80))
@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_a_safe_query(make_site: MakeSite, query: str) -> None:
    """Quotes, operators and control characters of the search language are only words."""
    corpus = load_corpus(make_site({"content/a.md": 'He said "AND" OR NEAR(x) * ^ text:y'}))
    assert isinstance(corpus.search(query), list)
    corpus.close()


@given(data=st.binary(max_size=300), ending=st.sampled_from(["md", "mdx", "html", "txt", "json", "pdf", "docx"]))
@hypothesis_settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_make_the_reader_crash(make_site: MakeSite, data: bytes, ending: str) -> None:
    """Whatever a file holds, loading ends with documents and faults."""
    settings = make_site({f"content/x.{ending}": data})
    load_corpus(settings).close()
    (settings.root / f"content/x.{ending}").unlink()


def test_a_corrupt_index_is_made_anew(make_site: MakeSite) -> None:
    """The index is derived data: a broken one costs a re-read, nothing else."""
    settings = make_site({"content/a.md": "hello there"})
    (settings.root / "askfit.index.db").write_bytes(b"this is no database" * 100)
    corpus = load_corpus(settings)
    assert corpus.search("hello")
    corpus.close()
    assert sqlite3.connect(settings.root / "askfit.index.db").execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_search_is_safe_from_many_threads(make_site: MakeSite) -> None:
    """Questions of many visitors search at once."""
    corpus = load_corpus(make_site({f"content/{n}.md": f"page number {n}" for n in range(20)}))
    failures: list[Exception] = []

    def ask() -> None:
        try:
            for n in range(40):
                assert corpus.search(f"number {n % 20}")
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_the_sample_site_reads_whole(sample: Settings) -> None:
    """The shipped site has no fault, keeps its canaries out, and is past the small model's cache minimum."""
    corpus = load_corpus(sample)
    assert corpus.faults == ()
    assert 12 <= len(corpus.documents) <= 25
    assert corpus.tokens > 4096
    kept_out = {skipped.path for skipped in corpus.skipped}
    assert "content/CLAUDE.md" in kept_out


def test_settings_in_another_folder_keep_their_paths(make_site: MakeSite, tmp_path: Path) -> None:
    """Sources are relative to the settings file, and a way out that the owner wrote is allowed."""
    make_site({"pages/a.md": "hello there"})
    inner = tmp_path / "conf" / "askfit.toml"
    inner.parent.mkdir()
    inner.write_text('[site]\nname = "A"\n[corpus]\nsources = ["../pages/*.md"]\n')
    corpus = load_corpus(load_settings(inner, {}))
    assert [document.id for document in corpus.documents] == ["a"]


def beside(tmp_path: Path, sources: list[str], urls: str = "") -> Settings:
    """Settings in a folder `conf` of their own, over files beside it."""
    inner = tmp_path / "conf" / "askfit.toml"
    inner.parent.mkdir(exist_ok=True)
    inner.write_text(
        f'[site]\nname = "A"\nurl = "https://a.example.com"\n[corpus]\nsources = {json.dumps(sources)}\n{urls}'
    )
    return load_settings(inner, {})


def test_a_page_outside_the_folder_has_its_place_below_its_source_as_address(
    make_site: MakeSite, tmp_path: Path
) -> None:
    """A generator's rule needs the source's folder only, which the owner has named; a permalink needs not even that."""
    make_site({"site/content/work/a.md": "hello", "site/content/b.md": "---\npermalink: /about/\n---\nhello"})
    corpus = load_corpus(beside(tmp_path, ["../site/content/**/*.md"]))
    assert {document.id: document.url for document in corpus.documents} == {
        "work/a": "https://a.example.com/work/a/",
        "b": "https://a.example.com/about/",
    }


@pytest.mark.parametrize("source", ["../site/resume.json", "{root}/site/resume.json"])
def test_a_file_outside_the_folder_is_cited_by_name_without_a_link(
    make_site: MakeSite, tmp_path: Path, source: str
) -> None:
    """Where a résumé is served cannot be known from there: no address, never a path; [corpus.urls] can tell it."""
    make_site({"site/resume.json": json.dumps({"basics": {"name": "Ann Ode", "summary": "I bake bread."}})})
    source = source.format(root=tmp_path)
    (document,) = load_corpus(beside(tmp_path, [source])).documents
    assert (document.id, document.url, {section.url for section in document.sections}) == ("resume", "", {""})
    assert document.sections[0].titled == "Résumé of Ann Ode"
    (told,) = load_corpus(beside(tmp_path, [source], f'[corpus.urls]\n"{source}" = "/cv/{{slug}}.json"')).documents
    assert told.url == "https://a.example.com/cv/resume.json"


def test_two_files_of_one_name_outside_the_folder_get_ids_that_show_no_path(
    make_site: MakeSite, tmp_path: Path
) -> None:
    """A document's id goes to visitors: neither a way out nor a folder of the machine stands in it."""
    make_site({"old/cv.txt": "I baked bread.", "new/cv.txt": "I bake cakes."})
    corpus = load_corpus(beside(tmp_path, ["../old/cv.txt", f"{tmp_path}/new/cv.txt"]))
    ids = [document.id for document in corpus.documents]
    assert len(set(ids)) == 2
    assert all(re.fullmatch(r"cv\.txt-[0-9a-f]{6}", id) for id in ids)


def test_a_way_out_and_in_again_is_no_way_out(make_site: MakeSite, tmp_path: Path) -> None:
    """A source that leads back into the folder is named and addressed as if it had been written plainly."""
    make_site({"conf/cv.txt": "I bake bread."})
    (document,) = load_corpus(beside(tmp_path, ["../conf/cv.txt"])).documents
    assert (document.path, document.url) == ("cv.txt", "https://a.example.com/cv.txt")


@pytest.mark.parametrize(
    "front",
    ['ai: "False"', "ai: n", 'draft: "Yes"', 'published: "No"', "draft: perhaps", "ai: never", "AI: false"],
)
def test_a_flag_counts_however_it_is_written(make_site: MakeSite, front: str) -> None:
    """Quoted, shortened or misspelt: what may mean "keep out" keeps out."""
    corpus = load_corpus(make_site({"content/a.md": f"---\n{front}\n---\nwombatword", "content/b.md": "hello"}))
    assert "wombatword" not in text_of(corpus)


@pytest.mark.parametrize("front", ["published: 2020-01-02", 'ai: "true"', "draft: off", "draft: 'no'", "ai:"])
def test_a_flag_that_lets_in_lets_in(make_site: MakeSite, front: str) -> None:
    """A date under `published` and a plain yes are no reason to leave a page out."""
    corpus = load_corpus(make_site({"content/a.md": f"---\n{front}\n---\nwombatword"}))
    assert "wombatword" in text_of(corpus)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.html", "---\nai: false\ntitle: T\n---\n<html><body><main><p>wombatword</p></main></body></html>"),
        ("a.html", "---\ndraft: true\n---\n<p>wombatword</p>"),
        ("a.html", '<html><head><meta name="ROBOTS" content="NoAI"></head><body><p>wombatword</p></body></html>'),
        ("a.txt", "---\nai: false\n---\nwombatword"),
        ("a.md", "---yaml\nai: false\n---\nwombatword"),
        ("a.md", "---\nai: false\n...\nwombatword"),
        ("a.md", '{"draft": true, "title": "T"}\n\nwombatword'),
        ("a.md", '+++\ndraft = "True"\n+++\nwombatword'),
        ("_drafts/a.md", "wombatword"),
        ("Drafts/2024/a.md", "wombatword"),
        ("AGENTS.mdx", "wombatword"),
        ("CLAUDE.txt", "wombatword"),
    ],
)
def test_what_is_kept_out_is_kept_out_in_every_form(make_site: MakeSite, name: str, text: str) -> None:
    """Front matter of html and txt, other fences, folders of drafts, agents' files under other endings."""
    corpus = load_corpus(make_site({f"content/{name}": text, "content/b.md": "hello"}))
    assert "wombatword" not in text_of(corpus)
    assert [skipped.path for skipped in corpus.skipped] == [f"content/{name}"]


def test_a_source_that_names_a_drafts_folder_publishes_nothing(make_site: MakeSite) -> None:
    """`_drafts/**/*.md` under sources is a slip."""
    files = {"_drafts/b.md": "wombatword", "content/a.md": "hello"}
    toml = '[site]\nname = "Ann"\n[corpus]\nsources = ["_drafts/**/*.md", "content/*.md"]\n'
    assert "wombatword" not in text_of(load_corpus(make_site({**files, "askfit.toml": toml})))


def test_front_matter_of_an_html_page_gives_its_title_and_facts(make_site: MakeSite) -> None:
    """And is no text of the page."""
    page = "---\ntitle: Harbour work\nemployer: Quay\nstart: 2021\n---\n<p>Body text.</p>"
    corpus = load_corpus(make_site({"content/a.html": page}))
    assert corpus.documents[0].title == "Harbour work"
    assert "Harbour work, Quay, since 2021." in text_of(corpus)
    assert "---" not in text_of(corpus)


@pytest.mark.parametrize("piece", ["{% ", "{{ ", ":a[", "{/* ", "[^", "<a ", "{: "])
def test_reading_stays_linear_in_what_a_file_holds(piece: str) -> None:
    """Ten times the text is no hundred times the work, counted by a clock of the process with much room."""
    small, large = (piece * count for count in (4_000, 40_000))
    times = []
    for text in (small, large):
        begun = time.process_time()
        readers_module.read_file(Path("a.mdx"), "a.mdx", text.encode())
        times.append(time.process_time() - begun)
    assert times[1] < 60 * max(times[0], 0.005)
