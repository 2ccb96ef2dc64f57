"""`blindai serve`: starts, answers, ends, and says clearly why not."""

from __future__ import annotations

import re
import signal
import socket
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.cli.serving import serving
from typer.testing import Result

from blindai.attester import detection
from blindai.cli import extras, foreground, serve
from blindai.errors import BlindAIError, ConfigurationError
from blindai.server.asgi import Receive, Scope, Send
from blindai.server.serve import Listen
from blindai.server.settings import Settings

Run = Callable[..., Result]


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_it_starts_answers_and_ends_with_0(run: Run, ending: signal.Signals) -> None:
    with serving() as served:
        url = served.url
        verified = run("verify", url, "--simulation")
        served.process.send_signal(ending)
        assert served.process.stdout is not None
        out = served.process.stdout.read()
        ended = served.wait()
    err = "".join(served.log)

    assert verified.exit_code == 0
    assert ended == 0
    assert served.facts["configuration"] == Settings().digest.hex()
    assert f"blindai verify {url} --simulation" in out
    assert f"blindai models list {url} --simulation" in out
    assert "NOTHING IS PROTECTED" in err
    assert err.endswith("stopped\n")
    assert "Traceback" not in err


def test_models_outlive_it_where_it_has_a_data_dir(
    run: Run, double: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    with serving("--data-dir", data) as served:
        uploaded = run("models", "upload", served.url, double, "--simulation")
        served.process.send_signal(signal.SIGINT)
        served.wait()

    with serving("--data-dir", data) as served:
        listed = run("models", "list", served.url, "--simulation")

    assert uploaded.exit_code == 0
    assert "double" in listed.stdout
    key = data / serve.SEALING_KEY_FILE
    assert key.stat().st_mode & 0o777 == 0o600


def interrupting(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let `serve` in this process end once it is ready; the addresses it printed."""
    addresses: list[str] = []
    printing = serve._print_facts

    def announce(facts: Mapping[str, str], next_steps: tuple[str, ...]) -> None:
        printing(facts, next_steps)
        addresses.append(facts["listening on"])
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(serve, "_print_facts", announce)
    return addresses


def test_ctrl_c_ends_it_cleanly(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = interrupting(monkeypatch)

    result = run("serve", "--simulation", "--port", "0")

    assert result.exit_code == 0
    assert result.stdout.startswith(f"listening on   {addresses[0]}\n")


def test_an_ipv6_address_stands_in_brackets(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    addresses = interrupting(monkeypatch)

    words = ("--host", "::1", "--port", "0", "--data-dir", tmp_path / "data")
    result = run("serve", "--simulation", *words)

    assert result.exit_code == 0
    assert re.fullmatch(r"http://\[::1\]:\d+", addresses[0])


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2066, 1, 1, tzinfo=UTC))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    cert_path, key_path = folder / "cert.pem", folder / "key.pem"
    cert_path.write_bytes(certificate.public_bytes(pem))
    key_path.write_bytes(
        key.private_bytes(
            pem,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return cert_path, key_path


def test_outer_tls_has_an_https_address(
    run: Run, monkeypatch: pytest.MonkeyPatch, tls: tuple[Path, Path]
) -> None:
    addresses = interrupting(monkeypatch)

    words = ("--port", "0", "--tls-cert", tls[0], "--tls-key", tls[1])

    assert run("serve", "--simulation", *words).exit_code == 0
    assert addresses[0].startswith("https://127.0.0.1:")


def test_tls_files_that_do_not_fit_end_with_2(run: Run, tls: tuple[Path, Path]) -> None:
    words = ("--port", "0", "--tls-cert", tls[0], "--tls-key", tls[0])

    result = run("serve", "--simulation", *words)

    assert result.exit_code == 2
    assert "outer TLS: expected a certificate and its key" in result.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "TEE: looked for sgx (/dev/attestation/attestation_type: cannot"),
        (("--simulation", "--tee", "sev-snp"), "expected --simulation or --tee"),
        (("--tee", "sgx2"), "TEE: expected one of sgx, sev-snp, tdx"),
        (("--simulation", "--tls-cert", "c.pem"), "got one of them"),
        (("--simulation", "--config", "none.toml"), "cannot be read"),
        (("--simulation", "--data-dir", "/dev/null/x"), "cannot be made"),
        (("--simulation", "--port", "70000"), "--port"),
    ],
)
def test_what_cannot_be_run_ends_with_2(
    run: Run, words: tuple[str, ...], message: str
) -> None:
    result = run("serve", *words)

    assert result.exit_code == 2
    assert message in result.stderr


def test_without_hardware_it_says_how_to_simulate(run: Run) -> None:
    stderr = run("serve").stderr

    assert all(f"{tee} (" in stderr for tee in detection.PROBES)
    assert "blindai serve --simulation" in stderr
    assert "NOTHING IS PROTECTED" not in stderr


def test_a_data_dir_without_a_usable_key_ends_with_2(run: Run, tmp_path: Path) -> None:
    (tmp_path / serve.SEALING_KEY_FILE).symlink_to(tmp_path / "no" / "folder")

    words = ("--simulation", "--port", "0", "--data-dir", tmp_path)
    result = run("serve", *words)

    assert result.exit_code == 2
    assert "cannot be used" in result.stderr


def test_a_port_in_use_is_one_line(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("serve", "--simulation", "--port", port)

    assert result.exit_code == 2
    (line,) = re.findall(r"error: .*", result.stderr)
    assert f"address 127.0.0.1:{port}: " in line
    assert line.endswith("Address already in use")


def test_an_application_that_does_not_start_is_an_error() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        failed = {"type": "lifespan.startup.failed", "message": scope["type"]}
        await send(failed)

    announced: list[str] = []

    with pytest.raises(BlindAIError, match="expected to start"):
        foreground.run(broken, Listen(port=0), announced.append)

    assert announced == []


def test_a_missing_package_names_its_extra() -> None:
    with (
        pytest.raises(ConfigurationError, match="server: expected the package uvicorn"),
        extras.needs("server"),
    ):
        raise ModuleNotFoundError(name="uvicorn")
