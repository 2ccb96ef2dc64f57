"""Policies of the original BlindAI (client 0.6 and before), in today's words.

    mr_enclave                    measurement of the enclave, hexadecimal
    attributes_flags_hex, _xfrm_  ATTRIBUTES, two numbers as "0x..."
    attributes_mask_flags_hex, _mask_xfrm_  which bits of them count
    misc_select_hex, misc_mask_hex  MISCSELECT likewise
    allow_debug                   whether debug mode is accepted

The original accepted machines that need software hardening; the policy made here does
not, until somebody adds that status.
"""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Final

from blindai.errors import ConfigurationError
from blindai.tables import MAX_CHARACTERS
from blindai.verifier import Policy, SgxPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping

_NUMBERS: Final = {
    "attributes_flags_hex": 8,
    "attributes_xfrm_hex": 8,
    "attributes_mask_flags_hex": 8,
    "attributes_mask_xfrm_hex": 8,
    "misc_select_hex": 4,
    "misc_mask_hex": 4,
}
_MASKS: Final = {
    "attributes_flags_hex": "attributes_mask_flags_hex",
    "attributes_xfrm_hex": "attributes_mask_xfrm_hex",
    "misc_select_hex": "misc_mask_hex",
}
_INIT: Final = 1
_KEYS: Final = frozenset({*_NUMBERS, "mr_enclave", "allow_debug"})


def is_legacy(text: str) -> bool:
    """Whether a file is a policy of the original BlindAI."""
    return "mr_enclave" in _table(text)


def convert(text: str) -> Policy:
    """The policy that accepts the same enclave.

    Raises:
        ConfigurationError: If it is no policy of the original BlindAI, or says what
            cannot be said today.
    """
    table = _table(text)
    if table.keys() - _KEYS or "mr_enclave" not in table:
        raise ConfigurationError(
            "policy: expected one of the original BlindAI, with the keys "
            + ", ".join(sorted(_KEYS))
        )
    debug = table.get("allow_debug", False)
    if type(debug) is not bool:
        raise ConfigurationError("policy: allow_debug: expected true or false")
    for value, mask in _MASKS.items():
        if mask in table and value not in table:
            raise ConfigurationError(
                f"policy: {value}: expected the bits that {mask} is for, got none"
            )
    return Policy(
        sgx=SgxPolicy(
            mr_enclave=(_measurement(table["mr_enclave"]),),
            attributes=_both(table, "attributes_flags_hex", "attributes_xfrm_hex"),
            attributes_mask=_both(
                table, "attributes_mask_flags_hex", "attributes_mask_xfrm_hex"
            ),
            misc_select=_misc_select(table),
            insecure_allow_debug=debug,
        )
    )


def _table(text: str) -> Mapping[str, object]:
    if len(text) > MAX_CHARACTERS:
        return {}
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError):
        return {}


def _measurement(value: object) -> bytes:
    try:
        found = bytes.fromhex(value) if isinstance(value, str) else b""
    except ValueError:
        found = b""
    if len(found) != 32:
        raise ConfigurationError("policy: mr_enclave: expected 64 hexadecimal digits")
    return found


def _both(table: Mapping[str, object], flags: str, xfrm: str) -> bytes | None:
    """Flags and XFRM as they lie in a report; None where neither is there.

    The original wrote them as its enclave's signer did, before the processor sets INIT
    (Intel SDM volume 3D, 38.7.1, ATTRIBUTES).

    Raises:
        ConfigurationError: If only one is there, or a number is none.
    """
    found = [_number(table, key) for key in (flags, xfrm)]
    if found == [None, None]:
        return None
    if found[0] is None or found[1] is None:
        raise ConfigurationError(f"policy: expected both {flags} and {xfrm}")
    return bytes([found[0][0] | _INIT]) + found[0][1:] + found[1]


def _misc_select(table: Mapping[str, object]) -> bytes | None:
    mask = _number(table, "misc_mask_hex")
    if mask is not None and not any(mask):
        return None
    if mask is not None and mask != b"\xff" * len(mask):
        raise ConfigurationError(
            "policy: misc_mask_hex: expected 0xffffffff or 0x0; today all bits of"
            " MISCSELECT count, or none"
        )
    return _number(table, "misc_select_hex")


def _number(table: Mapping[str, object], key: str) -> bytes | None:
    """A number in hexadecimal, little-endian as reports have it; None if not there.

    Raises:
        ConfigurationError: If it is no such number, or too large.
    """
    text = table.get(key)
    if text is None:
        return None
    try:
        number = int(text, 16) if isinstance(text, str) else -1
        return number.to_bytes(_NUMBERS[key], "little")
    except (ValueError, OverflowError) as error:
        raise ConfigurationError(
            f"policy: {key}: expected a number such as 0x4, of {_NUMBERS[key]} bytes"
        ) from error
