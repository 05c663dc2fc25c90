"""`gateway doctor`: what is wrong with machine, configuration and gateway, and what to do."""

from typing import Any

import typer
from rich.table import Table
from rich.text import Text

from gateway.cli import view
from gateway.cli.api import Api, ApiRefused, ApiUnreachable
from gateway.cli.check import Finding, Level, check_machine
from gateway.cli.context import UNHEALTHY, Cli
from gateway.cli.text_codes import CODES_ZH
from gateway.cli.text_config import config_zh
from gateway.config.model import ConfigError, load_settings

__all__ = ["run"]

_STYLE = {Level.OK: "green", Level.INFO: "cyan", Level.WARN: "yellow", Level.FAIL: "bold red"}


def run(cli: Cli, session: str | None, *, as_json: bool) -> None:
    """Run all checks; exit code 1 if one failed."""
    findings: list[Finding] = []
    answered = _ask_gateway(cli, session)
    try:
        settings = load_settings(cli.config)
    except ConfigError as exc:
        findings += [_bad_setting(problem) for problem in exc.problems]
    else:
        if cli.data_dir is not None:
            settings = settings.model_copy(update={"data_dir": cli.data_dir})
        findings.append(Finding("config", Level.OK, "配置可用", "The configuration loads"))
        findings += check_machine(settings, running=answered.running)
    findings += answered.findings
    if as_json:
        cli.print_json(
            {
                "ok": not any(finding.level is Level.FAIL for finding in findings),
                "checks": [finding.as_json() for finding in findings],
                "diagnosis": answered.diagnosis,
            }
        )
    else:
        _print(cli, findings, answered.diagnosis)
    if any(finding.level is Level.FAIL for finding in findings):
        raise typer.Exit(UNHEALTHY)


class _Answered:
    """What the running gateway said."""

    def __init__(self) -> None:
        self.running = False
        self.findings: list[Finding] = []
        self.diagnosis: dict[str, Any] | None = None


def _ask_gateway(cli: Cli, session: str | None) -> _Answered:
    answered = _Answered()
    try:
        url, token = cli.address()
    except typer.Exit:
        if cli.url or session:
            raise
        answered.findings.append(_not_running(""))
        return answered

    async def ask() -> None:
        try:
            async with Api(url, token) as api:
                status = await api.get("status")
                answered.running = True
                answered.findings += _from_status(cli, status)
                answered.diagnosis = await _explain(api, session)
        except ApiUnreachable as exc:
            answered.findings.append(_not_running(f"{exc.url}: {exc.why}"))

    cli.run(ask())
    return answered


async def _explain(api: Api, session: str | None) -> dict[str, Any] | None:
    try:
        body = {"session_id": session} if session else None
        answer: dict[str, Any] = await api.post("doctor/explain", body)
    except ApiRefused as exc:
        if exc.code == "no_failed_session":
            return None
        raise
    return answer


def _from_status(cli: Cli, status: dict[str, Any]) -> list[Finding]:
    devices = status["devices"]
    findings = [
        Finding(
            "gateway",
            Level.OK,
            f"网关 {status['version']} 运行中, {devices['online']}/{devices['total']} 台设备在线",
            f"Gateway {status['version']} runs, {devices['online']} of {devices['total']} devices online",
        )
    ]
    for trouble in status["troubles"][:20]:
        level = Level.FAIL if trouble["severity"] == "error" else Level.WARN
        since = view.when(trouble["since"], cli.say) if trouble["since"] else "-"
        code = trouble["code"]
        words = f"{trouble['subject']} x{trouble['count']}: {trouble['detail']}"
        findings.append(
            Finding(
                "gateway",
                level,
                f"{CODES_ZH['trouble'].get(code, code)} {words} (自 {since})",
                f"{code} {words} (since {since})",
            )
        )
    return findings


def _not_running(why: str) -> Finding:
    suffix = f" ({why})" if why else ""
    return Finding(
        "gateway",
        Level.INFO,
        f"没有运行中的网关{suffix}",
        f"No gateway is running{suffix}",
        "gateway serve 启动; 或用 --url 和 --token 指明",
        "Start one with gateway serve, or name it with --url and --token",
    )


def _bad_setting(problem: str) -> Finding:
    return Finding(
        "config",
        Level.FAIL,
        config_zh(problem),
        problem,
        "修改配置后用 gateway check-config 复查",
        "Correct it and look again with gateway check-config",
    )


def _print(cli: Cli, findings: list[Finding], diagnosis: dict[str, Any] | None) -> None:
    zh = cli.language == "zh"
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        words = Text(finding.zh if zh else finding.en)
        advice = finding.do_zh if zh else finding.do_en
        if advice:
            words.append(f"\n→ {advice}", style="cyan")
        table.add_row(Text(finding.level.value, style=_STYLE[finding.level]), finding.check, words)
    cli.out.print(table)
    if diagnosis is not None:
        cli.out.print()
        cli.out.print(view.diagnosis_view(diagnosis, cli.say))
