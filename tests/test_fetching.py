"""A posting by its address: what is refused before a byte is sent, what is bounded, and what of a page is the posting.

The servers are real ones on loopback. That they may be reached is told to the fetcher by the test, never by a setting.
"""

from __future__ import annotations

import asyncio
import gzip
import ipaddress
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from askfit.config import Settings
from askfit.errors import InputError, SettingsError
from askfit.fetching import MOST_REDIRECTS, Address, Fetched, Fetcher, FetchError, is_own_network, is_public
from askfit.fit.page import address_in, fetch_posting, posting_of
from askfit.web.app import create_app

MakeSite = Callable[..., Settings]
Handler = Callable[[str, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Server:
    """A web server on loopback that answers what the test says, and keeps what it was asked."""

    port: int = 0
    asked: list[str] = field(default_factory=list)

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{path}"


@asynccontextmanager
async def serving(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    server = Server()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            server.asked.append(head)
            await handler(head.split(" ", 2)[1], writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    running = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    server.port = running.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        running.close()


def answer(body: bytes | str, *head: str, status: str = "200 OK") -> bytes:
    data = body.encode() if isinstance(body, str) else body
    if not any(line.lower().startswith("content-type") for line in head):
        head = (*head, "Content-Type: text/html; charset=utf-8")
    lines = [f"HTTP/1.1 {status}", *head, f"Content-Length: {len(data)}", "", ""]
    return "\r\n".join(lines).encode() + data


def always(reply: bytes) -> Handler:
    async def handler(path: str, writer: asyncio.StreamWriter) -> None:
        writer.write(reply)

    return handler


def redirects(targets: dict[str, str], end: bytes) -> Handler:
    async def handler(path: str, writer: asyncio.StreamWriter) -> None:
        target = targets.get(path)
        writer.write(answer("", f"Location: {target}", status="302 Found") if target else end)

    return handler


HERE = Fetcher(own_network=True)


async def refused(url: str, fetcher: Fetcher) -> FetchError:
    with pytest.raises(FetchError) as caught:
        await fetcher.fetch(url)
    assert caught.value.message.count(". ") == 0, "one sentence"
    return caught.value


# ---------------------------------------------------------------- where it may go


@pytest.mark.parametrize(
    "address",
    """127.0.0.1 127.8.8.8 0.0.0.0 10.1.2.3 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 100.100.100.200 224.0.0.1
    224.0.1.1 240.0.0.1 255.255.255.255 192.0.0.192 192.0.2.1 198.18.0.1 203.0.113.5 192.88.99.1 168.63.129.16 :: ::1
    ::ffff:127.0.0.1 ::ffff:8.8.8.8 ::127.0.0.1 64:ff9b::7f00:1 64:ff9b::808:808 64:ff9b:1::1 2002:7f00:1:: 2001::1
    2001:db8::1 3fff::1 fc00::1 fd00:ec2::254 fe80::1 fec0::1 ff02::1 ff0e::1 5f00::1 100::1""".split(),
)
async def test_what_is_no_public_site_is_refused_however_it_is_written(address: str) -> None:
    """Private, loopback, link-local, shared, special, multicast, and every address that wraps another."""
    assert not is_public(ipaddress.ip_address(address))
    host = f"[{address}]" if ":" in address else address
    assert (await refused(f"http://{host}/job", Fetcher())).code == "url_not_public"


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "192.0.1.1", "2606:4700:4700::1111", "2a00:1450::1"])
def test_public_addresses_are_sites(address: str) -> None:
    """The check that refuses also lets through."""
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://localhost/", "url_not_public"),
        ("http://localhost./", "url_not_public"),
        ("http://a.localhost/", "url_not_public"),
        ("http://intranet/", "url_not_public"),
        ("http://metadata.google.internal/", "url_not_public"),
        ("http://printer.local/", "url_not_public"),
        ("http://2130706433/", "url_not_public"),
        ("http://0x7f.1/", "url_not_public"),
        ("http://017700000001/", "url_not_public"),
        ("http://127.1/", "url_not_public"),
        ("https://jobs.example.com:8443/", "url_not_public"),
        ("http://jobs.example.com:22/", "url_not_public"),
        ("http://ann:secret@jobs.example.com/", "url_invalid"),
        ("http://jobs.example.com\\@127.0.0.1/", "url_invalid"),
        ("file:///etc/passwd", "url_invalid"),
        ("ftp://jobs.example.com/", "url_invalid"),
        ("gopher://jobs.example.com/", "url_invalid"),
        ("//jobs.example.com/", "url_invalid"),
        ("http:///job", "url_invalid"),
        ("http://[::1/", "url_invalid"),
        ("http://jobs.exa\tmple.com/", "url_invalid"),
        ("http://①②⑦.⓪.⓪.①/", "url_invalid"),
        ("", "url_invalid"),
        (f"https://jobs.example.com/{'a' * 2_100}", "url_invalid"),
    ],
)
async def test_an_address_that_is_no_public_page_is_refused_in_one_sentence(url: str, code: str) -> None:
    """Local names, numbers in disguise, other ports, user names, other schemes: nothing is connected to."""
    assert (await refused(url, Fetcher())).code == code


