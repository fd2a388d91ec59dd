"""What of an owner's calls the household's key signs."""

import pytest
from eth_abi.abi import encode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from services.coordinator.chain import ROLES as NAMES
from services.coordinator.owned import SET_RULES
from services.identity.signing.heir import FILE, forget_heir, name_heir, named_heir
from services.identity.signing.owner import MAX_LISTED, OWNER_CALLS, ROLES, Heir, refusal
from services.identity.signing.policy import Refused, check
from tests.unit.test_signing_policy import US, rules, transaction

HEIR = to_checksum_address("0x" + "ab" * 20)
OTHER = to_checksum_address("0x" + "cd" * 20)
OWNER, STAGES, BOOTNODES = (keccak(text=name) for name in ("OWNER_ROLE", "STAGE_MANAGER_ROLE", "BOOTNODE_MANAGER_ROLE"))
LISTED, GRANT, REVOKE = "setListed(address[],bool)", "grantRole(bytes32,address)", "revokeRole(bytes32,address)"
STAYS, LEAVES = Heir(HEIR, leave=False), Heir(HEIR, leave=True)


def asked(name, *values, heir=None):
    """Why the call is refused; None: it is signed."""
    data = "0x" + (keccak(text=name)[:4] + encode(OWNER_CALLS[name], values)).hex()
    try:
        assert check([transaction(data=data)], rules(heir=heir)) == [name]
    except Refused as refused:
        return str(refused)
    return None


def test_lists_rules_and_bootnodes_are_signed_for_an_owner():
    assert asked(LISTED, [HEIR, OTHER], True) is None
    assert asked(LISTED, [HEIR], False) is None
    assert asked(SET_RULES, (True, False, True, 8, 0, 10**9)) is None
    assert asked("removeBootnode(uint256)", 3) is None


@pytest.mark.parametrize("accounts", [[], [HEIR] * (MAX_LISTED + 1)])
def test_a_list_of_none_or_of_too_many_is_refused(accounts):
    assert "1 to 100 are listed in one call" in asked(LISTED, accounts, True)


def test_arguments_that_could_be_read_in_two_ways_are_refused():
    good = encode(OWNER_CALLS[LISTED], [[HEIR], True])
    assert refusal(LISTED, good, US, None) == ""
    for bad, why in ((good + b"\x00" * 32, "not written"), (good[:-1], "cannot be read"), (b"", "cannot be read")):
        assert why in refusal(LISTED, bad, US, None)
    assert "cannot be read" in refusal(SET_RULES, b"\xff" * 192, US, None)


def test_roles_go_to_the_heir_that_was_named_and_to_nobody_else():
    for role in (OWNER, STAGES, BOOTNODES):
        assert "hands over to nobody" in asked(GRANT, role, HEIR)
        assert asked(GRANT, role, HEIR, heir=STAYS) is None
        assert "not the heir" in asked(GRANT, role, OTHER, heir=LEAVES)
    assert "none of the contract's" in asked(GRANT, b"\x01" * 32, HEIR, heir=STAYS)


def test_our_own_roles_go_only_as_far_as_the_owner_said():
    assert "hands over to nobody" in asked(REVOKE, OWNER, US)
    assert asked(REVOKE, STAGES, US, heir=STAYS) is None
    for role in (OWNER, BOOTNODES):
        assert "the owner keeps" in asked(REVOKE, role, US, heir=STAYS)
        assert asked(REVOKE, role, US, heir=LEAVES) is None
    assert "from ourselves only" in asked(REVOKE, OWNER, OTHER, heir=LEAVES)
    assert "the owner keeps" in asked(REVOKE, OWNER, US, heir=Heir(US, leave=True))


def test_coordinator_and_identity_speak_of_the_same_calls_and_roles():
    assert SET_RULES in OWNER_CALLS
    assert set(ROLES.values()) == set(NAMES)


def test_a_named_heir_is_for_identity_alone_and_good_for_some_minutes(tmp_path):
    assert named_heir(tmp_path, 1_000.0) is None
    name_heir(tmp_path, LEAVES, 1_000.0)
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert named_heir(tmp_path, 1_500.0) == LEAVES
    assert named_heir(tmp_path, 1_600.0) is None
    assert named_heir(tmp_path, 900.0) is None  # the clock went back: nobody knows how old it is
    (tmp_path / FILE).write_text("{}")
    assert named_heir(tmp_path, 1_500.0) is None
    forget_heir(tmp_path)
    forget_heir(tmp_path)
    assert list(tmp_path.iterdir()) == []
