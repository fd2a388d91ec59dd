"""The text of a model card, section by section. Pure: facts in, Markdown out."""

from __future__ import annotations

from services.publisher.evaluation import ALL, Estimate
from services.publisher.facts import Facts
from services.publisher.names import BUILT_IN, short
from services.publisher.tables import table
from shared.names import name_of

NAMED = 12  # peers in the table
SHOWN = (
    ("learning_rate", "learning rate (AdamW)"), ("weight_decay", "weight decay"),
    ("max_gradient_norm", "gradient norm, clipped at"), ("loss", "loss"), ("epsilon", "clipped below, epsilon"),
    ("epsilon_high", "clipped above, epsilon_high"), ("beta", "KL weight, beta"),
    ("scale_rewards", "advantages divided by the deviation of"), ("iterations", "updates on one batch"),
    ("local_groups", "own question groups of a batch, I"), ("external_groups", "peers' question groups of a batch, J"),
    ("pick", "how they are picked"),
)  # fmt: skip
SAMPLED = (
    ("name", "game"), ("completions", "answers to a question, G"), ("max_new_tokens", "tokens of an answer, at most"),
    ("temperature", "temperature"), ("top_k", "top-k (0: off)"), ("top_p", "top-p (1: off)"),
)  # fmt: skip


def introduction(facts: Facts) -> str:
    """What this is, in two sentences."""
    name, standing = facts.repository.rpartition("/")[2], facts.standing
    base = f"[{facts.base}](https://huggingface.co/{facts.base})" if facts.base else _unnamed_base(facts)
    if facts.merged:
        listed = ", ".join(f"`{one}`" for one in facts.merged)
        made = (
            f"The weights are made of those of the peers {listed} of the swarm `{facts.swarm}`, which were all trained "
            f"from one model ({base}). The settings below are those of the best."
        )
    else:
        made = (
            f"{base}, trained by reinforcement learning with GRPO (Group Relative Policy Optimization) on tasks whose "
            f"answers can be checked, by the peer **{name_of(facts.peer)}** of the swarm `{facts.swarm}`. These are "
            f"its weights after {_round(standing.round)}, {standing.lineage.updates} updates."
        )
    who = "" if facts.merged else f"I am {name_of(facts.peer)}. "
    return f"# {name}\n\n{who}{made}"


def evaluation(facts: Facts) -> str:
    """Marks before and after, with intervals."""
    found = facts.evaluation
    if found is None:
        return f"## Evaluation\n\nNot evaluated: {facts.not_evaluated}."
    rows: list[list[str]] = []
    for name, line in found.after.items():
        cells = [f"{'**all**' if name == ALL else name} ({line.questions})"]
        for lines in (found.before, found.after):
            if name in lines:
                cells += [_estimate(lines[name].pass_at_1), _estimate(lines[name].mean_at_k)]
        rows.append([*cells, *([_estimate(found.gain[name], "+")] if name in found.gain else [])])
    k, twice = f"mean@{found.samples}", bool(found.before)
    head = ["set (questions)", *(["pass@1 before", f"{k} before", "pass@1", k, "gain"] if twice else ["pass@1", k])]
    return f"""## Evaluation

On held-out questions of the mix `{short(found.mix)}`: questions that no training of the swarm asks (seed {found.seed}).

{table(head, rows)}

pass@1: share of the questions whose one greedy answer is fully right, with Wilson's interval. {k}: mean reward (0 to 1)
of {found.samples} answers drawn as in training, bootstrap over the questions. gain: how much that grew from the base
model (`before`), on the same questions. All intervals are of 95 %; the figures are those of the published weights."""


def training(facts: Facts) -> str:
    """Data, settings, curves."""
    origin = facts.origin
    total = sum(task["weight"] for task in origin.data["datasets"])
    sets = [[task["name"], f"{task['weight'] / total:.1%}", _settings(task)] for task in origin.data["datasets"]]
    told = [(title, origin.learner.get(name)) for name, title in SHOWN]
    told += [(title, origin.game.get(name)) for name, title in SAMPLED]
    told += [("questions asked in a round", origin.questions), ("seed", origin.seed)]
    rows = [[title, str(value)] for title, value in told if value is not None]
    curves = f"![rewards, loss and completion length by round]({facts.plot})" if facts.plot else facts.not_plotted
    return (
        f"## Training\n\nQuestions: the mix `{short(origin.data['name'])}`, of generators of "
        "[reasoning-gym](https://github.com/open-thought/reasoning-gym), or of files where the table says so.\n\n"
        f"{table(['set', 'share of the questions', 'settings other than its defaults'], sets)}\n\n{curves}\n\n"
        f"{table(['setting', 'value'], rows)}\n\n"
        f"The trained weights and the optimizer's state are float32; the published ones are {facts.dtype}."
    )


