"""What believes a proof, or says why not, without a network and years later.

Pure, as the verifier is: files, clocks and random numbers are the caller's.

    verify       a proof file, up to the hardware's root, under the reader's policy
    judge_chain  several proofs: whether one is missing, or two are at one place
    compare      what a model gave then, and what it gives here
"""

from blindai.proofs.chain import Chain, Link, judge_chain
from blindai.proofs.comparison import Comparison, Verdict, compare, differences
from blindai.proofs.contents import (
    ANYTHING,
    Expected,
    require_disclosures,
    require_expected,
)
from blindai.proofs.verification import (
    ProofResult,
    believe,
    own_date,
    verify,
    verify_with_key,
)
from blindai.protocol.commitments import Disclosure

__all__ = [
    "ANYTHING",
    "Chain",
    "Comparison",
    "Disclosure",
    "Expected",
    "Link",
    "ProofResult",
    "Verdict",
    "believe",
    "compare",
    "differences",
    "judge_chain",
    "own_date",
    "require_disclosures",
    "require_expected",
    "verify",
    "verify_with_key",
]
