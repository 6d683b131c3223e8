"""Whom the WebUI's routes answer: whoever the host itself lets in."""

import base64
import time
from types import SimpleNamespace

import pytest

fastapi = pytest.importorskip("fastapi")
testclient = pytest.importorskip("fastapi.testclient")

BASIC = {"Authorization": "Basic " + base64.b64encode(b"api:secret").decode()}
OTHER = {"Authorization": "Basic " + base64.b64encode(b"api:other").decode()}
COOKIE = {"Cookie": "access-token=token"}
PATHS = ("encoders", "read", "put", "viewer", "sweep-of", "picture")


def with_login(prefix):
    """An app as gradio makes one, with a login."""
    app = fastapi.FastAPI()
    app.auth, app.tokens = {"user": "password"}, {"token": "user"}

    @app.get(f"{prefix}/user")
    def get_current_user(request: fastapi.Request):
        return app.tokens.get(request.cookies.get("access-token"))

    return app


@pytest.fixture
def client(standins, monkeypatch):
    """The routes of an app, as the host registers them."""

    def client(app=None, page="the page", api_auth=None):
        from modules import shared

        from clip_skip.webui.page import routes

        monkeypatch.setattr(shared, "cmd_opts", SimpleNamespace(api_auth=api_auth), raising=False)
        app = app or fastapi.FastAPI()
        routes.add_routes(page, app)
        return testclient.TestClient(app)

    return client


def statuses(client, headers=None):
    answers = [
        client.request("GET" if path == "encoders" else "POST", f"/clip-skip/v1/{path}", json={}, headers=headers)
        for path in PATHS
    ]
    return {answer.status_code for answer in answers}


def test_without_authentication_the_routes_are_as_public_as_the_page(client):
    assert statuses(client()) == {200}


@pytest.mark.parametrize("prefix", ["", "/gradio_api"])
def test_the_hosts_login_is_needed_where_it_has_one(client, prefix):
    routes = client(with_login(prefix))
    assert statuses(routes) == {401} and routes.get("/clip-skip/v1/docs/guide.md").status_code == 401
    assert statuses(routes, {"Cookie": "access-token=guessed"}) == {401}
    assert statuses(routes, BASIC) == {401}
    assert statuses(routes, COOKIE) == {200}


def test_an_account_of_the_api_will_do(client):
    routes = client(with_login(""), api_auth="one:two,api:secret")
    assert statuses(routes) == statuses(routes, OTHER) == {401}
    assert statuses(routes, {"Authorization": "Basic \u00ff".encode("latin-1")}) == {401}
    assert statuses(routes, BASIC) == statuses(routes, COOKIE) == {200}


def test_the_api_without_a_page_needs_its_account(client):
    routes = client(page=None, api_auth="api:secret")
    answer = routes.get("/clip-skip/v1/encoders")
    assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Basic"
    assert statuses(routes, OTHER) == {401} and statuses(routes, BASIC) == {200}


def test_a_page_without_a_login_gets_its_answers(client):
    """`--api-auth` does not protect the host's page, whose script cannot know the account."""
    assert statuses(client(api_auth="api:secret")) == {200}


def test_the_answer_about_the_model_waits_for_nothing(client, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail("a worker of the host waits"))
    answer = client().get("/clip-skip/v1/encoders?wait=true").json()
    assert answer["loading"] is True and answer["model"] is None
