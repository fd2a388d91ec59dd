"""What the live page knows and shows, without a browser: the fold, the lines, the sections, the board."""

import asyncio
import json
import random
import socket
import subprocess
import sys
from itertools import pairwise

import pytest
from fastapi.testclient import TestClient

from services.identity import live
from services.identity.app import MAX_VIEWERS, build_app
from services.identity.board import Board
from services.identity.live import View, apply
from services.identity.sections import LONGEST, sections
from services.identity.series import BARS, POINTS, SPARK, pace, rewards, smooth, spark, thin, width
from services.identity.server import listen
from services.identity.tail import step
from shared.errors import SwarmError
from shared.household import ServiceState, SwarmState
from shared.messages import Exchanged, Judged, Registration, Reward, Round, Sampled, Settled, Trained, Winners
from shared.names import name_of
from shared.queue.memory import MemoryQueue
from shared.streams import EVENTS

ME, YOU, OTHER = (letter * 30 for letter in "ABC")


def trained(peer=ME, number=1, reward=0.5, **changes):
    base = {
        "at": 100.0 + number,
        "peer_id": peer,
        "round": number,
        "stage": 0,
        "mean_reward": reward,
        "loss": 0.1,
        "gradient_norm": 1.0,
        "local_groups": 4,
        "external_groups": 4,
        "completion_tokens": 100,
        "seconds": {"generate": 1.0, "update": 2.0},
        "seen_peers": 3,
    }
    return Trained(**base | changes)


def sampled(number=1, peer=ME, text="<answer>1</answer>", answer="1"):
    return Sampled(
        at=1.0, peer_id=peer, round=number, dataset="lcm", question="?", answer=answer, completion=text, reward=1.0
    )


def exchanged(number=1, **rejected):
    return Exchanged(at=1.0, round=number, bytes_sent=10, bytes_received=20, accepted=2, rejected=rejected)


def landed(submission):
    return Settled(submission=submission, outcome="landed", transaction="0xab", block=9)


def refused(submission, reason="InvalidVote"):
    return Settled(submission=submission, outcome="refused", transaction=None, block=None, reason=reason)


def reward(peer=ME, number=1, points=500):
    return Reward(peer_id=peer, round=number, stage=0, points=points)


def vote(*winners, peer=ME, number=1):
    return Winners(peer_id=peer, round=number, winners=winners)


def view_of(*messages):
    view = View()
    for message in messages:
        apply(view, message)
    return view


def content(view):
    return sections(view, states=[], chain=None, hosted=[])


EVERYTHING = [
    Round(number=2, stage=0, opened_at=10.0, deadline=70.0),
    trained(ME, 1),
    trained(YOU, 1, 0.7),
    trained(ME, 2, 0.9),
    sampled(1),
    Judged(at=5.0, peer_id=ME, round=1, score=0.25),
    exchanged(1, late=2),
    landed(Registration(peer_id=ME)),
    landed(reward(ME, 1)),
    landed(vote(ME, OTHER)),
    refused(reward(YOU, 1)),
]


def test_a_message_that_comes_twice_changes_nothing():
    assert content(view_of(*EVERYTHING, *EVERYTHING)) == content(view_of(*EVERYTHING))


def test_numbers_do_not_depend_on_the_order_in_which_streams_are_read():
    shuffled = random.Random(3).sample(EVERYTHING, len(EVERYTHING))
    one, other = content(view_of(*EVERYTHING)), content(view_of(*shuffled))
    assert sorted(one.pop("peers"), key=str) != []
    for name in ("rewards", "pace", "network", "summary", "round", "elsewhere"):
        assert one[name] == other[name]


def test_rewards_and_votes_count_once_they_have_landed():
    view = view_of(landed(reward(ME, 1, 500)), landed(reward(ME, 2, -100)), landed(vote(ME, YOU)), refused(reward(YOU)))
    assert view.peers[ME].points == view.ledger.points == 400
    assert (view.peers[ME].wins, view.peers[YOU].wins) == (1, 1)
    assert view.ledger.landed == {"reward": 2, "winners": 1}
    assert view.ledger.refused == {"InvalidVote": 1}


def test_a_refusal_without_a_reason_is_still_counted():
    assert view_of(refused(vote(YOU), reason="")).ledger.refused == {"unknown": 1}


def test_the_later_rollout_of_a_round_replaces_the_earlier_and_goes_to_the_end():
    view = view_of(sampled(1, ME, "old"), sampled(1, YOU), sampled(1, ME, "new"))
    assert [sample.completion for sample in view.samples.values()] == ["<answer>1</answer>", "new"]


def test_the_judges_latest_score_stays_whatever_comes_after():
    late, early = (Judged(at=at, peer_id=ME, round=1, score=score) for at, score in ((9.0, 1.0), (1.0, 0.0)))
    assert view_of(late, early).peers[ME].judged == late


