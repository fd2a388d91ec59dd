"""`python -m services.coordinator.guest`: looks at SWARM_INVITE before anything is started by it.

Exit code 0: it is good, or the chain does not answer yet (the coordinator asks again); 2 with one line: it is not.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from typing import Any

from services.coordinator.chain import ChainError, ContractMissing
from services.coordinator.invited import check_chain, read
from services.coordinator.settings import CoordinatorSettings
from services.coordinator.signer import NOBODY, Signed, SignerError
from services.coordinator.web3_chain import Web3Chain
from shared.errors import SettingsError
from shared.settings import load


class Nobody:
    """A `Signer` that only looks."""

    address = NOBODY

    async def sign(self, transactions: Sequence[dict[str, Any]]) -> list[Signed]:
        """See `Signer.sign`."""
        raise SignerError(f"nobody is here to sign {len(transactions)} transactions", "start the coordinator")


async def look(settings: CoordinatorSettings, now: float) -> str:
    """What is to be said of an invite that is good. Raises SettingsError if it is not."""
    invite = read(settings.invite or "", now)
    chain = Web3Chain(settings.chain_url, Nobody(), settings.contracts)
    chain.use(settings.swarm_contract or invite.contract)
    try:
        await check_chain(invite, chain)
    except ContractMissing as error:
        raise SettingsError(f"this invite is foreign to the chain: {error.cause}", error.remedy) from error
    except ChainError as error:
        return f"{error.cause}: whether the invite is the founder's is seen when it does"
    return f"invited to the swarm {invite.swarm} by its founder {invite.founder}"


def main() -> int:
    """The exit code."""
    try:
        settings = load("coordinator", CoordinatorSettings)
        print(asyncio.run(look(settings, time.time())))
    except SettingsError as error:
        print(f"rlswarm: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
