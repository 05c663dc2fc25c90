"""Where webhooks may go."""

import pytest

from gateway.domain.errors import Invalid
from gateway.sharing.webhooks_target import MAX_URL, TargetRule

GOOD = [
    "http://receiver.example/hook?token=1",
    "https://receiver.example:8443",
    "http://10.1.2.3/x",
    "http://192.168.1.5:8080/",
    "https://[2001:db8::5]/x",
]
LOCAL = [
    "http://127.0.0.1/",
    "http://127.9.9.9:1/",
    "http://0.0.0.0/",
    "http://169.254.169.254/latest/meta-data",
    "http://100.100.100.200/",
    "http://224.0.0.1/",
    "http://240.0.0.1/",
    "http://[::1]/",
    "http://[::]/",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:169.254.169.254]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[2002:7f00:1::]/",
    "http://[fd00:ec2::254]/",
]
BAD = [
    "",
    "receiver.example/hook",
    "ftp://receiver.example/",
    "file:///etc/passwd",
    "gopher://receiver.example/",
    "http:///hook",
    "http://",
    "http://user:secret@receiver.example/",
    "http://user@receiver.example/",
    "http://receiver.example/#part",
    "http://receiver.example:0/",
    "http://receiver.example:99999/",
    "http://receiver.example/\r\nX: y",
    "http://receiver.example/城",
    "http://[::1",
    "http://receiver.example/" + "x" * MAX_URL,
]


@pytest.mark.parametrize("url", GOOD)
def test_departments_systems_can_be_reached(url: str) -> None:
    assert TargetRule().check_url(url) == url


@pytest.mark.parametrize("url", LOCAL)
def test_our_own_machine_and_its_neighbours_are_reached_only_if_configured(url: str) -> None:
    with pytest.raises(Invalid) as caught:
        TargetRule().check_url(url)
    assert caught.value.code == "target_refused"
    assert TargetRule(local=True).check_url(url) == url


@pytest.mark.parametrize("url", BAD)
def test_what_is_no_plain_http_url_is_refused_whatever_is_configured(url: str) -> None:
    with pytest.raises(Invalid) as caught:
        TargetRule(local=True).check_url(url)
    assert caught.value.code == "invalid_url"
