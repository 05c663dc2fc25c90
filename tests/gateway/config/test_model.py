"""Settings: the shipped file, the environment, and what people read when something is wrong."""

import tomllib
from itertools import pairwise
from pathlib import Path

import pytest
from pydantic import BaseModel

from gateway.config.model import ConfigError, Settings, load_settings

SHIPPED = Path(__file__).parents[3] / "conf" / "gateway.toml"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def sections() -> dict[str, type[BaseModel]]:
    return {
        name: field.annotation
        for name, field in Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    }


def problems_of(text: str, tmp_path: Path) -> list[str]:
    path = tmp_path / "g.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_settings(path)
    return caught.value.problems


def test_the_shipped_file_equals_the_defaults() -> None:
    assert load_settings(SHIPPED) == Settings()


def test_the_shipped_file_names_every_option_and_no_other_with_its_default() -> None:
    written = tomllib.loads(SHIPPED.read_text(encoding="utf-8"))
    expected: dict[str, object] = {"data_dir": str(Settings.model_fields["data_dir"].default)}
    for name, section in sections().items():
        expected[name] = {
            key: list(field.default) if isinstance(field.default, tuple) else field.default
            for key, field in section.model_fields.items()
        }
    assert written == expected


def test_every_option_in_the_shipped_file_has_a_comment_above_it() -> None:
    lines = SHIPPED.read_text(encoding="utf-8").splitlines()
    bare = [
        line
        for before, line in pairwise(lines)
        if " = " in line and not line.startswith("#") and not before.startswith("#")
    ]
    assert bare == []


def test_every_option_is_described() -> None:
    undescribed = [
        f"{name}.{key}"
        for name, section in sections().items()
        for key, field in section.model_fields.items()
        if not field.description
    ]
    assert undescribed == []


def test_an_empty_domain_becomes_the_first_ten_digits_of_the_id(tmp_path: Path) -> None:
    path = tmp_path / "g.toml"
    path.write_text('[sip]\nid = "44010200492000000001"\n')
    assert load_settings(path).sip.domain == "4401020049"


def test_the_environment_wins_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "g.toml"
    path.write_text('data_dir = "a"\n[sip]\nport = 5070\ntcp = false\n')
    monkeypatch.setenv("GATEWAY__SIP__PORT", "5080")
    monkeypatch.setenv("GATEWAY__SIP__ALGORITHMS", "SHA-256, MD5")
    monkeypatch.setenv("GATEWAY__DATA_DIR", "/srv/b")
    settings = load_settings(path)
    assert (settings.sip.port, settings.sip.tcp) == (5080, False)
    assert settings.sip.algorithms == ("SHA-256", "MD5")
    assert settings.data_dir == Path("/srv/b")


def test_without_a_path_the_file_under_the_working_directory_is_read(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "gateway.toml").write_text("[http]\nport = 9000\n")
    assert load_settings().http.port == 9000


