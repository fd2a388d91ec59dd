"""The model card: only facts, in a form that the hub's own code reads."""

import re
from dataclasses import replace

import pytest
from huggingface_hub import ModelCard
from huggingface_hub.repocard_data import model_index_to_eval_results
from huggingface_hub.utils import validate_repo_id

from services.publisher.card import card, metadata, results
from services.publisher.facts import GgufFile
from services.publisher.licence import licence_in, licence_of
from services.publisher.names import commit_message, on_hub, repositories, repository, short
from services.publisher.running import modelfile
from services.publisher.tables import table
from shared.checkpoints import MAX_PEERS, Lineage, Standing
from shared.names import name_of
from tests.examples import ALICE, BOB
from tests.publisher_kit import CONTRACT, EMBEDDED, FACTS, ORIGIN, STANDING

BEST = GgufFile("model-Q4_K_M.gguf", "Q4_K_M", 400_000_000, 0.97, 0.012, 0.8)
FULL = GgufFile("model-F16.gguf", "F16", 1_200_000_000, 1.0, 0.0001, 0.002)


def peer(number):
    """One of many."""
    return f"Qm{'x' * 40}{number:04}".replace("0", "z")


def test_the_metadata_are_what_the_hub_searches_by():
    read = ModelCard(card(FACTS)).data
    assert read.to_dict() == metadata(FACTS).to_dict(), "they come back as they were written"
    assert (read.license, read.base_model, read.base_model_relation) == ("apache-2.0", "Qwen/Qwen3-0.6B", "finetune")
    assert (read.library_name, read.pipeline_tag, read.language) == ("transformers", "text-generation", ["en"])
    assert {"rl-swarm", "genrl-swarm", "grpo", "gensyn", "trl", f"I am {name_of(ALICE)}"} <= set(read.tags)
    assert read.datasets == ["openai/gsm8k"], "a generator's name is no dataset of the hub"


def test_every_figure_of_the_model_index_has_its_interval():
    name, read = model_index_to_eval_results(metadata(FACTS).to_dict()["model-index"])
    assert name == "Qwen3-0.6B-Gensyn-Swarm-tall_tame_panther"
    assert len(read) == 2 * 3
    found = {(one.dataset_config, one.metric_type): one for one in results(FACTS.evaluation)}
    greedy = found["lcm", "accuracy"]
    assert (greedy.metric_value, greedy.metric_args) == (0.5, {"low_95": 0.48, "high_95": 0.53, "questions": 50})
    assert found["all sets", "mean_reward"].metric_value == 0.45


@pytest.mark.parametrize(
    "facts",
    [
        FACTS,
        EMBEDDED,
        replace(FACTS, evaluation=None, not_evaluated="it took too long", plot=None, not_plotted="No curves"),
        replace(FACTS, standing=Standing(), with_state=True),
        replace(FACTS, gguf=(FULL, BEST), no_gguf=("Q3_K_M: its answers are other ones",)),
        replace(FACTS, merged=("me/one", "me/two")),
        replace(EMBEDDED, licence=licence_in("no card", None)),
    ],
)
def test_a_card_says_nothing_that_is_not_known(facts):
    text = card(facts)
    body = text.split("\n---\n", 1)[1]
    assert not re.search(r"\bNone\b|\bnan\b|output_dir|Generalized Reward", text)
    for heading in ("Evaluation", "Training", "Provenance", "Hardware and software", "How to run it", "Licence"):
        assert f"\n## {heading}\n" in body
    assert text.count("```") % 2 == 0
    widths = [[row.count(" | ") for row in block.splitlines()] for block in body.split("\n\n") if block[:1] == "|"]
    assert widths and all(len(set(rows)) == 1 for rows in widths), "every row of a table has as many cells"


def test_the_tables_are_before_after_and_gain_with_intervals():
    body = card(FACTS)
    assert "| lcm (50) | 0.200 [0.180, 0.230] | 0.250 [0.230, 0.280] | 0.500 [0.480, 0.530]" in body
    assert "| +0.300 [+0.280, +0.330] |" in body
    assert "| lcm | 75.0% | max_value 12 |" in body
    alone = card(replace(FACTS, evaluation=FACTS.evaluation.model_copy(update={"before": {}, "gain": {}})))
    assert "| lcm (50) | 0.500 [0.480, 0.530] | 0.550 [0.530, 0.580] |" in alone


def test_a_base_model_without_a_place_on_the_hub_is_named_all_the_same():
    assert "The embedded model of rlswarm, trained by" in card(EMBEDDED)
    mine = replace(EMBEDDED, origin=ORIGIN.model_copy(update={"model": "/home/me/my model"}))
    assert "A model of the folder `my-model`, trained by" in card(mine) and "/home/me" not in card(mine)


def test_where_it_comes_from_is_told_to_the_peer_the_contract_and_the_commit():
    body = card(FACTS)
    for told in (ALICE, BOB, name_of(BOB), CONTRACT, "chain 685685", "0f" * 20, "5e" * 32, "round 119", "118 updates"):
        assert told in body
    assert "944 question groups: 590 of its own, 340" in body and "37.5% by others" in body
    many = dict.fromkeys(map(peer, range(20)), 1)
    crowded = STANDING.model_copy(update={"lineage": Lineage(signed=20, peers=many)})
    assert "And 8 more peers." in card(replace(FACTS, standing=crowded))
    assert "no chain" in card(replace(FACTS, standing=Standing(swarm="ledger")))


