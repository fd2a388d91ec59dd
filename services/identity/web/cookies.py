"""The two cookies: `session` of somebody who is logged in, `door` of a browser that is about to.

Over TLS their names begin with __Host-, so that nothing but this very host, over TLS, can set them.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from starlette.requests import HTTPConnection
from starlette.responses import Response

from services.identity.settings import IdentitySettings
from services.identity.web.site import is_secure

SESSION, DOOR = "rlswarm_session", "rlswarm_door"
LONGEST = 128

# Signs the tokens of the login forms. A restart makes forms that are open stale; they are then shown anew.
_KEY = secrets.token_bytes(32)


def read(request: HTTPConnection, settings: IdentitySettings, name: str) -> str | None:
    """A cookie's value."""
    value = request.cookies.get(_name(name, is_secure(request, settings)))
    return value if value and len(value) <= LONGEST else None


def write(
    response: Response, request: HTTPConnection, settings: IdentitySettings, name: str, value: str, age_s: float | None
) -> None:
    """Set one; without an age it goes when the browser closes."""
    secure = is_secure(request, settings)
    response.set_cookie(
        _name(name, secure),
        value,
        max_age=None if age_s is None else int(age_s),
        path="/",
        httponly=True,
        samesite="lax",  # strict would show the login to who follows a link to this page
        secure=secure,
    )


def erase(response: Response, request: HTTPConnection, settings: IdentitySettings, name: str) -> None:
    """Take one away."""
    secure = is_secure(request, settings)
    response.delete_cookie(_name(name, secure), path="/", httponly=True, samesite="lax", secure=secure)


def door_token(door: str) -> str:
    """What the form of this browser sends along: nobody else can tell it from the cookie."""
    return hmac.new(_KEY, door.encode(), hashlib.sha256).hexdigest()


def door_fits(door: str | None, token: str) -> bool:
    """Whether the form was ours, shown in this browser."""
    return door is not None and hmac.compare_digest(door_token(door).encode(), token.encode())


def _name(name: str, secure: bool) -> str:
    return f"__Host-{name}" if secure else name
