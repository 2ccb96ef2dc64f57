"""Devices of TEEs, made up: each follows the kernel's protocol, faults included.

    tree = FakeConfigfs("sev_guest", quote=lambda bound, vmpl: (report, table))
    files = FakeFiles(tree, faults=[Fault("read", "outblob", errno.EBUSY)])
    SevSnpAttester(reports=ConfigfsTsm(files=files))

What they hand out proves nothing: it is signed by made-up vendors.
"""

from blindai.testing.devices.configfs import FakeConfigfs
from blindai.testing.devices.files import FakeFiles, Fault
from blindai.testing.devices.gramine import FakeGramine
from blindai.testing.devices.sev_guest import FakeSevGuest

__all__ = ["FakeConfigfs", "FakeFiles", "FakeGramine", "FakeSevGuest", "Fault"]