async def test_a_name_with_one_private_address_is_refused_and_tells_nothing_of_it() -> None:
    """All that a name leads to must be public; what is hidden and what does not exist are told alike."""

    async def mixed(host: str, port: int) -> Sequence[str]:
        return ["93.184.216.34", "10.0.0.7"]

    async def unknown(host: str, port: int) -> Sequence[str]:
        raise OSError("no such name")

    told = [(await refused("https://jobs.example.com/", Fetcher(resolve=one))).message for one in (mixed, unknown)]
    assert told[0] == told[1]
    assert "10.0.0.7" not in told[0]


async def test_a_name_is_resolved_once_and_the_connection_goes_where_the_check_looked() -> None:
    """A resolver that says something else the second time is not asked a second time; Host stays the name."""
    answers = [["127.0.0.1"], ["10.0.0.7"]]

    async def rebinding(host: str, port: int) -> Sequence[str]:
        assert host == "jobs.example.com"
        return answers.pop(0)

    async with serving(always(answer("<p>Hi</p>"))) as server:
        fetcher = Fetcher(own_network=True, resolve=rebinding)
        fetched = await fetcher.fetch(f"http://jobs.example.com:{server.port}/job?id=1#top")
    assert fetched.url == f"http://jobs.example.com:{server.port}/job?id=1"
    assert len(answers) == 1
    assert f"host: jobs.example.com:{server.port}" in server.asked[0].lower()


async def test_an_address_that_takes_no_connection_gives_way_to_the_names_next_one(free_port: int) -> None:
    """A site is reached though the first of its addresses is dead."""

    async def two(host: str, port: int) -> Sequence[str]:
        return ["::1", "127.0.0.1"]

    async with serving(always(answer("<p>Hi</p>"))) as server:
        assert (await Fetcher(own_network=True, resolve=two).fetch(f"http://a.example.com:{server.port}/")).data
    await refused(f"http://a.example.com:{free_port}/", Fetcher(own_network=True, resolve=two))


async def test_the_owners_own_network_is_theirs_to_name_but_no_clouds_secrets() -> None:
    """At their own terminal an owner reads loopback and private pages; link-local and unspecified stay refused."""
    own = ("127.0.0.1", "::1", "10.0.0.1", "192.168.1.1", "fd00::1", "::ffff:127.0.0.1")
    never = ("169.254.169.254", "0.0.0.0", "::", "fe80::1", "224.0.0.1", "::ffff:169.254.169.254", "ff02::1")
    assert all(is_own_network(ipaddress.ip_address(one)) for one in own)
    assert not any(is_own_network(ipaddress.ip_address(one)) for one in never)
    assert (await refused("http://169.254.169.254/latest/meta-data", HERE)).code == "url_not_public"


# ---------------------------------------------------------------- redirects


async def test_redirects_are_followed_three_times_and_no_further() -> None:
    """Relative ones too; the page's address is the last one."""
    steps = {f"/{step}": f"{step + 1}" for step in range(9)}
    async with serving(redirects(steps, answer("<p>Here</p>"))) as server:
        fetched = await HERE.fetch(server.url(f"/{9 - MOST_REDIRECTS}"))
        assert fetched.url == server.url("/9")
        error = await refused(server.url(f"/{8 - MOST_REDIRECTS}"), HERE)
    assert error.code == "posting_unreachable"
    assert str(MOST_REDIRECTS) in error.message


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("http://169.254.169.254/", "url_not_public"),
        ("http://[::ffff:169.254.169.254]/", "url_not_public"),
        ("file:///etc/passwd", "url_invalid"),
        ("http://a:b@127.0.0.1/", "url_invalid"),
        ("//0.0.0.0/", "url_not_public"),
    ],
)
async def test_each_redirect_is_checked_like_the_first_address(target: str, code: str) -> None:
    """A page cannot send the server where a visitor could not."""
    async with serving(redirects({"/": target}, b"")) as server:
        assert (await refused(server.url(), HERE)).code == code


