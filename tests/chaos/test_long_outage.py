"""The chain is away for ten minutes, and the coordinator dies before and in the middle of it."""

import pytest

from tests.integration.conftest import anvil_binary, node  # noqa: F401 - fixtures
from tests.integration.test_coordinator_faults import outage

pytestmark = pytest.mark.timeout(900)


async def test_ten_minutes_without_a_chain_lose_and_double_nothing(tmp_path, node):  # noqa: F811
    await outage(tmp_path, node, half_s=300)
