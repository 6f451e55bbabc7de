"""One file of any known form → a Page: title, front matter's facts, and blocks of text under headings.

Knows forms, not the site. What cannot be read is a Fault of that file; nothing here raises for bad content.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from askfit.types import Fault

MOST_CODE_LINES = 30  # of one code block: listings are not what a site says of its owner
MOST_PAGES = 200  # of a pdf

# Front matter that steers the generator or the reader. All else is a fact that a person would read, and is content.
CONTROLS = frozenset(
    """
    ai draft published title date permalink slug url layout tags categories category image images cover hero
    thumbnail redirect_from redirect_to aliases seo sitemap robots weight order menu toc comments math mermaid
    featured pinned author authors lastmod updated last_updated modified pubdate publishdate expirydate canonical
    canonical_url keywords type template css class classes id ref lang language locale excerpt_separator hidden
    search_exclude archive icon color og twitter header footer sidebar nav nav_order parent has_children breadcrumb
    post_id guid wordpress_id
    """.split()
)

_PLACES = frozenset(
    {"employer", "company", "organization", "organisation", "client", "school", "university", "institution"}
)
# Nobody says "description" before saying it.
_SPEAKS_FOR_ITSELF = frozenset(
    {"description", "summary", "abstract", "excerpt", "subtitle", "tagline", "headline", "bio", "intro", "name"}
)
_ROLES = frozenset({"role", "position", "job", "job_title", "degree"})
_BEGINNINGS = frozenset({"start", "start_date", "startdate", "begin", "from", "date_start", "started"})
_ENDS = frozenset({"end", "end_date", "enddate", "to", "until", "date_end", "ended"})


@dataclass(frozen=True, slots=True)
class Block:
    """A heading (level 1–6) with its explicit anchor if it has one, or text (level 0)."""

    level: int
    text: str
    anchor: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """What one file says."""

    title: str = ""
    date: str = ""
    address: str = ""  # permalink or url of the front matter
    slug: str = ""
    blocks: tuple[Block, ...] = ()
    faults: tuple[Fault, ...] = ()
    skip: str = ""  # why the page stays out


@dataclass(slots=True)
class Front:
    """Front matter, its controls apart from its facts."""

    controls: dict[str, Any] = field(default_factory=dict)
    facts: list[str] = field(default_factory=list)


def read_file(path: Path, name: str, data: bytes) -> Page:
    """Read one file by its ending; a form that breaks is a fault."""
    reader = _READERS[path.suffix.lower()]
    try:
        return reader(data, name)
    except Exception as error:  # parsers of other people's forms fail in many ways; a page is never worth a crash
        return _faulty(
            "file_unreadable",
            name,
            f"The file cannot be read ({type(error).__name__}).",
            "Save it anew, or leave it out.",
        )


def _faulty(code: str, name: str, message: str, next_step: str, where: str = "", severity: Any = "error") -> Page:
    return Page(faults=(Fault(code, name, message, next_step, where, severity),))


# ---------------------------------------------------------------- bytes → text


def _decode(data: bytes, name: str) -> str | Page:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return _faulty(
            "wrong_encoding",
            name,
            "The file is not UTF-8.",
            "Save it as UTF-8; it is left out until then.",
            f"line {line}",
        )


_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_UNSEEN = re.compile(
    "[\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e0fff\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
)


def _seen(text: str) -> str:
    """Without comments and characters that no reader sees; typography stays as the page has it."""
    return _UNSEEN.sub("", _COMMENT.sub(" ", text.replace("\r\n", "\n").replace("\r", "\n")))


# ---------------------------------------------------------------- markdown

_FENCE = re.compile(
    r"\A(?:(?P<yaml>---)(?:ya?ml)?|\+\+\+|---toml)[ \t]*\n(?P<table>.*?)\n?"
    r"^(?(yaml)(?:---|\.\.\.)|(?:\+\+\+|---))[ \t]*$\n?",
    re.DOTALL | re.MULTILINE,
)
_EXPLICIT_ANCHOR = re.compile(r"\s*\{#([\w:.-]+)[^}]*\}\s*$")
# None of these looks past the next beginning of its own kind: time stays linear in what a file holds.
_LIQUID = re.compile(r"\{%(?:(?!\{%|%\}).)*%\}|\{\{(?:(?!\{\{|\}\}).)*\}\}", re.DOTALL)
_MDX_LINE = re.compile(r"^(?:import\s.+|export\s+(?:const|default|let|function)\s.+)$", re.MULTILINE)
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_JSX_COMMENT = re.compile(r"\{/\*(?:(?!\{/\*|\*/\}).)*\*/\}", re.DOTALL)
_DIRECTIVE = re.compile(r":{1,3}\w{1,60}\[([^\[\]]*)\](?:\{[^{}]*\})?")  # remark's :name[text]{attributes}
_FOOTNOTE_TEXT = re.compile(r"^\[\^[^\[\]\s]{1,80}\]:[ \t]*", re.MULTILINE)  # the note's own words stay
_FOOTNOTE = re.compile(r"(?<=\S)\[\^[^\[\]\s]{1,80}\]")
_KRAMDOWN = re.compile(r"^\{:.*\}\s*$", re.MULTILINE)


def _markdown(data: bytes, name: str) -> Page:
    opened = _opened(data, name)
    if isinstance(opened, Page):
        return opened
    front, body = opened
    blocks = _markdown_blocks(body)
    title = _plain(front.controls.get("title")) or next((block.text for block in blocks if block.level == 1), "")
    return _with_front(front, title, blocks)


def _opened(data: bytes, name: str) -> Page | tuple[Front, str]:
    """A text's front matter and what stands below it; a Page at once where it cannot be read or is kept out."""
    decoded = _decode(data, name)
    if isinstance(decoded, Page):
        return decoded
    front, body, fault = _front_matter(_seen(decoded), name)
    if fault:
        return Page(faults=(fault,))
    if reason := _kept_out(front.controls):
        return Page(skip=reason)
    return front, body


