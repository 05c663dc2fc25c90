"""Who a dry run asks for: as complete, and on the network zone, as when they ask themselves."""

from dataclasses import replace

from gateway.domain.policy import AccessContext, Subject
from gateway.http.shared import SharingDeps

__all__ = ["Asker", "AskerBook"]

Asker = tuple[Subject, AccessContext]


class AskerBook:
    """Knows departments, platforms, keys and accounts.

    Args:
        sharing: Where they are kept.
    """

    def __init__(self, sharing: SharingDeps) -> None:
        self._sharing = sharing

    def asker(self, subject: Subject, context: AccessContext, *, zone: str | None) -> Asker:
        """Return a subject with its circumstances.

        Args:
            subject: A key or account that is named alone gets its department or role.
            context: The circumstances, but for the zone.
            zone: None is the zone that is configured for the subject.
        """
        whole, own = self._known(subject)
        return whole, replace(context, zone=own if zone is None else zone)

    def everybody(self) -> list[Subject]:
        """Return one subject for each department and each platform, as the policy knows them."""
        departments = [Subject(department=d.code) for d in self._sharing.departments.all()]
        platforms = [Subject(platform=p.platform_id) for p in self._sharing.platforms.list()]
        return [*departments, *platforms]

    def _known(self, subject: Subject) -> tuple[Subject, str]:
        """Return a subject with what is known of it, and its zone."""
        sharing, alone = self._sharing, not (subject.department or subject.role)
        if subject.platform:
            config = sharing.platforms.find(subject.platform)
            return subject, config.zone if config is not None else ""
        if subject.key and (key := sharing.keys.find(subject.key)) is not None:
            zone = sharing.keys.zone_of(key)
            return (
                _filled(subject, sharing.keys.effective(key).subject) if alone else subject
            ), zone
        if subject.user and (user := sharing.users.find(subject.user)) is not None:
            zone = sharing.users.zone_of(user)
            return (_filled(subject, user.subject) if alone else subject), zone
        department = sharing.departments.find(subject.department)
        return subject, department.zone if department is not None else ""


def _filled(asked: Subject, known: Subject) -> Subject:
    return replace(known, identity=asked.identity, gateways=asked.gateways)
