"""A round of a stock RL Swarm node, by GenRL's own parts: run with a Python that has gensyn-genrl, of any version.

    python stock_node.py ROUND MULTIADDRESS

It asks two questions and gathers what the swarm has; then it tells as JSON who it is, the value that it stored, and
what it heard and how it scores that. It stays in the DHT until its stdin ends.
"""

import json
import sys
import tempfile

import hivemind
import msgpack
from hivemind.utils import get_dht_time

hivemind.get_dht_time = get_dht_time  # GenRL looks for it here, where newer versions do not have it
from genrl.communication.hivemind import hivemind_backend  # noqa: E402
from genrl.examples.rgym.data import ReasoningGymDataManager  # noqa: E402
from genrl.examples.rgym.reward_utils import accuracy_reward  # noqa: E402
from genrl.state import GameState  # noqa: E402

MIX = """size: 1000
seed: 42
datasets:
  - {name: propositional_logic, weight: 7, config: {}}
  - {name: calendar_arithmetic, weight: 6, config: {}}
  - {name: decimal_arithmetic, weight: 5, config: {}}
  - {name: base_conversion, weight: 4, config: {}}
  - {name: fraction_simplification, weight: 4, config: {}}
  - {name: basic_arithmetic, weight: 2, config: {}}
"""


def sampled(agent):
    """What a node has to tell after its first stage: two questions, two completions each."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(MIX)
        file.flush()
        data = ReasoningGymDataManager(file.name, num_train_samples=2, num_evaluation_samples=0, seed=42)
    state = GameState(round=0, stage=0)
    state._init_game(data.get_round_data(), agent_keys=[agent])
    for tree in state.trees[agent].values():
        tree.append_node_actions(stage=0, node_idx=0, actions=["<answer>no</answer>", "no idea"])
    return state.get_latest_communication()[agent]


def value_of(told):
    """The bytes that `all_gather_object` stores."""
    if hasattr(hivemind_backend, "to_bytes"):
        return hivemind_backend.to_bytes(told)
    return msgpack.Packer(use_bin_type=True, default=hivemind_backend._msgpack_encode).pack(told)


def scored(payload):
    """A payload of somebody else, as this node understands it."""
    asked = payload.world_state.environment_states
    scores = accuracy_reward(payload.actions, asked["answer"], asked["metadata"])
    return {"question": asked["question"], "actions": payload.actions, "scores": scores, "metadata": payload.metadata}


def take_part(round_number, address):
    """One round."""
    backend = hivemind_backend.HivemindBackend(initial_peers=[address], beam_size=50, startup_timeout=30)
    mine = sampled(backend.get_id())
    backend.step_ = round_number
    swarm = backend.all_gather_object(mine)
    # 0.3.0 takes what 0.1.x wrote for the number 0.
    others = {peer: told for peer, told in swarm.items() if peer != backend.get_id() and isinstance(told, dict)}
    heard = {
        peer: {batch: [scored(one) for one in payloads] for batch, payloads in batches.items()}
        for peer, batches in others.items()
    }
    told = {"peer": backend.get_id(), "value": value_of(mine).hex(), "heard": heard}
    print(json.dumps(told), flush=True)
    sys.stdin.read()
    backend.dht.shutdown()


if __name__ == "__main__":
    take_part(int(sys.argv[1]), sys.argv[2])
