"""Every kind and code that the gateway gives has words in the console and the command line, in both languages."""

import enum
import re
from pathlib import Path

import pytest

from gateway.cli.text_codes import CODES_ZH
from gateway.domain.audit import AuditKind
from gateway.domain.bridge import BridgeEnd
from gateway.domain.device import ChannelKind, MediaTransport, OfflineReason, TimelineKind
from gateway.domain.platform import LinkState, PlatformEvent
from gateway.domain.policy import Action, Role
from gateway.domain.push import PushState
from gateway.domain.session import EndReason, SessionState, Stage
from gateway.domain.source import SourceKind, SourceState
from gateway.http.problem import _DENIED
from gateway.sharing.audit.report import FaultCode
from gateway.sharing.grants_model import GrantState
from gateway.sharing.keys import Scope
from gateway.sharing.webhooks import WebhookEvent
from gateway.signalling.catalog import SyncState
from gb28181.sip.digest import DigestResult

GATEWAY = Path(__file__).parents[3] / "gateway"
WEB = GATEWAY / "web"
CODES = "lib/codes-strings.js"


def dictionaries(module: str) -> tuple[set[str], set[str]]:
    """The Chinese and the English keys of a module."""
    text = (WEB / module).read_text(encoding="utf-8")
    found = re.search(r"^(?:  en: \{|const en = \{)", text, re.MULTILINE)
    assert found is not None, module
    both = text[: found.start()], text[found.start() :]
    chinese, english = (set(re.findall(r'"([^"\n]+)": ?"', part)) for part in both)
    return chinese, english


@pytest.mark.parametrize(
    ("kinds", "module", "prefix"),
    [
        (EndReason, CODES, "end"),
        (Stage, CODES, "stage"),
        (SessionState, CODES, "state"),
        (OfflineReason, CODES, "offline"),
        (TimelineKind, CODES, "event"),
        (ChannelKind, CODES, "kind"),
        (MediaTransport, CODES, "transport"),
        (Role, CODES, "role"),
        (SyncState, CODES, "sync"),
        (PlatformEvent, "components/platform-words.js", "event"),
        (LinkState, "components/platform-words.js", "state"),
        (BridgeEnd, "components/platform-words.js", "end"),
        (AuditKind, "components/audit-words.js", "kind"),
        (FaultCode, "components/audit-words.js", "fault"),
        (Action, "components/sharing-words.js", "action"),
        (SourceState, "pages/sources.js", "state"),
        (PushState, "pages/sources.js", "state"),
        (SourceKind, "components/sources-acts.js", "kind"),
        (GrantState, "components/grant-words.js", "state"),
        (Scope, "components/keys-acts.js", "scope"),
        (WebhookEvent, "components/webhooks-acts.js", "event"),
    ],
)
def test_every_kind_has_words_in_the_console(
    kinds: type[enum.StrEnum], module: str, prefix: str
) -> None:
    for language in dictionaries(module):
        assert {f"{prefix}.{kind.value}" for kind in kinds} - language == set()


def test_every_failure_to_authenticate_has_words_in_the_console() -> None:
    refused = {f"auth.{item.value}" for item in DigestResult if item is not DigestResult.OK}
    for language in dictionaries("components/device-said.js"):
        assert refused - language == set()


def test_every_denial_has_words_in_the_console() -> None:
    general = ("denied.",)
    for language in dictionaries(CODES):
        said = {key.partition(".")[2] for key in language if key.startswith(general)}
        assert set(_DENIED) - said == set()


def troubles() -> set[str]:
    texts = [
        (GATEWAY / "http" / name).read_text(encoding="utf-8")
        for name in ("report.py", "report_sharing.py", "overview.py")
    ]
    found = set(re.findall(r'\bcode="(\w+)"(?: if .*? else "(\w+)")?', "\n".join(texts)))
    return {code for pair in found for code in pair if code}


def test_every_trouble_has_words_everywhere() -> None:
    wrong = troubles() | {kind.value for kind in EndReason} | {kind.value for kind in OfflineReason}
    assert len(wrong) > 30
    assert wrong - set(CODES_ZH["trouble"]) == set()
    for language in dictionaries(CODES):
        said = {key.partition(".")[2] for key in language}
        assert wrong - said == set()


@pytest.mark.parametrize(
    ("kinds", "table"),
    [
        (EndReason, "end"),
        (TimelineKind, "event"),
        (PlatformEvent, "platform_event"),
        (LinkState, "link"),
        (BridgeEnd, "bridge"),
        (SessionState, "session"),
        (Stage, "stage"),
        (AuditKind, "audit"),
    ],
)
def test_every_kind_has_chinese_words_on_the_command_line(
    kinds: type[enum.StrEnum], table: str
) -> None:
    assert set(CODES_ZH[table]) == {kind.value for kind in kinds}
    assert all(re.search(r"[\u4e00-\u9fff]", words) for words in CODES_ZH[table].values())


def test_why_a_link_is_down_has_words_on_the_command_line_as_in_the_console() -> None:
    chinese, _ = dictionaries("components/platform-words.js")
    console = {key.partition(".")[2] for key in chinese if key.startswith("reason.")}
    # Each refusal has its status; the words for it are one sentence with the number.
    assert {reason for reason in console if not reason.startswith("refused")} == set(
        CODES_ZH["reason"]
    )


def test_every_action_on_record_has_words_in_the_console() -> None:
    texts = [
        path.read_text(encoding="utf-8")
        for path in GATEWAY.rglob("*.py")
        if path.relative_to(GATEWAY).parts[0] not in {"cli", "simulator", "config", "observe"}
        and path.name != "links_trial.py"  # its notes are the steps of a trial
    ]
    calls = (
        r"(?:_record|_note|_?changes\.record|_?recorder\.record|_log\.record)\(\s*\"([a-z]+)\"\s*,"
    )
    done = set(re.findall(calls, "\n".join(texts)))
    assert {"create", "change", "delete", "order", "lift"} <= done
    for language in dictionaries("components/audit-words.js"):
        assert {f"do.{action}" for action in done} - language == set()
