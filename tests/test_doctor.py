"""The doctor, against a real broker, this machine's disk and clock, and machines made of files."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import mqtt5
import msgspec
import pytest

from edge import doctor
from edge.broker import Broker, BrokerSettings
from edge.checks import Case, Check, clock_sync, disk, machine, mosquitto_conf, service, versions
from edge.checks import broker as broker_check
from edge.config import Api, Config, Ingest, Limits, Mqtt, Storage, Tls
from edge.ingest.mqtt_greeting import status_message
from edge.ingest.mqtt_probe import ProbeFailed, probe, session_exists

NOW_S = 1_800_000_000


def case(root: Path = Path("/"), environ: dict[str, str] | None = None, **parts: object) -> Case:
    return Case(Config(**parts), environ or {}, root)  # type: ignore[arg-type]


def at(broker: Broker, **settings: object) -> Mqtt:
    return Mqtt(host=broker.host, port=broker.port, **settings)  # type: ignore[arg-type]


def named(checks: list[Check], name: str) -> Check:
    (found,) = [c for c in checks if c.name == name]
    return found


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


# --- broker -----------------------------------------------------------------------------------


class Daemon:
    """Something connected under the daemon's client id, with the daemon's status retained."""

    def __init__(self, settings: Mqtt) -> None:
        self._sock = socket.create_connection((settings.host, settings.port), timeout=10)
        self._settings = settings
        connect = mqtt5.ConnectPacket(settings.client_id, session_expiry_interval=600)
        self._sock.sendall(connect.write())
        assert self._read(), "no CONNACK"

    def _read(self) -> bytes:
        return self._sock.recv(4_096)

    def say(self, status: str) -> None:
        told = status_message(self._settings, status, 1)
        packet = mqtt5.PublishPacket(told.topic, told.payload, retain=True)
        self._sock.sendall(packet.write())
        assert self.answers()

    def answers(self) -> bool:
        """Whether the broker still answers this connection's ping."""
        self._sock.sendall(mqtt5.PingReqPacket().write())
        return self._read() == mqtt5.PingRespPacket().write()

    def vanish(self) -> None:
        self._sock.sendall(mqtt5.DisconnectPacket().write())
        assert self._read() == b""
        self._sock.close()


def test_a_sane_broker_is_found_with_its_version_and_limits(broker: Broker) -> None:
    found = broker_check.check(case(mqtt=at(broker)))
    assert {c.verdict for c in found} == {"ok"}
    assert "mosquitto version" in named(found, "broker").seen
    assert "1000 in flight to us" in named(found, "broker grants").seen
    assert "none yet" in named(found, "broker session").seen


def test_looking_leaves_no_session_behind(broker: Broker) -> None:
    settings = at(broker, client_id="shop")
    broker_check.check(case(mqtt=settings))
    broker_check.check(case(mqtt=settings))
    assert not session_exists(at(broker, client_id="shop-doctor"))
    assert not session_exists(settings)


def test_a_running_daemon_is_not_pushed_out(broker: Broker) -> None:
    settings = at(broker)
    daemon = Daemon(settings)
    daemon.say("online")
    session = named(broker_check.check(case(mqtt=settings)), "broker session")
    assert session.verdict == "ok"
    assert "in use by the running daemon" in session.seen
    assert daemon.answers()
    daemon.vanish()


def test_the_session_of_a_stopped_daemon_is_found_and_kept(broker: Broker) -> None:
    settings = at(broker)
    daemon = Daemon(settings)
    daemon.say("offline")
    daemon.vanish()
    for _ in range(2):
        session = named(broker_check.check(case(mqtt=settings)), "broker session")
        assert session.verdict == "ok"
        assert "kept for rfid3" in session.seen


def test_a_session_that_the_broker_has_lost_is_told(broker: Broker, tmp_path: Path) -> None:
    journal = write(tmp_path / "var", {"journal.sqlite3": ""})
    told = case(mqtt=at(broker), storage=Storage(directory=str(journal)))
    session = named(broker_check.check(told), "broker session")
    assert session.verdict == "warn"
    assert "keeps no session" in session.seen
    assert "persistence true" in session.todo


