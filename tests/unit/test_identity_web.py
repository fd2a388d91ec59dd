"""The page's routes for the owner and for everybody: explanations, founder's settings, questions to the model."""

import re
import time

import pytest

from services.coordinator.invited import read
from services.identity.invite import addresses, draft, qr_svg, warnings
from services.identity.web import founder
from shared.errors import SettingsError
from shared.household import Pace, pace, put_bootnodes, put_hosted_peers, put_pace, put_service_state, put_swarm_state
from shared.names import name_of
from tests.identity_kit import (
    ME,
    OTHER,
    YOU,
    browser_of,
    chain_of,
    parts_of,
    recorded,
    reward,
    sampled,
    settings_of,
    sign_up,
    state_of,
    trained,
    vote,
)
from tests.invite_kit import invite_of, text_of

HOSTILE = "<script>alert(1)</script>\u202e<img src=x onerror=alert(1)>"
GROUPS = {"datasets": (HOSTILE[:60], "lcm"), "rewards": ((1.0, 0.0), (0.5, 0.5))}
MESSAGES = [
    trained(ME, 3, 0.5, **GROUPS),
    trained(ME, 4, 0.5),
    sampled(3, ME, HOSTILE, HOSTILE, question=HOSTILE, dataset=HOSTILE),
    recorded(reward(ME, 3, 500)),
    recorded(reward(OTHER, 3, 900)),
    recorded(vote(YOU, OTHER, peer=OTHER, number=3)),
]


@pytest.fixture
async def parts(tmp_path):
    made = parts_of(tmp_path, *MESSAGES)
    await put_hosted_peers(made.context.store, [ME])
    yield made
    made.accounts.close()


@pytest.fixture
async def client(parts):
    async with browser_of(parts) as found:
        yield found


@pytest.fixture
async def owner(client):
    client.headers["X-CSRF-Token"] = await sign_up(client)
    return client


async def test_the_page_has_no_inline_script_or_style(client, owner):
    for path in ("/", "/explain/3", "/swarm"):
        page = (await owner.get(path)).text
        assert "<style" not in page
        assert not re.search(r"<[^>]*\s(style|on\w+)=", page)
        assert all("src=" in tag.split(">")[0] for tag in page.split("<script")[1:])


async def test_the_box_to_ask_and_the_swarms_settings_are_the_owners(client):
    page = (await client.get("/")).text
    assert 'id="ask"' not in page
    assert 'href="/swarm"' not in page
    assert (await client.get("/swarm")).headers["location"] == "/login?next=%2Fswarm"
    assert (await client.post("/api/ask", json={"question": "?"})).status_code == 401
    await sign_up(client)
    page = (await client.get("/")).text
    assert 'id="ask"' in page
    assert 'href="/swarm"' in page


async def test_a_round_is_explained_to_people(client):
    page = (await client.get("/explain/3")).text
    for words in ("mean of 4 rewards", "0.5000", "500 points", "4 own and 4 question groups", "no, all alike"):
        assert words in page
    assert f"{name_of(YOU)}</a>, <a" in page
    assert "0x" + "a" * 64 in page
    assert "is no longer kept" in (await client.get("/explain/4")).text


async def test_strangers_text_is_text_in_an_explanation(client):
    page = (await client.get("/explain/3")).text
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "\u202e" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;�&lt;img" in page


async def test_a_round_is_explained_to_programs(client):
    told = (await client.get("/api/explain/3", params={"peer": OTHER})).json()
    assert [peer["points_on_chain"] for peer in told["peers"]] == [900]
    assert told["before"] is None
    assert told["after"] == 4


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/explain/99", 404, "Nothing is known of round 99"),
        (f"/explain/3?peer={'Z' * 30}", 200, "That peer took no part"),
        ("/explain?round=%3Cb%3E", 404, "&lt;b&gt;”"),
    ],
)
async def test_what_cannot_be_explained_is_said(client, path, status, words):
    answer = await client.get(path)
    assert answer.status_code == status
    assert words in answer.text


@pytest.mark.parametrize("path", ["/explain/-1", f"/explain/{2**63}", "/explain/3?peer=<b>", "/api/explain/x"])
async def test_what_is_no_round_or_no_peer_is_refused(client, path):
    assert (await client.get(path)).status_code == 422


@pytest.mark.parametrize(("given", "there"), [("4", "4"), ("1,234", "1234"), ("", "3"), (" 7 ", "7")])
async def test_the_form_leads_to_the_round(client, given, there):
    answer = await client.get("/explain", params={"round": given})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/explain/{there}")