def _with_front(front: Front, title: str, blocks: list[Block]) -> Page:
    """A page whose facts stand before its text."""
    controls = {key: _plain(value) for key, value in front.controls.items()}
    facts = [Block(0, "\n".join(front.facts))] if front.facts else []
    return Page(
        title,
        controls.get("date", "")[:10],
        controls.get("permalink", "") or controls.get("url", ""),
        controls.get("slug", ""),
        (*facts, *blocks),
    )


def _front_matter(text: str, name: str) -> tuple[Front, str, Fault | None]:
    match = _FENCE.match(text)
    if not match:
        return _json_front_matter(text)
    import tomllib

    import yaml

    try:
        raw = yaml.safe_load(match["table"]) if match["yaml"] else tomllib.loads(match["table"])
    except (yaml.YAMLError, tomllib.TOMLDecodeError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 2}" if mark else "front matter"
        said = str(getattr(error, "problem", None) or error).splitlines()[0]
        message = f"The front matter is not valid: {said}."
        return (
            Front(),
            "",
            Fault("front_matter_invalid", name, message, "Mend it; the page is left out until then.", where),
        )
    if not isinstance(raw, dict):
        return Front(), text, None
    return _front(raw), text[match.end() :], None


def _json_front_matter(text: str) -> tuple[Front, str, Fault | None]:
    """Hugo's third kind: an object at the very beginning, with one of the controls in it."""
    if not text.startswith("{"):
        return Front(), text, None
    try:
        raw, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return Front(), text, None
    if not isinstance(raw, dict) or not CONTROLS & {str(key).lower() for key in raw}:
        return Front(), text, None
    return _front(raw), text[end:].lstrip("\n"), None


