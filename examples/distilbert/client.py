"""Says what sentences feel, by an attested enclave: client.py URL [SENTENCE ...]."""

import sys

import blindai

SENTENCES = (
    "A warm, funny film that I would happily see again.",
    "Two hours of my life that I will never get back.",
    "The acting is fine, but the story goes nowhere.",
    "I did not expect to be moved, and I was.",
)


def main() -> None:
    """Ask an attested enclave; whoever runs it sees neither sentence nor answer."""
    url, *sentences = sys.argv[1:]
    sentences = sentences or list(SENTENCES)
    # A real enclave: policy="policy.toml" in place of simulation=True.
    with blindai.connect(url, simulation=True) as client:
        response = client.predict("distilbert", sentences)
    labels = response.output[0].as_texts()
    scores = response.output[1].as_flat()
    for sentence, label, score in zip(sentences, labels, scores, strict=True):
        print(f"{label} {score:.2f}  {sentence}")


if __name__ == "__main__":
    main()
