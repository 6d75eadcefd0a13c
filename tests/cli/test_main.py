"""The command as a whole: every command has help, errors end with 1 and wrong usage with 2."""

import click
import pytest

from command import hashgrain
from hashgrain.cli import main as cli_main
from hashgrain.cli.main import COMMANDS, EXTRA_OF_MODULE, cli


def walk(command, name):
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            assert found is not None, child
            yield from walk(found, f"{name} {child}")


@pytest.mark.parametrize(("name", "command"), [*walk(cli, "hashgrain")])
def test_every_command_has_help_and_so_has_every_option(name, command):
    assert command.get_short_help_str(), f"{name} lacks help"
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, f"{name} {option.opts[0]} lacks help"


def test_help_lists_every_command():
    told = hashgrain("--help")
    assert told.returncode == 0
    assert all(f"  {name} " in told.stdout for name in COMMANDS)


def test_wrong_usage_exits_with_2_and_failure_with_1(tmp_path):
    assert hashgrain("no-such-command").returncode == 2
    assert hashgrain("encode").returncode == 2
    failed = hashgrain("index", "stats", "photos", "--redis", "redis://127.0.0.1:1/0")
    assert failed.returncode == 1
    assert failed.stderr.startswith("error: ")
    assert "Traceback" not in failed.stderr


def test_missing_package_names_the_extra(monkeypatch, capsys):
    def lacks_torch():
        raise ModuleNotFoundError("No module named 'torch'", name="torch._C")

    monkeypatch.setattr(cli_main.cli, "main", lambda **options: lacks_torch())
    with pytest.raises(SystemExit) as exit_info:
        cli_main.main(["train"])
    assert exit_info.value.code == 1
    assert (
        capsys.readouterr().err == 'error: torch is not installed; install it with: pip install "hashgrain[export]"\n'
    )


def test_extras_that_messages_name_exist():
    import tomllib
    from pathlib import Path

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for named in EXTRA_OF_MODULE.values():
        assert named.split()[0] in extras