def _front(raw: dict[Any, Any]) -> Front:
    front = Front()
    station, told = _station(raw)
    if station:
        front.facts.append(station)
    for key, value in raw.items():
        if str(key).lower() in CONTROLS:
            front.controls[str(key).lower()] = value
        elif key not in told:
            front.facts += _facts(str(key), value)
    return front


def _station(raw: dict[Any, Any]) -> tuple[str, frozenset[str]]:
    """(a job or school with its time as one sentence, the keys that it tells), as a JSON Resume's entries are told.

    "Chief of Staff, Harbor Lane, from 2021-07-01 to 2023-02-21."; nothing where a place or a beginning is missing.
    """

    def first(names: frozenset[str]) -> tuple[str, str]:
        keys = (key for key in raw if isinstance(key, str) and key.lower().replace("-", "_") in names)
        return next(((key, _plain(raw[key])) for key in keys if _plain(raw[key])), ("", ""))

    (_, place), (begin_key, begun), (end_key, ended) = first(_PLACES), first(_BEGINNINGS), first(_ENDS)
    if not (place and re.match(r"(?:19|20)\d\d", begun)):
        return "", frozenset()
    role = _plain(raw.get("title")) or first(_ROLES)[1]
    named = role if place.casefold() in role.casefold() else ", ".join(part for part in (role, place) if part)
    over = re.match(r"(?:19|20)\d\d", ended)
    time = f"from {begun[:10]} to {ended[:10]}" if over else f"since {begun[:10]}"
    return f"{named}, {time}.", frozenset({begin_key, end_key} - {""})


def _kept_out(controls: dict[str, Any]) -> str:
    """Why the front matter keeps the page out. What is neither yes nor no keeps it out too: an owner meant something.

    `published` may also hold a date: only a plain no counts there.
    """
    ai, draft, published = (_flag(controls.get(name)) for name in ("ai", "draft", "published"))
    if ai == "no":
        return "ai: false"
    if draft == "yes":
        return "draft: true"
    if published == "no":
        return "published: false"
    unclear = [name for name, flag in (("ai", ai), ("draft", draft)) if flag == "unclear"]
    return f"{unclear[0]}: {_plain(controls[unclear[0]])[:40]}, which is neither true nor false" if unclear else ""


def _flag(value: Any) -> Literal["", "yes", "no", "unclear"]:
    """What an owner's yes or no says, quoted or not; "" where nothing is said."""
    said = str(value).strip().casefold()
    if value is None or not said:
        return ""
    if said in ("false", "no", "off", "n", "0"):
        return "no"
    return "yes" if said in ("true", "yes", "on", "y", "1") else "unclear"


def _plain(value: Any) -> str:
    return "" if value is None or isinstance(value, dict | list) else str(value).strip()