def test_how_to_run_it_names_only_files_that_are_there():
    assert "There are no files for llama.cpp and Ollama here: none was asked for." in card(FACTS)
    body = card(replace(FACTS, gguf=(FULL, BEST), no_gguf=("Q3_K_M: it answers otherwise",)))
    assert f"-hff {BEST.name}" in body and "Not here: Q3_K_M: it answers otherwise." in body
    assert "| model-F16.gguf | 1,200.0 MB | 100.0% | 1.0e-04 | 0.002 |" in body
    assert "splits text into other tokens" not in body
    odd = replace(BEST, splits_alike=False)
    assert "splits text into other tokens" in card(replace(FACTS, gguf=(FULL, odd), no_gguf=()))
    assert "text-generation-inference --model-id me/Qwen3" in body and "AutoModelForCausalLM" in body


def test_the_modelfile_has_the_usual_file_and_sampling():
    text = modelfile((FULL, BEST), "Think first.", "{{ .Prompt }}")
    assert text.startswith(f"FROM ./{BEST.name}\n")
    assert {"PARAMETER temperature 0.6", "PARAMETER top_p 0.95", "PARAMETER top_k 20"} <= set(text.splitlines())
    assert modelfile((FULL,), "", "").startswith(f"FROM ./{FULL.name}\n")


def test_a_licence_is_the_base_models_or_said_to_be_unknown(tmp_path):
    assert licence_in("---\nlicense: mit\n---\n", None).id == "mit"
    assert licence_in("---\nlicense: [mit, apache-2.0]\n---\n", None).id == "mit"
    own = licence_in("---\nlicense: other\nlicense_name: own\nlicense_link: LICENSE\n---\n", "a/b")
    assert (own.id, own.name, own.link) == ("other", "own", "https://huggingface.co/a/b/blob/main/LICENSE")
    assert licence_in("---\nlicense: other\nlicense_link: LICENSE\n---\n", None).link is None
    assert licence_in("---\nlicense: other\nlicense_link: https://x.org\n---\n", "a/b").link == "https://x.org"
    for card_ in ("nothing", "---\nlicense: unknown\n---\n", "---\n- a\n- b\n---\n", "---\nlicense: [\n---\n"):
        unknown = licence_in(card_, "a/b")
        assert (unknown.id, "could not be read" in unknown.sentence) == ("other", True)
    assert licence_of(tmp_path, None).id == "other"
    (tmp_path / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    assert licence_of(tmp_path, None).sentence == "apache-2.0, inherited from the base model."


def test_repositories_are_called_as_those_of_rl_swarm():
    name = repository("Qwen/Qwen2.5-0.5B-Instruct", "Gensyn-Swarm", ALICE)
    assert name == f"Qwen2.5-0.5B-Instruct-Gensyn-Swarm-{name_of(ALICE, '_')}"
    assert repository("embedded", "X", BOB, taken=True).endswith(f"{name_of(BOB, '_')}-{BOB[-6:]}")
    for model in ("a/" + "long" * 60, "/home/me/my model!", "..", "a/b--c..d", "Ünï"):
        validate_repo_id(repository(model, "Gensyn-Swarm", ALICE, taken=True))
    assert short("embedded") == "rlswarm-embedded"
    first, second = repositories("me", "embedded", "Gensyn-Swarm", ALICE)
    assert first.startswith("me/rlswarm-embedded-") and second == f"{first}-{ALICE[-6:]}"
    assert commit_message(7, ALICE) == f"rl-swarm: round 7, agent {name_of(ALICE)}"
    assert on_hub("a/b", is_folder=False) == "a/b"
    assert on_hub("a/b", is_folder=True) is on_hub("embedded", is_folder=False) is None


def test_a_bar_in_a_cell_does_not_end_it():
    assert table(["a"], [["x|y"]]).splitlines()[-1] == "| x\\|y |"


def test_a_lineage_counts_whose_groups_were_learnt_from():
    lineage = Lineage().after(4, [BOB, BOB, ALICE], 1).after(8, [], 0)
    assert (lineage.updates, lineage.own, lineage.signed, lineage.unsigned) == (2, 12, 3, 1)
    assert (dict(lineage.peers), lineage.groups, lineage.external_share) == ({BOB: 2, ALICE: 1}, 16, 0.25)
    assert Lineage().external_share == 0.0
    crowd = [*map(peer, range(300)), BOB, BOB]
    many = Lineage().after(0, crowd, 0)
    assert len(many.peers) == MAX_PEERS and many.peers[BOB] == 2


def test_a_standing_tells_chain_and_contract_where_there_are_any():
    assert (STANDING.chain_id, STANDING.contract) == (685685, CONTRACT)
    for swarm in ("", "ledger", "ledger:none:1"):
        assert (Standing(swarm=swarm).chain_id, Standing(swarm=swarm).contract) == (None, None)