def test_limits_that_do_not_fit_the_settings_are_told_with_their_cure(tmp_path: Path) -> None:
    limits = BrokerSettings(inflight_max=20, packet_max_bytes=10_000)
    with Broker(tmp_path / "small", limits) as broker:
        settings = at(broker, session_expiry_s=60, receive_maximum=20)
        found = broker_check.check(case(mqtt=settings))
    grants = [c for c in found if c.name == "broker grants"]
    assert [c.verdict for c in grants] == ["warn"] * 3
    assert "mqtt.receive_maximum = 20" in grants[0].seen
    assert "packets above 10 kB are refused" in grants[1].seen
    assert "mqtt.session_expiry_s = 60" in grants[2].seen


def test_the_receive_maximum_we_ask_for_wins_over_the_brokers_inflight_limit(
    tmp_path: Path,
) -> None:
    """Why max_inflight_messages is not complained about: it would be a false alarm."""
    with Broker(tmp_path / "small", BrokerSettings(inflight_max=20)) as broker:
        assert probe(at(broker)).receive_maximum == 20
        reader = mqtt5.ConnectPacket("reader", receive_max=100)
        wanted = mqtt5.SubscribePacket(1, [mqtt5.TopicFilter("t", max_qos=mqtt5.QoS.AT_LEAST_ONCE)])
        address = (broker.host, broker.port)
        with socket.create_connection(address, timeout=10) as link:
            link.sendall(reader.write() + wanted.write())
            with socket.create_connection(address, timeout=10) as sender:
                sender.sendall(mqtt5.ConnectPacket("sender").write())
                for packet_id in range(1, 61):
                    sender.sendall(publish(packet_id))
                    wait_for(sender, packet_id)
            assert count_publishes(link, 60) == 60


def publish(packet_id: int) -> bytes:
    at_least_once = mqtt5.QoS.AT_LEAST_ONCE
    return mqtt5.PublishPacket("t", b"x", qos=at_least_once, packet_id=packet_id).write()


def packets(link: socket.socket) -> Iterator[mqtt5.Packet]:
    """What arrives, until nothing does for long."""
    buffer = b""
    while True:
        try:
            packet, used = mqtt5.read(memoryview(buffer))
        except IndexError:
            chunk = link.recv(65_536)
            if not chunk:
                return
            buffer += chunk
        else:
            buffer = buffer[used:]
            yield packet


def wait_for(link: socket.socket, packet_id: int) -> None:
    """Until the broker has taken this publish."""
    for packet in packets(link):
        if isinstance(packet, mqtt5.PubAckPacket) and packet.packet_id == packet_id:
            return
    raise AssertionError(f"{packet_id} was not acknowledged")


def count_publishes(link: socket.socket, wanted: int) -> int:
    """Publishes that come without any being acknowledged."""
    count = 0
    for packet in packets(link):
        count += isinstance(packet, mqtt5.PublishPacket)
        if count == wanted:
            break
    return count


