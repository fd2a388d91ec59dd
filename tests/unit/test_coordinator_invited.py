"""Who is let into a swarm by an invite, on a chain in memory."""

import asyncio

import pytest

from services.coordinator.chain import ChainDown
from services.coordinator.invited import Admission, read
from services.coordinator.memory_chain import CHAIN_ID, Ledger, MemoryChain
from shared.errors import SettingsError
from tests.coordinator_kit import Household, eventually, settings_of
from tests.invite_kit import EXPIRES, FOUNDER, invite_of, text_of

OTHER_KEY = "0x" + "22" * 32


@pytest.fixture
async def chain():
    """A founder's contract."""
    chain = MemoryChain(Ledger(), FOUNDER)
    await chain.deploy()
    return chain


def invited(chain, **changes):
    return text_of(invite_of(**{"contract": chain.contract, "chain_id": CHAIN_ID, **changes}))


def admission(text, folder, now=0.0):
    return Admission(text, folder, lambda: now)


async def test_who_was_invited_by_the_contracts_owner_is_let_in_once_and_for_good(chain, tmp_path):
    text = invited(chain)
    await admission(text, tmp_path / "coordinator").check(chain)
    later = admission(text, tmp_path / "coordinator", now=EXPIRES + 1.0)
    chain.ledger.up = False
    await later.check(chain)  # asks nobody
    with pytest.raises(SettingsError, match="expired"):
        admission(invited(chain, game="debate"), tmp_path / "coordinator", now=EXPIRES + 1.0)


async def test_without_an_invite_everybody_is_at_home(chain, tmp_path):
    chain.ledger.up = False
    await admission(None, tmp_path).check(chain)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", [text_of(invite_of(), OTHER_KEY), text_of(invite_of(founder="0x" + "1" * 40))])
def test_a_signature_of_somebody_else_is_refused_without_asking_the_chain(text, tmp_path):
    with pytest.raises(SettingsError, match=r"not signed by the founder that it names.*do not join"):
        admission(text, tmp_path)


@pytest.mark.parametrize("signature", [b"\0" * 65, b"\xff" * 65, b"\xff" * 64 + b"\x1b", bytes(range(65))])
def test_a_signature_that_is_none_is_refused(signature):
    from shared.invite import Signed

    with pytest.raises(SettingsError, match="not signed by the founder"):
        read(Signed(invite=invite_of(), signature=signature).text(), 0.0)


async def test_an_invite_whose_signer_does_not_own_the_contract_is_foreign(chain, tmp_path):
    stranger = invited(chain, founder="0x1563915e194D8CfBA1943570603F7606A3115508")
    with pytest.raises(SettingsError, match=r"is foreign: 0x1563\w+, who signed it, does not own the contract 0x"):
        await admission(text_signed(stranger), tmp_path).check(chain)


def text_signed(text):
    """The same content, signed by OTHER_KEY."""
    from shared.invite import parse

    return text_of(parse(text, None).invite, OTHER_KEY)


async def test_an_invite_for_another_chain_is_told_with_both_ids(chain, tmp_path):
    with pytest.raises(SettingsError, match=f"for chain 7, and the chain at CHAIN_URL is {CHAIN_ID}"):
        await admission(invited(chain, chain_id=7), tmp_path).check(chain)


async def test_while_the_chain_is_away_nothing_is_decided(chain, tmp_path):
    waiting = admission(invited(chain), tmp_path)
    chain.ledger.up = False
    with pytest.raises(ChainDown):
        await waiting.check(chain)
    chain.ledger.up = True
    await waiting.check(chain)


async def test_a_coordinator_with_a_foreign_invite_ends_and_one_with_a_good_one_goes_on(chain, tmp_path):
    guest = MemoryChain(chain.ledger, "0x" + "9" * 40)
    settings = settings_of(tmp_path).model_copy(update={"swarm_contract": chain.contract})
    foreign = settings.model_copy(update={"invite": invited(chain, chain_id=7)})
    with pytest.raises(ExceptionGroup) as caught:
        async with Household(foreign).running(guest):
            await asyncio.sleep(0.5)
    assert caught.group_contains(SettingsError, match="for chain 7")
    household = Household(settings.model_copy(update={"invite": invited(chain)}))
    async with household.running(guest) as context:
        await eventually(lambda: seen(context))
    assert (tmp_path / "coordinator" / "invite.accepted").exists()


async def seen(context):
    return "round" in context.health.facts
