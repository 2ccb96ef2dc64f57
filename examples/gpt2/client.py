"""Asks a language model in an attested enclave: client.py URL [QUESTION ...]."""

import sys

import blindai

QUESTIONS = (
    "My doctor says that I have hypertension. What is that, in one sentence?",
    "Write a polite e-mail that declines a meeting on Friday.",
)
MAX_TOKENS = 120


def main() -> None:
    """Ask; whoever runs the enclave sees neither question nor answer."""
    url, *questions = sys.argv[1:]
    questions = questions or list(QUESTIONS)
    # A real enclave: policy="policy.toml" in place of simulation=True.
    with blindai.connect(url, simulation=True, timeout=300) as client:
        response = client.predict(
            "gpt2", {"question": questions, "max_tokens": [MAX_TOKENS]}
        )
    for question, answer in zip(questions, response.output[0].as_texts(), strict=True):
        print(f"> {question}\n{answer}\n")


if __name__ == "__main__":
    main()