def test_a_wrong_password_is_told_as_such(tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"
    passwords.write_text("")
    passwords.chmod(0o600)
    settings = BrokerSettings(password_file=str(passwords))
    with Broker(tmp_path / "locked", settings) as broker:
        told = named(broker_check.check(case(mqtt=at(broker, username="me"))), "broker")
    assert told.verdict == "fail"
    assert "refuses us" in told.seen
    assert "mqtt.username" in told.todo


def test_nobody_listening_is_told_with_its_cure() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        told = broker_check.check(case(mqtt=Mqtt(port=taken.getsockname()[1])))
    assert [c.verdict for c in told] == ["fail"]
    assert "nobody listens" in told[0].seen
    assert "systemctl start mosquitto" in told[0].todo


@contextlib.contextmanager
def stranger(answer: bytes | None) -> Iterator[int]:
    """A server that reads once and answers this; ``None``: it never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held: list[socket.socket] = []

        def serve() -> None:
            link, _ = server.accept()
            held.append(link)
            link.recv(1_000)
            if answer is not None:
                link.sendall(answer)
                link.shutdown(socket.SHUT_WR)

        thread = threading.Thread(target=serve, name="stranger")
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            thread.join()
            for link in held:
                link.close()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak MQTT 5"),
        (b"\x20\x02\x00\x01", "does not speak MQTT 5"),
        (b"", "closed the connection"),
        (b"\x20", "closed the connection"),
        (None, "did not answer within"),
        (b"\xd0\x00", "something else"),
    ],
)
def test_who_is_no_broker_is_told_apart(answer: bytes | None, said: str) -> None:
    with stranger(answer) as port, pytest.raises(ProbeFailed, match=said) as caught:
        probe(Mqtt(port=port), timeout_s=0.3 if answer is None else 60.0)
    assert caught.value.cure


def test_tls_asked_of_a_plain_port_and_wrong_files_are_told(broker: Broker, tmp_path: Path) -> None:
    with pytest.raises(ProbeFailed) as caught:
        probe(at(broker, tls=Tls(enabled=True)))
    assert str(caught.value).startswith("no TLS with")
    wrong = tmp_path / "ca.pem"
    wrong.write_text("not a certificate")
    with pytest.raises(ProbeFailed, match="TLS files cannot be used"):
        probe(at(broker, tls=Tls(enabled=True, ca_file=str(wrong))))


def test_a_name_that_nobody_knows_is_told() -> None:
    with pytest.raises(ProbeFailed, match=r"name nowhere\.invalid is not known"):
        probe(Mqtt(host="nowhere.invalid"))


# --- mosquitto.conf ---------------------------------------------------------------------------

SANE = """
persistence true
autosave_interval 5
max_queued_messages 1000000
"""


def test_the_defaults_of_mosquitto_are_told(tmp_path: Path) -> None:
    root = write(tmp_path, {mosquitto_conf.CONF: "# nothing\n"})
    found = mosquitto_conf.check(case(root))
    told = {c.seen.split(" ")[0]: c.verdict for c in found}
    assert told == {
        "persistence": "fail",
        "autosave_interval": "warn",
        "max_queued_messages": "warn",
    }
    assert all("/etc/mosquitto/conf.d/rfid3.conf" in c.todo for c in found)


def test_included_files_count(tmp_path: Path) -> None:
    files = {
        mosquitto_conf.CONF: "max_queued_messages 0\ninclude_dir /etc/mosquitto/conf.d\n",
        "etc/mosquitto/conf.d/rfid3.conf": SANE,
        "etc/mosquitto/conf.d/README": "persistence false",
    }
    (found,) = mosquitto_conf.check(case(write(tmp_path, files)))
    assert found.verdict == "ok"


@pytest.mark.parametrize("value", ["0", "5000"])
def test_a_bad_queue_limit_is_told(tmp_path: Path, value: str) -> None:
    text = f"{SANE}max_queued_messages {value}\n"
    (found,) = mosquitto_conf.check(case(write(tmp_path, {mosquitto_conf.CONF: text})))
    assert found.verdict == "warn"
    assert found.seen.startswith(f"max_queued_messages {value}: ")


def test_the_configuration_of_another_broker_is_left_alone(tmp_path: Path) -> None:
    root = write(tmp_path, {mosquitto_conf.CONF: "listener 1884 127.0.0.1\n"})
    (found,) = mosquitto_conf.check(case(root))
    assert found.verdict == "ok"
    assert "another broker (port 1884)" in found.seen
    assert mosquitto_conf.check(case(root, mqtt=Mqtt(host="10.0.0.9"))) == []


# --- clock ------------------------------------------------------------------------------------


def test_the_kernel_tells_of_its_clock() -> None:
    sync = clock_sync.kernel_sync()
    assert sync is not None
    assert sync.error_max_ms >= 0


@pytest.mark.parametrize(
    ("now_s", "sync", "verdict"),
    [
        (0, clock_sync.Sync(True, 1), "fail"),
        (NOW_S, clock_sync.Sync(True, 1), "ok"),
        (NOW_S, clock_sync.Sync(False, 16_000), "warn"),
        (NOW_S, None, "warn"),
    ],
)
def test_a_wrong_clock_is_told(now_s: float, sync: clock_sync.Sync | None, verdict: str) -> None:
    found = clock_sync.clock_check(now_s, sync)
    assert found.verdict == verdict
    assert bool(found.todo) is (verdict != "ok")


@pytest.mark.parametrize(
    ("epoch", "verdict"), [("", "warn"), ("12345", "warn"), (str(NOW_S), "ok")]
)
def test_a_pi_without_a_battery_is_told(tmp_path: Path, epoch: str, verdict: str) -> None:
    files = {"proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0"}
    if epoch:
        files["sys/class/rtc/rtc0/since_epoch"] = f"{epoch}\n"
    found = clock_sync.check(case(write(tmp_path, files)))
    assert named(found, "clock chip").verdict == verdict


# --- disk -------------------------------------------------------------------------------------


def stored(directory: Path | str, **settings: int) -> Case:
    return case(storage=Storage(directory=str(directory), **settings))  # type: ignore[arg-type]


def test_a_good_directory_is_measured_and_nothing_is_left_in_it(tmp_path: Path) -> None:
    home = tmp_path / "var"
    home.mkdir(mode=0o750)
    found = disk.check(stored(home, journal_max_bytes=1_048_576))
    assert [c.name for c in found] == ["storage rights", "disk room", "filesystem", "disk fsync"]
    assert named(found, "storage rights").verdict == "ok"
    assert named(found, "disk room").verdict == "ok"
    assert "with 20 in flight and" in named(found, "disk fsync").seen
    assert list(home.iterdir()) == []


def test_a_directory_that_is_not_there_yet_is_not_made(tmp_path: Path) -> None:
    found = disk.check(stored(tmp_path / "a/b"))
    assert "can be made" in named(found, "storage rights").seen
    assert not (tmp_path / "a").exists()


def test_a_directory_that_everybody_can_read_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    rights = named(disk.check(stored(tmp_path)), "storage rights")
    assert (rights.verdict, rights.todo) == ("warn", f"chmod 750 {tmp_path}")


def test_a_file_in_the_way_is_told() -> None:
    (found,) = disk.check(stored("/dev/null/var"))
    assert found.verdict == "fail"
    assert "/dev/null is a file" in found.seen


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    room = named(disk.check(stored(tmp_path, disk_reserve_bytes=2**50)), "disk room")
    assert room.verdict == "fail"
    room = named(disk.check(stored(tmp_path, journal_max_bytes=2**50)), "disk room")
    assert room.verdict == "warn"
    assert "storage.journal_max_bytes" in room.todo


MOUNTS = """\
22 1 259:2 / / rw,noatime shared:1 - ext4 /dev/mmcblk0p2 rw
30 22 0:26 / /mnt/my\\040share rw,relatime shared:9 - cifs //nas/x rw,vers=3.0
31 22 0:27 / /run rw,nosuid - tmpfs tmpfs rw,size=800000k
32 22 0:28 / /mnt rw - vfat /dev/sda1 rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/var/lib", "ext4"), ("/run/rfid3", "tmpfs"), ("/mnt/my share/x", "cifs"), ("/mnt", "vfat")],
)
def test_the_filesystem_of_a_path_is_its_longest_mount(path: str, kind: str) -> None:
    assert disk.mount_of(MOUNTS, Path(path))[0] == kind
    assert (kind in disk.FILESYSTEMS) is (kind != "ext4")


