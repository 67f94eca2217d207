"""One browser for the tests of a module: while it runs, no event loop can run beside it."""

from collections.abc import Iterator

import pytest

from tests.browser.chromium import Chromium, start_chromium


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    with start_chromium() as browser:
        yield browser
