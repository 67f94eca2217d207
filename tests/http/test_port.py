"""The HTTP port: statuses, sentences, who may ask, and what hostile clients cannot do."""

from __future__ import annotations

import asyncio
import base64
import gc
import hashlib
import logging
import re
import socket
import ssl
from pathlib import Path

import aiohttp
import pytest

from monitor.broker import certificates
from monitor.config import HttpSettings
from monitor.errors import ConfigError
from monitor.http import answers, port
from monitor.http.live_page import make_live_page
from monitor.page import document
from tests.http.serving import ERRORS, View, request, with_port


def test_a_question_reaches_the_view_with_its_parameters() -> None:
    reply = request("/stress?symbol=A&symbol=B%2FC&shock=-10%25&factor=")
    assert reply.status == 200
    assert reply.body == "stress {'symbol': ['A', 'B/C'], 'shock': ['-10%'], 'factor': ['']}"


@pytest.mark.parametrize(
    ("account", "status"), [("unknown", 404), ("wrong", 400), ("busy", 503), ("nothing", 409)]
)
def test_an_error_is_its_status_and_its_sentence(account: str, status: int) -> None:
    assert request(f"/account?account={account}")[:2] == (status, f"{ERRORS[account]}\n")


def test_more_parameters_than_anybody_needs_are_refused() -> None:
    most = answers.PARAMETERS_MAX
    reply = request("/rules?" + "&".join(["symbol=A"] * (most + 1)))
    assert reply[:2] == (400, f"more than {most} parameters: ask several times\n")


@pytest.mark.parametrize(
    "path", ["/stress", "/account?account=a", "/rules", "/state", "/metrics", "/alerts", "/events"]
)
def test_a_token_is_asked_for_everywhere_but_by_who_starts_the_sidecar(path: str) -> None:
    assert request(path, bearer="wrong", token="right").status == 401
    assert request(path, token="right").status == 401
    assert request(path, bearer="right", token="right").status in (200, 503)
    assert request("/livez", token="right").status == 200


def test_the_page_needs_no_token_and_lets_the_browser_run_its_own_scripts_alone() -> None:
    reply = request("/", token="right")
    assert (reply.status, reply.headers["Referrer-Policy"]) == (200, "no-referrer")
    policy = dict(
        part.strip().split(" ", 1) for part in reply.headers["Content-Security-Policy"].split(";")
    )
    assert policy["default-src"] == policy["frame-ancestors"] == policy["form-action"] == "'none'"
    assert policy["connect-src"] == "'self'"
    scripts = re.findall(r"<script>(.*?)</script>", reply.body, re.DOTALL)
    assert len(scripts) == reply.body.count("<script") > 3
    hashes = [base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in scripts]
    assert policy["script-src"].split() == [f"'sha256-{one}'" for one in hashes]
    assert not re.search(
        r"(src|href)=|url\(|@import",
        re.sub(r"<(script|pre)>.*?</\1>", "", reply.body, flags=re.DOTALL),
    )


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost:9464", 200), ("127.0.0.1:1", 200), ("[::1]:9464", 200), ("sidecar", 200),
     ("a.localhost", 200), ("evil.example:9464", 421), ("127.0.0.1.evil.example", 421)],
)  # fmt: skip
def test_a_page_of_the_web_cannot_ask_under_its_own_name(host: str, status: int) -> None:
    assert request("/state", headers={"Host": host}).status == status
    own = {"headers": {"Host": host}, "token": "t", "bearer": "t"}
    assert request("/state", **own).status == 200
    assert request("/state", headers={"Host": host}, host="0.0.0.0").status == 200


def test_a_page_without_what_it_draws_with_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document, "ASSETS", tmp_path)
    make_live_page.cache_clear()
    reply = request("/")
    assert (reply.status, "make assets" in reply.body) == (409, True)


def test_accounts_are_shown_beyond_loopback_with_a_token_alone() -> None:
    everywhere = {"host": "0.0.0.0"}
    reply = request("/account?account=a", **everywhere)
    assert (reply.status, "set http.token" in reply.body) == (403, True)
    assert request("/rules", **everywhere).status == 200
    assert request("/account?account=a", bearer="t", token="t", **everywhere).status == 200


def test_head_has_the_head_of_get_and_no_body() -> None:
    got, head = request("/stress?symbol=A"), request("/stress?symbol=A", method="HEAD")
    assert (head.status, head.body) == (200, "")
    assert head.headers["Content-Length"] == str(len(got.body))


def test_other_methods_and_paths_are_refused() -> None:
    reply = request("/state", method="POST")
    assert (reply.status, reply.headers["Allow"]) == (405, "GET, HEAD")
    assert request("/nothing").status == 404
    assert "/alerts" in request("/nothing").body
    assert request("/alertsx").status in (404, 503)


