"""What Java runs has its pinned checksum; what has another is fetched again or refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from monitor.broker.jars import CHECKSUMS, _fetch_jars
from monitor.errors import BrokerError


class Artifact:
    """One that Maven Central answers with these bytes, one after another."""

    def __init__(self, path: Path, *answers: bytes) -> None:
        self._path, self._answers = path, list(answers)

    def resolve(self) -> Path:
        if not self._path.exists():
            self._path.write_bytes(self._answers.pop(0))
        return self._path


@pytest.fixture
def checksums(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pins = tmp_path / "pins"
    pins.write_text(f"{hashlib.sha256(b'good').hexdigest()}  a.jar\n")
    monkeypatch.setattr("monitor.broker.jars.CHECKSUMS", pins)


@pytest.mark.usefixtures("checksums")
def test_a_cached_jar_that_was_changed_is_fetched_again(tmp_path: Path) -> None:
    jar = tmp_path / "a.jar"
    jar.write_bytes(b"changed")
    assert _fetch_jars([Artifact(jar, b"good")], print) == [str(jar)]
    assert jar.read_bytes() == b"good"


@pytest.mark.usefixtures("checksums")
@pytest.mark.parametrize("name", ["a.jar", "unknown.jar"])
def test_a_jar_that_is_wrong_where_it_comes_from_is_refused_and_not_kept(
    tmp_path: Path, name: str
) -> None:
    jar = tmp_path / name
    with pytest.raises(BrokerError, match=f"{name} from Maven Central has sha256"):
        _fetch_jars([Artifact(jar, b"bad", b"bad")], print)
    assert not jar.exists()


def test_each_pinned_jar_has_one_checksum() -> None:
    pairs = [line.split() for line in CHECKSUMS.read_text().splitlines()]
    assert len({name for _, name in pairs}) == len(pairs) == 46
    assert all(len(bytes.fromhex(digest)) == 32 for digest, _ in pairs)
