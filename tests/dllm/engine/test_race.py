import pytest

from dllm.engine.race import Race
from dllm.models.families import FAST_DLLM_V2
from dllm.settings import Choice, Settings, SettingsError
from dllm.trace import Trace
from tests.dllm.nets import engine_of

AR = Settings(gen_length=6, block_size=1)
BLOCK = Settings(gen_length=6, block_size=4)
LANES = {"ar": AR, "block": BLOCK}


def test_lanes_take_turns_and_each_is_first_once() -> None:
    race = Race(engine_of(FAST_DLLM_V2), [1, 2, 3], LANES, repeats=2)
    order = list(dict.fromkeys((turn.repeat, turn.lane) for turn in race))
    assert order == [(0, "ar"), (0, "block"), (1, "block"), (1, "ar"), (2, "ar"), (2, "block")]


def test_the_warm_up_lap_is_not_timed_and_the_median_lap_is_shown() -> None:
    race = Race(engine_of(FAST_DLLM_V2), [1, 2, 3], LANES, repeats=3)
    repeats: dict[str, list[float]] = {name: [] for name in LANES}
    for turn in race:
        if turn.repeat and turn.run.canvas.stop_reason:
            repeats[turn.lane].append(sum(record.seconds for record in turn.run.records))
    traces = race.traces()
    for name in LANES:
        assert traces[name].timing.laps == repeats[name]
        assert sum(step.seconds for step in traces[name].steps) == sorted(repeats[name])[1]
        assert Trace.from_json(traces[name].to_json()).timing.laps == repeats[name]


@pytest.mark.parametrize("repeats", [1, 2])
def test_a_lane_writes_what_it_writes_alone(repeats: int) -> None:
    engine = engine_of(FAST_DLLM_V2)
    race = Race(engine, [1, 2, 3], LANES, repeats=repeats)
    list(race)
    for name, settings in LANES.items():
        run = engine.run([1, 2, 3], settings)
        list(run)
        assert race.traces()[name].output == run.canvas.output


def test_a_race_that_is_left_has_the_laps_it_finished() -> None:
    race = Race(engine_of(FAST_DLLM_V2), [1, 2, 3], LANES, repeats=2)
    for turn in race:
        if turn.repeat == 1 and turn.lane == "ar":
            break
    assert list(race.traces()) == ["block"]


@pytest.mark.parametrize(
    ("lanes", "repeats", "message"),
    [
        ({"ar": AR}, 1, "a race has 1 lanes; allowed: 2 to 4"),
        ({str(n): Settings(gen_length=n, block_size=4) for n in range(1, 6)}, 1, "a race has 5 lanes"),
        (LANES, 0, "repeats is 0; allowed: 1 to 20"),
        ({"a": BLOCK, "b": Settings(gen_length=6, block_size=4, cache=Choice("sub_block"))}, 1, "a and b decode in"),
    ],
)
def test_a_race_that_makes_no_sense_is_refused(lanes: dict[str, Settings], repeats: int, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Race(engine_of(FAST_DLLM_V2), [1, 2, 3], lanes, repeats=repeats)
