"""The commands of a TPM 2.0 that attesting and sealing take.

TCG TPM 2.0 Library, revision 1.59, part 3; each method names its section. A TPM that is
busy says so in its response and is asked again (part 3, 5.2: TPM_RC_RETRY).
"""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from blindai.attester.tpm import wire
from blindai.errors import HardwareBusyError, HardwareError
from blindai.protocol.tpm import HASHES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from blindai.attester.tpm.device import Transport

OWNER: Final = 0x40000001  # TPM_RH_OWNER
ENDORSEMENT: Final = 0x4000000B  # TPM_RH_ENDORSEMENT
_NULL: Final = 0x40000007  # TPM_RH_NULL
_ALG_NULL: Final = struct.pack(">H", 0x0010)
_ALG_SHA256: Final = struct.pack(">H", 0x000B)
_POLICY_SESSION: Final = 0x01  # TPM_SE_POLICY
_CAP_HANDLES: Final = 1
_CAP_PCRS: Final = 5
_MAX_HANDLES: Final = 254
_MAX_NV_BLOCK: Final = 512  # of TPM_PT_NV_BUFFER_MAX, the least there is
_PCRS_AT_ONCE: Final = 8  # TPML_DIGEST (part 2, 10.9.4)
_OWNER_READ: Final = 1 << 17  # TPMA_NV_OWNERREAD (part 2, 13.4)
_AUTH_READ: Final = 1 << 18  # TPMA_NV_AUTHREAD

_BUSY: Final = frozenset({0x922, 0x908, 0x90A})  # RETRY, YIELDED, TESTING
_TRIES: Final = 50
_PAUSE_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Sealed:
    """A secret that only this TPM opens (part 2, 12.3.7, 12.2.5 and 10.7.3).

    Attributes:
        private: TPM2B_PRIVATE without its size, encrypted by its parent.
        public: TPM2B_PUBLIC without its size.
        ticket: TPMT_TK_CREATION, by which the TPM knows again how it was made.
    """

    private: bytes = field(repr=False)
    public: bytes = field(repr=False)
    ticket: bytes = field(repr=False)


