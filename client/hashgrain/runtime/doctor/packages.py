"""Checks of the installed packages, against what hashgrain's own metadata asks for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import metadata

from hashgrain.runtime.doctor.check import Check

_REQUIREMENT = re.compile(
    r"(?P<name>[\w.-]+)(?:\[[^]]*\])?(?P<versions>[^;]*)(?:;.*extra == ['\"](?P<extra>\w+)['\"])?"
)


@dataclass(frozen=True)
class Requirement:
    """A package that hashgrain asks for: its name, the least version or empty, and the extra or empty."""

    name: str
    least: str
    extra: str

    @property
    def installed(self) -> str:
        """The installed version, or empty."""
        try:
            return metadata.version(self.name)
        except metadata.PackageNotFoundError:
            return ""


def packages() -> tuple[Check, ...]:
    """One finding per extra: an extra of which nothing of its own is installed is not used on this node."""
    try:
        lines = metadata.requires("hashgrain") or []
    except metadata.PackageNotFoundError:
        return (Check("packages", "skipped", "hashgrain is not installed as a package", "pip install hashgrain"),)
    requirements = [requirement for line in lines if (requirement := read_requirement(line))]
    extras = sorted({requirement.extra for requirement in requirements} - {"dev"})
    return tuple(check_extra(extra, requirements) for extra in extras)


def read_requirement(line: str) -> Requirement | None:
    """Read a line like ``redis[hiredis]>=5.1; extra == "indexer"``."""
    match = _REQUIREMENT.match(line)
    if match is None:
        return None
    least = re.search(r"[>=]=\s*([\d.]+)", match["versions"])
    return Requirement(match["name"], least[1] if least else "", match["extra"] or "")


def check_extra(extra: str, all_requirements: list[Requirement]) -> Check:
    """The packages of one extra, or of the base for an empty name."""
    requirements = [row for row in all_requirements if row.extra == extra]
    elsewhere = {row.name for row in all_requirements if row.extra != extra}
    own = [row for row in requirements if row.name not in elsewhere] or requirements
    name = f"packages of [{extra}]" if extra else "packages"
    mend = f'pip install "hashgrain[{extra}]"' if extra else "pip install hashgrain"
    missing = [row.name for row in requirements if not row.installed]
    if extra and not any(row.installed for row in own):
        return Check(name, "skipped", "none installed: not used here", mend)
    if missing:
        return Check(name, "warn" if extra else "fail", f"missing: {', '.join(missing)}", mend)
    old = [f"{row.name} {row.installed}, {row.least} or later is needed" for row in requirements if _older(row)]
    if old:
        return Check(name, "fail", "; ".join(old), f"{mend} --upgrade")
    return Check(name, "ok", ", ".join(f"{row.name} {row.installed}" for row in requirements))


def _older(requirement: Requirement) -> bool:
    return _numbers(requirement.installed) < _numbers(requirement.least)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.match(r"[\d.]*", version)[0].split(".") if part)  # type: ignore[index]
