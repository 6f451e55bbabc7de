"""The pages, rendered on the server: whole without JavaScript, the widget's frame with it. Knows forms, not routes."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel

from askfit.ask.abstain import DROPPED
from askfit.ask.reasons import is_off_limits
from askfit.config import Settings, Work
from askfit.declared import form_of
from askfit.errors import AskfitError
from askfit.fit.nearmiss import NearMisses
from askfit.fit.rules import VERDICT_WORDS
from askfit.site import Site
from askfit.types import Answer, Assessment, CitationOut, Fault, Filled, Kind
from askfit.web import bars, report

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

# What a feature takes and gives, in /llms.txt.
DOES = {
    "chat": "POST {{question}}: an answer from the pages below",
    "choices": "POST {{question}}, one of {choices}: an answer from the pages below",
    "assessment": "POST {{posting}}: how it fits",
    "form": "POST {{posting}}: the form filled for it, each row and quote checked",
}
MOST_HISTORY = 6  # turns carried in a form's hidden field
MOST_SUGGESTIONS = 4
_MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
VERDICTS = {
    "strong": "Strong fit",
    "moderate": "Moderate fit",
    "stretch": "A stretch",
    "misfit": "Misfit",
    "insufficient_information": "Too little to judge",
}


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("askfit.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["safe_url"] = safe_url
    environment.filters["place"] = place
    environment.filters["linked"] = linked
    environment.filters["headline"] = headline
    environment.filters["contested"] = contested
    return environment


def _render(template: str, settings: Settings, **values: Any) -> str:
    shared = {"site": settings.site, "features": settings.features, "verdicts": VERDICTS, "standalone": False}
    return _environment().get_template(template).render(**(shared | values))


def safe_url(url: str) -> str:
    """The address if it is http(s) or mail, else nothing."""
    return url if urlsplit(url).scheme in ("http", "https", "mailto") else ""


def linked(text: str) -> Markup:
    """A text with its mail addresses as links: on a telephone that is how one writes."""
    from markupsafe import Markup, escape

    return Markup(_MAIL.sub(r'<a href="mailto:\g<0>">\g<0></a>', str(escape(text))))  # noqa: S704 - escaped, then linked


def place(citation: Any) -> str:
    """Where a citation stands, for people: host, path and section; of a page without an address its title."""
    parts = urlsplit(citation.url.partition(":~:")[0])
    page = unquote(f"{parts.netloc}{parts.path}").rstrip("/") or str(citation.title or citation.document)
    return f"{page} › {unquote(parts.fragment).replace('-', ' ')}" if parts.fragment else page


def headline(result: Assessment) -> str:
    """The headline without the verdict, which stands above it."""
    rest = result.headline
    for said in (VERDICTS[result.verdict], VERDICT_WORDS[result.verdict]):  # a page's words and the rules' own
        rest = rest.removeprefix(f"{said}: ")
    return rest if rest == result.headline else rest[:1].upper() + rest[1:]


def contested(result: Assessment) -> list[str]:
    """Where judge and rows disagree, in the posting's words: a requirement's id says nothing to a visitor."""
    asked = {each.id: each.text for each in result.requirements}
    return [
        f"“{asked[each.requirement]}”: the model says {each.model_band}, the rows say {each.rows_band}"
        for each in result.disagreements
    ]


def weights(result: Assessment) -> list[tuple[str, float]]:
    """How much of the posting's emphasis falls on each band, strongest first."""
    shares = dict.fromkeys(("strong", "moderate", "gap"), 0.0)
    for requirement in result.requirements:
        shares[requirement.band] += requirement.emphasis
    return list(shares.items())


def sources(result: Answer | None) -> list[CitationOut]:
    """The cited sections, once each, in the order in which they are first cited: their numbers on the page."""
    found: dict[str, CitationOut] = {}
    for sentence in result.sentences if result else ():
        for citation in sentence.citations:
            found.setdefault(citation.section, citation)
    return list(found.values())


