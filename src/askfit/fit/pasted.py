"""What a reader of a pasted posting sees, line by line: no markup, nothing hidden, lost line ends put back.

Knows nothing of headings' meaning, of requirements or of skills.
"""

from __future__ import annotations

import html
import re

from askfit import text
from askfit.errors import InputError
from askfit.fit.wording import pattern

MOST_POSTING_CHARS = 60_000  # of clean text: about 17,000 tokens, ten times a long posting
MOST_PASTED_CHARS = 500_000  # with the markup around it
MOST_TAGS = 20_000  # deep nesting costs a parser the square of its depth
RUN_TOGETHER_CHARS = 160  # a row past this may be a list whose line ends were lost


def clean_posting(pasted: str) -> str:
    """The text that a reader of the posting sees: no markup, nothing hidden, one item a line."""
    if len(pasted) > MOST_PASTED_CHARS or pasted.count("<") > MOST_TAGS:
        raise _too_long()
    if "\x00" in pasted or pasted.count("\ufffd") > max(8, len(pasted) // 50):
        raise InputError("posting_binary", "The posting is not text.", "Paste the posting's words, not a file.")
    one_end = re.sub(r"\r[^\S\r\n]+\n", "\n", pasted)  # a blank within a Windows line end makes no row of its own
    shown = text.clean(_without_markup(one_end))
    shown = "\n".join(line.rstrip() for line in shown.replace("\t", "    ").split("\n"))
    shown = re.sub(r"(?<=\S)[^\S\n]{2,}", " ", shown)  # a gap between words says nothing; an indent may
    shown = re.sub(r"\n{3,}", "\n\n", shown).strip("\n")
    if not re.search(r"\w", shown):
        raise InputError("posting_empty", "There is no posting text.", "Paste the job description.")
    if len(shown) > MOST_POSTING_CHARS:
        raise _too_long()
    return "\n".join(_apart(row) for row in shown.split("\n"))


def _too_long() -> InputError:
    return InputError(
        "posting_too_long",
        f"The posting is longer than {MOST_POSTING_CHARS:,} characters.",
        "Paste the job description alone.",
        status=413,
    )


# ---------------------------------------------------------------- markup

_HTML = re.compile(
    r"<(?:html|body|div|p|ul|ol|li|br|h[1-6]|span|table|td|section|article|style|script|strong|b|o:p)\b[^>]*>",
    re.IGNORECASE,
)
_ENTITY = re.compile(r"&(?:[a-z]{2,8}|#\d{2,5}|#x[0-9a-f]{2,4});", re.IGNORECASE)
_UNSEEN_CSS = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d]*[1-9])|opacity\s*:\s*0(?![.\d]*[1-9])|"
    r"mso-hide\s*:\s*all|"
    r"color\s*:\s*(?:white|transparent|#fff(?:fff)?)\b|text-indent\s*:\s*-\d{3,}|(?:left|top)\s*:\s*-\d{3,}",
    re.IGNORECASE,
)
_UNSEEN_TAGS = ("script", "style", "noscript", "template", "head", "svg", "iframe", "object", "nav", "footer", "form")


def _without_markup(pasted: str) -> str:
    """Lines of words; markup that was pasted in escaped form is markup too."""
    if _HTML.search(pasted):
        return _html_text(pasted)
    if not _ENTITY.search(pasted):
        return pasted
    unescaped = html.unescape(pasted)
    if unescaped.count("<") > MOST_TAGS:
        raise _too_long()
    return _html_text(unescaped) if _HTML.search(unescaped) else unescaped


def _html_text(markup: str) -> str:
    """Markup as lines: items begin with a dash, headings with #; what a browser would not show is dropped."""
    from selectolax.lexbor import LexborHTMLParser

    paragraphs = sum(1 for tag in _BLOCK.finditer(markup) if tag["close"])
    wrapped = paragraphs >= 3 and sum(1 for _ in _SOURCE_BREAK.finditer(markup)) <= MOST_WRAPS * paragraphs
    flat = _with_mentions_as_words(_SOURCE_BREAK.sub(" ", markup) if wrapped else markup)
    tree = LexborHTMLParser(_BLOCK.sub(_on_lines, _BOLD_ALONE.sub(r"\g<before>**\g<words>**", flat)))
    for node in tree.css(", ".join((*_UNSEEN_TAGS, "[hidden]", "[aria-hidden=true]"))):
        node.decompose()
    for node in tree.css("[style]"):
        if _UNSEEN_CSS.search(node.attributes.get("style") or ""):
            node.decompose()
    body = tree.body
    shown = re.sub(r"[^\S\n]*\n[^\S\n]*", "\n", body.text()) if body else ""
    return re.sub(r"(?m)^(-|#{1,6}) ?\n+(?=[^\s#-])", r"\1 ", shown)  # the mark of an item whose words are a paragraph


