"""Access to our routes: for everyone who has access to the host itself."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable
from typing import Any

from fastapi import Depends, HTTPException, Request
from modules import shared

__all__ = ["access_check"]

NOT_LOGGED_IN = "Not authenticated"


def access_check(app: Any, has_page: bool) -> Callable[..., None]:
    """A dependency for routes of `app`; it raises HTTPException (401) for a request that the host would not let in.

    With a login (`--gradio-auth`) the user has to be logged in, or to send the API's credentials. `--api-auth` alone
    protects the API but not the page; if there is a page, its users get answers, because it shows the same.
    """
    user_of = next((route.endpoint for route in getattr(app, "routes", []) if is_user_route(route)), nobody)
    logged_in = Depends(user_of)

    def check(request: Request, user: Any = logged_in) -> None:
        login, accounts = has_login(app), api_accounts()
        if not login and (has_page or not accounts):
            return
        if (login and user is not None) or is_one_of(request.headers.get("authorization", ""), accounts):
            return
        ask = {"WWW-Authenticate": "Basic"} if accounts else None
        raise HTTPException(401, NOT_LOGGED_IN, headers=ask)

    return check


def is_user_route(route: Any) -> bool:
    """Whether it is gradio's route that tells who is logged in: `/user`, under a prefix since gradio 5."""
    return str(getattr(route, "path", "")).rstrip("/") in ("/user", "/gradio_api/user")


def nobody() -> None:
    """The dependency for the logged-in user if the host has no page."""


def has_login(app: Any) -> bool:
    return getattr(app, "auth", None) is not None or getattr(app, "auth_dependency", None) is not None


def api_accounts() -> list[str]:
    """`--api-auth`, as `modules.api` reads it: "user:password" of each."""
    text = getattr(getattr(shared, "cmd_opts", None), "api_auth", None) or ""
    return [account for account in text.split(",") if account]


def is_one_of(authorization: str, accounts: list[str]) -> bool:
    """Whether an `Authorization` header (Basic) has one of the accounts."""
    kind, _, credentials = authorization.partition(" ")
    try:
        account_in_header = base64.b64decode(credentials, validate=True) if kind.lower() == "basic" else b""
    except (binascii.Error, ValueError):
        return False
    return sum(hmac.compare_digest(account_in_header, account.encode()) for account in accounts) > 0