def _label(key: str) -> str:
    """`start_date`, `startDate` → "Start date"."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", key).replace("_", " ").replace("-", " ").strip().lower()
    return spaced[:1].upper() + spaced[1:]


def _facts(key: str, value: Any) -> list[str]:
    """A fact of the front matter as sentences."""
    if value is None or value == "" or isinstance(value, bool):
        return []
    if isinstance(value, dict):
        inner = [line for name, item in value.items() for line in _facts(str(name), item)]
        return [f"{_label(key)}: {' '.join(inner)}"] if inner else []
    if isinstance(value, list):
        if all(not isinstance(item, dict | list) for item in value):
            joined = ", ".join(str(item) for item in value if item not in (None, ""))
            return [f"{_label(key)}: {joined}."] if joined else []
        return [line for item in value for line in _facts(key, item)]
    text = str(value).strip()
    if re.fullmatch(r"https?://\S+|/\S*|\S+\.(?:png|jpe?g|svg|webp|gif)", text):
        return []
    label = "" if key.lower() in _SPEAKS_FOR_ITSELF else f"{_label(key)}: "
    return [f"{label}{text}{'' if text[-1:] in '.!?' else '.'}"] if text else []


def _markdown_blocks(body: str) -> list[Block]:
    from markdown_it import MarkdownIt

    body = _FOOTNOTE.sub("", _FOOTNOTE_TEXT.sub("", body))
    body = _KRAMDOWN.sub("", _JSX_COMMENT.sub("", _LIQUID.sub("", _MDX_LINE.sub("", body))))
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(body)
    blocks: list[Block] = []
    row: list[str] = []
    for position, token in enumerate(tokens):
        if token.type == "inline":
            opener = tokens[position - 1]
            text = _inline(token)
            if opener.type == "heading_open":
                anchor = _EXPLICIT_ANCHOR.search(text)
                blocks.append(
                    Block(int(opener.tag[1]), _EXPLICIT_ANCHOR.sub("", text), anchor.group(1) if anchor else "")
                )
            elif opener.type in ("th_open", "td_open"):
                row.append(text)
            elif text:
                blocks.append(Block(0, text))
        elif token.type == "tr_close":
            blocks.append(Block(0, " | ".join(filter(None, row))))
            row = []
        elif token.type in ("fence", "code_block"):
            blocks.append(Block(0, "\n".join(token.content.splitlines()[:MOST_CODE_LINES]).strip()))
        elif token.type == "html_block":
            blocks += [
                Block(block.level, block.text, block.anchor) for block in _html_blocks(token.content, whole=False)
            ]
    return [block for block in blocks if block.text]


def _inline(token: Any) -> str:
    """The words of an inline token: links keep their text, pictures their alternative text if it is a sentence."""
    parts = []
    for child in token.children or ():
        if child.type in ("text", "code_inline"):
            parts.append(child.content)
        elif child.type in ("softbreak", "hardbreak"):
            parts.append(" ")
        elif child.type == "image" and child.content.count(" ") >= 3:
            parts.append(child.content)
    text = _DIRECTIVE.sub(r"\1", _TAG.sub("", "".join(parts)))
    return " ".join(
        re.sub(r"\{[^{}\n]*\}(?!\})", lambda m: m.group() if m.group().startswith("{#") else "", text).split()
    )


# ---------------------------------------------------------------- html

_NOISE = (
    "script,style,noscript,template,nav,header,footer,aside,form,button,svg,iframe,"
    "[hidden],[aria-hidden=true],.sr-only,.visually-hidden"
)
_TEXT_TAGS = frozenset({"p", "li", "td", "th", "dt", "dd", "blockquote", "pre", "figcaption", "summary"})


def _html(data: bytes, name: str) -> Page:
    opened = _opened(data, name)  # Jekyll's and Eleventy's pages have front matter too
    if isinstance(opened, Page):
        return opened
    from selectolax.lexbor import LexborHTMLParser

    front, body = opened
    tree = LexborHTMLParser(body)
    metas = (node.attributes for node in tree.css("meta"))
    robots = [(meta.get("content") or "") for meta in metas if (meta.get("name") or "").strip().lower() == "robots"]
    if any("noai" in said.lower() for said in robots):
        return Page(skip="robots: noai")
    title = tree.css_first("title")
    blocks = _html_blocks(body, whole=True)
    heading = next((block.text for block in blocks if block.level == 1), "")
    named = _plain(front.controls.get("title")) or heading or (" ".join(title.text().split()) if title else "")
    return _with_front(front, named, blocks)


def _html_blocks(html: str, *, whole: bool) -> list[Block]:
    """The blocks of a page's main part, or of a fragment."""
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(html)
    for node in tree.css(_NOISE):
        if whole or node.tag not in ("header", "footer", "aside"):
            node.decompose()
    body = (whole and (tree.css_first("main") or tree.css_first("article"))) or tree.body
    if body is None:
        return []
    return [block for block in _walk(body) if block.text]


