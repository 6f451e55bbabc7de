"""Who asks: the address behind trusted proxies, as the site's keyed hash. Knows addresses, keeps none."""

from __future__ import annotations

import ipaddress

from fastapi import Request

from askfit.site import Site

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def visitor_of(request: Request, site: Site) -> str:
    """The visitor's id. X-Forwarded-For is believed only from a trusted proxy, and read from the right.

    Proxies add an entry or a header line of their own, so all lines count; what is no address is not believed.
    """
    given = request.client.host if request.client else ""
    address = _address(given)
    trusted = site.settings.file.limits.trusted_proxies
    hops = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
    while hops and address and _is_trusted(address, trusted) and (hop := _address(hops.pop())):
        address = hop
    return site.visitor_id(str(address or given))


def _address(text: str) -> Address | None:
    """An address as proxies write it: with a port or in brackets too; IPv4 within IPv6 is IPv4."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address


def _is_trusted(address: Address, trusted: tuple[str, ...]) -> bool:
    return any(address in network for network in map(_network, trusted) if network)


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
