"""One browser for the tests of a module: while it runs, no event loop can run beside it."""

from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite("tests.browser.chromium")

from tests.browser.chromium import Chromium, start_chromium  # noqa: E402 - after the line above


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    with start_chromium() as browser:
        yield browser