async def test_before_anything_is_known_the_page_says_so(tmp_path):
    made = parts_of(tmp_path)
    async with browser_of(made) as client:
        answer = await client.get("/explain")
    made.accounts.close()
    assert (answer.status_code, "No round is known yet" in answer.text) == (404, True)


async def test_only_who_leads_decides_about_the_pace(parts, owner):
    csrf = {"csrf": owner.headers["X-CSRF-Token"]}
    assert "The chain has not been seen yet" in (await owner.get("/swarm")).text
    await put_swarm_state(parts.context.store, chain_of())
    assert "Another household leads the rounds" in (await owner.get("/swarm")).text
    assert (await owner.post("/swarm", data={"action": "pause", **csrf})).status_code == 409
    assert await pace(parts.context.store) == Pace()


@pytest.fixture
async def founded(parts, owner):
    """An owner whose household leads."""
    await put_swarm_state(parts.context.store, chain_of(leads=True, min_s=5.0, max_s=60.0, quorum=0.75))
    csrf = owner.headers.pop("X-CSRF-Token")

    async def send(**fields):
        return await owner.post("/swarm", data={"csrf": csrf, **fields})

    return send


async def test_the_founder_pauses_and_goes_on_without_losing_the_pace(parts, owner, founded):
    await put_pace(parts.context.store, Pace(min_s=7.0))
    answer = await founded(action="pause")
    assert (answer.status_code, answer.headers["location"]) == (303, "/swarm?saved=pause")
    assert await pace(parts.context.store) == Pace(paused=True, min_s=7.0)
    page = (await owner.get("/swarm?saved=pause")).text
    assert "Go on with rounds" in page
    assert 'value="7"' in page
    await founded(action="resume")
    assert await pace(parts.context.store) == Pace(min_s=7.0)


async def test_the_founder_sets_the_pace_and_an_empty_field_gives_it_back(parts, founded):
    await founded(action="pace", min_s="2.5", max_s="90", quorum="50")
    assert await pace(parts.context.store) == Pace(min_s=2.5, max_s=90.0, quorum=0.5)
    await founded(action="pace", max_s="90")
    assert await pace(parts.context.store) == Pace(max_s=90.0)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"min_s": "fast"}, "are numbers"),
        ({"min_s": "nan"}, founder.WRONG["min_s"]),
        ({"max_s": "0"}, founder.WRONG["max_s"]),
        ({"max_s": "1e300"}, founder.WRONG["max_s"]),
        ({"quorum": "101"}, founder.WRONG["quorum"]),
        ({"min_s": "9", "max_s": "8"}, "longer than the longest"),
    ],
)
async def test_a_wrong_pace_is_explained_and_what_was_typed_is_kept(parts, founded, fields, words):
    answer = await founded(action="pace", **fields)
    assert (answer.status_code, words in answer.text) == (422, True)
    assert f'value="{next(iter(fields.values()))}"' in answer.text
    assert await pace(parts.context.store) == Pace()


async def test_without_the_sessions_token_nothing_changes(parts, owner, founded):
    for fields in ({"action": "pause"}, {"action": "pause", "csrf": "x" * 43}):
        assert (await owner.post("/swarm", data=fields)).status_code == 403
    assert (await owner.post("/api/ask", json={"question": "?"})).status_code == 403
    assert await pace(parts.context.store) == Pace()


FAR = f"/dns4/hive.example/tcp/1/p2p/{ME}"
NEAR = f"/ip4/127.0.0.1/tcp/1/p2p/{ME}"


@pytest.fixture
async def owned(parts, owner):
    """An owner whose household owns the contract and has its key at hand."""
    account = parts.accounts.vault.address
    await put_swarm_state(parts.context.store, chain_of(owns=True, account=account, chain_id=7))
    await put_service_state(parts.context.store, state_of("p2p", facts={"addresses": f"{NEAR} {FAR}"}))
    return owner


def shown_invite(page):
    """The invite on the page, as whoever is invited reads it."""
    return read(re.search(r"rlswarm1\.[\w.-]+", page)[0], time.time())


async def test_the_owner_hands_out_one_line_that_says_it_all_signed_by_the_founder(parts, owned):
    page = (await owned.get("/swarm")).text
    invite = shown_invite(page)
    assert (invite.swarm, invite.chain_id, invite.contract) == ("meadow", 7, "0x" + "c" * 40)
    assert (invite.founder, invite.peers) == (parts.accounts.vault.address, (FAR,))
    assert (invite.game, invite.mix) == ("answer", "easy")
    assert 30 < (invite.expires - time.time()) / 86_400 <= 31
    assert "rlswarm join" in page
    assert "docker compose --profile cpu up -d" in page
    code = await owned.get("/swarm/invite.svg")
    assert code.headers["content-type"] == "image/svg+xml"
    assert b"style" not in code.content


