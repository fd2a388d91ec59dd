import pytest

from services.local.history import History, Reader
from services.local.summary import summarize, without_secrets
from shared.household import SwarmState
from shared.messages import Attempt, Exchanged, Registration, Reward, Sampled, Settled, Trained, Winners
from shared.names import name_of
from shared.queue.memory import MemoryQueue
from shared.streams import EVENTS, LEDGER

A, B = "Qm" + "a" * 44, "Qm" + "b" * 44
CHAIN = SwarmState(
    chain_id=685685,
    contract="0xc",
    account="0xa",
    block=9,
    round=12,
    stage=0,
    registered_peers=2,
    rewards_settled=24,
    winners_settled=1,
    finished=True,
)


def trained(peer, number, reward=0.5, external=4):
    return Trained(
        at=100.0 + number,
        peer_id=peer,
        round=number,
        stage=0,
        mean_reward=reward,
        loss=0.1,
        gradient_norm=1.0,
        local_groups=4,
        external_groups=external,
        completion_tokens=10,
        seconds={"generate": 0.1},
        seen_peers=1,
    )


def settled(submission, outcome="landed", block=5):
    return Settled(submission=submission, outcome=outcome, transaction="0xt", block=block)


def rewarded(peer, number, points):
    return settled(Reward(peer_id=peer, round=number, stage=0, points=points))


def exchanged(number, rejected):
    return Exchanged(at=1.0, round=number, bytes_sent=1, bytes_received=1, accepted=1, rejected=rejected)


def history_of(*messages):
    history = History()
    for message in messages:
        history.add(message)
    return history


def summary_of(*messages, chain=CHAIN, url="http://127.0.0.1:8545"):
    return summarize(history_of(*messages), seconds=12.34, restarts=2, chain=chain, chain_url=url)


def test_the_file_has_exactly_these_keys():
    assert list(summary_of().model_dump()) == [
        "rounds",
        "seconds",
        "peers",
        "reward_first10",
        "reward_last10",
        "external_groups_trained",
        "rewards_on_chain",
        "winners_on_chain",
        "records_rejected",
        "restarts",
        "contract",
        "chain_url",
        "chain_id",
        "rewards",
    ]


def test_an_empty_run_has_no_reward():
    summary = summary_of(chain=None)
    assert (summary.reward_first10, summary.reward_last10, summary.contract, summary.chain_id) == (None,) * 4
    assert (summary.rounds, summary.peers, summary.restarts, summary.seconds) == (0, 0, 2, 12.3)


def test_rewards_are_means_over_peers_and_the_first_and_last_ten_rounds():
    messages = [
        rewarded(peer, number, number * 100 + extra) for number in range(12) for peer, extra in ((A, 0), (B, 50))
    ]
    summary = summary_of(*messages)
    assert summary.reward_first10 == pytest.approx(0.475)
    assert summary.reward_last10 == pytest.approx(0.675)
    assert summary.rewards_on_chain == 24


def test_a_message_delivered_twice_counts_once():
    messages = [trained(A, 1), rewarded(A, 1, 500), exchanged(1, {"size": 2, "schema": 1})]
    summary = summary_of(*messages, *messages)
    assert (summary.rounds, summary.external_groups_trained, summary.rewards_on_chain) == (1, 4, 1)
    assert summary.records_rejected == 3


def test_what_the_chain_refused_does_not_count():
    refused = settled(Reward(peer_id=A, round=1, stage=0, points=1), outcome="refused", block=None)
    assert summary_of(refused).rewards_on_chain == 0


def test_votes_and_peers_are_counted():
    vote = settled(Winners(peer_id=A, round=1, winners=(B,)))
    summary = summary_of(vote, settled(Registration(peer_id=B)), trained(A, 1))
    assert (summary.winners_on_chain, summary.rewards_on_chain, summary.peers) == (1, 0, 2)


def test_every_reward_can_be_looked_up_on_the_chain():
    (reward,) = summary_of(rewarded(A, 3, 250)).rewards
    assert reward.model_dump() == {
        "peer": A,
        "name": name_of(A),
        "round": 3,
        "points": 250,
        "transaction": "0xt",
        "block": 5,
    }


def test_a_providers_key_is_not_written_down():
    assert without_secrets("https://me:pw@rpc.example.org:8545/v3/key?x=1") == "https://rpc.example.org:8545"
    assert summary_of(url="http://127.0.0.1:8545").chain_url == "http://127.0.0.1:8545"


async def test_the_reader_folds_both_streams_and_reads_each_entry_once():
    queue = MemoryQueue()
    reader = Reader(queue)
    await queue.publish(LEDGER, rewarded(A, 1, 100))
    await queue.publish(EVENTS, trained(A, 1))
    shown = (Attempt(text="c", reward=0),)
    sampled = Sampled(at=1, peer_id=A, author=A, round=1, dataset="d", question="q", answer=None, attempts=shown)
    await queue.publish(EVENTS, sampled)
    await reader.catch_up()
    await queue.publish(EVENTS, trained(A, 2))
    await reader.catch_up()
    assert len(reader.history.trained) == 2
    assert len(reader.history.landed) == 1
