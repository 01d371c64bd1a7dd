"""The device: who may use it now, and who waits in line for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from threading import Condition

from app.limits import TOGETHER


class Use(Enum):
    """What a place is wanted for. Runs share passes, a race has the device alone, a picture needs a core of it."""

    RUN = "run"
    RACE = "race"
    PICTURE = "picture"


class Slot:
    """One place at the device, or in the line before it. Any thread may wait for it and leave it."""

    def __init__(self, device: "Device", use: Use) -> None:
        self.use = use
        self._device = device

    @property
    def inside(self) -> bool:
        """Whether the device may be used now."""
        return self in self._device.inside

    @property
    def ahead(self) -> int:
        """Places before this one in the line."""
        line = list(self._device.line)
        return line.index(self) if self in line else 0

    def wait(self, seconds: float, *, ahead: int | None = None) -> bool:
        """Wait until this place is inside, has left, or has moved up in the line; returns whether it is inside.

        ahead: places before it when the caller last looked, so that a move since then is not missed; None: now.
        """
        before = self.ahead if ahead is None else ahead
        changed = self._device.changed
        with changed:
            changed.wait_for(lambda: self not in self._device.line or self.ahead != before, seconds)
        return self.inside

    def leave(self) -> None:
        """Free the place, inside or in the line. A second call does nothing."""
        self._device.leave(self)


class Device:
    """Admits up to `capacity` runs at once, or one race alone. First come, first served; pictures may overtake runs.

    inside, line: the places that use it, and those that wait, in order.
    """

    def __init__(self, capacity: int = TOGETHER) -> None:
        self.capacity = capacity
        self.changed = Condition()
        self.inside: list[Slot] = []
        self.line: list[Slot] = []

    @property
    def racing(self) -> bool:
        """Whether a race has it alone."""
        return any(place.use is Use.RACE for place in list(self.inside))

    def place(self, use: Use = Use.RUN) -> Slot:
        """A new place, inside if that can be, else at the end of the line."""
        place = Slot(self, use)
        with self.changed:
            self.line.append(place)
            self._admit()
        return place

    @contextmanager
    def picture(self, seconds: float) -> Iterator[bool]:
        """Use the device to draw; False where races kept it for that long."""
        place = self.place(Use.PICTURE)
        try:
            with self.changed:
                self.changed.wait_for(lambda: place.inside, seconds)
            yield place.inside
        finally:
            place.leave()

    def leave(self, place: Slot) -> None:
        """Free a place, and admit whom that makes room for."""
        with self.changed:
            for places in (self.inside, self.line):
                if place in places:
                    places.remove(place)
            self._admit()

    def _admit(self) -> None:
        """Let in all who may come in. A race that waits keeps out who came after it, else it would never begin."""
        for place in list(self.line):
            if place.use is Use.RACE and self.inside:
                break
            if self.racing:
                break
            runs = sum(other.use is Use.RUN for other in self.inside)
            if place.use is Use.RUN and runs >= self.capacity:
                continue
            self.line.remove(place)
            self.inside.append(place)
        self.changed.notify_all()