def _walk(root: Any) -> list[Block]:
    blocks: list[Block] = []
    loose: list[str] = []

    def flush() -> None:
        text = " ".join("".join(loose).split())
        loose.clear()
        if text:
            blocks.append(Block(0, text))

    def visit(node: Any) -> None:
        for child in node.iter(include_text=True):
            tag = child.tag
            if tag == "-text":
                loose.append(child.text(deep=False) or "")
            elif tag and len(tag) == 2 and tag[0] == "h" and tag[1] in "123456":
                flush()
                blocks.append(Block(int(tag[1]), " ".join(child.text().split()), child.attributes.get("id") or ""))
            elif tag in _TEXT_TAGS and not child.css_first("p,li,h1,h2,h3,h4,h5,h6"):
                flush()
                blocks.append(Block(0, " ".join(child.text().split())))
            elif tag in (
                "a",
                "b",
                "strong",
                "em",
                "i",
                "span",
                "code",
                "small",
                "time",
                "abbr",
                "u",
                "mark",
                "sup",
                "sub",
            ):
                visit(child)
            elif tag == "br":
                loose.append(" ")
            elif tag not in ("_comment", "-comment"):
                flush()
                visit(child)
                flush()

    visit(root)
    flush()
    return blocks


def html_text(html: str) -> str:
    """The words of a page's main part, a block a line: for a posting that is read from an address."""
    return "\n".join(block.text for block in _html_blocks(_seen(html), whole=True))


# ---------------------------------------------------------------- txt, pdf, docx


def _text(data: bytes, name: str) -> Page:
    opened = _opened(data, name)
    if isinstance(opened, Page):
        return opened
    front, body = opened
    paragraphs = (paragraph.strip() for paragraph in re.split(r"\n\s*\n", body))
    title = _plain(front.controls.get("title"))
    return _with_front(front, title, [Block(0, paragraph) for paragraph in paragraphs if paragraph])


def _pdf(data: bytes, name: str) -> Page:
    import logging

    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    logging.getLogger("pypdf").setLevel(
        logging.CRITICAL
    )  # it reports each oddity of a file; the fault says what matters
    try:
        reader = PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            return _faulty(
                "pdf_encrypted", name, "The PDF asks for a password.", "Save it without one; it is left out until then."
            )
        pages = [page.extract_text() or "" for page in reader.pages[:MOST_PAGES]]
        title = (reader.metadata.title if reader.metadata else "") or ""
    except PyPdfError as error:
        return _faulty(
            "pdf_broken",
            name,
            f"The PDF cannot be read ({type(error).__name__}).",
            "Save it anew; it is left out until then.",
        )
    blocks = [Block(0, paragraph) for page in pages for paragraph in _paragraphs(_seen(page))]
    if not blocks:
        return _faulty(
            "pdf_without_text",
            name,
            "The PDF holds pictures of text only.",
            "Save it from its source, or run OCR.",
            severity="warning",
        )
    return Page(str(title).strip(), blocks=tuple(blocks))


def _paragraphs(page: str) -> list[str]:
    """A PDF breaks lines where the paper ends: lines join until one ends a sentence or the next begins a list."""
    joined: list[str] = []
    for line in (line.strip() for line in page.splitlines()):
        if not line:
            joined.append("")
        elif (
            joined
            and joined[-1]
            and joined[-1][-1] not in ".!?:"
            and not re.match(r"[•▪●*–-]\s", line)
            and len(joined[-1]) > 50
        ):
            joined[-1] += f" {line}"
        else:
            joined.append(re.sub(r"^[•▪●]\s*", "", line))
    return [line for line in joined if line]


def _docx(data: bytes, name: str) -> Page:
    import zipfile

    import mammoth

    try:
        html = mammoth.convert_to_html(io.BytesIO(data)).value
    except (zipfile.BadZipFile, KeyError):
        return _faulty(
            "docx_broken", name, "The document cannot be read.", "Save it anew as .docx; it is left out until then."
        )
    blocks = _html_blocks(_seen(html), whole=False)
    title = next((block.text for block in blocks if block.level == 1), "")
    return Page(title, blocks=tuple(blocks))


