"""What a merge did."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class MergedVersion:
    """A version of a registered model that was added, and the number that it had where it is from.

    Parameters
    ----------
    name
        The registered model.
    version
        Its number here.
    source_version
        Its number in the other file.
    """

    name: str
    version: int
    source_version: int


@dataclass(slots=True)
class MergeReport:
    """What a merge did.

    Attributes
    ----------
    added, updated
        Ids of the runs that came, and of those that were here and are longer now.
    unchanged
        How many runs had nothing new.
    files, bytes
        How many contents of files came, and how much room they take.
    experiments
        Names of the experiments that were made.
    versions
        Versions of registered models that were added.
    models
        Names of registered models that were made, or have something new besides versions: a
        description, tags, aliases, a stage.
    conflicts
        Sentences: where two copies of a run differ and neither is the later one, ours was kept.
    problems
        Sentences: what could not be brought over, and why.
    """

    added: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    unchanged: int = 0
    files: int = 0
    bytes: int = 0
    experiments: list[str] = field(default_factory=list)
    versions: list[MergedVersion] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        """Whether anything came over."""
        return any((self.added, self.updated, self.experiments, self.versions, self.models))

    def include(self, other: MergeReport) -> None:
        """Add what another step did."""
        self.added += other.added
        self.updated += other.updated
        self.unchanged += other.unchanged
        self.files += other.files
        self.bytes += other.bytes
        self.experiments += other.experiments
        self.versions += other.versions
        self.models += other.models
        self.conflicts += other.conflicts
        self.problems += other.problems
