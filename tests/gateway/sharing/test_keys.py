"""Keys: secrets shown once, sealed and hashed; settings that hold at once."""

import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.domain.errors import Invalid, NotFound, Unavailable
from gateway.domain.policy import Subject
from gateway.sharing.keys import MAX_RATE, ApiKey, IssuedKey, KeySettings, Scope
from gateway.sharing.signature import request_signature
from tests.support.departments import BOSS, Books, books

LIVE = KeySettings(name="console", scopes=frozenset({Scope.CATALOG, Scope.LIVE}))


async def issued(held: Books, settings: KeySettings = LIVE) -> IssuedKey:
    await held.departments.save("urban", name="城管局", zone="egov", by=BOSS)
    return await held.keys.create(settings, department="urban", by=BOSS)


async def test_a_key_is_found_by_its_bearer_form_and_by_nothing_near_it() -> None:
    held = await books()
    made = await issued(held)
    assert held.keys.find_bearer(made.bearer) == made.key
    for wrong in (
        made.bearer[:-1],
        made.bearer + "0",
        made.bearer.upper(),
        made.key.key_id,
        f"{made.key.key_id}.",
        f"{made.key.key_id}.{made.secret}",
        "",
        ".",
        "\udcff",
    ):
        assert held.keys.find_bearer(wrong) is None, wrong


async def test_neither_secret_nor_bearer_form_is_stored_or_recorded() -> None:
    held = await books()
    made = await issued(held)
    kept = json.dumps(held.documents.collections, default=str)
    recorded = repr(held.audit.entries) + repr(made) + repr(made.key)
    for secret in (made.secret, made.bearer, made.bearer.partition(".")[2]):
        assert secret not in kept
        assert secret not in recorded


async def test_a_restart_keeps_keys_with_everything_about_them() -> None:
    held = await books()
    until = datetime(2027, 1, 1, tzinfo=UTC)
    made = await issued(held, replace(LIVE, zone="z", expires_at=until, max_streams=3))
    again = await books(held.documents)
    assert again.keys.all() == [made.key]
    assert again.keys.find_bearer(made.bearer) == made.key
    assert again.keys.secret(made.key) == made.secret


async def test_the_signature_is_hmac_over_five_lines() -> None:
    body = '{"a": "城"}'.encode()
    lines = ["POST", "/p?x=1", "1700000000", "nonce-123", hashlib.sha256(body).hexdigest()]
    expected = hmac.new(b"secret", "\n".join(lines).encode(), "sha256").hexdigest()
    given = request_signature("secret", "POST", "/p?x=1", "1700000000", "nonce-123", body)
    assert given == expected


async def test_a_new_secret_makes_the_old_one_worthless() -> None:
    held = await books()
    made = await issued(held)
    anew = await held.keys.rotate(made.key.key_id, by=BOSS)
    assert held.keys.find_bearer(made.bearer) is None
    assert held.keys.find_bearer(anew.bearer) == anew.key
    assert held.keys.secret(anew.key) == anew.secret != made.secret
    assert ("rotate", f"key:{made.key.key_id}") in held.actions


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, None),
        ({"disabled": True}, "key_disabled"),
        ({"expires_at": datetime(2026, 11, 21, 8, 0, tzinfo=UTC)}, "key_expired"),
        ({"expires_at": datetime(2026, 11, 21, 8, 1, tzinfo=UTC)}, None),
    ],
)
async def test_disabled_and_expired_keys_cannot_be_used(
    changes: dict[str, Any], why: str | None
) -> None:
    held = await books()
    made = await issued(held, replace(LIVE, **changes))
    assert made.key.unusable(held.clock.utc_now()) == why


async def test_listeners_learn_of_changes_and_see_a_deleted_key_as_disabled() -> None:
    held = await books()
    made = await issued(held)
    told: list[ApiKey] = []
    held.keys.on_changed.append(told.append)
    await held.keys.change(made.key.key_id, replace(LIVE, max_streams=1), by=BOSS)
    await held.keys.delete(made.key.key_id, by=BOSS)
    assert [(key.settings.max_streams, key.settings.disabled) for key in told] == [
        (1, False),
        (1, True),
    ]
    with pytest.raises(NotFound):
        held.keys.get(made.key.key_id)