def test_without_any_file_the_defaults_apply() -> None:
    assert load_settings() == Settings()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[sip]\nid = '34020000002000000001'\npasword = 'x'\n",
         "g.toml, line 3: [sip] pasword is not an option; did you mean password?"),
        ("[spi]\nport = 1\n", "g.toml, line 1: section [spi] is not known; did you mean sip?"),
        ("drain = 5\n", "g.toml, line 1: drain is not known; it belongs into [rtp]"),
        ("[sip]\n\nport = 'abc'\n", "g.toml, line 3: [sip] port: expected a whole number, got 'abc'"),
        ("[sip]\nport = 70000\n", "g.toml, line 2: [sip] port: expected at most 65535, got 70000"),
        ("[sip]\nid = '3402'\n", "g.toml, line 2: [sip] id: expected 20 digits, got 4 characters: '3402'"),
        ("[sip]\ntls_cert = 'c.pem'\n",
         "g.toml, line 1: sip: TLS needs both tls_cert and tls_key; tls_key is empty"),
        ("[media]\ntransport = 'tcp'\n",
         "g.toml, line 2: [media] transport: expected one of 'udp', 'tcp_passive' or 'tcp_active', got 'tcp'"),
        ("[http]\nadmin_token = 5\n",
         "g.toml, line 2: [http] admin_token: expected text in quotes, got (not shown)"),
        ("[rtp]\nport_range = '30000'\n",
         "g.toml, line 2: [rtp] port_range: expected \"FIRST-LAST\" such as \"30000-30999\", got '30000'"),
        ("[store]\nurl = 'mysql://u:secret@h/d'\n",
         "g.toml, line 2: [store] url: expected sqlite+aiosqlite:// or postgresql+asyncpg://, got 'mysql'"),
        (
            "[store]\nurl = 'sqlite+aiosqlite://'\n",
            "g.toml, line 2: [store] url: expected a file, as in sqlite+aiosqlite:///data/gateway.db, got a database in memory",
        ),
        ("sip = 5\n", "g.toml, line 1: sip: expected a section with keys, got 5"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_reported_with_file_line_key_and_expectation(
    text: str, expected: str, tmp_path: Path
) -> None:
    assert [p.removeprefix(f"{tmp_path}/") for p in problems_of(text, tmp_path)] == [expected]


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    found = problems_of("colour = 1\n[sip]\nport = -1\n[log]\nlevel = 'loud'\n", tmp_path)
    assert len(found) == 3


def test_a_wrong_variable_is_reported_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY__HTTP__PORT", "eighty")
    monkeypatch.setenv("GATEWAY__SIP__PASWORD", "hidden")
    monkeypatch.setenv("GATEWAY__SPI__PORT", "1")
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert caught.value.problems == [
        "environment GATEWAY__SIP__PASWORD: [sip] pasword is not an option; did you mean password?",
        "environment GATEWAY__SPI__PORT: spi is not known; did you mean sip?",
        "environment GATEWAY__HTTP__PORT: [http] port: expected a whole number, got 'eighty'",
    ]


def test_a_missing_file_and_broken_toml_are_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_settings(tmp_path / "none.toml")
    (broken,) = problems_of("[sip\n", tmp_path)
    assert "not valid TOML" in broken
    assert "line 1" in broken


def test_secrets_do_not_show_in_the_representation(tmp_path: Path) -> None:
    path = tmp_path / "g.toml"
    path.write_text(
        '[sip]\npassword = "opensesame"\n[http]\nadmin_token = "0123456789abcdef"\n'
        '[store]\nurl = "postgresql+asyncpg://u:dbpass@h/d"\n'
    )
    shown = repr(load_settings(path))
    assert "opensesame" not in shown
    assert "0123456789abcdef" not in shown
    assert "dbpass" not in shown


def test_the_database_is_in_the_data_directory_by_default() -> None:
    assert Settings(data_dir=Path("/srv/g")).store_url == "sqlite+aiosqlite:////srv/g/gateway.db"


def test_trusted_proxies_are_addresses_and_networks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "g.toml"
    path.write_text('[http]\ntrusted_proxies = ["127.0.0.1", "10.1.0.0/24"]\n', encoding="utf-8")
    assert load_settings(path).http.trusted_proxies == ("127.0.0.1/32", "10.1.0.0/24")
    monkeypatch.setenv("GATEWAY__HTTP__TRUSTED_PROXIES", "::1, 192.0.2.0/28")
    assert load_settings(path).http.trusted_proxies == ("::1/128", "192.0.2.0/28")


@pytest.mark.parametrize("value", ["proxy.example", "10.1.0.7/24", "0.0.0.0/0", "::/0"])
def test_a_proxy_that_is_no_address_or_everybody_is_refused(value: str, tmp_path: Path) -> None:
    (problem,) = problems_of(f'[http]\ntrusted_proxies = ["{value}"]\n', tmp_path)
    assert "line 2" in problem
    assert "expected" in problem
    assert value in problem