def test_everything_is_bounded(monkeypatch):
    for name in (
        "MAX_PEERS",
        "MAX_STEPS",
        "MAX_SAMPLES",
        "MAX_TRANSACTIONS",
        "MAX_EXCHANGES",
        "MAX_KEYS",
        "MAX_REASONS",
    ):
        monkeypatch.setattr(live, name, 3)
    view = View()
    for number in range(1, 20):
        peer = "123456789ABCDEFGHJKLMN"[number] * 30
        for message in (
            trained(ME, number),
            trained(peer, number),
            sampled(number),
            landed(reward(peer, number)),
            refused(vote(ME, number=number), f"reason{number}"),
            exchanged(number, **{f"why{number}": 1}),
        ):
            apply(view, message)
    ledger, network = view.ledger, view.network
    bounded = (view.peers, view.peers[ME].steps, view.samples, ledger.transactions, ledger.seen, network.seen)
    assert [len(one) for one in bounded] == [3] * len(bounded)
    assert ledger.refused == {"reason1": 1, "reason2": 1, "reason3": 1, "other": 16}
    assert network.rejected["other"] == 16
    assert network.rounds == 19


def test_at_the_bound_the_peer_that_was_silent_for_longest_goes(monkeypatch):
    monkeypatch.setattr(live, "MAX_PEERS", 2)
    assert set(view_of(trained(ME, 5), landed(vote(OTHER)), trained(YOU, 4)).peers) == {ME, YOU}


def test_smoothing_starts_at_the_first_value_and_keeps_a_constant():
    assert smooth([0.5] * 4, 9) == pytest.approx([0.5] * 4)
    line = smooth([0.0, 1.0, 0.0, 1.0], 3)
    assert line[0] == 0
    assert all(abs(b - a) < 1 for a, b in pairwise(line))
    assert smooth([], 3) == []


def test_thinning_takes_means_of_whole_bins():
    assert thin({1: 1.0, 2: 3.0, 3: 5.0, 7: 7.0}, 2) == {0: 1.0, 2: 4.0, 6: 7.0}
    assert width([]) == width([5]) == 1
    assert width(range(481), 240) == 3


def test_a_peer_that_missed_a_round_has_a_gap_there():
    chart = rewards(view_of(trained(ME, 1, 0.2), trained(ME, 2, 0.4), trained(YOU, 2, 0.6)).peers)
    assert chart == {"rounds": [1, 2], "mean": [0.2, 0.5], "lines": {ME: [0.2, 0.4], YOU: [None, 0.6]}}


def test_a_long_history_fits_on_a_screen():
    view = view_of(*(trained(peer, number) for number in range(1_500) for peer in (ME, YOU)))
    chart = rewards(view.peers)
    assert len(chart["rounds"]) == len(chart["mean"]) == len(chart["lines"][ME]) <= POINTS + 1
    assert pace(view.peers)["rounds"] == list(range(1_500))[-BARS:]
    assert len(spark(view.peers[ME])) <= SPARK + 1


def test_bars_are_means_over_the_peers_of_a_round():
    bars = pace(view_of(trained(ME, 1), trained(YOU, 1, external_groups=0, seconds={"generate": 3.0})).peers)
    assert bars["seconds"] == {"generate": [2.0], "exchange": [0.0], "update": [1.0], "checkpoint": [0.0]}
    assert bars["groups"] == {"local": [4.0], "external": [2.0]}


def test_an_empty_view_has_every_section_and_says_nothing_false():
    empty = content(View())
    assert (empty["round"], empty["peers"], empty["samples"]) == (None, [], [])
    assert empty["summary"]["mean"] is empty["summary"]["share"] is empty["summary"]["heard"] is None
    assert empty["chain"] == {"state": None, "refused": {}, "transactions": []}
    json.dumps(empty)


def test_a_hosted_peer_is_shown_before_its_first_round_and_others_only_for_their_votes():
    view = view_of(trained(YOU, 1), landed(vote(OTHER)))
    shown = sections(view, states=[], chain=None, hosted=[ME])
    assert [(row["id"], row["name"], row["reward"]) for row in shown["peers"]] == [
        (ME, name_of(ME), None),
        (YOU, name_of(YOU), 0.5),
    ]
    assert shown["elsewhere"] == {"count": 1, "rows": [{"id": OTHER, "name": name_of(OTHER), "wins": 1}]}


def test_the_share_of_others_is_that_of_their_groups():
    view = view_of(trained(ME, 1, external_groups=0), trained(ME, 2, local_groups=2, external_groups=2))
    assert content(view)["peers"][0]["share"] == 0.25
    none = view_of(trained(ME, 1, local_groups=0, external_groups=0))
    assert content(none)["peers"][0]["share"] is None