def index_page(settings: Settings) -> str:
    """What this site offers."""
    return _render("index.html", settings, missing=False)


def ask_page(
    settings: Settings,
    name: str,
    *,
    site: Site,
    body: Any = None,
    result: Answer | None = None,
    error: AskfitError | None = None,
    given: dict[str, Any] | None = None,
) -> str:
    """The chat, with the conversation so far where a form was posted."""
    turns = [turn.model_dump() for turn in body.history] if body else []
    if result:
        turns.append({"question": body.question, "answer": result.answer})
    kept = turns[:-1] if result and result.abstain_reason in DROPPED else turns
    cited = sources(result)
    return _render(
        "ask.html",
        settings,
        name=name,
        feature=settings.features[name],
        earlier=turns[:-1] if result else turns,
        question=body.question if body and not error else (given or {}).get("question", ""),
        result=result,
        sources=cited,
        numbers={citation.section: number for number, citation in enumerate(cited, 1)},
        error=error,
        history=json.dumps(kept[-MOST_HISTORY:], ensure_ascii=False),
        own=settings.features[name].work == "choices",
        other="" if settings.features[name].choices else settings.path_of("assessment"),
        handed=_told(result, "looks_like_posting"),
        conversation=(result.conversation if result else None) or "",
        suggestions=[] if settings.features[name].choices else suggestions(site, settings.features[name].off_limits),
    )


def _told(result: Answer | Assessment | None, code: str) -> bool:
    return result is not None and any(notice.code == code for notice in result.notices)


def suggestions(site: Site, off_limits: Sequence[str] = ()) -> list[str]:
    """Questions that the corpus answers: its own headings that end in a question mark, shortest first."""
    asked = [
        heading for heading in site.corpus.questions if len(heading) <= 70 and not is_off_limits(heading, off_limits)
    ]
    return sorted(asked, key=lambda heading: (len(heading), heading))[:MOST_SUGGESTIONS]


def fit_page(
    settings: Settings,
    name: str,
    *,
    site: Site,
    body: Any = None,
    result: Assessment | None = None,
    error: AskfitError | None = None,
    given: dict[str, Any] | None = None,
) -> str:
    """The form for a posting, with its assessment where one was posted."""
    posting = (body.posting if body else None) or (given or {}).get("posting", "")
    return _render(
        "fit.html",
        settings,
        name=name,
        feature=settings.features[name],
        posting=posting,
        other=settings.path_of("chat"),
        handed=_told(result, "looks_like_question"),
        result=result,
        weights=weights(result) if result else [],
        error=error,
    )


def form_page(
    settings: Settings,
    name: str,
    *,
    site: Site,
    body: Any = None,
    result: Filled | None = None,
    error: AskfitError | None = None,
    given: dict[str, Any] | None = None,
) -> str:
    """The input for a feature with a form of its own, and that form filled where a text was posted."""
    posting = (body.posting if body else None) or (given or {}).get("posting", "")
    feature = settings.features[name]
    shown = {"posting": posting, "result": result, "error": error}
    return _render("form.html", settings, name=name, feature=feature, own=True, **shown)


def assessment_page(
    settings: Settings, result: Assessment, *, judged: datetime | None = None, near: NearMisses | None = None
) -> str:
    """One assessment as a file to keep: nothing is loaded from anywhere. `near`: also what only the owner sees."""
    style = _static("askfit.css") + _template("page.css") + _template("report.css")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return _report(settings, result, judged or datetime.now(UTC), near, standalone=True, style=style,
                   style_hash=f"sha256-{digest}")  # fmt: skip


def ranking_page(
    settings: Settings, ranked: Sequence[tuple[str, str, Assessment]], faults: Sequence[Fault] = ()
) -> str:
    """A folder's postings as one file to keep, (file, title, assessment) each: the ranking, each assessment below."""
    style = _static("askfit.css") + _template("page.css")
    rows = [(file, title, result, weights(result)) for file, title, result in ranked]
    return _render("ranking.html", settings, ranked=rows, faults=faults, standalone=True, style=style)


