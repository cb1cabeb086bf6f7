"""Training: from recordings to a model."""

import os

# Before torch allocates anything: large tensors come and go with every update, and in huge pages of memory that costs a
# tenth of the page faults.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
