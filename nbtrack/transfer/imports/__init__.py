"""What other trackers and tools wrote, brought into a database: one file per kind of archive."""

from nbtrack.transfer.imports.base import Archive, Options
from nbtrack.transfer.imports.detect import READERS, Reader, open_archive
from nbtrack.transfer.imports.write import import_archive

__all__ = ["READERS", "Archive", "Options", "Reader", "import_archive", "open_archive"]
