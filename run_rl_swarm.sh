#!/usr/bin/env bash
# Starts a swarm on this machine, as RL Swarm users know it: ./run_rl_swarm.sh [options of `rlswarm up`]
# The variables they set are honoured by config/*.yaml: HF_TOKEN HUGGINGFACE_ACCESS_TOKEN MODEL_NAME ORG_ID
# SWARM_CONTRACT IDENTITY_PATH CPU_ONLY PRG_GAME CONNECT_TO_TESTNET HF_HUB_DOWNLOAD_TIMEOUT. It asks nothing but, in a
# terminal and only if MODEL_NAME is not set, for the model.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

make --no-print-directory install
if [ -t 0 ] && [ -z "${MODEL_NAME+set}" ]; then
    read -r -p "Hugging Face model to train [the embedded one]: " MODEL_NAME
    export MODEL_NAME
fi
exec .venv/bin/rlswarm up --local "$@"