async def test_a_public_page_does_not_lead_into_the_owners_network() -> None:
    """What the owner may type, a page of the web may not say: no private address, no local name, no other port."""

    def web(address: Address) -> bool:
        return str(address) == "127.0.0.1"  # stands for the public web here

    fetcher = Fetcher(own_network=True, public=web)
    async with serving(always(answer("<p>Mine</p>"))) as inside:
        for target in (f"http://[::1]:{inside.port}/", "http://10.0.0.1/", "http://localhost/", inside.url()):
            async with serving(redirects({"/": target}, b"")) as server:
                assert (await refused(server.url(), fetcher)).code == "url_not_public"
        assert not inside.asked


# ---------------------------------------------------------------- what comes


async def test_nothing_of_ours_goes_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """No cookie that the page set before the redirect, no log-in of the environment, no proxy; it is said who asks."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")

    async def handler(path: str, writer: asyncio.StreamWriter) -> None:
        cookie = "Set-Cookie: session=1; Path=/"
        writer.write(answer("", cookie, "Location: /end", status="302 Found") if path == "/" else answer("<p>Hi</p>"))

    async with serving(handler) as server:
        await HERE.fetch(server.url())
    heads = [head.lower() for head in server.asked]
    assert len(heads) == 2
    assert not any(f"\r\n{name}:" in head for head in heads for name in ("cookie", "authorization", "referer"))
    assert all("user-agent: askfit" in head for head in heads)


async def drip(path: str, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n")
    for _ in range(200):
        writer.write(b"<p>a</p>")
        await writer.drain()
        await asyncio.sleep(0.02)


async def silence(path: str, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(5)


@pytest.mark.parametrize("slow", [drip, silence])
async def test_a_page_that_comes_slowly_is_given_up_in_time(slow: Handler) -> None:
    """The limit is for all of it: a drop now and then does not stretch it."""
    async with serving(slow) as server:
        began = asyncio.get_running_loop().time()
        error = await refused(server.url(), Fetcher(own_network=True, total_s=0.3))
        assert asyncio.get_running_loop().time() - began < 1.5
    assert error.code == "posting_unreachable"


async def test_a_large_page_is_left_when_its_bound_is_reached() -> None:
    """Whether its length is told or not: what is past the bound is not read."""

    async def endless(path: str, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"a" * 65_536)
            await writer.drain()

    async with serving(endless) as server:
        error = await refused(server.url(), Fetcher(own_network=True, most_bytes=300_000))
    assert (error.code, error.status) == ("posting_too_long", 413)


async def test_a_page_that_swells_when_unpacked_is_bounded_by_what_it_becomes() -> None:
    """A hundred megabytes in a hundred kilobytes are never unpacked; an honest packed page is read."""
    bomb = gzip.compress(b"\0" * 100_000_000)
    async with serving(always(answer(bomb, "Content-Encoding: gzip"))) as server:
        assert (await refused(server.url(), HERE)).code == "posting_too_long"
    async with serving(always(answer(gzip.compress(b"<p>Hi</p>"), "Content-Encoding: gzip"))) as server:
        assert (await HERE.fetch(server.url())).data == b"<p>Hi</p>"


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (answer("no", status="404 Not Found"), "posting_unreachable"),
        (answer("no", status="403 Forbidden"), "posting_unreachable"),
        (answer("", status="302 Found"), "posting_unreachable"),
        (answer("x", "Content-Type: image/png"), "url_unsuitable"),
        (answer("x", "Content-Type: application/pdf"), "url_unsuitable"),
        (answer("x", "Content-Encoding: br"), "url_unsuitable"),
        (answer("no gzip", "Content-Encoding: gzip"), "posting_unreachable"),
        (answer(gzip.compress(b"<p>Hi</p>" * 99)[:-12], "Content-Encoding: gzip"), "posting_unreachable"),
        (answer("<p>Hi</p>").replace(b"Content-Length: 9", b"Content-Length: 99"), "posting_unreachable"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "posting_unreachable"),
        (b"", "posting_unreachable"),
    ],
)
async def test_an_answer_that_is_no_page_is_told_in_one_sentence(reply: bytes, code: str) -> None:
    """Errors, pictures, other packings, broken and cut answers, another protocol: one sentence each, no traceback."""
    async with serving(always(reply)) as server:
        assert (await refused(server.url(), HERE)).code == code


def certificates(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """(a server's context for a name, a client's that trusts it)."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    file = folder / "server.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        + made.public_bytes(serialization.Encoding.PEM)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return server, ssl.create_default_context(cadata=made.public_bytes(serialization.Encoding.PEM).decode())


