import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from edge.broker import Broker, BrokerError, BrokerSettings, find_mosquitto, free_port, render


def _listens(broker: Broker) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((broker.host, broker.port)) == 0


def test_a_private_broker_listens_and_stops(tmp_path: Path) -> None:
    with Broker(tmp_path / "b") as broker:
        pid = broker.pid
        assert pid
        assert _listens(broker)
    assert broker.pid == 0
    assert not _listens(broker)
    assert not Path(f"/proc/{pid}").exists()


def test_two_brokers_do_not_share_a_port(broker: Broker, tmp_path: Path) -> None:
    with Broker(tmp_path / "second") as second:
        assert second.port != broker.port


def test_a_stopped_broker_has_saved_and_starts_again_on_its_port(broker: Broker) -> None:
    port = broker.port
    broker.stop()
    assert (broker.directory / "mosquitto.db").exists()
    broker.start()
    assert broker.port == port
    assert _listens(broker)


def test_a_killed_broker_starts_again(broker: Broker) -> None:
    broker.kill()
    assert not _listens(broker)
    broker.start()
    assert _listens(broker)


def test_a_taken_port_is_refused(broker: Broker, tmp_path: Path) -> None:
    second = Broker(tmp_path / "second", BrokerSettings(port=broker.port))
    with pytest.raises(BrokerError, match="in use by another program"):
        second.start()
    assert second.pid == 0


def test_a_broker_that_cannot_start_is_quoted(tmp_path: Path) -> None:
    settings = BrokerSettings(password_file=str(tmp_path / "missing"))
    with pytest.raises(BrokerError, match=r"log ends: .*password"):
        Broker(tmp_path / "b", settings).start()


def test_a_missing_mosquitto_is_loud_and_names_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr("edge.broker.SEARCH_ALSO", ())
    with pytest.raises(BrokerError, match="apt-get install mosquitto"):
        find_mosquitto()


def test_mosquitto_is_found_outside_a_users_path(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = os.path.dirname(find_mosquitto())
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr("edge.broker.SEARCH_ALSO", (folder,))
    assert shutil.which("mosquitto") is None
    assert find_mosquitto() == f"{folder}/mosquitto"


def test_every_setting_reaches_the_configuration(tmp_path: Path) -> None:
    settings = BrokerSettings(
        host="0.0.0.0",
        port=free_port(),
        inflight_max=77,
        queued_max=78,
        packet_max_bytes=79_000,
        autosave_s=80,
        password_file="/p",
        acl_file="/a",
        ca_file="/ca",
        cert_file="/c",
        key_file="/k",
    )
    text = render(settings, tmp_path)
    for expected in (
        f"listener {settings.port} 0.0.0.0",
        "max_inflight_messages 77",
        "max_queued_messages 78",
        "max_packet_size 79000",
        "autosave_interval 80",
        "password_file /p",
        "acl_file /a",
        "cafile /ca",
        "certfile /c",
        "keyfile /k",
        "require_certificate true",
        "allow_anonymous false",
    ):
        assert expected in text.splitlines()


def test_the_broker_takes_the_password_file(tmp_path: Path) -> None:
    words = tmp_path / "passwords"
    program = str(Path(find_mosquitto()).with_name("mosquitto_passwd"))
    program = shutil.which("mosquitto_passwd") or program
    subprocess.run([program, "-b", "-c", str(words), "u", "p"], check=True, capture_output=True)
    with Broker(tmp_path / "b", BrokerSettings(password_file=str(words))) as broker:
        assert _listens(broker)
