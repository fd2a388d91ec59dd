"""The fixed texts of prompts and completions: each is one token of the embedded model, which keeps sequences short."""

from services.trainer.model.prompt import SYSTEM_PROMPT

# Special, with the meaning they have in Qwen's chats.
PAD, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
TAGS = ["<think>", "</think>", "<answer>", "</answer>"]

# Two manners of thinking. After a careful thought the answer is mostly right, after a hasty one mostly wrong. The
# weakened model is nearly always hasty: reinforcement learning has to find out which manner pays.
CAREFUL = ["Let me work it out step by step.", "I check every part before I answer."]
HASTY = [
    "This looks easy.",
    "The first number that comes to mind.",
    "I answer at once.",
    "It is like the last one.",
    "A guess will do.",
    "No need to think.",
]

QUESTIONS = [
    # easy
    "Calculate ",
    "State the final answer to the following arithmetic problem: ",
    "Simplify the fraction ",
    " to its lowest terms. Give only the simplified fraction as your final answer.",
    "Find the Least Common Multiple (LCM) of these numbers: ",
    "Keep all numbers larger than ",
    "Keep all numbers smaller than ",
    "Remove all numbers larger than ",
    "Remove all numbers smaller than ",
    " in this list: ",
    "\nReturn the new list in the same format.",
    # nine, six: never learnt, but the prompts stay short
    "Find the common rule that maps an input grid to an output grid, given the examples below.\n\n",
    "\n\nBelow is a test input grid. Predict the corresponding output grid by applying the rule you found. "
    "Describe how you derived the rule and your overall reasoning process in detail before you submit your answer. "
    "Your final answer should be just the test output grid itself.\n\n",
    "Your task is to convert a number between two different bases.\n\nIf the target base is > 10, use lowercase "
    "letters a-z for digits above 9.\n\nNow, convert the ",
    "Given a square matrix, your job is to find the taxicab (Manhattan) distance of the nearest 0 for each "
    "cell.\n\nThe output should be a matrix of the same size as the input matrix, where each cell contains the "
    "distance to the nearest 0.\n\nFind the distance to the nearest 0 for each cell in the matrix below:\n",
    "Please solve this problem to a maximum of 12 significant digits, rounding up from the half. Only reply with "
    "the final value.\n",
    "The following question is a propositional logic reasoning question.\n\nIn the question we provide a list of "
    "premises. The task is to infer a correct conclusion from the premise.\n\nFORMAT INSTRUCTIONS:\n- Return the "
    "conclusion logic statement, as your final answer.\n- Use the following notation to denote symbols\n    - OR = "
    "∨\n    - AND = ∧\n    - IMPLIES = →\n    - IFF = ↔\n    - NOT = ¬\n\nHere is the question:\nGiven:\n",
    "What can we conclude from the above statements?",
]

# Added, not special: they survive `skip_special_tokens`, and llama.cpp knows them as user-defined.
PHRASES = [*TAGS, SYSTEM_PROMPT, *CAREFUL, *HASTY, *QUESTIONS]
