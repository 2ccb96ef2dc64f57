"""What the examples share: packages, archives, environments, checks of an export.

Only `model.py` and `run.py` import it. A client needs nothing but blindai.
"""

import os
from pathlib import Path

# ONNX Runtime counts its uses and keeps what it counted, unless this is set before it
# is imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

EXAMPLES = Path(__file__).parents[1]
ROOT = EXAMPLES.parent
KEPT = ROOT / ".examples"
"""What is fetched, built and installed; git ignores it, and it may be deleted."""
