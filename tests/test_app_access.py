"""Who may use the page without a WebUI, and what it serves of the files in its folder."""

import argparse
import base64
import os
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from types import SimpleNamespace

import pytest

pytest.importorskip("gradio", reason="gradio is not installed: no page to test")

from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.testclient import TestClient
from starlette.responses import PlainTextResponse

from clip_skip.standalone.app.access import Access, Gate
from clip_skip.standalone.app.gradio_versions import page_error
from clip_skip.standalone.app.routes import add_routes
from clip_skip.standalone.app.voice import UNEXPECTED, Voice
from clip_skip.standalone.cli import app as command
from clip_skip.standalone.cli import main as cli
from clip_skip.sweep import viewer
from clip_skip.sweep.axis import Axis

ACCOUNT = {"Authorization": "Basic " + base64.b64encode("us:pä:ss".encode()).decode()}


def client(access, host="127.0.0.1:7860"):
    app = FastAPI()
    app.add_api_route("/file={name}", lambda name: PlainTextResponse(name), methods=["GET"])
    app.add_api_route("/", lambda: PlainTextResponse("the page"), methods=["GET", "POST"])
    app.add_middleware(Gate, access=access)
    return TestClient(app, base_url=f"http://{host}")


@pytest.mark.parametrize(
    ("listen", "host", "allowed"),
    [
        ("127.0.0.1", "127.0.0.1:7860", True),
        ("127.0.0.1", "localhost", True),
        ("127.0.0.1", "LocalHost.:1", True),
        ("127.0.0.1", "[::1]:7860", True),
        ("127.0.0.1", "evil.example", False),
        ("127.0.0.1", "127.0.0.1.evil.example:7860", False),
        ("127.0.0.1", "localhost@evil.example", False),
        ("127.0.0.1", "192.168.0.2:7860", False),
        ("127.0.0.1", "", False),
        ("127.0.0.1", "[", False),
        ("192.168.0.2", "192.168.0.2:7860", True),
        ("192.168.0.2", "192.168.0.3:7860", False),
        ("fe80::2", "[fe80::2]:7860", True),
        ("workshop", "Workshop:7860", True),
        ("0.0.0.0", "192.168.0.2:7860", True),
        ("::", "[fe80::2]:7860", True),
        ("0.0.0.0", "evil.example", False),
    ],
)
def test_only_requests_for_the_pages_own_address_are_answered(listen, host, allowed):
    assert Access(listen).allows_host(host) is allowed
    if host not in ("", "["):
        assert client(Access(listen)).get("/", headers={"Host": host}).status_code == (200 if allowed else 400)


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 200),
        ("http://127.0.0.1:7860", 200),
        ("http://127.0.0.1:8000", 403),
        ("https://evil.example", 403),
        ("null", 403),
    ],
)
def test_pages_of_other_sites_get_no_answer(origin, status):
    headers = {"Origin": origin} if origin else {}
    assert client(Access()).post("/", headers=headers).status_code == status


def test_a_websocket_for_another_site_is_closed():
    async def answer(socket: WebSocket):
        await socket.accept()

    app = FastAPI()
    app.add_api_websocket_route("/", answer)
    app.add_middleware(Gate, access=Access())
    page = TestClient(app, base_url="http://127.0.0.1:7860")
    with page.websocket_connect("ws://127.0.0.1:7860/"):
        pass
    with pytest.raises(WebSocketDisconnect), page.websocket_connect("ws://evil.example/"):
        pass


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Basic"}, {"Authorization": "Basic !"}, {"Authorization": "Bearer eA=="}]
)
def test_a_password_is_asked_for_on_every_route(headers):
    page = client(Access("0.0.0.0", "us", "pä:ss"))
    for path in ("/", "/file=x.png"):
        answer = page.get(path, headers=headers)
        assert answer.status_code == 401 and answer.headers["www-authenticate"].startswith("Basic")
        assert page.get(path, headers=ACCOUNT).status_code == 200


def test_a_file_of_the_folder_runs_no_script():
    answer = client(Access()).get("/file=x.html")
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "content-security-policy" not in client(Access()).get("/").headers


def test_only_pages_that_we_wrote_are_served_and_nothing_else_runs_in_them(tmp_path):
    app = FastAPI()
    add_routes(app, None, tmp_path)
    page = viewer.viewer_page("t", "", Axis("x", ("1",)), Axis("y", ("1",)), [], 8)
    for name, content in (("aa", page), ("bb", "<script>alert(1)</script>"), ("cc", "\udcff")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "index.html").write_bytes(content.encode(errors="surrogateescape"))
    client = TestClient(app)
    answer = client.get("/clip-skip/v1/sweeps/aa/index.html")
    policy = answer.headers["content-security-policy"]
    assert answer.text == page and answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in policy and "unsafe" not in policy and policy.count("sha256-") == 2
    for name in ("bb", "cc", "dd"):
        assert client.get(f"/clip-skip/v1/sweeps/{name}/index.html").status_code == 404