# ---------------------------------------------------------------- JSON Resume


def _json(data: bytes, name: str) -> Page:
    decoded = _decode(data, name)
    if isinstance(decoded, Page):
        return decoded
    try:
        resume = json.loads(decoded)
    except ValueError as error:
        where = f"line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        return _faulty(
            "json_invalid", name, "The file is not valid JSON.", "Mend it; it is left out until then.", where
        )
    if not isinstance(resume, dict) or not isinstance(resume.get("basics"), dict):
        return _faulty(
            "json_not_resume",
            name,
            "Of JSON files only JSON Resume is read.",
            "Leave it out with [corpus] exclude.",
            severity="warning",
        )
    basics = resume["basics"]
    blocks = [Block(0, line) for line in _basics(basics)]
    for key, noun in RESUME_PARTS.items():
        entries = [entry for entry in resume.get(key) or () if isinstance(entry, dict)]
        if entries:
            blocks.append(Block(2, noun))
        for entry in entries:
            blocks += _entry(key, entry)
    return Page(f"Résumé of {basics['name']}" if basics.get("name") else "Résumé", blocks=tuple(blocks))


RESUME_PARTS = {
    "work": "Work", "volunteer": "Volunteering", "education": "Education", "awards": "Awards",
    "certificates": "Certificates",
    "publications": "Publications", "skills": "Skills", "languages": "Languages", "interests": "Interests",
    "references": "References", "projects": "Projects",
}  # fmt: skip


def _basics(basics: dict[str, Any]) -> list[str]:
    place = basics.get("location")
    place = place if isinstance(place, dict) else {}
    where = ", ".join(str(place[key]) for key in ("city", "region", "countryCode") if place.get(key))
    named = " — ".join(str(basics[key]) for key in ("name", "label") if basics.get(key))
    return [
        line
        for line in (
            f"{named}." if named else "",
            str(basics.get("summary") or ""),
            f"Location: {where}." if where else "",
        )
        if line
    ]


def _entry(key: str, entry: dict[str, Any]) -> list[Block]:
    """One job, school, project … as a heading and sentences."""
    role = entry.get("position") or entry.get("studyType") or entry.get("title") or ""
    place = entry.get("name") or entry.get("organization") or entry.get("institution") or entry.get("language") or ""
    area = entry.get("area")
    role = f"{role} in {area}" if role and area else role or area or ""
    heading = ", ".join(str(part) for part in (role, place) if part)
    begun, ended = entry.get("startDate") or entry.get("date") or entry.get("releaseDate"), entry.get("endDate")
    lines = []
    if heading and begun:
        span = f"from {begun} to {ended}" if ended else (f"since {begun}" if key == "work" else f"{begun}")
        lines.append(f"{heading}, {span}.")
    elif heading:
        lines.append(f"{heading}.")
    told = ("level", "fluency", "issuer", "awarder", "publisher", "score", "location")
    lines += [f"{_label(name)}: {entry[name]}." for name in told if isinstance(entry.get(name), str | int | float)]
    prose = ("summary", "description", "reference")
    lines += [entry[name].strip() for name in prose if isinstance(entry.get(name), str)]
    for name in ("highlights", "courses", "keywords", "roles"):
        items = [str(item) for item in entry.get(name) or () if isinstance(item, str)]
        if name == "highlights":
            lines += items
        elif items:
            lines.append(f"{_label(name)}: {', '.join(items)}.")
    return [Block(3, heading or _label(key)), *(Block(0, line) for line in lines if line)]


_READERS: dict[str, Callable[[bytes, str], Page]] = {
    ".md": _markdown,
    ".markdown": _markdown,
    ".mdx": _markdown,
    ".html": _html,
    ".htm": _html,
    ".txt": _text,
    ".pdf": _pdf,
    ".docx": _docx,
    ".json": _json,
}