def spending_page(settings: Settings, headline: str, days: bars.Days, **shown: Any) -> str:
    """What was spent as one file to keep: `told` and `caveats` in words, `listings` and `others` as tables."""
    style = _static("askfit.css") + _template("page.css")
    picture = bars.bars(days, id="days")
    drawn = bars.features_of(days)
    return _render("spending.html", settings, headline=headline, picture=picture, drawn=drawn, style=style, **shown)


def report_page(settings: Settings, name: str, result: Assessment, judged: datetime, *, link: str = "") -> str:
    """The report of an assessment on this site; `link`: the day until which it can be read at its own address."""
    feature = settings.features[name]
    return _report(settings, result, judged, name=name, link=link, action="" if link else feature.path,
                   sealed="" if link else result.model_dump_json(), share_days=feature.share_days)  # fmt: skip


def _report(
    settings: Settings, result: Assessment, judged: datetime, near: NearMisses | None = None, **values: Any
) -> str:
    shown = report.view(result, judged)
    owner = report.owners(near, shown.numbers) if near else None
    blank = {"link": "", "action": "", "sealed": "", "share_days": 0}
    return _render("report.html", settings, **(blank | values), result=result, view=shown, owner=owner)


def gone_page(settings: Settings, name: str) -> str:
    """Where a link has ended, or never led anywhere."""
    return _render("gone.html", settings, name=name, feature=settings.features[name])


def missing_page(settings: Settings) -> str:
    """Where a visitor's address leads nowhere: what there is instead."""
    return _render("index.html", settings, missing=True)


def _static(name: str) -> str:
    return files("askfit.web").joinpath("static", name).read_text(encoding="utf-8")


def _template(name: str) -> str:
    return files("askfit.web").joinpath("templates", name).read_text(encoding="utf-8")


class FeatureOut(BaseModel):
    """One feature, as a page that embeds it needs to know it."""

    name: str
    kind: Kind
    work: Work
    path: str
    title: str
    intro: str
    label: str
    act: str
    choices: tuple[str, ...]
    output: dict[str, Any] | None  # the form that it fills, as JSON Schema


class Features(BaseModel):
    """What GET /features.json answers."""

    features: tuple[FeatureOut, ...]


def features_of(settings: Settings) -> Features:
    """Every feature that is on."""
    return Features(
        features=tuple(
            FeatureOut(
                name=name,
                kind=feature.kind,
                work=feature.work,
                path=feature.path,
                title=feature.title,
                intro=feature.intro,
                label=feature.label,
                act=feature.act,
                choices=tuple(feature.choices),
                output=dict(form_of(settings, name).schema) if feature.output else None,
            )
            for name, feature in settings.features.items()
        )
    )


def llms_txt(settings: Settings, site: Site) -> str:
    """The site for agents, in the llms.txt form: who it is about, what it offers, its pages."""
    about = settings.site
    lines = [
        f"# {_line(about.name)}",
        "",
        f"> The personal site of {_line(about.name)}. Ask it, or match a job posting.",
        "",
    ]
    lines += ["## Features", ""]
    for name, feature in settings.features.items():
        does = DOES[feature.work].format(choices=", ".join(feature.choices))
        titled = f"{_line(feature.title)}. " if feature.title else ""
        lines.append(f"- [{name}]({feature.path}): {titled}{does} (JSON, or text/event-stream)")
    lines += ["- [API](/openapi.json)", "", "## Pages", ""]
    lines += [f"- [{_line(document.title)}]({document.url})" for document in site.corpus.documents if document.url]
    return "\n".join(lines) + "\n"


def _line(text: str) -> str:
    return re.sub(r"[\[\]\s]+", " ", text).strip()