async def test_a_site_proves_its_name_though_it_is_reached_by_its_address(tmp_path: Path) -> None:
    """TLS asks for and checks the name: the right site is read, one with another's certificate is not."""
    there, trusting = certificates(tmp_path, "jobs.example.com")

    async def here(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    fetcher = Fetcher(own_network=True, resolve=here, tls=trusting)
    async with serving(always(answer("<p>Hi</p>")), there) as server:
        assert (await fetcher.fetch(f"https://jobs.example.com:{server.port}/")).data == b"<p>Hi</p>"
        error = await refused(f"https://other.example.com:{server.port}/", fetcher)
    assert "certificate" in error.message


# ---------------------------------------------------------------- what of a page is the posting

POSTING = """<p>You will own the roadmap of our harbour scheduling product.</p>
<h3>Requirements</h3><ul><li>Five years of product management</li><li>SQL, and fluency in reading data</li>
<li>Experience with scheduling &amp; planning software</li></ul>
<h3>Nice to have</h3><ul><li>You have worked in a port</li><li>Spanish</li></ul>"""
AROUND = "<nav>Careers Home</nav><header>Harbor Lane jobs</header><aside>Other openings: Cook</aside>"


def job(**more: object) -> dict[str, object]:
    place = {"@type": "Place", "address": {"addressLocality": "Porto", "addressCountry": "PT"}}
    return {
        "@context": "https://schema.org",
        "@type": "JobPosting",
        "title": "Product Manager, Planning &amp; Ports",
        "description": POSTING,
        "hiringOrganization": {"@type": "Organization", "name": "Harbor Lane"},
        "jobLocation": place,
    } | more


def page(*notes: object, body: str = "") -> str:
    scripts = "".join(f'<script type="application/ld+json">{json.dumps(note)}</script>' for note in notes)
    return f"<html><head><title>x</title>{scripts}</head><body>{AROUND}{body}<footer>Imprint</footer></body></html>"


def read(markup: str, url: str = "https://jobs.example.com/1") -> str:
    return posting_of(Fetched(url, "text/html", "", markup.encode()))


def test_a_pages_own_description_for_machines_is_the_posting() -> None:
    """Title, company, place and description of the JobPosting, its lists and headings kept; nothing around it."""
    lines = read(page({"@type": "WebSite", "name": "Jobs"}, job(), body="<main><p>Apply now!</p></main>")).splitlines()
    assert lines[:3] == ["Product Manager, Planning & Ports", "Company: Harbor Lane", "Location: Porto, PT"]
    assert "- Experience with scheduling & planning software" in lines
    assert "### Nice to have" in lines
    assert not {"Apply now!", "Careers Home", "Imprint"} & set(lines)


@pytest.mark.parametrize(
    "note",
    [
        [job()],
        {"@context": "https://schema.org", "@graph": [{"@type": "Organization"}, job()]},
        {"@type": "WebPage", "mainEntity": job()},
        job() | {"@type": ["JobPosting", "Thing"]},
        job() | {"@type": "http://schema.org/JobPosting"},
        job(description=POSTING.replace("<", "&lt;").replace(">", "&gt;")),
    ],
)
def test_a_job_posting_is_found_wherever_a_page_keeps_it(note: object) -> None:
    """In a list, a graph, another thing, with several types, with escaped markup."""
    assert "- Five years of product management" in read(page(note)).splitlines()


def test_what_stands_beside_the_description_joins_it_under_its_heading() -> None:
    """Responsibilities and qualifications that a site keeps apart are part of the posting."""
    apart = job(qualifications=["A driving licence", "Patience"], responsibilities="<ul><li>Run the yard</li></ul>")
    text = read(page(apart))
    assert "Qualifications:\n- A driving licence\n- Patience" in text
    assert "Responsibilities:\n- Run the yard" in text


def test_without_a_description_for_machines_the_main_part_is_the_posting() -> None:
    """Broken JSON, a teaser, or none at all: main, without navigation, header, footer and scripts."""
    body = f"<main><h1>Product Manager</h1>{POSTING}<form>Apply</form></main>"
    for notes in ((), (job(description="Come and join us."),), ({"@type": "JobPosting"},)):
        lines = read(page(*notes, body=body)).splitlines()
        assert "# Product Manager" in lines and "- You have worked in a port" in lines
        assert not {"Careers Home", "Imprint", "Apply", "Other openings: Cook"} & set(lines)
    broken = page(body=body).replace("<title>", '<script type="application/ld+json">{"@type": "JobPosting",</script>')
    assert "- You have worked in a port" in read(broken)


def test_a_page_of_many_openings_asks_for_one_of_them() -> None:
    """A list is refused with its number; the one whose address the page has is taken."""
    jobs = [job(title=f"Job {number}", url=f"https://jobs.example.com/{number}/?ref=x") for number in range(3)]
    assert read(page(jobs)).startswith("Job 1")
    with pytest.raises(FetchError) as caught:
        read(page(jobs), "https://jobs.example.com/all")
    assert caught.value.code == "url_unsuitable"
    assert "3 postings" in caught.value.message
    assert read(page(job(), job())).startswith("Product Manager")  # the same one twice is one


def test_a_page_that_only_its_scripts_fill_is_told_as_one() -> None:
    """No assessment of a loading sign."""
    with pytest.raises(FetchError) as caught:
        read("<html><body><div id=root>Loading …</div><script>fetch('/api')</script></body></html>")
    assert "scripts" in caught.value.message
    assert caught.value.next_step


@pytest.mark.parametrize("nested", ["[" * 100_000, '{"@graph":' * 5_000, json.dumps([[[[[[[[[[job()]]]]]]]]]])])
def test_hostile_descriptions_for_machines_are_only_passed_over(nested: str) -> None:
    """Depth without end neither crashes nor hides the page's own text."""
    body = f"<main><h1>Product Manager</h1>{POSTING}</main>"
    markup = page(body=body).replace("<title>", f'<script type="application/ld+json">{nested}</script><title>')
    assert "- You have worked in a port" in read(markup)


@pytest.mark.parametrize(
    "markup",
    [
        "<div>" * 400_000,
        "<main>" + "&lt;div&gt;" * 180_000,
        '<script type="application/ld+json">' * 50_000,
        "<!--" * 400_000,
        page(job(description="&lt;div&gt;" * 150_000)),
        page(job(description="<nav>" * 300_000, qualifications="<div>" * 50_000)),
        page([job(title=str(number)) for number in range(3_000)]),
    ],
)
def test_a_page_that_is_made_to_be_slow_is_read_or_refused_at_once(markup: str) -> None:
    """Deep nesting, open comments and scripts, escaped markup: none costs more than a moment."""
    began = time.process_time()
    with pytest.raises(InputError):
        read(markup[:2_000_000])
    assert time.process_time() - began < 2.0


def test_a_page_is_decoded_as_its_server_or_it_says() -> None:
    """Header, meta, byte order mark, and what fits where nothing is said or it is wrong."""
    text = f"<main><h1>Küchenchef</h1>{POSTING}</main>"
    for charset, said, data in (
        ("iso-8859-1", "iso-8859-1", text.encode("iso-8859-1")),
        ("", "meta", f'<meta charset="windows-1252">{text}'.encode("cp1252")),
        ("", "mark", b"\xff\xfe" + text.encode("utf-16-le")),
        ("no-such-set", "wrong", text.encode()),
        ("", "none", text.encode("cp1252")),
    ):
        assert "Küchenchef" in posting_of(Fetched("https://a.example.com/", "text/html", charset, data)), said


def test_a_document_that_cannot_be_read_is_told_with_its_fault() -> None:
    """A broken PDF by its address is one sentence, as it would be from a folder."""
    with pytest.raises(InputError) as caught:
        posting_of(Fetched("https://a.example.com/job.pdf", "application/pdf", "", b"%PDF-1.4 broken"))
    assert caught.value.message.startswith("https://a.example.com/job.pdf")


def test_a_posting_that_is_only_an_address_is_known_as_one() -> None:
    """With blanks around it, but not with a word beside it."""
    assert address_in("  https://jobs.example.com/1?a=b \n") == "https://jobs.example.com/1?a=b"
    assert address_in("See https://jobs.example.com/1") == ""
    assert address_in("javascript:alert(1)") == ""


# ---------------------------------------------------------------- the owner's switch

FILES = {
    "content/about.md": "# About\n\nAnn is a product manager.\n",
    "skills.csv": "skill,level,years\nProduct management,5,9\nSQL,4,6\nScheduling,3,2\nStakeholder management,4,5\n",
}
ON = '[skills]\npath = "skills.csv"\n[features.fit]\nurls = true\n'


@asynccontextmanager
async def visiting(settings: Settings, fetcher: Fetcher | None = None) -> AsyncIterator[httpx2.AsyncClient]:
    app = create_app(settings)
    if fetcher:
        app.state.fetcher = fetcher
    transport = httpx2.ASGITransport(app=app, client=("203.0.113.7", 4321))
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="https://ann.example.com") as client,
    ):
        yield client