async def test_a_change_that_cannot_be_kept_is_taken_back() -> None:
    held = await books()
    made = await issued(held)
    held.documents.broken = True
    with pytest.raises(Unavailable):
        await held.keys.change(made.key.key_id, replace(LIVE, disabled=True), by=BOSS)
    with pytest.raises(Unavailable):
        await held.keys.delete(made.key.key_id, by=BOSS)
    with pytest.raises(Unavailable):
        await held.keys.create(LIVE, department="urban", by=BOSS)
    assert held.keys.all() == [made.key]


@pytest.mark.parametrize(
    "changes",
    [
        {"scopes": frozenset()},
        {"requests_per_minute": 0},
        {"requests_per_minute": MAX_RATE + 1},
        {"max_streams": -1},
        {"zone": "a b"},
        {"expires_at": datetime(2027, 1, 1)},  # noqa: DTZ001 - that is what is refused
    ],
)
async def test_settings_that_cannot_be_used_are_refused(changes: dict[str, Any]) -> None:
    held = await books()
    with pytest.raises(Invalid):
        await issued(held, replace(LIVE, **changes))
    assert held.keys.all() == []


async def test_a_key_belongs_to_a_department_or_has_a_role_below_admin() -> None:
    held = await books()
    for owner in ({}, {"department": "urban", "role": "viewer"}, {"role": "admin"}):
        with pytest.raises((Invalid, NotFound)):
            await held.keys.create(LIVE, by=BOSS, **owner)
    with pytest.raises(NotFound):
        await held.keys.create(LIVE, department="nobody", by=BOSS)
    with pytest.raises(Invalid):
        await held.keys.create(replace(LIVE, name=""), role="viewer", by=BOSS)


async def test_a_key_of_our_own_people_never_opens_more_than_its_role() -> None:
    held = await books()
    made = await held.keys.create(
        KeySettings(name="wang", scopes=frozenset(Scope)), role="viewer", by=BOSS
    )
    assert made.key.scopes == {Scope.CATALOG, Scope.LIVE}
    assert made.key.subject == Subject(role="viewer", user="wang")
    assert made.key.subject.is_local


async def test_the_subject_of_a_department_names_key_and_department() -> None:
    held = await books()
    made = await issued(held)
    assert made.key.subject == Subject(department="urban", key=made.key.key_id)
    assert held.keys.zone_of(made.key) == "egov"
    changed = await held.keys.change(made.key.key_id, replace(LIVE, zone="police"), by=BOSS)
    assert held.keys.zone_of(changed) == "police"


async def test_a_secret_sealed_with_another_key_opens_nothing() -> None:
    held = await books()
    made = await issued(held)
    held.documents.collections["api_keys"][made.key.key_id]["secret"] = "foreign"
    again = await books(held.documents)
    assert again.keys.secret(again.keys.get(made.key.key_id)) is None


async def test_an_unreadable_key_is_left_out_and_an_unknown_scope_opens_nothing() -> None:
    held = await books()
    made = await issued(held)
    kept = held.documents.collections["api_keys"]
    kept["gbkbroken"] = {**kept[made.key.key_id], "created_at": "yesterday"}
    kept[made.key.key_id]["scopes"] = ["live", "everything"]
    again = await books(held.documents)
    assert [key.scopes for key in again.keys.all()] == [{Scope.LIVE}]


async def test_what_is_recorded_says_what_the_key_may_do() -> None:
    held = await books()
    made = await issued(held, replace(LIVE, expires_at=held.clock.utc_now() + timedelta(days=1)))
    entry = held.audit.entries[-1]
    assert (entry.action, entry.object_id) == ("create", f"key:{made.key.key_id}")
    assert "department urban" in entry.detail
    assert "scopes catalog live" in entry.detail
    assert "until 2026-11-22" in entry.detail