async def test_the_owner_chooses_for_how_long_an_invite_is_good(owned):
    page = (await owned.get("/swarm", params={"days": 7})).text
    assert 7 < (shown_invite(page).expires - time.time()) / 86_400 <= 8
    assert "/swarm/invite.svg?days=7" in page
    for days in ("0", "366", "many"):
        assert (await owned.get("/swarm", params={"days": days})).status_code == 422


async def test_before_there_can_be_an_invite_the_page_says_why(parts, owner):
    store, account = parts.context.store, parts.accounts.vault.address
    assert "The chain has not been seen yet" in (await owner.get("/swarm")).text
    assert (await owner.get("/swarm/invite.svg")).status_code == 404
    await put_swarm_state(store, chain_of(account=account))
    assert "This household does not own the swarm&#39;s contract" in (await owner.get("/swarm")).text
    await put_swarm_state(store, chain_of(account=account, owns=True, ledger=True))
    assert "runs from a ledger on this machine" in (await owner.get("/swarm")).text
    await put_swarm_state(store, chain_of(account=account, owns=True))
    assert "No address of a peer is known yet" in (await owner.get("/swarm")).text
    await put_bootnodes(store, [FAR, "/ip4/1.2.3.4/udp/no"])
    assert shown_invite((await owner.get("/swarm")).text).peers == (FAR,)


def warned(settings, **changes):
    return " ".join(warnings(invite_of(**changes), settings))


def test_who_invites_is_warned_of_what_others_cannot_reach_or_do_not_have(tmp_path):
    settings = settings_of(tmp_path, "plays=my.games:Chess")
    assert warned(settings) == ""
    assert "those who join set CHAIN_URL" in warned(settings, chain_url=None)
    for here in ("http://127.0.0.1:8545", "http://localhost:8545", "http://[::1]:8545"):
        assert f"{here}, is reached from this machine only" in warned(settings, chain_url=here)
    assert "P2P_ANNOUNCE_HOST" in warned(settings, peers=(NEAR,))
    assert "my.games:Chess is of your own" in warned(settings, game=None)


def test_an_invite_tells_the_chains_address_for_others_and_no_game_of_ones_own(tmp_path):
    chain = chain_of(owns=True, account="0x" + "d" * 40)
    told = draft(
        settings_of(tmp_path, "plays=/plugins/chess.py:Chess", "chain_url=http://10.0.0.1:8545"), chain, [FAR], 1
    )
    assert (told.chain_url, told.game, told.mix) == ("http://10.0.0.1:8545", None, "easy")
    other = settings_of(tmp_path, "chain_url=http://10.0.0.1:8545", "invite_chain_url=https://rpc.example/key")
    assert draft(other, chain, [FAR], 1).chain_url == "https://rpc.example/key"
    assert draft(settings_of(tmp_path, "chain_url=http://x/$y"), chain, [FAR], 1).chain_url is None
    assert (told.market, draft(other, chain, [FAR], 1, "0x" + "d" * 40).market) == (None, "0x" + "d" * 40)


async def test_who_was_invited_may_pass_the_invite_on(tmp_path):
    text = text_of(invite_of())
    made = parts_of(tmp_path, changes=(f"invite={text}",))
    async with browser_of(made) as client:
        await sign_up(client)
        page = (await client.get("/swarm")).text
    made.accounts.close()
    assert text in page
    assert "This household joined by this line" in page


def test_addresses_of_this_machine_are_told_where_there_is_no_other():
    told = state_of("p2p", facts={"addresses": NEAR})
    assert addresses([told, state_of("judge")]) == [NEAR]


def test_the_longest_invite_has_a_code():
    peers = tuple(f"/dns4/{'a' * 150}{n}/tcp/38331/p2p/Qm{'a' * 44}" for n in range(4))
    assert qr_svg(text_of(invite_of(peers=peers, chain_url="https://" + "a" * 200))).startswith(b"<svg")
    with pytest.raises(ValueError, match="too large"):
        qr_svg("x" * 4_000)


@pytest.mark.parametrize(
    "wrong", ["javascript:alert({hash})", "https://scan/tx/", "ftp://scan/{hash}", 'https://x"/{hash}']
)
def test_an_explorer_is_a_web_address_with_a_place_for_the_hash(tmp_path, monkeypatch, wrong):
    monkeypatch.setenv("EXPLORER_URL", wrong)
    with pytest.raises(SettingsError, match="EXPLORER_URL"):
        settings_of(tmp_path)
    monkeypatch.setenv("EXPLORER_URL", "https://scan/tx/{hash}")
    assert settings_of(tmp_path).explorer == "https://scan/tx/{hash}"