def test_the_chain_and_the_services_are_shown_as_they_say():
    chain = SwarmState(
        chain_id=1,
        contract="0x1",
        account="0x2",
        block=3,
        round=4,
        stage=0,
        registered_peers=1,
        rewards_settled=77,
        winners_settled=8,
        finished=False,
    )
    state = ServiceState(
        service="p2p", instance="one", pid=1, port=2, at=3.0, status="ok", progress_age_s=1.0, degraded={}, facts={}
    )
    shown = sections(view_of(landed(vote(ME, YOU))), states=[state], chain=chain, hosted=[])
    assert (shown["summary"]["settled"], shown["summary"]["winners"]) == (77, 8)
    assert shown["services"] == [{"service": "p2p", "instance": "one", "status": "ok", "degraded": {}}]
    (transaction,) = shown["chain"]["transactions"]
    assert (transaction["kind"], transaction["winners"], transaction["points"]) == ("winners", 2, None)


def test_a_long_completion_is_shown_with_its_end_where_the_answer_is():
    shown = content(view_of(sampled(text="x" * 19_000 + "<answer>1</answer>", answer=None)))["samples"][0]
    assert len(shown["completion"]) < LONGEST + 20
    assert shown["completion"].endswith("<answer>1</answer>")
    assert shown["answer"] is None


async def events(board, number):
    """The first events a new follower gets."""
    found = []
    async for text in board.follow():
        if text.startswith("data: "):
            found.append(json.loads(text[6:]))
        if len(found) == number:
            return found
    return found


async def test_a_follower_gets_everything_and_then_what_changed():
    board = Board(clock=lambda: 5.0)
    board.show({"a": 1, "b": [1]})
    following = asyncio.create_task(events(board, 2))
    await asyncio.sleep(0.01)
    board.show({"a": 1, "b": [1]})
    board.show({"a": 1, "b": [2]})
    assert await following == [{"now": 5.0, "a": 1, "b": [1]}, {"now": 5.0, "b": [2]}]
    assert json.loads(board.snapshot()) == {"now": 5.0, "a": 1, "b": [2]}


async def test_when_nothing_changes_a_heartbeat_comes(monkeypatch):
    monkeypatch.setattr("services.identity.board.HEARTBEAT_S", 0.01)
    board = Board(clock=lambda: 5.0)
    board.show({"a": 1})
    assert (await events(board, 3))[1:] == [{"now": 5.0}, {"now": 5.0}]


async def test_followers_are_counted_and_end_when_the_board_closes():
    board = Board()
    following = [asyncio.create_task(events(board, 9)) for _ in range(3)]
    await asyncio.sleep(0.01)
    assert board.followers == 3
    board.close()
    await asyncio.wait_for(asyncio.gather(*following), 1)
    assert board.followers == 0


async def test_a_line_break_in_a_text_does_not_break_the_event():
    board = Board(clock=lambda: 5.0)
    board.show({"a": "x\n\ndata: y\r\u2028"})
    assert (await events(board, 1))[0]["a"] == "x\n\ndata: y\r\u2028"


def test_at_the_bound_of_followers_another_is_told_to_come_back():
    board = Board()
    client = TestClient(build_app("home", board))
    board.followers = MAX_VIEWERS
    answer = client.get("/api/live/events")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")


def test_the_swarms_name_is_escaped_in_the_page():
    page = TestClient(build_app("<b>home</b>", Board())).get("/").text
    assert "&lt;b&gt;home" in page
    assert "<b>home" not in page


def test_the_page_has_no_inline_script_or_style():
    page = TestClient(build_app("home", Board())).get("/").text
    assert "<style" not in page
    assert " style=" not in page
    assert all("src=" in tag.split(">")[0] for tag in page.split("<script")[1:])


def test_a_taken_port_is_one_line_that_names_the_variable():
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SwarmError, match="set IDENTITY_PORT"):
        listen("127.0.0.1", taken.getsockname()[1], "IDENTITY_PORT")


def test_identity_imports_nothing_of_the_heavy_kind():
    heavy = "{'torch', 'web3', 'hivemind', 'reasoning_gym'}"
    code = f"import services.identity.service, sys; print(*{heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True)
    assert done.stdout.strip() == ""


async def test_the_tail_goes_on_where_it_was():
    queue, view = MemoryQueue(), View()
    await queue.publish(EVENTS, trained(ME, 1))
    cursor, found = await step(queue, EVENTS, "0", view)
    assert found
    await queue.publish(EVENTS, trained(ME, 2))
    cursor, _ = await step(queue, EVENTS, cursor, view)
    assert (view.version, list(view.peers[ME].steps)) == (2, [1, 2])
