"""Who may use the page: requests for its own address, from its own pages, with its password if it has one.

Another site can let its own domain name resolve to 127.0.0.1, and its page can then read what is served there (DNS
rebinding). Such a request carries that name in its `Host` header, and is refused.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response

__all__ = ["LOCAL", "ONLY_THIS_MACHINE", "Access", "Gate", "in_brackets", "is_loopback"]

LOCAL = "127.0.0.1"

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

A_FILE = re.compile(r"(?:^|/)file[=/]")
"""Where gradio serves files of the shared folder."""

OF_FILES = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data:; sandbox",
    "X-Content-Type-Options": "nosniff",
}
"""A file that somebody put there is shown, but runs no script."""

NOT_THIS_PAGE = "This address is not the one that the page is served at."
OTHER_SITE = "Requests of other sites are not answered."
PASSWORD_NEEDED = "A user name and a password are needed."

STARTS = "/startup-events"
"""Gradio requests it from itself at startup, in every version; the answer reveals nothing."""


@dataclass(frozen=True)
class Access:
    """listen: the address or the name of this machine that the page is served at
    user, password: what a browser has to send; both "" if no login is needed
    """

    listen: str = LOCAL
    user: str = ""
    password: str = ""

    def allows_host(self, host: str) -> bool:
        """Whether a request for `host`, a `Host` header or the like, is for this page.

        If it is served at every address of the machine, any numeric address is allowed: DNS rebinding needs a name.
        """
        name = host_name(host)
        if name in {"localhost", LOCAL, "::1", host_name(in_brackets(self.listen))}:
            return True
        if not is_unspecified(self.listen):
            return False
        return is_address(name) or name in {socket.gethostname().lower(), socket.getfqdn().lower()}

    def allows_user(self, authorization: str) -> bool:
        """Whether an `Authorization` header has the user and the password (Basic, RFC 7617)."""
        if not (self.user or self.password):
            return True
        kind, _, credentials = authorization.partition(" ")
        try:
            account_in_header = base64.b64decode(credentials, validate=True) if kind.lower() == "basic" else b""
        except (binascii.Error, ValueError):
            return False
        return hmac.compare_digest(account_in_header, f"{self.user}:{self.password}".encode())


ONLY_THIS_MACHINE = Access()


class Gate:
    """ASGI middleware that lets through what `access` allows."""

    def __init__(self, app: Any, access: Access) -> None:
        self.app, self.access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
        elif (refusal := self.refusal(scope)) is None:
            await self.app(scope, receive, with_headers(send) if A_FILE.search(scope["path"]) else send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await refusal(scope, receive, send)

    def refusal(self, scope: Scope) -> Response | None:
        """The answer to a request that is not allowed; None where it is."""
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        host = headers.get("host", "")
        if not self.access.allows_host(host):
            return PlainTextResponse(NOT_THIS_PAGE, 400)
        if origin not in (None, f"http://{host}", f"https://{host}"):
            return PlainTextResponse(OTHER_SITE, 403)
        if scope["path"].endswith(STARTS) or self.access.allows_user(headers.get("authorization", "")):
            return None
        ask = {"WWW-Authenticate": 'Basic realm="Clip Skip", charset="UTF-8"'}
        return PlainTextResponse(PASSWORD_NEEDED, 401, ask)


def with_headers(send: Send) -> Send:
    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(OF_FILES)
        await send(message)

    return sending


def host_name(host: str) -> str:
    """The name in a `Host` header, without its port; "" where there is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").removesuffix(".")
    except ValueError:
        return ""


def in_brackets(address: str) -> str:
    """`address` as it is written in a URL."""
    return f"[{address}]" if ":" in address and not address.startswith("[") else address


def is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_unspecified(listen: str) -> bool:
    """Whether it means every address of the machine."""
    name = listen.strip("[]")
    return is_address(name) and ipaddress.ip_address(name).is_unspecified


def is_loopback(listen: str) -> bool:
    """Whether only this machine can reach a page that is served at `listen`."""
    name = listen.strip("[]").lower()
    return name == "localhost" or (is_address(name) and ipaddress.ip_address(name).is_loopback)
