"""What a trial's row says of who was asked, what came back and what it cost."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from workbench.errors import BudgetReached, CallError, NotRecorded
from workbench.records import Row

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workbench.client import Asking, Session
    from workbench.experiment.grid import Arm
    from workbench.records import Reply

About = dict[str, Any]


def about(arm: Arm, run_id: str, session: Session) -> About:
    """What every row of an arm says alike, and what a failed one says of who was asked."""
    asked = session.origin(arm.model.provider)
    return {
        "source": "recorded" if asked.recorded else "simulated" if asked.stand_in else "live",
        "served_by": "",
        "run_id": run_id,
        "prompt": arm.prompt.name,
        "version": arm.prompt.version,
        "prompt_sha": arm.prompt.sha,
        "provider": arm.model.provider,
        "model": arm.model.label,
        "tier": arm.model.tier,
        "origin": arm.origin,
    }


def answered(about: About, reply: Reply, judge: Asking, **found: Any) -> Row:
    """A row of a reply, and of what its judges cost."""
    judged = {"judge_cost_usd": judge.cost_usd, "judge_spent_usd": judge.spent_usd}
    uncertain_usd = reply.uncertain_usd + judge.uncertain_usd
    return _row(about | _of(reply) | judged | found, uncertain_usd=uncertain_usd)


def unscored(about: About, reply: Reply, judge: Asking, reached: BudgetReached) -> Row:
    """A row of a reply that was paid for, and that the budget left without its scores; the reply is in the cache."""
    told = f"its answer is kept, and was not scored: {reached}"
    return answered(about, reply, judge, output=None, error=told, error_type=type(reached).__name__)


def failed(about: About, error: Exception, trial: str = "") -> Row:
    """A row of a trial without a reply. What it cost is unknown where it may have been charged, and where it is no
    error of a call at all."""
    kind = type(error).__name__
    if isinstance(error, NotRecorded):
        return _row(about, error=f"{trial}: {error}", error_type=kind)
    if isinstance(error, BudgetReached):
        return _row(about, error=str(error), error_type=kind, spent_usd=None, uncertain_usd=error.uncertain_usd)
    if not isinstance(error, CallError):
        return _row(about, error=f"{kind}: {error}", error_type=kind, spent_usd=None)
    return _row(
        about,
        error=str(error),
        error_type=kind,
        attempts=error.attempts,
        request_id=error.request_id,
        spent_usd=None if error.maybe_charged else 0.0,
        uncertain_usd=error.uncertain_usd,
    )


def _row(about: Mapping[str, Any], **found: Any) -> Row:
    return Row(**about, **found, finished_at=time.time())


def _of(reply: Reply) -> About:
    """What a row takes over from its reply."""
    usage = reply.usage
    return {
        "source": reply.source,
        "served_by": reply.served_by,
        "output": reply.text,
        "input_tokens": usage.input_tokens,
        "cache_write_5m_tokens": usage.cache_write_5m_tokens,
        "cache_write_1h_tokens": usage.cache_write_1h_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "output_tokens": usage.output_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "cost_usd": reply.cost_usd,
        "spent_usd": reply.spent_usd,
        "latency_s": reply.latency_s,
        "waited_s": reply.waited_s,
        "ttft_s": reply.ttft_s,
        "cached": reply.cached,
        "stop_reason": reply.stop_reason,
        "request_id": reply.request_id,
        "attempts": reply.attempts,
        "loose": reply.loose,
    }