def test_the_fsync_delay_of_a_bench_is_part_of_what_to_expect(tmp_path: Path) -> None:
    speed = named(disk.check(stored(tmp_path, fsync_delay_ms=500)), "disk fsync")
    assert speed.verdict == "warn"
    rate = float(speed.seen.partition("about ")[2].partition(" messages")[0])
    assert 30 <= rate <= 20 / 0.5


# --- machine, service, versions ---------------------------------------------------------------

PI = {
    "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
    "proc/meminfo": "MemTotal:        4147424 kB\nMemFree: 1 kB\n",
    "proc/cmdline": "coherent_pool=1M cgroup_disable=memory root=/dev/mmcblk0p2\n",
    "sys/kernel/mm/transparent_hugepage/enabled": "[always] madvise never\n",
}


def test_a_pi_as_it_comes_is_described(tmp_path: Path) -> None:
    found = machine.check(case(write(tmp_path, PI)))
    assert "Raspberry Pi 5 Model B Rev 1.0" in named(found, "machine").seen
    assert "4.25 GB RAM" in named(found, "machine").seen
    assert "cgroup_enable=memory" in named(found, "kernel command line").todo
    assert named(found, "memory pages").verdict == "warn"
    assert named(found, "memory").verdict == "ok"


def test_limits_beyond_the_memory_are_told(tmp_path: Path) -> None:
    root = write(tmp_path, {**PI, "proc/meminfo": "MemTotal: 100000 kB\n"})
    memory = named(machine.check(case(root, limits=Limits())), "memory")
    assert memory.verdict == "fail"
    assert "[limits]" in memory.todo
    rows = machine.memory_rows(case(root))
    assert rows
    assert all(size_bytes > 0 for size_bytes in rows.values())


