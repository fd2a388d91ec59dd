"""What a request tells about where it comes from. A proxy's word counts only if a setting says that there is one."""

from __future__ import annotations

import re
from urllib.parse import unquote

from starlette.requests import HTTPConnection

from services.identity.accounts.site import Site
from services.identity.settings import IdentitySettings

HOST = re.compile(r"^(?P<name>[a-z0-9_.-]+|\[[0-9a-f:.]+\])(:(?P<port>[0-9]{1,5}))?$", re.IGNORECASE)

ADDRESS = re.compile(r"[0-9a-fA-F:.]{2,45}")


def host_of(header: str) -> str | None:
    """The name in a Host header, without port and brackets; None if it is no name."""
    match = HOST.fullmatch(header.strip())
    return match["name"].lower().strip("[]").rstrip(".") if match else None


def is_secure(request: HTTPConnection, settings: IdentitySettings) -> bool:
    """Whether the browser came over TLS."""
    if request.url.scheme in ("https", "wss"):
        return True
    return settings.tls and request.headers.get("x-forwarded-proto", "").strip().lower() == "https"


def site_of(request: HTTPConnection, settings: IdentitySettings) -> Site:
    """Our address as the browser has it."""
    domain = request.headers.get("host", "").strip().lower()
    scheme = "https" if is_secure(request, settings) else "http"
    return Site(scheme, host_of(domain) or "", domain)


def address_of(request: HTTPConnection, settings: IdentitySettings) -> str:
    """The client's address; behind our own proxy, the one that it saw."""
    if settings.tls and (told := request.headers.get("x-forwarded-for", "")):
        last = told.rpartition(",")[2].strip()
        return last if ADDRESS.fullmatch(last) else "unknown"
    return request.client.host if request.client else "unknown"


def safe_next(path: str | None, default: str = "/") -> str:
    """A path of ours to go to after the login; whatever could lead elsewhere becomes the default."""
    if not path or len(path) > 500 or not path.startswith("/"):
        return default
    plain = unquote(path)
    if any(not letter.isprintable() or letter.isspace() or letter == "\\" for letter in path + plain):
        return default
    return default if path.startswith("//") or plain.startswith("//") else path