def test_a_viewer_works_under_its_policy(browser, tmp_path):
    """Its script and style run, and another script in the same page does not."""
    app = FastAPI()
    add_routes(app, None, tmp_path)
    cells = [viewer.ViewerCell(0, 0, "data:image/gif;base64,R0lGODlhAQABAAAAACw=", "text")]
    page = viewer.viewer_page("A title", "", Axis("x", ("1",)), Axis("y", ("1",)), cells, 8)
    (tmp_path / "aa").mkdir()
    foreign = "<script>document.title = 'foreign'</script></body>"
    (tmp_path / "aa" / "index.html").write_text(page.replace("</body>", foreign), encoding="utf-8")
    answer = TestClient(app).get("/clip-skip/v1/sweeps/aa/index.html")
    context = browser.new_context()
    tab = context.new_page()
    problems = []
    tab.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    headers = {name: answer.headers[name] for name in ("content-security-policy", "content-type")}
    tab.route("**/*", lambda route: route.fulfill(status=200, headers=headers, body=answer.text))
    tab.goto("http://127.0.0.1/")
    assert tab.locator("#title").inner_text() == "A title" and tab.locator("#grid td").count()
    assert tab.title() != "foreign"
    assert tab.evaluate("getComputedStyle(document.getElementById('said')).position") == "absolute"
    assert len(problems) == 1 and "script" in problems[0], problems
    context.close()


@pytest.mark.parametrize(
    ("arguments", "option", "problem"),
    [
        (["--listen", "0.0.0.0"], "--listen", command.NEEDS_AUTH),
        (["--listen", "::"], "--listen", command.NEEDS_AUTH),
        (["--listen", "0.0.0.0", "--auth", "user"], "--auth", command.NOT_AN_ACCOUNT),
        (["--listen", "0.0.0.0", "--auth", "u:p", "--no-auth"], "--no-auth", command.NOT_BOTH),
        (["--no-auth"], "--no-auth", command.NEEDS_LISTEN),
        (["--listen", "203.0.113.1", "--auth", "u:p"], "--listen", '"203.0.113.1"'),
        (["--listen", "", "--auth", "u:p"], "--listen", '""'),
        (["--out", "."], "--out", "folder of its own"),
        (["--out", ""], "--out", "folder of its own"),
        (["--out", "/"], "--out", "folder of its own"),
    ],
)
def test_others_are_let_in_only_where_that_was_said_twice(arguments, option, problem, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        cli.main(["app", "--no-browser", *arguments])
    error = capsys.readouterr().err
    assert end.value.code == 2 and f"error: {option}: " in error and problem in error, error


def test_a_page_without_a_login_says_who_can_use_it(capsys, tmp_path):
    given = argparse.Namespace(listen="0.0.0.0", auth=None, no_auth=True, out=tmp_path)
    assert command.access_of(given) == Access("0.0.0.0")
    assert str(command.OPEN_TO_ALL(address="0.0.0.0", folder=str(tmp_path))) in capsys.readouterr().err


def test_what_went_wrong_is_text_on_the_page_whatever_it_is(capsys):
    def fails():
        raise RuntimeError("<img src=x onerror=alert(1)>\nmore")

    with pytest.raises(type(page_error(""))) as shown:
        Voice().show_errors(fails)
    expected = UNEXPECTED(kind="RuntimeError", problem="<img src=x onerror=alert(1)>")
    assert shown.value.message == page_error(str(expected)).message
    assert "<img" not in shown.value.message or "HTML" not in (type(page_error("")).__init__.__doc__ or "")
    assert "Traceback" in capsys.readouterr().err


def test_a_sentence_on_the_page_is_text():
    assert Voice().notes(["<img src=x>", "a & b"]) == "<div>&lt;img src=x&gt;</div><div>a &amp; b</div>"


def test_the_page_has_one_address_and_no_public_link(tmp_path, monkeypatch):
    from clip_skip.standalone.app import page

    started = []

    def launch(server_port=None, server_name=None, share=None, **more):
        started.append((server_name, share))
        return FastAPI(), "http://127.0.0.1/", None

    monkeypatch.setattr(page.gc, "freeze", lambda: None)
    blocks = SimpleNamespace(launch=launch, block_thread=lambda: None)
    loading = SimpleNamespace(loras=None)
    studio = SimpleNamespace(out=tmp_path, checkpoints=None, sweeps=tmp_path, loading=loading, close=lambda: None)
    page.main(SimpleNamespace(blocks=blocks, studio=studio, voice=Voice()), browser=False)
    assert started == [("127.0.0.1", False)]


def test_the_command_serves_itself_alone_whatever_the_environment_says(tmp_path):
    """GRADIO_SERVER_NAME does not open the page, and other names and other users get no answer from it."""
    environment = {**os.environ, "GRADIO_SERVER_NAME": "0.0.0.0", "GRADIO_SHARE": "True"}
    words = ["app", "--no-browser", "--out", str(tmp_path / "out"), "--auth", "us:pä:ss"]
    started = subprocess.Popen(
        [sys.executable, "-m", "clip_skip", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        env=environment,
    )
    try:
        lines = []
        for line in started.stdout:
            lines.append(line)
            if address := re.match(r"(http://127\.0\.0\.1:\d+/) \(Ctrl\+C ends it\)", line):
                break
        else:
            pytest.fail("".join(lines))
        threading.Thread(target=started.stdout.read, daemon=True).start()

        def status(path="", **headers):
            try:
                return urllib.request.urlopen(urllib.request.Request(address[1] + path, headers=headers)).status
            except urllib.error.HTTPError as error:
                return error.code

        (tmp_path / "out" / "x.html").write_text("<script>alert(1)</script>")
        for path in ("", "config", "clip-skip/v1/loras"):
            assert status(path) == 401 and status(path, **ACCOUNT) == 200
            assert status(path, Host="evil.example", **ACCOUNT) == 400
    finally:
        started.terminate()
        started.wait()
