"""`brinkwatch import map`: a venue's own files become a recorded day, by its field map."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from monitor.core.decode import codec
from monitor.core.decode.batch import Batch, Int64
from monitor.errors import ConfigError, nearest_name
from monitor.sources.adapter_lines import AdapterTranslator
from monitor.sources.field_map.translator import FieldMapTranslator
from monitor.sources.field_map.values import get_path
from monitor.sources.formats.base import FILE_FORMATS, FORMATS, Row, make_file_format, make_format
from monitor.sources.formats.csv_lines import CsvLines, join_lines, read_cells
from monitor.sources.settings import SourceSettings
from monitor.sources.translation import Translation
from monitor.sources.translators import make_translator
from monitor.venues.adapter import BatchRow, VenueAdapter
from monitor.venues.parse import UnreadableError
from replay.day import feed_files
from replay.day.merge import UNKNOWN_TS, TimedStream, merge_streams