@pytest.mark.parametrize(
    ("files", "environ", "verdict"),
    [
        ({}, {}, "ok"),
        ({}, {"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "15000000"}, "ok"),
        ({}, {"NOTIFY_SOCKET": "/run/x"}, "warn"),
        ({"etc/systemd/system/rfid3.service": "[Service]\nType=simple\n"}, {}, "warn"),
        (
            {"etc/systemd/system/rfid3.service": "[Service]\nType=notify\nWatchdogSec=15\n"},
            {},
            "ok",
        ),
    ],
)
def test_a_service_without_a_watchdog_is_told(
    tmp_path: Path, files: dict[str, str], environ: dict[str, str], verdict: str
) -> None:
    (found,) = service.check(case(write(tmp_path, files), environ))
    assert found.verdict == verdict


def test_versions_are_those_of_this_interpreter() -> None:
    found = versions.check(case())
    assert named(found, "python").seen.startswith(".".join(map(str, sys.version_info[:3])))
    assert "mqtt5" in named(found, "libraries").seen
    assert "mosquitto version" in named(found, "mosquitto").seen


# --- the whole --------------------------------------------------------------------------------


def run(tmp_path: Path, *args: str, **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("RFID3_")}
    return subprocess.run(
        [sys.executable, "-m", "edge", "doctor", *args],
        cwd=tmp_path,
        env={**clean, "COLUMNS": "80", **environ},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_the_doctor_ends_with_0_on_a_good_machine_and_speaks_json(
    shared_broker: Broker, tmp_path: Path
) -> None:
    done = run(tmp_path, "--json", RFID3_MQTT__PORT=str(shared_broker.port))
    told = json.loads(done.stdout)
    failures = [c for c in told["checks"] if c["verdict"] == "fail"]
    assert (done.returncode, failures, told["ok"]) == (0, [], True)
    assert {"name", "verdict", "seen", "todo"} == set(told["checks"][0])


def test_the_doctor_ends_with_1_when_something_failed(tmp_path: Path) -> None:
    done = run(tmp_path, RFID3_MQTT__PORT="1", RFID3_STORAGE__DIRECTORY="/dev/null/x")
    assert done.returncode == 1
    assert "fail  broker" in done.stdout
    assert "fail  storage rights" in done.stdout
    assert "2 failed" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert done.stderr == ""


def test_every_finding_that_is_not_ok_says_what_to_do(tmp_path: Path) -> None:
    root = write(tmp_path, {**PI, mosquitto_conf.CONF: ""})
    config = Config(
        mqtt=Mqtt(port=1, password="x"),
        ingest=Ingest(),
        api=Api(),
        storage=Storage(directory=str(tmp_path), journal_max_bytes=2**50),
    )
    found = list(doctor.examine(Case(config, {}, root)))
    assert [c for c in found if c.verdict != "ok" and not c.todo] == []
    assert doctor.failed(found)
    assert msgspec.json.encode(doctor.document(found))


# --- TLS --------------------------------------------------------------------------------------


@pytest.fixture
def tls_broker(tmp_path: Path) -> Iterator[tuple[Broker, Path]]:
    """A broker with a certificate of its own signing, and that certificate."""
    folder = tmp_path / "tls"
    folder.mkdir()
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    key = ["-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem"]
    command = ["openssl", "req", "-x509", "-days", "2", *key, *subject]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    settings = BrokerSettings(cert_file=str(folder / "cert.pem"), key_file=str(folder / "key.pem"))
    with Broker(tmp_path / "broker", settings) as running:
        yield running, folder / "cert.pem"


def test_a_broker_behind_tls_is_found_and_distrust_is_told(
    tls_broker: tuple[Broker, Path],
) -> None:
    broker, certificate = tls_broker
    trusting = Tls(enabled=True, ca_file=str(certificate))
    found = broker_check.check(case(mqtt=at(broker, tls=trusting)))
    assert "(TLS)" in named(found, "broker").seen
    with pytest.raises(ProbeFailed, match="is not trusted") as caught:
        probe(at(broker, tls=Tls(enabled=True)))
    assert "mqtt.tls.ca_file" in caught.value.cure
    with pytest.raises(ProbeFailed) as caught:
        probe(at(broker))
    assert "mqtt.tls.enabled" in caught.value.cure
