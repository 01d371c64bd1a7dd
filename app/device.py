"""The device: who may use it now, and who waits in line for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from threading import Condition

from app.limits import MAX_RUNS


class Use(Enum):
    """What a slot is wanted for. Runs share passes, a race has the device alone, a picture needs a core of it."""

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
        """Slots before this one in the line."""
        line = list(self._device.line)
        return line.index(self) if self in line else 0

    def wait(self, seconds: float, *, ahead: int) -> bool:
        """Wait until this slot is inside, has left, or has moved up in the line; returns whether it is inside.

        ahead: slots before it when the caller last looked, so that a move since then is not missed.
        """
        with self._device.changed:
            self._device.changed.wait_for(lambda: self not in self._device.line or self.ahead != ahead, seconds)
        return self.inside

    def leave(self) -> None:
        """Free the slot, inside or in the line, and admit others. A second call does nothing."""
        with self._device.changed:
            for slots in (self._device.inside, self._device.line):
                if self in slots:
                    slots.remove(self)
            self._device.admit()


class Device:
    """Admits up to `capacity` runs at once, or one race alone. First come, first served; pictures may overtake runs.

    inside, line: the slots that use it, and those that wait, in order.
    """

    def __init__(self, capacity: int = MAX_RUNS) -> None:
        self.capacity = capacity
        self.changed = Condition()
        self.inside: list[Slot] = []
        self.line: list[Slot] = []

    @property
    def racing(self) -> bool:
        """Whether a race has it alone."""
        return any(slot.use is Use.RACE for slot in list(self.inside))

    def place(self, use: Use = Use.RUN) -> Slot:
        """A new slot, inside if that can be, else at the end of the line."""
        slot = Slot(self, use)
        with self.changed:
            self.line.append(slot)
            self.admit()
        return slot

    @contextmanager
    def picture(self, seconds: float) -> Iterator[bool]:
        """Use the device to draw; False where races kept it for that long."""
        slot = self.place(Use.PICTURE)
        try:
            with self.changed:
                self.changed.wait_for(lambda: slot.inside, seconds)
            yield slot.inside
        finally:
            slot.leave()

    def admit(self) -> None:
        """Let in all that may come in. A waiting race keeps out what came after it, else it would never begin."""
        for slot in list(self.line):
            if self.racing or (slot.use is Use.RACE and self.inside):
                break
            runs = sum(other.use is Use.RUN for other in self.inside)
            if slot.use is not Use.RUN or runs < self.capacity:
                self.line.remove(slot)
                self.inside.append(slot)
        self.changed.notify_all()
