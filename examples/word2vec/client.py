"""Searches the Lee news for what a query means: client.py URL [QUERY ...]."""

import sys

import blindai

QUERIES = (
    "bushfires threaten homes near Sydney",
    "Who won the cricket match?",
    "peace talks between Israel and the Palestinians",
)


def main() -> None:
    """Ask an attested enclave; whoever runs it sees neither query nor answer."""
    url, *queries = sys.argv[1:]
    queries = queries or list(QUERIES)
    # A real enclave: policy="policy.toml" in place of simulation=True.
    with blindai.connect(url, simulation=True) as client:
        response = client.predict("word2vec", queries)
    articles, scores = (output.as_numpy() for output in response.output)
    for query, found, cosines in zip(queries, articles, scores, strict=True):
        print(query)
        for article, cosine in zip(found, cosines, strict=True):
            if cosine > 0:
                print(f"  {cosine:.2f}  {article.decode()}")
        if not cosines.any():
            print("  none of these words is known")
        elif cosines.max() <= 0:
            print("  no article is near")


if __name__ == "__main__":
    main()