async def test_an_address_is_refused_unless_the_owner_switched_it_on(make_site: MakeSite) -> None:
    """Off by default: 403, and nothing is fetched."""
    async with (
        serving(always(answer(page(job())))) as server,
        visiting(make_site(FILES, ON.replace("true", "false")), HERE) as client,
    ):
        told = await client.post("/fit-check", json={"url": server.url()})
        assert (told.status_code, told.json()["code"]) == (403, "url_not_allowed")
        await client.post("/fit-check", json={"posting": server.url()})
        assert not server.asked


async def test_switched_on_a_visitor_gives_an_address_and_gets_the_pages_assessment(make_site: MakeSite) -> None:
    """As `url`, as a form's pasted address and as a stream; the same requirements as the posting's text."""
    async with serving(always(answer(page(job())))) as server, visiting(make_site(FILES, ON), HERE) as client:
        by_text = (await client.post("/fit-check", json={"posting": read(page(job()))})).json()
        by_url = (await client.post("/fit-check", json={"url": server.url()})).json()
        form = await client.post("/fit-check", data={"posting": f" {server.url()} "})
        stream = await client.post("/fit-check", json={"url": server.url()}, headers={"Accept": "text/event-stream"})
    assert by_text["requirements"] and by_url["requirements"] == by_text["requirements"]
    assert "Five years of product management" in form.text
    assert "event: done" in stream.text
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("url", "status", "code"),
    [
        ("http://169.254.169.254/latest/meta-data/", 422, "url_not_public"),
        ("http://localhost:8000/owner", 422, "url_not_public"),
        ("http://127.0.0.1/", 422, "url_not_public"),
        ("", 422, "url_invalid"),
        ("javascript:alert(1)", 422, "url_invalid"),
    ],
)
async def test_switched_on_the_server_still_reaches_nothing_private(
    make_site: MakeSite, url: str, status: int, code: str
) -> None:
    """What visitors send the server to is the public web alone."""
    async with visiting(make_site(FILES, ON)) as client:
        told = await client.post("/fit-check", json={"url": url})
    assert (told.status_code, told.json()["code"]) == (status, code)


def test_addresses_belong_to_an_assessment(make_site: MakeSite) -> None:
    """`urls` on a chat is an error of the settings."""
    with pytest.raises(SettingsError, match="urls belongs to an assessment"):
        make_site(FILES, "[features.ask]\nurls = true\n")


async def test_fetching_a_posting_leads_from_an_address_to_its_text() -> None:
    """Through redirects, plain text as it is."""
    plain = answer("Product Manager\n\n- SQL\n", "Content-Type: text/plain; charset=utf-8")
    async with serving(redirects({"/": "/1.txt"}, plain)) as server:
        assert await fetch_posting(server.url(), HERE) == "Product Manager\n\n- SQL\n"
