"""The plan of the county demo holds together: codes, policies, both languages."""

import pytest

from gateway.cli.county_plan import (
    CAMERAS,
    DEPARTMENTS,
    LEVELS,
    RECORDERS,
    WATCHED,
    county_policy,
    upward_policy,
)
from gateway.cli.text import LANGUAGES, Language
from gateway.sharing.policy.load import load_policy
from gateway.simulator import SimulatorOptions
from gateway.simulator.scene import build_channels


def codes() -> list[str]:
    """Every camera's code, as the recorders number them."""
    found = []
    for recorder in RECORDERS:
        options = SimulatorOptions(
            base_id=recorder.base_id,
            platform=recorder.platform,
            channels=recorder.cameras,
            civil_codes=recorder.civil_codes,
            defects=recorder.defects,
        )
        cameras = [item for item in build_channels(options, 0) if item.is_camera]
        found += [camera.channel_id for camera in cameras]
    return found


def test_the_cameras_have_codes_of_their_own_but_for_the_one_that_is_copied() -> None:
    listed = codes()
    assert len(listed) == CAMERAS == 500
    assert len(set(listed)) == CAMERAS
    copied = [recorder.last_carries for recorder in RECORDERS if recorder.last_carries]
    assert len(copied) == 1
    assert set(copied) <= set(listed)
    # Not the one that is watched, nor one with another defect.
    assert listed.index(copied[0]) not in {1, 2, 3, WATCHED}


def test_each_level_but_the_highest_registers_at_one_that_is_started_before_it() -> None:
    assert [level.upper for level in LEVELS[:1]] == [""]
    for number, level in enumerate(LEVELS[1:], 1):
        assert level.upper in {upper.code for upper in LEVELS[:number]}
    assert len({level.code for level in LEVELS}) == len(LEVELS)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_policies_are_valid_and_leave_nothing_to_remark(language: Language) -> None:
    county = load_policy(county_policy(language))
    assert county.remarks == ()
    named = {
        code for rule in county.rules for one in rule.subjects for code in one.departments.texts
    }
    assert named == {department.code for department in DEPARTMENTS}
    assert all(rule.description for rule in county.rules)
    for level in LEVELS[1:]:
        upward = load_policy(upward_policy(level, language))
        assert upward.remarks == ()
        assert len(upward.rules) == 1


def test_everything_has_a_name_in_every_language() -> None:
    for named in (*LEVELS, *DEPARTMENTS):
        assert set(named.names) == set(LANGUAGES)
        assert named.name == named.names["zh"]
    for department in DEPARTMENTS:
        assert set(department.terms) == set(LANGUAGES)
        assert department.purpose is None or set(department.purpose) == set(LANGUAGES)
