"""Read one web page that a person asked for, without becoming a stranger's way into a private network.

A name is resolved once, everything that it leads to must be allowed, and the connection goes to an address that was
checked: a name that means something else a moment later changes nothing. Each redirect is an address like the first.
Knows addresses and bytes, nothing of what a page says.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from askfit.errors import InputError

if TYPE_CHECKING:
    import httpx2

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

TOTAL_S = 10.0  # resolving, redirects and the whole page together
CONNECT_S = 4.0
MOST_REDIRECTS = 3
MOST_BYTES = 2_000_000  # of a page, unpacked
MOST_URL_CHARS = 2_000
MOST_ADDRESSES = 3  # of one name that are tried
REDIRECTS = frozenset({301, 302, 303, 307, 308})
DEFAULT_PORTS = frozenset({None, 80, 443})
TEXT_MEDIA = frozenset({"text/html", "application/xhtml+xml", "text/plain", "text/markdown"})
# One page, on a person's word: no robot, so robots.txt is not asked, and it is said who comes.
AGENT = "askfit (reads one page that a person asked for)"

# What Python calls global and is not a site: multicast is asked apart, the others are listed here.
# Azure's own services answer every virtual machine at 168.63.129.16; 192.88.99.0/24 relays 6to4.
NO_SITES_4 = tuple(map(ipaddress.IPv4Network, ("168.63.129.16/32", "192.88.99.0/24", "192.0.0.0/24")))
SITES_6 = ipaddress.IPv6Network("2000::/3")  # the only unicast that is handed out: NAT64, mapped, ULA lie outside
NO_SITES_6 = tuple(map(ipaddress.IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))
LOCAL_ENDINGS = ("localhost", "local", "internal", "intranet", "lan", "home", "corp", "private", "home.arpa")


class FetchError(InputError):
    """A page that is not fetched, or cannot be. Codes: url_invalid, url_not_public, url_unsuitable,
    posting_unreachable, posting_too_long."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Fetched:
    """One page."""

    url: str  # where it was found in the end
    media: str  # "text/html": lower case, without parameters; "" where the server does not say
    charset: str  # as the server says; "" where it does not
    data: bytes


def is_public(address: Address) -> bool:
    """May this be a site that anyone can reach? No for all that is private, special, or wraps another address."""
    if isinstance(address, ipaddress.IPv4Address):
        special = address.is_multicast or address.is_reserved or any(address in network for network in NO_SITES_4)
        return address.is_global and not special
    return address in SITES_6 and address.is_global and not any(address in network for network in NO_SITES_6)


