"""Would systemd notice when the daemon hangs? Looks at the unit and at the environment."""

from edge.checks import Case, Check

UNITS = ("etc/systemd/system", "usr/lib/systemd/system", "lib/systemd/system")


def check(case: Case) -> list[Check]:
    """Under systemd: readiness and watchdog; elsewhere: whether a unit is installed."""
    environ = case.environ
    if "NOTIFY_SOCKET" in environ:
        usec = environ.get("WATCHDOG_USEC", "")
        if not usec.isdigit():
            seen = "started by systemd, but without a watchdog: a hang would not be noticed"
            return [Check("service", "warn", seen, "set WatchdogSec= in rfid3.service")]
        return [Check("service", "ok", f"started by systemd, watchdog {int(usec) / 1e6:g} s")]
    unit = next(
        (f"/{u}/rfid3.service" for u in UNITS if (case.root / u / "rfid3.service").exists()), ""
    )
    if not unit:
        return [
            Check(
                "service", "ok", "not installed as a service: nothing starts it again after a crash"
            )
        ]
    text = case.text(unit.lstrip("/"))
    if "Type=notify" in text and "WatchdogSec=" in text:
        return [Check("service", "ok", f"{unit} with readiness and watchdog")]
    cure = "use the shipped systemd/rfid3.service"
    return [Check("service", "warn", f"{unit} lacks Type=notify or WatchdogSec=", cure)]
