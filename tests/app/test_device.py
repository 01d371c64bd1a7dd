from app.device import Device, Slot, Use


def inside(*places: Slot) -> list[bool]:
    return [place.inside for place in places]


def test_runs_share_the_device_and_a_race_has_it_alone() -> None:
    device = Device()
    one, two, race, late = (device.place(use) for use in (Use.RUN, Use.RUN, Use.RACE, Use.RUN))
    assert inside(one, two, race, late) == [True, True, False, False]  # else races would never begin where many decode
    one.leave()
    assert inside(race, late) == [False, False]
    two.leave()
    assert inside(race, late) == [True, False]
    assert device.racing
    race.leave()
    assert inside(late) == [True]
    assert not device.racing


def test_first_come_first_served_and_each_knows_its_place() -> None:
    device = Device(capacity=1)
    first, second, third = (device.place() for _ in range(3))
    assert [place.ahead for place in (first, second, third)] == [0, 0, 1]
    first.leave()
    assert inside(second, third) == [True, False]
    assert third.ahead == 0


def test_who_leaves_the_line_lets_the_others_in() -> None:
    device = Device()
    run, race, late = device.place(), device.place(Use.RACE), device.place()
    race.leave()
    race.leave()  # a second time changes nothing
    assert inside(run, race, late) == [True, False, True]
    assert device.line == []


def test_a_picture_waits_for_a_race_but_not_for_runs() -> None:
    device = Device(capacity=1)
    run, waiting, picture = device.place(), device.place(), device.place(Use.PICTURE)
    assert inside(run, waiting, picture) == [True, False, True]
    run.leave()
    waiting.leave()
    race = device.place(Use.RACE)
    assert not race.inside  # the picture is still being drawn
    picture.leave()
    assert race.inside
    assert not device.place(Use.PICTURE).inside


def test_waiting_ends_when_the_place_moves_up_or_comes_in_or_is_given_up() -> None:
    device = Device(capacity=1)
    first, second, third = (device.place() for _ in range(3))
    assert not third.wait(0.0, ahead=1)
    for leaver, waiter, comes_in in ((second, third, False), (first, third, True)):
        before = waiter.ahead
        leaver.leave()  # before the other waits, which must end at once
        assert waiter.ahead <= before
        assert waiter.wait(0.0, ahead=before) == comes_in
