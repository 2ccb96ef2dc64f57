"""A made-up Nitro enclave: the real attester over a made-up module."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final

from blindai.attester.nsm import NsmAttester
from blindai.server.serve import now
from blindai.testing.devices.nsm import Nsm
from blindai.testing.machines.machine import Machine
from blindai.testing.vendors.aws import PCRS, Aws
from blindai.testing.vendors.pki import p384

if TYPE_CHECKING:
    from collections.abc import Mapping

_POLICY: Final = """\
version = 1

[nitro]
pcr0 = ["{pcr0}"]
max_document_age_s = 600

[[insecure_roots]]
vendor = "AWS"
sha256 = "{root}"
"""
_REGISTER: Final = "pcr"


def nitro(changes: Mapping[str, str]) -> Machine:
    """An enclave on a parent instance of a made-up AWS.

    Args:
        changes: Registers `pcr0` to `pcr15` in hexadecimal, `module_id`, and `now`, the
            hypervisor's clock in ISO 8601. `signing_key`, with any value, signs
            documents with a key that no certificate is for.

    Raises:
        ValueError: If it is none of these, or no such value.
    """
    aws = Aws()
    registers = dict(PCRS)
    module = Nsm(aws=aws, clock=now, changes={"pcrs": registers})
    for name, text in changes.items():
        match name:
            case "module_id":
                module.changes[name] = text
            case "now":
                module.clock = partial(datetime.fromisoformat, text)
                module.clock()
            case "signing_key":
                module.changes["certificate"] = aws.leaf(now(), key=p384())
            case _ if name.removeprefix(_REGISTER) in map(str, PCRS):
                number = int(name.removeprefix(_REGISTER))
                registers[number] = bytes.fromhex(text)
            case _:
                raise ValueError(f"changes: expected known fields, got {name}")
    policy = _POLICY.format(pcr0=PCRS[0].hex(), root=aws.root_digest.hex())
    return Machine(attester=NsmAttester(module), policy=policy)