def is_own_network(address: Address) -> bool:
    """This machine, or the network of a home or an office. Link-local is neither: clouds keep their secrets there."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return is_own_network(address.ipv4_mapped)
    special = address.is_link_local or address.is_unspecified or address.is_multicast or address.is_reserved
    return address.is_loopback or (address.is_private and not special)


async def resolve_by_system(host: str, port: int) -> Sequence[str]:
    """The addresses that the system's resolver gives."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Fetcher:
    """Fetches single pages.

    `own_network` also allows this machine, private networks and any port, for an owner who types the address at their
    own terminal; a page of the public web still cannot redirect there. `media` are the types that are read.
    """

    def __init__(
        self,
        *,
        own_network: bool = False,
        media: frozenset[str] = TEXT_MEDIA,
        total_s: float = TOTAL_S,
        most_bytes: int = MOST_BYTES,
        resolve: Resolve = resolve_by_system,
        public: Callable[[Address], bool] = is_public,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._own_network = own_network
        self._media = media
        self._total_s = total_s
        self._most_bytes = most_bytes
        self._resolve = resolve
        self._public = public
        self._tls = tls

    async def fetch(self, url: str) -> Fetched:
        """The page at an address; FetchError with one sentence where it is refused or does not come."""
        import httpx2

        try:
            async with asyncio.timeout(self._total_s):
                return await self._follow(url)
        except TimeoutError:
            raise _unreachable(url, f"it took longer than {self._total_s:g} s") from None
        except httpx2.TimeoutException:
            raise _unreachable(url, "it does not answer") from None
        except httpx2.HTTPError as error:
            raise _unreachable(url, _why(error)) from None

    async def _follow(self, first: str) -> Fetched:
        own = self._own_network
        url = _parsed(first)
        async with await self._transport() as transport:
            for _ in range(MOST_REDIRECTS + 1):
                addresses, own = await self._addresses(url, own)
                async with _answering(transport, url, addresses) as answer:
                    target = answer.headers.get("location", "")
                    if answer.status_code not in REDIRECTS or not target:
                        return await self._read(url, answer)
                url = _parsed(target, base=url)
        raise _unreachable(first, f"it redirects more than {MOST_REDIRECTS} times")

    async def _transport(self) -> httpx2.AsyncHTTPTransport:
        """No proxies, cookies or log-ins of the environment; a transport knows no redirects of its own."""
        import httpx2

        if self._tls is None:  # reading the system's certificates takes a while
            self._tls = await asyncio.to_thread(httpx2.create_ssl_context)
        return httpx2.AsyncHTTPTransport(verify=self._tls, trust_env=False)

    # ------------------------------------------------------------ where it leads

    async def _addresses(self, url: httpx2.URL, own: bool) -> tuple[list[Address], bool]:
        """(the addresses to try, whether they are the asker's own network): all of a name's must be allowed."""
        host, port = url.raw_host.decode("ascii").rstrip("."), url.port or (443 if url.scheme == "https" else 80)
        if not own and (url.port not in DEFAULT_PORTS):
            raise _refused("url_not_public", f"{url} names a port of its own.", "Only the web's usual ports are read.")
        if not own and _is_local_name(host):
            raise _not_public(host)
        try:
            found = [ipaddress.ip_address(one) for one in await self._resolve(host, port)]
        except (OSError, UnicodeError, ValueError):
            found = []
        if found and all(map(self._public, found)):
            return found[:MOST_ADDRESSES], False
        if own and found and all(self._public(one) or is_own_network(one) for one in found):
            return found[:MOST_ADDRESSES], True
        # One sentence for what does not exist and what is hidden: nobody learns the names of a network from it.
        raise _not_public(host)

    # ------------------------------------------------------------ what comes

    async def _read(self, url: httpx2.URL, answer: httpx2.Response) -> Fetched:
        if answer.status_code != 200:
            raise _unreachable(str(url), f"it answered {answer.status_code}")
        said = answer.headers.get("content-type", "")
        media = said.partition(";")[0].strip().lower()
        if media and media not in self._media:
            raise _refused("url_unsuitable", f"{url} is {media[:80]}, which is not read.", "Paste the posting's text.")
        charset = answer.charset_encoding or ""
        return Fetched(str(url), media, charset, await self._body(url, answer))

    async def _body(self, url: httpx2.URL, answer: httpx2.Response) -> bytes:
        """The body, unpacked as it comes, up to its bound: what would swell past it is never unpacked."""
        encoding = answer.headers.get("content-encoding", "").strip().lower()
        if encoding not in ("", "identity", "gzip", "x-gzip"):
            raise _refused("url_unsuitable", f"{url} is packed in a way that is not read.", "Paste the posting's text.")
        unpacker = zlib.decompressobj(wbits=31) if "gzip" in encoding else None
        body = bytearray()
        received = 0
        async for chunk in answer.aiter_raw():
            received += len(chunk)
            try:
                body += unpacker.decompress(chunk, self._most_bytes + 1 - len(body)) if unpacker else chunk
            except zlib.error:
                raise _unreachable(str(url), "it is not packed as it says") from None
            if max(len(body), received) > self._most_bytes:
                raise _too_long(url, self._most_bytes)
        if unpacker and received and not unpacker.eof:
            raise _unreachable(str(url), "it broke off")
        return bytes(body)


@asynccontextmanager
async def _answering(
    transport: httpx2.AsyncHTTPTransport, url: httpx2.URL, addresses: Sequence[Address]
) -> AsyncIterator[httpx2.Response]:
    """The answer of the first address that takes a connection. The site is told, and proves, its name all the same."""
    import httpx2

    headers = {"User-Agent": AGENT, "Accept": "text/html,text/plain;q=0.9,*/*;q=0.5", "Accept-Encoding": "gzip"}
    named = httpx2.Request("GET", url, headers={**headers, "Connection": "close"})
    extensions = {
        "sni_hostname": url.raw_host.decode("ascii").rstrip("."),
        "timeout": {"connect": CONNECT_S, "read": TOTAL_S, "write": CONNECT_S, "pool": CONNECT_S},
    }
    *_, last = addresses
    for address in addresses:
        pinned = httpx2.Request("GET", url.copy_with(host=str(address)), headers=named.headers, extensions=extensions)
        try:
            answer = await transport.handle_async_request(pinned)
        except (httpx2.ConnectError, httpx2.ConnectTimeout):
            if address == last:
                raise
            continue
        try:
            yield answer
        finally:
            await answer.aclose()
        return


def _parsed(text: str, base: httpx2.URL | None = None) -> httpx2.URL:
    """An address in its parts; the very parts that are checked are those that are asked."""
    import httpx2

    try:
        url = base.join(text) if base else httpx2.URL(text.strip())
    except (httpx2.InvalidURL, ValueError):
        raise _refused("url_invalid", "That is no address of a page.", "Give one such as https://…") from None
    if url.scheme not in ("http", "https") or not url.host or len(str(url)) > MOST_URL_CHARS:
        raise _refused("url_invalid", "Only http:// and https:// addresses of a page are read.", "Paste the text.")
    if url.userinfo:
        raise _refused(
            "url_invalid", "An address with a user name in it is not read.", "Leave out what stands before @."
        )
    return url.copy_with(fragment=None)


def _is_local_name(host: str) -> bool:
    """A name that only a machine or a network of one's own knows: one word, or with such an ending."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        lower = host.lower()
        return "." not in lower or any(lower == end or lower.endswith(f".{end}") for end in LOCAL_ENDINGS)
    return False


def _why(error: httpx2.HTTPError) -> str:
    if isinstance(error.__cause__, ssl.SSLError) or "CERTIFICATE" in str(error).upper():
        return "its certificate is not valid for that name"
    return f"no whole answer came, {type(error).__name__}"


def _refused(code: str, message: str, next_step: str) -> FetchError:
    return FetchError(code, message, next_step)


def _not_public(host: str) -> FetchError:
    return _refused("url_not_public", f"{host} leads to no site on the public web.", "Paste the posting's text.")


def _too_long(url: httpx2.URL, most_bytes: int) -> FetchError:
    bound = f"{most_bytes / 1e6:g} MB"
    return FetchError("posting_too_long", f"{url} is larger than {bound}.", "Paste the posting's own text.", status=413)


def _unreachable(url: str, why: str) -> FetchError:
    return _refused("posting_unreachable", f"{url} could not be read: {why}.", "Paste the posting's text.")