class Tpm:
    """A TPM 2.0.

    Args:
        transport: The way to it.
        pause: Waits so many seconds.
    """

    def __init__(
        self, transport: Transport, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self.transport = transport
        self._pause = pause

    def banks(self) -> tuple[str, ...]:
        """Names of the banks that have registers (30.2, TPM2_GetCapability)."""
        response = self._capability(_CAP_PCRS, 0, 1)
        banks = []
        for _ in range(response.number(4)):
            bank, select = response.number(2), response.take(response.number(1))
            if any(select) and bank in HASHES:
                banks.append(HASHES[bank])
        return tuple(banks)

    def has(self, handle: int) -> bool:
        """Whether an object or an NV index has this handle (30.2)."""
        response = self._capability(_CAP_HANDLES, handle, _MAX_HANDLES)
        return handle in [response.number(4) for _ in range(response.number(4))]

    def read_pcrs(self, bank: str, indices: Iterable[int]) -> dict[int, bytes]:
        """Registers of a bank (22.4, TPM2_PCR_Read), eight at a time.

        Raises:
            HardwareError: If the TPM does not have one of them.
        """
        values: dict[int, bytes] = {}
        left = sorted(set(indices))
        while left:
            asked, left = left[:_PCRS_AT_ONCE], left[_PCRS_AT_ONCE:]
            chosen = wire.selection(bank, asked)
            response = self._run("TPM2_PCR_Read", 0x17E, (), chosen)
            response.number(4)  # pcrUpdateCounter
            if response.take(len(chosen)) != chosen:
                raise HardwareError(f"TPM: expected {bank} PCRs {asked}, got others")
            digests = [response.sized() for _ in range(response.number(4))]
            values |= dict(zip(asked, digests, strict=True))
        return values

    def extend_pcr(self, index: int, digests: Sequence[tuple[int, bytes]]) -> None:
        """Extend a register in several banks (22.2, TPM2_PCR_Extend).

        Args:
            index: Which register.
            digests: TPM_ALG_ID and digest for each bank.
        """
        listed = b"".join(struct.pack(">H", bank) + digest for bank, digest in digests)
        parameters = struct.pack(">I", len(digests)) + listed
        self._run("TPM2_PCR_Extend", 0x182, (index,), parameters, wire.PASSWORD)

    def quote(
        self, key: int, extra_data: bytes, bank: str, indices: Iterable[int]
    ) -> tuple[bytes, bytes]:
        """TPMS_ATTEST and TPMT_SIGNATURE (18.4, TPM2_Quote), by the key's scheme."""
        parameters = wire.sized(extra_data) + _ALG_NULL + wire.selection(bank, indices)
        response = self._run("TPM2_Quote", 0x158, (key,), parameters, wire.PASSWORD)
        end = response.number(4)
        quote = response.sized()
        return quote, response.take(end - 2 - len(quote))

    def create_primary(self, hierarchy: int, public: bytes) -> tuple[int, bytes]:
        """A key's handle and TPMT_PUBLIC (24.1, TPM2_CreatePrimary).

        The same hierarchy and template give the same key, until the TPM is cleared.
        """
        parameters = wire.sized(wire.sized(b"") + wire.sized(b"")) + wire.sized(public)
        parameters += wire.sized(b"") + struct.pack(">I", 0)  # outsideInfo, creationPCR
        response = self._run(
            "TPM2_CreatePrimary", 0x131, (hierarchy,), parameters, wire.PASSWORD
        )
        handle = response.number(4)
        response.number(4)  # parameterSize
        return handle, response.sized()

    def flush(self, handle: int) -> None:
        """Forget an object or a session (28.4, TPM2_FlushContext)."""
        parameters = struct.pack(">I", handle)
        self._run("TPM2_FlushContext", 0x165, (), parameters)

    def read_nv(self, index: int) -> bytes:
        """What an NV index holds (31.6, TPM2_NV_ReadPublic; 31.13, TPM2_NV_Read).

        Raises:
            HardwareError: If it gives less than it holds.
        """
        response = self._run("TPM2_NV_ReadPublic", 0x169, (index,), b"")
        response.take(2 + 4 + 2)  # the size of all, the index, its hash
        attributes = response.number(4)
        response.sized()  # authPolicy
        left = response.number(2)
        by = index if attributes & _AUTH_READ else OWNER
        content = b""
        while left:
            size = min(left, _MAX_NV_BLOCK)
            parameters = struct.pack(">HH", size, len(content))
            response = self._run(
                "TPM2_NV_Read", 0x14E, (by, index), parameters, wire.PASSWORD
            )
            response.number(4)  # parameterSize
            block = response.sized()
            if len(block) != size:
                raise HardwareError(f"TPM2_NV_Read: expected {size} bytes")
            content += block
            left -= size
        return content

    def seal(
        self,
        parent: int,
        secret: bytes,
        template: bytes,
        outside_info: bytes,
        registers: bytes,
    ) -> tuple[Sealed, bytes]:
        """Encrypt a secret under a key (12.1, TPM2_Create).

        Args:
            parent: The key's handle.
            secret: The secret.
            template: TPMT_PUBLIC of what holds it.
            outside_info: What its creation data say of it, at most 34 bytes.
            registers: TPML_PCR_SELECTION of those whose values they name.

        Returns:
            The secret, sealed, and creationHash: SHA-256 of its creation data.
        """
        sensitive = wire.sized(wire.sized(b"") + wire.sized(secret))
        parameters = sensitive + wire.sized(template) + wire.sized(outside_info)
        parameters += registers
        response = self._run("TPM2_Create", 0x153, (parent,), parameters, wire.PASSWORD)
        response.number(4)  # parameterSize
        private, public = response.sized(), response.sized()
        response.sized()  # creationData
        made = response.sized()
        ticket = response.take(2 + 4)  # its tag and hierarchy
        return Sealed(private, public, ticket + wire.sized(response.sized())), made

    def certify_creation(
        self, handle: int, creation_hash: bytes, ticket: bytes
    ) -> None:
        """See that this TPM made an object so (18.3, TPM2_CertifyCreation).

        Nothing is signed: the TPM answers only where the ticket is its own, and for the
        object and these creation data.

        Raises:
            CommandError: If it is not.
        """
        parameters = wire.sized(b"") + wire.sized(creation_hash) + _ALG_NULL + ticket
        handles = (_NULL, handle)
        self._run("TPM2_CertifyCreation", 0x14A, handles, parameters, wire.PASSWORD)

    def load(self, parent: int, sealed: Sealed) -> int:
        """The handle of a sealed secret (12.2, TPM2_Load)."""
        parameters = wire.sized(sealed.private) + wire.sized(sealed.public)
        response = self._run("TPM2_Load", 0x157, (parent,), parameters, wire.PASSWORD)
        return response.number(4)

    def unseal(self, handle: int, session: int) -> bytes:
        """A sealed secret, if the session's policy holds (12.7, TPM2_Unseal)."""
        response = self._run("TPM2_Unseal", 0x15E, (handle,), b"", session)
        response.number(4)  # parameterSize
        return response.sized()

    def start_policy(self) -> int:
        """A policy session's handle (11.1, TPM2_StartAuthSession)."""
        parameters = wire.sized(bytes(16)) + wire.sized(b"")
        parameters += struct.pack(">B", _POLICY_SESSION) + _ALG_NULL + _ALG_SHA256
        response = self._run("TPM2_StartAuthSession", 0x176, (_NULL, _NULL), parameters)
        return response.number(4)

    def policy_pcr(self, session: int, bank: str, indices: Iterable[int]) -> bytes:
        """Bind a session to registers as they stand (23.7), and its digest (23.6)."""
        parameters = wire.sized(b"") + wire.selection(bank, indices)
        self._run("TPM2_PolicyPCR", 0x17F, (session,), parameters)
        return self._run("TPM2_PolicyGetDigest", 0x189, (session,), b"").sized()

    def _capability(self, capability: int, first: int, count: int) -> wire.Response:
        parameters = struct.pack(">III", capability, first, count)
        response = self._run("TPM2_GetCapability", 0x17A, (), parameters)
        response.take(1 + 4)  # moreData, capability
        return response

    def _run(
        self,
        name: str,
        code: int,
        handles: Sequence[int],
        parameters: bytes,
        session: int | None = None,
    ) -> wire.Response:
        """Run a command until it is done.

        Raises:
            HardwareBusyError: If the TPM stays busy.
            CommandError: If it refuses.
        """
        command = wire.command(code, handles, parameters, session)
        for _ in range(_TRIES):
            response = wire.Response(name, self.transport.transmit(command))
            if response.code == 0:
                return response
            if response.code not in _BUSY:
                raise CommandError(name, response.code)
            self._pause(_PAUSE_S)
        raise HardwareBusyError(f"{name}: the TPM stays busy")


class CommandError(HardwareError):
    """A TPM refused a command.

    Attributes:
        code: Its response code, TPM_RC (part 2, 6.6).
    """

    def __init__(self, name: str, code: int) -> None:
        super().__init__(f"{name}: expected success, got TPM_RC {code:#05x}")
        self.code = code
