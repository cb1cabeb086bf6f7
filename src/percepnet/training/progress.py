"""One line of a run's log, as numbers and as text."""

from dataclasses import dataclass

from percepnet.training.validation_audio import SCORES


@dataclass(frozen=True)
class Progress:
    """One line of a run's log. Losses are averages since the line before.

    Parameters
    ----------
    updates : int
    minutes : float
        Of training, over all sittings.
    hours_seen : float
        Of audio.
    gain_loss, strength_loss : float
    speed : float
        Seconds of audio a second.
    validation : dict of str to float, optional
        Losses on held-out mixtures, and scores of the validation audio, where there was time for it.
    """

    updates: int
    minutes: float
    hours_seen: float
    gain_loss: float
    strength_loss: float
    speed: float
    validation: dict[str, float] | None = None

    def line(self) -> str:
        """As text."""
        text = (
            f"{self.minutes:7.1f} min  update {self.updates:6d}  seen {self.hours_seen:7.2f} h  "
            f"gain {self.gain_loss:.4f}  strength {self.strength_loss:.4f}  {self.speed:5.1f} s/s"
        )
        if self.validation:
            text += f"  | held out: gain {self.validation['gain']:.4f}  strength {self.validation['strength']:.4f}"
            for name in SCORES.values():
                if {name, f"noisy_{name}"} <= self.validation.keys():
                    change = self.validation[name] - self.validation[f"noisy_{name}"]
                    text += f"  {name} {self.validation[name]:.3f} ({change:+.3f})"
        return text
