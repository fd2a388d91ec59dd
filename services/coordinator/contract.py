"""Which contract is the swarm's: the one in the settings, or one of our own, remembered in deployment.json."""

from __future__ import annotations

import logging
import secrets
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from services.coordinator import metrics
from services.coordinator.chain import Chain, ContractMissing, Head
from services.coordinator.link import Link

log = logging.getLogger(__name__)

LOOKS, LOOK_S = 5, 0.2  # after which a contract that is not there is believed to be gone


class Deployment(BaseModel):
    """A contract this household put on a chain."""

    model_config = ConfigDict(frozen=True)

    address: str  # 0x...
    chain_id: int
    # Tells this deployment from another at the same address: addresses follow from the account alone.
    mark: str


class Contract:
    """Keeps the chain pointed at the swarm's contract."""

    def __init__(self, chain: Chain, link: Link, given: str | None, path: Path) -> None:
        self._chain, self._link, self._given, self._path = chain, link, given, path
        self._ours = None if given else self._read()
        address = given or (self._ours.address if self._ours else None)
        if address:
            chain.use(address)

    async def head(self) -> Head:
        """A look at the chain; where our own contract is missing, it is deployed (again) first.

        Raises ChainError, and ContractMissing where the contract is not ours to deploy.
        """
        for look in range(LOOKS):
            try:
                return await self._chain.head()
            except ContractMissing:
                if self._given:
                    raise
                if self._chain.contract is None:
                    break
            if look + 1 < LOOKS:  # a node behind a balancer may lag, or its answer be lost on the way
                await self._link.context.sleep(LOOK_S)
        self._link.up.clear()  # nothing is submitted until the clock knows the new contract
        self._link.swarm = ""
        if self._chain.contract:
            log.warning("the chain was reset: our contract %s is gone, deploying it again", self._chain.contract)
        address = await self._chain.deploy()
        head = await self._chain.head()
        self._ours = Deployment(address=address, chain_id=head.chain_id, mark=secrets.token_hex(8))
        self._write(self._ours)
        metrics.DEPLOYED.inc()
        log.info("deployed the swarm's contract: SWARM_CONTRACT=%s on chain %d", address, head.chain_id)
        return head

    def identity(self, head: Head) -> str:
        """The same for the same swarm: what is known of one does not hold for another."""
        # Not by block 0: anvil makes another one each time it is started on a saved state.
        return f"{head.chain_id}:{self._chain.contract}:{self._ours.mark if self._ours else ''}"

    def _read(self) -> Deployment | None:
        try:
            return Deployment.model_validate_json(self._path.read_text())
        except FileNotFoundError:
            return None
        except ValidationError:
            log.warning("%s cannot be read; a new contract will be deployed", self._path)
            return None

    def _write(self, deployment: Deployment) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_suffix(".partial")
        partial.write_text(deployment.model_dump_json(indent=2) + "\n")
        partial.replace(self._path)