_UNSEEN = re.compile(rf"<(?P<close>/?)(?P<tag>{'|'.join(_UNSEEN_TAGS)})\b[^<>]*>", re.IGNORECASE)


def _with_mentions_as_words(markup: str) -> str:
    """The markup, its unseen elements that never close as words: "know <nav> and <form>" hides nothing after it."""
    closed_at = {tag["tag"].lower(): tag.start() for tag in _UNSEEN.finditer(markup) if tag["close"]}  # the last one

    def said(tag: re.Match[str]) -> str:
        closes = tag["close"] or tag.start() < closed_at.get(tag["tag"].lower(), -1)
        return tag[0] if closes else f"&lt;{tag[0][1:]}"

    return _UNSEEN.sub(said, markup)


# A line end inside a paragraph's source is a blank to the reader; plain lines with a tag here and there keep theirs.
MOST_WRAPS = 8  # line ends for each paragraph that closes
_SOURCE_BREAK = re.compile(r"(?<=[^\s>])[^\S\n]*\n\s*(?=[^\s<])")
_BOLD_ALONE = re.compile(  # a bold line of its own is a heading to the eye
    r"(?P<before><(?:p|div|br|td|/ul|/ol|/p|/div)\b[^<>]*>\s*(?:<(?:span|u|font)\b[^<>]*>\s*){0,2})"
    r"<(?P<tag>b|strong)\b[^<>]*>(?P<words>[^<>]{2,80})</(?P=tag)>"
    r"(?=\s*:?\s*(?:</(?:span|u|font)>\s*){0,2}(?:<(?:br|/p|/div|/td|ul|ol|p|div)\b|\Z))",
    re.IGNORECASE,
)
_BLOCK = re.compile(
    r"<(?P<close>/?)(?P<tag>p|div|ul|ol|li|tr|td|th|section|article|br|h[1-6]|dd|dt|blockquote|main|table)\b[^<>]*>",
    re.IGNORECASE,
)


def _on_lines(tag: re.Match[str]) -> str:
    """A block begins and ends on a line of its own; items and headings get the mark that plain text has."""
    name = tag["tag"].lower()
    mark = "- " if name == "li" else f"{'#' * int(name[1])} " if name[0] == "h" else ""
    return f"\n{tag[0]}{'' if tag['close'] else mark}"


# ---------------------------------------------------------------- lost line ends

_INLINE_BULLET = re.compile(r"\s*(?=[•▪●◦‣➢►✓✔\uf0b7]\s*\w)|\s+(?=·\s)")
_GLUED_STOP = re.compile(r"(?<=[a-zà-ÿ]{3}[.!?;])(?=[A-ZÀ-Þ][a-zà-ÿ]+[ ,-])")  # "in the field.Experience with"


def _apart(row: str) -> str:
    """A row in which a list ran together, as the rows that it was; any other as it is. Only line ends are put in."""
    if sum(1 for _ in _INLINE_BULLET.finditer(row)) >= 2:
        row = _INLINE_BULLET.sub("\n", row).lstrip("\n")
    for _ in range(2):  # before a heading, then after it
        row = "\n".join(pattern("glued", "heading").sub("\n", part) for part in row.split("\n"))
    row = pattern("glued", "item").sub("\n", _GLUED_STOP.sub("\n", row))
    parts = [_at_spaces(part) for part in row.split("\n")]
    apart = "\n".join(part for part in parts if part.strip()) or row
    head, colon, rest = apart.partition(":")
    heads = "\n" in rest and pattern("lines", "heading").fullmatch(head.strip(" *_"))
    return f"{head}{colon}\n{rest.lstrip(' ')}" if heads else apart


def _at_spaces(row: str) -> str:
    """A long row without stops between its items: "SQL skills Experience with Kafka Strong writing"."""
    if len(row) < RUN_TOGETHER_CHARS:
        return row
    said = pattern("glued", "spaced")
    return said.sub("\n", row) if sum(1 for _ in said.finditer(row)) >= 2 else row
