import weakref
from collections.abc import Generator
from concurrent.futures import Executor, ThreadPoolExecutor
from itertools import count
from threading import Event, Thread, current_thread
from typing import Any

import pytest

from app.events import Quiet
from app.worker import Work
from dllm.models.families import FAST_DLLM_V2
from dllm.settings import Settings
from tests.dllm.nets import engine_of


def network() -> Executor:
    return ThreadPoolExecutor(1)


def numbers(last: int, error: Exception | None = None) -> Generator[int, None, None]:
    yield from range(last)
    if error:
        raise error


def together(worker: Executor, *works: Generator[Any, None, None]) -> list[Work[Any]]:
    """Works that all begin in the same round: the thread is held until they stand in line."""
    begin = Event()
    worker.submit(lambda: begin.wait(30))
    tasks = [Work(work, worker) for work in works]
    begin.set()
    return tasks


def take_all(task: Work[Any]) -> list[Any]:
    return [item for items in iter(task.take, []) for item in items]


def settle(worker: Executor) -> None:
    """Wait until the thread has done what it was asked to by now."""
    worker.submit(lambda: None).result(timeout=30)


def test_all_work_is_done_in_one_thread() -> None:
    worker, seen = network(), []

    def work() -> Generator[Thread, None, None]:
        for _ in range(3):
            yield current_thread()

    for task in (Work(work(), worker), Work(work(), worker)):
        seen += take_all(task)
    seen.append(worker.submit(current_thread).result())
    assert len(seen) == 7
    assert len(set(seen)) == 1
    assert seen[0] is not current_thread()


def test_works_go_on_in_step() -> None:
    """So that they share passes, and none keeps another waiting."""
    seen: list[str] = []

    def work(name: str) -> Generator[str, None, None]:
        for _ in range(50):
            seen.append(name)
            yield name

    for task in together(network(), work("a"), work("b")):
        take_all(task)
    assert len(seen) == 100
    assert all(set(seen[n : n + 2]) == {"a", "b"} for n in range(0, 100, 2))


def test_an_error_reaches_who_asked_for_that_work_after_all_that_came_before() -> None:
    broken, whole = together(network(), numbers(3, ZeroDivisionError("a defect")), numbers(6))
    assert take_all(whole) == list(range(6))
    come: list[int] = []
    with pytest.raises(ZeroDivisionError, match="a defect"):
        come.extend(item for items in iter(broken.take, []) for item in items)
    assert come == [0, 1, 2]


def test_closing_ends_the_work_and_does_not_wait_for_the_thread() -> None:
    """Gradio closes a cancelled listener on its event loop, and the thread may be loading a model for a minute."""
    worker, go_on, freed = network(), Event(), Event()

    def work() -> Generator[int, None, None]:
        try:
            yield from count()
        finally:
            freed.set()

    task = Work(work(), worker)
    assert task.take()
    worker.submit(lambda: go_on.wait(60))  # a load
    closing = Thread(target=task.close)
    closing.start()
    closing.join(30)
    assert not closing.is_alive()
    assert not freed.is_set()
    go_on.set()
    assert freed.wait(30)


def test_a_work_that_is_forgotten_may_be_closed_in_the_network_s_own_thread() -> None:
    """The garbage collector runs in whatever thread allocates."""
    worker, freed = network(), Event()

    def work() -> Generator[int, None, None]:
        try:
            yield from count()
        finally:
            freed.set()

    task = Work(work(), worker)
    task.take()
    worker.submit(task.close).result(timeout=30)
    assert freed.wait(30)


def test_a_work_that_is_left_goes_and_the_others_stay() -> None:
    worker, freed = network(), []

    def work(name: str) -> Generator[int, None, None]:
        try:
            yield from count()
        finally:
            freed.append(name)

    left, stays = Work(work("left"), worker), Work(work("stays"), worker)
    left.take()
    stays.take()
    left.close()
    settle(worker)
    assert freed == ["left"]
    before = stays.take()[-1]
    assert stays.take()[-1] > before
    stays.close()
    settle(worker)
    assert freed == ["left", "stays"]


def test_a_work_that_wants_quiet_goes_on_when_all_was_taken() -> None:
    worker, went_on = network(), Event()

    def work() -> Generator[Any, None, None]:
        yield 1
        yield 2
        yield Quiet()
        went_on.set()
        yield 3
        yield Quiet()

    task, come = Work(work(), worker), []
    while come != [1, 2]:
        come += task.take()
    for _ in range(2):
        settle(worker)
    assert not went_on.is_set()
    assert take_all(task) == [3]
    assert went_on.is_set()


def test_runs_that_are_driven_at_once_share_passes() -> None:
    engine = engine_of(FAST_DLLM_V2)
    runs = [engine.run(prompt, Settings(gen_length=16, stop_ids=())) for prompt in ([1, 2, 3], [7] * 9)]
    both = together(network(), *map(engine.steps, runs))  # type: ignore[arg-type]
    for task, run in zip(both, runs, strict=True):
        assert [step.index for step in take_all(task)] == list(range(len(run.records)))
        trace = run.trace()
        assert (trace.environment.rows, trace.stop_reason) == (2, "length")


def test_a_run_that_is_left_frees_its_cache_and_the_other_ends() -> None:
    engine, worker = engine_of(FAST_DLLM_V2), network()
    left, stays = (engine.run([1, 2, 3], Settings(gen_length=length, stop_ids=())) for length in (128, 64))
    sessions: list[weakref.ref[Any]] = []
    begin = left.session

    def noted() -> Any:
        session = begin()
        sessions.append(weakref.ref(session))
        return session

    left.session = noted  # type: ignore[method-assign]
    one, other = together(worker, engine.steps(left), engine.steps(stays))  # type: ignore[arg-type]
    one.take()
    assert [session() is None for session in sessions] == [False]
    one.close()
    settle(worker)
    assert [session() is None for session in sessions] == [True]
    assert left.canvas.stop_reason is None
    take_all(other)
    assert stays.canvas.stop_reason == "length"
