"""Who asks: the address behind trusted proxies, as the site's keyed hash. Knows addresses, keeps none."""

from __future__ import annotations

import ipaddress

from fastapi import Request

from askfit.site import Site


def visitor_of(request: Request, site: Site) -> str:
    """The visitor's id. X-Forwarded-For is believed only from a trusted proxy, and read from the right."""
    address = request.client.host if request.client else ""
    trusted = site.settings.file.limits.trusted_proxies
    hops = [hop.strip() for hop in request.headers.get("x-forwarded-for", "").split(",") if hop.strip()]
    while hops and _is_trusted(address, trusted):
        address = hops.pop()
    return site.visitor_id(_grouped(address))


def _is_trusted(address: str, trusted: tuple[str, ...]) -> bool:
    try:
        ip = ipaddress.ip_address(address)
        return any(ip in ipaddress.ip_network(network, strict=False) for network in trusted)
    except ValueError:
        return False


def _grouped(address: str) -> str:
    """One IPv6 household owns a /64: it counts as one visitor."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network(f"{ip}/64", strict=False)) if ip.version == 6 else str(ip)