def test_metrics_are_compressed_for_whoever_takes_gzip() -> None:
    packed = request("/metrics", headers={"Accept-Encoding": "gzip"})
    plain = request("/metrics", headers={"Accept-Encoding": "identity"})
    assert (packed.headers["Content-Encoding"], "Content-Encoding" in plain.headers) == (
        "gzip", False,
    )  # fmt: skip
    assert packed.body == plain.body
    assert "x 0.0" in plain.body
    assert plain.headers["Content-Type"].startswith("text/plain; version=")


def test_a_connection_is_kept_for_the_next_request() -> None:
    async def ask(at: int) -> list[bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", at)
        bodies = []
        for _ in range(3):
            writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            bodies.append(await reader.readline())
        writer.close()
        return bodies

    assert with_port(ask) == [b"alive\n"] * 3


def test_a_request_that_is_none_gets_400_and_no_line_of_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def ask(at: int) -> list[bytes]:
        heads = []
        for raw in (b"\x16\x03\x01\x02", b"GET / HTTP/9\r\n\r\n", b"a\r\n\r\n",
                    b"GET /livez HTTP/1.1\r\nX: " + b"x" * 40_000 + b"\r\n\r\n"):  # fmt: skip
            reader, writer = await asyncio.open_connection("127.0.0.1", at)
            writer.write(raw)
            heads.append(await reader.readline())
            writer.close()
        return heads

    with caplog.at_level(logging.INFO):
        assert [head.split()[1] for head in with_port(ask)] == [b"400"] * 4
    assert caplog.records == []


def test_who_comes_beyond_the_bound_is_refused_and_the_rest_is_served(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(port, "CONNECTIONS_MAX", 2)

    async def ask(at: int) -> tuple[bytes, bytes]:
        pairs = [await asyncio.open_connection("127.0.0.1", at) for _ in range(3)]
        try:
            refused = await pairs[-1][0].read()
        except ConnectionError:
            refused = b""
        pairs[0][1].write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = await pairs[0][0].readline()
        for _, writer in pairs:
            writer.close()
        return refused, answer

    assert with_port(ask) == (b"", b"HTTP/1.1 200 OK\r\n")
    gc.collect()  # what nobody awaited is logged when it is collected
    assert caplog.records == []


def test_who_never_ends_a_request_or_never_reads_an_answer_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(port, "IDLE_S_MAX", 0.2)
    monkeypatch.setattr(port, "WRITE_S_MAX", 0.2)
    large = b"x" * (32 << 20)

    async def ask(_: View, *__: object) -> bytes:
        return large

    monkeypatch.setattr(View, "ask", ask)

    async def wait(at: int) -> tuple[bytes, int]:
        reader, writer = await asyncio.open_connection("127.0.0.1", at)
        writer.write(b"GET /livez HTTP/1.1\r\nX:")
        half = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        with socket.create_connection(("127.0.0.1", at)) as deaf:
            deaf.sendall(b"GET /rules HTTP/1.1\r\nHost: x\r\n\r\n")
            await asyncio.sleep(1.0)
            deaf.setblocking(False)
            came = 0
            try:
                while chunk := deaf.recv(1 << 20):
                    came += len(chunk)
            except ConnectionError:
                pass
        return half, came

    half, came = with_port(wait)
    assert half == b""
    assert came < len(large)


def test_a_port_that_is_taken_is_one_sentence() -> None:
    async def again(at: int) -> None:
        async with port.serve(View(), HttpSettings(port=at)):
            pass

    with pytest.raises(ConfigError, match="cannot listen on 127"):
        with_port(again)


def test_the_end_waits_for_no_connection() -> None:
    async def run() -> float:
        loop = asyncio.get_running_loop()
        async with aiohttp.ClientSession() as session:
            async with port.serve(View(), HttpSettings(port=0)) as at:
                async with session.get(f"http://127.0.0.1:{at}/livez") as reply:
                    await reply.read()
                began = loop.time()
            return loop.time() - began

    assert asyncio.run(run()) < 5.0


def test_tls_is_spoken_and_a_handshake_that_hangs_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(port, "WRITE_S_MAX", 0.5)
    files = certificates.make_certificates(tmp_path)

    async def ask(at: int) -> tuple[str, bytes]:
        reader, hanging = await asyncio.open_connection("127.0.0.1", at)
        hanging.write(b"\x16\x03\x01")
        trusted = ssl.create_default_context(cafile=str(files.ca))
        url = f"https://localhost:{at}/livez"
        async with (
            aiohttp.ClientSession() as session,
            session.get(url, ssl=trusted) as reply,
        ):
            body = await reply.text()
        rest = await asyncio.wait_for(reader.read(), 5)
        hanging.close()
        return body, rest

    assert with_port(ask, cert_file=files.server, key_file=files.server) == ("alive\n", b"")
    assert caplog.records == []