def provenance(facts: Facts) -> str:
    """Whose rollouts the weights learnt from, and where that stands."""
    lineage, standing, parts = facts.standing.lineage, facts.standing, list[str]()
    chain = f"chain {standing.chain_id}" if standing.chain_id is not None else "no chain"
    contract = f", contract `{standing.contract}`" if standing.contract else ""
    parts.append(f"Swarm `{facts.swarm}` ({chain}{contract}); peer `{facts.peer}`; {_round(standing.round)}.")
    parts.append(
        f"Learnt from {lineage.groups} question groups: {lineage.own} of its own, {lineage.signed} that peers of the "
        f"swarm sampled and signed, {lineage.unsigned} that nobody signed; {lineage.external_share:.1%} by others. "
        "Peers share text, never weights, and every answer was scored again here."
    )
    if lineage.peers:
        listed = sorted(lineage.peers.items(), key=lambda item: (-item[1], item[0]))
        rows = [[name_of(peer), f"`{peer}`", str(count)] for peer, count in listed[:NAMED]]
        parts.append(table(["peer", "id", "groups"], rows))
        if len(listed) > NAMED:
            parts.append(f"And {len(listed) - NAMED} more peers.")
    if standing.sha256:
        parts.append(f"Checkpoint: sha256 `{standing.sha256}` of the trainer's file.")
    if facts.with_state:
        parts.append("`training/` holds the checkpoint as the trainer wrote it, with the optimizer's state.")
    return "## Provenance\n\n" + "\n\n".join(parts)


def hardware(facts: Facts) -> str:
    """What it was trained on, and with which software."""
    machine, origin = facts.origin.machine, facts.origin
    memory = machine.get("memory")
    told = [
        ("device", origin.device),
        ("processor", machine.get("processor")),
        ("cores", machine.get("cores")),
        ("memory", f"{memory / 2**30:.1f} GiB" if isinstance(memory, int) else None),
        ("parameters", f"{origin.parameters:,}"),
        *origin.versions.items(),
        ("commit of the software", origin.commit),
    ]
    rows = [[name, str(value)] for name, value in told if value]
    return "## Hardware and software\n\n" + table(["", ""], rows)


def use(facts: Facts) -> str:
    """What it is for, and what it is not for."""
    small = facts.origin.model == BUILT_IN
    limits = [
        "Trained to earn reward on the tasks above, and evaluated on tasks of the same kind only: nothing here says "
        "what became of its other abilities.",
        "A reward is given to an answer, not to the reasoning before it: that may be wrong where the answer is right.",
        "It learnt from text that other peers of the swarm wrote. What they sent was scored and filtered, and is "
        "not known to be free of anything else.",
        "No alignment or safety training was done here; what the base model has of it may have become weaker.",
    ]
    if small:
        limits.insert(0, "A demonstration: it knows the kinds of question above and nothing else, and is no assistant.")
    return (
        "## Intended use and limits\n\nResearch on reinforcement learning with several peers, and reasoning tasks like "
        "those above. Not for decisions about people, nor wherever a wrong answer does harm.\n\n"
        + "\n".join(f"- {limit}" for limit in limits)
    )


def licence(facts: Facts) -> str:
    """The base model's."""
    return f"## Licence\n\n{facts.licence.sentence}"


def citation(facts: Facts) -> str:
    """The methods, to be cited."""
    base = facts.base or short(facts.origin.model)
    return f"""## Citation

The tags are those by which models of RL Swarm are found; the software is a self-hosted swarm that speaks its protocols.

```bibtex
@misc{{{_key(facts)},
  title = {{{facts.repository}}},
  note  = {{Trained in the swarm {facts.swarm} from {base}, {_round(facts.standing.round)}}}
}}
@article{{shao2024deepseekmath,
  title   = {{DeepSeekMath: Pushing the Limits of Mathematical Reasoning in Open Language Models}},
  author  = {{Shao, Zhihong and others}},
  journal = {{arXiv:2402.03300}},
  year    = {{2024}}
}}
@article{{amico2025sapo,
  title   = {{Sharing is Caring: Efficient LM Post-Training with Collective RL Experience Sharing}},
  author  = {{Amico, Jeffrey and others}},
  journal = {{arXiv:2509.08721}},
  year    = {{2025}}
}}
```"""


def _unnamed_base(facts: Facts) -> str:
    if facts.origin.model == BUILT_IN:
        return "The embedded model of rlswarm"
    return f"A model of the folder `{short(facts.origin.model)}`"


def _round(number: int) -> str:
    return f"round {number}" if number >= 0 else "training alone"


def _settings(task: dict[str, object]) -> str:
    if task.get("file"):
        return f"questions of a file, marked by `{task.get('scorer')}`"
    config = task.get("config")
    return ", ".join(f"{name} {value}" for name, value in config.items()) if isinstance(config, dict) else ""


def _estimate(one: Estimate, sign: str = "") -> str:
    return f"{one.value:{sign}.3f} [{one.low:{sign}.3f}, {one.high:{sign}.3f}]"


def _key(facts: Facts) -> str:
    return "".join(sign for sign in facts.repository.rpartition("/")[2].lower() if sign.isalnum())
